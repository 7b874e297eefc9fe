"""Ticks of MetaTrader 5 and exports of Dukascopy give the same, however they are cut into pieces."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.datasets.formats import pieces
from boxgate_engine.errors import DataRefused


@pytest.fixture(params=[200, 1_000, 1 << 20])
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(pieces, "PIECE_BYTES", request.param)
    return int(request.param)


def mt5_ticks(*, last_from: int | None = None, fault: tuple[int, str] | None = None) -> str:
    """Return 300 rows as the terminal writes them: what did not change is left out; some begin without an ask."""
    chance = random.Random(5)
    lines = ["<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>"]
    for row in range(300):
        bid = "" if row and chance.random() < 0.4 else f"{1.1 + row % 7 / 1e4:.5f}"
        ask = "" if row < 5 or (row > 5 and chance.random() < 0.4) else f"{1.2 + row % 5 / 1e4:.5f}"
        last = "" if last_from is None or row < last_from or row % 3 else f"{1.15 + row % 3 / 1e4:.5f}"
        volume = "" if not last else str(row)
        stamp = f"2024.01.02\t00:{row // 60:02d}:{row % 60:02d}.{row % 1000:03d}"
        lines.append(fault[1] if fault and fault[0] == row else f"{stamp}\t{bid}\t{ask}\t{last}\t{volume}\t6")
    return "\r\n".join(lines) + "\r\n"


def by_hand(text: str, names: tuple[str, ...]) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Return the rows from the first that has all prices, carried on in a plain loop, and how often that was done."""
    known: dict[str, float] = {}
    rows: dict[str, list[float]] = {name: [] for name in names}
    carried = dict.fromkeys(names, 0)
    for row in csv.DictReader(text.splitlines(), delimiter="\t"):
        for name in names:
            if value := row[f"<{name.upper()}>"]:
                known[name] = float(value)
            else:
                carried[name] += 1
        if len(known) == len(names):
            for name in names:
                rows[name].append(known[name])
    return rows, carried


@pytest.mark.parametrize("last_from", [None, 250])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_ticks_are_carried_on_from_piece_to_piece(
    store: Any, tmp_path: Path, cut: int, last_from: int | None, encoding: str
) -> None:
    path = tmp_path / "EURUSD_202401020000_202401030000.csv"
    text = mt5_ticks(last_from=last_from)
    path.write_text(text, encoding=encoding, newline="")
    names = ("bid", "ask") if last_from is None else ("bid", "ask", "last")
    expected, carried = by_hand(text, names)
    (series,) = store.take(path, name="x", zone="+2").series
    columns = store.open("x").series("EURUSD", "tick").columns
    assert {name: np.asarray(columns[name]).tolist() for name in names} == expected
    repairs = series.quality["repairs"]
    assert {name: repairs.get(f"{name}s_carried_on", 0) for name in names} == carried
    assert repairs["rows_before_first_quote"] == 300 - len(expected["bid"])
    assert ("volume" in columns) == (last_from is not None)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("2024.01.02\t00:01:40.100\tx\t1.2\t\t\t6", "DATA_VALUE"),
        ("2024.01.02\t00:01:40.100\t1.1", "DATA_FORMAT"),
        ("2024.01.02\t00:99:40.100\t1.1\t1.2\t\t\t6", "DATA_TZ"),
        ("2024.01.01\t00:01:40.100\t1.1\t1.2\t\t\t6", "DATA_ORDER"),
        ("2024.01.02\t00:01:40.100\t-1\t1.2\t\t\t6", "DATA_VALUE"),
    ],
)
def test_a_fault_of_ticks_has_its_row(store: Any, tmp_path: Path, cut: int, line: str, code: str) -> None:
    path = tmp_path / "EURUSD_2024.csv"
    path.write_text(mt5_ticks(fault=(100, line)), newline="")
    with pytest.raises(DataRefused) as found:
        store.take(path, name="x", zone="UTC")
    assert (found.value.error_code, "row 102" in found.value.where) == (code, True)
    assert store.published() == []


def test_ticks_that_are_never_quoted_are_refused(store: Any, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "EURUSD_2024.csv"
    lines = [f"2024.01.02\t00:00:{row % 60:02d}.000\t1.1\t\t\t\t2" for row in range(60)]
    path.write_text("\n".join(["<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>", *lines]))
    with pytest.raises(DataRefused, match="all prices"):
        store.take(path, name="x", zone="UTC")


@pytest.mark.parametrize("header", [True, False])
def test_exports_of_dukascopy_are_the_rows_of_their_file(store: Any, tmp_path: Path, cut: int, header: bool) -> None:
    rows = [(f"0{1 + day}.02.2017 {hour:02d}:00:00.000", 1.1 + hour / 1000) for day in range(5) for hour in range(24)]
    lines = [
        f"{stamp},{price:.5f},{price + 0.001:.5f},1.0,{price:.5f},{index}" for index, (stamp, price) in enumerate(rows)
    ]
    path = tmp_path / "EURUSD_Candlestick_1_Hour_BID.csv"
    path.write_text("\n".join(["Gmt time,Open,High,Low,Close,Volume"] * header + lines) + "\n")
    (series,) = store.take(path, name="x", symbol="EURUSD").series
    assert (series.frame, series.rows) == ("H1", 120)
    columns = store.open("x").series("EURUSD", "H1").columns
    assert np.asarray(columns["open"]).tolist() == [float(f"{price:.5f}") for _, price in rows]
    assert np.asarray(columns["volume"]).tolist() == list(range(120))


def test_local_days_through_a_change_of_clocks_are_refused(store: Any, tmp_path: Path, cut: int) -> None:
    days = [f"{day:02d}.10.2023 00:00:00.000 GMT+0{2 if day < 30 else 1}00,1.1,1.2,1.0,1.1,5" for day in range(16, 32)]
    path = tmp_path / "EURUSD_Candlestick_1_D_BID.csv"
    path.write_text("\n".join(["Local time,Open,High,Low,Close,Volume", *days]) + "\n")
    with pytest.raises(DataRefused, match="change of clocks"):
        store.take(path, name="x", symbol="EURUSD")
