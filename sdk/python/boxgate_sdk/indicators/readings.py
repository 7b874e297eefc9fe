"""What indicators of several lines give: floats bar by bar, arrays of shape (rows,) by window."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Bands(NamedTuple, Generic[T]):
    """The lines of Bollinger and Donchian, in the unit of the input."""

    upper: T
    middle: T
    lower: T


class MacdLines(NamedTuple, Generic[T]):
    """The lines of Macd, in the unit of the input; histogram is macd − signal."""

    macd: T
    signal: T
    histogram: T


class AdxLines(NamedTuple, Generic[T]):
    """The lines of Adx, each in [0, 100]."""

    adx: T
    plus_di: T
    minus_di: T


class StochasticLines(NamedTuple, Generic[T]):
    """The lines of Stochastic, each in [0, 100]: slow %K, and %D, its mean."""

    k: T
    d: T
