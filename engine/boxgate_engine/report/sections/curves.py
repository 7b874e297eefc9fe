"""What is drawn over time: equity, drawdown, exposure and the rolling Sharpe ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxgate_engine.report.markup import Cell, chart, empty, section, table
from boxgate_engine.report.numerals import count, duration, instant, money, percent
from boxgate_engine.report.sections.titles import TITLES

Figures = Mapping[str, Any]


def equity(figures: Figures) -> str:
    """Return the place of the equity curve."""
    curve, initial = figures["equity"], money(figures["metrics"]["equity"]["initial"], figures["currency"])
    if len(curve["value"]) < 2:
        note = empty("The run has a single mark, so the curve is one point.")
        return section("equity", TITLES["equity"], note + chart("equity", "Equity, a single mark"))
    lead = f"{_marks(curve)}; the dotted line is the opening cash of {initial}."
    if figures["benchmark"]:
        names = ", ".join(one["instrument"] for one in figures["benchmark"])
        lead += f" Beside it what buying and holding gave ({names}), by daily marks."
    label = f"Equity from {initial} to {money(figures['metrics']['equity']['final'], figures['currency'])}"
    return section("equity", TITLES["equity"], chart("equity", label), lead=lead, ranges=True)


def drawdown(figures: Figures) -> str:
    """Return the place of the underwater curve, and the deepest drawdowns."""
    deepest, falls = percent(figures["metrics"]["risk"]["max_drawdown"]), figures["drawdowns"]
    lead = f"Fall from the highest equity so far; the deepest was {deepest}."
    if figures["equity"]["resolution"] != "bar":
        lead += (
            f" Drawn at the last mark of each UTC {figures['equity']['resolution']}: a deeper fall between two of them "
            "does not show. All figures are those of all marks."
        )
    rows: list[list[Cell]] = [
        [
            str(number),
            instant(one["start_ns"]),
            instant(one["trough_ns"]),
            instant(one["end_ns"]) if one["recovered"] else "not recovered",
            percent(one["depth"]),
            duration(one["length_ns"]),
        ]
        for number, one in enumerate(falls["deepest"], start=1)
    ]
    body = chart("drawdown", f"Drawdown, at most {deepest}", size="low")
    if rows:
        head = ["No.", "Last peak", "Deepest", "Peak reached again", "Depth", "Length"]
        body += table("Deepest drawdowns", head, rows, text_columns=4)
        if falls["count"] > len(rows):
            body += f'<p class="note">The {len(rows)} deepest of {count(falls["count"])}. Times are UTC.</p>'
    return section("drawdown", TITLES["drawdown"], body, lead=lead)


def _marks(curve: Figures) -> str:
    """Return a clause on which marks the curve shows."""
    if curve["resolution"] == "bar":
        return f"One mark per moment, {count(curve['rows'])} in all"
    return f"The last mark of each UTC {curve['resolution']}, {count(curve['rows'])} of {count(curve['marks'])} in all"


def exposure(figures: Figures) -> str:
    """Return the place of the exposure over time."""
    measures = figures["metrics"]["exposure"]
    if not len(figures["exposure"]["gross"]):
        return section("exposure", TITLES["exposure"], empty("The equity is nowhere above zero."))
    lead = (
        "The notional held as a share of the equity at the same mark, longs and shorts added (gross) and longs less "
        f"shorts (net). Most gross: {percent(measures.get('gross_max'), 1)}, "
        f"mean {percent(measures.get('gross_mean'), 1)}, "
        f"mean net {percent(measures.get('net_mean'), 1, signed=True)}; in the market "
        f"{percent(measures['time_fraction'], 1)} of the time."
    )
    return section("exposure", TITLES["exposure"], chart("exposure", "Exposure over time", size="low"), lead=lead)


def rolling(figures: Figures) -> str:
    """Return the place of the rolling Sharpe ratio."""
    found = figures["rolling_sharpe"]
    if not found["value"]:
        few = (
            f"The run has {count(found['returns'])} daily returns; a rolling ratio needs {count(found['window'] + 1)}."
        )
        return section("rolling", TITLES["rolling"], empty(few))
    lead = (
        f"Sharpe ratio of the last {count(found['window'])} daily returns, annualised by "
        f"{count(figures['metrics']['periods_per_year'])} periods a year, risk-free rate 0."
    )
    return section("rolling", TITLES["rolling"], chart("rolling", "Rolling Sharpe ratio", size="low"), lead=lead)
