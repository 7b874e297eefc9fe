"""Bad input is refused by name, with file, row and column, and nothing of it is stored."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.errors import BoxgateError, DataRefused

_HEAD = "time,open,high,low,close,volume"
_GOOD = ["1709294400,1.1,1.3,1.0,1.2,5", "1709294460,1.1,1.3,1.0,1.2,5", "1709294520,1.1,1.3,1.0,1.2,5"]


def _refusal(store: Any, *files: Path, **options: Any) -> DataRefused:
    options = {"symbol": "EURUSD", "frame": "M1", "name": "no", **options}
    with pytest.raises(DataRefused) as caught:
        store.take(*files, **options)
    assert store.published() == []
    assert not (store.root / "datasets.yaml").exists()
    error: DataRefused = caught.value
    assert error.exit_code == 2
    assert all(error.as_dict()[key] for key in ("code", "what", "where", "expected", "remedy"))
    return error


@pytest.mark.parametrize(
    ("case", "name", "content"),
    [
        ("D01 zero bytes", "a.csv", b""),
        ("D01 blank", "a.csv", b"\n \n"),
        ("D01 zero bytes", "a.zip", b""),
        ("D02 truncated", "a.zip", b"PK\x03\x04\x14\x00\x00\x00"),
        ("D03 magic only", "a.zip", b"PK"),
        ("D03 magic only", "a.parquet", b"PAR1"),
        ("Parquet", "a.csv", b"PAR1" + b"\x00" * 20 + b"PAR1"),
        ("binary", "a.csv", b"time,open\x00\x01"),
        ("header alone", "a.csv", _HEAD.encode() + b"\n"),
        ("cut off", "a.csv", "\n".join([_HEAD, *_GOOD]).encode()[:-14]),
        ("a line too long", "a.csv", "\n".join([_HEAD, *_GOOD, _GOOD[2] + ",9"]).encode()),
        ("a blank line", "a.csv", "\n".join([_HEAD, _GOOD[0], "", _GOOD[1]]).encode()),
        ("no UTF-8", "a.csv", _HEAD.encode() + b"\n1709294400,1.1,1.3,1.0,1.2,\xff\xfe\n"),
    ],
)
def test_d01_to_d03_what_is_no_file_of_market_data(
    store: Any, tmp_path: Path, case: str, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = _refusal(store, path, zone="UTC")
    assert error.error_code == "DATA_FORMAT", case
    assert name in error.where


def test_d02_a_truncated_zip_is_refused(store: Any, tmp_path: Path) -> None:
    path = tmp_path / "20140501_quote.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("20140501_eurusd_minute_quote.csv", "0,1,1,1,1,0,2,2,2,2,0\n" * 50)
    whole = path.read_bytes()
    for length in range(1, len(whole), 7):
        path.write_bytes(whole[:length])
        assert _refusal(store, path, zone="UTC", symbol=None, frame=None).error_code in {"DATA_FORMAT", "DATA_SCHEMA"}


def test_a_zip_that_unpacks_out_of_all_proportion_is_refused(store: Any, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * 50_000_000)
    assert _refusal(store, path).error_code == "DATA_FORMAT"


@pytest.mark.parametrize(
    ("header", "row", "column"),
    [
        ("time,open,high,low", "1709294400,1,1,1", "close"),
        ("open,high,low,close", "1,1,1,1", "time"),
        ("time,open,high,low,close,sentiment", "1709294400,1,1,1,1,1", "sentiment"),
        ("time,open,high,low,close,bid", "1709294400,1,1,1,1,1", "bid"),
        ("time,open,high,low,close,volume,tick_volume", "1709294400,1,1,1,1,1,1", "tick_volume"),
        ("time,open,open,high,low,close", "1709294400,1,1,1,1,1", "open"),
        ("time,bid_open,bid_high,bid_low,bid_close", "1709294400,1,1,1,1", "ask_close"),
        ("1709294400,1.1,1.3,1.0,1.2,5", "1709294460,1.1,1.3,1.0,1.2,5", "header"),
    ],
)
def test_d05_missing_extra_and_ambiguous_columns(
    store: Any, csv_file: Callable[..., Path], header: str, row: str, column: str
) -> None:
    error = _refusal(store, csv_file(header, row))
    assert error.error_code == "DATA_SCHEMA"
    assert column in f"{error.what} {error.where} {error.expected}"


def test_d05_an_extra_column_may_be_left_out_by_name(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file("time,open,high,low,close,Sentiment", "1709294400,1,1,1,1,?")
    result = store.take(path, symbol="EURUSD", frame="M1", ignore=frozenset({"Sentiment"}))
    assert result.series[0].quality["reading"]["ignored_columns"] == ["Sentiment"]


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ([_GOOD[1], _GOOD[0]], "row 3"),
        ([_GOOD[0], _GOOD[2], _GOOD[1]], "row 4"),
    ],
)
def test_d06_rows_that_fall_back_in_time(
    store: Any, csv_file: Callable[..., Path], rows: list[str], where: str
) -> None:
    error = _refusal(store, csv_file(_HEAD, *rows))
    assert (error.error_code, where in error.where) == ("DATA_ORDER", True)


def test_d07_an_equal_bar_is_refused_or_dropped_as_the_user_says(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file(_HEAD, _GOOD[0], _GOOD[1], _GOOD[1], _GOOD[2])
    error = _refusal(store, path)
    assert (error.error_code, "row 4, column time" in error.where) == ("DATA_DUPLICATE", True)
    result = store.take(path, symbol="EURUSD", frame="M1", on_duplicate="drop")
    assert result.series[0].quality["repairs"] == {"equal_duplicates_dropped": 1}


def test_d07_a_conflicting_bar_is_refused_under_every_policy(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file(_HEAD, _GOOD[0], _GOOD[1], _GOOD[1].replace("1.2,", "1.25,"))
    for policy in ("refuse", "drop"):
        error = _refusal(store, path, on_duplicate=policy)
        assert error.error_code == "DATA_DUPLICATE"
        assert "row 4" in error.where
        assert "row 3" in error.what


def test_d08_overlapping_files_with_other_values(store: Any, csv_file: Callable[..., Path]) -> None:
    one = csv_file(_HEAD, *_GOOD, name="one.csv")
    other = csv_file(_HEAD, _GOOD[2].replace("1.2,", "1.25,"), name="other.csv")
    error = _refusal(store, one, other, on_duplicate="drop")
    assert error.error_code == "DATA_DUPLICATE"
    assert {"one.csv", "other.csv"} <= {name for name in ("one.csv", "other.csv") if name in error.what + error.where}


def test_d08_the_same_file_twice(store: Any, csv_file: Callable[..., Path]) -> None:
    one, copy = csv_file(_HEAD, *_GOOD, name="one.csv"), csv_file(_HEAD, *_GOOD, name="copy.csv")
    assert _refusal(store, one, copy).error_code == "DATA_DUPLICATE"
    result = store.take(one, copy, symbol="EURUSD", frame="M1", on_duplicate="drop")
    assert result.series[0].quality["repairs"] == {"rows_of_repeated_files_dropped": 3}


def test_d08_tick_files_that_overlap(store: Any, csv_file: Callable[..., Path]) -> None:
    one = csv_file("time,bid,ask", "1709294400,1,2", "1709294410,1,2", name="one.csv")
    two = csv_file("time,bid,ask", "1709294405,1,2", "1709294415,1,2", name="two.csv")
    assert _refusal(store, one, two, frame="tick").error_code == "DATA_ORDER"


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("1709294580,nan,1.3,1.0,1.2,5", "open"),
        ("1709294580,1.1,inf,1.0,1.2,5", "high"),
        ("1709294580,1.1,1.3,-1.0,1.2,5", "low"),
        ("1709294580,1.1,1.3,0,1.2,5", "low"),
        ("1709294580,1.1,1.3,1.0,1e400,5", "close"),
        ("1709294580,1.1,1.3,1.0,1.2,-5", "volume"),
        ("1709294580,1.1,1.3,1.0,1.2,NaN", "volume"),
        ("1709294580,1.1,1.3,1.0,1.4,5", "high"),
        ("1709294580,1.1,1.3,1.15,1.2,5", "low"),
        ("1709294580,1.1,1.0,1.3,1.2,5", "high"),
        ("1709294580,1.1,1.3,1.0,,5", "close"),
        ("1709294580,1.1,1.3,1.0,abc,5", "close"),
        ('1709294580,1.1,1.3,1.0,"1,2",5', "close"),
        ("1709294580,1.1,1.3,1.0,0x1p3,5", "close"),
        ("1709294580,1.1,1.3,1.0,1_0,5", "close"),
    ],
)
def test_d09_values_that_can_never_be_right(store: Any, csv_file: Callable[..., Path], row: str, column: str) -> None:
    error = _refusal(store, csv_file(_HEAD, *_GOOD, row))
    assert error.error_code == "DATA_VALUE"
    assert error.where.endswith(f"eurusd.csv, row 5, column {column}")


def test_d09_the_ask_side_is_held_to_the_same(store: Any, csv_file: Callable[..., Path]) -> None:
    header = "time,bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close"
    error = _refusal(store, csv_file(header, "1709294400,1,1,1,1,2,1.9,1.8,1.9"))
    assert (error.error_code, error.where.endswith("row 2, column ask_high")) == ("DATA_VALUE", True)


def test_d09_crossed_and_locked_quotes_are_real_and_counted(store: Any, csv_file: Callable[..., Path]) -> None:
    path = csv_file("time,bid,ask", "1709294400,1.2,1.1", "1709294401,1.1,1.1", "1709294402,1.1,1.2")
    result = store.take(path, symbol="EURUSD", frame="tick")
    assert result.series[0].quality["counts"] == {"crossed": 1, "locked": 1}


def test_d10_gaps_are_reported_or_refused_and_weekends_are_none(store: Any, csv_file: Callable[..., Path]) -> None:
    friday = 1_709_330_340  # 2024-03-01 21:59 UTC, the last minute of the week in New York
    weekend = [f"{time},1,1,1,1,1" for time in (friday - 60, friday, friday + 48 * 3600 + 60)]
    store.take(csv_file(_HEAD, *weekend), symbol="EURUSD", frame="M1", on_gap="refuse")
    path = csv_file(_HEAD, _GOOD[0], _GOOD[1].replace("4460", "4760"), name="gap.csv")
    result = store.take(path, symbol="EURUSD", frame="M1")
    assert result.series[0].quality["gaps"] == {
        "count": 1,
        "missing_bars": 5,
        "closures": 0,
        "longest": [{"from_ns": 1_709_294_460 * 10**9, "to_ns": 1_709_294_760 * 10**9, "missing_bars": 5}],
    }
    with pytest.raises(DataRefused) as caught:
        store.take(path, symbol="EURUSD", frame="M1", on_gap="refuse")
    assert caught.value.error_code == "DATA_GAP"


def test_d10_crypto_has_no_weekend(store: Any, csv_file: Callable[..., Path]) -> None:
    friday = 1_709_326_740
    path = csv_file(_HEAD, *(f"{time},1,1,1,1,1" for time in (friday, friday + 49 * 3600 + 60)))
    assert _refusal(store, path, symbol="BTCUSDT", on_gap="refuse").error_code == "DATA_GAP"


@pytest.mark.parametrize(
    ("case", "stamp", "zone"),
    [
        ("D11 naive without zone", "2024-03-01 12:00:00", None),
        ("D11 date without zone", "2024-03-01", None),
        ("D12 skipped by summer time", "2024-03-31 02:30:00", "Europe/Berlin"),
        ("D12 twice at the end of summer time", "2024-10-27 02:30:00", "Europe/Berlin"),
        ("D12 skipped in New York", "2024-03-10 02:30:00", "America/New_York"),
        ("D12 leap day of an ordinary year", "2023-02-29 12:00:00", "UTC"),
        ("D12 second 60", "2024-03-01 12:00:60", "UTC"),
        ("D12 beyond the calendar of int64", "2262-05-01 00:00:00", "UTC"),
        ("D12 before 1970", "1969-12-31 23:59:59", "UTC"),
        ("D12 no unit fits", "170929440012", "UTC"),
        ("D12 number beyond int64", "99999999999999999999", "UTC"),
        ("D12 negative number", "-1709294400", "UTC"),
        ("epoch numbers are UTC", "1709294400", "Europe/Berlin"),
        ("unknown zone", "2024-03-01 12:00:00", "Europe/Berlix"),
        ("no stamp", "yesterday", "UTC"),
        ("month first is not told from day first", "03/01/2024 12:00", "UTC"),
    ],
)
def test_d11_d12_stamps_that_do_not_name_one_moment(
    store: Any, csv_file: Callable[..., Path], case: str, stamp: str, zone: str | None
) -> None:
    error = _refusal(store, csv_file("time,bid,ask", f"{stamp},1.1,1.2"), frame="tick", zone=zone)
    assert error.error_code == "DATA_TZ", case


def test_d12_a_change_of_unit_or_form_within_a_file_is_refused_at_its_row(
    store: Any, csv_file: Callable[..., Path]
) -> None:
    for second in ("1709294401000", "2024-03-01 12:00:01", "1709294401.5", "17092944010"):
        error = _refusal(store, csv_file("time,bid,ask", "1709294400,1,2", f"{second},1,2"), frame="tick", zone="UTC")
        assert (error.error_code, error.where.endswith("row 3, column time")) == ("DATA_TZ", True)


def test_d12_the_repeated_hour_is_found_in_the_middle_of_a_file(store: Any, csv_file: Callable[..., Path]) -> None:
    rows = [f"2024-10-27 {hour}:{minute:02}:00,1.1,1.2" for hour in ("00", "01", "02") for minute in range(60)]
    error = _refusal(store, csv_file("time,bid,ask", *rows), frame="tick", zone="Europe/Berlin")
    assert (error.error_code, error.where.endswith("row 122, column time")) == ("DATA_TZ", True)
    assert "happens twice in Europe/Berlin" in error.what


@pytest.mark.parametrize(("stated", "step"), [("M1", 300), ("M1", 3600), ("H1", 86_400), ("M5", 60), ("D1", 604_800)])
def test_bars_of_another_frame_than_stated_would_show_the_future(
    store: Any, csv_file: Callable[..., Path], stated: str, step: int
) -> None:
    rows = [f"{1_709_251_200 + index * step},1,1,1,1,1" for index in range(20)]
    assert _refusal(store, csv_file(_HEAD, *rows), frame=stated).error_code == "DATA_SCHEMA"


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "a/b",
        "a\0b",
        "%2e%2e",
        "..",
        ".hidden",
        "",
        " x",
        "x" * 65,
        "y" * 10_000,
        "dem\u043e",
        "\uff44emo",
        "a\nb",
        "-x",
        "a..b",
        "f" * 64,
    ],
)
def test_d14_names_are_held_to_an_allow_list(store: Any, csv_file: Callable[..., Path], name: str) -> None:
    error = _refusal(store, csv_file(_HEAD, *_GOOD), name=name)
    assert error.error_code == "NAME_INVALID"
    assert len(error.what) < 200
    if name != "f" * 64:
        with pytest.raises(BoxgateError) as caught:
            store.open(name)
        assert caught.value.error_code == "NAME_INVALID"
        assert _refusal(store, csv_file(_HEAD, *_GOOD), symbol=name).error_code == "NAME_INVALID"


@pytest.mark.parametrize("name", ["latest", "LATEST", "newest", "head", "current"])
def test_d20_what_floats_is_no_name(store: Any, csv_file: Callable[..., Path], name: str) -> None:
    assert _refusal(store, csv_file(_HEAD, *_GOOD), name=name).error_code == "DATASET_NOT_FROZEN"
    with pytest.raises(BoxgateError) as caught:
        store.open(name)
    assert caught.value.error_code == "DATASET_NOT_FROZEN"


def test_an_unknown_name_is_answered_with_the_nearest_that_is_known(store: Any, csv_file: Callable[..., Path]) -> None:
    store.take(csv_file(_HEAD, *_GOOD), symbol="EURUSD", frame="M1", name="euro_minutes")
    with pytest.raises(DataRefused) as caught:
        store.open("euro_minuts")
    assert caught.value.error_code == "DATASET_UNKNOWN"
    assert "euro_minutes" in caught.value.remedy


def test_a_series_that_exists_with_other_content_is_not_overwritten(store: Any, csv_file: Callable[..., Path]) -> None:
    store.take(csv_file(_HEAD, *_GOOD), symbol="EURUSD", frame="M1", name="x")
    before = store.open("x").hash
    with pytest.raises(DataRefused) as caught:
        store.take(csv_file(_HEAD, *_GOOD[:2], name="b.csv"), symbol="EURUSD", frame="M1", name="x")
    assert caught.value.error_code == "DATA_DUPLICATE"
    assert store.open("x").hash == before


def test_ask_prices_need_a_bid_series(store: Any, csv_file: Callable[..., Path]) -> None:
    assert _refusal(store, csv_file(_HEAD, *_GOOD), side="ask").error_code == "DATA_SCHEMA"


@pytest.mark.parametrize("symbol", ["US30", "ABC"])
def test_what_cannot_be_told_from_a_symbol_must_be_stated(
    store: Any, csv_file: Callable[..., Path], symbol: str
) -> None:
    error = _refusal(store, csv_file(_HEAD, *_GOOD), symbol=symbol)
    assert (error.error_code, "--asset-class" in error.remedy) == ("DATA_INSTRUMENT", True)
