"""What a format is asked for and gives: parts of series, before they are checked and joined with others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets.content import Column, PriceBasis, time_column
from boxgate_engine.datasets.instrument_defaults import AssetClass
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS

Side: TypeAlias = Literal["bid", "ask", "mid", "last"]

BASIS_OF_SIDE: Final[dict[Side, PriceBasis]] = {"bid": "BID", "ask": "BID", "mid": "MID", "last": "LAST"}
"""Price basis that one-sided data get; ask prices become the ask columns of a bid series."""

_BYTES_MAX: Final = 8 << 30
_HEAD_BYTES: Final = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """What the import states of its files; None where it says nothing.

    symbol, frame: formats whose files say them ignore these; the import checks that they agree. zone: of stamps that
    name none, IANA name, UTC or a broker zone. side: whose prices one-sided data are. columns: header name (or number
    from 1 of a file without header) -> meaning. ignore: columns to leave out.
    """

    symbol: str | None = None
    frame: str | None = None
    zone: str | None = None
    side: Side | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFormat:
    """A format that files come in.

    name: as `--format` takes it. title: for people. recognises: by content and path, without reading much. read: yields
    the parts of one file, each of bounded size, in the order of the file; raises DataRefused with file, row, column.
    """

    name: str
    title: str
    recognises: Callable[[InputFile], bool]
    read: Callable[[InputFile, ReadOptions], Iterator[SourcePart]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SourcePart:
    """Rows of one file, in its order: all, or those behind the part before.

    where: place of a row and column in the file. side: None if bid and ask are both there. form: how its stamps are
    written. ignored: columns of the file that are not kept. asset_class: if the path says it. repairs: name -> rows
    that the reading changed, such as stamps that were rounded. zone: of its stamps, where the format itself says it.
    """

    symbol: str
    frame: str
    side: Side | None
    columns: dict[str, Column]
    where: Callable[[int, str | None], str]
    file: InputFile
    form: str
    ignored: tuple[str, ...] = ()
    asset_class: AssetClass | None = None
    repairs: Mapping[str, int] = field(default_factory=dict)
    zone: str | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[time_column(self.frame)])


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """A file that was read whole. label: how errors name it."""

    path: Path
    label: str
    data: bytes = field(repr=False)
    sha256: str

    @property
    def head(self) -> bytes:
        """The first bytes, enough to recognise a format."""
        return self.data[:_HEAD_BYTES]

    def facts(self) -> JsonObject:
        """Return what the manifest keeps of it: name without folder, SHA-256, bytes."""
        return {"name": self.path.name, "sha256": self.sha256, "bytes": len(self.data)}


def stated(file: InputFile, options: ReadOptions) -> tuple[str, str]:
    """Return (symbol, frame) of a file that does not say them. Raises DataRefused (DATA_SCHEMA) if one is missing."""
    if options.symbol is None or options.frame is None:
        missing = "symbol" if options.symbol is None else "frame"
        raise DataRefused(
            f"the file does not say its {missing}",
            code="DATA_SCHEMA",
            where=file.label,
            expected=f"--{missing}",
            remedy=f"state it with --{missing}",
        )
    return options.symbol, options.frame


def stated_symbol(file: InputFile, options: ReadOptions, told: str | None = None) -> str:
    """Return the symbol that is stated, else the one that file or name tell. Raises DataRefused (DATA_SCHEMA)."""
    symbol = options.symbol or told
    if symbol is None:
        raise DataRefused(
            "neither the file nor its name says the symbol",
            code="DATA_SCHEMA",
            where=file.label,
            expected="--symbol",
            remedy="state it with --symbol",
        )
    return symbol


def frame_of_steps(times_ns: NDArray[np.int64], file: InputFile) -> str:
    """Return the frame whose length is the most common distance of rows. Raises DataRefused (DATA_SCHEMA)."""
    steps, counts = np.unique(np.abs(np.diff(times_ns)), return_counts=True)
    step_ns = int(steps[np.argmax(counts)]) if len(steps) else 0
    for frame, duration_ns in FRAME_NS.items():
        if duration_ns == step_ns:
            return frame
    raise DataRefused(
        "neither the file nor its name says the frame, and its rows do not tell",
        code="DATA_SCHEMA",
        where=file.label,
        expected="--frame",
        remedy="state it with --frame",
    )


def read_input(path: Path) -> InputFile:
    """Read a file. Raises DataRefused (DATA_FORMAT) if it is missing, empty, no file or too large."""
    try:
        size = path.stat().st_size
        if size > _BYTES_MAX:
            raise _refused(path, f"the file has {size} bytes", f"at most {_BYTES_MAX} bytes", "split the file")
        data = path.read_bytes()
    except OSError as error:
        raise _refused(
            path, f"the file cannot be read ({error.strerror})", "a file that exists", "correct the path"
        ) from error
    if not data:
        raise _refused(path, "the file is empty", "rows of market data", "download or export it again")
    return InputFile(path=path, label=str(path), data=data, sha256=hashlib.sha256(data).hexdigest())


def _refused(path: Path, what: str, expected: str, remedy: str) -> DataRefused:
    return DataRefused(what, code="DATA_FORMAT", where=str(path), expected=expected, remedy=remedy)
