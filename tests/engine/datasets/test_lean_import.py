"""LEAN zips against values read by hand with zipfile and csv."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.datasets.formats.lean import lean_name
from boxgate_engine.errors import DataRefused

_DAY_NS = 86_400_000_000_000


def _rows(path: Path) -> list[list[str]]:
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return list(csv.reader(io.TextIOWrapper(archive.open(member), encoding="ascii")))


def _midnight_ns(day: str) -> int:
    moment = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def test_eurusd_minutes_are_the_rows_of_the_files(store: Any, shared_data: Path) -> None:
    files = _files(shared_data, "lean/forex/oanda/minute/eurusd/*.zip")
    result = store.take(*reversed(files), zone="UTC", name="fx", source="LEAN", licence="Apache-2.0")
    series = store.open("fx").series("EURUSD", "M1")
    expected = [(file.name[:8], row) for file in files for row in _rows(file)]
    assert series.rows == len(expected) == 18_184
    assert (series.price_basis, series.has_ask) == ("BID", True)
    times = [_midnight_ns(day) + int(row[0]) * 1_000_000 for day, row in expected]
    assert series.columns["open_ns"].tolist() == times
    names = ["open", "high", "low", "close", None, "ask_open", "ask_high", "ask_low", "ask_close", None]
    for index, name in enumerate(names, start=1):
        if name is not None:
            assert series.columns[name].tolist() == [float(row[index]) for _, row in expected], name
    assert result.series[0].quality["gaps"]["longest"][0]["from_ns"] == _midnight_ns("20140516")
    assert result.series[0].quality["gaps"]["longest"][0]["to_ns"] == _midnight_ns("20180403")
    assert [str(one.tick_size) for one in result.manifest.instruments] == ["1/100000"]


def test_eurusd_ticks_keep_the_order_of_the_file_and_its_repeated_milliseconds(store: Any, shared_data: Path) -> None:
    files = _files(shared_data, "lean/forex/oanda/tick/eurusd/*.zip")
    result = store.take(*files, zone="UTC", name="ticks")
    series = store.open("ticks").series("EURUSD", "tick")
    assert series.rows == 532_903
    assert result.series[0].quality["counts"] == {"repeated_time": 4_494, "repeated_row": 12}
    first = _rows(files[0])
    for column, index in (("bid", 1), ("ask", 2)):
        assert series.columns[column][: len(first)].tolist() == [float(row[index]) for row in first]
    day_ns = _midnight_ns(files[0].name[:8])
    assert series.columns["time_ns"][: len(first)].tolist() == [day_ns + int(row[0]) * 1_000_000 for row in first]


def test_eurusd_hours_take_the_day_from_the_first_column(store: Any, shared_data: Path) -> None:
    file = shared_data / "lean/forex/oanda/hour/eurusd.zip"
    store.take(file, zone="UTC", name="hours")
    series = store.open("hours").series("EURUSD", "H1")
    rows = _rows(file)
    assert series.rows == len(rows) == 74_439
    times = [datetime.strptime(row[0], "%Y%m%d %H:%M").replace(tzinfo=UTC).timestamp() for row in rows]
    assert (series.columns["open_ns"] // 1_000_000_000).tolist() == times
    assert series.columns["ask_close"].tolist() == [float(row[9]) for row in rows]


def test_several_symbols_come_into_one_dataset_and_a_second_import_adds_to_it(store: Any, shared_data: Path) -> None:
    forex = _files(shared_data, "lean/forex/oanda/minute/*/201405*.zip")
    first = store.take(*forex, zone="UTC", name="fx")
    second = store.take(*_files(shared_data, "lean/cfd/oanda/minute/xauusd/*.zip"), zone="UTC", name="fx")
    assert first.manifest.hash != second.manifest.hash
    opened = store.open("fx")
    assert opened.hash == second.manifest.hash
    assert list(opened.instruments) == ["EURUSD", "NZDUSD", "XAUUSD"]
    assert opened.instruments["XAUUSD"].asset_class == "cfd"
    assert [opened.series(symbol, "M1").rows for symbol in opened.instruments] == [15_366, 15_543, 15_222]
    assert list(store.open(first.manifest.hash).instruments) == ["EURUSD", "NZDUSD"]


def test_trades_are_last_prices_with_volume_and_no_ask(store: Any, shared_data: Path) -> None:
    file = shared_data / "lean/crypto/coinbase/minute/btceur/20180404_trade.zip"
    store.take(file, zone="UTC", name="c")
    series = store.open("c").series("BTCEUR", "M1")
    assert (series.price_basis, series.has_ask) == ("LAST", False)
    assert series.columns["volume"].tolist() == [float(row[5]) for row in _rows(file)]
    assert store.open("c").instruments["BTCEUR"].quote_currency == "EUR"


def test_sizes_of_quotes_are_left_out_and_reported(store: Any, shared_data: Path) -> None:
    file = shared_data / "lean/crypto/coinbase/minute/btceur/20180404_quote.zip"
    result = store.take(file, zone="UTC", name="c")
    assert result.series[0].quality["reading"]["ignored_columns"] == ["ask_size", "bid_size"]
    assert not np.any(store.open("c").series("BTCEUR", "M1").columns["volume"])


def test_the_path_tells_the_zone_where_the_market_hours_leave_no_doubt(
    store: Any, shared_data: Path, tmp_path: Path
) -> None:
    database = json.loads((shared_data / "lean" / "market-hours-database.json").read_text())["entries"]
    for market in ("forex/oanda", "cfd/oanda", "crypto/coinbase", "cryptofuture/binance", "forex/interactivebrokers"):
        zones = {
            entry["dataTimeZone"]
            for name, entry in database.items()
            if name.lower().startswith(f"{market.replace('/', '-')}-")
        }
        assert zones == {"UTC"}, market
        assert lean_name(Path(market, "hour", "abcusd.zip")).zone == "UTC"  # type: ignore[union-attr]
    file = shared_data / "lean/forex/oanda/minute/eurusd/20140501_quote.zip"
    stated, told = store.take(file, zone="UTC", name="stated"), store.take(file, name="told")
    assert told.manifest.hash == stated.manifest.hash
    other = tmp_path / "forex" / "fxcm" / "minute" / "eurusd" / file.name
    other.parent.mkdir(parents=True)
    other.write_bytes(file.read_bytes())
    with pytest.raises(DataRefused) as refused:
        store.take(other, name="other")
    assert refused.value.error_code == "DATA_TZ"
    assert "--tz" in refused.value.remedy


def test_the_zone_moves_the_day_of_the_file_name(store: Any, shared_data: Path) -> None:
    file = shared_data / "lean/forex/oanda/minute/eurusd/20140501_quote.zip"
    store.take(file, zone="America/New_York", name="ny")
    first_ns = int(store.open("ny").series("EURUSD", "M1").columns["open_ns"][0])
    assert first_ns == _midnight_ns("20140501") + 4 * 3_600_000_000_000


@pytest.mark.parametrize(
    ("pattern", "options", "code"),
    [
        ("lean/crypto/coinbase/minute/btcusd/*.zip", {"zone": "UTC"}, "DATA_SCHEMA"),
        ("lean/forex/oanda/minute/eurusd/20140501_quote.zip", {"zone": "UTC", "symbol": "GBPUSD"}, "DATA_SCHEMA"),
        ("lean/forex/oanda/minute/eurusd/20140501_quote.zip", {"zone": "UTC", "side": "mid"}, "DATA_SCHEMA"),
        ("lean/forex/oanda/daily/eurusd.zip", {"zone": "Europe/Berlin"}, "DATA_TZ"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    store: Any, shared_data: Path, pattern: str, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(DataRefused) as caught:
        store.take(*_files(shared_data, pattern), name="no", **options)
    assert caught.value.error_code == code
    assert store.published() == []


@pytest.mark.parametrize(
    ("name", "member", "text", "code"),
    [
        ("20140501_quote.zip", "20140501_eurusd_minute_quote.csv", "86400000,1,1,1,1,0,2,2,2,2,0", "DATA_TZ"),
        ("20140231_quote.zip", "20140231_eurusd_minute_quote.csv", "0,1,1,1,1,0,2,2,2,2,0", "DATA_TZ"),
        ("20140501_quote.zip", "20140501_eurusd_minute_quote.csv", "0,1,1,1,1,0,2,2,2,2", "DATA_SCHEMA"),
        ("20140501_quote.zip", "20140501_eurusd_minute_quote.csv", "0,,1,1,1,0,2,2,2,2,0", "DATA_VALUE"),
        ("20140501_trade.zip", "20140501_btcusd_tick_trade.csv", "0,1,1", "DATA_SCHEMA"),
        ("20140501_trade.zip", "20140501_spy_minute_trade.csv", "0,1800000,1800000,1800000,1800000,5", "DATA_SCHEMA"),
    ],
)
def test_a_faulty_file_is_refused(store: Any, name: str, member: str, text: str, code: str) -> None:
    folder = store.folder / ("equity/usa/minute/spy" if "spy" in member else "forex/oanda/minute/eurusd")
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(member, text + "\n")
    with pytest.raises(DataRefused) as caught:
        store.take(folder / name, zone="UTC", format="lean")
    assert caught.value.error_code == code
    assert store.published() == []


def test_the_member_says_what_the_folders_do_not(store: Any) -> None:
    path = store.folder / "download.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20140501_eurusd_tick_quote.csv", "0,1.1,1.2\n0,1.1,1.2\n5,1.3,1.2\n")
    result = store.take(path, zone="UTC", name="t")
    assert result.series[0].quality["counts"] == {"crossed": 1, "repeated_time": 1, "repeated_row": 1}
    assert store.open("t").series("EURUSD", "tick").times_ns.tolist() == [
        _midnight_ns("20140501") + ms * 1_000_000 for ms in (0, 0, 5)
    ]
