"""What a format is asked for and gives: parts of series, before they are checked and joined with others."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets.content import FUNDING, Column, PriceBasis, time_column
from boxgate_engine.datasets.instrument_defaults import AssetClass
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS

Side: TypeAlias = Literal["bid", "ask", "mid", "last"]

BASIS_OF_SIDE: Final[dict[Side, PriceBasis]] = {"bid": "BID", "ask": "BID", "mid": "MID", "last": "LAST"}
"""Price basis that one-sided data get; ask prices become the ask columns of a bid series."""

_HELD_BYTES_MAX: Final = 2 << 30
_HEAD_BYTES: Final = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions:
    """What the import states of its files; None where it says nothing.

    symbol, frame: formats whose files say them ignore these; the import checks that they agree. zone: of stamps that
    name none, IANA name, UTC or a broker zone. side: whose prices one-sided data are. columns: header name (or number
    from 1 of a file without header) -> meaning. ignore: columns to leave out. header:
    the first line names the columns. separator: of fields, None to have it told. decimal: point or comma. time_format:
    of the stamps, as strptime takes it. skip_lines: before the header. tick_size: of formats that count prices in it.
    """

    symbol: str | None = None
    frame: str | None = None
    zone: str | None = None
    side: Side | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()
    header: bool = True
    separator: str | None = None
    decimal: str = "."
    time_format: str | None = None
    skip_lines: int = 0
    tick_size: Fraction | None = None


TEXT_OPTIONS: Final[dict[str, str]] = {
    "columns": "--column",
    "ignore": "--ignore",
    "header": "--no-header",
    "separator": "--separator",
    "decimal": "--decimal",
    "time_format": "--time-format",
    "skip_lines": "--skip-lines",
}
"""Field of ReadOptions that says how a text is to be read -> option of the command."""


def refuse_unfollowed(file: InputFile, found: FileFormat, options: ReadOptions) -> None:
    """Raise DataRefused (DATA_SCHEMA) for an option that was stated and that the format does not go by."""
    for name in (one for one in TEXT_OPTIONS if one not in found.follows):
        if getattr(options, name) != getattr(_NOTHING_STATED, name):
            raise DataRefused(
                f"{TEXT_OPTIONS[name]} says nothing of {found.title}",
                code="DATA_SCHEMA",
                where=file.label,
                expected=f"no {TEXT_OPTIONS[name]}, for the format says it itself",
                remedy=f"leave {TEXT_OPTIONS[name]} out, or read the file as plain text with --format csv",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class FileFormat:
    """A format that files come in.

    name: as `--format` takes it. title: for people. recognises: by content and path, without reading much. read: yields
    the parts of one file, each of bounded size, in the order of the file; raises DataRefused with file, row, column.
    follows: those of TEXT_OPTIONS that it goes by.
    """

    name: str
    title: str
    recognises: Callable[[InputFile], bool]
    read: Callable[[InputFile, ReadOptions], Iterator[SourcePart]]
    follows: frozenset[str] = frozenset()


_NOTHING_STATED: Final = ReadOptions()


@dataclass(frozen=True, kw_only=True, slots=True)
class SourcePart:
    """Rows of one file, in its order: all, or those behind the part before.

    where: place of a row and column in the file. side: None if bid and ask are both there. form: how its stamps are
    written. ignored: columns of the file that are not kept. asset_class: if the path says it. repairs: name -> rows
    that the reading changed, such as stamps that were rounded. zone: of its stamps, where the format itself says it.
    bytes_read: of the file so far, for the progress; 0 if the format reads it whole. inverse: of contracts that are
    settled in their base currency, if the file says it.
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
    bytes_read: int = 0
    inverse: bool = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[time_column(self.frame)])

    def head(self, rows: int) -> SourcePart:
        """Return the first rows."""
        return replace(self, columns={name: values[:rows] for name, values in self.columns.items()})

    @property
    def price_basis(self) -> PriceBasis:
        """Whose prices the price columns of the series will be."""
        if self.frame == FUNDING:
            return "NONE"
        return BASIS_OF_SIDE[self.side] if self.side else "BID"


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file to be imported, read when it is asked for. label: how errors name it. size: bytes when it was opened."""

    path: Path
    label: str
    size: int

    @property
    def data(self) -> bytes:
        """All bytes, read anew at each use. Raises DataRefused (DATA_FORMAT) if they are too many to be held."""
        self.refuse_large()
        with self.open() as file:
            return file.read()

    def refuse_large(self) -> None:
        """Raise DataRefused (DATA_FORMAT) if the bytes are too many to be held at once."""
        if self.size > _HELD_BYTES_MAX:
            raise _refused(
                self.path,
                f"the file has {self.size} bytes, and its format is read whole",
                f"at most {_HELD_BYTES_MAX} bytes, or a format that is read piece by piece, such as CSV",
                "split the file",
            )

    @cached_property
    def head(self) -> bytes:
        """The first bytes, enough to recognise a format."""
        with self.open() as file:
            return file.read(_HEAD_BYTES)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of all bytes, 64 hex digits."""
        with self.open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def open(self) -> BufferedReader:
        """Return the file, opened for reading. Raises DataRefused (DATA_FORMAT)."""
        try:
            return self.path.open("rb")
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def facts(self) -> JsonObject:
        """Return what the manifest keeps of it: name without folder, SHA-256, bytes."""
        return {"name": self.path.name, "sha256": self.sha256, "bytes": self.size}


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


def frame_of_bars(times_ns: NDArray[np.int64], file: InputFile, options: ReadOptions, told: str | None = None) -> str:
    """Return the frame that is stated, else the one that the name tells, else the most common distance of rows.

    Raises DataRefused (DATA_SCHEMA) if the rows do not tell, and if they were stated to be no bars.
    """
    if options.frame is not None and options.frame not in FRAME_NS:
        raise DataRefused(
            f"the rows are bars, the command says {options.frame}",
            code="DATA_SCHEMA",
            where=file.label,
            expected=f"one of {', '.join(FRAME_NS)}",
            remedy="leave --frame out, or correct it",
        )
    frame = options.frame or told
    if frame is not None:
        return frame
    steps, counts = np.unique(np.abs(np.diff(times_ns)), return_counts=True)
    step_ns = int(steps[np.argmax(counts)]) if len(steps) else 0
    for name, duration_ns in FRAME_NS.items():
        if duration_ns == step_ns:
            return name
    raise DataRefused(
        "neither the file nor its name says the frame, and its rows do not tell",
        code="DATA_SCHEMA",
        where=file.label,
        expected=f"bars of {', '.join(FRAME_NS)}",
        remedy="state it with --frame; bars of other lengths are made from smaller ones",
    )


def read_input(path: Path) -> InputFile:
    """Open a file. Raises DataRefused (DATA_FORMAT) if it is missing, empty or no file."""
    try:
        facts = path.stat()
        if stat.S_ISREG(facts.st_mode):
            with path.open("rb"):
                pass
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(facts.st_mode):  # A pipe or a device may never end, and cannot be read a second time.
        raise _refused(path, "this is no regular file", "a file on disk", "write the data to a file and import that")
    size = facts.st_size
    if not size:
        raise _refused(path, "the file is empty", "rows of market data", "download or export it again")
    return InputFile(path=path, label=str(path), size=size)


def _unreadable(path: Path, error: OSError | ValueError) -> DataRefused:
    reason = error.strerror if isinstance(error, OSError) else error
    return _refused(path, f"the file cannot be read ({reason})", "a file that exists", "correct the path")


def _refused(path: Path, what: str, expected: str, remedy: str) -> DataRefused:
    return DataRefused(what, code="DATA_FORMAT", where=str(path), expected=expected, remedy=remedy)
