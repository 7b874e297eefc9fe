"""Importer of Dukascopy's exports: those of its site (the day first) and of its platform JForex (the year first)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import BAR_COLUMNS, Column
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, read_table
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
from boxgate_engine.datasets.formats.text import first_lines, text_of
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
    text = text_of(file)
    first = text.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    names = _names(first)
    header = not _STAMP.match(first)
    values = names[1:] if header else (_BARS if len(names) == len(_BARS) + 1 else _TICKS)
    if set(values) not in _LAYOUTS or len(values) != len(names) - 1:
        raise DataRefused(
            f"the columns are {', '.join(names)}" if header else f"the first row has {len(names)} fields",
            code="DATA_SCHEMA",
            where=f"{file.label}, row 1",
            expected=f"a time and {', '.join(_BARS)} or {', '.join(_TICKS)}",
            remedy="export the file again, or import it with --format csv",
        )
    fields: dict[str, pl.DataType | None] = {"time": TEXT, **dict.fromkeys(values, NUMBER)}
    table = read_table(text, file.label, fields=fields, separator=",", header_lines=int(header))
    stamps = table.columns["time"].str.strip_chars()
    has_offset = " GMT" in str(stamps[0])
    # The site's plain `Time`, with the day first, is GMT; that of other programs is not known.
    label = names[0] if header and not (names[0] == "time" and str(stamps[0])[2] == ".") else "gmttime"
    zone = None if has_offset else _zone(label, options.zone, file)
    times_ns, form = parse_stamps(stamps.str.replace(" GMT", " "), zone, lambda row: table.where(row, "time"))
    ticks = "bid" in values
    columns: dict[str, Column]
    if ticks:
        columns = {"time_ns": times_ns, "bid": table.numbers("bid"), "ask": table.numbers("ask")}
    else:
        columns = {"open_ns": times_ns, **{name: table.numbers(name) for name in BAR_COLUMNS[1:5]}}
        columns["volume"] = table.numbers("volume") if "volume" in values else np.zeros(table.rows)
    frame = TICK if ticks else frame_of_bars(times_ns, file, options)
    if has_offset and frame in ("D1", "W1") and stamps.str.slice(-5).n_unique() > 1:
        raise DataRefused(
            f"local {frame} bars through a change of clocks are not of one length",
            code="DATA_TZ",
            where=file.label,
            expected="days of 24 hours",
            remedy="export the file in GMT, or import hours, from which days are made",
        )
    yield SourcePart(
        symbol=stated_symbol(file, options),
        frame=frame,
        side=None if ticks else options.side or _side(file),
        columns=columns,
        where=table.where,
        file=file,
        form=form,
        ignored=tuple(name for name in ("askvolume", "bidvolume") if name in values),
        zone=zone,
    )


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
