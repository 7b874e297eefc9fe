"""What the page draws over time beside the price."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from boxgate_engine.artefacts.curve import DEEPEST_KEPT
from boxgate_engine.metrics.drawdowns import deepest_drawdowns as deepest_of
from boxgate_engine.metrics.returns import daily_marks
from boxgate_engine.report.extremes import Floats, Integers, thin, time_steps
from boxgate_engine.report.run_files import RunFiles

CURVE_BUCKETS: Final = 6_000
"""Buckets of the equity and drawdown curves: four for each pixel column of a wide page."""
EXPOSURE_BUCKETS: Final = 3_000
"""Buckets of each of the two exposures."""
ROLLING_WINDOW: Final = 63
"""Daily returns in a rolling Sharpe ratio: a quarter of a year of trading days."""
ROLLING_SHORT: Final = 21
"""The window of runs that are too short for the longer one to say something: fewer than twice as many returns."""
_DAY_NS: Final = 86_400_000_000_000
_DECIMALS: Final = 8


def curve(time_ns: Integers, values: Floats, decimals: int) -> dict[str, Any]:
    """Return {rows, time, value}, thinned. time_ns, values: shape (n,)."""
    kept = thin(time_ns, values, CURVE_BUCKETS)
    return {"rows": len(time_ns), "time": time_steps(time_ns[kept]), "value": np.round(values[kept], decimals).tolist()}


def equity(files: RunFiles, decimals: int) -> dict[str, Any]:
    """Return the curve of the equity, and besides {resolution, marks}: which marks are stored of how many."""
    full = files.full_curve
    return {
        **curve(files.time_ns, files.equity, decimals),
        "resolution": "bar" if full is None else full.resolution,
        "marks": len(files.time_ns) if full is None else full.marks,
    }


def exposure(files: RunFiles) -> dict[str, Any]:
    """Return {rows, time, gross, net}: notional over equity at the marks whose equity is above zero, thinned."""
    held = files.equity > 0
    time_ns, equity = files.time_ns[held], files.equity[held]
    gross, net = files.exposure_gross[held] / equity, files.exposure_net[held] / equity
    kept = np.union1d(thin(time_ns, gross, EXPOSURE_BUCKETS), thin(time_ns, net, EXPOSURE_BUCKETS))
    return {
        "rows": len(time_ns),
        "time": time_steps(time_ns[kept]),
        "gross": np.round(gross[kept], _DECIMALS).tolist(),
        "net": np.round(net[kept], _DECIMALS).tolist(),
    }


def rolling_sharpe(files: RunFiles) -> dict[str, Any]:
    """Return {window, returns, time, value}: the Sharpe ratio of the last `window` daily returns, day by day.

    value: None where all returns of the window are equal. returns: number of daily returns; value is empty where they
    are not more than the window.
    """
    marks = daily_marks(files.time_ns, files.equity)
    returns = np.array(marks.returns or [])
    count = len(returns)
    window = ROLLING_WINDOW if count >= 2 * ROLLING_WINDOW else ROLLING_SHORT
    values: list[float | None] = []
    if count > window:
        year = math.sqrt(float(files.metrics["periods_per_year"]))
        for part in np.lib.stride_tricks.sliding_window_view(returns, window):
            deviation = float(part.std(ddof=1)) if part.min() != part.max() else 0.0
            values.append(round(float(part.mean()) / deviation * year, _DECIMALS) if deviation else None)
    days = marks.days[window:] * _DAY_NS if values else np.zeros(0, np.int64)
    return {"window": window, "returns": count, "time": time_steps(days), "value": values}


def deepest_drawdowns(files: RunFiles) -> dict[str, Any]:
    """Return {count, deepest}: how many times below a peak there were, and the deepest of them, deepest first.

    Both of the full curve, also where not all its marks are stored.
    """
    full = files.full_curve
    count, chosen = (
        deepest_of(files.time_ns, files.equity, DEEPEST_KEPT) if full is None else (full.drawdowns, full.deepest)
    )
    return {
        "count": count,
        "deepest": [
            {
                "start_ns": one.from_ns,
                "trough_ns": one.deepest_ns,
                "end_ns": one.to_ns,
                "depth": one.depth,
                "length_ns": one.length_ns,
                "recovered": one.recovered,
            }
            for one in chosen
        ],
    }


def benchmark_curves(files: RunFiles, decimals: int) -> list[dict[str, Any]]:
    """Return {instrument, rows, time, value} of each instrument that was bought and held; empty without benchmark."""
    table = files.benchmark
    if table is None:
        return []
    names = table["instrument"].to_numpy(zero_copy_only=False)
    time_ns, equity = table["time"].cast("int64").to_numpy(), table["equity"].to_numpy()
    return [
        {"instrument": name} | curve(time_ns[names == name], equity[names == name], decimals)
        for name in dict.fromkeys(names.tolist())
    ]
