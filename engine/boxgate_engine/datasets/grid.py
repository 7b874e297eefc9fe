"""Prices on their grid: the double of a price is the correctly rounded n·num/den of its tick size."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.errors import DataRefused

_DECIMALS_MAX: Final = 10
_SLICE_ROWS: Final = 1 << 14
"""So many prices are looked at together: their intermediate results stay in the processor's cache."""


def prices_from_ticks(ticks: NDArray[np.int64], tick_size: Fraction) -> NDArray[np.float64]:
    """Return the price of each number of ticks. |ticks · numerator| must be below 2^53, so that it rounds once."""
    return (ticks * tick_size.numerator) / np.float64(tick_size.denominator)


def count_off_grid(prices: NDArray[np.float64], tick_size: Fraction) -> int:
    """Return how many prices are not the double of any multiple of the tick size."""
    ticks = np.rint(prices * tick_size.denominator / tick_size.numerator)
    return int(np.count_nonzero(ticks * tick_size.numerator / tick_size.denominator != prices))


def infer_tick_size(columns: list[NDArray[np.float64]], where: str) -> Fraction:
    """Return the smallest power of ten, at most 1, whose grid holds every price.

    Raises DataRefused (DATA_INSTRUMENT) if prices need more than 10 decimals: then they are no decimal grid.
    """
    inference = TickSizeInference()
    inference.add(columns)
    return inference.result(where)


class TickSizeInference:
    """The smallest power of ten, at most 1, whose grid holds every price, found while the prices stream by."""

    def __init__(self) -> None:
        self._decimals = 0

    def add(self, columns: Iterable[NDArray[np.float64]]) -> None:
        """Take more prices. A finer grid holds every price of a coarser one: the earlier need no second look."""
        for prices in columns:
            for start in range(0, len(prices), _SLICE_ROWS):
                piece = prices[start : start + _SLICE_ROWS]
                while self._decimals <= _DECIMALS_MAX and count_off_grid(piece, Fraction(1, 10**self._decimals)):
                    self._decimals += 1

    def result(self, where: str) -> Fraction:
        """Return the tick size. Raises DataRefused (DATA_INSTRUMENT) if prices need more than 10 decimals."""
        if self._decimals > _DECIMALS_MAX:
            raise DataRefused(
                f"the prices have more than {_DECIMALS_MAX} decimals",
                code="DATA_INSTRUMENT",
                where=where,
                expected="prices on a decimal grid",
                remedy="state the price step with --tick-size",
            )
        return Fraction(1, 10**self._decimals)
