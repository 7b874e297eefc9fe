"""Market hours of a run: when the market of an instrument is open, and where its trading days end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from boxgate_engine.calendars import Calendar, Sessions, calendar_by_name, calendar_of
from boxgate_engine.calendars.calendar import Times
from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import Dataset, Series
from boxgate_engine.errors import DataRefused, Problem
from boxgate_engine.kernel.records import NO_EXPIRY, Integers

_LEAN: Final = "lean:"
_LOOK_AHEAD_NS: Final = 32 * 86_400_000_000_000
"""No market is closed for longer than this: the end of a trading day is sought so far behind the data."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MarketHours:
    """The hours of one market within a span of time. day_ends: rising, those of the span and the first one after it."""

    calendar: Calendar
    sessions: Sessions
    day_ends: Times

    def is_open(self, time_ns: int) -> bool:
        """Return whether the market is open at a time of the span."""
        return bool(self.sessions.hold(np.array([time_ns]))[0])

    def day_end(self, time_ns: int) -> int:
        """Return the first end of a trading day after a time of the span; NO_EXPIRY where the calendar knows none."""
        place = int(np.searchsorted(self.day_ends, time_ns, side="right"))
        return int(self.day_ends[place]) if place < len(self.day_ends) else NO_EXPIRY

    @property
    def identity(self) -> str:
        """The calendar by name, one that was read from a file by the name of its entry and the digest of the file."""
        facts = self.calendar.facts()
        return f"{facts['name']} sha256:{facts['sha256']}" if "sha256" in facts else str(facts["name"])


def run_hours(
    config: RunConfig, dataset: Dataset, executing: Sequence[Series], folder: Path, start_ns: int, end_ns: int
) -> tuple[list[MarketHours], list[Problem]]:
    """Return the hours of each instrument in [start_ns, end_ns), none where the config has no filter; and problems.

    executing: per instrument the series that fills. folder: where the path of a table starts.
    """
    if config.execution.hours != "calendar":
        return [], []
    hours, problems = [], []
    for series in executing:
        stated = config.execution.calendars.get(series.symbol)
        path = "execution.hours" if stated is None else f"execution.calendars.{series.symbol}"
        try:
            calendar = _imported(dataset, series) if stated is None else _stated(stated, folder)
        except DataRefused as error:
            problems.append(_problem(path, error.what, error.expected, error.remedy))
            continue
        try:
            own = _within(calendar, start_ns, end_ns)
        except DataRefused as error:
            remedy = "choose another window, or another calendar in execution.calendars"
            problems.append(_problem(path, error.what, "data of these years", remedy))
            continue
        if not _meet(series.times_ns, own.sessions):
            problems.append(
                _problem(
                    path,
                    f"no event of {series.symbol} {series.frame} opens while the market is open by {calendar.name}",
                    "an execution series and a calendar that go together",
                    "choose a finer execution series, another calendar in execution.calendars, or execution.hours: "
                    "data",
                )
            )
        hours.append(own)
    return hours, problems


def _within(calendar: Calendar, start_ns: int, end_ns: int) -> MarketHours:
    """Return the hours in [start_ns, end_ns). Raises DataRefused for years that the calendar does not know."""
    sessions = calendar.sessions(start_ns, end_ns)
    try:
        day_ends = calendar.day_boundaries(start_ns, end_ns + _LOOK_AHEAD_NS)
    except DataRefused:  # what it knows ends with the data
        day_ends = calendar.day_boundaries(start_ns, end_ns)
    return MarketHours(calendar=calendar, sessions=sessions, day_ends=day_ends)


def _stated(name: str, folder: Path) -> Calendar:
    """Return the calendar of a name in the config. Raises DataRefused."""
    if name.startswith(_LEAN) and "#" in name:
        file, _, entry = name.removeprefix(_LEAN).rpartition("#")
        return calendar_by_name(f"{_LEAN}{folder / file}#{entry}")
    return calendar_by_name(name)


def _imported(dataset: Dataset, series: Series) -> Calendar:
    """Return the calendar by which the quality report of an instrument was made, that of this series before others."""
    stored = [one for one in dataset.manifest.series if one.symbol == series.symbol and "calendar" in one.quality]
    own = [one for one in stored if one.frame == series.frame]
    quality = (own or stored)[0].quality if stored else {}
    return calendar_of(quality, dataset.instruments[series.symbol].asset_class)


def _meet(times_ns: Integers, sessions: Sessions) -> bool:
    """Return whether any of the times lies in a session."""
    first, end = np.searchsorted(times_ns, sessions.opens), np.searchsorted(times_ns, sessions.closes)
    return bool((end > first).any())


def _problem(path: str, what: str, expected: str, remedy: str) -> Problem:
    return Problem(path=path, source="", code="CALENDAR", what=what, expected=expected, remedy=remedy)
