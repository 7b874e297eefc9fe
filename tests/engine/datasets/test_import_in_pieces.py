"""A file gives the same whether it is read in one piece or in many."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boxgate_engine.datasets import ImportRequest, import_files
from boxgate_engine.datasets.formats import pieces
from boxgate_engine.errors import BoxgateError

_ROWS = 60
_FAULTS = {
    "none": None,
    "a price that is no number": "{t},1.1,x,1.0,1.1,5",
    "a price of zero": "{t},0,1.2,1.0,1.1,5",
    "a high below the low": "{t},1.1,0.9,1.0,1.1,5",
    "too few fields": "{t},1.1,1.2,1.0",
    "a stamp of another form": "2024-01-01 00:00,1.1,1.2,1.0,1.1,5",
    "a time that falls": "1700000000,1.1,1.2,1.0,1.1,5",
    "a blank line": "",
    "no value": "{t},1.1,,1.0,1.1,5",
}


def _text(fault: str, row: int, ending: str) -> str:
    lines = ["time,open,high,low,close,volume"]
    for index in range(_ROWS):
        line = f"{1_700_006_400 + index * 60 + (index > 30) * 600},1.1,1.2,1.0,1.1{index % 10},{index}"
        planted = _FAULTS[fault]
        if planted is not None and index == row:
            line = planted.format(t=line.split(",", maxsplit=1)[0])
        lines.append(line)
    return ending.join(lines) + ending


def _outcome(folder: Path, file: Path) -> str:
    request = ImportRequest(files=(file,), symbol="EURUSD", frame="M1", zone="UTC")
    try:
        return import_files(folder, request).manifest.hash
    except BoxgateError as error:
        return f"{error.error_code} {error.what} {error.where} {error.expected}"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fault=st.sampled_from(sorted(_FAULTS)),
    row=st.integers(1, _ROWS - 2),
    size=st.integers(1, 400),
    ending=st.sampled_from(["\n", "\r\n"]),
    packing=st.sampled_from(["", "utf-16", "bom", "gz", "zip"]),
)
def test_the_size_of_the_pieces_changes_neither_hash_nor_error(
    tmp_path: Path, fault: str, row: int, size: int, ending: str, packing: str
) -> None:
    text = _text(fault, row, ending)
    file = tmp_path / f"bars.csv{'.' + packing if packing in ('gz', 'zip') else ''}"
    data = text.encode("utf-16" if packing == "utf-16" else "utf-8-sig" if packing == "bom" else "utf-8")
    if packing == "gz":
        data = gzip.compress(data, mtime=0)
    elif packing == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bars.csv", data)
        data = buffer.getvalue()
    file.write_bytes(data)
    whole = _outcome(tmp_path / "whole", file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE_BYTES", size)
        assert _outcome(tmp_path / "pieces", file) == whole
    assert (len(whole) == 64) == (fault == "none")


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    rows = [b"%d,1,1,1,1.%s\n" % (1_700_006_400 + 60 * row, b"0" * 9000) for row in range(4000)]
    file = tmp_path / "bars.csv.gz"
    file.write_bytes(gzip.compress(b"".join([b"time,open,high,low,close\n", *rows]), mtime=0))
    assert "unpacks to more than" in _outcome(tmp_path / "root", file)


def test_a_gzip_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv.gz"
    file.write_bytes(gzip.compress(_text("none", 0, "\n").encode())[:-20])
    assert "damaged or cut off" in _outcome(tmp_path / "root", file)
