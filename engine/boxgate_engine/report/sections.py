"""The sections of the page as HTML. Charts and the list of trades are filled in by page.js from the page's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from boxgate_engine.report import quality
from boxgate_engine.report.assumptions import NOT_MODELLED, PATHS, Assumption
from boxgate_engine.report.markup import Cell, chart, definitions, empty, esc, section, table
from boxgate_engine.report.numerals import UNDEFINED, count, counted, duration, money, number, percent
from boxgate_engine.report.prices import CANDLES_MAX

TITLES: Final = {
    "summary": "Summary",
    "equity": "Equity",
    "drawdown": "Drawdown",
    "assumptions": "Assumptions",
    "price": "Price and trades",
    "trades": "Trades",
    "monthly": "Monthly returns",
    "distribution": "Distribution",
    "excursions": "Excursions",
    "path": "Path dependence",
    "quality": quality.TITLE,
}
"""Title of each section by its id, in page order."""

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS_MIN: Final = 30
"""Daily returns below which what is annualised from them is marked as saying little."""
_NO_TRADES: Final = "No position was closed in this run, so there is no trade to show."
_HEAT_FULL: Final = 0.05
"""The monthly return whose cell has the full colour."""

_EVENTS: Final = {
    "bars": "Bars delivered",
    "ticks": "Ticks delivered",
    "warmup_events": "Warm-up events",
    "history_restarts": "History extended",
    "rounded": "Signals rounded",
    "signals": "Signals",
}
"""The counts that the summary shows, in its order; the outcomes of signals follow."""

Figures = Mapping[str, Any]


def summary(figures: Figures) -> str:
    """Return the key figures, everything of metrics.json, open positions and outcomes of signals."""
    metrics, currency = figures["metrics"], figures["currency"]
    returns, risk, ratio, trades = metrics["return"], metrics["risk"], metrics["ratio"], metrics["trades"]
    costs, equity = metrics["costs"], metrics["equity"]
    days = figures["distribution"]["daily"]["count"]
    short = days < _DAYS_MIN and any(value is not None for value in (returns["cagr"], ratio["sharpe"]))
    mark = " *" if short else ""
    cards = [
        ("Net profit", _signed(returns["net_profit"], money(returns["net_profit"], currency, signed=True))),
        ("Total return", _signed(returns["total"], percent(returns["total"], signed=True))),
        ("Max drawdown", percent(risk["max_drawdown"])),
        (f"Sharpe{mark}", number(ratio["sharpe"])),
        ("Profit factor", number(trades["profit_factor"])),
        ("Win rate", percent(trades["win_rate"], 1)),
        ("Trades", count(trades["count"])),
        ("Costs", money(figures["summary"]["costs_total"], currency)),
    ]
    facts = [
        definitions(
            "Return",
            [
                ("Initial equity", money(equity["initial"], currency)),
                ("Final equity", money(equity["final"], currency)),
                ("Net profit", _signed(returns["net_profit"], money(returns["net_profit"], currency, signed=True))),
                ("Total return", percent(returns["total"], signed=True)),
                (f"CAGR{mark}", percent(returns["cagr"], signed=True)),
                ("Best day", percent(returns.get("best_day"), signed=True)),
                ("Worst day", percent(returns.get("worst_day"), signed=True)),
                ("Days with a gain", percent(returns.get("positive_days"), 1)),
                ("Best month", percent(returns.get("best_month"), signed=True)),
                ("Worst month", percent(returns.get("worst_month"), signed=True)),
                ("Periods a year", count(metrics.get("periods_per_year"))),
            ],
        ),
        definitions(
            "Risk",
            [
                ("Max drawdown", percent(risk["max_drawdown"])),
                ("Max drawdown, daily marks", percent(risk["max_drawdown_daily"])),
                ("Longest time below a peak", duration(risk["max_drawdown_length_ns"])),
                ("Average drawdown", percent(risk.get("average_drawdown"))),
                ("Ulcer index", percent(risk.get("ulcer_index"))),
                (f"Volatility a year{mark}", percent(risk["volatility"])),
                ("Value at risk, 95 % of days", percent(risk.get("var_95"))),
                ("Expected shortfall, 95 %", percent(risk.get("cvar_95"))),
                ("Skew of daily returns", number(risk.get("skew"))),
                ("Excess kurtosis", number(risk.get("kurtosis"))),
            ],
        ),
        definitions(
            "Ratios",
            [
                (f"Sharpe{mark}", number(ratio["sharpe"])),
                ("Probability of a Sharpe above 0", percent(ratio.get("probabilistic_sharpe"), 1)),
                (f"Sortino{mark}", number(ratio["sortino"])),
                (f"MAR{mark}", number(ratio["mar"])),
                (f"Martin{mark}", number(ratio.get("martin"))),
                ("Omega", number(ratio.get("omega"))),
                ("Tail ratio", number(ratio.get("tail_ratio"))),
                ("Recovery factor", number(ratio.get("recovery_factor"))),
            ],
        ),
        definitions(
            "Exposure",
            [
                ("Time in the market", percent(metrics["exposure"]["time_fraction"], 1)),
                ("Mean of the notional held", percent(metrics["exposure"].get("gross_mean"), 1)),
                ("Most notional held", percent(metrics["exposure"].get("gross_max"), 1)),
                ("Turnover a year, times the equity", number(metrics["exposure"].get("turnover"), 1)),
            ],
        ),
        definitions(
            "Trades",
            [
                ("Closed", count(trades["count"])),
                ("Win rate", percent(trades["win_rate"], 1)),
                ("Payoff (mean win / mean loss)", number(trades["payoff"])),
                ("Profit factor", number(trades["profit_factor"])),
                ("Expectancy a trade", money(trades["expectancy"], currency, signed=True)),
                ("Best trade", money(trades.get("best"), currency, signed=True)),
                ("Worst trade", money(trades.get("worst"), currency, signed=True)),
                ("System quality number", number(trades.get("sqn"))),
                ("Winners, losers in a row", _pair(trades.get("wins_in_a_row"), trades.get("losses_in_a_row"))),
                ("Long, short", _pair(trades.get("long_count"), trades.get("short_count"))),
                ("Mean excursion against", money(trades["mae_mean"], currency)),
                ("Mean excursion in favour", money(trades["mfe_mean"], currency)),
                ("Mean holding time", duration(trades["holding_mean_ns"])),
                ("Longest holding time", duration(trades.get("holding_max_ns"))),
            ],
        ),
        definitions(
            "Costs",
            [
                ("Fees", money(costs["fees"], currency)),
                ("Spread, inside the prices", money(costs["spread"], currency)),
                ("Slippage, inside the prices", money(costs["slippage"], currency)),
                ("Funding", money(costs["funding"], currency)),
                ("Swap", money(costs["swap"], currency)),
                ("All costs", money(figures["summary"]["costs_total"], currency)),
                ("Profit before costs", money(figures["summary"]["profit_before_costs"], currency, signed=True)),
            ],
        ),
        definitions("Signals and events", _events(figures)),
    ]
    shown = "".join(f'<div class="card"><dt>{esc(name)}</dt>{_card(value)}</div>' for name, value in cards)
    note = f'<p class="note">* Annualised from {counted(days, "daily return")}, means little.</p>' if short else ""
    body = f'<dl class="cards">{shown}</dl>{note}<div class="stack">{"".join(facts)}</div>'
    return section("summary", TITLES["summary"], body + _open_positions(figures))


def _pair(one: int | None, other: int | None) -> str:
    return f"{count(one)}, {count(other)}"


def equity(figures: Figures) -> str:
    """Return the place of the equity curve."""
    curve, initial = figures["equity"], money(figures["metrics"]["equity"]["initial"], figures["currency"])
    if len(curve["value"]) < 2:
        note = empty("The run has a single mark, so the curve is one point.")
        return section("equity", TITLES["equity"], note + chart("equity", "Equity, a single mark"))
    lead = f"One mark per moment, {count(curve['rows'])} in all; the dotted line is the opening cash of {initial}."
    label = f"Equity from {initial} to {money(figures['metrics']['equity']['final'], figures['currency'])}"
    return section("equity", TITLES["equity"], chart("equity", label), lead=lead, ranges=True)


def drawdown(figures: Figures) -> str:
    """Return the place of the underwater curve."""
    deepest = percent(figures["metrics"]["risk"]["max_drawdown"])
    lead = f"Fall from the highest equity so far; the deepest was {deepest}."
    return section(
        "drawdown", TITLES["drawdown"], chart("drawdown", f"Drawdown, at most {deepest}", size="low"), lead=lead
    )


def assumptions(groups: Sequence[tuple[str, Sequence[Assumption]]]) -> str:
    """Return every assumption, and what is not modelled."""
    shown = "".join(
        f'<div class="group"><h3>{esc(heading)}</h3><dl>{"".join(map(_assumption, lines))}</dl></div>'
        for heading, lines in groups
    )
    items = "".join(f"<li>{esc(line)}.</li>" for line in NOT_MODELLED)
    shown += f'<div class="group"><h3>Not modelled</h3><ul>{items}</ul></div>'
    lead = "What this result rests on. Real trading is worse wherever an assumption is kinder than the market."
    return section("assumptions", TITLES["assumptions"], f'<div class="groups">{shown}</div>', lead=lead)


def price(figures: Figures) -> str:
    """Return the place of the price chart, with a choice of instrument where there are several."""
    panels = figures["price"]
    if not panels:
        absent = "The dataset of this run was not at hand when the page was built, so that no price can be shown."
        return section("price", TITLES["price"], empty(absent))
    if not any(panel["rows"] for panel in panels):
        return section("price", TITLES["price"], empty("No price lies inside the window of this run."))
    options = "".join(
        f'<option value="{index}">{esc(panel["symbol"])} {esc(panel["frame"])}</option>'
        for index, panel in enumerate(panels)
    )
    many = len(panels) > 1
    choice = f'<label>Instrument <select id="price-choice">{options}</select></label>' if many else ""
    names = ", ".join(f"{panel['symbol']} {panel['frame']}" for panel in panels)
    lead = (
        f"{names}. Drag to zoom, double-click to see all. Series of more than {count(CANDLES_MAX)} bars are drawn by "
        "the lowest and highest price of each stretch of time, so that no extreme is lost."
    )
    body = (
        f'<div class="tools">{choice}<p id="price-note" class="note" aria-live="polite"></p></div>'
        f"{chart('price', f'Price of {names} with entries, exits, stops and targets', size='high')}"
    )
    return section("price", TITLES["price"], body, lead=lead, ranges=True)


def trades(figures: Figures) -> str:
    """Return the frame of the list of trades; page.js fills, sorts and filters it."""
    listed = figures["trades"]
    if not listed["total"]:
        return section("trades", TITLES["trades"], empty(_NO_TRADES))
    lead = "One row per closed quantity. Click a column to sort, a row to see it in the price chart."
    if figures["path"]["setting"] == "real":
        lead += " “Events held” counts the ticks or finer bars that fill."
    if listed["listed"] < listed["total"]:
        lead += (
            f" The page holds the {count(listed['listed'])} of {count(listed['total'])} trades with the largest result "
            "either way; all are in trades.csv."
        )
    body = (
        '<form class="tools" id="trades-filter" aria-label="Filter trades">'
        '<label>Instrument <select name="instrument"></select></label>'
        '<label>Side <select name="side"></select></label>'
        '<label>Exit <select name="reason"></select></label>'
        '<label>Result <select name="result"></select></label>'
        '<label>Find <input name="find" type="search" placeholder="number, date…" autocomplete="off"></label>'
        '<button type="reset">Clear</button></form>'
        '<p class="note" id="trades-note" aria-live="polite"></p>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Trades"><table id="trades-table">'
        "<caption>Trades</caption><thead></thead><tbody></tbody></table></div>"
        '<nav class="pager" aria-label="Pages of trades"><button type="button" data-page="first">« First</button>'
        '<button type="button" data-page="back">‹ Back</button><span id="trades-page"></span>'
        '<button type="button" data-page="next">Next ›</button><button type="button" data-page="last">Last »</button>'
        '<label>Rows <select id="trades-rows"><option>20</option><option>50</option><option>200</option></select>'
        "</label></nav>"
    )
    return section("trades", TITLES["trades"], body, lead=lead)


def monthly(figures: Figures) -> str:
    """Return the table of monthly returns."""
    rows = []
    for year in figures["monthly"]:
        cells = "".join(_heat(value) for value in year["months"])
        rows.append(f'<tr><th scope="row">{year["year"]}</th>{cells}{_heat(year["total"], total=True)}</tr>')
    if not rows:
        return section("monthly", TITLES["monthly"], empty("The run has no mark, so there is no month."))
    head = "".join(f'<th scope="col" class="num">{name}</th>' for name in (*_MONTHS, "Year"))
    body = (
        '<div class="scroll" tabindex="0" role="region" aria-label="Monthly returns"><table class="heat">'
        f'<caption>Monthly returns in percent</caption><thead><tr><th scope="col">Year</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
    lead = "In percent, from the last mark of a month to the last of the next (UTC); the months multiply to the total."
    return section("monthly", TITLES["monthly"], body, lead=lead)


def distribution(figures: Figures) -> str:
    """Return the places of the two histograms and their figures."""
    currency, trade, daily = figures["currency"], figures["distribution"]["trades"], figures["distribution"]["daily"]
    no_days = "The run has marks on fewer than two days, so it has no daily return."

    def trade_text(value: float) -> str:
        return money(value, currency, signed=True)

    def daily_text(value: float) -> str:
        return percent(value, 3, signed=True)

    shown: list[str] = []
    rows: list[list[Cell]] = []
    for title, name, values, text, nothing in (
        ("Net result of trades", "trades", trade, trade_text, _NO_TRADES),
        ("Daily returns", "daily", daily, daily_text, no_days),
    ):
        filled = chart(f"distribution-{name}", f"Histogram: {title}") if values["count"] else empty(nothing)
        shown.append(f"<div><h3>{title}</h3>{filled}</div>")
        if values["count"]:
            counts = [count(values[key]) for key in ("count", "positive", "zero", "negative")]
            amounts = [text(values[key]) for key in ("mean", "median", "p5", "p95", "worst", "best")]
            rows.append([title, *counts, *amounts])
    quantiles = ("5 % quantile", "95 % quantile")
    head = ["", "Count", "Above 0", "At 0", "Below 0", "Mean", "Median", *quantiles, "Worst", "Best"]
    body = f'<div class="pair">{"".join(shown)}</div>'
    if rows:
        body += table("Figures of the distributions", head, rows)
    return section("distribution", TITLES["distribution"], body)


def excursions(figures: Figures) -> str:
    """Return the places of the two scatter plots and the figures of winners and losers."""
    if not figures["trades"]["total"]:
        return section("excursions", TITLES["excursions"], empty(_NO_TRADES))
    currency = figures["currency"]
    rows = []
    for title, name in (("Winners", "winners"), ("Losers", "losers")):
        group = figures["excursions"][name]
        amounts = [money(group[key], currency) for key in ("mae_median", "mae_worst", "mfe_median", "mfe_best")]
        rows.append([title, count(group["count"]), *amounts])
    head = ["", "Trades", "Against, median", "Against, worst", "In favour, median", "In favour, best"]
    against, favour = chart("mae", "Result of each trade by its MAE"), chart("mfe", "Result of each trade by its MFE")
    body = (
        f'<div class="pair"><div><h3>Against the position (MAE)</h3>{against}</div>'
        f"<div><h3>In favour of the position (MFE)</h3>{favour}</div></div>"
        + table("Excursions of winners and losers", head, rows)
    )
    lead = (
        "How far each trade was under water, and how far ahead, while it was open. Winners that were deep under water "
        "first speak for a wide stop; losers that were far ahead for an earlier target."
    )
    return section("excursions", TITLES["excursions"], body, lead=lead)


def path(figures: Figures) -> str:
    """Return how much of the result hangs on the order of prices inside a bar."""
    found, currency = figures["path"], figures["currency"]
    rows: list[list[Cell]] = [
        ["Bars", count(found["bars"]), count(found["bars_total"]), _share(found["bars"], found["bars_total"])],
        ["Fills", count(found["fills"]), count(found["fills_total"]), _share(found["fills"], found["fills_total"])],
        [
            "Trades",
            count(found["trades"]),
            count(found["trades_total"]),
            _share(found["trades"], found["trades_total"]),
        ],
        [
            "Net result of trades",
            money(found["net_pnl"], currency, signed=True),
            money(found["net_pnl_total"], currency, signed=True),
            UNDEFINED,
        ],
    ]
    if found["bars"]:
        verdict = (
            f"In {counted(found['bars'], 'bar')} the order in which high and low were met decides which orders fill. A "
            "bar does not tell that order, so the result of these trades is an assumption, not a measurement; "
            + (
                "the dataset has nothing finer of them."
                if found["setting"] == "real"
                else "finer bars or ticks (path real) would settle it."
            )
        )
    else:
        verdict = "No bar of this run leaves open which order fills first: the result does not hang on the path."
    body = f'<p class="verdict">{esc(verdict)}</p>' + table(
        "Path dependence", ["", "Path dependent", "All", "Share"], rows, compact=True
    )
    setting = str(found["setting"])
    return section("path", TITLES["path"], body, lead=f"Setting: {setting}. {PATHS.get(setting, '')}")


def _open_positions(figures: Figures) -> str:
    opened, currency = figures["metrics"].get("open_positions", []), figures["currency"]
    if not opened:
        return ""
    decimals = figures["price_decimals"]
    rows: list[list[Cell]] = [
        [
            entry["instrument"],
            entry["side"].capitalize(),
            number(entry["qty"], _decimals(entry["qty"])),
            number(entry["entry_price"], decimals.get(entry["instrument"], 5)),
            number(entry["mark_price"], decimals.get(entry["instrument"], 5)),
            _signed(entry["unrealised_pnl"], money(entry["unrealised_pnl"], currency, signed=True)),
        ]
        for entry in opened
    ]
    head = ["Open at the end", "Side", "Quantity", "Entry price", "Mark", "Unrealised result"]
    return table("Positions that are open at the end", head, rows, text_columns=2)


def _events(figures: Figures) -> list[tuple[str, Cell]]:
    """Return what was delivered and what became of the signals; each number once."""
    counts, signals = figures["metrics"]["counts"], figures["signals"]
    rows: list[tuple[str, Cell]] = [(_EVENTS[name], count(counts[name])) for name in _EVENTS if name in counts]
    rows += [(f"– {_words(name).lower()}", count(value)) for name, value in signals["outcomes"].items()]
    rows += [(f"– refused: {_words(name).lower()}", count(value)) for name, value in signals["reject_reasons"].items()]
    return rows


def _assumption(line: Assumption) -> str:
    # Where a path is too long for its column, it is broken after a slash and not inside a name.
    value = f"<code>{esc(line.value).replace('/', '/<wbr>')}</code>" if line.code else esc(line.value)
    note = f"<small>{esc(line.note)}</small>" if line.note else ""
    return f"<div><dt>{esc(line.name)}</dt><dd>{value}{note}</dd></div>"


def _heat(value: float | None, *, total: bool = False) -> str:
    if value is None:
        return '<td class="num"></td>'
    strength = min(1.0, abs(value) / _HEAT_FULL)
    kind = "gain" if value >= 0 else "loss"
    text = number(value * 100, 2, signed=True)
    return f'<td class="num heat-{kind}{" total" if total else ""}" style="--heat:{strength:.2f}">{text}</td>'


def _signed(value: float | None, text: str) -> Cell:
    return (text, "gain" if value > 0 else "loss") if value else text


def _card(cell: Cell) -> str:
    text, kind = cell if isinstance(cell, tuple) else (cell, "")
    amount, _, unit = text.partition("\u00a0")
    shown = f'{esc(amount)} <span class="unit">{esc(unit)}</span>' if unit else esc(amount)
    return f"<dd{f' class={kind}' if kind else ''}>{shown}</dd>"


def _share(part: int | None, whole: int | None) -> str:
    return percent(part / whole, 1) if part is not None and whole else UNDEFINED


def _decimals(value: float) -> int:
    text = f"{value:.8f}".rstrip("0")
    return len(text) - text.index(".") - 1


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
