"""The price of one instrument over the window, and what of it the page draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from boxgate_engine.instruments import Instrument
from boxgate_engine.report.extremes import Floats, Integers, thin_bars, time_steps

CANDLES_MAX: Final = 1_200
"""Up to this many bars are drawn one by one; more are thinned to the extremes of each bucket."""
BUCKETS_ALL: Final = 48_000
"""Buckets of all instruments together, so that a page of many stays small."""
BUCKETS_MIN: Final = 1_600
"""Buckets of one instrument among many: one for each pixel column of a wide page."""
BUCKETS_MAX: Final = 16_000
"""Buckets of one instrument: ten for each pixel column, so that a zoom of ten times stays sharp."""
_DECIMALS_MAX: Final = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class PricePanel:
    """The execution series of one instrument inside the window, in full.

    frame: its name, `tick` for ticks. time_ns: shape (n,), opens of bars or times of ticks, never decreasing, n >= 0.
    open, high, low, close: shape (n,), the price columns in quote currency; for ticks all four may be one array.
    """

    symbol: str
    frame: str
    time_ns: Integers
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    def __post_init__(self) -> None:
        lengths = {len(self.time_ns), len(self.open), len(self.high), len(self.low), len(self.close)}
        assert len(lengths) == 1, (self.symbol, lengths)


def price_figures(panels: Sequence[PricePanel], decimals: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return for each panel what the page draws: candles where they are few, else the line through the extremes.

    decimals: of `decimals_by_symbol`.
    """
    buckets = max(BUCKETS_MIN, min(BUCKETS_MAX, BUCKETS_ALL // max(1, len(panels))))
    return [_figure(panel, buckets) | {"decimals": decimals[panel.symbol]} for panel in panels]


def decimals_by_symbol(panels: Sequence[PricePanel], instruments: Sequence[Instrument]) -> dict[str, int]:
    """Return how many decimals the prices of each symbol are shown with: those of its tick, else of what its bars have.

    The prices alone may not use the last decimal of the grid, while fills, rounded to the tick, do.
    """
    judged = {
        panel.symbol: max(price_decimals(column) for column in (panel.open, panel.high, panel.low, panel.close))
        for panel in panels
    }
    return judged | {instrument.symbol: tick_decimals(instrument.tick_size) for instrument in instruments}


def tick_decimals(tick_size: Fraction) -> int:
    """Return how many decimals every multiple of the tick needs, at most 8."""
    for decimals in range(_DECIMALS_MAX):
        if (tick_size * 10**decimals).denominator == 1:
            return decimals
    return _DECIMALS_MAX


def price_decimals(values: Floats) -> int:
    """Return how many decimals show these prices whole, 0 to 8; judged by up to 4,096 of them, evenly spread."""
    sample = values[:: max(1, len(values) // 4096)]
    sample = sample[np.isfinite(sample)]
    for decimals in range(_DECIMALS_MAX):
        if np.allclose(np.round(sample, decimals), sample, rtol=1e-12, atol=0.0):
            return decimals
    return _DECIMALS_MAX


def _figure(panel: PricePanel, buckets: int) -> dict[str, Any]:
    rows = len(panel.time_ns)
    figure: dict[str, Any] = {
        "symbol": panel.symbol,
        "frame": panel.frame,
        "rows": rows,
        "first_open": float(panel.open[0]) if rows else None,
        "last_close": float(panel.close[-1]) if rows else None,
        "highest": float(panel.high.max()) if rows else None,
        "lowest": float(panel.low.min()) if rows else None,
    }
    if panel.frame != "tick" and rows <= CANDLES_MAX:
        return figure | {
            "style": "candles",
            "time": time_steps(panel.time_ns),
            "open": panel.open.tolist(),
            "high": panel.high.tolist(),
            "low": panel.low.tolist(),
            "close": panel.close.tolist(),
        }
    rising = panel.close >= panel.open
    kept = thin_bars(panel.time_ns, panel.low, panel.high, rising, buckets)
    bar, is_second = kept // 2, kept % 2 == 1
    value = np.where(is_second == rising[bar], panel.high[bar], panel.low[bar])
    # A tick has one price: its low and high are the same point, which is drawn once.
    distinct = np.concatenate([[True], (np.diff(bar) != 0) | (np.diff(value) != 0)])[: len(bar)]
    return figure | {
        "style": "extremes",
        "buckets": buckets,
        "time": time_steps(panel.time_ns[bar][distinct]),
        "value": value[distinct].tolist(),
    }
