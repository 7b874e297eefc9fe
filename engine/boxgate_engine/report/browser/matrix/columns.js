// The runs of the matrix by column: what varies (axes) and what came out (metrics).
const runs = data.runs;
const total = runs.run_id.length;
const axes = new Map(data.axes.map((axis) => [axis.name, axis]));
const metrics = new Map(data.metrics.map((metric) => [metric.path, metric]));
const paged = new Set(data.runs.pages);

for (const axis of axes.values()) {
  axis.shown = axis.levels ?? axis.labels;
  axis.code = axis.codes ? (row) => axis.codes[row] : () => (axis.values.length ? 0 : -1);
  axis.level = !axis.level_of ? axis.code : (row) => (axis.code(row) < 0 ? -1 : axis.level_of[axis.code(row)]);
  axis.text = (row) => axis.labels[axis.code(row)] ?? "–";
  axis.varies = axis.values.length > 1;
  axis.isParam = axis.name.startsWith("p_");
}
const mapped = data.axes.filter((axis) => axis.axis && axis.varies);
const params = data.axes.filter((axis) => axis.isParam);
const varied = params.filter((axis) => axis.varies);

const segment = axes.get("segment"), trains = segment.values.indexOf("train");
const isTrain = (row) => trains >= 0 && segment.code(row) === trains;
const complete = axes.get("status").values.indexOf("complete");
const isComplete = (row) => axes.get("status").code(row) === complete;

// One number for each set of parameters.
const setOf = new Array(total);
const setRows = [];
{
  const seen = new Map();
  for (let row = 0; row < total; row++) {
    const key = varied.map((axis) => axis.code(row)).join();
    if (!seen.has(key)) { seen.set(key, setRows.length); setRows.push(row); }
    setOf[row] = seen.get(key);
  }
}
const setText = (row) => varied.map((axis) => `${axis.title} ${axis.text(row)}`).join(", ") || "the one parameter set";

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
function lasting(ns) {
  let rest = Math.round(ns / 1e9);
  if (rest < 1) return `${number(ns / 1e6, 0)} ms`;
  const parts = [];
  for (const [unit, size] of UNITS) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount) parts.push(`${number(amount, 0)} ${unit}`);
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}
const SHOWN = {
  percent: (value, signed) => `${number(100 * value, 2, signed)} %`,
  money: (value, signed) => `${money(value, signed)} ${data.currency}`,
  duration: lasting,
  count: (value) => number(value, 0),
  number: (value, signed) => number(value, 2, signed),
};
const shown = (metric, value) => (value === null || value === undefined ? "–" : SHOWN[metric.kind](value, metric.signed));
// A chart shows percent as fractions with a percent sign, and durations in hours.
const scaled = (metric, value) => (value !== null && metric.kind === "duration" ? value / 3.6e12 : value);
const ticks = (metric) => (metric.kind === "percent" ? ".3~%" : ",.4~g");
const unit = (metric) => (metric.kind === "money" ? `, ${data.currency}` : metric.kind === "duration" ? ", hours" : "");
const titled = (metric) => metric.title + unit(metric);
