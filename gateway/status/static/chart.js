// Draws the last hour of one metric of a child: its mean as a line, its lowest and highest as a band around it.
"use strict";

(() => {
  const section = document.getElementById("chart");
  const choice = document.getElementById("metric");
  const holder = document.getElementById("plot");
  const says = document.getElementById("plot-says");
  const EVERY_MS = 15000;
  let plot = null;
  let shown = null;
  const clockIsAhead = Date.now() - Date.parse(document.body.dataset.now);
  let lastAt = 0;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const width = () => Math.max(240, holder.clientWidth - 10);

  const lastHour = () => {
    const now = (Date.now() - clockIsAhead) / 1000;
    return [now - 3600, now];
  };

  const options = (series) => ({
    width: width(),
    height: 190,
    legend: { show: false },
    padding: [8, 28, 0, 0],
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { range: lastHour }, y: { range: (self, low, high) => (low === high ? [low - 1, high + 1] : uPlot.rangeNum(low, high, 0.1, true)) } },
    axes: [
      { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, size: 30, space: 70, values: (self, ticks) => ticks.map(clock) },
      { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, size: 64 },
    ],
    series: [
      {},
      { label: "lowest", stroke: "transparent", points: { show: false } },
      { label: "highest", stroke: "transparent", points: { show: false } },
      { label: series.unit ? `${series.metric} (${series.unit})` : series.metric, stroke: colour("--reading"), width: 2 },
    ],
    bands: [{ series: [2, 1], fill: `${colour("--reading")}40` }],
    hooks: { setCursor: [(self) => say(series, self.cursor.idx)] },
  });

  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const short = (value) => Number(value.toPrecision(6)).toString();

  const say = (series, index) => {
    const unit = series.unit ? ` ${series.unit}` : "";
    if (index !== null && index !== undefined && series.mean[index] !== null && series.mean[index] !== undefined) {
      const [low, mean, high] = [series.low[index], series.mean[index], series.high[index]].map(short);
      says.textContent = `${clock(series.at[index])}: ${mean}${unit}` + (low === high ? "" : `, from ${low} to ${high}${unit}`);
      return;
    }
    const lows = series.low.filter((one) => one !== null);
    const highs = series.high.filter((one) => one !== null);
    const [low, high] = [short(Math.min(...lows)), short(Math.max(...highs))];
    says.textContent = !lows.length ? "Nothing to draw yet" : low === high ? `${low}${unit} in the last hour` : `From ${low} to ${high}${unit} in the last hour`;
    holder.setAttribute("aria-label", `${series.metric}: ${says.textContent}`);
  };

  const draw = (series) => {
    const columns = [series.at, series.low, series.high, series.mean];
    if (plot) plot.destroy();
    shown = series;
    plot = new uPlot(options(series), columns, holder);
    say(series, null);
  };

  const fetchAndDraw = async () => {
    lastAt = Date.now();
    const metric = choice.value;
    const answer = await fetch(`${section.dataset.history}?metric=${encodeURIComponent(metric)}`);
    const series = answer.ok ? await answer.json() : null;
    if (series && metric === choice.value) draw(series);  // else another one was chosen meanwhile
  };

  const offer = () => {
    const rows = [...document.querySelectorAll("#values tr[id]")].filter((row) => row.dataset.drawn !== undefined);
    const names = rows.map((row) => row.querySelector("th").textContent);
    if (names.join("\n") === [...choice.options].map((one) => one.value).join("\n")) return false;
    const chosen = choice.value;
    choice.replaceChildren(...names.map((name) => new Option(name, name)));
    if (names.includes(chosen)) choice.value = chosen;
    section.hidden = names.length === 0;
    return names.length > 0;
  };

  const look = (always) => {
    if ((offer() || always || Date.now() - lastAt > EVERY_MS) && choice.value) fetchAndDraw().catch(() => {});  // the page says when the gateway is away
  };

  choice.addEventListener("change", () => look(true));
  document.addEventListener("regions-changed", () => look(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown && draw(shown));
  addEventListener("resize", () => plot && plot.setSize({ width: width(), height: 190 }));
  look(true);
})();
