"""The metrics of the runs on the page: which of them, in which order, which way is better, their values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from boxgate_engine.report.extremes import Floats
from boxgate_engine.report.matrix.facts import MatrixFacts
from boxgate_engine.report.matrix.index import MatrixIndex
from boxgate_engine.report.metric_values import is_signed, metric_kind, metric_title

_NUMBERS_MAX: Final = 320_000
"""Numbers of a page: a matrix of many runs shows fewer metrics of each; the index has all."""
_METRICS_MIN: Final = 8
_DIGITS: Final = 10
"""Significant digits of a number on the page."""
_FIRST: Final = (
    "ratio.sharpe", "return.total", "risk.max_drawdown", "trades.count", "ratio.sortino", "return.cagr", "ratio.mar",
    "trades.profit_factor", "trades.win_rate", "risk.volatility", "return.net_profit", "trades.expectancy",
    "exposure.time_fraction", "exposure.turnover", "ratio.deflated_sharpe", "costs.fees", "counts.rejected",
)  # fmt: skip
"""What is shown of any matrix, after objectives and constraints."""
_LESS: Final = ("risk.", "costs.", "counts.")
_MORE: Final = frozenset({"risk.var_95", "risk.cvar_95", "risk.skew"})
_ALSO_LESS: Final = frozenset({"trades.losses_in_a_row", "exposure.turnover"})


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One metric. is_better_large: whether more of it is better.

    values: shape (runs,), as the page holds them, NaN where it is undefined.
    """

    path: str
    values: Floats
    is_better_large: bool

    def data(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "path": self.path,
            "title": metric_title(self.path),
            "kind": metric_kind(self.path),
            "signed": is_signed(self.path),
            "better": 1 if self.is_better_large else -1,
            "values": [shortened(value) for value in self.values.tolist()],
        }


def find_measures(index: MatrixIndex, facts: MatrixFacts) -> list[Measure]:
    """Return the metrics of the page, the first objective first; those without any value are left out."""
    columns = index.metrics
    wanted = [one.metric for one in facts.objectives] + [one.metric for one in facts.constraints]
    ordered = [path for path in dict.fromkeys([*wanted, *_FIRST, *sorted(columns)]) if path in columns]
    most = max(_METRICS_MIN, _NUMBERS_MAX // max(1, index.runs.height))
    directions = {one.metric: one.is_better_large for one in facts.objectives}
    found: list[Measure] = []
    for path in ordered:
        values: Floats = index.runs[columns[path]].to_numpy().astype(np.float64)
        values = np.array([_rounded(value) for value in values.tolist()], dtype=np.float64)
        if not np.isnan(values).all():
            large = directions.get(path, is_better_large(path))
            found.append(Measure(path=path, values=values, is_better_large=large))
        if len(found) == most:
            break
    return found


def is_better_large(path: str) -> bool:
    """Return whether more of a metric is usually better."""
    return path in _MORE or not (path.startswith(_LESS) or path in _ALSO_LESS)


def of_path(measures: Sequence[Measure], path: str) -> Measure | None:
    """Return the metric with this path, None if the page does not have it."""
    return next((one for one in measures if one.path == path), None)


def _rounded(value: float) -> float:
    short = shortened(value) if math.isfinite(value) else None
    return math.nan if short is None else short


def shortened(value: float) -> int | float | None:
    """Return a number as the page holds it, None for NaN."""
    if math.isnan(value):
        return None
    if value.is_integer() and abs(value) < 1e15:
        return int(value)
    return float(f"{value:.{_DIGITS}g}")
