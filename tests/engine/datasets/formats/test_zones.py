"""Time zones of brokers: every hour of 2005 to 2030, there and back, against zones computed in another way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from boxgate_engine.datasets.formats.zones import NEVER, ONCE, TWICE, is_utc, local_of, moments_of
from boxgate_engine.errors import DataRefused

_HOUR_NS = 3_600_000_000_000
_FIRST_NS, _LAST_NS = (int(np.datetime64(day, "ns").astype(np.int64)) for day in ("2005-01-01", "2031-01-01"))
HOURS = np.arange(_FIRST_NS, _LAST_NS, _HOUR_NS, dtype=np.int64)


def written(winter: int, rule: str) -> str:
    return f"{winter:+d}/{winter + 1:+d}@{rule}"


@pytest.mark.parametrize("rule", ["US", "EU"])
@pytest.mark.parametrize("winter", range(-12, 14))
def test_every_hour_goes_there_and_comes_back(winter: int, rule: str) -> None:
    zone = written(winter, rule)
    local = local_of(HOURS, zone)
    moments, kinds = moments_of(local, zone)
    clear = kinds == ONCE
    assert np.array_equal(moments[clear], HOURS[clear])
    # Twice a year an hour is passed twice: both of its moments are unclear, and nothing else is.
    assert (kinds == TWICE).sum() == 2 * 26
    assert not (kinds == NEVER).any(), "a moment has a local time"
    assert set((local - HOURS).tolist()) == {winter * _HOUR_NS, (winter + 1) * _HOUR_NS}


@pytest.fixture(scope="module")
def clocks() -> dict[str, np.ndarray]:
    """Offset from UTC at each hour, by Python's own zones: New York's for US, Helsinki's for EU."""
    return {
        rule: np.array(
            [datetime.fromtimestamp(t, zone).utcoffset() // timedelta(seconds=1) for t in (HOURS // 10**9).tolist()]  # type: ignore[operator]
        )
        for rule, zone in (("US", ZoneInfo("America/New_York")), ("EU", ZoneInfo("Europe/Helsinki")))
    }


@pytest.mark.parametrize(("rule", "winter_of_clock"), [("US", -5), ("EU", 2)])
def test_a_broker_zone_goes_with_the_clock_that_changes_with_it(
    clocks: dict[str, np.ndarray], rule: str, winter_of_clock: int
) -> None:
    for winter in range(-12, 14):
        expected = HOURS + clocks[rule] * 10**9 + (winter - winter_of_clock) * _HOUR_NS
        assert np.array_equal(local_of(HOURS, written(winter, rule)), expected), winter


@pytest.mark.parametrize(
    ("rule", "last_of_winter", "last_of_summer"),
    [
        ("US", "2006-04-02T06:59:59", "2006-10-29T05:59:59"),  # before the change of law
        ("US", "2007-03-11T06:59:59", "2007-11-04T05:59:59"),
        ("EU", "2006-03-26T00:59:59", "2006-10-29T00:59:59"),
        ("EU", "2007-03-25T00:59:59", "2007-10-28T00:59:59"),
    ],
)
def test_clocks_change_at_the_second_that_the_law_says(rule: str, last_of_winter: str, last_of_summer: str) -> None:
    for moment, before, after in ((last_of_winter, 2, 3), (last_of_summer, 3, 2)):
        moments = np.array([np.datetime64(moment, "ns").astype(np.int64)]) + np.array([0, 10**9])
        offsets = (local_of(moments, "+2/+3@" + rule) - moments) // _HOUR_NS
        assert offsets.tolist() == [before, after]


def test_with_new_york_the_server_s_midnight_is_its_close_all_year() -> None:
    local = local_of(HOURS, "+2/+3@US")
    midnights = HOURS[local % (24 * _HOUR_NS) == 0]
    closes = {
        datetime.fromtimestamp(int(t) // 10**9, UTC).astimezone(ZoneInfo("America/New_York")).hour for t in midnights
    }
    assert closes == {17}


@pytest.mark.parametrize("rule", ["US", "EU"])
def test_local_hours_that_are_skipped_or_repeated_are_told_apart(rule: str) -> None:
    zone = written(2, rule)
    _, kinds = moments_of(HOURS, zone)
    assert (kinds == NEVER).sum() == 26, "one hour of each spring"
    assert (kinds == TWICE).sum() == 26, "one hour of each autumn"


@pytest.mark.parametrize(
    ("zone", "hours"), [("+2", 2.0), ("-5", -5.0), ("UTC+2", 2.0), ("gmt-03:30", -3.5), ("+0530", 5.5), ("+14", 14.0)]
)
def test_a_fixed_offset_is_taken_off_all_year(zone: str, hours: float) -> None:
    moments, kinds = moments_of(HOURS, zone)
    assert np.array_equal(HOURS - moments, np.full(len(HOURS), int(hours * _HOUR_NS)))
    assert not kinds.any()
    assert np.array_equal(local_of(moments, zone), HOURS)


@pytest.mark.parametrize("zone", ["Berlin", "+2/+4@US", "+2/+3@JP", "+15", "+2/+3", "2/3@US", "", "+2:99", "Etc/../x"])
def test_what_is_no_zone_is_refused_by_name(zone: str) -> None:
    with pytest.raises(DataRefused) as refused:
        moments_of(HOURS[:3], zone)
    assert refused.value.error_code == "DATA_TZ"
    with pytest.raises(DataRefused):
        local_of(HOURS[:3], zone)


def test_names_of_utc_change_nothing() -> None:
    assert is_utc("utc")
    assert moments_of(HOURS, "Etc/UTC")[0] is HOURS
