"""The returns of months and days, and the results of trades as histograms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from boxgate_engine.report.markup import Cell, chart, empty, section, table
from boxgate_engine.report.numerals import count, money, number, percent
from boxgate_engine.report.sections.titles import NO_TRADES, TITLES

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HEAT_FULL: Final = 0.05
"""The monthly return whose cell has the full colour."""

Figures = Mapping[str, Any]


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
        ("Net result of trades", "trades", trade, trade_text, NO_TRADES),
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


def _heat(value: float | None, *, total: bool = False) -> str:
    if value is None:
        return '<td class="num"></td>'
    strength = min(1.0, abs(value) / _HEAT_FULL)
    kind = "gain" if value >= 0 else "loss"
    text = number(value * 100, 2, signed=True)
    return f'<td class="num heat-{kind}{" total" if total else ""}" style="--heat:{strength:.2f}">{text}</td>'
