"""How much was held, how long, and how much was turned over."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from boxgate_engine.metrics.arrays import YEAR_NS, Figures, Float64Array, Int64Array, finite, floats, integers


def exposure_figures(curve: pa.Table, fills: pa.Table, contract_values: Float64Array) -> Figures:
    """Return the metrics of exposure and turnover.

    curve: the full equity curve. contract_values: notional of each fill in account currency, shape (fills,). What a
    mark says holds until the next mark.
    """
    times_ns = integers(curve["time"])
    gross, net, equity = (floats(curve[name]) for name in ("exposure_gross", "exposure_net", "equity"))
    span_ns = int(times_ns[-1] - times_ns[0])
    figures: Figures = dict.fromkeys(("time_fraction", "gross_mean", "gross_max", "net_mean", "turnover"))
    if span_ns == 0:
        return figures
    steps_ns = np.diff(times_ns)
    figures["time_fraction"] = int(steps_ns[gross[:-1] > 0].sum()) / span_ns
    if (equity > 0).all():
        figures["gross_mean"] = _weighted(gross / equity, steps_ns, span_ns)
        figures["gross_max"] = finite(float((gross / equity).max()))
        figures["net_mean"] = _weighted(net / equity, steps_ns, span_ns)
        middle = _weighted(equity, steps_ns, span_ns)
        if middle:
            figures["turnover"] = finite(math.fsum(contract_values) / middle / (span_ns / YEAR_NS))
    return figures


def _weighted(values: Float64Array, steps_ns: Int64Array, span_ns: int) -> float | None:
    """Return the mean over time of values that hold until the next one."""
    return finite(math.fsum(values[:-1] * steps_ns) / span_ns)
