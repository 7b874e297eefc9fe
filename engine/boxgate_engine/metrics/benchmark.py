"""A run against buying and holding: what it made more, and how much of it followed the market."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pyarrow as pa

from boxgate_engine.metrics.arrays import Figures, correlation, finite, ratio
from boxgate_engine.metrics.drawdowns import drawdown
from boxgate_engine.metrics.returns import DailyMarks, growth_figures

BENCHMARK_FILE: Final = "benchmark.parquet"
"""Name of the table in a run folder."""
BENCHMARK: Final = pa.schema(
    [
        pa.field("time", pa.timestamp("ns", tz="UTC"), nullable=False),
        pa.field("instrument", pa.string(), nullable=False),
        pa.field("equity", pa.float64(), nullable=False),
    ]
)
"""Its columns. Rows: the start and the last mark of each UTC day, by instrument in the order of the run."""


def benchmark_figures(run: DailyMarks, held: DailyMarks, periods: int) -> Figures:
    """Return the figures of a benchmark and of the run against it.

    run, held: daily marks of both; only days that both have count in alpha, beta and correlation. periods: marks of a
    year.
    """
    growth = growth_figures(held.returns, periods)
    return {
        "cagr": growth["cagr"],
        "volatility": growth["volatility"],
        "sharpe": growth["sharpe"],
        "max_drawdown_daily": float(drawdown(held.marks).max()) if held.marks[0] > 0 else None,
        **_regression(run, held, periods),
    }


def _regression(run: DailyMarks, held: DailyMarks, periods: int) -> Figures:
    """Return alpha, beta, correlation, tracking_error and information_ratio of the daily returns; None if undefined."""
    names = ("alpha", "beta", "correlation", "tracking_error", "information_ratio")
    figures: Figures = dict.fromkeys(names)
    _, own, other = np.intersect1d(run.days, held.days, assume_unique=True, return_indices=True)
    ours, theirs = (DailyMarks(days=one.days[at], marks=one.marks[at]) for one, at in ((run, own), (held, other)))
    returns, market = ours.returns, theirs.returns
    if returns is None or market is None or len(returns) < 2:
        return figures
    n = len(returns)
    middle, market_middle = math.fsum(returns) / n, math.fsum(market) / n
    shifted, market_shifted = np.array(returns) - middle, np.array(market) - market_middle
    figures["correlation"] = correlation(returns, market)
    if min(market) != max(market):
        beta = math.fsum(shifted * market_shifted) / math.fsum(market_shifted * market_shifted)
        figures["beta"] = finite(beta)
        figures["alpha"] = finite((middle - beta * market_middle) * periods)
    excess = np.array(returns) - np.array(market)
    if excess.min() != excess.max():
        deviation = math.sqrt(math.fsum((shifted - market_shifted) ** 2) / (n - 1))
        figures["tracking_error"] = finite(deviation * math.sqrt(periods))
        figures["information_ratio"] = ratio((middle - market_middle) * math.sqrt(periods), deviation)
    else:
        figures["tracking_error"] = 0.0
    return figures
