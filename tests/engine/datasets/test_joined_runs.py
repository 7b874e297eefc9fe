"""Files in any order, overlapping, with repeated and faulty rows: the same outcome however they are cut into pieces."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxgate_engine.datasets import ImportRequest, import_files, open_dataset, series_writer
from boxgate_engine.datasets.formats import pieces
from boxgate_engine.errors import BoxgateError

_HEAD = "time,open,high,low,close,volume"
_FAULTS = {
    "no number": "{t},1.1,2.3,x,1.2,5",
    "not finite": "{t},nan,2.3,1.0,1.2,5",
    "no price": "{t},1.1,2.3,0,1.2,5",
    "high below low": "{t},1.1,0.5,1.0,1.2,5",
    "volume below zero": "{t},1.1,2.3,1.0,1.2,-5",
    "fields missing": "{t},1.1",
    "no UTF-8": "{t},1.1,2.3,1.0,1.2,\udcff",
    "NUL": "{t},1.1,2.3,1.0,1.2,5\0",
    "other stamp": "2024-01-01,1.1,2.3,1.0,1.2,5",
    "stamp out of range": "17000000400000,1.1,2.3,1.0,1.2,5",
    "falling": "1600000020,1.1,2.3,1.0,1.2,5",
    "too close": "{t}1,1.1,2.3,1.0,1.2,5",
    "blank": "",
    "open quote": '"{t},1.1,2.3,1.0,1.2,5',
}


def _row(minute: int, value: int) -> str:
    return f"{1_700_000_040 + 60 * minute},1.1,2.3,1.0,1.{10 + value % 90},{value}"


def _write(path: Path, rows: list[str]) -> Path:
    path.write_bytes("\n".join([_HEAD, *rows, ""]).encode("utf-8", "surrogateescape"))
    return path


def _outcome(root: Path, files: list[Path], policy: str) -> dict[str, Any]:
    request = ImportRequest(files=tuple(files), symbol="EURUSD", frame="M1", name="x", on_duplicate=policy)  # type: ignore[arg-type]
    try:
        result = import_files(root, request)
    except BoxgateError as error:
        return error.as_dict()
    (series,) = result.series
    return {"hash": result.manifest.hash, "file": series.files[0].sha256, "quality": series.quality}


def _both_ways(
    folder: Path, files: list[Path], piece_bytes: int, group_rows: int, policy: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_writer, "ROW_GROUP_ROWS", group_rows)
        whole = _outcome(folder / "whole", files, policy)
        patch.setattr(pieces, "PIECE_BYTES", piece_bytes)
        return whole, _outcome(folder / "cut", files, policy)


@settings(max_examples=60, deadline=None)
@given(
    minutes=st.lists(st.lists(st.integers(0, 120), min_size=1, max_size=60), min_size=1, max_size=5),
    conflict=st.integers(0, 6),
    piece_bytes=st.integers(1, 300),
    group_rows=st.integers(1, 40),
    policy=st.sampled_from(["refuse", "drop"]),
    repeats=st.booleans(),
)
def test_runs_are_joined_as_a_plain_dictionary_would(
    minutes: list[list[int]], conflict: int, piece_bytes: int, group_rows: int, policy: str, repeats: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files, repeated, differs = [], False, False
        expected: dict[int, int] = {}
        for index, listed in enumerate(minutes):
            rows = []
            for place, minute in enumerate(sorted(listed if repeats else set(listed))):
                value = minute * 7 + (conflict == index + 1 and place == len(listed) // 2)
                repeated |= minute in expected
                differs |= expected.get(minute, value) != value
                expected[minute] = value
                rows.append(_row(minute, value))
            files.append(_write(folder / f"{index}.csv", rows))
        whole, cut = _both_ways(folder, files, piece_bytes, group_rows, policy)
        assert cut == whole
        wide = len(expected) >= 10 and all(minute % 5 == min(expected) % 5 for minute in expected)
        if differs or (repeated and policy == "refuse"):
            assert whole["code"] == "DATA_DUPLICATE"
        elif not wide and "hash" in whole:
            series = open_dataset(folder / "cut", "x", cache_dir=folder / "cache").series("EURUSD", "M1")
            assert series.times_ns.tolist() == [(1_700_000_040 + 60 * m) * 10**9 for m in sorted(expected)]
            assert series.columns["volume"].tolist() == [expected[minute] for minute in sorted(expected)]


@settings(max_examples=150, deadline=None)
@given(
    faults=st.lists(st.tuples(st.integers(0, 39), st.sampled_from(sorted(_FAULTS))), min_size=2, max_size=4),
    repeated=st.integers(-1, 38),
    piece_bytes=st.integers(1, 400),
    policy=st.sampled_from(["refuse", "drop"]),
)
def test_of_several_faults_the_first_row_is_named_however_the_file_is_cut(
    faults: list[tuple[int, str]], repeated: int, piece_bytes: int, policy: str
) -> None:
    rows = [_row(minute, minute) for minute in range(40)]
    if repeated >= 0:
        rows[repeated + 1] = rows[repeated]
    for index, fault in faults:
        rows[index] = _FAULTS[fault].format(t=1_700_000_040 + 60 * index)
    with tempfile.TemporaryDirectory() as name:
        file = _write(Path(name) / "bars.csv", rows)
        whole, cut = _both_ways(Path(name), [file], piece_bytes, 16, policy)
    assert cut == whole
