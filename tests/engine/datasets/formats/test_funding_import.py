"""Funding rates: read exactly, put on the minute, stored beside the frames and never as one."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.datasets import SeriesContent, check_dataset
from boxgate_engine.datasets.content import FUNDING
from boxgate_engine.datasets.funding_quality import FundingReport
from boxgate_engine.datasets.picture import draw_series
from boxgate_engine.errors import DataRefused, UserMistake

HOUR_NS = 3_600_000_000_000
MONDAY_MS = 1_704_067_200_000


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])
def test_rates_of_usdm_are_those_of_the_file_on_whole_hours(store: Any, shared_data: Path, symbol: str) -> None:
    path = shared_data / f"binance_usdm/funding/{symbol}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    stamps = [int(row["timestamp"]) for row in rows]
    late = [stamp % 3_600_000 for stamp in stamps]
    assert max(late) == 14, "the README says so"
    (series,) = store.take(path, name="f").series
    assert (series.symbol, series.frame, series.price_basis, series.rows) == (symbol, FUNDING, "NONE", len(rows))
    opened = store.open("f").series(symbol, FUNDING)
    assert tuple(opened.columns) == ("time_ns", "rate")
    assert opened.columns["time_ns"].tolist() == [stamp // 3_600_000 * HOUR_NS for stamp in stamps]
    assert opened.columns["rate"].tolist() == [float(row["funding_rate"]) for row in rows]
    assert opened.duration_ns == 0
    quality = series.quality
    assert quality["repairs"] == {"stamps_rounded": sum(1 for each in late if each)}
    assert quality["counts"] == {"negative_rates": sum(1 for row in rows if float(row["funding_rate"]) < 0)}
    assert quality["interval_ns"] == 8 * HOUR_NS
    assert quality["gaps"]["count"] == 0


def test_bars_and_rates_of_a_symbol_come_in_one_command(store: Any, shared_data: Path) -> None:
    files = [shared_data / f"binance_usdm/{kind}/BTCUSDT.csv" for kind in ("1h", "funding")]
    result = store.take(*files, name="both")
    assert [(one.symbol, one.frame) for one in result.series] == [("BTCUSDT", "H1"), ("BTCUSDT", FUNDING)]
    (instrument,) = result.manifest.instruments
    assert str(instrument.tick_size) == "1/10", "the rates say nothing of the price step"


def test_rates_join_the_dataset_of_their_bars_in_either_order(store: Any, shared_data: Path) -> None:
    bars, rates = (shared_data / f"binance_usdm/{kind}/BTCUSDT.csv" for kind in ("1h", "funding"))
    store.take(bars, name="a")
    store.take(rates, name="b")
    assert store.take(rates, name="a").manifest.hash == store.take(bars, name="b").manifest.hash


@pytest.mark.parametrize("symbol", ["adausdt", "btcusd"])
def test_margin_interest_of_lean_is_read_as_funding(store: Any, shared_data: Path, symbol: str) -> None:
    path = shared_data / f"lean/cryptofuture/binance/margin_interest/{symbol}.csv"
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").split("\n") if line]
    result = store.take(path, name="m")
    columns = store.open("m").series(symbol.upper(), FUNDING).columns
    stamps = [f"{day[:4]}-{day[4:6]}-{day[6:]}T{time}" for day, time in (row[0].split(" ") for row in rows)]
    assert np.array_equal(columns["time_ns"], np.array(stamps, dtype="datetime64[ns]").astype(np.int64))
    assert columns["rate"].tolist() == [float(row[1]) for row in rows]
    assert result.manifest.instruments[0].kind == ("inverse" if symbol == "btcusd" else "linear")


def test_coin_margined_bars_and_rates_of_lean_agree_that_the_contract_is_inverse(store: Any, shared_data: Path) -> None:
    folder = shared_data / "lean/cryptofuture/binance"
    files = [folder / "margin_interest/btcusd.csv", folder / "minute/btcusd/20221213_trade.zip"]
    assert [one.kind for one in store.take(*files, zone="UTC").manifest.instruments] == ["inverse"]


@pytest.mark.parametrize(
    "header",
    [
        "fundingTime,fundingRate,markPrice",
        "fundingTime,symbol,fundingRate",
        "calc_time,funding_interval_hours,last_funding_rate",
        "timestamp,symbol,funding_rate",
    ],
)
def test_every_form_of_the_file_gives_the_same_rates(store: Any, csv_file: Any, header: str) -> None:
    cells = {"symbol": "BTCUSDT", "markPrice": "42000.5", "funding_interval_hours": "8"}
    lines = [header]
    for number in range(5):
        values = {"time": str(MONDAY_MS + number * 28_800_000 + number), "rate": f"-0.0000{number}"}
        lines.append(
            ",".join(cells.get(name, values["time" if "ime" in name or name == "timestamp" else "rate"])
                     for name in header.split(","))
        )  # fmt: skip
    store.take(csv_file(*lines, name="BTCUSDT-fundingRate-2024-01.csv"), name="f")
    columns = store.open("f").series("BTCUSDT", FUNDING).columns
    assert columns["time_ns"].tolist() == [(MONDAY_MS + i * 28_800_000) * 1_000_000 for i in range(5)]
    assert columns["rate"].tolist() == [0.0, -0.00001, -0.00002, -0.00003, -0.00004]
    assert ("mark_price" in columns) == ("markPrice" in header)


def test_mark_prices_with_holes_are_left_out_and_said_to_be(store: Any, csv_file: Any) -> None:
    lines = ["fundingTime,fundingRate,markPrice", f"{MONDAY_MS},0.0001,", f"{MONDAY_MS + 28_800_000},0.0001,42000"]
    (series,) = store.take(csv_file(*lines), symbol="BTCUSDT").series
    assert series.columns == ("time_ns", "rate")
    assert series.quality["reading"]["ignored_columns"] == ["mark_price"]


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([f"{MONDAY_MS + 5_001},0.0001"], "DATA_TZ", "row 2"),
        ([f"{MONDAY_MS - 5_001},0.0001"], "DATA_TZ", "off the minute"),
        ([f"{MONDAY_MS},1.0"], "DATA_VALUE", "fraction"),
        ([f"{MONDAY_MS},nan"], "DATA_VALUE", "finite"),
        ([f"{MONDAY_MS},"], "DATA_VALUE", "empty"),
        ([f"{MONDAY_MS},0.0001", f"{MONDAY_MS - 28_800_000},0.0001"], "DATA_ORDER", "row 3"),
        ([f"{MONDAY_MS},0.0001", f"{MONDAY_MS + 3},0.0002"], "DATA_DUPLICATE", "other values"),
        ([f"{MONDAY_MS},0.0001", f"{MONDAY_MS + 3},0.0001"], "DATA_DUPLICATE", "equal values"),
    ],
)
def test_faults_of_rates_are_refused_with_their_row(
    store: Any, csv_file: Any, lines: list[str], code: str, said: str
) -> None:
    with pytest.raises(DataRefused) as caught:
        store.take(csv_file("fundingTime,fundingRate", *lines), symbol="BTCUSDT")
    assert caught.value.error_code == code
    assert said in str(caught.value)


def test_equal_rates_that_are_there_twice_are_dropped_if_that_is_said(store: Any, csv_file: Any) -> None:
    path = csv_file("fundingTime,fundingRate", f"{MONDAY_MS},0.0001", f"{MONDAY_MS + 3},0.0001")
    (series,) = store.take(path, symbol="BTCUSDT", on_duplicate="drop").series
    assert series.rows == 1
    assert series.quality["repairs"] == {"equal_duplicates_dropped": 1, "stamps_rounded": 1}


def test_a_file_of_two_symbols_is_refused(store: Any, csv_file: Any) -> None:
    path = csv_file("timestamp,symbol,funding_rate", f"{MONDAY_MS},BTCUSDT,0.1", f"{MONDAY_MS},ETHUSDT,0.1")
    with pytest.raises(DataRefused, match="BTCUSDT and ETHUSDT"):
        store.take(path)


def report_of(hours: list[int]) -> dict[str, Any]:
    report = FundingReport()
    times = np.array(hours, dtype=np.int64) * HOUR_NS
    for part in (times[:4], times[4:]):
        if len(part):
            columns: Any = {"time_ns": part, "rate": np.zeros(len(part))}
            report.add(SeriesContent(symbol="X", frame=FUNDING, price_basis="NONE", columns=columns))
    return report.result()


@pytest.mark.parametrize(
    ("hours", "intervals", "gaps"),
    [
        ([0, 8, 16, 24, 32, 40], [(0, 8)], []),
        ([0, 8, 16, 24, 40, 48, 56, 64, 72], [(0, 8)], [(24, 40, 1)]),
        ([0, 8, 16, 24, 28, 32, 36, 40], [(0, 8), (24, 4)], []),
        ([0, 8, 16, 24, 28, 32, 36, 48, 52, 56, 60], [(0, 8), (24, 4)], [(36, 48, 2)]),
        ([0, 4, 8, 12, 16, 24, 32, 40, 41, 42, 43], [(0, 4), (16, 8), (40, 1)], []),
        ([0, 16, 24, 32, 40], [(0, 8)], [(0, 16, 1)]),
        ([0, 8], [(0, 8)], []),
        ([0], [], []),
    ],
)
def test_intervals_and_holes_are_told_apart(
    hours: list[int], intervals: list[tuple[int, int]], gaps: list[tuple[int, int, int]]
) -> None:
    report = report_of(hours)
    assert [(one["from_ns"], one["interval_ns"]) for one in report["intervals"]] == [
        (a * HOUR_NS, b * HOUR_NS) for a, b in intervals
    ]
    found = [(one["from_ns"], one["to_ns"], one["missing_bars"]) for one in report["gaps"]["longest"]]
    assert found == [(a * HOUR_NS, b * HOUR_NS, missing) for a, b, missing in gaps]
    assert report["gaps"]["missing_bars"] == sum(missing for *_, missing in gaps)


def test_rates_are_no_frame(store: Any, shared_data: Path) -> None:
    store.take(*(shared_data / f"binance_usdm/{kind}/BTCUSDT.csv" for kind in ("1h", "funding")), name="x")
    opened = store.open("x")
    assert opened.frames("BTCUSDT") == ["H1"]
    assert FUNDING not in opened.available_frames("BTCUSDT")
    assert opened.is_stored("BTCUSDT", FUNDING)
    assert opened.series("BTCUSDT", "H4").digest.endswith(opened.series("BTCUSDT", "H1").digest)
    with pytest.raises(DataRefused, match="no picture"):
        draw_series(opened, "BTCUSDT", FUNDING)


def test_a_dataset_of_rates_alone_has_no_frame_and_says_so(store: Any, shared_data: Path) -> None:
    store.take(shared_data / "binance_usdm/funding/BTCUSDT.csv", name="x")
    opened = store.open("x")
    assert opened.frames("BTCUSDT") == opened.available_frames("BTCUSDT") == []
    with pytest.raises(DataRefused) as caught:
        opened.series("BTCUSDT", "H1")
    assert caught.value.error_code == "FRAME_UNAVAILABLE"


def test_rates_that_are_not_there_are_refused_by_name(store: Any, shared_data: Path) -> None:
    store.take(shared_data / "binance_usdm/1h/BTCUSDT.csv", name="x")
    with pytest.raises(DataRefused, match="no funding rates of BTCUSDT"):
        store.open("x").series("BTCUSDT", FUNDING)
    with pytest.raises(UserMistake):
        store.open("x").series("BTCUSDT", "fundings")


def test_a_rate_that_changes_on_disk_is_found_and_another_rate_is_another_dataset(store: Any, csv_file: Any) -> None:
    lines = ["fundingTime,fundingRate", *(f"{MONDAY_MS + i * 28_800_000},0.000{i}" for i in range(9))]
    first = store.take(csv_file(*lines), symbol="BTCUSDT", name="x").manifest
    lines[4] = lines[4].replace("0.0003", "0.0004")
    assert store.take(csv_file(*lines, name="other.csv"), symbol="BTCUSDT").manifest.hash != first.hash
    assert check_dataset(store.root, "x", store.cache).problems == ()
    path = store.root / first.hash / first.series[0].files[0].path
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-9] + bytes(9))
    assert [one.error_code for one in check_dataset(store.root, "x", store.cache).problems] == ["DATA_HASH"]


def test_the_manifest_covers_the_rates(store: Any, shared_data: Path) -> None:
    result = store.take(shared_data / "binance_usdm/funding/BTCUSDT.csv", name="x")
    text = json.loads((store.root / result.manifest.hash / "manifest.json").read_text(encoding="utf-8"))
    (series,) = text["series"]
    assert (series["frame"], series["price_basis"], series["columns"]) == (FUNDING, "NONE", ["time_ns", "rate"])
    assert [file["path"] for file in series["files"]] == ["crypto/BTCUSDT/funding/part-0.parquet"]
