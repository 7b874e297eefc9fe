"""Klines and trades of Binance, compared with rows that are read by hand."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.errors import DataRefused

HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore"
)
JANUARY_MS = 1_704_067_200_000
MINUTE_MS = 60_000


def kline(number: int, *, unit: int = 1, step_ms: int = MINUTE_MS, volume: str = "1.5", quote: str = "63000.25") -> str:
    """Return a row of a file; unit: 1 for milliseconds, 1000 for microseconds."""
    open_time = (JANUARY_MS + number * step_ms) * unit
    close_time = open_time + step_ms * unit - 1
    price = 42_000 + number
    return (
        f"{open_time},{price}.10000000,{price}.90000000,{price - 1}.20000000,{price}.40000000,{volume},"
        f"{close_time},{quote},17,0.5,21000.1,0"
    )


def write_zip(folder: Path, name: str, lines: Sequence[str]) -> Path:
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.csv", "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
def test_hours_of_usdm_need_nothing_but_the_file(store: Any, shared_data: Path, symbol: str) -> None:
    path = shared_data / f"binance_usdm/1h/{symbol}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    result = store.take(path, name="h")
    (series,) = result.series
    assert (series.symbol, series.frame, series.price_basis, series.rows) == (symbol, "H1", "LAST", 4500)
    columns = store.open("h").series(symbol, "H1").columns
    assert columns["open_ns"].tolist() == [int(row["timestamp"]) * 1_000_000 for row in rows]
    for name in ("open", "high", "low", "close", "volume"):
        assert columns[name].tolist() == [float(row[name]) for row in rows]
    assert series.quality["counts"] == {}
    assert series.quality["gaps"]["count"] == 0
    assert series.quality["reading"]["ignored_columns"] == ["close_time", "quote_volume", "trades"]


@pytest.mark.parametrize(("unit", "form"), [(1, "epoch ms"), (1000, "epoch us")])
@pytest.mark.parametrize("header", [True, False])
def test_klines_are_read_with_and_without_header_in_ms_and_us(
    store: Any, tmp_path: Path, unit: int, form: str, header: bool
) -> None:
    lines = [kline(number, unit=unit) for number in range(20)]
    path = write_zip(tmp_path, "BTCUSDT-1m-2024-01", [HEADER, *lines] if header else lines)
    (series,) = store.take(path, name="k").series
    assert (series.symbol, series.frame, series.rows) == ("BTCUSDT", "M1", 20)
    assert series.quality["reading"]["stamps"] == [form]
    columns = store.open("k").series("BTCUSDT", "M1").columns
    assert columns["open_ns"].tolist() == [(JANUARY_MS + i * MINUTE_MS) * 1_000_000 for i in range(20)]
    assert columns["close"].tolist() == [float(f"{42_000 + i}.4") for i in range(20)]
    assert columns["volume"].tolist() == [1.5] * 20


def test_the_frame_is_that_of_the_rows_whatever_the_name_says(store: Any, tmp_path: Path) -> None:
    path = write_zip(tmp_path, "BTCUSDT-1m-2024-01", [kline(i, step_ms=60 * MINUTE_MS) for i in range(20)])
    assert [one.frame for one in store.take(path).series] == ["H1"]


def test_seconds_of_a_day_are_bars_of_one_second(store: Any, tmp_path: Path) -> None:
    path = write_zip(tmp_path, "BTCUSDT-1s-2024-01-01", [kline(i, step_ms=1000) for i in range(150)])
    store.take(path, name="s")
    opened = store.open("s")
    assert opened.frames("BTCUSDT") == ["S1"]
    assert opened.series("BTCUSDT", "M1").columns["volume"].tolist() == [90.0, 90.0, 45.0]


def test_monthly_and_daily_files_overlap_where_equal_rows_are_dropped(store: Any, tmp_path: Path) -> None:
    month = write_zip(tmp_path, "BTCUSDT-1m-2024-01", [kline(number) for number in range(30)])
    day = write_zip(tmp_path, "BTCUSDT-1m-2024-01-02", [kline(number) for number in range(25, 40)])
    with pytest.raises(DataRefused) as caught:
        store.take(month, day)
    assert caught.value.error_code == "DATA_DUPLICATE"
    (series,) = store.take(month, day, on_duplicate="drop").series
    assert series.rows == 40
    assert series.quality["repairs"] == {"equal_duplicates_dropped": 5}


def test_checksum_files_in_a_folder_are_left_out(store: Any, tmp_path: Path) -> None:
    folder = tmp_path / "downloaded"
    folder.mkdir()
    for name, first in (("BTCUSDT-1m-2024-01", 0), ("BTCUSDT-1m-2024-02", 20)):
        path = write_zip(folder, name, [kline(number) for number in range(first, first + 20)])
        (folder / f"{path.name}.CHECKSUM").write_text(f"{'0' * 64}  {path.name}\n", encoding="utf-8")
    (series,) = store.take(folder, name="c").series
    assert series.rows == 40
    assert [one["name"] for one in series.inputs] == ["BTCUSDT-1m-2024-01.zip", "BTCUSDT-1m-2024-02.zip"]


def test_coin_margined_volume_is_that_of_the_base_asset_and_the_contract_is_inverse(store: Any, tmp_path: Path) -> None:
    lines = [HEADER, *(kline(i, volume="180", quote="0.42860012") for i in range(20))]
    path = write_zip(tmp_path, "BTCUSD_PERP-1m-2024-01", lines)
    result = store.take(path, name="coin")
    (instrument,) = result.manifest.instruments
    assert (instrument.symbol, instrument.kind, instrument.quote_currency) == ("BTCUSD_PERP", "inverse", "USD")
    assert set(store.open("coin").series("BTCUSD_PERP", "M1").columns["volume"].tolist()) == {0.42860012}
    assert "volume" in result.series[0].quality["reading"]["ignored_columns"]


@pytest.mark.parametrize(
    ("name", "lines", "options", "code", "said"),
    [
        ("BTCUSDT-3m-2024-01", [kline(i, step_ms=3 * MINUTE_MS) for i in range(20)], {}, "DATA_SCHEMA", "3m"),
        ("BTCUSDT-1m-2024-01", [kline(1)], {"zone": "Europe/Berlin"}, "DATA_TZ", "UTC"),
        ("BTCUSDT-1m-2024-01", [kline(1)], {"symbol": "ETHUSDT", "frame": "M5"}, "DATA_SCHEMA", "M1"),
        ("BTCUSDT-1m-2024-01", [kline(1), kline(2, unit=1000)], {}, "DATA_TZ", "row 2"),
        ("BTCUSDT-1m-2024-01", [kline(2), kline(1)], {}, "DATA_ORDER", "row 2"),
        ("klines of a friend", [kline(1)], {}, "DATA_SCHEMA", "--symbol"),
        ("BTCUSDT-1m-2024-01", [kline(1), kline(2)[:40]], {}, "DATA_FORMAT", "row 2"),
    ],
)
def test_what_is_no_sound_file_of_klines_is_refused(
    store: Any, tmp_path: Path, name: str, lines: list[str], options: dict[str, Any], code: str, said: str
) -> None:
    path = write_zip(tmp_path, name, lines)
    with pytest.raises(DataRefused) as caught:
        store.take(path, format="binance", **options)
    assert caught.value.error_code == code
    assert said in str(caught.value)
    assert store.published() == []


AGGREGATES = [
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
    "1,42000.1,0.5,1,2,1704067200000,true",
    "2,42000.2,0.25,3,3,1704067200000,false",
    "3,41999.9,1,4,9,1704067261001,true",
]
SPOT_TRADES = [
    "1,42000.1,0.5,21000.05,1704067200000,True,True",
    "2,42000.2,0.25,10500.05,1704067200000,False,True",
    "3,41999.9,1,41999.9,1704067261001,True,True",
]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("BTCUSDT-aggTrades-2024-01-01", AGGREGATES),
        ("BTCUSDT-aggTrades-2024-01-01", [f"{line},True" for line in AGGREGATES[1:]]),
        ("BTCUSDT-trades-2024-01-01", SPOT_TRADES),
        ("BTCUSDT-trades-2024-01", ["id,price,qty,quote_qty,time,is_buyer_maker", *(t[:-5] for t in SPOT_TRADES)]),
    ],
)
def test_trades_are_ticks_whose_price_stands_on_both_sides_if_that_is_said(
    store: Any, tmp_path: Path, name: str, lines: list[str]
) -> None:
    path = write_zip(tmp_path, name, lines)
    with pytest.raises(DataRefused) as caught:
        store.take(path)
    assert caught.value.error_code == "DATA_SCHEMA"
    assert "--side last" in str(caught.value)
    (series,) = store.take(path, side="last", name="t").series
    assert (series.symbol, series.frame, series.price_basis) == ("BTCUSDT", "tick", "LAST")
    assert series.quality["counts"] == {"repeated_time": 1}
    opened = store.open("t").series("BTCUSDT", "tick")
    prices = [42000.1, 42000.2, 41999.9]
    assert opened.columns["time_ns"].tolist() == [1704067200000 * 10**6, 1704067200000 * 10**6, 1704067261001 * 10**6]
    assert [opened.columns[name].tolist() for name in ("bid", "ask", "last")] == [prices] * 3
    assert opened.columns["volume"].tolist() == [0.5, 0.25, 1.0]
    assert not opened.has_ask


def test_bars_of_trades_have_last_prices_and_no_ask_side(store: Any, tmp_path: Path) -> None:
    store.take(write_zip(tmp_path, "BTCUSDT-aggTrades-2024-01-01", AGGREGATES), side="last", name="t")
    bars = store.open("t").series("BTCUSDT", "M1")
    assert bars.price_basis == "LAST"
    assert tuple(bars.columns) == ("open_ns", "open", "high", "low", "close", "volume")
    assert bars.columns["high"].tolist() == [42000.2, 41999.9]
    assert bars.columns["volume"].tolist() == [0.75, 1.0]


def test_long_files_are_read_piece_by_piece_with_the_same_result(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"{i},{42000 + i % 97 / 10},{1 + i % 5},{i},{i},{JANUARY_MS + i * 37},true" for i in range(1, 5000)]
    path = write_zip(tmp_path, "BTCUSDT-aggTrades-2024-01-01", [AGGREGATES[0], *lines])
    whole = store.take(path, side="last", name="whole").manifest.hash
    monkeypatch.setattr("boxgate_engine.datasets.formats.pieces.PIECE_BYTES", 1 << 12)
    assert store.take(path, side="last", name="pieces").manifest.hash == whole
    times = store.open("pieces").series("BTCUSDT", "tick").times_ns
    assert np.array_equal(times, (JANUARY_MS + np.arange(1, 5000) * 37) * 1_000_000)
