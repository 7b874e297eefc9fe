"""Returns of days and months, and histograms."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from boxgate_engine.report.extremes import Floats, Integers

_DAY_NS: Final = 86_400_000_000_000
_BINS: Final = 32


def monthly_returns(time_ns: Integers, equity: Floats) -> list[dict[str, Any]]:
    """Return one entry per calendar year (UTC): {year, months: 12 fractions or None, total}.

    A month's return is its last mark over the last mark of the month before (the first over the opening mark), so
    that the months multiply to the return of the run. None without a mark in the month, or where the earlier mark is
    not above zero.
    """
    years: dict[int, dict[str, Any]] = {}
    base = year_base = float(equity[0]) if len(equity) else 0.0
    for month, mark in _month_ends(time_ns, equity):
        year, index = divmod(month, 12)
        if year not in years:
            year_base = base
            years[year] = {"year": year, "months": [None] * 12, "total": None}
        years[year]["months"][index] = mark / base - 1 if base > 0 else None
        years[year]["total"] = mark / year_base - 1 if year_base > 0 else None
        base = mark
    return list(years.values())


def daily_returns(time_ns: Integers, equity: Floats) -> Floats:
    """Return simple returns between the last marks of UTC days, the first day dropped.

    Empty if there are fewer than two days or a mark before the last is not above zero.
    """
    days = time_ns // _DAY_NS
    marks = equity[np.append(np.flatnonzero(np.diff(days)), len(days) - 1)] if len(days) else equity
    if len(marks) < 2 or np.any(marks[:-1] <= 0):
        return np.empty(0, dtype=np.float64)
    returns: Floats = marks[1:] / marks[:-1] - 1
    return returns


def histogram(values: Floats, bins: int = _BINS) -> tuple[list[float], list[int]]:
    """Return edges (k + 1) and counts (k) with a round bin width and one edge at zero, so that no bin mixes signs.

    values: shape (n,), n >= 1, finite. bins: about how many; the round width gives up to twice as many.
    """
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    width = _round_width((high - low) / bins)
    # A value of exactly an upper edge belongs to the next bin, as does zero to the first above.
    index = np.floor(values / width).astype(np.int64)
    first, last = int(index.min()), int(index.max())
    counts = np.bincount(index - first, minlength=last - first + 1)
    edges = [round(step * width, 12) for step in range(first, last + 2)]
    return edges, counts.tolist()


def distribution(values: Floats) -> dict[str, Any]:
    """Return the histogram of values of shape (n,) and its figures; only the count 0 of none."""
    if not len(values):
        return {"count": 0}
    edges, counts = histogram(values)
    return {
        "count": len(values),
        "edges": edges,
        "counts": counts,
        "mean": math.fsum(values) / len(values),
        "median": float(np.median(values)),
        "best": float(values.max()),
        "worst": float(values.min()),
        "p5": float(np.quantile(values, 0.05)),
        "p95": float(np.quantile(values, 0.95)),
        "positive": int((values > 0).sum()),
        "zero": int((values == 0).sum()),
        "negative": int((values < 0).sum()),
    }


def _round_width(width: float) -> float:
    if width <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= width * (1 - 1e-12))


def _month_ends(time_ns: Integers, equity: Floats) -> list[tuple[int, float]]:
    """Return (12 · year + month from 0, last mark) of each month with a mark."""
    if not len(time_ns):
        return []
    days = time_ns // _DAY_NS
    ends = np.append(np.flatnonzero(np.diff(days)), len(days) - 1)
    marks: dict[int, float] = {}
    for end in ends.tolist():
        moment = datetime.fromtimestamp(int(days[end]) * 86_400, UTC)
        marks[12 * moment.year + moment.month - 1] = float(equity[end])
    return list(marks.items())
