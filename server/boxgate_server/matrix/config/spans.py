"""Lengths of time as a person writes them: `180d`, `12h`, `10m`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from boxgate_engine.config.fields import refusal

_SECOND_NS: Final = 1_000_000_000
_UNITS_NS: Final = {
    "w": 7 * 86_400 * _SECOND_NS,
    "d": 86_400 * _SECOND_NS,
    "h": 3_600 * _SECOND_NS,
    "m": 60 * _SECOND_NS,
    "s": _SECOND_NS,
}
_SPAN: Final = re.compile(r"(\d{1,7}) ?(w|d|h|m|s)", re.ASCII)
_SPAN_MAX_NS: Final = 200 * 366 * 86_400 * _SECOND_NS


def _span_ns(value: Any) -> int:
    """Return the nanoseconds of a span."""
    matched = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if matched is None:
        raise refusal(
            f"{value!r} is no length of time",
            expected="a whole number with w, d, h, m or s",
            remedy="write for example 30d",
        )
    length_ns = int(matched[1]) * _UNITS_NS[matched[2]]
    if length_ns > _SPAN_MAX_NS:
        raise refusal(f"{value} is more than 200 years", expected="at most 200 years", remedy="write for example 30d")
    return length_ns


Span = Annotated[int, BeforeValidator(_span_ns)]
"""Nanoseconds, written as a whole number of weeks, days, hours, minutes or seconds; a day has 24 hours."""


def span_text(length_ns: int) -> str:
    """Return the text of a span in the largest unit of which it is a whole number; parts of a second as a decimal."""
    for unit, unit_ns in _UNITS_NS.items():
        if unit != "w" and length_ns and length_ns % unit_ns == 0:
            return f"{length_ns // unit_ns}{unit}"
    return f"{length_ns / _SECOND_NS:g}s"
