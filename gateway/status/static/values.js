// Draw the chosen metrics again so that they can be zoomed: by dragging, by buttons, and back to the whole range.
"use strict";

(() => {
  const section = document.getElementById("chart");
  const form = document.querySelector("form.chosen");
  if (form) form.addEventListener("change", () => form.requestSubmit());
  document.querySelectorAll(".noscript").forEach((one) => one.remove());
  if (!section) return;
  const container = document.getElementById("plot");
  const text = document.getElementById("plot-text");
  const zoom = document.getElementById("zoom");
  const csv = document.getElementById("csv");
  const whole = csv ? csv.href : "";
  const metrics = JSON.parse(section.dataset.metrics);
  const titles = JSON.parse(section.dataset.titles);
  const span = Number(section.dataset.seconds);
  const clockOffset = Date.now() - Date.parse(document.body.dataset.now);
  const explanation = text.textContent;
  let plot = null;
  let drawn = null;
  let chosen = null;  // the zoomed part, in seconds

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const width = () => Math.max(240, container.clientWidth - 10);
  const wholeRange = () => { const now = (Date.now() - clockOffset) / 1000; return [now - span, now]; };
  const shownIn = (self, place) => {  // with the decimals that the drawn values need
    const ends = [1, 2].map((column) => self.data[3 * place + column].filter((value) => typeof value === "number"));
    const [low, high] = [Math.min(...ends[0]), Math.max(...ends[1])];
    return (value) => gatewayDisplay.inSpan(value, low, high);
  };
  const time = (seconds) => new Date(seconds * 1000).toLocaleString([], span > 90000 ? { dateStyle: "medium", timeStyle: "short" } : { hour: "2-digit", minute: "2-digit" });

  const tick = (seconds) => {  // by the choice of the person: a date where the range is longer than a day
    const [from, to] = chosen || wholeRange();
    const shown = to - from > 40 * 86400 ? { day: "numeric", month: "short", year: "2-digit" } : to - from > 2 * 86400 ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit" };
    return gatewayDisplay.inZone(new Date(seconds * 1000), shown);
  };

  const columns = (series) => uPlot.join(series.map((one) => [one.at, one.low, one.high, one.mean]), series.map(() => [2, 2, 2]));

  const options = (series) => {
    const two = series.length > 1 && series[0].unit !== series[1].unit;
    const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    return {
      width: width(),
      height: 260,
      legend: { show: false },
      padding: [8, 16, 0, 0],
      cursor: { y: false, drag: { x: true, y: false } },
      scales: { x: { time: true, range: () => chosen || wholeRange() }, y: {}, second: {} },
      axes: [
        { ...axis, size: 30, space: span > 90000 ? 90 : 70, values: (self, ticks) => ticks.map(tick) },
        { ...axis, size: 64, stroke: two ? colour("--line-1") : axis.stroke },
        ...(two ? [{ ...axis, scale: "second", side: 1, size: 64, stroke: colour("--line-2"), grid: { show: false } }] : []),
      ],
      series: [{}, ...series.flatMap((one, place) => {
        const scale = two && place ? "second" : "y";
        return [
          { scale, stroke: "transparent", points: { show: false }, spanGaps: false },
          { scale, stroke: "transparent", points: { show: false }, spanGaps: false },
          { scale, stroke: colour(`--line-${place + 1}`), width: 2, dash: place ? [6, 3] : undefined, spanGaps: false },
        ];
      })],
      bands: series.map((one, place) => ({ series: [3 * place + 2, 3 * place + 1], fill: `${colour(`--line-${place + 1}`)}${series.length > 1 ? "22" : "40"}` })),
      hooks: { setCursor: [(self) => describe(self)], setSelect: [(self) => takeSelection(self)] },
    };
  };

  const describe = (self) => {
    const index = self.cursor.idx;
    if (index === null || index === undefined) { text.textContent = explanation; return; }
    const parts = drawn.map((one, place) => {
      const [low, high, mean] = [1, 2, 3].map((column) => self.data[3 * place + column][index]);
      if (mean === null || mean === undefined) return "";
      const short = shownIn(self, place);
      const unit = one.unit ? ` ${one.unit}` : "";
      return `${titles[place]} ${short(mean)}${unit}${low === high ? "" : ` (${short(low)} – ${short(high)}${unit})`}`;
    });
    text.textContent = `${time(self.data[0][index])}: ${parts.filter(Boolean).join(", ")}`;
  };

  const takeSelection = (self) => {
    if (self.select.width < 4) return;
    const [left, right] = [self.select.left, self.select.left + self.select.width].map((place) => self.posToVal(place, "x"));
    self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    showPart([left, right]);
  };

  const showPart = (part) => {
    const [first, last] = wholeRange();
    const length = part ? Math.min(Math.max(part[1] - part[0], span / 200), span) : span;
    const start = part ? Math.min(Math.max(part[0], first), last - length) : first;
    chosen = part && length < span * 0.999 ? [start, start + length] : null;
    section.dataset.zoomed = chosen ? "yes" : "no";
    if (plot) draw(drawn);
    if (!csv) return;
    const iso = (seconds) => new Date(seconds * 1000).toISOString();
    csv.href = chosen ? `${whole}&${section.dataset.from}=${iso(chosen[0])}&${section.dataset.to}=${iso(chosen[1])}` : whole;
    const words = document.getElementById("csv-text");
    words.dataset.whole = words.dataset.whole || words.textContent;
    words.textContent = chosen ? `${time(chosen[0])} – ${time(chosen[1])}` : words.dataset.whole;
  };

  const steps = {
    in: ([first, last]) => [first + (last - first) / 4, last - (last - first) / 4],
    out: ([first, last]) => [first - (last - first) / 2, last + (last - first) / 2],
    earlier: ([first, last]) => [first - (last - first) / 2, last - (last - first) / 2],
    later: ([first, last]) => [first + (last - first) / 2, last + (last - first) / 2],
    reset: () => null,
  };
  zoom.addEventListener("click", (event) => {
    const step = steps[event.target.dataset.zoom];
    if (step) showPart(step(chosen || wholeRange()));
  });

  const draw = (series) => {
    if (plot) plot.destroy();
    else container.replaceChildren();
    drawn = series;
    plot = new uPlot(options(series), columns(series), container);
    container.setAttribute("role", "img");
    container.setAttribute("aria-label", titles.join(", "));
    zoom.hidden = false;
  };

  const refresh = async () => {
    const answers = await Promise.all(metrics.map((metric) => fetch(`${section.dataset.history}?metric=${encodeURIComponent(metric)}&range=${section.dataset.range}`)));
    if (answers.every((answer) => answer.ok)) draw(await Promise.all(answers.map((answer) => answer.json())));
  };

  const tryToRefresh = () => { if (!document.hidden) refresh().catch(() => {}); };  // page.js shows that the gateway does not answer
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn && draw(drawn));
  addEventListener("resize", () => plot && plot.setSize({ width: width(), height: 260 }));
  setInterval(tryToRefresh, Math.min(60000, Math.max(15000, span * 10)));
  tryToRefresh();
})();
