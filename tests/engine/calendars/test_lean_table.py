"""Entries of a LEAN market-hours database, worked out by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.calendars import Calendar, calendar_by_name, calendar_of
from boxgate_engine.errors import DataRefused

_HOUR_NS = 3_600_000_000_000
_ALL_DAY = [{"start": "00:00:00", "end": "1.00:00:00", "state": "market"}]


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def is_open(calendar: Calendar, *moments: str) -> list[bool]:
    found: list[bool] = calendar.is_open(np.array([ns(moment) for moment in moments])).tolist()
    return found


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Calendar]:
    """Write a database of one entry and return its calendar."""

    def write(**entry: Any) -> Calendar:
        path = tmp_path / "hours.json"
        path.write_text(json.dumps({"entries": {"Forex-here-[*]": {"exchangeTimeZone": "UTC", **entry}}}))
        return calendar_by_name(f"lean:{path}#Forex-here-EURUSD")

    return write


@pytest.fixture
def oanda(shared_data: Path) -> Callable[[str], Calendar]:
    return lambda entry: calendar_by_name(f"lean:{shared_data}/lean/market-hours-database.json#{entry}")


def test_oanda_opens_three_minutes_late_and_closes_two_minutes_early(oanda: Callable[[str], Calendar]) -> None:
    calendar = oanda("Forex-oanda-EURUSD")
    assert calendar.name == "lean:market-hours-database.json#Forex-oanda-[*]"
    week = calendar.sessions(ns("2014-07-07 00:00"), ns("2014-07-12 00:00"))
    days = [ns(f"2014-07-{day:02d} 00:00") for day in (6, 7, 8, 9, 10)]
    assert week.opens.tolist() == [day + 21 * _HOUR_NS + _HOUR_NS // 20 for day in days]
    assert week.closes.tolist() == [day + 24 * _HOUR_NS + 21 * _HOUR_NS - _HOUR_NS // 30 for day in days]


def test_oanda_at_christmas(oanda: Callable[[str], Calendar]) -> None:
    calendar = oanda("Forex-oanda-EURUSD")
    # 12/24/2018 closes early at 17:00 in New York, 12/25/2018 opens late at 17:00; 12/25/2015 is a holiday.
    moments = ("2018-12-24 20:00", "2018-12-24 22:30", "2018-12-25 12:00", "2018-12-25 22:30")
    assert is_open(calendar, *moments) == [True, False, False, True]
    assert is_open(calendar, "2015-12-25 04:30", "2015-12-25 05:30", "2015-12-24 12:00") == [True, False, True]


def test_an_entry_of_a_symbol_has_the_holidays_of_its_market(oanda: Callable[[str], Calendar]) -> None:
    calendar = oanda("Forex-oanda-NZDUSD")
    assert calendar.name.endswith("#Forex-oanda-NZDUSD")
    assert is_open(calendar, "2015-12-24 18:00", "2015-12-24 17:59", "2015-12-25 12:00") == [False, False, False]
    assert is_open(calendar, "2014-07-08 16:57", "2014-07-08 16:58", "2014-07-08 17:03") == [True, False, True]


def test_a_zone_of_fixed_offset_knows_no_summer_time(table: Callable[..., Calendar]) -> None:
    noon = [{"start": "12:00:00", "end": "13:00:00", "state": "market"}]
    calendar = table(exchangeTimeZone="UTC-05", monday=noon)
    assert calendar.sessions(ns("2024-01-08 00:00"), ns("2024-01-09 00:00")).opens.tolist() == [ns("2024-01-08 17:00")]
    assert calendar.sessions(ns("2024-07-08 00:00"), ns("2024-07-09 00:00")).opens.tolist() == [ns("2024-07-08 17:00")]


def test_special_hours_cut_the_day_and_an_early_close_before_a_late_open_is_a_pause(
    table: Callable[..., Calendar],
) -> None:
    calendar = table(
        monday=_ALL_DAY,
        tuesday=_ALL_DAY,
        wednesday=_ALL_DAY,
        holidays=["1/9/2024"],
        earlyCloses={"1/8/2024": "12:00:00", "1/15/2024": "10:00:00", "1/22/2024": "20:00:00"},
        lateOpens={"1/10/2024": "06:00:00", "1/15/2024": "14:00:00", "1/22/2024": "08:00:00"},
    )
    found = calendar.sessions(ns("2024-01-07 00:00"), ns("2024-01-24 00:00"))
    spans = list(zip(found.opens.tolist(), found.closes.tolist(), strict=True))
    assert spans == [
        (ns("2024-01-08 00:00"), ns("2024-01-08 12:00")),
        (ns("2024-01-10 06:00"), ns("2024-01-11 00:00")),
        (ns("2024-01-15 00:00"), ns("2024-01-15 10:00")),
        (ns("2024-01-15 14:00"), ns("2024-01-18 00:00")),
        (ns("2024-01-22 08:00"), ns("2024-01-22 20:00")),
        (ns("2024-01-23 00:00"), ns("2024-01-25 00:00")),
    ]
    ends = calendar.day_boundaries(ns("2024-01-08 00:00"), ns("2024-01-12 00:00"))
    assert ends.tolist() == [ns("2024-01-09 00:00"), ns("2024-01-11 00:00")]


def test_only_the_market_state_counts(table: Callable[..., Calendar]) -> None:
    calendar = table(monday=[{"start": "04:00:00", "end": "09:30:00", "state": "premarket"}])
    assert is_open(calendar, "2024-01-08 05:00") == [False]


def test_sessions_over_blocks_of_years_do_not_fall_apart(table: Callable[..., Calendar]) -> None:
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    calendar = table(**dict.fromkeys(days, _ALL_DAY))
    whole = calendar.sessions(ns("1990-01-01 00:00"), ns("2040-01-01 00:00"))
    assert len(whole.opens) == 1


def test_what_the_report_keeps_makes_the_same_calendar_without_the_file(shared_data: Path) -> None:
    file = shared_data / "lean/market-hours-database.json"
    calendar = calendar_by_name(f"lean:{file}#Cfd-oanda-XAUUSD")
    facts = json.loads(json.dumps(calendar.facts()))
    assert facts["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert str(shared_data) not in json.dumps(facts)
    again = calendar_of({"calendar": facts}, "cfd")
    span = ns("2012-01-01 00:00"), ns("2016-01-01 00:00")
    assert again.sessions(*span).opens.tolist() == calendar.sessions(*span).opens.tolist()
    assert (again.name, again.facts()) == (calendar.name, calendar.facts())


@pytest.mark.parametrize(
    ("content", "entry", "told"),
    [
        ("{", "Forex-here-X", "no market-hours database"),
        ("[]", "Forex-here-X", "no market-hours database"),
        ('{"entries": {}}', "Forex-here-X", "no such entry"),
        ('{"entries": {"Forex-here-EURUSD": {}}}', "Forex-here-EURUSD", "cannot be read"),
        ('{"entries": {"A-b-C": {"exchangeTimeZone": "Mars/Base"}}}', "A-b-C", "cannot be read"),
        (
            '{"entries": {"A-b-C": {"exchangeTimeZone": "UTC",'
            ' "monday": [{"start": "x", "end": "y", "state": "market"}]}}}',
            "A-b-C",
            "cannot be read",
        ),
        ('{"entries": {"A-b-C": {"exchangeTimeZone": "UTC", "holidays": ["31/12/2024"]}}}', "A-b-C", "cannot be read"),
    ],
)
def test_a_table_that_is_not_one_is_refused(tmp_path: Path, content: str, entry: str, told: str) -> None:
    path = tmp_path / "hours.json"
    path.write_text(content)
    with pytest.raises(DataRefused) as caught:
        calendar_by_name(f"lean:{path}#{entry}")
    assert caught.value.error_code == "CALENDAR"
    assert told in caught.value.what


def test_a_missing_file_and_a_mistyped_entry_are_refused(tmp_path: Path, oanda: Callable[[str], Calendar]) -> None:
    with pytest.raises(DataRefused, match="No such file"):
        calendar_by_name(f"lean:{tmp_path}/none.json#Forex-oanda-EURUSD")
    with pytest.raises(DataRefused, match=r"did you mean .*Forex-oanda"):
        oanda("Forx-oanda-EURUSD")
