"""The picture of a series against plain loops over its rows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from boxgate_engine.calendars import calendar_by_name
from boxgate_engine.datasets import Dataset, SeriesContent
from boxgate_engine.datasets.picture import draw_series, series_picture
from boxgate_engine.datasets.quality import find_gaps

Bars = Callable[..., SeriesContent]

_HOUR_NS = 3_600_000_000_000
_DAY_NS = 24 * _HOUR_NS
_MINUTE_NS = 60_000_000_000


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_picture, "_CHUNK_ROWS", 337)


def minutes(bars: Bars, start: str, days: int, *, leave_out: int = 7) -> SeriesContent:
    """Bars of the FX week, every n-th left out, and six hours of a Tuesday."""
    every = ns(start) + np.arange(days * 1440, dtype=np.int64) * _MINUTE_NS
    kept = every[calendar_by_name("fx").is_open(every)]
    kept = kept[np.arange(len(kept)) % leave_out != 3]
    tuesday = ns("2024-01-09 03:00")
    kept = kept[(kept < tuesday) | (kept >= tuesday + 6 * _HOUR_NS)]
    return bars(opens_ns=kept.tolist())


def by_hand(opened: Dataset, frame: str) -> dict[str, Any]:
    """Rows by day and hour, spreads by hour, by a loop over all rows."""
    columns = opened.series("EURUSD", frame).columns
    times = columns["time_ns" if frame == "tick" else "open_ns"].tolist()
    bid, ask = (columns[name].tolist() for name in (("bid", "ask") if frame == "tick" else ("close", "ask_close")))
    days: dict[int, int] = defaultdict(int)
    hours: dict[int, list[int]] = defaultdict(list)
    volume: dict[int, list[float]] = defaultdict(list)
    for index, time in enumerate(times):
        days[time // _DAY_NS] += 1
        hours[time // _HOUR_NS % 24].append(round((ask[index] - bid[index]) * 100_000))
        if "volume" in columns:
            volume[time // _HOUR_NS % 24].append(columns["volume"][index])
    return {"days": days, "hours": hours, "volume": volume}


def lower(values: list[int], share: float) -> int:
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


@pytest.mark.usefixtures("small_chunks")
def test_days_hours_spreads_and_volumes_are_those_of_a_loop(store: Any, bars: Bars) -> None:
    store.freeze(minutes(bars, "2024-01-03 00:00", 12))
    opened = store.open("x")
    picture, expected = draw_series(opened, "EURUSD", "M1"), by_hand(opened, "M1")
    cover = picture["coverage"]
    first = cover["start_ns"] // _DAY_NS
    assert {first + index: count for index, count in enumerate(cover["rows"]) if count} == expected["days"]
    assert sum(cover["rows"]) == picture["rows"]
    # Wednesday is open for 24 hours, Friday to 22:00, Saturday not, Sunday from 22:00.
    assert cover["expected"][:6] == [1440, 1440, 1320, 0, 120, 1440]
    for hour in range(24):
        found = expected["hours"][hour]
        assert picture["spread"]["median"][hour] == lower(found, 0.5)
        assert picture["spread"]["p95"][hour] == lower(found, 0.95)
        assert picture["volume"]["rows"][hour] == len(found)
        assert picture["volume"]["total"][hour] == pytest.approx(math.fsum(expected["volume"][hour]))
        assert picture["volume"]["mean"][hour] == pytest.approx(np.mean(expected["volume"][hour]))
    assert picture["volume"]["kind"] == "volume"


@pytest.mark.usefixtures("small_chunks")
def test_gaps_and_closures_are_those_of_the_whole_series(store: Any, bars: Bars) -> None:
    content = minutes(bars, "2024-01-03 00:00", 12)
    store.freeze(content)
    picture = draw_series(store.open("x"), "EURUSD", "M1")
    gaps = find_gaps(content, calendar_by_name("fx"))
    assert (picture["gaps"]["count"], picture["closures"]["count"]) == (len(gaps.from_ns), gaps.closures)
    longest = picture["gaps"]["longest"][0]
    assert longest["from_ns"] <= ns("2024-01-09 03:00") < ns("2024-01-09 09:00") <= longest["to_ns"]
    assert longest["open_ns"] == longest["to_ns"] - longest["from_ns"]
    found = picture["closures"]["longest"] + picture["gaps"]["longest"]
    assert ns("2024-01-07 22:00") in {one["to_ns"] for one in found} | {one["to_ns"] - _MINUTE_NS for one in found}
    always = draw_series(store.open("x"), "EURUSD", "M1", calendar=calendar_by_name("always"))
    assert (always["calendar"], always["closures"]["count"]) == ("always", 0)
    assert 48 * _HOUR_NS <= always["gaps"]["longest"][0]["open_ns"] <= 48 * _HOUR_NS + 2 * _MINUTE_NS
    assert always["coverage"]["expected"][3] == 1440


@pytest.mark.usefixtures("small_chunks")
def test_the_price_keeps_every_extreme_of_its_stretches(store: Any, bars: Bars) -> None:
    content = minutes(bars, "2024-01-03 00:00", 12)
    store.freeze(content)
    price = draw_series(store.open("x"), "EURUSD", "M1")["price"]
    place = (content.times_ns - price["start_ns"]) // price["width_ns"]
    assert price["index"] == sorted(set(place.tolist()))
    for index, low, high in zip(price["index"], price["low"], price["high"], strict=True):
        assert low == content.columns["low"][place == index].min()
        assert high == content.columns["high"][place == index].max()


@pytest.mark.usefixtures("small_chunks")
def test_ticks_have_no_number_that_is_expected_and_wide_spreads_are_near(store: Any) -> None:
    count = 3_000
    times = ns("2024-01-10 08:00") + np.sort(np.random.Philox(key=4).random_raw(count) % (3 * _HOUR_NS)).astype(
        np.int64
    )
    ticks = (np.random.Philox(key=5).random_raw(count) % 50_000).astype(np.int64) - 100
    columns: dict[str, Any] = {"time_ns": times, "bid": np.full(count, 1.1), "ask": (110_000 + ticks) / 100_000}
    store.freeze(SeriesContent(symbol="EURUSD", frame="tick", price_basis="BID", columns=columns))
    opened = store.open("x")
    picture, expected = draw_series(opened, "EURUSD", "tick"), by_hand(opened, "tick")
    assert picture["coverage"]["expected"] is None
    assert (picture["volume"]["kind"], picture["volume"]["total"][8]) == ("rows", len(expected["hours"][8]))
    for hour in (8, 9, 10):
        for name, share in (("median", 0.5), ("p95", 0.95)):
            assert picture["spread"][name][hour] == pytest.approx(lower(expected["hours"][hour], share), rel=1 / 2000)
    assert picture["spread"]["median"][12] is None
    assert picture["quality"]["counts"]["crossed"] == int((ticks < 0).sum())


def test_one_row_and_daily_and_weekly_bars_have_pictures(store: Any, bars: Bars) -> None:
    days = bars(frame="D1", opens_ns=[ns(f"2024-07-{day:02d} 00:00") for day in (8, 9, 10, 12, 15)], with_ask=False)
    store.freeze(days)
    opened = store.open("x")
    picture = draw_series(opened, "EURUSD", "D1")
    assert picture["coverage"]["rows"] == [1, 1, 1, 0, 1, 0, 0, 1]
    assert picture["coverage"]["expected"] == [1, 1, 1, 1, 1, 0, 0, 1]
    assert (picture["spread"], picture["gaps"]["missing_bars"]) == (None, 1)
    weeks = draw_series(opened, "EURUSD", "W1")
    assert weeks["coverage"]["rows"] == weeks["coverage"]["expected"] == [1, 1]
    assert weeks["provenance"]["files"] == []
    store.freeze(bars(1), name="one", tick_size=Fraction(1, 1000))
    single = draw_series(store.open("one"), "EURUSD", "M1")
    assert (single["rows"], single["gaps"]["count"], single["coverage"]["rows"]) == (1, 0, [1])


def test_the_report_of_the_import_is_shown_where_it_was_made_by_this_calendar(
    store: Any, csv_file: Callable[..., Any]
) -> None:
    lines = [f"{1_704_240_000 + 60 * minute},1,1,1,1,1" for minute in (0, 0, 1, 5)]
    path = csv_file("time,open,high,low,close,volume", *lines)
    store.take(path, symbol="EURUSD", frame="M1", name="x", on_duplicate="drop")
    for calendar in (None, "always"):
        given = calendar_by_name(calendar) if calendar else None
        picture = draw_series(store.open("x"), "EURUSD", "M1", calendar=given)
        assert picture["quality"]["repairs"] == {"equal_duplicates_dropped": 1}
        assert (picture["calendar"], picture["gaps"]["missing_bars"]) == (calendar or "fx", 3)
        assert picture["provenance"]["inputs"][0]["name"] == "eurusd.csv"
