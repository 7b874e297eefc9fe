// The list of trades: sorted, filtered, in pages.
const list = data.trades;
const columns = list.columns;
const at = (name, row) => (columns[name] ? columns[name][row] : null);
const symbolOf = (row) => list.instruments[columns.instrument[row]];
const sideOf = (row) => list.sides[columns.side[row]];
const reasonOf = (row) => list.exit_reasons[columns.exit_reason[row]];
const decimalsOf = new Map(Object.entries(data.price_decimals));
const priceDecimals = (symbol) => decimalsOf.get(symbol) ?? 5;
const words = (name) => name.charAt(0) + name.slice(1).toLowerCase().replaceAll("_", " ");

// Quantities of an instrument are shown with as many decimals as the finest of them needs.
const quantityDecimals = new Map();
for (let row = 0; row < list.listed; row++) {
  const needed = columns.qty[row].toFixed(8).replace(/0+$/, "").split(".")[1].length;
  quantityDecimals.set(symbolOf(row), Math.max(needed, quantityDecimals.get(symbolOf(row)) ?? 0));
}
const quantity = (row) => number(columns.qty[row], quantityDecimals.get(symbolOf(row)));

// Seconds are shown where there are any.
const wholeMinutes = ["entry_time_ms", "exit_time_ms"].every((name) => columns[name].every((ms) => ms % 60_000 === 0));
const time = (ms) => moment(ms, wholeMinutes ? 16 : 19);

const TABLE = [
  { name: "trade_id", title: "No.", text: (row) => number(at("trade_id", row), 0) },
  { name: "instrument", title: "Instrument", left: true, key: symbolOf, text: symbolOf },
  { name: "side", title: "Side", left: true, key: sideOf, text: (row) => words(sideOf(row)), kind: (row) => sideOf(row) },
  { name: "qty", title: "Quantity", text: quantity },
  { name: "entry_time_ms", title: "Entry (UTC)", left: true, text: (row) => time(at("entry_time_ms", row)) },
  { name: "entry_price", title: "Entry price", text: (row) => number(at("entry_price", row), priceDecimals(symbolOf(row))) },
  { name: "exit_time_ms", title: "Exit (UTC)", left: true, text: (row) => time(at("exit_time_ms", row)) },
  { name: "exit_price", title: "Exit price", text: (row) => number(at("exit_price", row), priceDecimals(symbolOf(row))) },
  { name: "exit_reason", title: "Exit by", left: true, key: reasonOf, text: (row) => words(reasonOf(row)) },
  { name: "gross_pnl", title: "Gross", text: (row) => money(at("gross_pnl", row), true) },
  { name: "fees", title: "Fees", text: (row) => money(at("fees", row)) },
  { name: "funding", title: "Funding", text: (row) => money(at("funding", row), true) },
  { name: "swap", title: "Swap", text: (row) => money(at("swap", row), true) },
  { name: "net_pnl", title: `Net ${data.currency}`, text: (row) => money(at("net_pnl", row), true), signed: true },
  { name: "slippage_cost", title: "Slippage", text: (row) => money(at("slippage_cost", row)) },
  { name: "mae", title: "MAE", text: (row) => money(at("mae", row)) },
  { name: "mfe", title: "MFE", text: (row) => money(at("mfe", row)) },
  { name: "sl", title: "Stop", text: (row) => number(at("sl", row), priceDecimals(symbolOf(row))) },
  { name: "tp", title: "Target", text: (row) => number(at("tp", row), priceDecimals(symbolOf(row))) },
  { name: "bars_held", title: data.path.setting === "real" ? "Events held" : "Bars", text: (row) => number(at("bars_held", row), 0) },
  { name: "path_dependent", title: "Path dep.", left: true, text: (row) => (at("path_dependent", row) ? "yes" : "no") },
].filter((column) => column.name in columns);

function listTrades(showTrade) {
  const form = byId("trades-filter");
  if (!form) return;
  const state = { sort: "trade_id", up: true, page: 0, rows: 20, chosen: [] };
  const fill = (name, entries) => {
    for (const [value, title] of [["", "all"], ...entries]) form.elements[name].add(new Option(title, value));
  };
  const present = (name, names) => [...new Set(columns[name])].sort((a, b) => a - b).map((code) => [code, names[code]]);
  fill("instrument", present("instrument", list.instruments));
  fill("side", present("side", list.sides.map(words)));
  fill("reason", present("exit_reason", list.exit_reasons.map(words)));
  fill("result", [["win", "winners"], ["loss", "losers"], ["path", "path dependent"]]);

  const head = byId("trades-table").tHead.insertRow();
  for (const column of TABLE) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.className = column.left ? "" : "num";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.title;
    button.addEventListener("click", () => {
      const first = column.left || column.name === "trade_id";
      state.up = state.sort === column.name ? !state.up : first;
      state.sort = column.name;
      order();
    });
    cell.append(button);
    head.append(cell);
  }

  function filter() {
    const wanted = (name) => form.elements[name].value;
    const text = wanted("find").trim().toLowerCase();
    const result = wanted("result");
    const rows = [];
    for (let row = 0; row < list.listed; row++) {
      if (wanted("instrument") !== "" && columns.instrument[row] !== +wanted("instrument")) continue;
      if (wanted("side") !== "" && columns.side[row] !== +wanted("side")) continue;
      if (wanted("reason") !== "" && columns.exit_reason[row] !== +wanted("reason")) continue;
      if (result === "win" && !(columns.net_pnl[row] > 0)) continue;
      if (result === "loss" && !(columns.net_pnl[row] < 0)) continue;
      if (result === "path" && !columns.path_dependent[row]) continue;
      if (text && !TABLE.some((column) => column.text(row).toLowerCase().includes(text))) continue;
      rows.push(row);
    }
    state.chosen = rows;
    order();
  }

  function order() {
    const column = TABLE.find((entry) => entry.name === state.sort);
    const key = column.key ?? ((row) => columns[column.name][row]);
    const compare = (a, b) => {
      const x = key(a), y = key(b);
      if (x === y) return a - b;
      if (x === null || y === null) return x === null ? 1 : -1; // what is undefined comes last either way
      return (x < y ? -1 : 1) * (state.up ? 1 : -1);
    };
    state.chosen.sort(compare);
    state.page = 0;
    show();
  }

  function show() {
    const pages = Math.max(1, Math.ceil(state.chosen.length / state.rows));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    [...head.cells].forEach((cell, index) => {
      const sorted = TABLE[index].name === state.sort;
      cell.setAttribute("aria-sort", sorted ? (state.up ? "ascending" : "descending") : "none");
    });
    const body = byId("trades-table").tBodies[0];
    body.replaceChildren();
    for (const row of state.chosen.slice(state.page * state.rows, (state.page + 1) * state.rows)) {
      const line = body.insertRow();
      for (const column of TABLE) {
        const cell = line.insertCell();
        const sign = column.signed && columns[column.name][row] !== 0 ? (columns[column.name][row] > 0 ? " gain" : " loss") : "";
        cell.className = (column.left ? "" : "num") + sign;
        if (column.name === "trade_id") {
          const button = document.createElement("button");
          button.type = "button";
          button.textContent = column.text(row);
          button.setAttribute("aria-label", `Show trade ${column.text(row)} in the price chart`);
          cell.append(button);
        } else cell.textContent = column.text(row);
      }
      line.addEventListener("click", () => showTrade(row));
    }
    const net = state.chosen.reduce((sum, row) => sum + columns.net_pnl[row], 0);
    const wins = state.chosen.filter((row) => columns.net_pnl[row] > 0).length;
    const share = state.chosen.length ? `, ${number((100 * wins) / state.chosen.length, 1)} % winners` : "";
    byId("trades-note").textContent =
      `${number(state.chosen.length, 0)} of ${counted(list.total, "trade")}: net ${money(net, true)} ${data.currency}${share}.`;
    byId("trades-page").textContent = `Page ${number(state.page + 1, 0)} of ${number(pages, 0)}`;
    for (const button of document.querySelectorAll(".pager [data-page]")) {
      const backwards = button.dataset.page === "first" || button.dataset.page === "back";
      button.disabled = backwards ? state.page === 0 : state.page === pages - 1;
    }
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  byId("trades-rows").addEventListener("change", (event) => {
    state.rows = +event.target.value;
    state.page = 0;
    show();
  });
  const turns = { first: () => 0, back: () => state.page - 1, next: () => state.page + 1, last: () => Infinity };
  for (const button of document.querySelectorAll(".pager [data-page]")) {
    button.addEventListener("click", () => {
      state.page = turns[button.dataset.page]();
      show();
    });
  }
  filter();
}
