// The map of any two things that vary; the others are put together, or held at one value.
const HEAT_TEXT_MAX = 150;
const AGGREGATES = {
  median, mean: (values) => values.reduce((sum, value) => sum + value, 0) / values.length,
  max: (values) => values.reduce((a, b) => Math.max(a, b)), min: (values) => values.reduce((a, b) => Math.min(a, b)),
};

function offerHeatmap() {
  if (!charts.heatmap.x) return;
  const names = mapped.map((axis) => [axis.name, axis.title]);
  fill("heatmap-x", names, charts.heatmap.x);
  fill("heatmap-y", names, charts.heatmap.y);
  fill("heatmap-metric", metricEntries(), charts.heatmap.metric);
  const swap = (one, other) => () => {
    if (picked(one) === picked(other)) byId(other).value = mapped.find((axis) => axis.name !== picked(one)).name;
    offerSlices();
    drawHeatmap();
  };
  byId("heatmap-x").addEventListener("change", swap("heatmap-x", "heatmap-y"));
  byId("heatmap-y").addEventListener("change", swap("heatmap-y", "heatmap-x"));
  for (const id of ["heatmap-metric", "heatmap-aggregate", "heatmap-segment"]) byId(id)?.addEventListener("change", drawHeatmap);
  byId("heatmap-slices").addEventListener("change", drawHeatmap);
  offerSlices();
  chosen.listeners.push(drawHeatmap);
}

function offerSlices() {
  const held = new Map([...byId("heatmap-slices").querySelectorAll("select")].map((select) => [select.name, select.value]));
  const others = mapped.filter((axis) => ![picked("heatmap-x"), picked("heatmap-y")].includes(axis.name));
  byId("heatmap-slices").replaceChildren(...others.map((axis) => {
    const label = document.createElement("label"), select = document.createElement("select");
    select.name = axis.name;
    select.append(new Option("all", ""), ...axis.shown.map((text, level) => new Option(text, level)));
    select.value = held.get(axis.name) ?? "";
    label.append(axis.title, select);
    return label;
  }));
}

function drawHeatmap() {
  if (!charts.heatmap.x) return;
  const across = axes.get(picked("heatmap-x")), down = axes.get(picked("heatmap-y")), metric = metricOf("heatmap-metric");
  const slices = [...byId("heatmap-slices").querySelectorAll("select")].filter((select) => select.value !== "");
  const held = slices.map((select) => [axes.get(select.name), +select.value]);
  const groups = down.shown.map(() => across.shown.map(() => []));
  let used = 0;
  for (const row of rowsOf("heatmap")) {
    const value = metric.values[row], x = across.level(row), y = down.level(row);
    if (value === null || x < 0 || y < 0 || held.some(([axis, level]) => axis.level(row) !== level)) continue;
    groups[y][x].push(value);
    used++;
  }
  const put = AGGREGATES[picked("heatmap-aggregate")];
  const cells = groups.map((line) => line.map((group) => (group.length ? put(group) : null)));
  const known = cells.flat().filter((value) => value !== null);
  byId("heatmap-note").textContent = known.length
    ? `${counted(used, "run")} in ${counted(known.length, "cell")} of ${number(across.shown.length * down.shown.length, 0)}.`
    : "No run is left by these choices.";
  const text = cells.map((line, y) => line.map((value, x) => `${shown(metric, value)}<br>${counted(groups[y][x].length, "run")}`));
  const [low, high] = known.length ? ends(metric, known) : [0, 1];
  const room = known.length && across.shown.length * down.shown.length <= HEAT_TEXT_MAX && across.shown.length <= (narrow() ? 5 : 16);
  draw("heatmap", [{
    type: "heatmap", x: across.shown.map(clean), y: down.shown.map(clean), z: cells, text, zmin: low, zmax: high, xgap: 1, ygap: 1,
    colorscale: scale(metric), hoverongaps: false, hovertemplate: `${clean(across.title)} %{x}<br>${clean(down.title)} %{y}<br>%{text}<extra></extra>`,
    colorbar: { thickness: 10, outlinewidth: 0, tickformat: ticks(metric), tickfont: { size: 11 }, len: 1 }, showscale: !narrow(),
  }], {
    hovermode: "closest", margin: { l: narrow() ? 8 : 70, r: 8, t: 8, b: 44 },
    xaxis: { type: "category", title: { text: clean(across.title) }, showgrid: false, fixedrange: true },
    yaxis: { type: "category", title: { text: clean(down.title) }, showgrid: false, fixedrange: true },
    annotations: room ? cells.flatMap((line, y) => line.map((value, x) => [value, x, y])).filter(([value]) => value !== null).map(([value, x, y]) => ({
      x, y, text: clean(shown(metric, value)), showarrow: false, font: { size: 11, color: inkOn(metric, (value - low) / (high - low || 1)) },
    })) : [],
  });
  const drawn = place("heatmap");
  drawn.removeAllListeners?.("plotly_click");
  drawn.on?.("plotly_click", (event) => {
    const [y, x] = event.points[0].pointIndex;
    filterBy({ ...Object.fromEntries(held.map(([axis, level]) => [axis.name, level])), [across.name]: x, [down.name]: y });
  });
}

// The ink that stands out from a shade of the scale.
function inkOn(metric, share) {
  const colors = scale(metric);
  const paint = colors[Math.round(Math.min(1, Math.max(0, share)) * (colors.length - 1))][1];
  const parts = [1, 3, 5].map((at) => parseInt(paint.slice(at, at + 2), 16));
  return 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] > 140 ? "#14181f" : "#ffffff";
}
