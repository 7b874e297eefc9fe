// How charts look. Plotly draws them; what is drawn is chosen by the page from its data.
const PAPER_PX = 690; // width of a chart on paper: a page cannot ask for it before it is laid out
let printing = false;
const color = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
const fade = (hex, alpha) => hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
const narrow = () => window.innerWidth < 720;
const CONFIG = { displaylogo: false, displayModeBar: false, responsive: true, doubleClick: false };

function layout(extra = {}) {
  const axis = { gridcolor: color("grid"), linecolor: color("line-strong"), zeroline: false, automargin: true, ticks: "" };
  const { xaxis = {}, yaxis = {}, ...rest } = extra;
  return {
    ...(printing ? { autosize: false, width: PAPER_PX } : { autosize: true }), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("muted") },
    margin: { l: narrow() ? 8 : 56, r: 8, t: 8, b: 28 }, hovermode: "x unified", dragmode: "zoom", showlegend: false,
    hoverlabel: { bgcolor: color("card"), bordercolor: color("line-strong"), font: { color: color("text"), size: 12 } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: color("muted") } },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}

const place = (name) => byId(`chart-${name}`);
const draw = (name, traces, shape) => place(name) && Plotly.react(place(name), traces, layout(shape), CONFIG);
const rgb = (name, alpha) => fade(color(name), alpha);

// A line is broken where a market was closed for more than a day, and for far longer than from point to point.
const DAY_MS = 86_400e3;
const pauses = new Map();
function pauseOf(times) {
  if (!pauses.has(times)) {
    const steps = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b);
    pauses.set(times, Math.max(DAY_MS, 20 * (steps[steps.length >> 1] ?? 0)));
  }
  return pauses.get(times);
}
function broken(line, pause) {
  const x = [], y = [];
  line.x.forEach((time, i) => {
    if (i && time - line.x[i - 1] > pause) { x.push(line.x[i - 1]); y.push(null); }
    x.push(time);
    y.push(line.y[i]);
  });
  return { x, y };
}
