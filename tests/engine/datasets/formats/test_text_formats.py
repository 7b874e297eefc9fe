"""Dukascopy, HistData, TrueFX, FXCM and CryptoDataDownload against rows read by hand.

There is no genuine CryptoDataDownload file at hand: its samples are made by hand after what the site writes.
"""

from __future__ import annotations

import csv
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from boxgate_engine.datasets import InstrumentOptions
from boxgate_engine.errors import DataRefused


def rows_of(path: Path, *, header: bool) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[int(header) :]


def ns(text: str, form: str) -> int:
    moment = datetime.strptime(text, form).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def iso_ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


def test_a_dukascopy_file_of_one_side_stands_beside_the_other(store: Any, shared_data: Path) -> None:
    path = shared_data / "dukascopy/FOREX_EURUSD_1H_ASK.csv"
    expected = rows_of(path, header=True)
    with pytest.raises(DataRefused, match="ask prices have no bid series"):
        store.take(path, symbol="EURUSD", name="d")
    (stored,) = store.take(path, symbol="EURUSD", side="bid", name="d").series
    assert (stored.frame, stored.rows) == ("H1", 6_225) == (stored.frame, len(expected))
    columns = store.open("d").series("EURUSD", "H1").columns
    assert columns["open_ns"].tolist() == [ns(row[0], "%d.%m.%Y %H:%M:%S.%f") for row in expected]
    for index, name in enumerate(("open", "high", "low", "close", "volume"), start=1):
        assert columns[name].tolist() == [float(row[index]) for row in expected], name
    assert "flat" not in stored.quality["counts"]


def test_the_weekend_bars_of_dukascopy_are_kept_and_seen(store: Any, shared_data: Path) -> None:
    path = shared_data / "dukascopy/lukasavic1/eurusd.csv"
    expected = rows_of(path, header=False)
    (stored,) = store.take(path, symbol="EURUSD", name="d").series
    assert (stored.frame, stored.rows) == ("H1", 8_808) == (stored.frame, len(expected))
    columns = store.open("d").series("EURUSD", "H1").columns
    assert columns["open_ns"].tolist() == [ns(row[0], "%d.%m.%Y %H:%M:%S.%f") for row in expected]
    assert columns["low"].tolist() == [float(row[3]) for row in expected]
    counts = stored.quality["counts"]
    assert (counts["zero_volume"], counts["flat"]) == (2_561, 2_561)
    assert counts["outside_market_hours"] > 2_400


def test_histdata_ticks_are_moved_from_eastern_standard_time(store: Any, shared_data: Path) -> None:
    path = shared_data / "nautilus/quote_tick_data.csv"
    expected = rows_of(path, header=False)
    (stored,) = store.take(path, symbol="EURUSD", name="h").series
    assert (stored.frame, stored.rows) == ("tick", 9_500) == (stored.frame, len(expected))
    columns = store.open("h").series("EURUSD", "tick").columns
    hours = 5 * 3600 * 10**9
    assert columns["time_ns"].tolist() == [ns(f"{row[0]}000", "%Y%m%d %H%M%S%f") + hours for row in expected]
    assert columns["bid"].tolist() == [float(row[1]) for row in expected]
    assert columns["ask"].tolist() == [float(row[2]) for row in expected]
    assert "crossed" not in stored.quality["counts"]


def test_histdata_minutes_in_a_zip_say_their_symbol(store: Any, tmp_path: Path) -> None:
    path = tmp_path / "HISTDATA_COM_ASCII_EURUSD_M1_2012.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("DAT_ASCII_EURUSD_M1_2012.csv", "20120201 000000;1.306600;1.306600;1.306560;1.306560;0\n")
    (stored,) = store.take(path, symbol="EURUSD", name="h").series
    assert (stored.frame, stored.first_ns) == ("M1", ns("20120201 05", "%Y%m%d %H"))
    assert store.open("h").series("EURUSD", "M1").columns["high"].tolist() == [1.3066]


def test_a_zip_of_histdata_names_its_symbol_inside_and_may_hold_a_note(store: Any, tmp_path: Path) -> None:
    path = tmp_path / "HISTDATA_COM_ASCII_EURUSD_M12012.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("DAT_ASCII_EURUSD_M1_2012.txt", "gaps: none")
        archive.writestr("DAT_ASCII_EURUSD_M1_2012.csv", "20120201 000000;1.3066;1.3066;1.30656;1.30656;0\n")
    (stored,) = store.take(path, name="h").series
    assert (stored.symbol, stored.quality["reading"]["zone"]) == ("EURUSD", "-5")


def test_metatrader_4_rows_are_in_the_server_s_zone_and_histdata_s_in_its_own(store: Any, tmp_path: Path) -> None:
    rows = ("2012.07.02,00:00,1.3066,1.3067,1.3065,1.3066,12", "2012.07.02,00:01,1.3066,1.3066,1.3066,1.3066,7")
    (ours,) = store.take(write(tmp_path, *rows, name="DAT_MT_EURUSD_M1_2012.csv"), name="h").series
    assert (ours.symbol, ours.frame, ours.first_ns) == ("EURUSD", "M1", iso_ns("2012-07-02T05:00:00+00:00"))
    assert ours.quality["reading"]["zone"] == "-5"
    server = write(tmp_path, *rows, name="EURUSD1.csv")
    with pytest.raises(DataRefused, match="names no time zone"):
        store.take(server, symbol="EURUSD", name="s")
    (theirs,) = store.take(server, symbol="EURUSD", zone="+2/+3@US", name="s").series
    assert theirs.first_ns == iso_ns("2012-07-01T21:00:00+00:00")
    assert store.open("s").series("EURUSD", "M1").columns["volume"].tolist() == [12.0, 7.0]


def test_truefx_rows_without_header_say_their_symbol(store: Any, tmp_path: Path) -> None:
    rows = ("EUR/USD,20130101 21:59:59.123,1.3196,1.3201", "EUR/USD,20130101 22:00:00.004,1.3197,1.3201")
    (stored,) = store.take(write(tmp_path, *rows, name="EURUSD-2013-01.csv"), name="t").series
    columns = store.open("t").series("EURUSD", "tick").columns
    assert (stored.symbol, columns["ask"].tolist()) == ("EURUSD", [1.3201, 1.3201])
    expected = [iso_ns("2013-01-01T21:59:59.123+00:00"), iso_ns("2013-01-01T22:00:00.004+00:00")]
    assert columns["time_ns"].tolist() == expected
    mixed = (rows[0], rows[1].replace("EUR/USD", "GBP/USD"))
    with pytest.raises(DataRefused, match="symbol changes") as refused:
        store.take(write(tmp_path, *mixed, name="mixed.csv"), name="m")
    assert "row 2" in refused.value.where


@pytest.mark.parametrize(
    ("lines", "code", "row"),
    [
        (("20120201 000000;1.3;1.3;1.3;1.3;0", "20120201 000100;1.3;1.3;1.3;1.3"), "DATA_FORMAT", "row 2"),
        (("20120201 000000;1.3;1.3;1.3;1.3;0", "20120201 000100,1.3,1.3,1.3,1.3,0"), "DATA_FORMAT", "row 2"),
        (("20120201 000000;1.3;1.3;1.3;1.3;0", "20120201 000100;1.3;x;1.3;1.3;0"), "DATA_VALUE", "row 2"),
        (("20120201 000100;1.3;1.3;1.3;1.3;0", "20120201 000000;1.3;1.3;1.3;1.3;0"), "DATA_ORDER", "row 2"),
        (("20120201 000000;1.3;1.3;1.3;1.3;0", "20120230 000100;1.3;1.3;1.3;1.3;0"), "DATA_TZ", "row 2"),
        (("2012.07.02,00:00,1.3,1.3,1.3,1.3,1", "2012.07.02,00:01;1.3;1.3;1.3;1.3;1"), "DATA_FORMAT", "row 2"),
        (("EUR/USD,20130101 21:59:59.123,1.3,1.4", "EUR/USD,20130101 22:59:59.123,1.3"), "DATA_FORMAT", "row 2"),
        (("01.02.2024 10:00:00.000,1,1,1,1,0", "01.02.2024 11:00:00.000,1,1,1"), "DATA_FORMAT", "row 2"),
        (("01.02.2024 10:00:00.000,1,1,1,1,0", "02/02/2024 11:00:00.000,1,1,1,1,0"), "DATA_TZ", "row 2"),
    ],
)
def test_a_bad_row_is_named(store: Any, tmp_path: Path, lines: tuple[str, ...], code: str, row: str) -> None:
    with pytest.raises(DataRefused) as refused:
        store.take(write(tmp_path, *lines, name="x.csv"), symbol="EURUSD", frame=None, zone="UTC", name="x")
    assert refused.value.error_code == code
    assert row in refused.value.where
    assert store.published() == []


def test_a_header_in_another_language_is_refused_by_name(store: Any, tmp_path: Path) -> None:
    path = write(tmp_path, "Heure,Ouverture,Haut,Bas,Cours", "01.02.2024 10:00:00.000,1,1,1,1", name="x.csv")
    with pytest.raises(DataRefused, match="names no column that is known") as refused:
        store.take(path, symbol="EURUSD", frame="H1", zone="UTC", name="x")
    assert (refused.value.error_code, "row 1" in refused.value.where) == ("DATA_SCHEMA", True)


def test_truefx_ticks_are_the_rows_of_the_file(store: Any, shared_data: Path) -> None:
    path = shared_data / "nautilus/truefx/usdjpy-ticks.csv"
    expected = rows_of(path, header=True)
    (stored,) = store.take(path, symbol="USDJPY", frame="tick", name="t").series
    assert stored.rows == 1_000 == len(expected)
    columns = store.open("t").series("USDJPY", "tick").columns
    assert columns["time_ns"].tolist() == [iso_ns(row[0]) for row in expected]
    assert columns["bid"].tolist() == [float(row[1]) for row in expected]
    assert stored.quality["counts"] == {"locked": 1, "repeated_time": 7}


def test_fxcm_bars_of_both_sides_join_and_crossed_quotes_are_counted(store: Any, shared_data: Path) -> None:
    folder = shared_data / "nautilus/fxcm"
    bids, asks = (rows_of(folder / f"usdjpy-m1-{side}-2013.csv", header=True) for side in ("bid", "ask"))
    store.take(folder / "usdjpy-m1-bid-2013.csv", symbol="USDJPY", frame="M1", name="f")
    (stored,) = store.take(folder / "usdjpy-m1-ask-2013.csv", symbol="USDJPY", frame="M1", side="ask", name="f").series
    assert stored.rows == 28_761
    columns = store.open("f").series("USDJPY", "M1").columns
    beside = {row[0]: row for row in asks}
    both = [row for row in bids if row[0] in beside]
    assert columns["close"].tolist() == [float(row[4]) for row in both]
    assert columns["ask_close"].tolist() == [float(beside[row[0]][4]) for row in both]
    assert (stored.quality["counts"]["crossed"], stored.quality["counts"]["locked"]) == (683, 1_240)


CDD = (
    "https://www.CryptoDataDownload.com",
    "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT,tradecount",
    "1577880000000,2020-01-01 12:00:00,BTC/USDT,7210.5,7220.0,7200.25,7215.0,12.5,90180.0,40",
    "1577876400000,2020-01-01 11:00:00,BTC/USDT,7200.0,7212.0,7190.0,7210.5,10.0,72100.0,30",
    "1577872800000,2020-01-01 10:00:00,BTC/USDT,7190.0,7205.0,7188.0,7200.0,8.0,57600.0,20",
)


def write(tmp_path: Path, *lines: str, name: str = "Binance_BTCUSDT_1h.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_cryptodatadownload_is_turned_round_and_says_so(store: Any, tmp_path: Path) -> None:
    (stored,) = store.take(write(tmp_path, *CDD), name="c").series
    columns = store.open("c").series("BTCUSDT", "H1").columns
    assert columns["open_ns"].tolist() == [ns(f"2020-01-01 {hour}", "%Y-%m-%d %H") for hour in (10, 11, 12)]
    assert columns["close"].tolist() == [7200.0, 7210.5, 7215.0]
    assert columns["volume"].tolist() == [8.0, 10.0, 12.5]
    assert stored.price_basis == "LAST"
    assert stored.quality["repairs"] == {"rows_reversed": 3}


def test_the_volume_is_that_of_the_currency_that_the_symbol_begins_with(store: Any, tmp_path: Path) -> None:
    lines = (
        "Timestamps are UTC timezone,https://www.CryptoDataDownload.com",
        "Date,Symbol,Open,High,Low,Close,Volume USD,Volume ETH",
        "2020-08-10 09-PM,ETHUSD,395,396,394,395,39500,100",
        "2020-08-10 08-PM,ETHUSD,394,396,393,395,19750,50",
    )
    store.take(write(tmp_path, *lines), name="v")
    columns = store.open("v").series("ETHUSD", "H1").columns
    assert columns["volume"].tolist() == [50.0, 100.0]
    assert columns["open_ns"].tolist() == [iso_ns(f"2020-08-10T{hour}:00:00+00:00") for hour in (20, 21)]


def test_its_clock_of_twelve_hours_is_read(store: Any, tmp_path: Path) -> None:
    rows = [f"2019-10-17 {hour},BTCUSD,8000,8010,7990,8005,1.5,12000" for hour in ("01-PM", "12-PM", "11-AM", "12-AM")]
    rows.insert(3, "2019-10-17 10-AM,BTCUSD,8000,8010,7990,8005,1.5,12000")
    lines = (CDD[0], "Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD", *rows)
    store.take(write(tmp_path, *lines), name="c", frame="H1")
    opens = store.open("c").series("BTCUSD", "H1").columns["open_ns"].tolist()
    assert opens == [ns(f"2019-10-17 {hour}", "%Y-%m-%d %H") for hour in (0, 10, 11, 12, 13)]


@pytest.mark.parametrize(
    ("lines", "code", "row"),
    [
        ((*CDD[:2], CDD[2], CDD[4], CDD[3]), "DATA_ORDER", "row"),
        ((*CDD[:3], CDD[3].replace("7212.0", "high")), "DATA_VALUE", "row 4"),
        ((*CDD[:2], CDD[2].rsplit(",", 2)[0]), "DATA_FORMAT", "row 3"),
        ((CDD[0], CDD[1].replace("open", "first"), *CDD[2:]), "DATA_SCHEMA", "row 2"),
        ((*CDD[:2], CDD[2].replace("1577880000000", "sometime"), CDD[3]), "DATA_TZ", "row 3"),
    ],
)
def test_a_bad_row_of_a_reversed_file_is_named_where_it_stands(
    store: Any, tmp_path: Path, lines: tuple[str, ...], code: str, row: str
) -> None:
    with pytest.raises(DataRefused) as refused:
        store.take(write(tmp_path, *lines), name="c")
    assert refused.value.error_code == code
    assert row in refused.value.where


def test_a_zone_that_contradicts_the_format_is_refused(store: Any, tmp_path: Path, shared_data: Path) -> None:
    for path, options in (
        (write(tmp_path, *CDD), {}),
        (shared_data / "dukascopy/lukasavic1/eurusd.csv", {"symbol": "EURUSD"}),
    ):
        with pytest.raises(DataRefused) as refused:
            store.take(path, zone="Europe/Berlin", name="c", **options)
        assert refused.value.error_code == "DATA_TZ"


def test_dukascopy_ticks_and_local_stamps_with_an_offset(store: Any, tmp_path: Path) -> None:
    ticks = ("Gmt time,Ask,Bid,AskVolume,BidVolume", "02.01.2024 10:00:00.123,1.10010,1.10000,1.5,0.75")
    store.take(write(tmp_path, *ticks, name="EURUSD_Ticks.csv"), symbol="EURUSD", name="t")
    columns = store.open("t").series("EURUSD", "tick").columns
    assert (columns["bid"].tolist(), columns["ask"].tolist()) == ([1.1], [1.1001])
    assert columns["time_ns"].tolist() == [ns("2024-01-02 10:00:00.123", "%Y-%m-%d %H:%M:%S.%f")]
    head = "Local time,Open,High,Low,Close,Volume"
    local = (head, "30.03.2024 23:59:00.000 GMT+0100,1.1,1.1,1.1,1.1,0", "31.03.2024 03:00:00.000 GMT+0200,1,1,1,1,0")
    store.take(write(tmp_path, *local, name="local.csv"), symbol="EURUSD", name="l", frame="M1")
    opens = store.open("l").series("EURUSD", "M1").columns["open_ns"].tolist()
    assert opens == [iso_ns("2024-03-30T22:59:00+00:00"), iso_ns("2024-03-31T01:00:00+00:00")]
    with pytest.raises(DataRefused, match="not of one length"):
        store.take(tmp_path / "local.csv", symbol="EURUSD", name="d", frame="D1")
    naive = (head, "02.01.2024 12:00:00.000,1.1,1.1,1.1,1.1,0")
    with pytest.raises(DataRefused, match="names no time zone"):
        store.take(write(tmp_path, *naive, name="naive.csv"), symbol="EURUSD", name="n", frame="M1")


def test_the_platform_of_dukascopy_writes_eastern_european_time(store: Any, tmp_path: Path) -> None:
    head = "Time (EET),Open,High,Low,Close,Volume "
    rows = ("2024.01.02 02:00:00,1.1,1.1,1.1,1.1,5", "2024.07.02 03:00:00,1.2,1.2,1.2,1.2,5")
    path = write(tmp_path, head, *rows, name="EURUSD_1 Min_Bid_2024.csv")
    (stored,) = store.take(path, symbol="EURUSD", frame="M1", name="j").series
    opens = store.open("j").series("EURUSD", "M1").columns["open_ns"].tolist()
    athens = ZoneInfo("Europe/Athens")
    assert opens == [int(datetime(2024, m, 2, m // 7 + 2, tzinfo=athens).timestamp()) * 10**9 for m in (1, 7)]
    assert stored.quality["reading"]["zone"] == "+2/+3@EU"
    days = (head, *(f"2024.10.{day} 00:00:00,1.1,1.1,1.1,1.1,5" for day in (25, 26, 27, 28)))
    with pytest.raises(DataRefused, match="lasts longer than its frame"):
        store.take(write(tmp_path, *days, name="days.csv"), symbol="EURUSD", frame="D1", name="k")


def test_the_crypto_minutes_are_the_rows_of_their_files(store: Any, shared_data: Path) -> None:
    for symbol in ("ADAUSDT", "DOGEUSDT"):
        path = shared_data / "crypto_1m" / f"{symbol}_1m.csv"
        with path.open(newline="") as file:
            expected = list(csv.DictReader(file))
        (stored,) = store.take(
            path, symbol=symbol, frame="M1", name=symbol.lower(), instrument=InstrumentOptions()
        ).series
        columns = store.open(symbol.lower()).series(symbol, "M1").columns
        assert stored.rows == 43_200 == len(expected)
        for name in ("open", "high", "low", "close", "volume"):
            assert columns[name].tolist() == [float(row[name]) for row in expected], name
