"""Sessions of stock and futures exchanges with their holidays, early closes and lunch breaks, from a kept library."""

from __future__ import annotations

import difflib
import functools
import warnings
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from boxgate_engine.calendars.calendar import DAY_NS, Calendar, Sessions, Times, merged
from boxgate_engine.errors import DataRefused

_BLOCK_YEARS: Final = 5
_NONE_NS: Final = np.iinfo(np.int64).min
"""What the library writes where a session has no break."""


class Exchange(Calendar):
    """The regular sessions of one exchange. Days end at the close of each session.

    code: a code of the library, such as XNYS or XFRA. Years that the library does not know are refused (CALENDAR).
    """

    def __init__(self, code: str) -> None:
        self.name = code

    def sessions(self, start_ns: int, end_ns: int) -> Sessions:
        """Return the sessions that overlap the range; a lunch break parts one in two."""
        _check_known(self.name, start_ns, end_ns)
        opens, closes, breaks, resumes = self._days(start_ns, end_ns)
        pause = breaks > _NONE_NS
        begins = np.concatenate((opens, resumes[pause]))
        ends = np.concatenate((np.where(pause, breaks, closes), closes[pause]))
        order = np.argsort(begins, kind="stable")
        return merged(begins[order], ends[order], start_ns, end_ns)

    def day_boundaries(self, start_ns: int, end_ns: int) -> Times:
        """Return the closes of the sessions in the range."""
        _check_known(self.name, start_ns, end_ns)
        closes = self._days(start_ns, end_ns)[1]
        inside: Times = closes[(closes >= start_ns) & (closes < end_ns)]
        return inside

    def _days(self, start_ns: int, end_ns: int) -> Times:
        """Return (4, n): opens, closes, starts and ends of breaks of the sessions in the range and around it."""
        first, last = (_year(moment) // _BLOCK_YEARS for moment in (start_ns - 8 * DAY_NS, end_ns + 8 * DAY_NS))
        return np.concatenate([_block(self.name, number) for number in range(first, last + 1)], axis=1)


def exchange(code: str) -> Exchange | None:
    """Return the calendar of an exchange code, None if the library does not know it."""
    return Exchange(code) if code in _codes() else None


def similar_codes(code: str) -> list[str]:
    """Return the code that another name stands for (NYSE: XNYS), or up to three that look like a mistyped one."""
    aliases: dict[str, str] = _library().calendar_utils.global_calendar_dispatcher.aliases_to_names()
    if code.upper() in aliases or code.upper() in _codes():
        return [aliases.get(code.upper(), code.upper())]
    return difflib.get_close_matches(code.upper(), _codes(), n=3)


def _check_known(code: str, start_ns: int, end_ns: int) -> None:
    first_ns, last_ns = _bounds(code)
    if start_ns < first_ns or end_ns > last_ns:
        years = f"{_year(first_ns)} to {_year(last_ns - 1)}"
        raise DataRefused(
            f"the calendar {code} is known for {years}, and the data are of {_year(start_ns)} to {_year(end_ns)}",
            code="CALENDAR",
            where="--calendar",
            expected="data of these years",
            remedy="import with another calendar, such as fx or always",
        )


@functools.cache
def _codes() -> tuple[str, ...]:
    exchange_calendars = _library()

    return tuple(exchange_calendars.get_calendar_names(include_aliases=False))


@functools.cache
def _bounds(code: str) -> tuple[int, int]:
    """Return the first and the last moment for which the library knows the exchange, in its own words."""
    import pandas as pd

    exchange_calendars = _library()
    with warnings.catch_warnings(action="ignore"):
        known = exchange_calendars.get_calendar(code)
    first, last = known.bound_min() or pd.Timestamp(1950, 1, 1), known.bound_max() or pd.Timestamp(2199, 12, 31)
    return first.value, last.value + DAY_NS


@functools.cache
def _block(code: str, number: int) -> Times:
    """Return the days of five years: (4, n) int64, rows as in `Exchange._days`."""
    import pandas as pd

    exchange_calendars = _library()
    lowest, highest = _bounds(code)
    first = max(pd.Timestamp(number * _BLOCK_YEARS, 1, 1), pd.Timestamp(lowest))
    last = min(pd.Timestamp(number * _BLOCK_YEARS + _BLOCK_YEARS - 1, 12, 31), pd.Timestamp(highest - DAY_NS))
    if (last - first).days < 14:  # The library wants a few sessions, and nobody asks for these years.
        return np.zeros((4, 0), dtype=np.int64)
    # Start and end are stated: left out, the library would take them from today's date.
    with warnings.catch_warnings(action="ignore"):  # what newer versions of pandas tell the library
        days = exchange_calendars.get_calendar(code, start=first, end=last)
    return np.stack([days.opens_nanos, days.closes_nanos, days.break_starts_nanos, days.break_ends_nanos])


def _library() -> Any:
    try:
        import exchange_calendars  # type: ignore[import-untyped] # here, for pandas comes with it: most of a second
    except ImportError as error:
        raise DataRefused(
            "calendars of exchanges need a library that is not installed",
            code="CALENDAR",
            where="--calendar",
            expected="the extra `calendars` of boxgate-engine",
            remedy="pip install 'boxgate-engine[calendars]', or use fx, always or lean:FILE#ENTRY",
        ) from error
    return exchange_calendars


def _year(time_ns: int) -> int:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).year
