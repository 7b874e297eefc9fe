"""What trading cost, and what each instrument gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxgate_engine.report.markup import Cell, chart, empty, section, signed, table
from boxgate_engine.report.numerals import count, money, number, percent
from boxgate_engine.report.sections.titles import NO_TRADES, TITLES

Figures = Mapping[str, Any]


def costs(figures: Figures) -> str:
    """Return the place of the chart of costs, and the costs by kind."""
    currency, found = figures["currency"], figures["costs"]
    rows: list[list[Cell]] = [
        [
            kind["title"],
            "inside the prices" if kind["inside"] else "booked",
            money(kind["amount"], currency),
            percent(kind["share"], 1),
            money(kind["per_fill"], currency),
        ]
        for kind in found["kinds"]
    ]
    rows.append(
        [
            "All",
            "",
            (money(found["total"], currency), "total"),
            percent(found["share"], 1),
            money(found["per_fill"], currency),
        ]
    )
    body = chart("costs", f"Costs by kind, {money(found['total'], currency)} in all", size="low") + table(
        "Costs by kind",
        ["Kind", "Where", "Paid", "Of the profit before costs", "A fill"],
        rows,
        text_columns=2,
    )
    before = money(figures["summary"]["profit_before_costs"], currency, signed=True)
    lead = (
        f"The profit before costs was {before}. Spread and slippage lie inside the prices of the fills; "
        "fees, funding and swap were booked. Below zero: more was received than paid."
    )
    return section("costs", TITLES["costs"], body, lead=lead)


def instruments(figures: Figures) -> str:
    """Return what each instrument contributed by its closed trades, and what holding it would have given."""
    body = _contributions(figures) + _benchmark(figures)
    lead = (
        "From the closed trades (trades.csv). The result of positions that are still open is in the equity only, and "
        "the spread is not a figure of single trades."
    )
    return section("instruments", TITLES["instruments"], body, lead=lead)


def _contributions(figures: Figures) -> str:
    currency, found = figures["currency"], figures["instruments"]
    if not found:
        return empty(NO_TRADES)
    rows: list[list[Cell]] = [
        [
            one["instrument"],
            count(one["trades"]),
            percent(one["win_rate"], 1),
            money(one["gross_pnl"], currency, signed=True),
            money(one["fees"], currency),
            money(one["funding"], currency, signed=True),
            money(one["swap"], currency, signed=True),
            signed(one["net_pnl"], money(one["net_pnl"], currency, signed=True)),
            number(one["profit_factor"]),
            money(one["slippage_cost"], currency),
        ]
        for one in found
    ]
    head = [
        "Instrument", "Trades", "Win rate", "Gross", "Fees", "Funding", "Swap", "Net", "Profit factor",
        "Slippage, inside",
    ]  # fmt: skip
    drawn = chart("instruments", "Net result of each instrument", size="low") if len(found) > 1 else ""
    return drawn + table("Contributions of the instruments", head, rows)


def _benchmark(figures: Figures) -> str:
    found, currency = figures["metrics"].get("benchmark") or [], figures["currency"]
    if not found:
        return ""
    rows: list[list[Cell]] = [
        [
            one["instrument"],
            signed(one["net_profit"], money(one["net_profit"], currency, signed=True)),
            percent(one["total"], signed=True),
            percent(one["max_drawdown_daily"]),
            number(one["sharpe"]),
            percent(one["alpha"], signed=True),
            number(one["beta"]),
            number(one["correlation"]),
            number(one["information_ratio"]),
        ]
        for one in found
    ]
    head = [
        "Bought and held", "Net profit", "Return", "Max drawdown, daily", "Sharpe", "Alpha a year", "Beta",
        "Correlation", "Information ratio",
    ]  # fmt: skip
    note = (
        "Bought and held: all cash at leverage 1 at the first open after the start, in the same costs. Alpha, beta, "
        "correlation and information ratio are of the run's daily returns against it."
    )
    return table("Bought and held", head, rows) + f'<p class="note">{note}</p>'
