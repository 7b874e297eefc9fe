// Results over time: each fold or window, what would have been chosen, in and out of sample.
const periods = data.periods;
const CHOICES_MAX = 100, PAIRS_MAX = 3000, BINS = 40;
const LABELS_MAX = 6; // windows whose end is told on the axis as well
const kept = (row) => row !== null && keptRows.has(row);
let keptRows = new Set();

for (const one of data.stitched) timed(one);
const STITCHED = ["#1d5fc4", "#a35200", "#0b7a55", "#7a3fb5", "#c02c3a", "#00818f"];
const STITCHED_DARK = ["#6ea8ff", "#f0a04b", "#3fc08f", "#c39bff", "#ff7a82", "#4fd0dd"];

function offerPeriods() {
  chosen.listeners.push(() => {
    keptRows = new Set(chosen.rows.filter(isComplete));
    drawStability();
    drawOos();
    drawStitched();
  });
  for (const name of ["stability", "oos"]) {
    if (!charts[name].metric) continue;
    fill(`${name}-metric`, metricEntries(), charts[name].metric);
    byId(`${name}-metric`).addEventListener("change", name === "oos" ? drawOos : drawStability);
  }
  if (charts.stability.metric) chosen.listeners.push(listChoices);
}

// Results of each period: on the tests of its fold, or of its window. A filter on either part of a pair counts.
function periodValues(metric) {
  const groups = periods.labels.map(() => []);
  if (periods.of_folds) {
    const { earlier, later, period } = periods.pairs;
    later.forEach((row, i) => (kept(row) || (kept(earlier[i]) && isComplete(row))) && groups[period[i]].push(metric.values[row]));
  } else {
    const window = axes.get("window");
    for (const row of keptRows) groups[window.code(row)].push(metric.values[row]);
  }
  return groups.map(spread);
}
// What was chosen in a period stands where it was judged: on the test of the fold, or in the next window of its block.
const keptChoices = () => periods.choices.filter((choice) => kept(choice.row) || kept(choice.later));

function drawStability() {
  if (!charts.stability.metric) return;
  const metric = metricOf("stability-metric"), spreads = periodValues(metric);
  const names = periods.labels.map((_, i) => String(i));
  const choices = keptChoices().filter((choice) => choice.later !== null && metric.values[choice.later] !== null);
  byId("stability-note").textContent = `${counted(spreads.reduce((sum, one) => sum + one.count, 0), "run")} in ${counted(periods.labels.length, periods.of_folds ? "fold" : "window")}.`;
  draw("stability", [
    { ...boxes(names, spreads, metric), x: names.filter((_, i) => spreads[i].count) },
    {
      type: "scatter", mode: "markers", name: periods.of_folds ? "best on train" : "best in the window before",
      x: choices.map((choice) => names[choice.judged]), y: choices.map((choice) => scaled(metric, metric.values[choice.later])),
      text: choices.map((choice) => clean(`${choice.instrument}, ${setText(choice.row)}`)), hovertemplate: "%{y}<br>%{text}<extra></extra>",
      marker: { color: color("short"), size: 9, symbol: "diamond", line: { color: color("card"), width: 1 } },
    },
  ], {
    hovermode: "closest", showlegend: choices.length > 0, margin: { l: narrow() ? 8 : 64, r: 8, t: 30, b: 44 },
    xaxis: {
      type: "category", categoryorder: "array", categoryarray: names, tickvals: names, ticktext: periods.labels.map((label) => clean(narrow() || (names.length > LABELS_MAX && !periods.of_folds) ? shortLabel(label) : label)),
      showgrid: false, fixedrange: true, range: [-0.6, names.length - 0.4],
    },
    yaxis: { tickformat: ticks(metric), zeroline: true, zerolinecolor: color("line-strong"), title: { text: clean(titled(metric)) } },
  });
}
const shortLabel = (label) => label.replace("fold ", "").replace(/ – .*/, "");

function listChoices() {
  const objective = metrics.get(data.objectives[0].metric), listed = keptChoices().slice(0, CHOICES_MAX);
  const also = (name) => axes.get(name)?.varies;
  const head = [periods.of_folds ? "Fold" : "Window", ...(also("instrument") ? ["Instrument"] : []), ...(also("cost_set") ? ["Costs"] : []), ...varied.map((axis) => axis.title)];
  const left = head.length;
  const figures = periods.of_folds ? ["Train", "Test"] : ["Here", "Next"];
  const of = (value) => (objective ? shown(objective, value) : "–");
  const percent = (value) => (value === null ? "–" : `${number(100 * value, 0)} %`);
  table("stability-table", [...head, ...figures, "Beats", "Rank"], listed.map((choice) => [
    periods.labels[choice.period], ...(also("instrument") ? [choice.instrument] : []), ...(also("cost_set") ? [axes.get("cost_set").text(choice.row)] : []),
    ...varied.map((axis) => axis.text(choice.row)), of(choice.value), of(choice.later_value), percent(choice.rank), number(choice.correlation),
  ]), (index) => index < left);
}

function drawOos() {
  if (!charts.oos.metric) return;
  const metric = metricOf("oos-metric"), { earlier, later } = periods.pairs;
  const pairs = later.map((_, i) => i).filter((i) => kept(earlier[i]) || kept(later[i]));
  const of = (rows) => rows.filter((row) => row !== null && isComplete(row)).map((row) => metric.values[row]);
  const choices = keptChoices();
  const groups = {
    train: of([...new Set(pairs.map((i) => earlier[i]))]), test: of([...new Set(pairs.map((i) => later[i]))]),
    chosen_train: of(choices.map((choice) => choice.row)), chosen_test: of(choices.map((choice) => choice.later)),
  };
  const spreads = Object.fromEntries(Object.entries(groups).map(([name, values]) => [name, spread(values)]));
  byId("oos-note").textContent = `${counted(spreads.test.count, "result")} out of sample, ${number(spreads.chosen_test.count, 0)} of them of what was chosen on train.`;
  const train = rising(groups.train), test = rising(groups.test);
  const low = Math.min(train[0] ?? Infinity, test[0] ?? Infinity), high = Math.max(train[train.length - 1] ?? -Infinity, test[test.length - 1] ?? -Infinity);
  const width = high > low ? (high - low) / BINS : 1, start = high > low ? low : low - 0.5, bins = high > low ? BINS : 1;
  const counts = (values) => {
    const found = Array(bins).fill(0);
    for (const value of values) found[Math.min(bins - 1, Math.floor((value - start) / width))]++;
    return found;
  };
  const middles = Array.from({ length: bins }, (_, i) => scaled(metric, start + (i + 0.5) * width));
  const bars = (values, name, paint, alpha) => ({
    type: "bar", x: middles, y: values.length ? counts(values).map((one) => one / values.length) : [], name, width: scaled(metric, width),
    marker: { color: rgb(paint, alpha) }, hovertemplate: `${name} %{x}: %{y:.1%}<extra></extra>`,
  });
  const chosenTest = rising(groups.chosen_test);
  draw("oos", [
    bars(train, "train", "muted", 0.35), bars(test, "test", "accent", 0.6),
    { type: "scatter", mode: "markers", x: chosenTest.map((value) => scaled(metric, value)), y: chosenTest.map(() => 0), name: "chosen, on test", marker: { color: color("short"), symbol: "diamond", size: 8 }, cliponaxis: false, hovertemplate: "%{x}<extra>chosen, on test</extra>" },
  ], {
    barmode: "overlay", bargap: 0, hovermode: "closest", showlegend: true, margin: { l: narrow() ? 8 : 52, r: 8, t: 30, b: 44 },
    xaxis: { tickformat: ticks(metric), title: { text: clean(titled(metric)) } }, yaxis: { tickformat: ",.0%", rangemode: "tozero" },
  });
  const whole = pairs.filter((i) => isComplete(earlier[i]) && isComplete(later[i]) && metric.values[earlier[i]] !== null && metric.values[later[i]] !== null);
  const every = Math.max(1, Math.ceil(whole.length / PAIRS_MAX)), drawn = whole.filter((_, index) => index % every === 0);
  const chosenPairs = choices.filter((one) => one.later !== null && metric.values[one.row] !== null && metric.values[one.later] !== null);
  const dots = (x, y, name, marker) => ({ x: x.map((row) => scaled(metric, metric.values[row])), y: y.map((row) => scaled(metric, metric.values[row])), type: "scatter", mode: "markers", name, marker, hovertemplate: "train %{x}<br>test %{y}<extra></extra>" });
  draw("oos-pairs", [
    dots(drawn.map((i) => earlier[i]), drawn.map((i) => later[i]), "all", { color: rgb("accent", drawn.length > 500 ? 0.25 : 0.5), size: drawn.length > 500 ? 3 : 5 }),
    dots(chosenPairs.map((one) => one.row), chosenPairs.map((one) => one.later), "chosen", { color: color("short"), symbol: "diamond", size: 8 }),
  ], {
    hovermode: "closest", showlegend: true, margin: { l: narrow() ? 8 : 60, r: 8, t: 30, b: 44 },
    xaxis: { tickformat: ticks(metric), title: { text: "on train" } }, yaxis: { tickformat: ticks(metric), title: { text: "on test" } },
    shapes: Number.isFinite(low) ? [{ type: "line", x0: scaled(metric, low), y0: scaled(metric, low), x1: scaled(metric, high), y1: scaled(metric, high), line: { color: color("muted"), width: 1, dash: "dot" } }] : [],
  });
  table("oos-table", ["", ...spreadHead], [["All, train", "train"], ["All, test", "test"], ["Chosen, train", "chosen_train"], ["Chosen, test", "chosen_test"]].map(
    ([title, name]) => [title, ...spreadCells(metric, spreads[name])],
  ));
}

function drawStitched() {
  const lines = isDark() ? STITCHED_DARK : STITCHED;
  draw("oos-equity", data.stitched.map((one, i) => ({
    ...broken({ x: one.time_ms, y: one.value }, pauseOf(one.time_ms)), name: clean(one.label), mode: one.value.length === 1 ? "markers" : "lines",
    line: { color: lines[i % lines.length], width: 1.5, dash: i < lines.length ? "solid" : "dash" }, hovertemplate: "%{y:.2%}",
  })), {
    showlegend: true, xaxis: { type: "date" }, yaxis: { tickformat: ".1~%", zeroline: true, zerolinecolor: color("line-strong") },
    margin: { l: narrow() ? 8 : 56, r: 8, t: 36, b: 28 },
  });
}
