"""Daily marks, their returns, and what is computed from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from boxgate_engine.metrics.arrays import DAY_NS, Figures, Float64Array, Int64Array, finite, ratio

_TAIL = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class DailyMarks:
    """The last mark of each UTC day that has one. days: numbers since 1970-01-01, shape (d,). marks: shape (d,)."""

    days: Int64Array
    marks: Float64Array

    @property
    def returns(self) -> list[float] | None:
        """Simple returns, shape (d - 1,); None where a mark before the last is not above zero."""
        marks = self.marks
        if not (marks[:-1] > 0).all():
            return None
        simple: list[float] = (marks[1:] / marks[:-1] - 1.0).tolist()
        return simple


def daily_marks(times_ns: Int64Array, equity: Float64Array) -> DailyMarks:
    """Return the daily marks of a curve. times_ns, equity: shape (n,), n >= 1, oldest first."""
    last = last_of_each(times_ns, DAY_NS)
    return DailyMarks(days=times_ns[last] // DAY_NS, marks=equity[last])


def last_of_each(times_ns: Int64Array, span_ns: int) -> Int64Array:
    """Return the index of the last time in each whole span since 1970-01-01 that has one, ascending.

    times_ns: shape (n,), n >= 1, oldest first.
    """
    first, last = int(times_ns[0]) // span_ns, int(times_ns[-1]) // span_ns
    if last - first >= len(times_ns):
        return np.append(np.flatnonzero(np.diff(times_ns // span_ns)), len(times_ns) - 1)
    # Far fewer spans than times: each end is looked up instead of dividing every time.
    ends = np.searchsorted(times_ns, np.arange(first + 1, last + 1, dtype=np.int64) * span_ns)
    ends = np.append(ends, len(times_ns))
    last_rows: Int64Array = ends[np.append(ends[1:] > ends[:-1], True)] - 1
    return last_rows


def period_figures(daily: DailyMarks) -> Figures:
    """Return best and worst day and month, and the shares of those with a gain."""
    days, months = daily.returns or [], _monthly(daily)
    return {
        "best_day": finite(max(days)) if days else None,
        "worst_day": finite(min(days)) if days else None,
        "positive_days": _positive(days),
        "best_month": finite(max(months)) if months else None,
        "worst_month": finite(min(months)) if months else None,
        "positive_months": _positive(months),
    }


def growth_figures(
    returns: list[float] | None, periods: int, *, trials: int = 1, trial_deviation: float = 0.0
) -> Figures:
    """Return what is computed from all returns. returns: shape (n,); None where they have no meaning.

    periods: marks of a year. trials: how many runs this one was chosen from, trial_deviation the standard deviation of
    their Sharpe ratios, per period. Names: cagr, volatility, downside_deviation, skew, kurtosis, var_95, cvar_95,
    sharpe, sortino, omega, tail_ratio, probabilistic_sharpe, deflated_sharpe.
    """
    names = (
        "cagr", "volatility", "downside_deviation", "skew", "kurtosis", "var_95", "cvar_95", "sharpe", "sortino",
        "omega", "tail_ratio", "probabilistic_sharpe", "deflated_sharpe",
    )  # fmt: skip
    figures: Figures = dict.fromkeys(names)
    if not returns:
        return figures
    n = len(returns)
    mean = math.fsum(returns) / n
    year = math.sqrt(periods)
    downside = math.sqrt(math.fsum(min(r, 0.0) ** 2 for r in returns) / n)
    figures["cagr"] = _compound(returns, periods / n)
    figures["downside_deviation"] = finite(downside * year)
    figures["sortino"] = ratio(mean * year, downside)
    gains, losses = math.fsum(max(r, 0.0) for r in returns), -math.fsum(min(r, 0.0) for r in returns)
    figures["omega"] = ratio(gains, losses)
    figures["var_95"] = quantile(returns, _TAIL)
    # The worst returns, as many as lie at or below the quantile's place.
    figures["cvar_95"] = _mean(sorted(returns)[: int((n - 1) * _TAIL) + 1])
    upper, lower = quantile(returns, 1.0 - _TAIL), figures["var_95"]
    figures["tail_ratio"] = None if upper is None or lower is None else ratio(abs(upper), abs(lower))
    # Equal returns have no spread; their rounded mean must not make one.
    if n > 1 and min(returns) < max(returns):
        deviation = math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (n - 1))
        figures["volatility"] = finite(deviation * year)
        figures["sharpe"] = ratio(mean * year, deviation)
        figures |= _shape(returns, mean)
        if deviation > 0.0:
            figures["probabilistic_sharpe"] = probabilistic_sharpe(returns, benchmark=0.0)
        luck = expected_best_sharpe(trials, trial_deviation)
        figures["deflated_sharpe"] = probabilistic_sharpe(returns, benchmark=luck)
    elif n > 1:
        figures["volatility"] = 0.0
    return figures


def quantile(values: list[float], share: float) -> float | None:
    """Return the quantile, interpolated between the two nearest values, None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return finite(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def probabilistic_sharpe(returns: list[float], *, benchmark: float) -> float | None:
    """Return the probability that the true Sharpe ratio is above a benchmark.

    benchmark: Sharpe ratio of one period, not annualised. Undefined below three returns and where the estimate of the
    variance is not positive. Source: Bailey, Lopez de Prado, The Sharpe Ratio Efficient Frontier, 2012, equation 11.
    """
    n = len(returns)
    mean = math.fsum(returns) / n
    moments = [math.fsum((r - mean) ** power for r in returns) / n for power in (2, 3, 4)]
    if n < 3 or moments[0] == 0.0:
        return None
    sharpe = mean / math.sqrt(moments[0] * n / (n - 1))
    skew, kurtosis = moments[1] / moments[0] ** 1.5, moments[2] / moments[0] ** 2
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if not variance > 0.0:
        return None
    return finite(NormalDist().cdf((sharpe - benchmark) * math.sqrt((n - 1) / variance)))


def expected_best_sharpe(trials: int, deviation: float) -> float:
    """Return the Sharpe ratio that the best of so many worthless trials is expected to show.

    trials: >= 1. deviation: standard deviation of the trials' Sharpe ratios, per period as the ratio itself.
    Source: Bailey, Lopez de Prado, The Deflated Sharpe Ratio, 2014, equation 1.
    """
    if trials == 1:
        return 0.0
    normal, euler = NormalDist(), 0.5772156649015329
    return deviation * (
        (1.0 - euler) * normal.inv_cdf(1.0 - 1.0 / trials) + euler * normal.inv_cdf(1.0 - 1.0 / (trials * math.e))
    )


def _monthly(daily: DailyMarks) -> list[float]:
    """Return the returns of calendar months (UTC), the first over the first daily mark; empty where undefined."""
    if len(daily.marks) < 2 or not (daily.marks[:-1] > 0).all():
        return []
    ends: dict[tuple[int, int], float] = {}
    for day, mark in zip(daily.days.tolist()[1:], daily.marks.tolist()[1:], strict=True):
        moment = datetime.fromtimestamp(day * 86_400, UTC)
        ends[moment.year, moment.month] = mark
    marks = [float(daily.marks[0]), *ends.values()]
    return [after / before - 1.0 for before, after in pairwise(marks)]


def _shape(returns: list[float], mean: float) -> Figures:
    """Return skew and excess kurtosis of a sample, adjusted for its size (G1 and G2)."""
    n = len(returns)
    second, third, fourth = (math.fsum((r - mean) ** power for r in returns) / n for power in (2, 3, 4))
    figures: Figures = {"skew": None, "kurtosis": None}
    if second == 0.0:
        return figures
    if n > 2:
        figures["skew"] = finite(math.sqrt(n * (n - 1)) / (n - 2) * third / second**1.5)
    if n > 3:
        excess = fourth / second**2 - 3.0
        figures["kurtosis"] = finite((n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess + 6.0))
    return figures


def _compound(returns: list[float], years_inverse: float) -> float | None:
    product = math.prod(1.0 + r for r in returns)
    if not 0.0 < product < math.inf:
        return None
    try:
        return finite(product**years_inverse - 1.0)
    except OverflowError:
        return None


def _positive(values: list[float]) -> float | None:
    return sum(value > 0 for value in values) / len(values) if values else None


def _mean(values: list[float]) -> float | None:
    return finite(math.fsum(values) / len(values)) if values else None
