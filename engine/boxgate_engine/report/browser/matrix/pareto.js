// Runs by two metrics, and those that no other beats in both.
const CLOUD_MAX = 3000, FRONT_ROWS = 20;

function offerPareto() {
  if (!charts.pareto.x) return;
  const ways = () => {
    for (const side of ["x", "y"]) byId(`pareto-${side}-way`).value = String(metricOf(`pareto-${side}`).better);
  };
  fill("pareto-x", metricEntries(), charts.pareto.x);
  fill("pareto-y", metricEntries(), charts.pareto.y);
  ways();
  for (const side of ["x", "y"]) {
    byId(`pareto-${side}`).addEventListener("change", () => {
      ways();
      drawPareto();
    });
    byId(`pareto-${side}-way`).addEventListener("change", drawPareto);
  }
  byId("pareto-segment")?.addEventListener("change", drawPareto);
  chosen.listeners.push(drawPareto);
}

// From best to worst by x; of runs that are equal in both, the first.
function frontOf(rows, x, y, wayX, wayY) {
  const sorted = [...rows].sort((a, b) => wayX * (x.values[b] - x.values[a]) || wayY * (y.values[b] - y.values[a]) || a - b);
  let best = -Infinity;
  return sorted.filter((row) => {
    const value = wayY * y.values[row];
    if (value <= best) return false;
    best = value;
    return true;
  });
}

function drawPareto() {
  if (!charts.pareto.x) return;
  const x = metricOf("pareto-x"), y = metricOf("pareto-y"), wayX = +picked("pareto-x-way"), wayY = +picked("pareto-y-way");
  const rows = rowsOf("pareto").filter((row) => x.values[row] !== null && y.values[row] !== null);
  const front = frontOf(rows, x, y, wayX, wayY), onFront = new Set(front);
  const others = rows.filter((row) => !onFront.has(row)), every = Math.max(1, Math.ceil(others.length / CLOUD_MAX));
  const cloud = others.filter((_, index) => index % every === 0);
  byId("pareto-note").textContent = rows.length
    ? `${number(front.length, 0)} of ${counted(rows.length, "run")} on the front${every > 1 ? `; of the others ${number(cloud.length, 0)} are drawn` : ""}.`
    : "No run is left by these choices.";
  const points = (some) => ({
    x: some.map((row) => scaled(x, x.values[row])), y: some.map((row) => scaled(y, y.values[row])), customdata: some,
    text: some.map((row) => `${clean(axes.get("instrument").text(row))}, ${clean(setText(row))}<br>${runs.run_id[row]}`),
    hovertemplate: `${clean(titled(x))} %{x}<br>${clean(titled(y))} %{y}<br>%{text}<extra></extra>`,
  });
  draw("pareto", [
    { ...points(cloud), mode: "markers", name: "Runs", marker: { color: rgb("muted", cloud.length > 500 ? 0.3 : 0.5), size: cloud.length > 500 ? 4 : 6 } },
    { ...points(front), mode: "lines+markers", name: "Front", line: { color: color("accent"), width: 1.5, shape: "linear" }, marker: { color: color("accent"), size: 8 } },
  ], {
    hovermode: "closest", showlegend: true, margin: { l: narrow() ? 8 : 64, r: 12, t: 30, b: 44 },
    xaxis: { title: { text: clean(titled(x)) }, tickformat: ticks(x) }, yaxis: { title: { text: clean(titled(y)) }, tickformat: ticks(y) },
  });
  const drawn = place("pareto");
  drawn.removeAllListeners?.("plotly_click");
  drawn.on?.("plotly_click", (event) => filterBy({}, runs.run_id[event.points[0].customdata]));
  const columns = runColumns().filter((column) => column.name === "run_id" || column.metric === x || column.metric === y || (column.on && !column.metric && !["status", "error_code"].includes(column.name)));
  table("pareto-table", columns.map((column) => column.title), front.slice(0, FRONT_ROWS).map((row) => runLine(row, columns)), (index) => columns[index].left);
}
