// Parallel coordinates on a canvas: Plotly's own need a way of making code that the page's policy forbids.
const COORDINATE_PX = 92, PARALLEL_PX = 380, TOP = 46, BOTTOM = 26, SIDE = 52, LABEL_MAX = 14, APART = 12;
const parallel = { axes: [], held: new Map(), drag: null };

function offerParallel() {
  if (!charts.parallel.axes) return;
  fill("parallel-metric", metricEntries(), charts.parallel.metrics[0]);
  for (const id of ["parallel-metric", "parallel-segment"]) byId(id)?.addEventListener("change", drawParallel);
  byId("parallel-clear").addEventListener("click", () => {
    parallel.held.clear();
    drawParallel();
  });
  const canvas = byId("parallel-lines");
  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const near = parallel.axes.reduce((best, axis) => (Math.abs(axis.x - x) < Math.abs(best.x - x) ? axis : best), parallel.axes[0]);
    return { axis: near, at: Math.min(1, Math.max(0, 1 - (y - TOP) / (PARALLEL_PX - TOP - BOTTOM))) };
  };
  canvas.addEventListener("pointerdown", (event) => {
    parallel.drag = spot(event);
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!parallel.drag) return;
    const { at } = spot(event), { axis, at: from } = parallel.drag;
    if (Math.abs(at - from) < 0.01) return;
    parallel.held.set(axis.name, [Math.min(at, from), Math.max(at, from)]);
    requestAnimationFrame(drawParallel);
  });
  canvas.addEventListener("pointerup", () => { parallel.drag = null; });
  canvas.addEventListener("dblclick", (event) => {
    parallel.held.delete(spot(event).axis.name);
    drawParallel();
  });
  chosen.listeners.push(drawParallel);
  new ResizeObserver(drawParallel).observe(canvas.parentElement);
}

// Where each run crosses an axis, from 0 at the foot to 1 at the top; null for none.
function coordinateOf(name, rows) {
  const metric = metrics.get(name), axis = axes.get(name);
  if (!metric && !(axis.number && axis.values.length > 1)) {
    const last = axis.labels.length - 1;
    return { name, title: axis.title, steps: true, at: (row) => (axis.code(row) < 0 ? null : axis.code(row) / last), labels: axis.labels.map((text, code) => [code / last, text]) };
  }
  const value = metric ? (row) => metric.values[row] : (row) => axis.values[axis.code(row)] ?? null;
  let low = Infinity, high = -Infinity;
  for (const row of rows) {
    const one = value(row);
    if (one !== null) { low = Math.min(low, one); high = Math.max(high, one); }
  }
  const length = high - low || 1;
  const text = (at) => (metric ? shown(metric, low + at * length) : String(+(low + at * length).toPrecision(4)));
  const marks = axis && axis.values.length <= 8 ? axis.values.filter((one) => one >= low && one <= high).map((one) => [(one - low) / length, String(one)]) : [0, 0.5, 1].map((at) => [at, text(at)]);
  return { name, title: (metric ?? axis).title, steps: axis && axis.values.length <= 40, at: (row) => (value(row) === null ? null : (value(row) - low) / length), labels: marks };
}

function drawParallel() {
  if (!charts.parallel.axes) return;
  const canvas = byId("parallel-lines"), metric = metricOf("parallel-metric");
  const rows = rowsOf("parallel").filter((row) => metric.values[row] !== null);
  const names = [...charts.parallel.axes, ...new Set([...charts.parallel.metrics.slice(0, 3), metric.path])];
  const width = Math.max(canvas.parentElement.clientWidth, names.length * COORDINATE_PX), dots = window.devicePixelRatio || 1;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${PARALLEL_PX}px`;
  canvas.width = width * dots;
  canvas.height = PARALLEL_PX * dots;
  const pen = canvas.getContext("2d");
  pen.scale(dots, dots);
  const step = (width - 2 * SIDE) / Math.max(1, names.length - 1);
  parallel.axes = names.map((name, i) => ({ ...coordinateOf(name, rows), x: SIDE + i * step }));
  const height = (at) => TOP + (1 - at) * (PARALLEL_PX - TOP - BOTTOM);
  const isKept = (row) => parallel.axes.every((axis) => {
    const held = parallel.held.get(axis.name);
    if (!held) return true;
    const at = axis.at(row);
    return at !== null && at >= held[0] - 1e-9 && at <= held[1] + 1e-9;
  });
  const kept = rows.filter(isKept);
  const sorted = rising(rows.map((row) => metric.values[row]));
  const colors = scale(metric).map(([, paint]) => paint);
  const rank = (value) => { // share of the runs below, so that each colour has as many
    let low = 0, high = sorted.length;
    while (low < high) { const middle = (low + high) >> 1; if (sorted[middle] < value) low = middle + 1; else high = middle; }
    return sorted.length > 1 ? Math.min(1, low / (sorted.length - 1)) : 1;
  };
  const line = (row) => {
    let drawn = false;
    // Runs of equal values lie a little apart, so that many of them look like many.
    const apart = (((row * 0.618034) % 1) - 0.5) * APART;
    for (const axis of parallel.axes) {
      const at = axis.at(row);
      if (at === null) { drawn = false; continue; }
      const y = height(at) + (axis.steps ? apart : 0);
      if (drawn) pen.lineTo(axis.x, y);
      else pen.moveTo(axis.x, y);
      drawn = true;
    }
  };
  pen.lineWidth = 1;
  if (kept.length < rows.length) {
    pen.strokeStyle = color("muted");
    pen.globalAlpha = 0.06;
    pen.beginPath();
    rows.forEach(line);
    pen.stroke();
  }
  // The best are drawn last, above the others.
  const byColor = colors.map(() => []);
  for (const row of kept) byColor[Math.round(rank(metric.values[row]) * (colors.length - 1))].push(row);
  const orderly = byColor.map((group, i) => [group, colors[i]]);
  if (metric.better < 0) orderly.reverse();
  pen.globalAlpha = Math.max(0.06, Math.min(0.8, 6 / Math.sqrt(1 + kept.length)));
  for (const [group, paint] of orderly) {
    pen.strokeStyle = paint;
    for (let begin = 0; begin < group.length; begin += 200) { // one path would show where its own lines cross as one
      pen.beginPath();
      group.slice(begin, begin + 200).forEach(line);
      pen.stroke();
    }
  }
  pen.globalAlpha = 1;
  const family = getComputedStyle(document.body).fontFamily;
  for (const [i, axis] of parallel.axes.entries()) {
    pen.strokeStyle = color("line-strong");
    pen.beginPath();
    pen.moveTo(axis.x, TOP);
    pen.lineTo(axis.x, PARALLEL_PX - BOTTOM);
    pen.stroke();
    const held = parallel.held.get(axis.name);
    if (held) {
      pen.fillStyle = rgb("accent", 0.3);
      pen.fillRect(axis.x - 6, height(held[1]), 12, Math.max(2, height(held[0]) - height(held[1])));
    }
    pen.fillStyle = color("text");
    pen.font = `600 12px ${family}`;
    wrapped(axis.title).forEach((part, at, parts) => {
      const length = pen.measureText(part).width;
      pen.fillText(part, Math.max(2, Math.min(width - length - 2, axis.x - length / 2)), TOP - 12 - 14 * (parts.length - 1 - at));
    });
    pen.font = `11px ${family}`;
    const thinned = axis.labels.length > 12 ? axis.labels.filter((_, at) => at % Math.ceil(axis.labels.length / 12) === 0) : axis.labels;
    for (const [at, text] of thinned) {
      const shownText = cut(text);
      const left = i === parallel.axes.length - 1 ? axis.x - 5 - pen.measureText(shownText).width : axis.x + 5;
      pen.fillStyle = rgb("card", 0.8);
      pen.fillRect(left - 2, height(at) - 7, pen.measureText(shownText).width + 4, 14);
      pen.fillStyle = color("muted");
      pen.fillText(shownText, left, height(at) + 4);
    }
  }
  const best = kept.reduce((found, row) => (found === null || metric.better * (metric.values[row] - metric.values[found]) > 0 ? row : found), null);
  byId("parallel-note").textContent = kept.length
    ? `${number(kept.length, 0)} of ${counted(rows.length, "run")}; best of them ${shown(metric, metric.values[best])} with ${setText(best)}.`
    : "No run is left by these choices.";
  canvas.dataset.kept = kept.length;
}

// Texts that are alike, such as windows, often begin alike and end differently: both ends stay.
function cut(text) {
  const kept = LABEL_MAX - 1;
  return text.length > LABEL_MAX ? `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(-Math.floor(kept / 2))}` : text;
}

// A title in at most two lines.
function wrapped(text) {
  const cut = text.indexOf(": ");
  const parts = cut > 0 ? [text.slice(0, cut + 1), text.slice(cut + 2)] : [text];
  return parts.map((part) => (part.length > LABEL_MAX ? `${part.slice(0, LABEL_MAX - 1)}…` : part));
}
