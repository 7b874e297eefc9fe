"""The content of one series in memory: which columns it has and what they mean."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.frames import TICK

PriceBasis: TypeAlias = Literal["BID", "LAST", "MID", "NONE"]
"""Whose prices the price columns are; NONE of funding rates, which have none that trade."""

Column: TypeAlias = NDArray[np.int64] | NDArray[np.float64]

BAR_COLUMNS: Final = ("open_ns", "open", "high", "low", "close", "volume")
"""Columns that every bar series has, in stored order. `open_ns` is int64, the others are float64."""

ASK_COLUMNS: Final = ("ask_open", "ask_high", "ask_low", "ask_close")
"""Columns of the ask side, behind the others; all four or none."""

TICK_COLUMNS: Final = ("time_ns", "bid", "ask")
"""Columns that every tick series has. `time_ns` is int64, the others are float64."""

TICK_EXTRA_COLUMNS: Final = ("last", "volume")
"""Columns that a tick series may have, behind the others."""

FUNDING: Final = "funding"
"""Stands where bars have their frame, in series of funding rates. It is no frame: nothing is delivered of it."""

FUNDING_COLUMNS: Final = ("time_ns", "rate")
"""Columns that every series of funding rates has: the instant of the charge, and the fraction of the position's value
that longs pay to shorts then; negative where shorts pay."""

FUNDING_EXTRA_COLUMNS: Final = ("mark_price",)
"""Columns that it may have: the price that the value of the position is measured by."""

TIME_COLUMNS: Final = ("open_ns", "time_ns")
"""The int64 columns; everything else is float64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesContent:
    """One instrument at one frame, in memory, before it is frozen.

    columns: equally long, C-contiguous arrays in stored order. Bars rise strictly by `open_ns`, funding rates by
    `time_ns`; ticks never fall by `time_ns` and keep the order of their source, for a moment may hold several.
    """

    symbol: str
    frame: str
    price_basis: PriceBasis
    columns: dict[str, Column]

    @property
    def rows(self) -> int:
        """Number of bars, ticks or rates."""
        return len(self.times_ns)

    @property
    def times_ns(self) -> NDArray[np.int64]:
        """Open times of bars or times of ticks and rates, int64 nanoseconds UTC."""
        name = time_column(self.frame)
        return self.columns[name].view(np.int64)

    @property
    def has_ask(self) -> bool:
        """True if the ask side is there; in ticks of trades it is not, for their one price stands on both sides."""
        return knows_ask(self.columns, self.price_basis)


def knows_ask(columns: Container[str], price_basis: PriceBasis) -> bool:
    """True if a series with these columns and this basis has an ask side of its own."""
    return "ask_open" in columns or ("ask" in columns and price_basis != "LAST")


def trade_columns(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return the stored columns of ticks that are trades: `last`, their price, stands in for bid and ask too.

    columns: time_ns and last, perhaps volume. The basis of such a series is LAST, and its spread is that of the costs.
    """
    price = columns["last"]
    made: dict[str, Column] = {"time_ns": columns["time_ns"], "bid": price, "ask": price, "last": price}
    return made | ({"volume": columns["volume"]} if "volume" in columns else {})


def time_column(frame: str) -> str:
    """Return the name of the time column of a frame."""
    return "time_ns" if frame in (TICK, FUNDING) else "open_ns"


def expected_columns(frame: str, present: set[str]) -> tuple[str, ...]:
    """Return the stored column names, in order, of a series that has the columns `present` (any order)."""
    needed, extra = _columns_of(frame)
    return tuple(name for name in (*needed, *extra) if name in present)


def is_complete(frame: str, names: tuple[str, ...]) -> bool:
    """True if `names` is a legal list of stored columns of the frame, in stored order."""
    needed, extra = _columns_of(frame)
    if needed == BAR_COLUMNS:
        return names in (needed, needed + extra)
    return names[: len(needed)] == needed and names == expected_columns(frame, set(names))


def _columns_of(frame: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (columns that must be there, columns that may be)."""
    if frame == TICK:
        return TICK_COLUMNS, TICK_EXTRA_COLUMNS
    return (FUNDING_COLUMNS, FUNDING_EXTRA_COLUMNS) if frame == FUNDING else (BAR_COLUMNS, ASK_COLUMNS)
