"""The key figures, and everything of metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from boxgate_engine.report.markup import Cell, definitions, esc, section, signed, table
from boxgate_engine.report.numerals import count, counted, duration, money, number, percent
from boxgate_engine.report.sections.titles import TITLES

_DAYS_MIN: Final = 30
"""Daily returns below which what is annualised from them is marked as saying little."""
_EVENTS: Final = {
    "bars": "Bars delivered",
    "ticks": "Ticks delivered",
    "warmup_events": "Warm-up events",
    "history_restarts": "History extended",
    "rounded": "Signals or orders rounded",
    "changes_refused": "Changes of orders refused",
    "signals": "Signals",
    "orders": "Orders",
}
"""The counts that the summary shows, in its order; the outcomes of signals or orders follow."""
_WITH_ORDERS: Final = ("changes_refused", "orders")
_WITHOUT_ORDERS: Final = ("signals",)

Figures = Mapping[str, Any]


def summary(figures: Figures) -> str:
    """Return the key figures, everything of metrics.json, open positions and outcomes of signals."""
    metrics, currency = figures["metrics"], figures["currency"]
    returns, risk, ratio, trades = metrics["return"], metrics["risk"], metrics["ratio"], metrics["trades"]
    costs, equity = metrics["costs"], metrics["equity"]
    places = figures["currency_decimals"]
    days = figures["distribution"]["daily"]["count"]
    short = days < _DAYS_MIN and any(value is not None for value in (returns["cagr"], ratio["sharpe"]))
    mark = " *" if short else ""
    cards = [
        (f"Net profit, {currency}", signed(returns["net_profit"], number(returns["net_profit"], places, signed=True))),
        ("Total return", signed(returns["total"], percent(returns["total"], signed=True))),
        ("Max drawdown", percent(risk["max_drawdown"])),
        (f"Sharpe{mark}", number(ratio["sharpe"])),
        ("Profit factor", number(trades["profit_factor"])),
        ("Win rate", percent(trades["win_rate"], 1)),
        ("Trades", count(trades["count"])),
        (f"Costs, {currency}", number(figures["summary"]["costs_total"], places)),
    ]
    facts = [
        definitions(
            "Return",
            [
                ("Initial equity", money(equity["initial"], currency)),
                ("Final equity", money(equity["final"], currency)),
                ("Net profit", signed(returns["net_profit"], money(returns["net_profit"], currency, signed=True))),
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
                ("Deflated Sharpe, trials", _deflated(ratio)),
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
        definitions("Orders and events" if figures["orders"] else "Signals and events", _events(figures)),
    ]
    shown = "".join(f'<div class="card"><dt>{esc(name)}</dt>{_card(value)}</div>' for name, value in cards)
    note = f'<p class="note">* Annualised from {counted(days, "daily return")}, means little.</p>' if short else ""
    body = f'<dl class="cards">{shown}</dl>{note}<div class="stack">{"".join(facts)}</div>'
    return section("summary", TITLES["summary"], body + _open_positions(figures))


def _deflated(ratio: Mapping[str, Any]) -> str:
    return f"{percent(ratio.get('deflated_sharpe'), 1)}, {count(ratio.get('trials'))}"


def _pair(one: int | None, other: int | None) -> str:
    return f"{count(one)}, {count(other)}"


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
            signed(entry["unrealised_pnl"], money(entry["unrealised_pnl"], currency, signed=True)),
        ]
        for entry in opened
    ]
    head = ["Open at the end", "Side", "Quantity", "Entry price", "Mark", "Unrealised result"]
    return table("Positions that are open at the end", head, rows, text_columns=2)


def _events(figures: Figures) -> list[tuple[str, Cell]]:
    """Return what was delivered and what became of the signals or orders; each number once."""
    counts, orders = figures["metrics"]["counts"], figures["orders"]
    decided = orders or figures["signals"]
    others = _WITHOUT_ORDERS if orders else _WITH_ORDERS
    names = [name for name in _EVENTS if name in counts and name not in others]
    rows: list[tuple[str, Cell]] = [(_EVENTS[name], count(counts[name])) for name in names]
    rows += [(f"– {_words(name).lower()}", count(value)) for name, value in decided["outcomes"].items()]
    rows += [(f"– refused: {_words(name).lower()}", count(value)) for name, value in decided["reject_reasons"].items()]
    return rows


def _card(cell: Cell) -> str:
    text, kind = cell if isinstance(cell, tuple) else (cell, "")
    amount, _, unit = text.partition("\u00a0")
    shown = f'{esc(amount)} <span class="unit">{esc(unit)}</span>' if unit else esc(amount)
    return f"<dd{f' class={kind}' if kind else ''}>{shown}</dd>"


def _decimals(value: float) -> int:
    text = f"{value:.8f}".rstrip("0")
    return len(text) - text.index(".") - 1


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
