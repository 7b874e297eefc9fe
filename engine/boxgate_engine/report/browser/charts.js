// The charts of a run.
const MARKERS_MAX = 1200; // more trades than this in view are drawn by every n-th
const LEVELS_MAX = 60; // stops and targets are drawn once so few trades are in view that they can be told apart
const AMOUNTS_MAX = 20; // instruments drawn as bars; the table has all
const POINTS_MAX = 4000; // more excursions than this are drawn by every n-th

for (const curve of [data.equity, data.drawdown, data.exposure, data.rolling_sharpe, ...data.benchmark, ...data.price]) timed(curve);

// All charts over time show the same span: what is zoomed in one is zoomed in the others.
const span = { from: null, to: null };
const OVER_TIME = ["equity", "drawdown", "exposure", "rolling", "price"];
const firsts = [data.equity.time_ms, ...data.price.map((panel) => panel.time_ms)].filter((times) => times.length);
const whole = firsts.length
  ? [Math.min(...firsts.map((times) => times[0])), Math.max(...firsts.map((times) => times[times.length - 1]))]
  : [0, 1];
if (whole[0] === whole[1]) [whole[0], whole[1]] = [whole[0] - 3600e3, whole[1] + 3600e3];
const timeAxis = () => ({ type: "date", range: [span.from ?? whole[0], span.to ?? whole[1]] });

// The vertical range follows what is in view, so that a zoom along time shows the moves there.
function fit(times, lows, highs, extra = []) {
  const from = span.from ?? whole[0], to = span.to ?? whole[1];
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < times.length; i++) {
    const near = times[i] >= from && times[i] <= to;
    const crosses = times[i] < from && i + 1 < times.length && times[i + 1] > to;
    if (!near && !crosses) continue;
    if (lows[i] < low) low = lows[i];
    if (highs[i] > high) high = highs[i];
    if (crosses) { low = Math.min(low, lows[i + 1]); high = Math.max(high, highs[i + 1]); }
  }
  for (const value of extra) if (value !== null && value !== undefined) { low = Math.min(low, value); high = Math.max(high, value); }
  if (!(low <= high)) return undefined;
  const pad = (high - low) * 0.06 || Math.abs(high) * 0.01 || 1;
  return [low - pad, high + pad];
}

// Of what is in view, the lowest and highest point of each pixel column, where they were.
const COLUMNS = 1500;
function inView(times, values) {
  const from = span.from ?? whole[0], to = span.to ?? whole[1];
  let first = times.findIndex((time) => time >= from), last = times.findLastIndex((time) => time <= to);
  first = Math.max(0, (first < 0 ? times.length : first) - 1);
  last = Math.min(times.length - 1, last + 1);
  if (last - first < 2 * COLUMNS) return broken({ x: times.slice(first, last + 1), y: values.slice(first, last + 1) }, pauseOf(times));
  const x = [], y = [], width = (times[last] - times[first]) / COLUMNS;
  for (let i = first; i <= last; ) {
    const end = times[i] + width;
    let low = i, high = i;
    for (; i <= last && times[i] < end; i++) {
      if (values[i] < values[low]) low = i;
      if (values[i] > values[high]) high = i;
    }
    for (const kept of low === high ? [low] : [Math.min(low, high), Math.max(low, high)]) {
      x.push(times[kept]);
      y.push(values[kept]);
    }
  }
  return broken({ x, y }, Math.max(pauseOf(times), 4 * width)); // points of neighbouring columns are up to two apart
}

const fitAll = (curves, extra) => {
  const ranges = curves.map((one) => fit(one.time_ms, one.value, one.value, extra)).filter((range) => range);
  return ranges.length ? [Math.min(...ranges.map((range) => range[0])), Math.max(...ranges.map((range) => range[1]))] : undefined;
};

// What buying and holding gave: thinner than the run, told apart by dash and shade.
const HELD = [["muted", "dot"], ["short", "dot"], ["gain", "dot"], ["loss", "dot"]];
const benchmarkLine = (i) => {
  const [paint, dash] = HELD[i % HELD.length];
  return { line: { color: rgb(paint, 0.9), width: 1.1, dash: i < HELD.length ? dash : "dash" } };
};

function drawEquity() {
  const curve = data.equity, initial = data.metrics.equity.initial;
  const single = curve.value.length === 1;
  const whole = span.from === null;
  const held = data.benchmark.map((one, i) => ({ ...one, ...benchmarkLine(i) }));
  draw("equity", [
    ...held.map((one) => ({
      ...inView(one.time_ms, one.value), name: `${clean(one.instrument)} held`, mode: "lines", line: one.line,
      hovertemplate: `%{y:,.${data.currency_decimals}f} ${clean(data.currency)}`,
    })),
    {
      ...inView(curve.time_ms, curve.value), name: "Equity", mode: single ? "markers" : "lines",
      line: { color: color("accent"), width: 1.6 }, marker: { color: color("accent"), size: 9 },
      hovertemplate: `%{y:,.${data.currency_decimals}f} ${clean(data.currency)}${held.length ? "" : "<extra></extra>"}`,
    },
  ], {
    showlegend: held.length > 0, margin: { l: narrow() ? 8 : 56, r: 8, t: held.length ? 34 : 8, b: 28 },
    xaxis: timeAxis(),
    yaxis: { range: fitAll([curve, ...held], whole ? [initial] : []), fixedrange: true, tickformat: ",~r", hoverformat: ",.2f" },
    shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: initial, y1: initial, line: { color: color("muted"), width: 1, dash: "dot" } }],
  });
}

function drawDrawdown() {
  const curve = data.drawdown;
  const under = curve.value.map((value) => (value ? -value : 0)); // -0 would be written with a sign
  const deepest = Math.min(0, (fit(curve.time_ms, under, under, [0, -0.001]) ?? [0])[0]);
  draw("drawdown", [
    {
      ...inView(curve.time_ms, under), name: "Drawdown", mode: under.length === 1 ? "markers" : "lines", fill: "tozeroy",
      fillcolor: rgb("loss", 0.16), line: { color: color("loss"), width: 0.8 }, marker: { color: color("loss"), size: 9 },
      hovertemplate: "%{y:.2%}<extra></extra>",
    },
  ], { xaxis: timeAxis(), yaxis: { range: [deepest, 0], fixedrange: true, tickformat: ".1%", nticks: 5 } });
}

function drawExposure() {
  const { time_ms: times, gross, net } = data.exposure;
  if (!place("exposure")) return;
  // What a mark says holds until the next one.
  const line = (values, name, paint, more) => ({
    ...inView(times, values), name, mode: values.length === 1 ? "markers" : "lines", hovertemplate: "%{y:.1%}",
    line: { color: color(paint), width: 1.2, shape: "hv" }, ...more,
  });
  const lows = gross.map((value, i) => Math.min(0, net[i])), highs = gross.map((value, i) => Math.max(0, value, net[i]));
  draw("exposure", [
    line(gross, "Gross", "muted", { fill: "tozeroy", fillcolor: rgb("muted", 0.12) }),
    line(net, "Net", "accent"),
  ], {
    showlegend: true, margin: { l: narrow() ? 8 : 56, r: 8, t: 30, b: 28 }, xaxis: timeAxis(),
    yaxis: { range: fit(times, lows, highs), fixedrange: true, tickformat: ",.0~%", nticks: 5, zeroline: true, zerolinecolor: color("line-strong") },
  });
}

function drawRolling() {
  const { time_ms: times, value } = data.rolling_sharpe;
  if (!place("rolling")) return;
  draw("rolling", [
    { x: times, y: value, name: "Sharpe", mode: value.length === 1 ? "markers" : "lines", line: { color: color("accent"), width: 1.4 }, hovertemplate: "%{y:.2f}<extra></extra>" },
  ], {
    xaxis: timeAxis(),
    yaxis: { fixedrange: true, tickformat: ".1~f", nticks: 5, zeroline: true, zerolinecolor: color("line-strong") },
  });
}

// Amounts side by side, each with its sign.
function drawAmounts(name, names, values, paint) {
  if (!place(name)) return;
  const wide = Math.max(...names.map((text) => text.length));
  draw(name, [{
    type: "bar", orientation: "h", x: values, y: names.map(clean), marker: { color: values.map((value) => rgb(paint(value), 0.75)) },
    hovertemplate: `%{y}: %{x:,.${data.currency_decimals}f} ${clean(data.currency)}<extra></extra>`, width: 0.6,
  }], {
    hovermode: "closest", margin: { l: 12 + 8 * Math.min(wide, 14), r: 12, t: 8, b: 28 },
    xaxis: { tickformat: ",~r", zeroline: true, zerolinecolor: color("line-strong"), rangemode: "tozero" },
    yaxis: { autorange: "reversed", fixedrange: true, type: "category" },
  });
}

function drawContributions() {
  const kinds = data.costs.kinds;
  drawAmounts("costs", kinds.map((kind) => kind.title), kinds.map((kind) => kind.amount), (value) => (value < 0 ? "gain" : "loss"));
  const shown = data.instruments.slice(0, AMOUNTS_MAX);
  drawAmounts("instruments", shown.map((one) => one.instrument), shown.map((one) => one.net_pnl), (value) => (value < 0 ? "loss" : "gain"));
}

const price = { index: 0 };
const rowsBySymbol = new Map();
for (let row = 0; row < list.listed; row++) {
  const symbol = symbolOf(row);
  if (!rowsBySymbol.has(symbol)) rowsBySymbol.set(symbol, []);
  rowsBySymbol.get(symbol).push(row);
}

function drawPrice() {
  const panel = data.price[price.index];
  if (!panel || !place("price")) return;
  const format = `,.${panel.decimals}f`;
  const from = span.from ?? whole[0], to = span.to ?? whole[1];
  const all = rowsBySymbol.get(panel.symbol) ?? [];
  const near = all.filter((row) => columns.exit_time_ms[row] >= from && columns.entry_time_ms[row] <= to);
  const step = Math.max(1, Math.ceil(near.length / MARKERS_MAX));
  const shown = step === 1 ? near : near.filter((_, index) => index % step === 0);
  const close = shown.length <= LEVELS_MAX;
  const candles = panel.style === "candles";
  const traces = [];
  if (candles) {
    traces.push({
      type: "candlestick", x: panel.time_ms, open: panel.open, high: panel.high, low: panel.low, close: panel.close,
      name: clean(panel.symbol), increasing: { line: { color: color("gain"), width: 1 } }, decreasing: { line: { color: color("loss"), width: 1 } },
      opacity: 0.75, showlegend: false, hoverinfo: "x+y",
    });
  } else {
    traces.push({
      ...inView(panel.time_ms, panel.value), name: clean(panel.symbol), mode: "lines", line: { color: color("muted"), width: 1.1 },
      hovertemplate: `%{y:${format}}<extra></extra>`, showlegend: false,
    });
  }

  const segments = (rows, from, to) => {
    const x = [], y = [];
    for (const row of rows) {
      const start = at(from, row), end = at(to, row) ?? start;
      if (start === null) continue;
      x.push(columns.entry_time_ms[row], columns.exit_time_ms[row], null);
      y.push(start, end, null);
    }
    return { x, y, mode: "lines", hoverinfo: "skip" };
  };
  const wins = shown.filter((row) => columns.net_pnl[row] > 0);
  const others = shown.filter((row) => !(columns.net_pnl[row] > 0));
  const width = close ? 1.6 : 1;
  traces.push({ ...segments(wins, "entry_price", "exit_price"), line: { color: rgb("gain", close ? 0.9 : 0.5), width }, name: "Winner" });
  traces.push({ ...segments(others, "entry_price", "exit_price"), line: { color: rgb("loss", close ? 0.9 : 0.5), width }, name: "Loser" });
  if (close) {
    const stops = segments(shown, "sl", "sl_exit"), targets = segments(shown, "tp", "tp_exit");
    if (stops.x.length) traces.push({ ...stops, line: { color: color("loss"), width: 1, dash: "dot" }, name: "Stop" });
    if (targets.x.length) traces.push({ ...targets, line: { color: color("gain"), width: 1, dash: "dot" }, name: "Target" });
  }
  const size = shown.length <= 60 ? 11 : shown.length <= 150 ? 8 : shown.length <= 300 ? 6 : 4;
  const faint = shown.length <= 300 ? 1 : 0.6;
  const label = (row) =>
    `No. ${number(at("trade_id", row), 0)}, ${words(sideOf(row))} ${quantity(row)}<br>` +
    `${words(reasonOf(row))}: ${money(at("net_pnl", row), true)} ${clean(data.currency)}`;
  // An exit is a ring around the entry that a reversal makes at the same point, so that both stay visible.
  const marks = (rows, when, what, name, symbol, paint) => ({
    x: rows.map((row) => at(when, row)), y: rows.map((row) => at(what, row)), text: rows.map(label), name, mode: "markers",
    marker: {
      symbol, size: size + (symbol.endsWith("open") ? 3 : 0), color: paint, opacity: faint,
      line: { color: symbol.endsWith("open") ? paint : color("card"), width: symbol.endsWith("open") ? (faint === 1 ? 2 : 1) : faint === 1 ? 1 : 0 },
    },
    hovertemplate: `${name} %{y:${format}}<br>%{text}<extra></extra>`,
  });
  const longs = shown.filter((row) => sideOf(row) === "LONG"), shorts = shown.filter((row) => sideOf(row) === "SHORT");
  if (wins.length) traces.push(marks(wins, "exit_time_ms", "exit_price", "Exit with gain", "circle-open", color("gain")));
  if (others.length) traces.push(marks(others, "exit_time_ms", "exit_price", "Exit with loss", "circle-open", color("loss")));
  if (longs.length) traces.push(marks(longs, "entry_time_ms", "entry_price", "Buy entry", "triangle-up", color("long")));
  if (shorts.length) traces.push(marks(shorts, "entry_time_ms", "entry_price", "Sell entry", "triangle-down", color("short")));

  const levels = [];
  for (const row of shown.length <= LEVELS_MAX ? shown : []) {
    levels.push(columns.entry_price[row], columns.exit_price[row], at("sl", row), at("tp", row), at("sl_exit", row), at("tp_exit", row));
  }
  draw("price", traces, {
    hovermode: "closest", showlegend: shown.length > 0, xaxis: { ...timeAxis(), rangeslider: { visible: false } },
    yaxis: {
      range: fit(panel.time_ms, candles ? panel.low : panel.value, candles ? panel.high : panel.value, levels),
      fixedrange: true, tickformat: format, hoverformat: format,
    },
    margin: { l: narrow() ? 8 : 72, r: 8, t: shown.length ? 34 : 8, b: 28 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: color("muted"), size: narrow() ? 10 : 12 }, itemwidth: 30 },
  });
  const drawn = step === 1 ? "" : `, every ${step}${["th", "st", "nd", "rd"][step] ?? "th"} drawn`;
  const hint = close || !("sl" in columns || "tp" in columns) ? "" : ` Stops and targets appear with ${LEVELS_MAX} trades or fewer in view: zoom in.`;
  const stretch = candles ? counted(panel.rows, "bar") : `${counted(panel.rows, panel.frame === "tick" ? "tick" : "bar")}, ${counted(panel.value.length, "point")} kept`;
  byId("price-note").textContent = `${stretch}. ${counted(near.length, "trade")} in view${drawn}.${hint}`;
}

const drawOverTime = () => { drawEquity(); drawDrawdown(); drawExposure(); drawRolling(); drawPrice(); markRanges(); };

function showSpan(from, to) {
  [span.from, span.to] = [from, to];
  drawOverTime();
}

const RANGES = [["All", null], ["6 M", 182], ["3 M", 91], ["1 M", 30], ["1 W", 7], ["1 D", 1]]
  .filter(([, days]) => days === null || days * DAY_MS < whole[1] - whole[0]);

function offerRanges() {
  for (const group of RANGES.length > 1 ? document.querySelectorAll(".ranges") : []) {
    const add = (title, label, act) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = title;
      button.setAttribute("aria-label", label);
      button.addEventListener("click", act);
      group.append(button);
      return button;
    };
    const turn = (sign) => () => {
      const length = (span.to ?? whole[1]) - (span.from ?? whole[0]);
      const move = Math.max(whole[0] - (span.from ?? whole[0]), Math.min(whole[1] - (span.to ?? whole[1]), sign * length * 0.8));
      if (span.from !== null && move) showSpan(span.from + move, span.to + move);
    };
    add("‹", "Earlier", turn(-1));
    for (const [title, days] of RANGES) {
      const button = add(title, days === null ? "Show all" : `Show ${days} days`, () => {
        if (days === null) return showSpan(null, null);
        const to = Math.min(whole[1], Math.max(span.to ?? whole[1], whole[0] + days * DAY_MS));
        showSpan(to - days * DAY_MS, to);
      });
      button.dataset.days = String(days);
    }
    add("›", "Later", turn(1));
  }
}

function markRanges() {
  const days = span.from === null ? "null" : String((span.to - span.from) / DAY_MS);
  for (const button of document.querySelectorAll(".ranges [data-days]")) button.setAttribute("aria-pressed", String(button.dataset.days === days));
}

function followZoom() {
  const instant = (value) => (typeof value === "number" ? value : Date.parse(`${String(value).replace(" ", "T").slice(0, 23)}Z`));
  for (const name of OVER_TIME) {
    place(name)?.on("plotly_relayout", (change) => {
      if (change["xaxis.autorange"]) return showSpan(null, null);
      const from = change["xaxis.range[0]"] ?? change["xaxis.range"]?.[0];
      const to = change["xaxis.range[1]"] ?? change["xaxis.range"]?.[1];
      if (from !== undefined && to !== undefined) showSpan(instant(from), instant(to));
    });
    place(name)?.on("plotly_doubleclick", () => showSpan(null, null));
  }
  byId("price-choice")?.addEventListener("change", (event) => {
    price.index = +event.target.value;
    drawPrice();
  });
}

function showTrade(row) {
  const from = columns.entry_time_ms[row], to = columns.exit_time_ms[row];
  const room = Math.max((to - from) * 2, (whole[1] - whole[0]) / 400);
  const index = data.price.findIndex((panel) => panel.symbol === symbolOf(row));
  if (index >= 0) price.index = index;
  if (byId("price-choice")) byId("price-choice").value = String(price.index);
  if (window.Plotly) showSpan(from - room, to + room);
  byId("price").scrollIntoView({ block: "start" });
}

function drawDistributions() {
  const kinds = [
    ["distribution-trades", data.distribution.trades, `,.${data.currency_decimals}~f`, ` ${clean(data.currency)}`, {}],
    ["distribution-daily", data.distribution.daily, ".2~%", "", { tickformat: ".2~%" }],
  ];
  for (const [name, values, format, unit, axis] of kinds) {
    if (!values.count) continue;
    const middle = values.counts.map((_, i) => (values.edges[i] + values.edges[i + 1]) / 2);
    const bounds = values.counts.map((_, i) => [values.edges[i], values.edges[i + 1]]);
    const width = values.edges[1] - values.edges[0], line = { color: color("card"), width: 1 };
    // The first bin above zero holds the zeros too; they are neither gain nor loss.
    const zeroBin = values.edges.indexOf(0);
    const signed = values.counts.map((count, i) => (i === zeroBin ? count - values.zero : count));
    draw(name, [
      {
        type: "bar", x: [middle[zeroBin]], y: [values.zero], width, marker: { color: rgb("muted", 0.75), line },
        hovertemplate: "exactly 0<br>%{y:,} times<extra></extra>", visible: values.zero > 0,
      },
      {
        type: "bar", x: middle, y: signed, customdata: bounds, width,
        marker: { color: middle.map((x) => rgb(x < 0 ? "loss" : "gain", 0.75)), line },
        hovertemplate: `%{customdata[0]:${format}} to %{customdata[1]:${format}}${unit}<br>%{y:,} times<extra></extra>`,
      },
    ], {
      hovermode: "closest", bargap: 0, barmode: "stack", margin: { l: 44, r: 12, t: 8, b: 36 }, xaxis: axis,
      yaxis: { tickformat: ",d", rangemode: "tozero", ...(Math.max(...values.counts) <= 8 ? { dtick: 1 } : {}) },
      shapes: [{ type: "line", yref: "paper", y0: 0, y1: 1, x0: values.mean, x1: values.mean, line: { color: color("text"), width: 1, dash: "dot" } }],
      annotations: [{ x: values.mean, y: 1, yref: "paper", yanchor: "top", xanchor: "left", text: " mean", showarrow: false, font: { size: 11 } }],
    });
  }
}

function drawExcursions() {
  const step = Math.max(1, Math.ceil(list.listed / POINTS_MAX));
  const rows = [...Array(list.listed).keys()].filter((row) => row % step === 0);
  for (const [name, column, sign, title] of [["mae", "mae", -1, "furthest against"], ["mfe", "mfe", 1, "furthest in favour"]]) {
    if (!place(name)) continue;
    const group = (keep, label, symbol, paint) => {
      const kept = rows.filter(keep);
      return {
        x: kept.map((row) => sign * columns[column][row] || 0), y: kept.map((row) => columns.net_pnl[row]), name: label, mode: "markers",
        text: kept.map((row) => `No. ${number(at("trade_id", row), 0)} ${clean(symbolOf(row))}`),
        marker: { symbol, size: rows.length > 1000 ? 4 : 6, color: rgb(paint, 0.6) },
        hovertemplate: `%{text}<br>${title} %{x:,.2f}<br>net %{y:,.2f} ${clean(data.currency)}<extra></extra>`,
      };
    };
    draw(name, [
      group((row) => columns.net_pnl[row] > 0, "Winners", "circle", "gain"),
      group((row) => !(columns.net_pnl[row] > 0), "Losers", "x", "loss"),
    ], {
      hovermode: "closest", margin: { l: 64, r: 12, t: 8, b: 44 },
      xaxis: { rangemode: "tozero", title: { text: `${name.toUpperCase()}, ${data.currency}`, font: { size: 11 } } },
      yaxis: { zeroline: true, zerolinecolor: color("line-strong"), title: { text: `Net result, ${data.currency}`, font: { size: 11 } } },
    });
  }
}

function drawAll() {
  drawOverTime();
  drawContributions();
  drawDistributions();
  drawExcursions();
}
