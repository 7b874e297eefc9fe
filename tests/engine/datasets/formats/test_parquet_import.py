"""Parquet of other systems against its rows read by pyarrow, and what is refused before it is decoded."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boxgate_engine.errors import BoxgateError, DataRefused

START_NS = 1_704_186_000_000_000_000
"""2024-01-02 09:00 UTC."""
MINUTE_NS = 60_000_000_000


def whole(column: pa.ChunkedArray) -> list[int]:
    return [int.from_bytes(value, "little", signed=True) for value in column.to_pylist()]


@pytest.mark.parametrize(
    ("name", "symbol", "rows"),
    [("quotes.parquet", "EURUSD", 9_500), ("quotes-3-groups-filter-query.parquet", "BTCUSDT", 15_000)],
)
def test_nautilus_quotes_are_the_rows_of_the_file(
    store: Any, shared_data: Path, name: str, symbol: str, rows: int
) -> None:
    path = shared_data / "nautilus/64-bit" / name
    table = pq.read_table(path)
    (stored,) = store.take(path, name="q").series
    assert (stored.symbol, stored.frame, stored.rows) == (symbol, "tick", rows) == (symbol, "tick", table.num_rows)
    columns = store.open("q").series(symbol, "tick").columns
    assert columns["time_ns"].tolist() == table["ts_event"].to_pylist()
    for side in ("bid", "ask"):
        assert columns[side].tolist() == [float(Decimal(n) / 10**9) for n in whole(table[f"{side}_price"])]


@pytest.mark.parametrize(("stated", "late_ns"), [({}, 0), ({"ts_event": "close_time"}, MINUTE_NS)])
def test_the_stamps_of_nautilus_bars_are_opens_unless_they_are_said_to_be_closes(
    store: Any, shared_data: Path, stated: dict[str, str], late_ns: int
) -> None:
    path = shared_data / "nautilus/64-bit/bars.parquet"
    table = pq.read_table(path)
    (stored,) = store.take(path, name="b", columns=stated).series
    assert (stored.symbol, stored.frame, stored.price_basis, stored.rows) == ("ADABTC", "M1", "LAST", 10)
    columns = store.open("b").series("ADABTC", "M1").columns
    assert columns["open_ns"].tolist() == [ns - late_ns for ns in table["ts_event"].to_pylist()]
    for name in ("open", "high", "low", "close", "volume"):
        assert columns[name].tolist() == [float(Decimal(n) / 10**9) for n in whole(table[name])], name


def test_nautilus_trades_are_ticks_of_one_price_where_that_is_said(store: Any, shared_data: Path) -> None:
    path = shared_data / "nautilus/64-bit/trades.parquet"
    with pytest.raises(DataRefused, match="trades"):
        store.take(path, name="t")
    (stored,) = store.take(path, name="t", side="last").series
    assert (stored.rows, stored.price_basis) == (100, "LAST")


def bars(**changed: Any) -> pa.Table:
    opens = np.arange(500, dtype=np.int64) * MINUTE_NS + START_NS
    ticks = 110_000 + np.arange(500) % 7
    close = ticks / 1e5
    columns: dict[str, Any] = {
        "timestamp": pa.array(opens, pa.timestamp("ns", "UTC")),
        "open": close, "high": (ticks + 1) / 1e5, "low": (ticks - 1) / 1e5, "close": close, "volume": np.arange(500.0),
    }  # fmt: skip
    return pa.table({**columns, **changed})


def write(tmp_path: Path, table: pa.Table, **options: Any) -> Path:
    path = tmp_path / "eurusd.parquet"
    pq.write_table(table, path, **options)
    return path


OPENS = np.arange(500, dtype=np.int64) * MINUTE_NS + START_NS


@pytest.mark.parametrize(
    ("stamps", "zone", "hours"),
    [
        (pa.array(OPENS // 1000, pa.timestamp("us", "America/New_York")), None, 0),
        (pa.array(OPENS // 10**6, pa.timestamp("ms")), "+2", -2),
        (pa.array(OPENS // 10**9, pa.int64()), None, 0),
        (pa.array(OPENS // 10**6, pa.uint64()), None, 0),
        (pa.array([str(np.datetime64(int(t), "ns"))[:19] for t in OPENS]), "UTC", 0),
    ],
)
def test_stamps_of_many_types_name_the_same_moments(
    store: Any, tmp_path: Path, stamps: pa.Array, zone: str | None, hours: int
) -> None:
    store.take(write(tmp_path, bars(timestamp=stamps)), symbol="EURUSD", frame="M1", zone=zone, name="x")
    opens = store.open("x").series("EURUSD", "M1").columns["open_ns"]
    assert (opens == OPENS + hours * 60 * MINUTE_NS).all()


def test_decimals_and_single_precision_become_the_double_of_the_decimal_they_show(store: Any, tmp_path: Path) -> None:
    table = bars(
        close=pa.array([Decimal("1.10003")] * 500, pa.decimal128(9, 5)),
        open=pa.array([1.10003] * 500, pa.float32()),
        high=pa.array([2.0] * 500),
        low=pa.array([1.0] * 500),
    )
    store.take(write(tmp_path, table), symbol="EURUSD", frame="M1", name="x")
    columns = store.open("x").series("EURUSD", "M1").columns
    assert set(columns["close"].tolist()) == set(columns["open"].tolist()) == {1.10003}


@pytest.mark.parametrize(
    ("changed", "code", "where"),
    [
        ({"timestamp": pa.array(OPENS, pa.timestamp("ns"))}, "DATA_TZ", "row 1"),
        ({"close": pa.array([1.1] * 300 + [None] + [1.1] * 199)}, "DATA_VALUE", "row 301, column close"),
        ({"close": pa.array(["x"] * 500)}, "DATA_VALUE", "column close"),
        ({"close": pa.array([[1.0]] * 500)}, "DATA_SCHEMA", "eurusd.parquet"),
        ({"mood": pa.array([1.0] * 500)}, "DATA_SCHEMA", "mood"),
        ({"low": pa.array([1.1] * 200 + [-1.0] + [1.1] * 299)}, "DATA_VALUE", "row 201"),
    ],
)
def test_what_is_wrong_is_named(store: Any, tmp_path: Path, changed: dict[str, Any], code: str, where: str) -> None:
    with pytest.raises(DataRefused) as refused:
        store.take(write(tmp_path, bars(**changed)), symbol="EURUSD", frame="M1", name="x")
    assert refused.value.error_code == code
    assert where in refused.value.where
    assert store.published() == []


def test_d01_d03_what_is_no_whole_file_is_refused(store: Any, tmp_path: Path) -> None:
    good = write(tmp_path, bars()).read_bytes()
    for data in (b"PAR1", good[:-20], good[: len(good) // 2], b"PAR1" * 3):
        path = tmp_path / "bad.parquet"
        path.write_bytes(data)
        with pytest.raises(DataRefused) as refused:
            store.take(path, symbol="EURUSD", frame="M1", name="x")
        assert refused.value.error_code == "DATA_FORMAT"


def test_d15_a_file_that_unpacks_out_of_all_proportion_is_refused(store: Any, tmp_path: Path) -> None:
    rows = 3_000_000
    table = pa.table({name: np.ones(rows) for name in ("timestamp", "open", "high", "low", "close", "volume")})
    path = write(tmp_path, table, use_dictionary=False, compression="zstd", compression_level=19)
    with pytest.raises(DataRefused, match="unpacked"):
        store.take(path, symbol="EURUSD", frame="M1", name="x")


@pytest.mark.slow
def test_d16_two_hundred_flipped_bytes_are_refused_or_harmless(store: Any, tmp_path: Path) -> None:
    path = write(tmp_path, bars(), write_page_checksum=True)
    good = path.read_bytes()
    first = store.take(path, symbol="EURUSD", frame="M1", name="good").manifest.hash
    rng = random.Random(7)
    for number in range(200):
        data = bytearray(good)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(data))
        made = hash_of(store, path, f"x{number}")
        assert made in (first, None), "a flip that was not noticed changed nothing"


def hash_of(store: Any, path: Path, name: str) -> str | None:
    """The hash of what was imported, None if it was refused with a code."""
    try:
        return str(store.take(path, symbol="EURUSD", frame="M1", name=name).manifest.hash)
    except BoxgateError:
        return None
