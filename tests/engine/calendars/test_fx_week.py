"""The FX week against a plain walk over the clocks of New York."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.calendars import calendar_by_name

_FX = calendar_by_name("fx")
_NEW_YORK = ZoneInfo("America/New_York")
_MINUTE_NS = 60_000_000_000
_FIRST, _LAST = 0, 7_258_118_400 // 60
"""Minutes from 1970 to 2200."""


def open_by_the_clock(minute: int) -> bool:
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone(_NEW_YORK)
    day, hour = local.weekday(), local.hour
    return (day < 4) or (day == 4 and hour < 17) or (day == 6 and hour >= 17)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@given(st.lists(st.integers(_FIRST, _LAST), min_size=1, max_size=40))
def test_open_is_what_the_clock_in_new_york_says(minutes: list[int]) -> None:
    times = np.array(minutes, dtype=np.int64) * _MINUTE_NS
    assert _FX.is_open(times).tolist() == [open_by_the_clock(minute) for minute in minutes]


@given(st.integers(_FIRST // 30, _LAST // 30), st.lists(st.integers(0, 900), min_size=2, max_size=6))
def test_closed_time_is_that_of_a_loop_over_half_hours(first: int, offsets: list[int]) -> None:
    offsets.sort()
    from_ns = np.array([(first + one) * 30 for one in offsets[:-1]], dtype=np.int64) * _MINUTE_NS
    to_ns = np.array([(first + one) * 30 for one in offsets[1:]], dtype=np.int64) * _MINUTE_NS
    expected = [
        sum(not open_by_the_clock((first + step) * 30) for step in range(a, b)) * 30 * _MINUTE_NS
        for a, b in pairwise(offsets)
    ]
    assert _FX.closed_ns_between(from_ns, to_ns).tolist() == expected


@pytest.mark.parametrize(
    ("case", "opens", "closes"),
    [
        ("winter", "2024-01-07 22:00", "2024-01-12 22:00"),
        ("summer time begins within the pause: closed at 22, open at 21", "2024-03-10 21:00", "2024-03-15 21:00"),
        ("summer", "2024-07-07 21:00", "2024-07-12 21:00"),
        ("summer time ends within the pause", "2024-11-03 22:00", "2024-11-08 22:00"),
        ("before 2007 it began in April", "2006-04-02 21:00", "2006-04-07 21:00"),
        ("and ended in October", "2006-10-29 22:00", "2006-11-03 22:00"),
    ],
)
def test_weeks_around_the_changes_of_the_clock(case: str, opens: str, closes: str) -> None:
    middle = (ns(opens) + ns(closes)) // 2
    week = _FX.sessions(middle, middle + 1)
    assert (week.opens.tolist(), week.closes.tolist()) == ([ns(opens)], [ns(closes)]), case


def test_the_pauses_of_a_year_last_49_or_47_hours_only_where_the_clock_changes() -> None:
    year = _FX.sessions(ns("2024-01-08 00:00"), ns("2024-12-27 00:00"))
    hours = ((year.opens[1:] - year.closes[:-1]) // (60 * _MINUTE_NS)).tolist()
    assert sorted(set(hours)) == [47, 48, 49]
    assert (hours.count(47), hours.count(49)) == (1, 1)


def test_days_end_at_five_in_the_afternoon_from_monday_to_friday() -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    found = _FX.day_boundaries(ns("2024-01-01 00:00"), ns("2025-01-01 00:00")).tolist()
    hours = (start + timedelta(hours=step) for step in range(366 * 24))
    local = ((moment, moment.astimezone(_NEW_YORK)) for moment in hours)
    expected = [int(m.timestamp()) * 1_000_000_000 for m, there in local if there.hour == 17 and there.weekday() < 5]
    assert found == expected


def test_an_empty_question_has_an_empty_answer() -> None:
    none = np.zeros(0, dtype=np.int64)
    for name in ("fx", "always"):
        calendar = calendar_by_name(name)
        assert calendar.is_open(none).tolist() == calendar.closed_ns_between(none, none).tolist() == []
    assert len(_FX.sessions(ns("2024-01-06 00:00"), ns("2024-01-06 12:00")).opens) == 0
    saturday = np.array([ns("2024-01-06 12:00")])
    assert _FX.is_open(saturday).tolist() == [False]
    assert _FX.closed_ns_between(saturday, saturday + 5).tolist() == [5]


def test_coins_are_always_open_and_their_days_end_at_midnight() -> None:
    always = calendar_by_name("always")
    times = np.array([ns("2024-01-06 12:00"), ns("2024-12-25 00:00")])
    assert always.is_open(times).all()
    assert always.closed_ns_between(times[:1], times[1:]).tolist() == [0]
    assert always.day_boundaries(ns("2024-01-06 12:00"), ns("2024-01-08 00:00")).tolist() == [ns("2024-01-07 00:00")]
    assert always.day_boundaries(ns("2024-01-08 00:00"), ns("2024-01-08 00:01")).tolist() == [ns("2024-01-08 00:00")]
