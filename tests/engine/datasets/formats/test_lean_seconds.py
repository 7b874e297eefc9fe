"""LEAN beyond minutes: seconds, ticks of trades, hours and days of trades, coin-margined contracts."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.errors import DataRefused

SECOND_NS = 1_000_000_000


def rows_of(path: Path) -> list[list[str]]:
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        return list(csv.reader(io.TextIOWrapper(archive.open(name), encoding="utf-8")))


def ns(text: str, form: str) -> int:
    return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def opens_of(path: Path) -> list[int]:
    """Return the opens of a file of a day or, of hours and days, of the whole span."""
    if path.parent.name in ("hour", "daily"):
        return [ns(row[0], "%Y%m%d %H:%M") for row in rows_of(path)]
    midnight = ns(path.name[:8], "%Y%m%d")
    return [midnight + int(row[0]) * 1_000_000 for row in rows_of(path)]


@pytest.mark.parametrize(
    ("pattern", "symbol", "frame", "rows", "gaps"),
    [
        ("forex/oanda/second/eurusd/*_quote.zip", "EURUSD", "S1", 17_361, 8_447),
        ("crypto/coinbase/second/btcusd/*_trade.zip", "BTCUSD", "S1", 11_520, 10_910),
        ("crypto/coinbase/daily/btcusd_trade.zip", "BTCUSD", "D1", 1_318, 8),
        ("crypto/coinbase/daily/btcusd_quote.zip", "BTCUSD", "D1", 1_332, None),
        ("cryptofuture/binance/minute/adausdt/*_trade.zip", "ADAUSDT", "M1", 1_440, 0),
        ("cryptofuture/binance/minute/adausdt/*_quote.zip", "ADAUSDT", "M1", 1_100, None),
        ("cryptofuture/binance/minute/btcusd/*_trade.zip", "BTCUSD", "M1", 1_439, 1),
        ("cryptofuture/binance/minute/btcusd/*_quote.zip", "BTCUSD", "M1", 1_104, None),
        ("forex/oanda/daily/gbpusd.zip", "GBPUSD", "D1", 3_738, None),
        ("forex/oanda/hour/eurusd.zip", "EURUSD", "H1", 74_439, None),
    ],
)
def test_every_kind_of_file_is_its_rows(
    store: Any, shared_data: Path, pattern: str, symbol: str, frame: str, rows: int, gaps: int | None
) -> None:
    files = sorted((shared_data / "lean").glob(pattern))
    by_hand = [row for path in files for row in rows_of(path)]
    (series,) = store.take(*files, zone="UTC", name="l").series
    assert (series.symbol, series.frame, series.rows) == (symbol, frame, rows) == (symbol, frame, len(by_hand))
    columns = store.open("l").series(symbol, frame).columns
    assert columns["open_ns"].tolist() == [open_ns for path in files for open_ns in opens_of(path)]
    names = ["open", "high", "low", "close"]
    places = dict(zip(names, range(1, 5), strict=True))
    if "quote" in files[0].name or "forex" in pattern:
        places |= {f"ask_{name}": place for name, place in zip(names, range(6, 10), strict=True)}
    else:
        places["volume"] = 5
    for name, place in places.items():
        assert columns[name].tolist() == [float(row[place]) for row in by_hand], name
    if gaps is not None:
        assert series.quality["gaps"]["count"] == gaps


def test_seconds_aggregate_to_minutes(store: Any, shared_data: Path) -> None:
    path = shared_data / "lean/forex/oanda/second/eurusd/20140502_quote.zip"
    store.take(path, zone="UTC", name="l")
    opened = store.open("l")
    assert opened.frames("EURUSD") == ["S1"]
    minutes = opened.series("EURUSD", "M1").columns
    expected: dict[int, list[float]] = {}
    for open_ns, row in zip(opens_of(path), rows_of(path), strict=True):
        bar = expected.setdefault(open_ns // (60 * SECOND_NS) * 60 * SECOND_NS, [float(row[1]), 0.0, 9.0, 0.0])
        bar[1], bar[2], bar[3] = max(bar[1], float(row[2])), min(bar[2], float(row[3])), float(row[4])
    assert minutes["open_ns"].tolist() == list(expected)
    for place, name in enumerate(("open", "high", "low", "close")):
        assert minutes[name].tolist() == [bar[place] for bar in expected.values()]


@pytest.mark.parametrize(("symbol", "kind"), [("adausdt", "linear"), ("btcusd", "inverse")])
def test_contracts_say_how_they_are_settled_and_the_size_can_be_stated(
    store: Any, shared_data: Path, symbol: str, kind: str
) -> None:
    from fractions import Fraction

    from boxgate_engine.datasets import InstrumentOptions

    path = shared_data / f"lean/cryptofuture/binance/minute/{symbol}/20221213_trade.zip"
    options = InstrumentOptions(contract_size=Fraction(100))
    (instrument,) = store.take(path, zone="UTC", instrument=options).manifest.instruments
    assert (instrument.kind, instrument.contract_size) == (kind, 100)


def test_ticks_of_trades_need_to_be_wanted(store: Any, tmp_path: Path) -> None:
    folder = tmp_path / "crypto" / "coinbase" / "tick" / "btcusd"
    folder.mkdir(parents=True)
    path = folder / "20180404_trade.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20180404_btcusd_tick_trade.csv", "10,7000.1,0.5\n10,7000.2,0.25\n61000,6999.9,1\n")
    with pytest.raises(DataRefused, match="--side last"):
        store.take(path, zone="UTC")
    (series,) = store.take(path, zone="UTC", side="last", name="t").series
    assert (series.symbol, series.frame, series.price_basis) == ("BTCUSD", "tick", "LAST")
    columns = store.open("t").series("BTCUSD", "tick").columns
    midnight = ns("20180404", "%Y%m%d")
    assert np.array_equal(columns["time_ns"] - midnight, [10_000_000, 10_000_000, 61 * SECOND_NS])
    assert columns["last"].tolist() == columns["bid"].tolist() == columns["ask"].tolist() == [7000.1, 7000.2, 6999.9]
    assert columns["volume"].tolist() == [0.5, 0.25, 1.0]
