"""The quality report: what is odd about a series that is allowed, counted and located, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.grid import count_off_grid
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.datasets.market_week import closed_ns_between, is_open
from boxgate_engine.frames import FRAME_NS, TICK
from boxgate_engine.instruments import Instrument

_TICK_GAP_NS: Final = FRAME_NS["H1"]
"""Ticks have a gap where the market was open for longer than this without one."""

_LISTED_MAX: Final = 50
"""So many of the longest gaps are listed; all are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gaps:
    """Holes in a series while its market was open. Arrays have one entry per hole, in time order.

    from_ns: end of the bar (time of the tick) before. to_ns: open of the bar (time of the tick) after.
    missing: bars that the market's open hours would have held; for ticks 0. closures: pauses that the market explains.
    """

    from_ns: NDArray[np.int64]
    to_ns: NDArray[np.int64]
    missing: NDArray[np.int64]
    closures: int


def inspect(content: SeriesContent, instrument: Instrument) -> JsonObject:
    """Return the quality report of a series as JSON values.

    counts: name -> how many rows (bars or ticks) show it, only those that are not zero:
    off_grid_prices, outside_market_hours, zero_volume, flat, crossed (bid above ask), locked (bid equal to ask),
    repeated_time (ticks at the time of the tick before), repeated_row (ticks equal to an earlier one of the same time).
    gaps: count, missing_bars, closures, longest (a list of {from_ns, to_ns, missing_bars}, longest first).
    """
    counts = {
        "off_grid_prices": sum(count_off_grid(c, instrument.tick_size) for c in price_columns(content).values()),
        "outside_market_hours": _outside(content, instrument.trades_on_weekends),
        **_crossings(content),
        **(_tick_counts(content) if content.frame == TICK else _bar_counts(content)),
    }
    return {
        "counts": {name: count for name, count in counts.items() if count},
        "gaps": _gap_report(find_gaps(content, instrument)),
    }


def find_gaps(content: SeriesContent, instrument: Instrument) -> Gaps:
    """Return the holes of a series, measured in the hours in which its market is open."""
    times_ns = content.times_ns
    step_ns = 0 if content.frame == TICK else FRAME_NS[content.frame]
    from_ns, to_ns = times_ns[:-1] + step_ns, times_ns[1:]
    pause_ns = to_ns - from_ns
    threshold_ns = _TICK_GAP_NS if content.frame == TICK else step_ns
    long = pause_ns >= threshold_ns
    from_ns, to_ns, pause_ns = from_ns[long], to_ns[long], pause_ns[long]
    open_ns = pause_ns - closed_ns_between(from_ns, to_ns, weekends=instrument.trades_on_weekends)
    real = open_ns >= threshold_ns
    missing = open_ns[real] // step_ns if step_ns else np.zeros(int(real.sum()), dtype=np.int64)
    return Gaps(from_ns=from_ns[real], to_ns=to_ns[real], missing=missing, closures=int((~real).sum()))


def price_columns(content: SeriesContent) -> dict[str, NDArray[np.float64]]:
    """Return the columns that hold prices."""
    return {
        name: values.view(np.float64)
        for name, values in content.columns.items()
        if name not in ("open_ns", "time_ns", "volume")
    }


def _outside(content: SeriesContent, weekends: bool) -> int:
    """Return how many ticks, or bars from open to close, lie wholly where the market is closed."""
    inside = is_open(content.times_ns, weekends=weekends)
    if content.frame != TICK:
        inside |= is_open(content.times_ns + FRAME_NS[content.frame] - 1, weekends=weekends)
    return int(np.count_nonzero(~inside))


def _crossings(content: SeriesContent) -> dict[str, int]:
    bid, ask = ("bid", "ask") if content.frame == TICK else ("close", "ask_close")
    if ask not in content.columns:
        return {}
    return {
        "crossed": int(np.count_nonzero(content.columns[bid] > content.columns[ask])),
        "locked": int(np.count_nonzero(content.columns[bid] == content.columns[ask])),
    }


def _bar_counts(content: SeriesContent) -> dict[str, int]:
    columns = content.columns
    return {
        "zero_volume": int(np.count_nonzero(columns["volume"] == 0)),
        "flat": int(np.count_nonzero(columns["high"] == columns["low"])),
    }


def _tick_counts(content: SeriesContent) -> dict[str, int]:
    import polars as pl  # here, not above: it takes most of a second, and only imports need it

    repeated = content.times_ns[1:] == content.times_ns[:-1]
    in_shared_time = np.concatenate((repeated, [False])) | np.concatenate(([False], repeated))
    shared = pl.DataFrame({name: values[in_shared_time] for name, values in content.columns.items()})
    return {
        "repeated_time": int(np.count_nonzero(repeated)),
        "repeated_row": shared.height - shared.n_unique(),
    }


def _gap_report(gaps: Gaps) -> JsonObject:
    longest = np.argsort(gaps.from_ns - gaps.to_ns, kind="stable")[:_LISTED_MAX]
    return {
        "count": len(gaps.from_ns),
        "missing_bars": int(gaps.missing.sum()),
        "closures": gaps.closures,
        "longest": [
            {"from_ns": int(gaps.from_ns[i]), "to_ns": int(gaps.to_ns[i]), "missing_bars": int(gaps.missing[i])}
            for i in longest
        ],
    }
