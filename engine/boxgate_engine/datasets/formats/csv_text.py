"""Importer of CSV files with a header line: columns are recognised by their usual names."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import Column, time_column, trade_columns
from boxgate_engine.datasets.formats.column_names import (
    DATE,
    MEANINGS,
    TIME,
    column_meanings,
    normal,
    source_of,
    stored_names,
)
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, TextTable, place, read_table
from boxgate_engine.datasets.formats.pieces import pieces_of
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_SEPARATORS: Final = (",", ";", "\t", "|")


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rows of a CSV file (or of a zip or gzip that holds one), piece by piece.

    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    symbol, frame = stated(file, options)
    side = options.side or "bid"
    trades = frame == TICK and side == "last"
    pieces = pieces_of(file)
    begin = next(pieces)
    header, separator = _header(begin.text, file.label)
    meanings = column_meanings(header, frame, options.ignore, f"{file.label}, row 1", trades=trades)
    fields: dict[str, pl.DataType | None] = {}
    for index, name in enumerate(header):
        meaning = meanings.get(name)
        fields[meaning or f"unused {index}"] = None if not meaning else TEXT if meaning in (TIME, DATE) else NUMBER
    read_names = {name for name, kind in fields.items() if kind is not None}
    two_sided = not trades if frame == TICK else "bid_open" in read_names
    sources = {name: source_of(name, frame, two_sided) for name in stored_names(frame, read_names)}
    header_of = {meaning: name for name, meaning in meanings.items()}
    first_stamp: pl.Series | None = None
    for piece in chain([begin], pieces):
        if piece is begin and b"\n" not in piece.text:  # The header alone.
            continue
        table = read_table(
            piece.text,
            file.label,
            fields=fields,
            separator=separator,
            header_lines=1 if piece is begin else 0,
            lines_before=piece.lines_before,
        )
        where = partial(_where, file.label, table.first_line, sources, header_of)
        stamps = _stamps(table)
        if first_stamp is None:
            first_stamp = stamps[:1]
            times_ns, form = parse_stamps(stamps, options.zone, partial(_time_where, where, 0))
        else:  # Stamps have the form of the file's first one.
            stamps = pl.concat([first_stamp, stamps])
            times_ns, form = parse_stamps(stamps, options.zone, partial(_time_where, where, -1))
            times_ns = times_ns[1:]
        columns: dict[str, Column] = {time_column(frame): times_ns}
        for name, source in sources.items():  # Only the volume may be missing; then none is known, and 0 is stored.
            columns[name] = table.numbers(source) if source in table.columns else np.zeros(table.rows)
        if trades:
            columns = trade_columns(columns)
        yield SourcePart(
            symbol=symbol,
            frame=frame,
            side=None if two_sided else side,
            columns=columns,
            where=where,
            file=file,
            form=form,
            ignored=tuple(sorted(name for name in header if name not in meanings)),
            bytes_read=piece.bytes_read,
        )
    if first_stamp is None:
        raise DataRefused(
            "the file has no rows",
            code="DATA_FORMAT",
            where=file.label,
            expected="rows of market data",
            remedy="download or export it again",
        )


def _where(
    label: str, first_line: int, sources: dict[str, str], header_of: dict[str, str], row: int, column: str | None = None
) -> str:
    source = sources.get(column or "", column)
    return place(label, first_line + row, header_of.get(source or "", source))


def _time_where(where: Callable[[int, str | None], str], shift: int, row: int) -> str:
    return where(row + shift, TIME)


def _header(text: bytes, label: str) -> tuple[list[str], str]:
    """Return the names of the header line and the separator that gives the most names that are known."""
    try:
        line = text.split(b"\n", 1)[0].decode("utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise _schema("the first line is no text in UTF-8", label, "a header line with column names") from error
    candidates = [(next(csv.reader([line], delimiter=separator), []), separator) for separator in _SEPARATORS]
    names, separator = max(candidates, key=lambda pair: sum(normal(name) in MEANINGS for name in pair[0]))
    if not any(normal(name) in MEANINGS for name in names):
        raise _schema(
            "the first line names no column that is known",
            f"{label}, row 1",
            "a header line such as time,open,high,low,close,volume",
            "add a header line with the names of the columns",
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _schema(f"two columns are called {twice!r}", f"{label}, row 1", "different names", "rename one of them")
    return names, separator


def _stamps(table: TextTable) -> pl.Series:
    if DATE not in table.columns:
        return table.columns[TIME]
    return table.columns[DATE].str.strip_chars() + " " + table.columns[TIME].str.strip_chars()


def _schema(what: str, where: str, expected: str, remedy: str = "export the file with a header line") -> DataRefused:
    return DataRefused(what, code="DATA_SCHEMA", where=where, expected=expected, remedy=remedy)


FORMAT: Final = FileFormat(name="csv", title="CSV with a header line", recognises=lambda file: True, read=read)
