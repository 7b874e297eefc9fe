"""MetaTrader 5 exports against rows read by hand, and samples of what the terminal can write.

No genuine tick export is at hand: the tick samples are made by hand after the terminal's header.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.datasets import InstrumentOptions
from boxgate_engine.errors import DataRefused

OPTIONS = {
    "EURUSD": InstrumentOptions(),
    "US30m": InstrumentOptions(asset_class="index", quote_currency="USD"),
    "GAZP": InstrumentOptions(asset_class="equity", quote_currency="RUB"),
}


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t"))[1:]


def ns(text: str, offset_hours: int = 0) -> int:
    moment = datetime.strptime(text, "%Y.%m.%d %H:%M:%S").replace(tzinfo=UTC) - timedelta(hours=offset_hours)
    return int(moment.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("name", "symbol", "frame", "zone", "offset", "rows", "spreads"),
    [
        ("EURUSD_M5.csv", "EURUSD", "M5", "+2", 2, 2_416, (5, 99)),
        ("US30m_H1_202401012300_202509082200.csv", "US30m", "H1", "UTC", 0, 9_890, (10, 171)),
        ("US30m_Daily_202401010000_202509080000.csv", "US30m", "D1", "UTC", 0, 527, (10, 90)),
    ],
)
def test_each_export_is_the_rows_of_its_file(
    store: Any,
    shared_data: Path,
    name: str,
    symbol: str,
    frame: str,
    zone: str,
    offset: int,
    rows: int,
    spreads: tuple[int, int],
) -> None:
    path = shared_data / "mt5" / name
    expected = rows_of(path)
    result = store.take(path, zone=zone, name="mt5", instrument=OPTIONS[symbol])
    (stored,) = result.series
    assert (stored.symbol, stored.frame, stored.rows) == (symbol, frame, rows) == (symbol, frame, len(expected))
    columns = store.open("mt5").series(symbol, frame).columns
    timed = len(expected[0]) == 9
    stamps = [f"{row[0]} {row[1] if timed else '00:00:00'}" for row in expected]
    values = [row[2:] if timed else row[1:] for row in expected]
    assert columns["open_ns"].tolist() == [ns(stamp, offset) for stamp in stamps]
    for index, column in enumerate(("open", "high", "low", "close", "volume")):
        assert columns[column].tolist() == [float(value[index]) for value in values], column
    points = [int(value[6]) for value in values]
    assert (min(points), max(points)) == spreads
    unit = Fraction(1, 10 ** len(values[0][0].partition(".")[2]))
    for index, column in enumerate(("ask_open", "ask_high", "ask_low", "ask_close")):
        asks = [float(Fraction(value[index]) + point * unit) for value, point in zip(values, points, strict=True)]
        assert columns[column].tolist() == asks, column
    assert stored.quality["repairs"] == {"asks_made_of_spread": rows}


def export(
    tmp_path: Path, *lines: str, encoding: str = "utf-8", end: str = "\r\n", name: str = "EURCHF_M1.csv"
) -> Path:
    path = tmp_path / name
    path.write_bytes(end.join(lines).encode(encoding) + end.encode(encoding))
    return path


BARS = (
    "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
    "2024.01.02\t10:00:00\t1.10000\t1.10010\t1.09990\t1.10005\t7\t0\t3",
    "2024.01.02\t10:01:00\t1.10005\t1.10020\t1.10000\t1.10010\t9\t0\t0",
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le-bom", "utf-16-be-bom"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends_of_the_terminal_give_the_same_bars(
    store: Any, tmp_path: Path, encoding: str, end: str
) -> None:
    path = export(tmp_path, *BARS, encoding="utf-8", end=end)
    if encoding.startswith("utf-16-"):
        form = encoding.removesuffix("-bom")
        path.write_bytes("\ufeff".encode(form) + path.read_bytes().decode().encode(form))
    elif encoding != "utf-8":
        path.write_bytes(path.read_bytes().decode().encode(encoding))
    store.take(path, zone="UTC", name="x")
    columns = store.open("x").series("EURCHF", "M1").columns
    assert columns["close"].tolist() == [1.10005, 1.1001]
    assert columns["ask_close"].tolist() == [1.10008, 1.1001]
    assert columns["volume"].tolist() == [7.0, 9.0]


def test_real_volume_is_taken_where_the_terminal_has_it(store: Any, tmp_path: Path) -> None:
    lines = [BARS[0], BARS[1].replace("\t7\t0\t3", "\t7\t1200\t0"), BARS[2]]
    result = store.take(export(tmp_path, *lines), zone="UTC", name="x")
    series = store.open("x").series("EURCHF", "M1")
    assert series.columns["volume"].tolist() == [1200.0, 0.0]
    assert not series.has_ask, "a spread of zero throughout says nothing"
    assert result.series[0].quality["reading"]["ignored_columns"] == ["tickvol"]


TICKS = (
    "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>",
    "2022.11.10\t15:00:00.001\t\t0.86710\t\t\t4",
    "2022.11.10\t15:00:00.017\t0.86682\t0.86712\t\t\t6",
    "2022.11.10\t15:00:00.017\t0.86683\t\t\t\t2",
    "2022.11.10\t15:00:00.900\t\t0.86715\t\t\t4",
)


def test_a_tick_row_carries_on_what_it_leaves_out(store: Any, tmp_path: Path) -> None:
    result = store.take(export(tmp_path, *TICKS, name="EURGBP_2022.csv"), zone="UTC", name="t")
    columns = store.open("t").series("EURGBP", "tick").columns
    start = ns("2022.11.10 15:00:00")
    assert columns["time_ns"].tolist() == [start + ms * 10**6 for ms in (17, 17, 900)]
    assert columns["bid"].tolist() == [0.86682, 0.86683, 0.86683]
    assert columns["ask"].tolist() == [0.86712, 0.86712, 0.86715]
    assert set(columns) == {"time_ns", "bid", "ask"}
    assert result.series[0].quality["repairs"] == {
        "bids_carried_on": 2,
        "asks_carried_on": 1,
        "rows_before_first_quote": 1,
    }


def test_ticks_of_an_exchange_keep_last_and_volume(store: Any, tmp_path: Path) -> None:
    lines = [
        TICKS[0],
        "2022.11.10\t15:00:00.017\t100.5\t100.6\t100.6\t12\t1",
        "2022.11.10\t15:00:01\t100.6\t100.7\t\t\t6",
    ]
    store.take(export(tmp_path, *lines, name="GAZP.csv"), zone="+3", name="t", instrument=OPTIONS["GAZP"])
    columns = store.open("t").series("GAZP", "tick").columns
    assert columns["last"].tolist() == [100.6, 100.6]
    assert columns["volume"].tolist() == [12.0, 0.0]


@pytest.mark.parametrize(
    ("lines", "code", "where"),
    [
        ((BARS[0], BARS[1], BARS[2].rsplit("\t", 1)[0]), "DATA_FORMAT", "row 3"),
        ((BARS[0], BARS[1].replace("1.10010", "high")), "DATA_VALUE", "row 2"),
        ((BARS[0], BARS[2], BARS[1]), "DATA_ORDER", "row 3"),
        ((BARS[0].replace("<CLOSE>", "<LAST>"), BARS[1]), "DATA_SCHEMA", "row 1"),
        ((BARS[0], BARS[1].replace("2024.01.02", "2024.13.02")), "DATA_TZ", "row 2"),
        ((BARS[0],), "DATA_FORMAT", "EURCHF_M1.csv"),
        ((TICKS[0], TICKS[2], "2022.11.10\t15:00:00.500\t0.86"), "DATA_FORMAT", "row 3"),
        ((TICKS[0], TICKS[1]), "DATA_VALUE", "EURCHF_M1.csv"),
        ((BARS[0], BARS[1], BARS[2].replace("\t", ";")), "DATA_FORMAT", "row 3"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(
    store: Any, tmp_path: Path, lines: tuple[str, ...], code: str, where: str
) -> None:
    with pytest.raises(DataRefused) as refused:
        store.take(export(tmp_path, *lines), zone="UTC", name="x", frame=None)
    assert refused.value.error_code == code
    assert where in refused.value.where
    assert store.published() == []


def test_utf_16_without_its_mark_is_refused_by_name(store: Any, tmp_path: Path) -> None:
    path = export(tmp_path, *BARS, encoding="utf-16-le")
    with pytest.raises(DataRefused, match="binary or UTF-16") as refused:
        store.take(path, zone="UTC", symbol="EURCHF", frame="M1", name="x")
    assert refused.value.error_code == "DATA_FORMAT"


def test_cut_off_zeros_do_not_change_what_a_point_is(store: Any, tmp_path: Path) -> None:
    lines = (
        BARS[0],
        "2024.01.02\t10:00:00\t1.1\t1.1001\t1.0999\t1.1\t7\t0\t3",
        "2024.01.02\t10:01:00\t1.10005\t1.1002\t1.1\t1.1001\t9\t0\t4",
    )
    store.take(export(tmp_path, *lines), zone="UTC", name="x")
    assert store.open("x").series("EURCHF", "M1").columns["ask_open"].tolist() == [1.10003, 1.10009]


def test_a_header_of_another_program_in_pointed_brackets_is_not_metatrader_s(store: Any, tmp_path: Path) -> None:
    lines = ("<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", "X,1,20240102,100000,1,1,1,1,5")
    path = export(tmp_path, *lines, name="x.csv")
    options = {"symbol": "EURCHF", "frame": "M1", "zone": "+3", "ignore": frozenset({"<TICKER>", "<PER>"})}
    (stored,) = store.take(path, name="x", **options).series
    assert stored.first_ns == ns("2024.01.02 07:00:00")


def test_the_server_s_zone_must_be_stated(store: Any, tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match="names no time zone") as refused:
        store.take(export(tmp_path, *BARS), name="x")
    assert "+2/+3@US" in refused.value.remedy


def test_a_frame_that_the_rows_contradict_is_refused(store: Any, tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    with pytest.raises(DataRefused):
        store.take(export(tmp_path, *BARS, name="EURCHF_H1.csv"), zone="UTC", name="x")
