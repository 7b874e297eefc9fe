"""Files and options that nobody expects: odd but legal ones are read, others refused by name, none by a traceback."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.datasets.formats.registry import FORMATS
from boxgate_engine.errors import BoxgateError, DataRefused

HEADER = "time,open,high,low,close,volume"
STATED = {"symbol": "EURUSD", "frame": "M1", "zone": "UTC", "name": "x"}
NEW_YEAR_NS = 1_704_067_200_000_000_000
MINUTE_NS = 60_000_000_000

MT5 = (
    "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\r\n"
    "2024.01.02\t00:00:00\t1.10000\t1.30000\t1.00000\t1.20000\t5\t0\t12\r\n"
    "2024.01.02\t00:01:00\t1.10000\t1.30000\t1.00000\t1.20000\t5\t0\t12\r\n"
)
DUKASCOPY = (
    "Gmt time,Open,High,Low,Close,Volume\n"
    "01.02.2017 22:00:00.000,1.1,1.3,1.0,1.2,5\n"
    "01.02.2017 23:00:00.000,1.1,1.3,1.0,1.2,5\n"
)
KLINES = (
    "1704067200000,1.1,1.3,1.0,1.2,5,1704067259999,5,5,5,5,0\n1704067260000,1.1,1.3,1.0,1.2,5,1704067319999,5,5,5,5,0\n"
)
HISTDATA = "20200101 170000065,1.1,1.2,0\n20200101 170000066,1.1,1.2,0\n"
NEWEST_FIRST = (
    "https://www.CryptoDataDownload.com\nunix,date,symbol,open,high,low,close,Volume BTC,Volume USD\n"
    "1704067260,2024-01-01 00:01:00,BTC/USD,1.1,1.3,1.0,1.2,5,5\n"
    "1704067200,2024-01-01 00:00:00,BTC/USD,1.1,1.3,1.0,1.2,5,5\n"
)


def rows(*stamps: str) -> list[str]:
    return [f"{stamp},1.1,1.3,1.0,1.2,5" for stamp in stamps]


def times_of(store: Any, symbol: str = "EURUSD", frame: str = "M1") -> list[int]:
    series = store.open("x").series(symbol, frame)
    return np.asarray(next(iter(series.columns.values()))).tolist()  # type: ignore[no-any-return]


def refused(store: Any, path: Path, **options: Any) -> DataRefused:
    with pytest.raises(DataRefused) as found:
        store.take(path, **STATED | options)
    assert store.published() == []
    return found.value


@pytest.mark.parametrize(("offset", "hours"), [("+00", 0), ("-05", 5), (" +02", -2), ("+0530", -5.5)])
def test_an_offset_may_have_no_minutes_as_databases_write_it(
    store: Any, csv_file: Callable[..., Path], offset: str, hours: float
) -> None:
    store.take(csv_file(HEADER, *rows(f"2024-01-01 00:00:00{offset}", f"2024-01-01 00:01:00{offset}")), **STATED)
    first_ns = NEW_YEAR_NS + int(hours * 3600) * 10**9
    assert times_of(store) == [first_ns, first_ns + MINUTE_NS]


def test_a_stated_form_keeps_nanoseconds(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file("time,bid,ask", "01/01/2024 00:00:00.123456789,1.1,1.2", "01/01/2024 00:00:00.60,1.1,1.2")
    store.take(path, **STATED | {"frame": "tick", "time_format": "%d/%m/%Y %H:%M:%S%.f"})
    assert times_of(store, frame="tick") == [NEW_YEAR_NS + 123_456_789, NEW_YEAR_NS + 600_000_000]


@pytest.mark.parametrize("stamp", ["31/12/2060 23:59:60", "31/12/2023 23:59:60"])
def test_a_second_60_in_a_stated_form_is_refused(store: Any, csv_file: Callable[..., Path], stamp: str) -> None:
    path = csv_file(HEADER, *rows("31/12/2023 23:58:00", stamp))
    error = refused(store, path, time_format="%d/%m/%Y %H:%M:%S")
    assert (error.error_code, "row 3" in error.where) == ("DATA_TZ", True)


def test_a_stated_form_reads_a_year_or_fraction_of_60(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file(HEADER, *rows("01/01/2060 00:00:00", "01/01/2060 00:01:00"))
    store.take(path, **STATED | {"time_format": "%d/%m/%Y %H:%M:%S"})
    first = int(np.datetime64("2060-01-01", "ns").astype(np.int64))
    assert times_of(store) == [first, first + MINUTE_NS]


@pytest.mark.parametrize("price", ["1.100", "1.234,5"])
def test_with_a_decimal_comma_a_point_is_no_decimal_sign(store: Any, csv_file: Callable[..., Path], price: str) -> None:
    """A German `1.100` is eleven hundred; read as 1.1 it would be wrong and not be seen."""
    path = csv_file("time;open;high;low;close", "31.01.2024 00:00;1,1;1,3;1,0;1,2", f"31.01.2024 00:01;{price};1,3;1;1")
    error = refused(store, path, decimal=",")
    assert (error.error_code, error.where.endswith("row 3, column open")) == ("DATA_VALUE", True)


def test_stamps_with_points_stand_beside_decimal_commas(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file("time;open;high;low;close", "31.01.2024 00:00;1,1;1,3;1,0;1,2", "31.01.2024 00:01;1,1;1,3;1,0;1,2")
    store.take(path, **STATED | {"decimal": ","})
    assert store.open("x").series("EURUSD", "M1").columns["high"].tolist() == [1.3, 1.3]


@pytest.mark.parametrize(
    ("name", "text", "symbol", "frame"),
    [
        ("EURUSD_M1_202401.csv", MT5, "EURUSD", "M1"),
        ("EURUSD_BID.csv", DUKASCOPY, "EURUSD", "H1"),
        ("BTCUSDT-1m-2024-01.csv", KLINES, "BTCUSDT", "M1"),
        ("DAT_ASCII_EURUSD_T_202001.csv", HISTDATA, "EURUSD", "tick"),
    ],
)
def test_a_gzip_is_read_as_what_is_in_it(
    store: Any, tmp_path: Path, name: str, text: str, symbol: str, frame: str
) -> None:
    plain, packed = tmp_path / name, tmp_path / "zipped" / f"{name}.gz"
    packed.parent.mkdir()
    plain.write_text(text, newline="")
    packed.write_bytes(gzip.compress(text.encode("utf-16" if "MT5" in text else "utf-8")))
    zone = "+2" if text == MT5 else None
    stated = "EURUSD" if text == DUKASCOPY else None
    made = [store.take(path, zone=zone, symbol=stated) for path in (plain, packed)]
    assert made[0].manifest.hash == made[1].manifest.hash
    assert (made[1].series[0].symbol, made[1].series[0].frame) == (symbol, frame)


def test_what_macos_puts_into_a_zip_is_no_file_of_data(store: Any, tmp_path: Path) -> None:
    with io.BytesIO() as packed:
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("bars.csv", "\n".join([HEADER, *rows("2024-01-01 00:00:00")]))
            archive.writestr("__MACOSX/._bars.csv", b"\0\5\x16\7")
            archive.writestr(".DS_Store", b"\0")
        (tmp_path / "bars.zip").write_bytes(packed.getvalue())
    assert store.take(tmp_path / "bars.zip", **STATED).series[0].rows == 1


def test_lines_that_end_with_carriage_returns_alone_are_refused(store: Any, tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text("\r".join([HEADER, *rows("2024-01-01 00:00:00")]), newline="")
    assert refused(store, path).error_code == "DATA_SCHEMA"


@pytest.mark.parametrize("text", [MT5, DUKASCOPY, NEWEST_FIRST, "2012.02.01,00:00,1.1,1.3,1.0,1.2,5\n" * 2])
def test_bars_that_are_stated_to_be_ticks_are_refused(store: Any, tmp_path: Path, text: str) -> None:
    path = tmp_path / "EURUSD.csv"
    path.write_text(text, newline="")
    error = refused(store, path, frame="tick")
    assert error.error_code in ("DATA_SCHEMA", "DATA_TZ")


@pytest.mark.parametrize("format_name", [one.name for one in FORMATS])
@pytest.mark.parametrize("text", ["x", "\n\nx,y\n", MT5, DUKASCOPY, KLINES, HISTDATA, NEWEST_FIRST, "1,2\n", "é" * 40])
@pytest.mark.parametrize("side", [None, "last"])
def test_a_format_that_is_not_the_files_is_refused_or_reads_it(
    store: Any, tmp_path: Path, format_name: str, text: str, side: str | None
) -> None:
    path = tmp_path / "EURUSD.csv"
    path.write_bytes(text.encode())
    try:
        store.take(path, **STATED | {"format": format_name, "side": side})
    except BoxgateError:
        assert store.published() == []


@pytest.mark.parametrize(
    "option",
    [
        {"columns": {"close": "open"}},
        {"ignore": frozenset({"x"})},
        {"header": False},
        {"separator": ";"},
        {"decimal": ","},
        {"time_format": "%Y"},
        {"skip_lines": 1},
    ],
)
def test_an_option_that_a_format_does_not_go_by_is_refused(store: Any, tmp_path: Path, option: dict[str, Any]) -> None:
    path = tmp_path / "EURUSD_M1.csv"
    path.write_text(MT5, newline="")
    assert "--format csv" in refused(store, path, **option).remedy


def test_a_column_cannot_be_left_out_and_have_a_meaning(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file(HEADER, *rows("2024-01-01 00:00:00"))
    assert "volume" in refused(store, path, ignore=frozenset({"volume"}), columns={"volume": "volume"}).what


def test_folders_are_read_through_links_and_hidden_ones_are_not(store: Any, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "über all", tmp_path / "elsewhere"
    for where, minute in ((folder, 0), (elsewhere, 1), (folder / ".ipynb_checkpoints", 2)):
        where.mkdir()
        (where / "Kurse für Öl.csv").write_text("\n".join([HEADER, *rows(f"2024-01-01 00:0{minute}:00")]))
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    store.take(folder, **STATED)
    assert times_of(store) == [NEW_YEAR_NS, NEW_YEAR_NS + MINUTE_NS]


def test_a_link_to_nothing_is_refused(store: Any, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "bars.csv").symlink_to(tmp_path / "gone.csv")
    assert refused(store, folder).error_code == "DATA_FORMAT"


def test_pipes_and_devices_are_refused_and_not_waited_for(store: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        assert refused(store, path).error_code == "DATA_FORMAT"


def test_a_name_with_a_nul_is_refused(store: Any) -> None:
    assert refused(store, Path("a\0b.csv")).error_code == "DATA_FORMAT"


@pytest.mark.parametrize("frame", ["M1", "tick"])
@pytest.mark.parametrize("linked", [False, True])
def test_one_file_that_is_given_twice_is_there_once_or_refused(
    store: Any, csv_file: Callable[..., Path], tmp_path: Path, frame: str, linked: bool
) -> None:
    """Rows of a path that was named twice once stood one behind the other, with time that falls between them."""
    bars = [HEADER, *rows("2024-01-01 00:00:00", "2024-01-01 00:01:00")]
    ticks = ["time,bid,ask", "2024-01-01 00:00:00,1.1,1.2", "2024-01-01 00:01:00,1.1,1.2"]
    path = csv_file(*(ticks if frame == "tick" else bars))
    other = path
    if linked:
        other = tmp_path / "link.csv"
        other.symlink_to(path)
    with pytest.raises(DataRefused) as found:
        store.take(path, other, **STATED | {"frame": frame})
    assert (found.value.error_code, store.published()) == ("DATA_DUPLICATE", [])
    (series,) = store.take(path, other, **STATED | {"frame": frame, "on_duplicate": "drop"}).series
    assert series.quality["repairs"] == {"rows_of_repeated_files_dropped": 2}
    assert series.quality["policies"] == {"on_duplicate": "drop", "on_gap": "report"}
    assert times_of(store, frame=frame) == [NEW_YEAR_NS, NEW_YEAR_NS + MINUTE_NS]


def test_a_spread_below_zero_is_refused(store: Any, tmp_path: Path) -> None:
    path = tmp_path / "EURUSD_M1.csv"
    path.write_text(MT5.replace("\t12\r\n", "\t-1\r\n", 1), newline="")
    error = refused(store, path)
    assert (error.error_code, error.where.endswith("row 2, column <SPREAD>")) == ("DATA_VALUE", True)


def test_the_refusal_of_gaps_says_when_they_are(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file(HEADER, *rows("2024-01-02 00:00:00", "2024-01-02 00:05:00"))
    error = refused(store, path, on_gap="refuse")
    assert "from 2024-01-02T00:01:00Z to 2024-01-02T00:05:00Z" in error.what
