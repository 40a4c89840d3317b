// Draw the last hour of one metric of a child: its mean as a line, its lowest and highest as a band around it.
"use strict";

(() => {
  const section = document.getElementById("chart");
  const select = document.getElementById("metric");
  const container = document.getElementById("plot");
  const text = document.getElementById("plot-text");
  const REFRESH_MS = 15000;
  let plot = null;
  let drawn = null;
  const clockOffset = Date.now() - Date.parse(document.body.dataset.now);
  let fetchedAt = 0;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const width = () => Math.max(240, container.clientWidth - 10);

  const lastHour = () => {
    const now = (Date.now() - clockOffset) / 1000;
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
      { label: title(series), stroke: colour("--reading"), width: 2 },
    ],
    bands: [{ series: [2, 1], fill: `${colour("--reading")}40` }],
    hooks: { setCursor: [(self) => describe(series, self.cursor.idx)] },
  });

  const title = (series) => [...select.options].find((one) => one.value === series.metric)?.text || series.metric;
  const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const short = (value) => Number(value.toPrecision(6)).toString();

  const describe = (series, index) => {
    const unit = series.unit ? ` ${series.unit}` : "";
    if (index !== null && index !== undefined && series.mean[index] !== null && series.mean[index] !== undefined) {
      const [low, mean, high] = [series.low[index], series.mean[index], series.high[index]].map(short);
      text.textContent = `${clock(series.at[index])}: ${mean}${unit}` + (low === high ? "" : `, from ${low} to ${high}${unit}`);
      return;
    }
    const lows = series.low.filter((one) => one !== null);
    const highs = series.high.filter((one) => one !== null);
    const [low, high] = [short(Math.min(...lows)), short(Math.max(...highs))];
    text.textContent = !lows.length ? "No numbers yet" : low === high ? `${low}${unit} in the last hour` : `From ${low} to ${high}${unit} in the last hour`;
    container.setAttribute("aria-label", `${title(series)}: ${text.textContent}`);
  };

  const draw = (series) => {
    const columns = [series.at, series.low, series.high, series.mean];
    if (plot) plot.destroy();
    drawn = series;
    plot = new uPlot(options(series), columns, container);
    describe(series, null);
  };

  const fetchAndDraw = async () => {
    fetchedAt = Date.now();
    const metric = select.value;
    const answer = await fetch(`${section.dataset.history}?metric=${encodeURIComponent(metric)}`);
    const series = answer.ok ? await answer.json() : null;
    if (series && metric === select.value) draw(series);  // otherwise another one was selected meanwhile
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

  select.addEventListener("change", () => refresh(true));
  document.addEventListener("regions-changed", () => refresh(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn && draw(drawn));
  addEventListener("resize", () => plot && plot.setSize({ width: width(), height: 190 }));
  refresh(true);
})();
