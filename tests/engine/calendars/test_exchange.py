"""Exchanges against the schedules of the library that knows them, and against days that are public knowledge."""

from __future__ import annotations

import sys
import warnings
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxgate_engine.calendars import calendar_by_name
from boxgate_engine.calendars import exchange as exchange_module
from boxgate_engine.errors import DataRefused

exchange_calendars: Any = pytest.importorskip("exchange_calendars")

_MINUTE_NS = 60_000_000_000


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.fixture(scope="module")
def schedules() -> dict[str, list[tuple[int, int]]]:
    """(open, close) of each part of each session from 2003 to 2012, made of the rows of the library's table."""
    made: dict[str, list[tuple[int, int]]] = {}
    for code in ("XNYS", "XFRA", "XHKG"):
        with warnings.catch_warnings(action="ignore"):
            table = exchange_calendars.get_calendar(code, start="2003-01-01", end="2012-12-31").schedule
        parts: list[tuple[int, int]] = []
        for row in table.itertuples():
            if row.break_start == row.break_start:  # not NaT
                parts += [(row.open.value, row.break_start.value), (row.break_end.value, row.close.value)]
            else:
                parts.append((row.open.value, row.close.value))
        made[code] = parts
    return made


@pytest.mark.parametrize("code", ["XNYS", "XFRA", "XHKG"])
def test_sessions_are_the_rows_of_the_schedule(code: str, schedules: dict[str, list[tuple[int, int]]]) -> None:
    found = calendar_by_name(code).sessions(ns("2003-01-01 00:00"), ns("2013-01-01 00:00"))
    assert list(zip(found.opens.tolist(), found.closes.tolist(), strict=True)) == schedules[code]


@settings(max_examples=60)
@given(data=st.data(), code=st.sampled_from(["XNYS", "XFRA", "XHKG"]))
def test_closed_time_and_open_moments_are_those_of_a_loop_over_the_rows(
    data: st.DataObject, code: str, schedules: dict[str, list[tuple[int, int]]]
) -> None:
    first = ns("2003-01-10 00:00") // _MINUTE_NS
    from_minute = data.draw(st.integers(first, first + 9 * 365 * 1440))
    to_minute = from_minute + data.draw(st.integers(0, 60 * 1440))
    from_ns, to_ns = from_minute * _MINUTE_NS, to_minute * _MINUTE_NS
    opened = sum(max(0, min(b, to_ns) - max(a, from_ns)) for a, b in schedules[code])
    calendar = calendar_by_name(code)
    assert calendar.closed_ns_between(np.array([from_ns]), np.array([to_ns])).tolist() == [to_ns - from_ns - opened]
    expected = [any(a <= moment < b for a, b in schedules[code]) for moment in (from_ns, to_ns)]
    assert calendar.is_open(np.array([from_ns, to_ns])).tolist() == expected


@pytest.mark.parametrize(
    ("case", "moment", "expected"),
    [
        ("an ordinary day", "2024-12-23 20:59", True),
        ("the close", "2024-12-23 21:00", False),
        ("early close of Christmas Eve, 13:00 in New York", "2024-12-24 17:59", True),
        ("after the early close", "2024-12-24 18:00", False),
        ("Christmas", "2024-12-25 16:00", False),
        ("summer time opens an hour earlier", "2024-07-01 13:30", True),
        ("winter does not", "2024-01-02 13:30", False),
        ("Juneteenth", "2024-06-19 16:00", False),
        ("mourning for a president", "2025-01-09 16:00", False),
    ],
)
def test_new_york_on_well_known_days(case: str, moment: str, expected: bool) -> None:
    assert calendar_by_name("XNYS").is_open(np.array([ns(moment)])).tolist() == [expected], case


def test_days_end_with_the_session_and_lunch_breaks_end_none() -> None:
    hong_kong = calendar_by_name("XHKG")
    ends = hong_kong.day_boundaries(ns("2024-07-01 00:00"), ns("2024-07-06 00:00"))
    assert ends.tolist() == [ns(f"2024-07-0{day} 08:00") for day in (2, 3, 4, 5)], "1 July is a holiday"


def test_years_that_the_library_does_not_know_are_refused_by_name() -> None:
    with pytest.raises(DataRefused) as caught:
        calendar_by_name("XTKS").is_open(np.array([ns("1990-01-05 03:00")]))
    assert caught.value.error_code == "CALENDAR"
    assert "1997" in caught.value.what


@pytest.mark.parametrize(
    ("name", "hint"), [("XNYSE", "XNYS"), ("NYSE", "XNYS"), ("Fx", "fx"), ("allways", "always"), ("xfra", "XFRA")]
)
def test_an_unknown_name_is_refused_with_a_suggestion(name: str, hint: str) -> None:
    with pytest.raises(DataRefused) as caught:
        calendar_by_name(name)
    assert caught.value.error_code == "CALENDAR"
    assert f"did you mean {hint}" in caught.value.remedy


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    exchange_module._codes.cache_clear()
    try:
        with pytest.raises(DataRefused) as refused:
            calendar_by_name("XNYS")
    finally:
        exchange_module._codes.cache_clear()
    assert refused.value.error_code == "CALENDAR"
    assert "pip install 'boxgate-engine[calendars]'" in refused.value.remedy
