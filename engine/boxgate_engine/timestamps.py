"""Instants as text and as nanoseconds since 1970-01-01 UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_SECOND_NS: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INT64_MAX: Final = 2**63 - 1
_PATTERN: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<clock>\d\d:\d\d(?::\d\d)?)(?:\.(?P<fraction>\d{1,9}))?(?P<zone>Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)


def parse_utc_ns(text: str) -> int:
    """Return the instant of a date or date and time in nanoseconds.

    text: `2024-01-01`, `2024-01-01T12:30`, `2024-01-01 12:30:00.123456789+02:00`. Without a zone it is UTC; a date
    is its 00:00. Raises ValueError for another form, an impossible date or an instant outside int64 (1677 to 2262).
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError("not written as a date")
    zone = (match["zone"] or "Z").replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(f"{match['date']}T{match['clock'] or '00:00'}{zone}")
    except ValueError as error:
        raise ValueError(f"not a date that exists: {error}") from None
    whole_s = (moment - _EPOCH) // timedelta(seconds=1)
    instant_ns = whole_s * _SECOND_NS + int((match["fraction"] or "").ljust(9, "0"))
    if abs(instant_ns) > _INT64_MAX:
        raise ValueError("outside the years 1678 to 2261 that nanoseconds can count")
    return instant_ns


def format_utc(instant_ns: int) -> str:
    """Return RFC 3339 text in UTC with as many decimals as needed, such as `2024-01-01T00:00:00.5Z`."""
    whole_s, fraction_ns = divmod(instant_ns, _SECOND_NS)
    moment = _EPOCH + timedelta(seconds=whole_s)
    decimals = f".{fraction_ns:09d}".rstrip("0") if fraction_ns else ""
    return f"{moment.isoformat(timespec='seconds').removesuffix('+00:00')}{decimals}Z"
