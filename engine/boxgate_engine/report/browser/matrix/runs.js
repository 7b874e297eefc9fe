// The table of runs: filtered, sorted, in pages. What the filter leaves, the charts show.
const chosen = { rows: [], listeners: [] };
const METRICS_SHOWN = 6, PARAMS_SHOWN = 6;

// On a narrow page the table begins with what a reader looks for; all columns can be chosen.
function runColumns() {
  const wide = !narrow();
  const found = [{ name: "run_id", title: "Run", left: true, on: true, value: (row) => runs.run_id[row], text: (row) => runs.run_id[row] }];
  const axis = (one, on) => found.push({
    name: one.name, title: one.title, left: !one.number || one.name === "fold", on, text: one.text,
    // Codes rise with the values, so they sort alike.
    value: (row) => (one.code(row) < 0 ? null : one.code(row)), plain: (row) => one.values[one.code(row)] ?? null,
  });
  const add = (name, on) => axes.has(name) && axis(axes.get(name), on);
  add("status", wide && axes.get("status").varies);
  add("error_code", wide && axes.get("error_code").values.length > 0);
  add("instrument", wide || axes.get("instrument").varies);
  add("frame", axes.get("frame").varies);
  add("window", wide && axes.get("window").varies);
  add("fold", axes.get("fold").varies);
  add("segment", segment.varies);
  if (Object.keys(runs.also_folds).length) {
    found.push({ name: "also_folds", title: "Also", left: true, on: true, value: (row) => runs.also_folds[row] ?? null, text: (row) => runs.also_folds[row] ?? "–" });
  }
  add("cost_set", axes.get("cost_set").varies);
  varied.forEach((one, index) => axis(one, index < PARAMS_SHOWN));
  params.filter((one) => !one.varies).forEach((one) => axis(one, false));
  const results = data.metrics.map((metric, index) => ({
    name: metric.path, title: metric.title, on: index < METRICS_SHOWN, metric,
    value: (row) => metric.values[row], text: (row) => shown(metric, metric.values[row]),
  }));
  if (!wide) found.splice(1, 0, ...results.splice(0, 1));
  found.push(...results);
  found.push({ name: "attempts", title: "Attempts", on: false, value: (row) => runs.attempts[row], text: (row) => number(runs.attempts[row], 0) });
  return found;
}

function listRuns() {
  const form = byId("runs-filter");
  if (!form) return;
  const all = runColumns();
  const first = data.metrics[0];
  const state = { sort: first ? first.path : "run_id", up: first ? first.better < 0 : true, page: 0, rows: 20 };
  const visible = () => all.filter((column) => column.on);
  let texts = null;

  if (form.elements.metric) {
    for (const metric of data.metrics) {
      const of = { percent: ", %", duration: ", hours", money: `, ${data.currency}` }[metric.kind] ?? "";
      form.elements.metric.add(new Option(metric.title + of, metric.path));
    }
  }
  for (const column of all.slice(1)) {
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.value = column.name;
    box.checked = column.on;
    box.addEventListener("change", () => {
      column.on = box.checked;
      head();
      show();
    });
    label.append(box, column.title);
    byId("runs-columns").append(label);
  }

  function head() {
    const row = document.createElement("tr");
    for (const column of visible()) {
      const cell = document.createElement("th"), button = document.createElement("button");
      cell.scope = "col";
      cell.className = column.left ? "" : "num";
      button.type = "button";
      button.textContent = column.title;
      button.addEventListener("click", () => {
        // The better end first.
        state.up = state.sort === column.name ? !state.up : column.metric ? column.metric.better < 0 : true;
        state.sort = column.name;
        order();
      });
      cell.append(button);
      row.append(cell);
    }
    byId("runs-table").tHead.replaceChildren(row);
  }

  const bound = (name, metric) => {
    const text = form.elements[name].value.trim().replace(",", ".").replace("−", "-");
    if (text === "" || Number.isNaN(+text)) return null;
    return +text * ({ percent: 0.01, duration: 3.6e12 }[metric.kind] ?? 1);
  };

  function filter() {
    const levels = [...axes.values()]
      .filter((axis) => form.elements[axis.name] && form.elements[axis.name].value !== "")
      .map((axis) => [axis, +form.elements[axis.name].value]);
    const metric = metrics.get(form.elements.metric?.value ?? "");
    const low = metric && bound("low", metric), high = metric && bound("high", metric);
    const words = form.elements.find.value.trim().toLowerCase().split(/\s+/).filter((word) => word);
    if (words.length && !texts) {
      const searched = all.filter((column) => !column.metric);
      texts = runs.run_id.map((_, row) => searched.map((column) => column.text(row)).join(" ").toLowerCase());
    }
    const rows = [];
    for (let row = 0; row < total; row++) {
      if (levels.some(([axis, level]) => axis.level(row) !== level)) continue;
      if (metric) {
        const value = metric.values[row];
        if (value === null || (low !== null && value < low) || (high !== null && value > high)) continue;
      }
      if (words.length && !words.every((word) => texts[row].includes(word))) continue;
      rows.push(row);
    }
    chosen.rows = rows;
    order();
    for (const listener of chosen.listeners) listener();
  }

  let ordered = [];
  function order() {
    const column = all.find((entry) => entry.name === state.sort);
    const way = state.up ? 1 : -1;
    ordered = [...chosen.rows].sort((a, b) => {
      const x = column.value(a), y = column.value(b);
      if (x === y) return a - b;
      if (x === null || y === null) return x === null ? 1 : -1; // what is undefined comes last either way
      return (x < y ? -1 : 1) * way;
    });
    state.page = 0;
    show();
  }

  function show() {
    const columns = visible();
    const pages = Math.max(1, Math.ceil(ordered.length / state.rows));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    [...byId("runs-table").tHead.rows[0].cells].forEach((cell, index) => {
      const sorted = columns[index].name === state.sort;
      cell.setAttribute("aria-sort", sorted ? (state.up ? "ascending" : "descending") : "none");
    });
    const body = byId("runs-table").tBodies[0];
    body.replaceChildren(...ordered.slice(state.page * state.rows, (state.page + 1) * state.rows).map((row) => runLine(row, columns)));
    const done = chosen.rows.filter(isComplete).length;
    byId("runs-note").textContent =
      `${number(chosen.rows.length, 0)} of ${counted(total, "run")}${done === chosen.rows.length ? "" : `, ${number(done, 0)} complete`}.`;
    byId("runs-page").textContent = `Page ${number(state.page + 1, 0)} of ${number(pages, 0)}`;
    for (const button of document.querySelectorAll("#runs .pager [data-page]")) {
      const backwards = button.dataset.page === "first" || button.dataset.page === "back";
      button.disabled = backwards ? state.page === 0 : state.page === pages - 1;
    }
  }

  function save() {
    const quoted = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
      return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const columns = visible();
    const value = (column) => column.plain ?? column.value;
    const lines = [columns.map((column) => column.name), ...ordered.map((row) => columns.map((column) => value(column)(row)))];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.map((line) => line.map(quoted).join()).join("\n") + "\n"], { type: "text/csv" }));
    link.download = `${data.matrix_id}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  let waiting;
  const soon = () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, total > 2000 ? 150 : 0);
  };
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", soon);
  byId("runs-save").addEventListener("click", save);
  byId("runs-rows").addEventListener("change", (event) => {
    state.rows = +event.target.value;
    state.page = 0;
    show();
  });
  const turns = { first: () => 0, back: () => state.page - 1, next: () => state.page + 1, last: () => Infinity };
  for (const button of document.querySelectorAll("#runs .pager [data-page]")) {
    button.addEventListener("click", () => {
      state.page = turns[button.dataset.page]();
      show();
    });
  }
  for (const button of document.querySelectorAll("[data-reason]")) {
    button.addEventListener("click", () => filterBy({ error_code: axes.get("error_code").labels.indexOf(button.dataset.reason) }));
  }
  head();
  filter();
}

function runLine(row, columns) {
  const line = document.createElement("tr");
  for (const column of columns) {
    const cell = line.insertCell();
    const value = column.metric?.signed ? column.metric.values[row] : 0;
    cell.className = (column.left ? "" : "num") + (value ? (value > 0 ? " gain" : " loss") : "");
    if (column.name === "run_id") {
      const id = document.createElement(paged.has(row) ? "a" : "code");
      if (paged.has(row)) id.href = `${runs.pages_at}/${runs.run_id[row]}/report.html`;
      id.title = paged.has(row) ? `${runs.run_id[row]}: its page` : runs.run_id[row];
      id.textContent = `${runs.run_id[row].slice(0, 10)}…`;
      cell.append(id);
    } else cell.textContent = column.text(row);
  }
  return line;
}

// Set some choices of the filter and let the others go. levels: by name of the axis.
function filterBy(levels, find = "") {
  const form = byId("runs-filter");
  form.reset();
  for (const [name, level] of Object.entries(levels)) if (form.elements[name]) form.elements[name].value = String(level);
  form.elements.find.value = find;
  form.dispatchEvent(new Event("input", { bubbles: true }));
  byId("runs").scrollIntoView();
}
