"""What J. Welles Wilder smoothed with weight 1 / n, over columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxgate_sdk.indicators import wilder as by_bar
from boxgate_sdk.indicators.readings import AdxLines
from boxgate_sdk.indicators.smoothing import Smoothing, wilder
from boxgate_sdk.indicators.vector.inputs import Before, OfBars, OfValues, alone

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Rsi(OfValues["Floats"]):
    """The part of the rises in all changes, percent, both smoothed over n; 0 where nothing has changed."""

    def __init__(self, n: int) -> None:
        super().__init__(by_bar.Rsi(n).warmup_events, alone)
        self._before = Before()
        self._gains, self._losses = wilder(n), wilder(n)

    def _next(self, values: Floats) -> tuple[Floats]:
        change = values - self._before.push(values)
        first = _first(change)
        change = change[first:]
        gain = _smooth(self._gains, np.where(change > 0.0, change, 0.0))
        moved = gain + _smooth(self._losses, np.where(change < 0.0, -change, 0.0))
        return (_behind(first, np.where(moved == 0.0, 0.0, 100.0 * (gain / moved))),)


class Atr(OfBars["Floats"]):
    """The average true range, smoothed over n."""

    def __init__(self, n: int) -> None:
        super().__init__(by_bar.Atr(n).warmup_events, alone)
        self._before = Before()
        self._range = wilder(n)

    def _next(self, high: Floats, low: Floats, close: Floats) -> tuple[Floats]:
        true_range = _true_range(high, low, self._before.push(close))
        first = _first(true_range)
        return (_behind(first, _smooth(self._range, true_range[first:])),)


class Adx(OfBars[AdxLines["Floats"]]):
    """The average directional index of n with both directional indicators, percent."""

    def __init__(self, n: int) -> None:
        super().__init__(by_bar.Adx(n).warmup_events, AdxLines)
        self._high, self._low, self._close = Before(), Before(), Before()
        self._early = n - 1
        self._plus, self._minus, self._range = (Smoothing(n - 1, 1.0 / n, n) for _ in range(3))
        self._index = wilder(n)

    def _next(self, high: Floats, low: Floats, close: Floats) -> tuple[Floats, Floats, Floats]:
        up, down = high - self._high.push(high), self._low.push(low) - low
        true_range = _true_range(high, low, self._close.push(close))
        first = _first(up)
        up, down = up[first:], down[first:]
        early = min(self._early, len(up))  # moves that only begin the smoothed ones
        self._early -= early
        plus = _smooth(self._plus, np.where((up > down) & (up > 0.0), up, 0.0))[early:]
        minus = _smooth(self._minus, np.where((down > up) & (down > 0.0), down, 0.0))[early:]
        true_range = _smooth(self._range, true_range[first:])[early:]
        plus_di = np.where(true_range == 0.0, 0.0, 100.0 * (plus / true_range))
        minus_di = np.where(true_range == 0.0, 0.0, 100.0 * (minus / true_range))
        both = plus_di + minus_di
        directed = both != 0.0
        unready = max(self._index.seeding - 1, 0)
        index = 100.0 * (np.abs(plus_di - minus_di) / both)
        if directed.all():
            adx = _smooth(self._index, index)
        else:
            push, hold = self._index.push, self._index.hold
            pairs = zip(index.tolist(), directed.tolist(), strict=True)
            adx = np.array([push(value) if is_directed else hold() for value, is_directed in pairs])
        plus_di[:unready] = minus_di[:unready] = np.nan
        return _behind(first + early, adx), _behind(first + early, plus_di), _behind(first + early, minus_di)


def _true_range(high: Floats, low: Floats, close_before: Floats) -> Floats:
    return np.maximum(high, close_before) - np.minimum(low, close_before)


def _first(changes: Floats) -> int:
    """Return 1 if the first row of all is among them: it has none before it, so no change."""
    return int(len(changes) > 0 and np.isnan(changes[0]))


def _smooth(smoothing: Smoothing, values: Floats) -> Floats:
    return np.array(smoothing.push_all(values.tolist()), dtype=np.float64)


def _behind(rows: int, values: Floats) -> Floats:
    """Return the values behind rows of NaN."""
    return np.concatenate((np.full(rows, np.nan), values))
