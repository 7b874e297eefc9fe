"""What the closed trades made."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from boxgate_engine.metrics.arrays import (
    Figures,
    Float64Array,
    correlation,
    exact_sum,
    finite,
    floats,
    integers,
    mean,
    ratio,
)

_NAMES = (
    "win_rate", "payoff", "profit_factor", "expectancy", "best", "worst", "winner_mean", "loser_mean", "sqn",
    "mae_mean", "mfe_mean", "mae_net_correlation", "mfe_net_correlation", "holding_mean_ns", "holding_median_ns",
    "holding_max_ns", "wins_in_a_row", "losses_in_a_row", "long_count", "short_count",
)  # fmt: skip


def trade_figures(trades: pa.Table) -> Figures:
    """Return the metrics of the trades, in the order of the table."""
    count = trades.num_rows
    if count == 0:
        return {"count": 0, **dict.fromkeys(_NAMES)}
    net, mae, mfe = (floats(trades[name]) for name in ("net_pnl", "mae", "mfe"))
    wins, losses = net[net > 0], net[net < 0]
    won, lost = exact_sum(wins), -exact_sum(losses)
    holding_ns = integers(trades["exit_time_ns"]) - integers(trades["entry_time_ns"])
    longs = int(pc.sum(pc.equal(trades["side"], "LONG")).as_py())
    return {
        "count": count,
        "win_rate": len(wins) / count,
        "payoff": ratio(won / len(wins), lost / len(losses)) if len(wins) and len(losses) else None,
        "profit_factor": ratio(won, lost),
        "expectancy": mean(net),
        "best": finite(float(net.max())),
        "worst": finite(float(net.min())),
        "winner_mean": mean(wins),
        "loser_mean": mean(losses),
        "sqn": _quality(net),
        "mae_mean": mean(mae),
        "mfe_mean": mean(mfe),
        "mae_net_correlation": correlation(mae, net),
        "mfe_net_correlation": correlation(mfe, net),
        "holding_mean_ns": (2 * sum(holding_ns.tolist()) + count) // (2 * count),
        "holding_median_ns": int(np.sort(holding_ns)[(count - 1) // 2]),
        "holding_max_ns": int(holding_ns.max()),
        "wins_in_a_row": _streak(net > 0),
        "losses_in_a_row": _streak(net < 0),
        "long_count": longs,
        "short_count": count - longs,
    }


def _quality(net: Float64Array) -> float | None:
    """Return the system quality number: √n · mean / standard deviation of the trades' results."""
    n = len(net)
    if n < 2 or float(net.min()) == float(net.max()):
        return None
    middle = exact_sum(net) / n
    return ratio(math.sqrt(n) * middle, math.sqrt(exact_sum((net - middle) ** 2) / (n - 1)))


def _streak(hits: npt.NDArray[np.bool_]) -> int:
    """Return how many hits came in a row at most."""
    edges = np.flatnonzero(np.diff(hits, prepend=False, append=False))
    return int(np.diff(edges)[::2].max(initial=0))
