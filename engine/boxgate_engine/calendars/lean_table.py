"""The hours of one market as a LEAN market-hours database states them: a week, holidays, early closes, late opens."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from boxgate_engine.calendars.calendar import Calendar, Sessions, Times, merged
from boxgate_engine.calendars.local_time import days_around, local_ns
from boxgate_engine.errors import DataRefused

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ANY: Final = "[*]"
_DAY: Final = timedelta(days=1)
_BLOCK_NS: Final = 1461 * 86_400_000_000_000

Hours = list[tuple[timedelta, timedelta]]
"""Parts of a day in which the market is open, from midnight in the exchange's zone."""


class LeanTable(Calendar):
    """One entry of a market-hours database. Days end at midnight of the exchange's zone.

    A date in `holidays` is closed as a whole; on one with an early close the market is open until then, on one with a
    late open from then on, and where the close is before the open it is closed between them. Only segments of the
    state `market` count. Bank holidays are days of trading.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """Make the calendar of what `facts` returned: name, sha256 and the entry itself. Raises DataRefused."""
        self._facts = dict(facts)
        self.name = str(facts["name"])
        entry = facts["table"]
        try:
            self._zone = _zone(entry["exchangeTimeZone"])
            self._week: list[Hours] = [_hours(entry.get(day, [])) for day in _WEEKDAYS]
            self._holidays = {_date(text) for text in entry.get("holidays", [])}
            self._early = {_date(day): _time(text) for day, text in entry.get("earlyCloses", {}).items()}
            self._late = {_date(day): _time(text) for day, text in entry.get("lateOpens", {}).items()}
        except (KeyError, ValueError, TypeError, AttributeError, ZoneInfoNotFoundError) as error:
            raise _refusal(f"the entry cannot be read: {str(error)[:80]}", self.name) from error
        self._blocks: dict[int, Sessions] = {}

    def facts(self) -> dict[str, Any]:
        """Return name, SHA-256 of the file, and the entry itself, so that the dataset needs no file."""
        return dict(self._facts)

    def sessions(self, start_ns: int, end_ns: int) -> Sessions:
        """Return the sessions that overlap the range; what goes over midnight is one."""
        numbers = range((start_ns // _BLOCK_NS) - 1, end_ns // _BLOCK_NS + 2)
        blocks = [self._block(number) for number in numbers]
        opens, closes = (np.concatenate(part) for part in zip(*((b.opens, b.closes) for b in blocks), strict=True))
        return merged(opens, closes, start_ns, end_ns)

    def day_boundaries(self, start_ns: int, end_ns: int) -> Times:
        """Return every midnight in the exchange's zone in the range that ends a day with trading."""
        ends = [local_ns(day, _DAY, self._zone) for day in self._days(start_ns, end_ns) if self._open(day)]
        return np.array([moment for moment in ends if start_ns <= moment < end_ns], dtype=np.int64)

    def _block(self, number: int) -> Sessions:
        """Return the parts of the days that begin in four years, in UTC."""
        if number not in self._blocks:
            start_ns, end_ns = number * _BLOCK_NS, (number + 1) * _BLOCK_NS
            parts = [
                (local_ns(day, begin, self._zone), local_ns(day, end, self._zone))
                for day in self._days(start_ns, end_ns)
                if start_ns <= local_ns(day, timedelta(), self._zone) < end_ns
                for begin, end in self._open(day)
            ]
            made = np.array(parts, dtype=np.int64).reshape(-1, 2)
            self._blocks[number] = Sessions(opens=made[:, 0].copy(), closes=made[:, 1].copy())
        return self._blocks[number]

    def _days(self, start_ns: int, end_ns: int) -> Iterator[date]:
        return days_around(start_ns, end_ns, self._zone, 2)

    def _open(self, day: date) -> Hours:
        if day in self._holidays:
            return []
        early, late = self._early.get(day), self._late.get(day)
        kept: Hours = [(timedelta(), _DAY)]
        if early is not None and late is not None:
            kept = [(late, early)] if late < early else [(timedelta(), early), (late, _DAY)]
        elif early is not None:
            kept = [(timedelta(), early)]
        elif late is not None:
            kept = [(late, _DAY)]
        cut = [(max(a, c), min(b, d)) for a, b in self._week[day.weekday()] for c, d in kept]
        return [(begin, end) for begin, end in cut if begin < end]


def lean_table(path: Path, key: str) -> LeanTable:
    """Return the calendar of an entry `Class-market-SYMBOL`, or of `Class-market-[*]` where the symbol has none.

    As LEAN does it, an entry of a symbol also has the holidays and special hours of its market's common entry.
    Raises DataRefused (CALENDAR) with a suggestion.
    """
    where = f"{path.name}#{key}"
    try:
        content = path.read_bytes()
        entries = json.loads(content)["entries"]
        names = {name.lower(): name for name in entries}
    except OSError as error:
        raise _refusal(f"the file cannot be read: {error.strerror}", where) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refusal("the file is no market-hours database", where) from error
    common = names.get(f"{key.rpartition('-')[0]}-{_ANY}".lower())
    name = names.get(key.lower(), common)
    if name is None:
        raise _refusal("the database has no such entry", where, _similar(key, list(entries)))
    entry = dict(entries[name])
    if common is not None and name != common:
        shared = entries[common]
        entry["holidays"] = sorted({*entry.get("holidays", []), *shared.get("holidays", [])})
        for kind in ("earlyCloses", "lateOpens"):
            entry[kind] = {**shared.get(kind, {}), **entry.get(kind, {})}
    used = (*_WEEKDAYS, "exchangeTimeZone", "holidays", "earlyCloses", "lateOpens")
    table = {part: entry[part] for part in used if part in entry}
    digest = hashlib.sha256(content).hexdigest()
    return LeanTable({"name": f"lean:{path.name}#{name}", "sha256": digest, "table": table})


def _zone(name: str) -> tzinfo:
    fixed = re.fullmatch(r"UTC([+-]\d{2})", name)
    return timezone(timedelta(hours=int(fixed[1]))) if fixed else UTC if name == "UTC" else ZoneInfo(name)


def _hours(segments: list[dict[str, str]]) -> Hours:
    return sorted((_time(one["start"]), _time(one["end"])) for one in segments if one["state"] == "market")


@functools.cache
def _time(text: str) -> timedelta:
    """Return the time since midnight of `17:03:00`, or of `1.00:00:00`, which is the midnight after."""
    matched = re.fullmatch(r"(?:(\d)\.)?(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?", text)
    if matched is None:
        raise ValueError(f"{text[:40]!r} is no time of day")
    days, hours, minutes, seconds = (int(part or 0) for part in matched.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _date(text: str) -> date:
    month, day, year = text.split("/")
    return date(int(year), int(month), int(day))


def _similar(key: str, names: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(key, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}? " if close else ""


def _refusal(what: str, where: str, hint: str = "") -> DataRefused:
    return DataRefused(
        what,
        code="CALENDAR",
        where=f"--calendar lean:{where}",
        expected="lean:FILE#Class-market-SYMBOL with a file as LEAN's market-hours-database.json",
        remedy=f"{hint}correct the name or the file",
    )
