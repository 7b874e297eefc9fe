"""The quality report counts what is odd, and the week says what is a gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from boxgate_engine.calendars import calendar_by_name
from boxgate_engine.datasets import SeriesContent
from boxgate_engine.datasets.grid import count_off_grid, infer_tick_size, prices_from_ticks
from boxgate_engine.datasets.quality import find_gaps, inspect
from boxgate_engine.errors import DataRefused
from boxgate_engine.instruments import Instrument

Bars = Callable[..., SeriesContent]

_EURUSD = Instrument(
    symbol="EURUSD", asset_class="forex", quote_currency="USD", tick_size=Fraction(1, 100_000), lot_size=Fraction(1)
)


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def test_a_report_of_bars(bars: Bars) -> None:
    saturday = _ns("2024-03-02 12:00:00")
    opens = [_ns("2024-03-01 12:00:00"), _ns("2024-03-01 12:01:00"), _ns("2024-03-01 12:05:00"), saturday]
    content = bars(opens_ns=opens)
    flat = np.array([1.1, 1.1, 1.1, 1.1])
    same = dict.fromkeys(("open", "high", "low", "close", "ask_open", "ask_high", "ask_low"), flat)
    columns: dict[str, Any] = {**content.columns, **same}
    columns["ask_close"] = np.array([1.1, 1.05, 1.2, 1.2000001])
    columns["volume"] = np.array([0.0, 1.0, 0.0, 2.0])
    report = inspect(replace(content, columns=columns), _EURUSD)
    assert report["counts"] == {
        "off_grid_prices": 1,
        "outside_market_hours": 1,
        "crossed": 1,
        "locked": 1,
        "zero_volume": 2,
        "flat": 4,
    }
    gaps = report["gaps"]
    assert (gaps["count"], gaps["missing_bars"]) == (2, 3 + 594)
    assert [gap["missing_bars"] for gap in gaps["longest"]] == [594, 3]


def test_the_longest_gaps_are_listed_and_all_are_counted(bars: Bars) -> None:
    opens = [_ns("2024-03-04 00:00:00") + 120_000_000_000 * index for index in range(100)]
    report = inspect(bars(opens_ns=opens), _EURUSD)["gaps"]
    assert (report["count"], len(report["longest"])) == (99, 50)


def test_a_tick_series_has_a_gap_after_an_hour_of_open_market() -> None:
    times = np.array([_ns(text) for text in ("2024-03-04 00:00:00", "2024-03-04 00:59:59", "2024-03-04 02:00:00")])
    columns: dict[str, Any] = {"time_ns": times, "bid": np.full(3, 1.1), "ask": np.full(3, 1.2)}
    content = SeriesContent(symbol="EURUSD", frame="tick", price_basis="BID", columns=columns)
    assert find_gaps(content, calendar_by_name("fx")).from_ns.tolist() == [int(times[1])]


@pytest.mark.parametrize(("num", "den"), [(1, 100_000), (1, 100), (1, 3), (25, 10), (1, 20), (1, 1)])
def test_grid_prices_are_the_nearest_doubles_of_their_ratios(num: int, den: int) -> None:
    ticks = (np.random.Philox(key=3).random_raw(2000) % 10_000_000).astype(np.int64) + 1
    made = prices_from_ticks(ticks, Fraction(num, den))
    assert made.tolist() == [float(Fraction(int(n) * num, den)) for n in ticks]
    assert count_off_grid(made, Fraction(num, den)) == 0


def test_the_naive_product_is_off_the_grid() -> None:
    ticks = np.arange(100_000, 101_000)
    assert count_off_grid((ticks * 0.00001).astype(np.float64), Fraction(1, 100_000)) > 300


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1.1", "1.25"], "1/100"),
        (["100", "7"], "1"),
        (["0.00001234"], "1/100000000"),
        (["115715.50", "0.1"], "1/10"),
    ],
)
def test_the_tick_size_is_the_coarsest_decimal_grid(texts: list[str], expected: str) -> None:
    assert str(infer_tick_size([np.array([float(text) for text in texts])], "x")) == expected


def test_prices_without_a_decimal_grid_need_a_stated_tick_size() -> None:
    with pytest.raises(DataRefused) as caught:
        infer_tick_size([np.array([1 / 3])], "x")
    assert caught.value.error_code == "DATA_INSTRUMENT"
