"""How much was held, how long, and how much was turned over."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from boxgate_engine.metrics.arrays import (
    YEAR_NS,
    ExactSum,
    Figures,
    Float64Array,
    exact_sum,
    finite,
    floats,
    integers,
)

_BLOCK: Final = 1 << 15
"""Marks that are looked at together: few enough to stay in the processor's cache."""


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
    solvent = float(equity.min()) > 0
    held_ns, most = 0, float(gross[-1] / equity[-1]) if solvent else 0.0
    gross_sum, net_sum, equity_sum = ExactSum(), ExactSum(), ExactSum()
    room = np.empty((2, min(_BLOCK, len(times_ns) - 1)))
    for start in range(0, len(times_ns) - 1, _BLOCK):
        end = min(start + _BLOCK, len(times_ns) - 1)
        steps_ns = np.diff(times_ns[start : end + 1])
        held, worth = gross[start:end], equity[start:end]
        held_ns += int(steps_ns[held > 0].sum())
        if solvent:
            steps, weighed = room[:, : end - start]
            steps[:] = steps_ns
            np.divide(held, worth, out=weighed)
            most = max(most, float(weighed.max()))
            gross_sum.add(np.multiply(weighed, steps, out=weighed))
            np.divide(net[start:end], worth, out=weighed)
            net_sum.add(np.multiply(weighed, steps, out=weighed))
            equity_sum.add(np.multiply(worth, steps, out=weighed))
    figures["time_fraction"] = held_ns / span_ns
    if solvent:
        figures["gross_mean"] = finite(gross_sum.value() / span_ns)
        figures["gross_max"] = finite(most)
        figures["net_mean"] = finite(net_sum.value() / span_ns)
        middle = finite(equity_sum.value() / span_ns)
        if middle:
            figures["turnover"] = finite(exact_sum(contract_values) / middle / (span_ns / YEAR_NS))
    return figures
