"""The other side of the decoder: a process for each file, whose words are checked before they are believed."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from boxgate_engine.datasets.formats.source import InputFile
from boxgate_engine.errors import DataRefused

Values: TypeAlias = NDArray[np.int64] | NDArray[np.float64] | pl.Series

_SCRIPT: Final = Path(__file__).with_name("decoder.py")
_MEMORY_BYTES: Final = 4 << 30
_MESSAGE_BYTES_MAX: Final = 8 << 20
_BATCH_ROWS_MAX: Final = 1 << 20
_ENVIRONMENT: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredColumn:
    """A column of the file.

    kind: timestamp, date, integer, float64, float32, decimal, text, fixed8, fixed16, or the Arrow type of what cannot
    be read. unit, utc: of timestamps.
    """

    name: str
    kind: str
    unit: str
    utc: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A column to be decoded: as numbers, as stamps, or as whole numbers with `scale` digits behind the point.

    digits: those of them that a whole number may have; what has more is rounded, and counted.
    """

    name: str
    form: Literal["number", "scaled", "stamp"]
    scale: int = 0
    digits: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Some rows. values: column -> doubles; stamps: int64 or text.

    row: place of the first of them in the file, from 0. rounded: how many of them have a value that was rounded.
    """

    row: int
    rows: int
    rounded: int
    values: dict[str, Values]


class Decoder:
    """Decodes one file. Use it with `with`; the process is gone afterwards, whatever happened.

    columns: of the file, in order. metadata: short texts beside the schema. index: columns that were the index of a
    pandas table. Raises DataRefused: DATA_FORMAT (no sound footer, encrypted, out of all proportion), DATA_ARROW (the
    decoder stops or dies), DATA_VALUE (nulls, numbers that are none), DATA_TZ.
    """

    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_SCRIPT), str(file.path.resolve()), str(_MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
        )
        self._columns: list[StoredColumn] = []
        try:
            message = self._receive()
            with self._believing():
                self._columns = [StoredColumn(**one) for one in message["columns"]]
                self.metadata: Final[dict[str, str]] = {str(k): str(v) for k, v in message["metadata"].items()}
                self.index: Final[tuple[str, ...]] = tuple(map(str, message["index"]))
        except BaseException:
            self.close()
            raise

    @property
    def columns(self) -> Sequence[StoredColumn]:
        """All columns of the file."""
        return self._columns

    def batches(self, wanted: Sequence[Wanted]) -> Iterator[Batch]:
        """Yield the wanted columns, batch by batch, in the order of the file; once."""
        kinds = {one.name: one.kind for one in self._columns}
        asked = [{"name": one.name, "as": one.form, "scale": one.scale, "digits": one.digits} for one in wanted]
        with suppress(BrokenPipeError):  # Then it has said, or will be found dead, below.
            stdin = self._pipe(self._process.stdin)
            stdin.write(json.dumps({"columns": asked}).encode() + b"\n")
            stdin.flush()
        row = 0
        while "end" not in (message := self._receive()):
            with self._believing():
                rows, sizes = int(message["rows"]), [int(one) for one in message["bytes"]]
                rounded = int(message["rounded"])
                if not 0 <= rounded <= rows <= _BATCH_ROWS_MAX or len(sizes) != len(wanted):
                    raise ValueError("a batch of another size")
                values = {}
                for one, size in zip(wanted, sizes, strict=True):
                    text = one.form == "stamp" and kinds[one.name] == "text"
                    if size > rows * 128 or (not text and size != rows * 8):
                        raise ValueError("a column of another size")
                    data = self._read(size)
                    values[one.name] = _texts(data, rows) if text else _numbers(data, one.form)
            yield Batch(row=row, rows=rows, rounded=rounded, values=values)
            row += rows

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                self._pipe(pipe).close()

    def _receive(self) -> dict[str, Any]:
        (size,) = struct.unpack("<I", self._read(4))
        with self._believing():
            if size > _MESSAGE_BYTES_MAX:
                raise ValueError("a message of another size")
            message = json.loads(self._read(size))
            if "refused" not in message:
                return dict(message)
            told = message["refused"]
            row, column = told["row"], told["column"]
        raise DataRefused(
            str(told["what"]),
            code=str(told["code"]),
            where=place(self._file, row, column),
            expected="a sound Parquet file of market data, with a value in every field",
            remedy="write or download the file again" if row is None else "correct or remove the row",
        )

    def _read(self, size: int) -> bytes:
        data = self._pipe(self._process.stdout).read(size)
        if len(data) == size:
            return data
        code = self._process.wait()
        raise self._died(f"by signal {-code}" if code < 0 else f"with code {code}")

    @contextmanager
    def _believing(self) -> Iterator[None]:
        """Turn what a decoder cannot have meant into the error of one that ran wild."""
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
            raise self._died("by saying what it cannot mean") from error

    def _died(self, how: str) -> DataRefused:
        return DataRefused(
            f"the decoder of the file ended {how}",
            code="DATA_ARROW",
            where=self._file.label,
            expected="a sound Parquet file",
            remedy="write or download the file again; import nothing from where this file came from",
        )

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


def place(file: InputFile, row: int | None, column: str | None = None) -> str:
    """Return the place of a row (from 0) and column of a Parquet file, for errors; rows are named from 1."""
    where = file.label + (f", row {row + 1}" if row is not None else "")
    return where + (f", column {column}" if column else "")


def _numbers(data: bytes, form: str) -> NDArray[np.int64] | NDArray[np.float64]:
    return np.frombuffer(data, dtype="<i8") if form == "stamp" else np.frombuffer(data, dtype="<f8")


def _texts(data: bytes, rows: int) -> pl.Series:
    texts, start = [], 0
    for _ in range(rows):
        (length,) = struct.unpack_from("<I", data, start)
        start += 4 + length
        if start > len(data):
            raise ValueError("a text beyond its column")
        texts.append(data[start - length : start].decode("utf-8"))
    if start != len(data):
        raise ValueError("bytes behind the last text")
    return pl.Series(texts, dtype=pl.String)
