"""Local dates and times of a zone as nanoseconds UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_NS: Final = 1_000_000_000
_FIRST, _LAST = date(1, 1, 3), date(9999, 12, 28)


def local_ns(day: date, since_midnight: timedelta, zone: tzinfo) -> int:
    """Return the moment at which the clocks of a zone show a time of a day; 24 hours is midnight after it.

    A time that the zone skips counts from the clock before the change, one that it has twice is the first.
    """
    moment = datetime.combine(day, time(), zone) + since_midnight
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(seconds=1) * _SECOND_NS


def days_around(start_ns: int, end_ns: int, zone: tzinfo, margin_days: int) -> Iterator[date]:
    """Yield the local days of [start_ns, end_ns) and some before and after it."""
    margin = timedelta(days=margin_days)
    day = max(_day(start_ns, zone) - margin, _FIRST)
    last = min(_day(end_ns, zone) + margin, _LAST)
    while day <= last:
        yield day
        day += timedelta(days=1)


def _day(time_ns: int, zone: tzinfo) -> date:
    return (_EPOCH + timedelta(seconds=time_ns // _SECOND_NS)).astimezone(zone).date()
