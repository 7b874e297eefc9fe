"""Importer of Dukascopy's exports: those of its site (the day first) and of its platform JForex (the year first)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from boxgate_engine.datasets.content import BAR_COLUMNS, Column
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, read_table
from boxgate_engine.datasets.formats.first_fault import read_soundly
from boxgate_engine.datasets.formats.pieces import Piece, pieces_of
from boxgate_engine.datasets.formats.source import (
    FileFormat,
    InputFile,
    ReadOptions,
    Side,
    SourcePart,
    frame_of_bars,
    stated_symbol,
)
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines
from boxgate_engine.datasets.formats.zones import is_utc
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_STAMP: Final = re.compile(r"(\d\d\.\d\d\.\d{4}|\d{4}\.\d\d\.\d\d) \d\d:\d\d:\d\d(\.\d{3})?( GMT[+-]\d{4})?", re.ASCII)
_BARE_ROW: Final = re.compile(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d\.\d{3}( GMT[+-]\d{4})?,[-\d.eE+,]+", re.ASCII)
"""A row of a file whose header was removed."""

_ZONES: Final[dict[str, str | None]] = {
    "gmttime": "UTC",
    "time(gmt)": "UTC",
    "time(utc)": "UTC",
    "time(eet)": "+2/+3@EU",
    "localtime": None,
    "time": None,
}
"""Name of the first column -> zone of stamps without offset. Eastern European Time goes with Europe's summer time."""

_BARS: Final = ("open", "high", "low", "close", "volume")
_TICKS: Final = ("ask", "bid", "askvolume", "bidvolume")
_LAYOUTS: Final = (set(_BARS), set(_BARS[:4]), set(_TICKS))
_SIDE: Final = re.compile(r"(?:^|[_. -])(ASK|BID)(?:$|[_. -])", re.IGNORECASE)


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rows of an export, with or without its header line.

    zone: an offset in the stamps (`GMT+0200`), else that of the header; GMT without header. symbol: stated. frame:
    stated, else the step of the rows. side: stated, else that of the file's name, else bid.
    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    lines = first_lines(file, 1)
    names = _names(lines[0]) if lines else ("",)
    header = bool(lines) and not _STAMP.match(lines[0])
    values = names[1:] if header else (_BARS if len(names) == len(_BARS) + 1 else _TICKS)
    if set(values) not in _LAYOUTS or len(values) != len(names) - 1:
        raise DataRefused(
            f"the columns are {', '.join(names)[:80]}" if header else f"the first row has {len(names)} fields",
            code="DATA_SCHEMA",
            where=f"{file.label}, row 1",
            expected=f"a time and {', '.join(_BARS)} or {', '.join(_TICKS)}",
            remedy="export the file again, or import it with --format csv",
        )
    yield from _Export(file, options, names[0] if header else "gmttime", tuple(values), header=header).parts()


class _Export:
    """The rows of an export, piece by piece. What its first row says of zone and frame holds for all."""

    def __init__(
        self, file: InputFile, options: ReadOptions, label: str, values: tuple[str, ...], *, header: bool
    ) -> None:
        self._file = file
        self._options = options
        self._label = label
        self._values = values
        self._header = header
        self._symbol = stated_symbol(file, options)
        self._first: str | None = None
        self._frame: str | None = TICK if "bid" in values else None
        self._offsets: frozenset[str] = frozenset()

    def parts(self) -> Iterator[SourcePart]:
        """Yield the rows. Raises DataRefused as `read` does."""
        for piece in pieces_of(self._file):
            unclear: DataRefused | None = None
            for rows in read_soundly(piece, self._header_lines(piece), self._rows):
                try:
                    self._frame = self._frame or frame_of_bars(
                        rows.part.columns["open_ns"].view(np.int64), self._file, self._options
                    )
                except DataRefused as error:  # A fault of the rows behind is worth more than that these are too few.
                    unclear = error
                    continue
                self._first = self._first or rows.first_stamp
                self._refuse_change_of_clocks(rows.offsets)
                yield replace(rows.part, frame=self._frame)
            if unclear is not None:
                raise unclear
        if self._first is None:
            raise DataRefused(
                "the file has no rows",
                code="DATA_FORMAT",
                where=self._file.label,
                expected="rows of market data",
                remedy="download or export it again",
            )

    def _rows(self, piece: Piece) -> _Rows:
        values, file = self._values, self._file
        table = read_table(
            piece.text,
            file.label,
            fields={"time": TEXT, **dict.fromkeys(values, NUMBER)},
            separator=",",
            header_lines=self._header_lines(piece),
            lines_before=piece.lines_before,
        )
        stamps = table.columns["time"].str.strip_chars()
        first = self._first or str(stamps[0])
        has_offset = " GMT" in first
        # The site's plain `Time`, with the day first, is GMT; that of other programs is not known.
        label = "gmttime" if self._label == "time" and first[2] == "." else self._label
        zone = None if has_offset else _zone(label, self._options.zone, file)
        times_ns, form = parse_stamps(
            stamps.str.replace(" GMT", " "), zone, lambda row: table.where(row, "time"), first.replace(" GMT", " ")
        )
        ticks = "bid" in values
        columns: dict[str, Column]
        if ticks:
            columns = {"time_ns": times_ns, "bid": table.numbers("bid"), "ask": table.numbers("ask")}
        else:
            columns = {"open_ns": times_ns, **{name: table.numbers(name) for name in BAR_COLUMNS[1:5]}}
            columns["volume"] = table.numbers("volume") if "volume" in values else np.zeros(table.rows)
        part = SourcePart(
            symbol=self._symbol,
            frame=self._frame or "",
            side=None if ticks else self._options.side or _side(file),
            columns=columns,
            where=table.where,
            file=file,
            form=form,
            ignored=tuple(name for name in ("askvolume", "bidvolume") if name in values),
            zone=zone,
            bytes_read=piece.bytes_read,
        )
        offsets = frozenset(stamps.str.slice(-5).unique()) if has_offset else frozenset[str]()
        return _Rows(part=part, first_stamp=str(stamps[0]), offsets=offsets)

    def _refuse_change_of_clocks(self, offsets: frozenset[str]) -> None:
        self._offsets |= offsets
        if self._frame in ("D1", "W1") and len(self._offsets) > 1:
            raise DataRefused(
                f"local {self._frame} bars through a change of clocks are not of one length",
                code="DATA_TZ",
                where=self._file.label,
                expected="days of 24 hours",
                remedy="export the file in GMT, or import hours, from which days are made",
            )

    def _header_lines(self, piece: Piece) -> int:
        return int(self._header and piece.lines_before == 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """Rows of an export. part.frame: "" if not known yet. first_stamp: of the first row. offsets: of the stamps."""

    part: SourcePart
    first_stamp: str
    offsets: frozenset[str]


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 2)
    if lines and _BARE_ROW.fullmatch(lines[0]):
        return True
    names = _names(lines[0]) if lines else ()
    return len(lines) > 1 and names[0] in _ZONES and set(names[1:]) in _LAYOUTS and bool(_STAMP.match(lines[1]))


def _names(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().lower().replace(" ", "") for cell in line.split(","))


def _zone(header: str, stated: str | None, file: InputFile) -> str | None:
    """Return the zone that the header says, else the one that is stated. Raises DataRefused if they contradict."""
    zone = _ZONES.get(header)
    if zone is None or stated is None or stated == zone or (is_utc(stated) and is_utc(zone)):
        return zone or stated
    raise DataRefused(
        f"the file is in {zone}, the command says {stated}",
        code="DATA_TZ",
        where=file.label,
        expected=f"{zone}, as the file is exported by default",
        remedy="leave --tz out, or import with --format csv if the file is in another zone",
    )


def _side(file: InputFile) -> Side:
    match = _SIDE.search(file.path.stem)
    return "ask" if match and match[1].upper() == "ASK" else "bid"


FORMAT: Final = FileFormat(name="dukascopy", title="Dukascopy CSV", recognises=_recognises, read=read)
