"""Hours of ticks of Dukascopy's data feed, made by the test with struct and LZMA after the published layout."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.datasets import InstrumentOptions
from boxgate_engine.errors import DataRefused

TICKS = [(0, 110_021, 110_010, 1.5, 0.75), (1_017, 110_022, 110_009, 1.0, 1.0), (3_599_999, 110_000, 109_991, 2.0, 9.0)]


def hour(path: Path, ticks: Sequence[tuple[int, int, int, float, float]] = TICKS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(b"".join(struct.pack(">IIIff", *tick) for tick in ticks), lzma.FORMAT_ALONE))
    return path


def begin_ns(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[arg-type,misc]


def test_months_begin_at_zero_and_prices_are_nearest_doubles(store: Any, tmp_path: Path) -> None:
    hour(tmp_path / "feed/EURUSD/2024/01/29/13h_ticks.bi5")
    hour(tmp_path / "feed/EURUSD/2024/01/29/14h_ticks.bi5", TICKS[:1])
    (tmp_path / "feed/EURUSD/2024/01/29/15h_ticks.bi5").touch()  # An hour without ticks.
    (series,) = store.take(tmp_path / "feed", name="x").series
    assert (series.symbol, series.frame, series.price_basis, series.rows) == ("EURUSD", "tick", "BID", 4)
    columns = store.open("x").series("EURUSD", "tick").columns
    start = begin_ns(2024, 2, 29, 13)
    expected = [start, start + 1_017_000_000, start + 3_599_999_000_000, start + 3_600_000_000_000]
    assert np.asarray(columns["time_ns"]).tolist() == expected
    assert np.asarray(columns["ask"]).tolist() == [1.10021, 1.10022, 1.1, 1.10021]
    assert np.asarray(columns["bid"]).tolist() == [1.1001, 1.10009, 1.09991, 1.1001]
    assert series.quality["reading"]["ignored_columns"] == ["ask_size", "bid_size"]


@pytest.mark.parametrize(
    ("symbol", "raw", "stated", "price"),
    [
        ("USDJPY", 147_123, None, 147.123),
        ("XAUUSD", 2_034_565, None, 2034.565),
        ("BTCUSD", 430_001, "0.1", 43000.1),
        ("EURHUF", 380_123, "0.001", 380.123),
    ],
)
def test_the_point_is_that_of_the_symbol_or_stated(
    store: Any, tmp_path: Path, symbol: str, raw: int, stated: str | None, price: float
) -> None:
    path = hour(tmp_path / f"{symbol}/2024/00/31/13h_ticks.bi5", [(5, raw + 7, raw, 1.0, 1.0)])
    options = InstrumentOptions(tick_size=Fraction(stated) if stated else None)
    store.take(path, name="x", instrument=options)
    assert np.asarray(store.open("x").series(symbol, "tick").columns["bid"]).tolist() == [price]


@pytest.mark.parametrize("name", ["EURUSD_2024_00_31_13h_ticks.bi5", "2024-00-31-13h_ticks.bi5"])
def test_names_may_say_what_folders_say(store: Any, tmp_path: Path, name: str) -> None:
    (series,) = store.take(hour(tmp_path / name), name="x", symbol="EURUSD").series
    assert series.first_ns == begin_ns(2024, 1, 31, 13)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("EURUSD/2024/12/31/13h_ticks.bi5", "DATA_TZ"),
        ("EURUSD/2023/01/29/13h_ticks.bi5", "DATA_TZ"),
        ("EURUSD/2024/00/31/24h_ticks.bi5", "DATA_TZ"),
        ("EURUSD/2024/00/31/BID_candles_min_1.bi5", "DATA_SCHEMA"),
        ("BTCUSD/2024/00/31/13h_ticks.bi5", "DATA_INSTRUMENT"),
    ],
)
def test_paths_that_are_no_hour_and_unknown_points_are_refused(
    store: Any, tmp_path: Path, name: str, code: str
) -> None:
    with pytest.raises(DataRefused) as found:
        store.take(hour(tmp_path / name), name="x")
    assert (found.value.error_code, store.published()) == (code, [])


@pytest.mark.parametrize("fault", ["cut", "no LZMA", "half a record", "a bomb", "a tick of the next hour", "price 0"])
def test_files_that_are_not_sound_are_refused(store: Any, tmp_path: Path, fault: str) -> None:
    path = hour(tmp_path / "EURUSD/2024/00/31/13h_ticks.bi5", TICKS * (100 if fault == "cut" else 1))
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif fault == "no LZMA":
        path.write_bytes(b"<html>not found</html>")
    elif fault == "half a record":
        path.write_bytes(lzma.compress(b"\0" * 30, lzma.FORMAT_ALONE))
    elif fault == "a bomb":
        path.write_bytes(lzma.compress(b"\0" * (80 << 20), lzma.FORMAT_ALONE, preset=0))
    elif fault == "price 0":
        hour(path, [(0, 0, 0, 1.0, 1.0)])
    else:
        hour(path, [(3_600_000, 110_021, 110_010, 1.0, 1.0)])
    with pytest.raises(DataRefused) as found:
        store.take(path, name="x")
    codes = {"a tick of the next hour": "DATA_TZ", "price 0": "DATA_VALUE"}
    assert (found.value.error_code, store.published()) == (codes.get(fault, "DATA_FORMAT"), [])


def test_another_zone_than_utc_is_refused(store: Any, tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="UTC"):
        store.take(hour(tmp_path / "EURUSD/2024/00/31/13h_ticks.bi5"), name="x", zone="+2")
