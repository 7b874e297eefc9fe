// The curves of several runs, overlaid.
const LINES = ["#1d5fc4", "#c02c3a", "#0b7a55", "#a35200", "#7a3fb5", "#00818f", "#b5377f", "#5c6b7a", "#8a8f00", "#3b3f8f"];
const LINES_DARK = ["#6ea8ff", "#ff7a82", "#3fc08f", "#f0a04b", "#c39bff", "#4fd0dd", "#ff8fc9", "#aab6c4", "#d4d94f", "#9aa0ff"];
const DASHES = ["solid", "dash", "dot"];
for (const run of data.runs) [run.return, run.drawdown].forEach(timed);

function overlay(name, curve, sign, shape) {
  const lines = isDark() ? LINES_DARK : LINES;
  const traces = data.runs.map((run, i) => {
    const times = run[curve].time_ms;
    const line = broken({ x: times, y: run[curve].value.map((value) => sign * value) }, pauseOf(times));
    return {
      ...line, name: `${run.label} ${clean(run.name)}`, mode: "lines",
      line: { color: lines[i % lines.length], width: 1.5, dash: DASHES[Math.floor(i / lines.length) % DASHES.length] },
      hovertemplate: "%{y:.2%}",
    };
  });
  draw(name, traces, {
    showlegend: true, xaxis: { type: "date" }, yaxis: { tickformat: ".1~%", zeroline: true, zerolinecolor: color("line-strong") },
    margin: { l: narrow() ? 8 : 56, r: 8, t: 36, b: 28 }, ...shape,
  });
}

// What is zoomed in one chart is zoomed in the other.
function followEachOther() {
  const names = ["equity", "drawdown"];
  for (const name of names) {
    const other = names.find((one) => one !== name);
    place(name).on("plotly_relayout", (change) => {
      const from = change["xaxis.range[0]"], to = change["xaxis.range[1]"];
      if (from !== undefined && to !== undefined) Plotly.relayout(place(other), { "xaxis.range": [from, to] });
    });
    place(name).on("plotly_doubleclick", () => names.forEach((one) => Plotly.relayout(place(one), { "xaxis.autorange": true, "yaxis.autorange": true })));
  }
}

function paintLabels() {
  const lines = isDark() ? LINES_DARK : LINES;
  data.runs.forEach((run, i) => {
    const label = document.querySelector(`.run-${i}`);
    if (label) label.style.color = lines[i % lines.length];
  });
}

function drawAll() {
  paintLabels();
  overlay("equity", "return", 1, {});
  overlay("drawdown", "drawdown", -1, { showlegend: false, margin: { l: narrow() ? 8 : 56, r: 8, t: 8, b: 28 } });
}

start(() => {
  drawAll();
  followEachOther();
});
