"""The metrics of a run, computed from its tables.

Source: docs/spec/metrics.md. What is undefined is None, never NaN or infinity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from boxgate_engine.tables import Tables

SCHEMA: Final = "boxgate.metrics/1"
DAY_NS: Final = 86_400_000_000_000

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What happened how often in a run."""

    events: int = 0
    bars: int = 0
    ticks: int = 0
    warmup_events: int = 0
    signals: int = 0
    no_ops: int = 0
    rounded: int = 0
    rejected: int = 0
    unexecuted: int = 0
    path_dependent_bars: int = 0
    history_restarts: int = 0


def compute_metrics(
    tables: Tables,
    *,
    currency: str,
    initial_cash: float,
    all_weekend: bool,
    counts: Counts,
    spread_cost: float = 0.0,
    funding_cost: float = 0.0,
    swap_cost: float = 0.0,
    open_positions: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the content of metrics.json.

    tables: the full equity curve, its first row the start. initial_cash: > 0. all_weekend: every instrument trades on
    weekends, so a year has 365 marks, else 252. Costs are in account currency, positive = paid. open_positions: one
    mapping per position with instrument, side, qty, entry_price, mark_price and unrealised_pnl.
    """
    times_ns = _integers(tables.equity["time"])
    equity = _floats(tables.equity["equity"])
    assert len(equity) > 0, "the first row is the start"
    periods = 365 if all_weekend else 252
    daily = equity[_last_of_each_day(times_ns)]
    growth = _growth(daily, periods)
    final = float(equity[-1])
    return {
        "schema": SCHEMA,
        "currency": currency,
        "periods_per_year": periods,
        "return": {
            "total": _finite(final / initial_cash - 1.0),
            "cagr": growth["cagr"],
            "net_profit": _finite(final - initial_cash),
        },
        "risk": {
            "volatility": growth["volatility"],
            "max_drawdown": float(drawdown(equity).max()),
            "max_drawdown_daily": growth["max_drawdown_daily"],
            "max_drawdown_length_ns": drawdown_length_ns(times_ns, equity),
        },
        "ratio": {"sharpe": growth["sharpe"], "sortino": growth["sortino"], "mar": growth["mar"]},
        "trades": _trades(tables.trades),
        "exposure": {"time_fraction": _time_fraction(times_ns, _floats(tables.equity["exposure_gross"]))},
        "costs": {
            "fees": _sum(tables.fills["fee"]),
            "slippage": _sum(tables.fills["slippage"]),
            "spread": _finite(spread_cost),
            "funding": _finite(funding_cost),
            "swap": _finite(swap_cost),
        },
        "counts": asdict(counts),
        "open_positions": [dict(position) for position in open_positions],
        "equity": {"initial": float(initial_cash), "final": final},
    }


def drawdown(equity: Float64Array) -> Float64Array:
    """Return the relative fall from the running peak.

    equity: shape (n,), account currency, n >= 1, the first value > 0, oldest first. Returns shape (n,), a fraction in
    [0, 1]: 0.0 at each new peak, 1.0 where nothing or less is left.
    """
    peak = np.maximum.accumulate(equity)
    return np.clip(1.0 - equity / peak, 0.0, 1.0)


def drawdown_length_ns(times_ns: Int64Array, equity: Float64Array) -> int:
    """Return the longest time below a peak, in nanoseconds.

    It runs from the last mark at the peak to the first mark that reaches it again, or to the last mark of all.
    times_ns, equity: shape (n,), n >= 1, oldest first.
    """
    # Compared, not divided: a fall by one unit in the last place is a fall.
    at_peak = np.flatnonzero(equity == np.maximum.accumulate(equity))
    ends = np.append(at_peak[1:], len(equity) - 1)
    below = ends - at_peak > 1
    below[-1] = ends[-1] > at_peak[-1]
    lengths = (times_ns[ends] - times_ns[at_peak])[below]
    return int(lengths.max()) if len(lengths) else 0


def _last_of_each_day(times_ns: Int64Array) -> npt.NDArray[np.intp]:
    days = times_ns // DAY_NS
    return np.append(np.flatnonzero(np.diff(days)), len(days) - 1)


def _growth(daily: Float64Array, periods: int) -> dict[str, float | None]:
    """Return the metrics of daily returns. daily: marks, shape (days,), days >= 1."""
    falls = float(drawdown(daily).max()) if daily[0] > 0 else None
    figures: dict[str, float | None] = dict.fromkeys(("cagr", "volatility", "sharpe", "sortino", "mar"))
    figures["max_drawdown_daily"] = falls
    n = len(daily) - 1
    if n == 0 or not (daily[:-1] > 0).all():
        return figures  # a return on nothing or less has no meaning
    returns = (daily[1:] / daily[:-1] - 1.0).tolist()
    mean = math.fsum(returns) / n
    year = math.sqrt(periods)
    if n > 1:
        # Equal returns have no spread; their rounded mean must not make one.
        flat = min(returns) == max(returns)
        deviation = 0.0 if flat else math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (n - 1))
        figures["volatility"] = _finite(deviation * year)
        figures["sharpe"] = _ratio(mean * year, deviation)
    downside = math.sqrt(math.fsum(min(r, 0.0) ** 2 for r in returns) / n)
    figures["sortino"] = _ratio(mean * year, downside)
    figures["cagr"] = _compound(returns, periods / n)
    if figures["cagr"] is not None and falls is not None:
        figures["mar"] = _ratio(figures["cagr"], falls)
    return figures


def _compound(returns: list[float], years_inverse: float) -> float | None:
    product = math.prod(1.0 + r for r in returns)
    if not 0.0 < product < math.inf:
        return None
    try:
        return _finite(product**years_inverse - 1.0)
    except OverflowError:
        return None


def _trades(trades: pa.Table) -> dict[str, float | int | None]:
    count = trades.num_rows
    if count == 0:
        names = ("win_rate", "payoff", "profit_factor", "expectancy", "mae_mean", "mfe_mean", "holding_mean_ns")
        return {"count": 0, **dict.fromkeys(names)}
    net = _floats(trades["net_pnl"])
    wins, losses = net[net > 0], net[net < 0]
    won, lost = math.fsum(wins.tolist()), -math.fsum(losses.tolist())
    holding_ns = sum((_integers(trades["exit_time_ns"]) - _integers(trades["entry_time_ns"])).tolist())
    return {
        "count": count,
        "win_rate": len(wins) / count,
        "payoff": _ratio(won / len(wins), lost / len(losses)) if len(wins) and len(losses) else None,
        "profit_factor": _ratio(won, lost),
        "expectancy": _mean(trades["net_pnl"]),
        "mae_mean": _mean(trades["mae"]),
        "mfe_mean": _mean(trades["mfe"]),
        "holding_mean_ns": (2 * holding_ns + count) // (2 * count),
    }


def _time_fraction(times_ns: Int64Array, exposure: Float64Array) -> float | None:
    """Return the share of time after a mark with an open position, until the next mark."""
    span_ns = int(times_ns[-1] - times_ns[0])
    if span_ns == 0:
        return None
    held_ns = int(np.diff(times_ns)[exposure[:-1] > 0].sum())
    return held_ns / span_ns


def _ratio(above: float, below: float) -> float | None:
    return None if below == 0.0 else _finite(above / below)


def _finite(value: float) -> float | None:
    return float(value) + 0.0 if math.isfinite(value) else None


def _sum(column: pa.ChunkedArray) -> float | None:
    return _finite(math.fsum(_floats(column).tolist()))


def _mean(column: pa.ChunkedArray) -> float | None:
    return _finite(math.fsum(_floats(column).tolist()) / len(column))


def _floats(column: pa.ChunkedArray) -> Float64Array:
    values: Float64Array = column.to_numpy()
    return values


def _integers(column: pa.ChunkedArray) -> Int64Array:
    values: Int64Array = column.cast(pa.int64()).to_numpy()
    return values
