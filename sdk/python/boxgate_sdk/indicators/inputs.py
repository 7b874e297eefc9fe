"""What an indicator takes: finite numbers, or bars of them.

NaN before the first number is skipped and does not count, so indicators can be chained: the NaN that one gives until it
is ready are skipped by the next. NaN after it, ±inf, None and text are IndicatorInputInvalid, and the state stays as it
was.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from typing import Generic, Protocol, TypeVar

from boxgate_sdk.errors import IndicatorInputInvalid, IndicatorLengthInvalid

R = TypeVar("R")


class HighLowClose(Protocol):
    """What has a high, a low and a close: a Bar, or anything of your own."""

    @property
    def high(self) -> float:
        """Highest price."""
        ...

    @property
    def low(self) -> float:
        """Lowest price."""
        ...

    @property
    def close(self) -> float:
        """Last price."""
        ...


class OfValues(ABC, Generic[R]):
    """An indicator of one number per event.

    value: what the last push returned; NaN until ready. warmup_events: the pushes after which it is ready.
    """

    __slots__ = ("_begun", "value", "warmup_events")

    def __init__(self, absent: R, warmup_events: int) -> None:
        self.value = absent
        self.warmup_events = warmup_events
        self._begun = False

    def push(self, value: float) -> R:
        """Take the next value and return the indicator. Raises IndicatorInputInvalid."""
        try:
            # −0.0 becomes 0.0: which of the two an extreme is must not depend on the form
            number = (value if type(value) is float else float(value)) + 0.0
        except (TypeError, ValueError):
            raise IndicatorInputInvalid(type(self).__name__, repr(value)) from None
        if number - number != 0.0:  # NaN or ±inf
            if number != number and not self._begun:  # noqa: PLR0124  # NaN
                return self.value
            raise IndicatorInputInvalid(type(self).__name__, repr(number))
        self._begun = True
        self.value = reading = self._next(number)
        return reading

    @abstractmethod
    def _next(self, value: float) -> R:
        """Take a finite value and return the indicator."""


class OfBars(ABC, Generic[R]):
    """An indicator of high, low and close; value and warmup_events as in OfValues."""

    __slots__ = ("_begun", "value", "warmup_events")

    def __init__(self, absent: R, warmup_events: int) -> None:
        self.value = absent
        self.warmup_events = warmup_events
        self._begun = False

    def push(self, bar: HighLowClose) -> R:
        """Take the next bar and return the indicator. Raises IndicatorInputInvalid."""
        try:
            high = float(bar.high) + 0.0
            low = float(bar.low) + 0.0
            close = float(bar.close) + 0.0
        except (AttributeError, TypeError, ValueError):
            raise IndicatorInputInvalid(type(self).__name__, repr(bar), "a bar: high, low and close") from None
        total = high + low + close
        if total - total != 0.0:
            if total != total and not self._begun:  # noqa: PLR0124  # NaN
                return self.value
            raise IndicatorInputInvalid(type(self).__name__, f"high {high!r}, low {low!r}, close {close!r}")
        self._begun = True
        self.value = reading = self._next(high, low, close)
        return reading

    @abstractmethod
    def _next(self, high: float, low: float, close: float) -> R:
        """Take a bar of finite prices and return the indicator."""


def length(indicator: str, name: str, value: int, least: int) -> int:
    """Return the length as int, at least `least`. Raises IndicatorLengthInvalid."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise IndicatorLengthInvalid(indicator, name, value, f"a whole number, {name} >= {least}")
    return number


def factor(indicator: str, name: str, value: float) -> float:
    """Return the factor as float, finite and >= 0. Raises IndicatorLengthInvalid."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 <= number < math.inf:
        raise IndicatorLengthInvalid(indicator, name, value, f"a number, {name} >= 0")
    return number
