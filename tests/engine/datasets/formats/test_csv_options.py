"""What can be said of a CSV file that does not say it itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.datasets.formats import csv_text, pieces
from boxgate_engine.datasets.formats.source import ReadOptions, read_input
from boxgate_engine.errors import DataRefused

_NANO = 10**9


def _read(tmp_path: Path, text: str, encoding: str = "utf-8", **options: Any) -> dict[str, list[float]]:
    file = tmp_path / "bars.csv"
    file.write_bytes(text.encode(encoding))
    stated: dict[str, Any] = {"symbol": "EURUSD", "frame": "M1", "zone": "UTC", **options}
    parts = list(csv_text.read(read_input(file), ReadOptions(**stated)))
    return {name: np.concatenate([part.columns[name] for part in parts]).tolist() for name in parts[0].columns}


def _error(tmp_path: Path, text: str, **options: Any) -> DataRefused:
    with pytest.raises(DataRefused) as caught:
        _read(tmp_path, text, **options)
    return caught.value


def _ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * _NANO


def test_foreign_headers_decimal_commas_and_a_stated_form_of_stamps_are_read(tmp_path: Path) -> None:
    text = (
        "exported by a terminal\n\nZeit;Eröffnung;Hoch;Tief;Schluss\n"
        "31/01/2024 23:59;1,5;2,25;1;2\n01/02/2024 00:00;1;2;1;2\n"
    )
    meanings = {"Zeit": "time", "Eröffnung": "open", "Hoch": "high", "Tief": "low", "Schluss": "close"}
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        found = _read(
            tmp_path, text, encoding, columns=meanings, decimal=",", time_format="%d/%m/%Y %H:%M", skip_lines=2
        )
        assert found == {
            "open_ns": [_ns("2024-01-31T23:59"), _ns("2024-02-01T00:00")],
            "open": [1.5, 1.0],
            "high": [2.25, 2.0],
            "low": [1.0, 1.0],
            "close": [2.0, 2.0],
            "volume": [0.0, 0.0],
        }


def test_a_file_without_header_is_read_by_the_numbers_of_its_columns(tmp_path: Path) -> None:
    meanings = {"1": "time", "3": "open", "4": "high", "5": "low", "6": "close"}
    text = '"2024-01-01 00:00","x","1","2","1","2"\r\n"2024-01-01 00:01","y","1","2","1","2"\r\n'
    found = _read(tmp_path, text, columns=meanings, header=False)
    assert found["open_ns"] == [_ns("2024-01-01T00:00"), _ns("2024-01-01T00:01")]
    assert found["close"] == [2.0, 2.0]


@pytest.mark.parametrize("size", [1, 7, 30, 1 << 20])
def test_options_hold_whatever_the_size_of_the_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", size)
    rows = [f"0{day}.03.2024 00:00|1,5|2|1|2" for day in range(1, 8)]
    text = "\n".join(["a", "b", *rows]) + "\n"
    meanings = {"1": "time", "2": "open", "3": "high", "4": "low", "5": "close"}
    found = _read(
        tmp_path, text, columns=meanings, header=False, decimal=",", time_format="%d.%m.%Y %H:%M", skip_lines=2
    )
    assert found["open_ns"] == [_ns(f"2024-03-0{day}") for day in range(1, 8)]
    rows[4] = "32.03.2024 00:00|1|2|1|2"
    error = _error(
        tmp_path,
        "\n".join(["a", "b", *rows]),
        columns=meanings,
        header=False,
        decimal=",",
        time_format="%d.%m.%Y %H:%M",
        skip_lines=2,
    )
    assert (error.error_code, error.where.partition("bars.csv")[2]) == ("DATA_TZ", ", row 7, column 1")


def test_a_file_without_a_header_is_refused_with_the_command_that_reads_it(tmp_path: Path) -> None:
    error = _error(tmp_path, "2024-01-01 00:00,1,2,1,2,5\n2024-01-01 00:01,1,2,1,2,5\n")
    assert error.error_code == "DATA_SCHEMA"
    assert "--no-header --column 1=time --column 2=open --column 3=high --column 4=low --column 5=close" in error.remedy


def test_unknown_headers_are_refused_with_the_command_that_names_them(tmp_path: Path) -> None:
    error = _error(tmp_path, "Zeit,Auf,Hoch,Tief,Zu\n2024-01-01 00:00,1,2,1,2\n")
    assert "--column Zeit=time --column Auf=open --column Hoch=high" in error.remedy


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"columns": {"nothing": "open"}}, "DATA_SCHEMA"),
        ({"columns": {"open": "opening price"}}, "DATA_FORMAT"),
        ({"separator": ",", "decimal": ","}, "DATA_FORMAT"),
        ({"separator": "::"}, "DATA_FORMAT"),
        ({"decimal": "x"}, "DATA_FORMAT"),
        ({"time_format": "%Y-%m-%d %H:%M", "zone": None}, "DATA_TZ"),
        ({"time_format": "%d"}, "DATA_TZ"),
        ({"skip_lines": 100}, "DATA_FORMAT"),
        ({"skip_lines": 1}, "DATA_SCHEMA"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: dict[str, Any], code: str) -> None:
    text = "time,open,high,low,close\n2024-01-01 00:00,1,2,1,2\n2024-01-01 00:01,1,2,1,2\n"
    assert _error(tmp_path, text, **options).error_code == code


@pytest.mark.parametrize(
    ("header", "remedy"),
    [
        ("When,Open,High,Low,Close,Volume", "--column When=time"),
        ("Bar time,Open,High,Low,Close", "--column 'Bar time=time'"),
        (
            "time,auf,hoch,tief,zu",
            "--column auf=open --column hoch=high --column tief=low --column zu=close",
        ),
        ("time,open,high,low,close,mood", "--column mood=MEANING"),
        ("when,open,high,low,close,mood", "--column when=time"),
    ],
)
def test_a_column_of_unknown_name_comes_with_the_option_that_names_it(
    store: Any, tmp_path: Path, header: str, remedy: str
) -> None:
    file = tmp_path / "odd.csv"
    row = ["2024-01-02 00:00:00", "1", "2", "0.5", "1.5", "3"][: header.count(",") + 1]
    file.write_text(f"{header}\n{','.join(row)}\n")
    with pytest.raises(DataRefused) as refused:
        store.take(file, symbol="EURUSD", frame="M1", zone="UTC", name="odd")
    assert refused.value.error_code == "DATA_SCHEMA"
    assert f"{remedy}, or" in refused.value.remedy
    assert header.replace(",", ", ") in refused.value.what
