// What several charts of the matrix share: choices, quantiles, boxes, small tables.
const QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95];
const charts = data.charts;

function fill(id, entries, value) {
  const select = byId(id);
  if (!select) return null;
  select.replaceChildren(...entries.map(([key, title]) => new Option(title, key)));
  if (value !== undefined) select.value = value;
  return select;
}
const metricEntries = () => data.metrics.map((metric) => [metric.path, metric.title]);
const picked = (id) => byId(id)?.value;
const metricOf = (id) => metrics.get(picked(id));

// Complete runs that the filter leaves, on the windows that a chart shows.
function rowsOf(name) {
  const which = picked(`${name}-segment`) ?? "judged";
  return chosen.rows.filter((row) => isComplete(row) && (which === "all" || isTrain(row) === (which === "train")));
}

// values rise; as NumPy's default.
function quantile(values, share) {
  const at = share * (values.length - 1), low = Math.floor(at);
  return low + 1 < values.length ? values[low] + (at - low) * (values[low + 1] - values[low]) : values[low];
}
const rising = (values) => values.filter((value) => value !== null && value !== undefined).sort((a, b) => a - b);
function spread(values) {
  const known = rising(values);
  if (!known.length) return { count: 0, quantiles: null, above_zero: null, mean: null };
  return {
    count: known.length, quantiles: QUANTILES.map((share) => quantile(known, share)),
    above_zero: known.filter((value) => value > 0).length / known.length,
    mean: known.reduce((sum, value) => sum + value, 0) / known.length,
  };
}
const median = (values) => (values.length ? quantile(rising(values), 0.5) : null);

function boxes(names, spreads, metric, paint = "accent") {
  const kept = names.map((_, i) => i).filter((i) => spreads[i].count);
  const at = (place) => kept.map((i) => scaled(metric, spreads[i].quantiles[place]));
  return {
    type: "box", name: "all", x: kept.map((i) => names[i]), lowerfence: at(0), q1: at(1), median: at(2), q3: at(3), upperfence: at(4),
    line: { color: color(paint), width: 1.3 }, fillcolor: rgb(paint, 0.14), hoverinfo: "y", showlegend: false,
  };
}

// rows: texts, or lines that are made already. isText: whether a column, by its place, holds words.
function table(id, head, rows, isText = (index) => index === 0) {
  const place = byId(id);
  if (!place) return;
  const line = document.createElement("tr");
  head.forEach((title, index) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.className = isText(index) ? "" : "num";
    cell.textContent = title;
    line.append(cell);
  });
  place.tHead.replaceChildren(line);
  place.tBodies[0].replaceChildren(...rows.map((row) => {
    if (row instanceof HTMLElement) return row;
    const made = document.createElement("tr");
    row.forEach((entry, index) => {
      const cell = made.insertCell();
      cell.className = isText(index) ? "" : "num";
      cell.textContent = entry;
    });
    return made;
  }));
}
const spreadHead = ["Runs", "5 %", "25 %", "Median", "75 %", "95 %", "Mean", "Above zero"];
const spreadCells = (metric, of) => [
  number(of.count, 0), ...(of.quantiles ?? Array(5).fill(null)).map((value) => shown(metric, value)), shown(metric, of.mean),
  of.above_zero === null ? "–" : `${number(100 * of.above_zero, 1)} %`,
];

// From bad to good, told apart by people who do not tell red from green.
const SCALE = ["#7a1f3d", "#c0504d", "#e9b39a", "#f1eee6", "#a9cfd6", "#4a90b8", "#123f7a"];
const SCALE_DARK = ["#ff9aa8", "#c2556a", "#6b3a4c", "#39404a", "#2f5f7d", "#4a9fd0", "#a6dcff"];
const scale = (metric) => {
  const colors = isDark() ? SCALE_DARK : SCALE;
  return (metric.better > 0 ? colors : [...colors].reverse()).map((paint, i) => [i / (colors.length - 1), paint]);
};
// Zero, where there are gains and losses, is the middle.
function ends(metric, values) {
  const low = Math.min(...values), high = Math.max(...values);
  if (!(low < 0 && high > 0)) return [low, high === low ? low + 1e-9 : high];
  const far = Math.max(-low, high);
  return [-far, far];
}
