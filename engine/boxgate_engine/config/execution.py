"""How orders meet prices: the path inside a bar, volume, latency, market hours; and how events are delivered."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, field_validator

from boxgate_engine.config.fields import FrameName, Section, Symbol, Text, refusal

WINDOW_EVENTS_MAX: Final = 16_384
"""Most events that one window may hold."""

_UNITS_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DURATION: Final = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) ?(ns|us|ms|s)", re.ASCII)
_LATENCY_MAX_NS: Final = 3600 * 1_000_000_000


def duration_ns(text: str) -> int:
    """Return the nanoseconds of a duration such as 30ms. Raises ValueError for another text, and for parts of one."""
    matched = _DURATION.fullmatch(text)
    if matched is None:
        raise ValueError(f"{text[:40]!r} is no duration")
    value = Fraction(matched[1]) * _UNITS_NS[matched[2]]
    if value.denominator != 1:
        raise ValueError(f"{text!r} has parts of a nanosecond")
    return int(value)


def _duration(value: Any) -> str:
    """Return the one text of a duration: in the largest unit of which it is a whole number."""
    try:
        length_ns = duration_ns(value if isinstance(value, str) else str(value))
    except ValueError as error:
        raise refusal(str(error), expected="a number with ns, us, ms or s", remedy="write for example 30ms") from None
    if length_ns > _LATENCY_MAX_NS:
        raise refusal(f"{value} is more than an hour", expected="at most 3600s", remedy="write for example 30ms")
    unit = next(unit for unit, unit_ns in _UNITS_NS.items() if length_ns % unit_ns == 0) if length_ns else "ns"
    return f"{length_ns // _UNITS_NS[unit]}{unit}"


Duration = Annotated[str, BeforeValidator(_duration)]


class LatencyConfig(Section):
    """How long a decision is on its way: `fixed`, and up to `jitter` more, drawn by the seed of the run."""

    fixed: Duration = "0ns"
    jitter: Duration = "0ns"

    @property
    def fixed_ns(self) -> int:
        """What every decision takes."""
        return duration_ns(self.fixed)

    @property
    def jitter_ns(self) -> int:
        """The end of the range that is drawn from."""
        return duration_ns(self.jitter)


class ExecutionConfig(Section):
    """How orders meet prices, and how events are delivered.

    path: order of the prices inside a bar. series: frame that fills, for all instruments or per symbol; none = the
    finest frame of the run. bands: run every path assumption and other costs as well. volume_limit: share of the volume
    of a bar or tick that may fill. hours: `calendar` fills nothing while the market of an instrument is closed.
    calendars: by symbol, the others have the one of their dataset. delivery and window_events are operational: they
    never change a result.
    """

    path: Literal["ohlc", "olhc", "adaptive", "pessimistic", "optimistic", "real"] = "pessimistic"
    series: FrameName | dict[Symbol, FrameName] | None = None
    close_at_end: bool = False
    bands: bool = False
    volume_limit: Annotated[float | None, Field(gt=0, le=1)] = None
    latency: LatencyConfig | None = None
    hours: Literal["data", "calendar"] = "data"
    calendars: dict[Symbol, Text] = Field(default_factory=dict)
    delivery: Literal["window", "lockstep"] = "window"
    window_events: Annotated[int, Field(ge=1, le=WINDOW_EVENTS_MAX)] = 4096

    @field_validator("latency")
    @classmethod
    def _no_latency_is_none(cls, latency: LatencyConfig | None) -> LatencyConfig | None:
        return None if latency == LatencyConfig() else latency
