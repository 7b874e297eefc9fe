"""Parquet of other systems: read exactly, refused with row and column, never able to take the importer down."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boxgate_engine.datasets.formats.parquet import decoding
from boxgate_engine.datasets.formats.parquet.tables import FORMAT
from boxgate_engine.datasets.formats.source import ReadOptions, SourcePart, read_input
from boxgate_engine.errors import DataRefused

MONDAY = "2024-01-01"
MONDAY_NS = 1_704_067_200_000_000_000
MINUTE_NS = 60_000_000_000
ROWS = 500
OPENS_NS = MONDAY_NS + np.arange(ROWS, dtype=np.int64) * MINUTE_NS


def prices(decimals: int = 5) -> dict[str, np.ndarray]:
    ticks = 110_000 + np.cumsum(np.random.Philox(key=7).random_raw(ROWS).astype(np.int64) % 21 - 10)
    close = ticks + np.arange(ROWS) % 7
    unit = 10.0**decimals
    return {
        "open": ticks / unit,
        "high": np.maximum(ticks, close) / unit,
        "low": np.minimum(ticks, close) / unit,
        "close": close / unit,
    }


def table(**columns: Any) -> pa.Table:
    """Return sound bars, with some columns replaced, added or (None) left out."""
    made: dict[str, Any] = {"time": pa.array(OPENS_NS, pa.timestamp("ns", "UTC")), **prices()}
    made["volume"] = np.arange(ROWS, dtype=np.float64) / 10
    return pa.table({name: values for name, values in (made | columns).items() if values is not None})


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    def write(content: pa.Table, name: str = "bars.parquet", **options: Any) -> Path:
        path = tmp_path / name
        pq.write_table(content, path, **options)
        return path

    return write


def imported(store: Any, path: Path, **options: Any) -> dict[str, np.ndarray]:
    stated = {"symbol": "EURUSD", "frame": "M1", "name": "p", **options}
    store.take(path, **stated)
    columns: dict[str, np.ndarray] = store.open("p").series(stated["symbol"], stated["frame"]).columns
    return columns


def refused(store: Any, path: Path, **options: Any) -> DataRefused:
    with pytest.raises(DataRefused) as caught:
        imported(store, path, **options)
    assert store.published() == []
    return caught.value


STAMPS: dict[str, Callable[[], Any]] = {
    "ns": lambda: pa.array(OPENS_NS, pa.timestamp("ns", "UTC")),
    "us": lambda: pa.array(OPENS_NS // 1000, pa.timestamp("us", "UTC")),
    "ms": lambda: pa.array(OPENS_NS // 10**6, pa.timestamp("ms", "Europe/Berlin")),
    "s": lambda: pa.array(OPENS_NS // 10**9, pa.timestamp("s", "+05:30")),
    "epoch s": lambda: OPENS_NS // 10**9,
    "epoch s in 32 bits": lambda: (OPENS_NS // 10**9).astype(np.uint32),
    "epoch ms": lambda: OPENS_NS // 10**6,
    "epoch us, unsigned": lambda: (OPENS_NS // 10**3).astype(np.uint64),
    "epoch ns": lambda: OPENS_NS,
    "text": lambda: pd.to_datetime(OPENS_NS, utc=True).strftime("%Y-%m-%d %H:%M:%S+00:00").to_numpy(),
    "categories": lambda: pa.array(OPENS_NS, pa.timestamp("ns", "UTC")).dictionary_encode(),
}


@pytest.mark.parametrize("form", STAMPS)
def test_stamps_of_every_type_are_the_same_moments(store: Any, written: Any, form: str) -> None:
    columns = imported(store, written(table(time=STAMPS[form]()), row_group_size=130))
    assert np.array_equal(columns["open_ns"], OPENS_NS)
    for name, values in prices().items():
        assert np.array_equal(columns[name], values)
    assert np.array_equal(columns["volume"], np.arange(ROWS) / 10)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_stamps_without_a_zone_are_read_in_the_one_that_is_stated(store: Any, written: Any, unit: str) -> None:
    local = pd.DatetimeIndex(OPENS_NS, tz="UTC").tz_convert("Europe/Berlin").tz_localize(None)
    path = written(table(time=pa.array(local.as_unit(unit).to_numpy(), pa.timestamp(unit))))
    assert refused(store, path).error_code == "DATA_TZ"
    assert np.array_equal(imported(store, path, zone="Europe/Berlin")["open_ns"], OPENS_NS)


def test_days_are_midnights_of_the_zone(store: Any, written: Any) -> None:
    days = pa.array(np.arange(19_700, 19_700 + ROWS, dtype=np.int32), pa.date32())
    columns = imported(store, written(table(time=None, date=days)), frame="D1", zone="UTC")
    assert np.array_equal(columns["open_ns"], np.arange(19_700, 19_700 + ROWS) * 86_400_000_000_000)


@pytest.mark.parametrize("index_name", ["time", "Gmt time", None, "when"])
def test_the_index_of_a_pandas_table_is_its_time(store: Any, tmp_path: Path, index_name: str | None) -> None:
    index = pd.DatetimeIndex(OPENS_NS, tz="UTC", name=index_name)
    path = tmp_path / "pandas.parquet"
    pd.DataFrame({"Open": prices()["open"], "High": prices()["high"], "Low": prices()["low"],
                  "Close": prices()["close"], "Volume": 1.0}, index=index).to_parquet(path)  # fmt: skip
    columns = imported(store, path)
    assert np.array_equal(columns["open_ns"], OPENS_NS)
    assert np.array_equal(columns["close"], prices()["close"])


def test_an_index_of_row_numbers_is_left_out(store: Any, tmp_path: Path) -> None:
    path = tmp_path / "filtered.parquet"
    frame = table().to_pandas()
    frame[frame.index % 5 > 0].to_parquet(path)
    result = store.take(path, symbol="EURUSD", frame="M1")
    assert result.series[0].rows == ROWS // 5 * 4
    assert result.series[0].quality["reading"]["ignored_columns"] == ["__index_level_0__"]


@pytest.mark.parametrize(
    "of",
    [
        lambda values: pa.array([Decimal(f"{value:.5f}") for value in values], pa.decimal128(20, 5)),
        lambda values: pa.array([Decimal(f"{value:.5f}") for value in values], pa.decimal256(60, 18)),
        lambda values: pa.array([f"{value:.5f}" for value in values]),
        lambda values: pa.array([f"{value:.5e}" for value in values], pa.large_string()),
        lambda values: pa.array(values, pa.float32()),
    ],
    ids=["decimal128", "decimal256", "text", "exponents", "float32"],
)
def test_decimals_texts_and_floats_of_32_bits_are_the_doubles_nearest_to_the_decimals(
    store: Any, written: Any, of: Callable[[np.ndarray], Any]
) -> None:
    columns = imported(store, written(table(**{name: of(values) for name, values in prices().items()})))
    for name, values in prices().items():
        assert columns[name].tolist() == [float(f"{value:.5f}") for value in values]


def test_floats_of_32_bits_are_counted_as_a_repair(store: Any, written: Any) -> None:
    path = written(table(volume=np.arange(ROWS, dtype=np.float32) / np.float32(10)))
    (series,) = store.take(path, symbol="EURUSD", frame="M1", name="p").series
    assert series.quality["repairs"] == {"float32_rows_read_as_decimals": ROWS}
    assert store.open("p").series("EURUSD", "M1").columns["volume"].tolist() == [i / 10 for i in range(ROWS)]


def test_whole_numbers_are_prices_where_they_are_exact(store: Any, written: Any) -> None:
    whole = {name: (values * 100_000).round().astype(np.int32) for name, values in prices().items()}
    columns = imported(store, written(table(**whole)))
    assert columns["close"].tolist() == [float(value) for value in whole["close"]]
    whole["high"] = whole["high"].astype(np.int64)
    whole["high"][7] = 2**53 + 1
    error = refused(type(store)(store.folder / "other"), written(table(**whole)))
    assert (error.error_code, "row 8, column high" in str(error)) == ("DATA_VALUE", True)


def test_ticks_have_bid_and_ask_or_are_trades(store: Any, written: Any) -> None:
    times = pa.array(OPENS_NS, pa.timestamp("ns", "UTC"))
    quotes = pa.table({"Timestamp": times, "BidPrice": prices()["low"], "ask_price": prices()["high"]})
    columns = imported(store, written(quotes), frame="tick")
    assert np.array_equal(columns["bid"], prices()["low"])
    assert np.array_equal(columns["ask"], prices()["high"])
    trades = written(pa.table({"ts": times, "price": prices()["low"], "size": np.arange(ROWS)}), "trades.parquet")
    fresh = type(store)(store.folder / "trades")
    assert "--side last" in str(refused(fresh, trades, frame="tick"))
    columns = imported(fresh, trades, frame="tick", side="last")
    assert [columns[name].tolist() for name in ("bid", "ask", "last")] == [prices()["low"].tolist()] * 3
    assert columns["volume"].tolist() == list(range(ROWS))


def test_meanings_can_be_stated(store: Any, written: Any) -> None:
    path = written(table(time=None, stamp_of_bar=STAMPS["ns"](), extra=pa.array([[1]] * ROWS)))
    assert refused(store, path).error_code == "DATA_SCHEMA"
    columns = imported(store, path, columns={"stamp_of_bar": "time"}, ignore=frozenset({"extra"}))
    assert np.array_equal(columns["open_ns"], OPENS_NS)


def with_row(values: Any, row: int, value: Any) -> Any:
    listed = pa.array(values).to_pylist()
    listed[row] = value
    return listed


@pytest.mark.parametrize(
    ("replaced", "options", "code", "said"),
    [
        ({"close": lambda: with_row(prices()["close"], 3, None)}, {}, "DATA_VALUE", "row 4, column close"),
        ({"close": lambda: with_row(prices()["close"], 3, float("nan"))}, {}, "DATA_VALUE", "row 4, column close"),
        ({"close": lambda: [str(v) for v in with_row(prices()["close"], 3, "1,1")]}, {}, "DATA_VALUE", "row 4"),
        ({"close": lambda: with_row(prices()["close"], 400, -1.0)}, {}, "DATA_VALUE", "row 401, column close"),
        ({"close": lambda: pa.array([[v] for v in prices()["close"]])}, {}, "DATA_SCHEMA", "column close"),
        ({"close": lambda: pa.array([{"v": v} for v in prices()["close"]])}, {}, "DATA_SCHEMA", "column close"),
        ({"close": lambda: pa.array(prices()["close"] > 0)}, {}, "DATA_SCHEMA", "bool"),
        ({"close": lambda: prices()["close"].astype(np.float16)}, {}, "DATA_SCHEMA", "halffloat"),
        ({"close": lambda: None}, {}, "DATA_SCHEMA", "close"),
        ({"mystery": lambda: prices()["close"]}, {}, "DATA_SCHEMA", "mystery"),
        ({"Close": lambda: prices()["close"]}, {}, "DATA_SCHEMA", "both mean close"),
        ({"time": lambda: OPENS_NS / 1e9}, {}, "DATA_SCHEMA", "column time"),
        ({"time": lambda: np.arange(ROWS)}, {}, "DATA_TZ", "row 1"),
        ({"time": OPENS_NS[::-1].copy}, {}, "DATA_ORDER", "row 2"),
        ({"time": lambda: with_row(OPENS_NS // 10**9, 300, 10**12)}, {}, "DATA_TZ", "row 301"),
        ({"time": lambda: pa.array(with_row(OPENS_NS // 10**9, 300, 10**15), pa.timestamp("s", "UTC"))}, {},
         "DATA_TZ", "row 301"),
        ({"time": lambda: pa.array(with_row(OPENS_NS, 9, -5), pa.timestamp("ns", "UTC"))}, {}, "DATA_TZ", "row 10"),
        ({}, {"frame": "M5"}, "DATA_SCHEMA", "closer"),
        ({}, {"symbol": None}, "DATA_SCHEMA", "--symbol"),
    ],
)  # fmt: skip
def test_what_is_no_sound_table_is_refused_with_its_place(
    store: Any, written: Any, replaced: dict[str, Callable[[], Any]], options: dict[str, Any], code: str, said: str
) -> None:
    path = written(table(**{name: make() for name, make in replaced.items()}), row_group_size=130)
    if options.get("symbol", "") is None:
        with pytest.raises(DataRefused) as caught:
            store.take(path, frame="M1")
        error = caught.value
    else:
        error = refused(store, path, **options)
    assert error.error_code == code
    assert said in str(error)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda data: data[:-1], "DATA_FORMAT"),
        (lambda data: data[: len(data) // 2], "DATA_FORMAT"),
        (lambda data: b"PAR1", "DATA_FORMAT"),
        (lambda data: b"PAR1PAR1", "DATA_FORMAT"),
        (lambda data: b"PAR1" + struct.pack("<I", 0) + b"PAR1", "DATA_FORMAT"),
        (lambda data: data[:-8] + struct.pack("<I", 2**31) + b"PAR1", "DATA_FORMAT"),
        (lambda data: data[:-8] + struct.pack("<I", 7) + b"PAR1", "DATA_FORMAT"),
        (lambda data: b"PARE" + data[4:-4] + b"PARE", "DATA_FORMAT"),
        (lambda data: data[:200] + bytes(64) + data[264:], "DATA_ARROW"),
    ],
)
def test_d01_to_d03_and_d16_what_is_damaged_is_refused_by_name(
    store: Any, written: Any, spoil: Callable[[bytes], bytes], code: str
) -> None:
    path = written(table(), write_page_checksum=True)
    path.write_bytes(spoil(path.read_bytes()))
    assert refused(store, path).error_code == code


def test_encrypted_columns_are_refused(store: Any, tmp_path: Path) -> None:
    import pyarrow.parquet.encryption as pe

    class Plain(pe.KmsClient):
        def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
            return base64.b64encode(key_bytes)

        def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
            return base64.b64decode(wrapped_key)

    factory = pe.CryptoFactory(lambda configuration: Plain())
    for number, plain_footer in enumerate((True, False)):
        configuration = pe.EncryptionConfiguration(
            footer_key="f", column_keys={"c": ["close"]}, plaintext_footer=plain_footer
        )
        properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), configuration)
        path = tmp_path / f"{number}.parquet"
        with pq.ParquetWriter(path, table().schema, encryption_properties=properties) as writer:
            writer.write_table(table())
        assert refused(store, path).error_code in ("DATA_FORMAT", "DATA_ARROW")


def test_d15_a_bomb_is_refused_before_it_is_decoded(store: Any, tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    zeros = pa.table({name: pa.array(np.zeros(1 << 20)) for name in ("time", "open", "high", "low", "close")})
    with pq.ParquetWriter(path, zeros.schema, compression="zstd") as writer:
        for _ in range(64):
            writer.write_table(zeros)
    assert path.stat().st_size < 64 * zeros.nbytes / 1000
    error = refused(store, path)
    assert error.error_code == "DATA_FORMAT"
    assert "unpack" in str(error)


def test_d15_too_many_row_groups_are_refused(store: Any, written: Any) -> None:
    path = written(pa.concat_tables([table()] * 140).slice(0, 66_000), row_group_size=1)
    error = refused(store, path)
    assert error.error_code == "DATA_FORMAT"
    assert "row groups" in str(error)


def test_a_dictionary_of_long_texts_does_not_eat_the_memory(
    store: Any, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "_MEMORY_BYTES", 1 << 30)
    long = pa.DictionaryArray.from_arrays(pa.array(np.zeros(60_000, np.int32)), pa.array(["2" * (1 << 20)]))
    path = written(pa.table({"time": long, **dict.fromkeys(("open", "high", "low", "close"), np.ones(60_000))}))
    assert refused(store, path).error_code in ("DATA_ARROW", "DATA_TZ")


@pytest.mark.parametrize(
    "body",
    [
        "import os; os.abort()",
        "import os; os.kill(os.getpid(), 11)",
        "raise SystemExit(0)",
        "import sys; sys.stdout.write('x' * 100)",
        "import sys, struct; sys.stdout.buffer.write(struct.pack('<I', 2**31))",
        "import sys, struct; sys.stdout.buffer.write(struct.pack('<I', 2) + b'{}')",
        "import sys, struct; sys.stdout.buffer.write(struct.pack('<I', 2) + b'[]')",
    ],
)
def test_d16_a_decoder_that_dies_or_raves_dies_alone(
    store: Any, written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    script = tmp_path / "wild.py"
    script.write_text(body, encoding="utf-8")
    monkeypatch.setattr(decoding, "_SCRIPT", script)
    error = refused(store, written(table()))
    assert error.error_code == "DATA_ARROW"
    assert "bars.parquet" in str(error)


LIES = {
    "rows": {"rows": 10**9, "bytes": [8] * 6, "rounded": 0},
    "sizes": {"rows": 1, "bytes": [8, 8, 8, 8, 8, 800], "rounded": 0},
    "columns": {"rows": 1, "bytes": [8], "rounded": 0},
    "negative": {"rows": -1, "bytes": [-8] * 6, "rounded": 0},
}


@pytest.mark.parametrize("lie", LIES)
def test_d16_what_a_decoder_says_is_checked(
    store: Any, written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    path = written(table())
    script = tmp_path / "liar.py"
    names = [*table().schema.names]
    columns = [{"name": n, "kind": "float64" if n != "time" else "integer", "unit": "", "utc": False} for n in names]
    description = {"columns": columns, "metadata": {}, "index": [], "rows": 1, "groups": 1}
    script.write_text(
        "import sys, struct\n"
        f"for text in ({json.dumps(description)!r}, {json.dumps(LIES[lie])!r}):\n"
        "    sys.stdout.buffer.write(struct.pack('<I', len(text)) + text.encode())\n"
        "sys.stdout.buffer.write(bytes(10000))\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(decoding, "_SCRIPT", script)
    assert refused(store, path).error_code == "DATA_ARROW"


def parts_of(path: Path) -> Iterator[SourcePart]:
    return FORMAT.read(read_input(path), ReadOptions(symbol="EURUSD", frame="M1"))


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for _ in range(count):
        spoiled = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 8))):
            kind, place = chance.randrange(4), chance.randrange(4, len(spoiled) - 8)
            if chance.random() < 0.5:  # The footer is where structures are.
                place = chance.randrange(max(4, len(spoiled) - 3000), len(spoiled) - 8)
            if kind == 0:
                spoiled[place] ^= 1 << chance.randrange(8)
            elif kind == 1:
                spoiled[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            elif kind == 2:
                del spoiled[place : place + chance.randrange(1, 9)]
            else:
                spoiled[place:place] = chance.randbytes(chance.randrange(1, 9))
        yield bytes(spoiled)


def fuzz(written: Callable[..., Path], count: int, seed: int) -> None:
    good = written(table(), row_group_size=200, compression="snappy", write_page_checksum=seed % 2 == 0)
    data = good.read_bytes()
    for number, spoiled in enumerate(mutations(data, count, seed)):
        good.write_bytes(spoiled)
        try:
            rows = sum(part.rows for part in parts_of(good))
        except DataRefused:
            continue
        assert rows <= ROWS * 4, number


@pytest.mark.parametrize("seed", [1, 2])
def test_d16_mutated_files_give_named_errors_or_values(written: Any, seed: int) -> None:
    fuzz(written, 12, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 16))
def test_d16_three_hundred_mutated_files_give_named_errors_or_values(written: Any, seed: int) -> None:
    fuzz(written, 50, seed)


def raw(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True)


@pytest.mark.parametrize(
    ("name", "symbol", "rows"),
    [("quotes", "EURUSD", 9_500), ("quotes-3-groups-filter-query", "BTCUSDT", 15_000)],
)
def test_quotes_of_nautilus_are_the_whole_numbers_of_the_file_by_ten_to_the_nine(
    store: Any, shared_data: Path, name: str, symbol: str, rows: int
) -> None:
    path = shared_data / f"nautilus/64-bit/{name}.parquet"
    by_hand = pq.read_table(path).to_pylist()
    (series,) = store.take(path, name="n").series
    assert (series.symbol, series.frame, series.price_basis, series.rows) == (symbol, "tick", "BID", rows)
    columns = store.open("n").series(symbol, "tick").columns
    assert columns["time_ns"].tolist() == [row["ts_event"] for row in by_hand]
    for side in ("bid", "ask"):
        assert columns[side].tolist() == [float(Fraction(raw(row[f"{side}_price"]), 10**9)) for row in by_hand]
    assert series.quality["reading"]["ignored_columns"] == ["ask_size", "bid_size", "ts_init"]
    assert series.quality["repairs"] == {}


def test_trades_of_nautilus_are_ticks_with_one_price(store: Any, shared_data: Path) -> None:
    path = shared_data / "nautilus/64-bit/trades.parquet"
    by_hand = pq.read_table(path).to_pylist()
    with pytest.raises(DataRefused, match="--side last"):
        store.take(path)
    (series,) = store.take(path, side="last", name="n").series
    assert (series.symbol, series.rows, series.price_basis) == ("EURUSD", 100, "LAST")
    columns = store.open("n").series("EURUSD", "tick").columns
    assert columns["time_ns"].tolist() == [row["ts_event"] for row in by_hand] == [0] * 100
    assert columns["last"].tolist() == [float(Fraction(raw(row["price"]), 10**9)) for row in by_hand]
    assert columns["volume"].tolist() == [float(Fraction(raw(row["size"]), 10**9)) for row in by_hand]
    assert series.quality["counts"] == {"repeated_time": 99, "repeated_row": 99}


@pytest.mark.parametrize(
    ("width", "scale"), [(8, 9), (16, 16), (None, 9)], ids=["standard", "high precision", "before the widths"]
)
def test_nautilus_numbers_of_every_width_are_read_and_put_on_their_precision(
    store: Any, written: Any, width: int | None, scale: int
) -> None:
    wanted = [Fraction(112_345 + i, 100_000) for i in range(20)]
    numbers = [int(value * 10**scale) for value in wanted]
    numbers[3] += 7  # An old writer multiplied doubles.
    numbers[4] -= 7
    times = pa.array([MONDAY_NS + i for i in range(20)], pa.uint64())

    def fixed(values: list[int]) -> pa.Array:
        if width is None:
            return pa.array(values, pa.int64())
        return pa.array([value.to_bytes(width, "little", signed=True) for value in values], pa.binary(width))

    names = ("bid", "ask") if width is None else ("bid_price", "ask_price")
    content = pa.table({names[0]: fixed(numbers), names[1]: fixed(numbers), "ts_event": times, "ts_init": times})
    metadata = {"instrument_id": "EUR/USD.SIM", "price_precision": "5", "size_precision": "0"}
    path = written(content.replace_schema_metadata(metadata))
    (series,) = store.take(path, name="n").series
    columns = store.open("n").series("EURUSD", "tick").columns
    assert columns["bid"].tolist() == columns["ask"].tolist() == [float(value) for value in wanted]
    assert series.quality["repairs"] == {"raw_values_put_on_precision": 2}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"bar_type": "X.Y-3-MINUTE-LAST-EXTERNAL"}, "no frame"),
        ({"bar_type": "X.Y-100-TICK-LAST-EXTERNAL"}, "neither quotes"),
        ({"bar_type": "X.Y-1-MINUTE-LAST-EXTERNAL", "price_precision": "99"}, "digits"),
        ({}, "neither quotes"),
    ],
)
def test_files_of_nautilus_that_hold_no_bars_of_a_frame_are_refused(
    store: Any, written: Any, metadata: dict[str, str], said: str
) -> None:
    numbers = pa.array([(10**9).to_bytes(8, "little")] * 3, pa.binary(8))
    content = pa.table(dict.fromkeys(("open", "high", "low", "close", "volume"), numbers))
    content = content.append_column("ts_event", pa.array([MONDAY_NS + i * MINUTE_NS for i in range(3)], pa.uint64()))
    told = {"price_precision": "5", "size_precision": "0", "instrument_id": "EUR/USD.SIM", **metadata}
    with pytest.raises(DataRefused, match=said):
        store.take(written(content.replace_schema_metadata(told)))
