"""Importer of Dukascopy's exports: bars and ticks in GMT, the day first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import BAR_COLUMNS, Column
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, read_table
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, Side, SourcePart, frame_of_steps
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines, text_of
from boxgate_engine.datasets.formats.zones import is_utc
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_STAMP: Final = re.compile(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d\.\d{3}( GMT[+-]\d{4})?", re.ASCII)
_TIME_NAMES: Final = ("time", "gmt time", "local time", "time (eet)", "time (utc)")
_BARS: Final = ("open", "high", "low", "close", "volume")
_TICKS: Final = ("ask", "bid", "askvolume", "bidvolume")
_LAYOUTS: Final = (set(_BARS), set(_BARS[:4]), set(_TICKS))
_SIDE: Final = re.compile(r"(?:^|[_. -])(ASK|BID)(?:$|[_. -])", re.IGNORECASE)


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rows of an export, with or without its header line. Stamps are GMT unless they name an offset.

    symbol: stated. frame: stated, else the step of the rows. side: stated, else that of the file's name, else bid.
    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    text = text_of(file)
    lines = text.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    names = _names(lines)
    header = not _STAMP.match(lines)
    values = names[1:] if header else (_BARS if len(names) == len(_BARS) + 1 else _TICKS)
    if set(values) not in _LAYOUTS:
        raise DataRefused(
            f"the columns are {', '.join(names)}" if header else f"the first row has {len(names)} fields",
            code="DATA_SCHEMA",
            where=f"{file.label}, row 1",
            expected=f"a time and {', '.join(_BARS)} or {', '.join(_TICKS)}",
            remedy="export the file again, or import it with --format csv",
        )
    _check_zone(options.zone, lines, file)
    fields: dict[str, pl.DataType | None] = {"time": TEXT, **dict.fromkeys(values, NUMBER)}
    table = read_table(text, file.label, fields=fields, separator=",", header_lines=int(header))
    stamps = table.columns["time"].str.replace(" GMT", " ")
    zone = None if "GMT" in str(table.columns["time"][0]) else "UTC"
    times_ns, form = parse_stamps(stamps, zone, lambda row: table.where(row, "time"))
    ticks = "bid" in values
    columns: dict[str, Column]
    if ticks:
        columns = {"time_ns": times_ns, "bid": table.numbers("bid"), "ask": table.numbers("ask")}
    else:
        columns = {"open_ns": times_ns, **{name: table.numbers(name) for name in BAR_COLUMNS[1:5]}}
        columns["volume"] = table.numbers("volume") if "volume" in values else np.zeros(table.rows)
    yield SourcePart(
        symbol=_symbol(file, options),
        frame=TICK if ticks else options.frame or frame_of_steps(times_ns, file),
        side=None if ticks else options.side or _side(file),
        columns=columns,
        where=table.where,
        file=file,
        form=f"{form} GMT" if zone else form,
        ignored=("askvolume", "bidvolume") if ticks else (),
    )


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 2)
    if lines and _STAMP.match(lines[0]):
        return True
    names = _names(lines[0]) if lines else ()
    return (
        len(lines) > 1
        and lines[0].split(",")[0].strip().lower() in _TIME_NAMES
        and set(names[1:]) in _LAYOUTS
        and bool(_STAMP.match(lines[1]))
    )


def _names(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().lower().replace(" ", "") for cell in line.split(","))


def _check_zone(zone: str | None, first: str, file: InputFile) -> None:
    """Refuse a zone that contradicts GMT; an export in local time names its offset or says so in the header."""
    local = first.lower().startswith(("local time", "time (eet)"))
    if (zone is None or is_utc(zone)) and not local:
        return
    raise DataRefused(
        f"the file is in {'local time' if local else 'GMT'}" + (f", the command says {zone}" if zone else ""),
        code="DATA_TZ",
        where=file.label,
        expected="GMT, as Dukascopy exports by default",
        remedy="export the file in GMT"
        if local
        else "leave --tz out, or import with --format csv if the file is not GMT",
    )


def _side(file: InputFile) -> Side:
    match = _SIDE.search(file.path.stem)
    return "ask" if match and match[1].upper() == "ASK" else "bid"


def _symbol(file: InputFile, options: ReadOptions) -> str:
    if options.symbol is None:
        raise DataRefused(
            "the file does not say its symbol",
            code="DATA_SCHEMA",
            where=file.label,
            expected="--symbol",
            remedy="state it with --symbol",
        )
    return options.symbol


FORMAT: Final = FileFormat(name="dukascopy", title="Dukascopy CSV", recognises=_recognises, read=read)
