// The same runs under each set of costs.
const LINES_MAX = 8;

function offerCosts() {
  if (!charts.costs.metric) return;
  fill("costs-metric", metricEntries(), charts.costs.metric);
  byId("costs-metric").addEventListener("change", drawCosts);
  chosen.listeners.push(drawCosts);
}

function drawCosts() {
  if (!charts.costs.metric) return;
  const metric = metricOf("costs-metric"), sets = axes.get("cost_set");
  const groups = sets.values.map(() => []), ofSets = sets.values.map(() => new Map());
  for (const row of rowsOf("costs")) {
    if (metric.values[row] === null) continue;
    const code = sets.code(row);
    groups[code].push(metric.values[row]);
    if (!ofSets[code].has(setOf[row])) ofSets[code].set(setOf[row], []);
    ofSets[code].get(setOf[row]).push(metric.values[row]);
  }
  const spreads = groups.map(spread), names = sets.values.map((_, i) => String(i));
  const first = [...(ofSets.find((one) => one.size) ?? new Map())].map(([number, values]) => [number, median(values)]);
  const best = first.sort((a, b) => metric.better * (b[1] - a[1]) || a[0] - b[0]).slice(0, LINES_MAX).map(([number]) => number);
  byId("costs-note").textContent = `${counted(spreads.reduce((sum, one) => sum + one.count, 0), "run")} under ${counted(sets.values.length, "set")} of costs.`;
  draw("costs", [
    boxes(names, spreads, metric),
    ...best.map((one, i) => ({
      type: "scatter", mode: "lines+markers", x: names, y: names.map((_, code) => scaled(metric, median(ofSets[code].get(one) ?? []))), name: clean(setText(setRows[one])),
      line: { color: rgb("short", 1 - i * 0.09), width: 1.3 }, marker: { size: 5 }, showlegend: false, hovertemplate: `${clean(setText(setRows[one]))}<br>%{y}<extra></extra>`,
    })),
  ], {
    hovermode: "closest", margin: { l: narrow() ? 8 : 64, r: 8, t: 12, b: 48 },
    xaxis: { type: "category", categoryorder: "array", categoryarray: names, tickvals: names, ticktext: sets.labels.map((label) => clean(label).replaceAll(", ", "<br>")), showgrid: false, fixedrange: true, range: [-0.6, names.length - 0.4] },
    yaxis: { tickformat: ticks(metric), zeroline: true, zerolinecolor: color("line-strong"), title: { text: clean(titled(metric)) } },
  });
  table("costs-table", ["Costs", ...spreadHead], sets.labels.map((label, code) => [label, ...spreadCells(metric, spreads[code])]));
}
