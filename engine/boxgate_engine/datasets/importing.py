"""Import of files into a dataset: read, check, join, describe, freeze.

What parses text is imported by the functions that need it: its library takes most of a second, and opening or making
a dataset goes without.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from boxgate_engine.calendars import Calendar, calendar_by_name
from boxgate_engine.datasets.adding import Addition, ImportResult, OnGap, adding
from boxgate_engine.datasets.content import time_column
from boxgate_engine.datasets.formats.source import (
    FileFormat,
    InputFile,
    ReadOptions,
    Side,
    SourcePart,
    read_input,
    refuse_unfollowed,
)
from boxgate_engine.datasets.instrument_defaults import InstrumentOptions
from boxgate_engine.datasets.intake import Intake, Terms
from boxgate_engine.datasets.joining import OnDuplicate
from boxgate_engine.datasets.names import check_dataset_name, check_name
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import frame_duration_ns


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportRequest:
    """What to import and how.

    files: any number, of one format; a folder stands for all files below it, a pattern with `*` for those it matches.
    symbol, frame: of CSV files; LEAN paths say both, and a value that is given must agree. zone: IANA name or UTC, of
    stamps that name none. side: of one-sided prices (default bid; ask joins the bid series of the same name). name:
    entry of the catalogue; if it stands for a dataset already, the series are added to it. replace: series that are
    there with other content are replaced. calendar: when the market is open, as in `calendar_by_name`; None: by asset
    class. ignore: CSV columns to leave out. columns, header, separator, decimal, time_format, skip_lines: of CSV files,
    as in `ReadOptions`.
    """

    files: tuple[Path, ...]
    symbol: str | None = None
    frame: str | None = None
    zone: str | None = None
    format: str | None = None
    side: Side | None = None
    name: str | None = None
    replace: bool = False
    source: str = "not stated"
    licence: str = "not stated"
    on_duplicate: OnDuplicate = "refuse"
    on_gap: OnGap = "report"
    calendar: str | None = None
    ignore: frozenset[str] = frozenset()
    columns: Mapping[str, str] = field(default_factory=dict)
    header: bool = True
    separator: str | None = None
    decimal: str = "."
    time_format: str | None = None
    skip_lines: int = 0
    instrument: InstrumentOptions = field(default_factory=InstrumentOptions)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportProgress:
    """How far an import has come with reading. bytes_done: of the files as they are on disk."""

    bytes_done: int
    bytes_all: int
    files_done: int
    files_all: int
    rows: int


Progress: TypeAlias = Callable[[ImportProgress], None]
"""Called after each part of a file, at most every few megabytes, and after the last."""


def import_files(root: Path, request: ImportRequest, progress: Progress | None = None) -> ImportResult:
    """Import files into the datasets root. The dataset appears complete or not at all.

    Rows stream by; memory holds some megabytes of each series that is being read. Repeating an import gives the same
    hash and changes nothing. Raises DataRefused with file, row and column: DATA_FORMAT, DATA_SCHEMA, DATA_ORDER,
    DATA_DUPLICATE, DATA_VALUE, DATA_TZ, DATA_GAP, DATA_INSTRUMENT, NAME_INVALID, DATASET_NOT_FROZEN, CALENDAR;
    UserMistake FRAME_UNKNOWN; DataDamaged (DATA_HASH) of the dataset that is added to; RunFailed (DATA_STORE) for a
    folder that cannot be written and a full disk.
    """
    _check(request)
    calendar = calendar_by_name(request.calendar) if request.calendar is not None else None
    files = [read_input(path) for path in _paths(request.files)]
    with adding(root, request.name, replace_series=request.replace) as addition:
        reading = _Reading(addition, request, calendar, files, progress or (lambda _: None))
        for file in files:
            reading.take(replace(file))  # A fresh one: what is read of it is not kept to the end.
        reading.finish()
        return addition.publish()


class _Reading:
    """The reading of all files of an import into the series of an addition."""

    def __init__(
        self,
        addition: Addition,
        request: ImportRequest,
        calendar: Calendar | None,
        files: Sequence[InputFile],
        progress: Progress,
    ) -> None:
        from boxgate_engine.datasets.formats.registry import by_name

        self._addition = addition
        self._request = request
        self._progress = progress
        self._options = ReadOptions(
            symbol=request.symbol,
            frame=request.frame,
            zone=request.zone,
            side=request.side,
            columns=request.columns,
            ignore=request.ignore,
            header=request.header,
            separator=request.separator,
            decimal=request.decimal,
            time_format=request.time_format,
            skip_lines=request.skip_lines,
            tick_size=request.instrument.tick_size,
        )
        self._stated = by_name(request.format) if request.format is not None else None
        self._terms = Terms(
            source=request.source,
            licence=request.licence,
            zone=request.zone,
            on_duplicate=request.on_duplicate,
            on_gap=request.on_gap,
            calendar=calendar,
            options=request.instrument,
            place=self._place,
        )
        self._intakes: dict[tuple[str, str], Intake] = {}
        self._sizes = Counter(file.size for file in files)
        self._seen: dict[tuple[str, str, str, int], tuple[int, str]] = {}
        self._bytes_all = sum(file.size for file in files)
        self._files_all = len(files)
        self._bytes_done = self._files_done = self._rows = 0

    def take(self, file: InputFile) -> None:
        """Read one file. Raises DataRefused at its first fault."""
        from boxgate_engine.datasets.faults import FaultCheck

        # Hashed beside the reading: what is needed at once is the hash of a file that may be there a second time.
        hashing = self._addition.dataset.pool.submit(lambda: file.sha256)
        checks: dict[Intake, FaultCheck] = {}
        repeated = False
        for part in _ahead(self._parts(file)):
            intake = self._intake(part)
            if intake not in checks:
                checks[intake] = FaultCheck(part.zone or self._request.zone)
                if self._sizes[file.size] > 1:
                    repeated = self._is_repeated(part, hashing.result())
            sound, refusal = checks[intake].add(part)
            if repeated:
                intake.add_repeated(part.rows)
            else:
                intake.add(sound)
            if refusal is not None:
                raise refusal
            self._rows += part.rows
            self._report(part.bytes_read)
        for intake, check in checks.items():
            check.finish()
            hashing.result()
            intake.end_of_file(file.label, file.facts())
        _refuse_change(file)
        self._bytes_done += file.size
        self._files_done += 1
        self._report(0)

    def finish(self) -> None:
        """Take all series into the addition."""
        for intake in self._intakes.values():
            intake.finish()

    def _parts(self, file: InputFile) -> Iterator[SourcePart]:
        from boxgate_engine.datasets.formats.registry import detect

        found: FileFormat = self._stated or detect(file)
        refuse_unfollowed(file, found, self._options)
        return found.read(file, self._options)

    def _intake(self, part: SourcePart) -> Intake:
        key = (part.symbol, part.frame)
        if key not in self._intakes:
            options = self._request.instrument
            symbols = {part.symbol, *(symbol for symbol, _ in self._intakes)}
            if len(symbols) > 1 and (options.tick_size or options.quote_currency):
                raise DataRefused(
                    "facts of one instrument were stated for several",
                    code="DATA_INSTRUMENT",
                    where=", ".join(sorted(symbols)),
                    expected="files of one symbol with --tick-size or --quote-currency",
                    remedy="import each symbol by a command of its own",
                )
            self._intakes[key] = Intake(self._addition, part, self._terms)
        _check_agreement(part, self._request)
        return self._intakes[key]

    def _is_repeated(self, part: SourcePart, sha256: str) -> bool:
        """True if the file was there before, and may go. Raises DataRefused (DATA_DUPLICATE) if it may not."""
        # The first time is in the key, for a LEAN file says its day in its name alone.
        key = (sha256, part.symbol, part.frame, int(part.columns[time_column(part.frame)][0]))
        number, other = self._seen.setdefault(key, (self._files_done, part.file.label))
        if number == self._files_done:  # Files are told apart by their number, for a path may be given twice.
            return False
        if self._request.on_duplicate == "refuse":
            raise DataRefused(
                f"the file is the same as {other}",
                code="DATA_DUPLICATE",
                where=part.file.label,
                expected="each file once",
                remedy="leave it out, or import with --on-duplicate drop",
            )
        return True

    def _place(self, path: Path, time_ns: int) -> str:
        """Return the place of a time in a file, by reading it once more."""
        for part in self._parts(read_input(path)):
            rows = np.flatnonzero(part.columns[time_column(part.frame)] == time_ns)
            if len(rows):
                return part.where(int(rows[0]), "time")
        return str(path)

    def _report(self, bytes_read: int) -> None:
        self._progress(
            ImportProgress(
                bytes_done=self._bytes_done + bytes_read,
                bytes_all=self._bytes_all,
                files_done=self._files_done,
                files_all=self._files_all,
                rows=self._rows,
            )
        )


def _paths(given: Sequence[Path]) -> list[Path]:
    """Return the files that are meant: those of folders and patterns in sorted order.

    Left out are what is hidden, the .CHECKSUM files that Binance puts beside its own, and Dukascopy's hours without
    ticks.
    """
    from boxgate_engine.datasets.formats.dukascopy.bi5 import is_empty_hour

    paths: list[Path] = []
    for path in given:
        if path.is_dir():
            found = list(_files_below(path))
        elif not path.exists() and glob.has_magic(str(path)):
            matches = glob.glob(str(path), recursive=True)  # noqa: PTH207 - of a pattern that may be absolute
            found = [one for one in map(Path, matches) if one.is_file()]
        else:
            found = [path]
        found = [one for one in found if one.suffix.upper() != ".CHECKSUM" and not is_empty_hour(one)]
        if not found:
            raise DataRefused(
                "there is no file",
                code="DATA_FORMAT",
                where=str(path),
                expected="a folder or a pattern with files of market data",
                remedy="correct the path",
            )
        paths += sorted(found)
    if not paths:
        raise DataRefused(
            "no file was given", code="DATA_FORMAT", where="files", expected="at least one", remedy="name the files"
        )
    return paths


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield all files of a folder and of those below it, of linked ones too. What is hidden is passed over."""
    entered: set[str] = set()
    for where, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        folders[:] = [] if real in entered else [name for name in folders if not name.startswith(".")]
        if real not in entered:  # A link may lead back.
            entered.add(real)
            yield from (Path(where, name) for name in names if not name.startswith("."))


def _ahead(parts: Iterator[SourcePart]) -> Iterator[SourcePart]:
    """Yield the same parts, the next one being read meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(next, parts, None)
        while (part := reading.result()) is not None:
            reading = thread.submit(next, parts, None)
            yield part


def _check(request: ImportRequest) -> None:
    both = sorted(request.ignore & set(request.columns))
    if both:
        raise DataRefused(
            f"column {both[0]!r} is to be left out, and its meaning is stated",
            code="DATA_SCHEMA",
            where="--ignore and --column",
            expected="one of the two for each column",
            remedy="correct one of them",
        )
    if request.name is not None:
        check_dataset_name(request.name)
    if request.symbol is not None:
        check_name(request.symbol, where="--symbol")
    if request.frame is not None:
        frame_duration_ns(request.frame)
    if request.zone is not None:
        from boxgate_engine.datasets.formats.stamps import check_zone

        check_zone(request.zone)


def _check_agreement(part: SourcePart, request: ImportRequest) -> None:
    check_name(part.symbol, where=part.file.label)
    for what, stated, found in (("symbol", request.symbol, part.symbol), ("frame", request.frame, part.frame)):
        if stated is not None and stated != found:
            raise DataRefused(
                f"the path says {what} {found}, the command {stated}",
                code="DATA_SCHEMA",
                where=part.file.label,
                expected="the same in both",
                remedy=f"leave --{what} out, or correct it",
            )
    if request.side is not None and part.side != request.side:
        raise DataRefused(
            f"the prices are {part.side or 'bid and ask'}, not {request.side}",
            code="DATA_SCHEMA",
            where=part.file.label,
            expected="no --side for data that say it themselves",
            remedy="leave --side out",
        )


def _refuse_change(file: InputFile) -> None:
    if file.path.stat().st_size != file.size:
        raise DataRefused(
            "the file changed while it was read",
            code="DATA_FORMAT",
            where=file.label,
            expected="a file that nothing writes to",
            remedy="import it when it is complete",
        )
