// What the series of a dataset cover: a strip of days, the price, spreads and volumes by hour.
const HOURS = [...Array(24).keys()];
const NS_PER_MS = 1e6;
const MONTHS_MAX = 24; // up to so many months a row is a month, beyond it a year
const day = (ms) => new Date(ms).toISOString().slice(0, 10);

// Of ticks nobody knows how many there are to be: a busy hour of this very series is the measure.
function expectedOf(cover) {
  if (cover.expected) return cover.expected;
  const rates = cover.rows.map((rows, i) => (rows && cover.open_ns[i] ? rows / cover.open_ns[i] : 0)).filter(Boolean).sort((a, b) => a - b);
  const busy = rates[Math.floor(rates.length * 0.9)] ?? 0;
  return cover.open_ns.map((open) => open * busy);
}

function drawCoverage(series, i) {
  const cover = series.coverage, expected = expectedOf(cover), unit = cover.unit_ns / NS_PER_MS, start = cover.start_ns / NS_PER_MS;
  const monthly = cover.rows.length * unit <= MONTHS_MAX * 31 * DAY_MS;
  const lines = new Map();
  cover.rows.forEach((rows, index) => {
    const ms = start + index * unit, date = new Date(ms);
    const label = monthly ? day(ms).slice(0, 7) : String(date.getUTCFullYear());
    const spot = monthly ? date.getUTCDate() - 1 : Math.round((Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()) - Date.UTC(date.getUTCFullYear(), 0, 1)) / DAY_MS);
    if (!lines.has(label)) lines.set(label, { share: Array(monthly ? 31 : 366).fill(null), text: Array(monthly ? 31 : 366).fill("") });
    const whole = expected[index], share = whole >= 0.5 ? Math.min(rows / whole, 1) : rows ? 1 : null;
    const of = cover.expected && whole ? ` of ${number(whole, 0)}` : "";
    for (let at = spot; at < Math.min(spot + unit / DAY_MS, monthly ? 31 : 366); at++) {
      lines.get(label).share[at] = share;
      lines.get(label).text[at] = `${day(ms)}<br>${number(rows, 0)}${of} ${series.frame === "tick" ? "ticks" : "bars"}`;
    }
  });
  const labels = [...lines.keys()], rows = [...lines.values()];
  draw(`coverage-${i}`, [{
    type: "heatmap", x: rows.length ? rows[0].share.map((_, at) => at + 1) : [], y: labels, z: rows.map((one) => one.share), text: rows.map((one) => one.text),
    zmin: 0, zmax: 1, xgap: monthly ? 2 : 0, ygap: 2, showscale: false, hoverongaps: false, hovertemplate: "%{text}<extra></extra>",
    colorscale: [[0, color("loss")], [0.001, color("loss")], [0.0011, color("short")], [0.6, rgb("short", 0.55)], [0.9, rgb("gain", 0.55)], [1, color("gain")]],
  }], {
    hovermode: "closest", margin: { l: narrow() ? 8 : 56, r: 8, t: 8, b: 28 },
    xaxis: { showgrid: false, title: { text: monthly ? "" : "day of the year", font: { size: 11 } } },
    yaxis: { type: "category", autorange: "reversed", showgrid: false, dtick: Math.ceil(labels.length / 20) },
  });
}

function drawPrice(series, i) {
  const price = series.price, x = [], y = [];
  price.index.forEach((index, at) => {
    const ms = Math.round((price.start_ns + index * price.width_ns) / NS_PER_MS);
    x.push(ms, ms);
    y.push(price.low[at], price.high[at]);
  });
  draw(`price-${i}`, [{
    ...broken({ x, y }, Math.max(pauseOf(x.filter((_, at) => at % 2 === 0)), 4 * price.width_ns / NS_PER_MS)), mode: "lines",
    line: { color: color("accent"), width: 1 }, hovertemplate: "%{y}<extra></extra>",
  }], { xaxis: { type: "date" }, yaxis: { tickformat: "~r" }, hovermode: "closest" });
}

function drawHours(series, i) {
  const shape = { hovermode: "x unified", bargap: 0.15, barmode: "overlay", margin: { l: 44, r: 8, t: 8, b: 36 }, xaxis: { dtick: narrow() ? 6 : 3, title: { text: "hour, UTC", font: { size: 11 } } } };
  if (series.spread) {
    const bars = (values, name, alpha) => ({ type: "bar", x: HOURS, y: values, name, marker: { color: rgb("accent", alpha) }, hovertemplate: `${name} %{y:,}<extra></extra>` });
    draw(`spread-${i}`, [bars(series.spread.p95, "95 %", 0.3), bars(series.spread.median, "median", 1)], { ...shape, yaxis: { tickformat: ",d" } });
  }
  const values = series.volume.kind === "volume" ? series.volume.mean : series.volume.rows;
  draw(`volume-${i}`, [{ type: "bar", x: HOURS, y: values, marker: { color: rgb("accent", 0.75) }, hovertemplate: "%{y:,.6~g}<extra></extra>" }], { ...shape, yaxis: { rangemode: "tozero" } });
}

function drawAll() {
  data.series.forEach((series, i) => {
    drawCoverage(series, i);
    drawPrice(series, i);
    drawHours(series, i);
  });
}

start(drawAll);
