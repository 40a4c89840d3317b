// Draw one metric of a child in a range: its mean as a line, its lowest and highest as a band around it.
"use strict";

(() => {
  const section = document.getElementById("chart");
  const select = document.getElementById("metric");
  const container = document.getElementById("plot");
  const text = document.getElementById("plot-text");
  const ranges = [...document.querySelectorAll("#ranges [data-range]")];
  const REFRESH_MS = 15000;
  const HEIGHT = 190;
  const clockOffset = Date.now() - Date.parse(document.body.dataset.now);
  let chosen = ranges[0];
  let plot = null;
  let drawn = null;
  let fetchedAt = 0;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const width = () => Math.max(240, container.clientWidth - 10);
  const seconds = () => Number(chosen.dataset.seconds);

  const span = () => {
    const now = (Date.now() - clockOffset) / 1000;
    return [now - seconds(), now];
  };

  const time = (at, isTick) => {
    const length = seconds();
    const options = length <= 3600 ? { hour: "2-digit", minute: "2-digit" }
      : length > 700000 ? { day: "numeric", month: "short" }
      : isTick && length > 90000 ? { weekday: "short", hour: "2-digit", minute: "2-digit" }
      : isTick ? { hour: "2-digit", minute: "2-digit" }
      : { weekday: "short", hour: "2-digit", minute: "2-digit" };
    return gatewayDisplay.inZone(new Date(at * 1000), options);
  };

  const options = (series) => ({
    width: width(),
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 28, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { range: span }, y: { range: (self, low, high) => (low === high ? [low - 1, high + 1] : uPlot.rangeNum(low, high, 0.1, true)) } },
    axes: [
      { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, size: 30, space: seconds() > 90000 ? 110 : 70, values: (self, ticks) => ticks.map((at) => time(at, true)) },
      { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, size: 64 },
    ],
    series: [
      {},
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
      { stroke: colour("--reading"), width: 2 },
    ],
    bands: [{ series: [2, 1], fill: `${colour("--reading")}40` }],
    hooks: { setCursor: [(self) => describe(series, self.cursor.idx)] },
  });

  const fill = (template, values) => template.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

  const describe = (series, index) => {
    const lows = series.low.filter((value) => value !== null);
    const highs = series.high.filter((value) => value !== null);
    const [lowest, highest] = [Math.min(...lows), Math.max(...highs)];
    const shown = (value) => gatewayDisplay.inSpan(value, lowest, highest) + (series.unit ? ` ${series.unit}` : "");
    const { none, one, span: over, at, between } = text.dataset;
    if (index !== null && index !== undefined && typeof series.mean[index] === "number") {
      const [low, mean, high] = [series.low[index], series.mean[index], series.high[index]].map(shown);
      text.textContent = fill(low === high ? at : between, { time: time(series.at[index]), low, mean, high });
      return;
    }
    const [low, high] = lows.length ? [lowest, highest].map(shown) : ["", ""];
    const words = !lows.length ? none : low === high ? fill(one, { value: low }) : fill(over, { low, high });
    text.textContent = [words, series.why].filter(Boolean).join(". ");
  };

  const draw = (series) => {
    if (plot) plot.destroy();
    drawn = series;
    plot = new uPlot(options(series), [series.at, series.low, series.high, series.mean], container);
    describe(series, null);
  };

  const fetchAndDraw = async () => {
    fetchedAt = Date.now();
    const [metric, range] = [select.value, chosen.dataset.range];
    const answer = await fetch(`${section.dataset.history}?metric=${encodeURIComponent(metric)}&range=${range}`);
    const series = answer.ok ? await answer.json() : null;
    if (series && metric === select.value && range === chosen.dataset.range) draw(series);  // else another one was chosen meanwhile
  };

  const updateOptions = () => {
    const rows = [...document.querySelectorAll("#values tr[id]")].filter((row) => row.dataset.drawn !== undefined);
    const names = rows.map((row) => row.dataset.metric);
    if (names.join("\n") === [...select.options].map((one) => one.value).join("\n")) return false;
    const selected = select.value;
    select.replaceChildren(...rows.map((row) => new Option(row.querySelector("th").textContent, row.dataset.metric)));
    if (names.includes(selected)) select.value = selected;
    section.hidden = names.length === 0;
    return names.length > 0;
  };

  const refresh = (always) => {
    if ((updateOptions() || always || Date.now() - fetchedAt > REFRESH_MS) && select.value) fetchAndDraw().catch(() => {});  // page.js shows that the gateway does not answer
  };

  const choose = (link) => {
    chosen = link;
    for (const one of ranges) {
      if (one === link) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
  };

  for (const link of ranges) {
    link.addEventListener("click", (event) => {
      if (section.hidden || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;  // as a link: there is nothing to draw here
      event.preventDefault();
      choose(link);
      refresh(true);
    });
  }

  select.addEventListener("change", () => refresh(true));
  document.addEventListener("regions-changed", () => refresh(false));
  document.addEventListener("display-changed", () => drawn && draw(drawn));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn && draw(drawn));
  addEventListener("resize", () => plot && plot.setSize({ width: width(), height: HEIGHT }));
  choose(chosen);
  refresh(true);
})();
