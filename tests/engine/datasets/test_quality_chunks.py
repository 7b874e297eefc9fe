"""A report made chunk by chunk is the report of the whole, wherever the seams are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.calendars import Calendar, calendar_by_name
from boxgate_engine.datasets import SeriesContent
from boxgate_engine.datasets.content import Column
from boxgate_engine.datasets.quality import QualityReport, find_gaps
from boxgate_engine.errors import DataRefused

Bars = Callable[..., SeriesContent]

_FX = calendar_by_name("fx")
_DAY_NS = 86_400_000_000_000
_MINUTE_NS = 60_000_000_000
_TICK_SIZE = Fraction(1, 100_000)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def in_chunks(content: SeriesContent, cuts: Sequence[int], calendar: Calendar = _FX) -> QualityReport:
    report = QualityReport(calendar, _TICK_SIZE)
    ends = [0, *sorted(min(cut, content.rows) for cut in cuts), content.rows]
    for first, last in pairwise(ends):
        columns: dict[str, Column] = {name: values[first:last] for name, values in content.columns.items()}
        report.add(SeriesContent(symbol="EURUSD", frame=content.frame, price_basis="BID", columns=columns))
    return report


def ticks(moments: Sequence[int], prices: Sequence[int]) -> SeriesContent:
    bid = np.array(prices) / 100
    columns: dict[str, Any] = {"time_ns": np.array(moments, dtype=np.int64), "bid": bid, "ask": bid + 0.01}
    return SeriesContent(symbol="EURUSD", frame="tick", price_basis="BID", columns=columns)


@given(
    steps=st.lists(st.sampled_from([0, 0, 0, 1, 3_600, 3_601, 200_000]), min_size=1, max_size=40),
    prices=st.lists(st.integers(100, 102), min_size=40, max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=8),
)
def test_ticks_are_counted_as_a_plain_loop_counts_them(steps: list[int], prices: list[int], cuts: list[int]) -> None:
    start = ns("2024-02-29 12:00")
    moments = [start + sum(steps[: index + 1]) * 1_000_000_000 for index in range(len(steps))]
    content = ticks(moments, prices[: len(moments)])
    found = in_chunks(content, cuts).result()
    rows = list(zip(moments, prices, strict=False))
    repeated_time = sum(a == b for a, b in pairwise(moments))
    assert found["counts"].get("repeated_time", 0) == repeated_time
    assert found["counts"].get("repeated_row", 0) == len(rows) - len(set(rows))
    assert found == in_chunks(content, ()).result()


@given(
    steps=st.lists(st.sampled_from([1, 1, 1, 2, 5, 61, 1500, 4000]), min_size=1, max_size=80),
    cuts=st.lists(st.integers(0, 80), max_size=8),
)
def test_bars_in_chunks_have_the_gaps_of_the_whole(steps: list[int], cuts: list[int]) -> None:
    opens = ns("2024-03-07 12:00") + np.cumsum(np.array(steps)) * _MINUTE_NS
    columns: dict[str, Any] = {"open_ns": opens}
    columns |= {name: np.full(len(opens), 1.1) for name in ("open", "high", "low", "close")}
    columns["volume"] = np.arange(len(opens)) % 3.0
    content = SeriesContent(symbol="EURUSD", frame="M1", price_basis="BID", columns=columns)
    whole, parts = in_chunks(content, ()), in_chunks(content, cuts)
    assert parts.result() == whole.result()
    assert parts.first_gap == whole.first_gap
    gaps = find_gaps(content, _FX)
    expected = []
    for before, after in zip(opens[:-1].tolist(), opens[1:].tolist(), strict=True):
        opened = sum(bool(_FX.is_open(np.array([m]))[0]) for m in range(before + _MINUTE_NS, after, _MINUTE_NS))
        if opened:
            expected.append((before + _MINUTE_NS, after, opened))
    assert list(zip(gaps.from_ns.tolist(), gaps.to_ns.tolist(), gaps.missing.tolist(), strict=True)) == expected
    assert (parts.gap_count, parts.missing_bars) == (len(expected), sum(one[2] for one in expected))


def test_an_inferred_tick_size_leaves_nothing_off_the_grid(bars: Bars) -> None:
    report = QualityReport(_FX)
    content = bars(10)
    content.columns["close"] = content.columns["close"].view(np.float64) + 1e-7
    report.add(content)
    assert "off_grid_prices" not in report.result()["counts"]
    assert QualityReport(_FX).result()["gaps"] == {"count": 0, "missing_bars": 0, "closures": 0, "longest": []}


def _daily(bars: Bars, *days: str, frame: str = "D1") -> SeriesContent:
    return bars(frame=frame, opens_ns=[ns(f"{day} 00:00") for day in days])


def _missing(content: SeriesContent, name: str) -> list[tuple[str, int]]:
    gaps = find_gaps(content, calendar_by_name(name))
    return [
        (str(np.datetime64(a, "ns"))[:10], b) for a, b in zip(gaps.from_ns.tolist(), gaps.missing.tolist(), strict=True)
    ]


def test_days_of_an_exchange_and_of_fx_are_missed_as_days(bars: Bars) -> None:
    # 2024-01-15 is a holiday in New York, the weekend is one everywhere, the 17th is missing.
    days = _daily(bars, "2024-01-10", "2024-01-11", "2024-01-12", "2024-01-16", "2024-01-18")
    assert _missing(days, "XNYS") == [("2024-01-17", 1)]
    assert _missing(days, "fx") == [("2024-01-13", 1), ("2024-01-17", 1)]
    assert _missing(days, "always") == [("2024-01-13", 3), ("2024-01-17", 1)]


def test_a_half_day_is_a_day_and_a_sunday_evening_is_none(bars: Bars) -> None:
    # 2024-11-29 closes early in New York: three and a half hours of six and a half.
    days = _daily(bars, "2024-11-26", "2024-11-27", "2024-12-02")
    assert _missing(days, "XNYS") == [("2024-11-28", 1)]
    assert _missing(_daily(bars, "2024-07-12", "2024-07-15"), "fx") == []


def test_a_missing_week_is_one_missing_bar(bars: Bars) -> None:
    weeks = _daily(bars, "2024-07-01", "2024-07-08", "2024-07-22", frame="W1")
    assert _missing(weeks, "fx") == [("2024-07-15", 1)]
    assert _missing(weeks, "XNYS") == [("2024-07-15", 1)]
    assert find_gaps(_daily(bars, "2024-07-01", "2024-07-08", frame="W1"), _FX).closures == 0


@pytest.mark.parametrize(
    ("name", "count"), [("fx", 0), ("lean:market-hours-database.json#Forex-oanda-EURUSD", 0), ("always", 2)]
)
def test_an_import_keeps_its_calendar_and_the_ask_side_that_joins_it_has_the_same(
    store: Any, shared_data: Path, csv_file: Callable[..., Path], name: str, count: int
) -> None:
    friday = ns("2024-03-01 21:57") // 10**9
    monday = ns("2024-03-03 22:03") // 10**9 if name.startswith("lean") else ns("2024-03-03 22:00") // 10**9
    late = friday if name.startswith("lean") else friday + 120
    lines = [f"{time},1,1,1,1,1" for time in (late - 60, late, monday, monday + 60, monday + 7200)]
    path = csv_file("time,open,high,low,close,volume", *lines[: 4 if count == 0 else 5])
    stated = name.replace("lean:", f"lean:{shared_data}/lean/")
    options = {"symbol": "EURUSD", "frame": "M1", "name": "one"}
    made = store.take(path, calendar=stated, **options)
    kept = made.series[0].quality
    assert kept["gaps"]["count"] == count
    assert kept["calendar"]["name"].startswith(name.partition("#")[0])
    assert ("sha256" in kept["calendar"]) == name.startswith("lean")
    joined = store.take(path, side="ask", **options)
    assert joined.series[0].quality["calendar"] == kept["calendar"]


def test_an_unknown_calendar_is_refused_before_anything_is_read(store: Any, tmp_path: Path) -> None:
    with pytest.raises(DataRefused) as caught:
        store.take(tmp_path / "none.csv", symbol="EURUSD", frame="M1", calendar="fxx")
    assert caught.value.error_code == "CALENDAR"
