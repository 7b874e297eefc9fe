"""CSV files with a header line: real exports, and the variety of names, separators and stamps."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.datasets import InstrumentOptions
from boxgate_engine.datasets.formats.delimited import NUMBER, read_table
from boxgate_engine.errors import DataRefused

_SECOND_NS = 1_000_000_000
_START_NS = 1_709_294_400 * _SECOND_NS
"""2024-03-01 12:00 UTC."""


def _columns(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
def test_binance_hours_are_the_rows_of_the_file(store: Any, shared_data: Path, symbol: str) -> None:
    path = shared_data / f"binance_usdm/1h/{symbol}.csv"
    result = store.take(path, symbol=symbol, frame="H1", side="last", zone="UTC", name="b")
    series = store.open("b").series(symbol, "H1")
    expected = _columns(path)
    assert series.rows == 4_500
    assert series.price_basis == "LAST"
    assert series.columns["open_ns"].tolist() == [int(text) * 1_000_000 for text in expected["timestamp"]]
    for name in ("open", "high", "low", "close", "volume"):
        assert series.columns[name].tolist() == [float(text) for text in expected[name]], name
    assert result.series[0].quality["reading"] == {
        "zone": "UTC",
        "stamps": ["epoch ms"],
        "ignored_columns": ["close_time", "quote_volume", "trades"],
    }
    (instrument,) = result.manifest.instruments
    assert (instrument.asset_class, instrument.quote_currency, instrument.lot_size) == (
        "crypto",
        "USDT",
        Fraction(1, 1000),
    )


def test_stamps_with_an_offset_need_no_zone(store: Any, shared_data: Path) -> None:
    path = shared_data / "crypto_1m/ADAUSDT_1m.csv"
    store.take(path, symbol="ADAUSDT", frame="M1", name="c")
    series = store.open("c").series("ADAUSDT", "M1")
    stamps = [datetime.fromisoformat(text) for text in _columns(path)["timestamp"]]
    assert series.columns["open_ns"].tolist() == [int(stamp.timestamp()) * _SECOND_NS for stamp in stamps]
    assert series.price_basis == "BID"


def test_an_ask_file_joins_the_bid_series_of_the_same_name(store: Any, shared_data: Path) -> None:
    bid, ask = (shared_data / f"nautilus/fxcm/usdjpy-m1-{side}-2013.csv" for side in ("bid", "ask"))
    store.take(bid, symbol="USDJPY", frame="M1", name="jp")
    assert not store.open("jp").series("USDJPY", "M1").has_ask
    result = store.take(ask, symbol="USDJPY", frame="M1", name="jp", side="ask")
    assert result.series[0].quality["counts"] == {"crossed": 683, "locked": 1240, "zero_volume": 28_761}
    series = store.open("jp").series("USDJPY", "M1")
    assert series.columns["close"].tolist() == [float(text) for text in _columns(bid)["close"]]
    assert series.columns["ask_close"].tolist() == [float(text) for text in _columns(ask)["close"]]
    again = store.take(ask, symbol="USDJPY", frame="M1", name="jp", side="ask")
    assert not again.created
    assert again.manifest.hash == result.manifest.hash


def test_rows_that_only_one_side_has_are_dropped_and_counted(store: Any, csv_file: Callable[..., Path]) -> None:
    head = "time,open,high,low,close"
    bid = csv_file(head, "2024-03-01T12:00:00Z,1,1,1,1", "2024-03-01T12:01:00Z,1,1,1,1", name="bid.csv")
    ask = csv_file(head, "2024-03-01T12:01:00Z,2,2,2,2", "2024-03-01T12:02:00Z,2,2,2,2", name="ask.csv")
    store.take(bid, symbol="EURUSD", frame="M1", name="x")
    result = store.take(ask, symbol="EURUSD", frame="M1", name="x", side="ask")
    assert result.series[0].quality["repairs"] == {
        "bid_rows_without_ask_dropped": 1,
        "ask_rows_without_bid_dropped": 1,
    }
    assert result.series[0].rows == 1


@pytest.mark.parametrize(
    "header",
    [
        "time,open,high,low,close,volume",
        "Timestamp;Open;High;Low;Close;Volume",
        "date\tO\tH\tL\tC\tV",
        "<DATETIME>|<OPEN>|<HIGH>|<LOW>|<CLOSE>|<TICKVOL>",
        '"open_time","open","high","low","close","vol"',
    ],
)
def test_names_and_separators_are_recognised(store: Any, csv_file: Callable[..., Path], header: str) -> None:
    separator = next(mark for mark in ",;\t|" if mark in header)
    row = separator.join(["2024-03-01 12:00:00", "1.1", "1.3", "1.0", "1.2", "7"])
    store.take(csv_file(header, row), symbol="EURUSD", frame="M1", zone="UTC", name="x")
    columns = store.open("x").series("EURUSD", "M1").columns
    assert {name: values.tolist() for name, values in columns.items()} == {
        "open_ns": [_START_NS],
        "open": [1.1],
        "high": [1.3],
        "low": [1.0],
        "close": [1.2],
        "volume": [7.0],
    }


def test_bid_and_ask_columns_become_one_series(store: Any, csv_file: Callable[..., Path]) -> None:
    header = "time,ask_open,ask_high,ask_low,ask_close,bid_open,bid_high,bid_low,bid_close"
    path = csv_file(header, "1709294400,1.2,1.4,1.1,1.3,1.1,1.3,1.0,1.2")
    store.take(path, symbol="EURUSD", frame="M1", name="x")
    series = store.open("x").series("EURUSD", "M1")
    assert [float(values[0]) for values in series.columns.values()] == [
        _START_NS, 1.1, 1.3, 1.0, 1.2, 0.0, 1.2, 1.4, 1.1, 1.3,
    ]  # fmt: skip


def test_ticks_have_bid_ask_and_what_else_the_file_has(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file("time,ask,bid,volume,last", "1709294400123,1.3,1.1,5,1.2", "1709294400123,1.3,1.1,5,1.2")
    store.take(path, symbol="EURUSD", frame="tick", name="x")
    series = store.open("x").series("EURUSD", "tick")
    assert list(series.columns) == ["time_ns", "bid", "ask", "last", "volume"]
    assert [values.tolist()[1] for values in series.columns.values()] == [
        _START_NS + 123_000_000, 1.1, 1.3, 1.2, 5.0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stamp", "zone", "offset_ns"),
    [
        ("1709294400", None, 0),
        ("1709294400000", None, 0),
        ("1709294400000000", "UTC", 0),
        ("1709294400000000001", None, 1),
        ("2024-03-01 12:00:00", "UTC", 0),
        ("2024-03-01T12:00:00.000000001", "UTC", 1),
        ("2024-03-01 12:00:00.123456789Z", None, 123_456_789),
        ("2024-03-01 12:00", "UTC", 0),
        ("2024-03-01 14:00:00+02:00", None, 0),
        ("2024-03-01 12:00:00 UTC", None, 0),
        ("2024-03-01 13:00:00", "Europe/Berlin", 0),
        ("2024.03.01 07:00:00", "America/New_York", 0),
        ("2024/03/01 12:00:00", "UTC", 0),
        ("01.03.2024 12:00:00.000", "UTC", 0),
        ("20240301 12:00", "UTC", 0),
        ("20240301 120000065", "UTC", 65_000_000),
        ("202403011200", "UTC", 0),
        ("20240301120000", "UTC", 0),
    ],
)
def test_stamps_of_many_forms_name_the_same_moment(
    store: Any, csv_file: Callable[..., Path], stamp: str, zone: str | None, offset_ns: int
) -> None:
    path = csv_file("time,bid,ask", f"{stamp},1.1,1.2")
    store.take(path, symbol="EURUSD", frame="tick", zone=zone, name="x")
    assert store.open("x").series("EURUSD", "tick").times_ns.tolist() == [_START_NS + offset_ns]


def test_a_date_column_beside_a_time_column_is_read_with_it(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file("<DATE>\t<TIME>\t<BID>\t<ASK>", "2024.03.01\t12:00:00.123\t1.1\t1.2")
    store.take(path, symbol="EURUSD", frame="tick", zone="UTC", name="x")
    assert store.open("x").series("EURUSD", "tick").times_ns.tolist() == [_START_NS + 123_000_000]


def test_a_zip_with_one_csv_is_read_like_the_csv(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file("time,bid,ask", "1709294400,1.1,1.2")
    with zipfile.ZipFile(store.folder / "any.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "any.csv")
    plain = store.take(path, symbol="EURUSD", frame="tick")
    zipped = store.take(store.folder / "any.zip", symbol="EURUSD", frame="tick")
    assert plain.manifest.hash == zipped.manifest.hash


def test_windows_line_ends_a_mark_and_blank_ends_change_nothing(store: Any, tmp_path: Path) -> None:
    plain, windows = tmp_path / "plain.csv", tmp_path / "windows.csv"
    plain.write_bytes(b"time,bid,ask\n1709294400,1.1,1.2\n1709294401,1.1,1.2")
    windows.write_bytes(b"\xef\xbb\xbftime,bid,ask\r\n1709294400,1.1,1.2\r\n1709294401,1.1,1.2\r\n\r\n\r\n")
    hashes = {store.take(path, symbol="EURUSD", frame="tick").manifest.hash for path in (plain, windows)}
    assert len(hashes) == 1


def test_files_may_come_in_any_order_and_overlap_with_equal_bars(store: Any, csv_file: Callable[..., Path]) -> None:
    head = "time,open,high,low,close"
    rows = [f"{1709294400 + 60 * index},1.{index},1.{index},1.{index},1.{index}" for index in range(6)]
    early, late = csv_file(head, *rows[:4], name="a.csv"), csv_file(head, *rows[2:], name="b.csv")
    with pytest.raises(DataRefused, match="a second time with equal values") as caught:
        store.take(late, early, symbol="EURUSD", frame="M1")
    assert caught.value.error_code == "DATA_DUPLICATE"
    result = store.take(late, early, symbol="EURUSD", frame="M1", on_duplicate="drop")
    whole = store.take(csv_file(head, *rows, name="c.csv"), symbol="EURUSD", frame="M1")
    assert result.manifest.hash == whole.manifest.hash
    assert result.series[0].quality["repairs"] == {"equal_duplicates_dropped": 2}
    assert (result.series[0].quality["rows_read"], result.series[0].quality["rows_kept"]) == (8, 6)


def test_facts_that_are_stated_are_not_guessed(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file("time,bid,ask", "1709294400,1.105,1.2")
    options = InstrumentOptions(
        asset_class="index", tick_size=Fraction(1, 20), quote_currency="EUR", contract_size=Fraction(10)
    )
    result = store.take(path, symbol="GER40.cash", frame="tick", instrument=options)
    (instrument,) = result.manifest.instruments
    assert (instrument.asset_class, instrument.tick_size, instrument.contract_size) == ("index", Fraction(1, 20), 10)
    assert result.manifest.inferred == {"GER40.cash": ("lot_size",)}
    assert result.series[0].quality["counts"] == {"off_grid_prices": 1}


def test_a_finer_file_refines_a_tick_size_that_was_only_inferred(store: Any, csv_file: Callable[..., Path]) -> None:
    coarse = csv_file("time,bid,ask", "1709294400,1.1,1.2", name="ticks.csv")
    fine = csv_file("time,open,high,low,close", "1709294400,1.12345,1.12345,1.12345,1.12345", name="bars.csv")
    store.take(coarse, symbol="EURUSD", frame="tick", name="x")
    assert store.open("x").instruments["EURUSD"].tick_size == Fraction(1, 10)
    store.take(fine, symbol="EURUSD", frame="M1", name="x")
    opened = store.open("x")
    assert opened.instruments["EURUSD"].tick_size == Fraction(1, 100_000)
    assert opened.frames("EURUSD") == ["tick", "M1"]


def test_a_fact_that_was_stated_is_not_overruled(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file("time,bid,ask", "1709294400,1.1,1.2")
    bars = csv_file("time,open,high,low,close", "1709294400,1.12345,1.12345,1.12345,1.12345", name="bars.csv")
    stated, other = (InstrumentOptions(tick_size=Fraction(1, n)) for n in (1000, 7))
    store.take(path, symbol="EURUSD", frame="tick", name="x", instrument=stated)
    with pytest.raises(DataRefused) as caught:
        store.take(bars, symbol="EURUSD", frame="M1", name="x", instrument=other)
    assert caught.value.error_code == "DATA_INSTRUMENT"
    store.take(bars, symbol="EURUSD", frame="M1", name="x")
    assert store.open("x").instruments["EURUSD"].tick_size == Fraction(1, 1000)


@given(
    st.lists(
        st.one_of(
            st.decimals(min_value="0.00001", max_value="99999999", places=8).map(str),
            st.floats(min_value=1e-12, max_value=1e12).map(repr),
            st.tuples(st.integers(0, 10**18), st.integers(0, 10**12)).map(lambda pair: f"{pair[0]}.{pair[1]}"),
            st.floats(min_value=1e-6, max_value=1e6).map(lambda x: f"{(x + np.nextafter(x, 1e9)) / 2:.30f}"),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_decimal_text_becomes_the_nearest_double(texts: list[str]) -> None:
    text = "\n".join(["x", *texts]).encode()
    table = read_table(text, "t", fields={"x": NUMBER}, separator=",", header_lines=1)
    assert table.numbers("x").tolist() == [float(one) for one in texts]


def test_time_zones_agree_with_the_standard_library(store: Any, csv_file: Callable[..., Path]) -> None:
    stamps = [datetime(2024, month, 15, 9, 30) for month in range(1, 13)]  # noqa: DTZ001
    path = csv_file("time,bid,ask", *(f"{stamp:%Y-%m-%d %H:%M:%S},1.1,1.2" for stamp in stamps))
    for zone in ("America/New_York", "Europe/London", "Asia/Kolkata", "Australia/Sydney", "Etc/GMT-2"):
        store.take(path, symbol="EURUSD", frame="tick", zone=zone, name="z" + zone[-3:].strip("-"))
        times = store.open("z" + zone[-3:].strip("-")).series("EURUSD", "tick").times_ns
        expected = [stamp.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp() for stamp in stamps]
        assert (times // _SECOND_NS).tolist() == expected
