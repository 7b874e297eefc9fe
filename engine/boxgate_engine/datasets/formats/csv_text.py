"""Importer of CSV files with a header line: columns are recognised by their usual names."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import BAR_COLUMNS, TICK_COLUMNS, Column, time_column, trade_columns
from boxgate_engine.datasets.formats.column_names import (
    DATE,
    MEANINGS,
    TIME,
    column_meanings,
    normal,
    source_of,
    stated_names,
    stored_names,
)
from boxgate_engine.datasets.formats.delimited import (
    NUMBER,
    TEXT,
    WHOLE,
    TextTable,
    place,
    read_table,
    refuse_binary,
)
from boxgate_engine.datasets.formats.first_fault import read_soundly
from boxgate_engine.datasets.formats.pieces import Piece, pieces_of
from boxgate_engine.datasets.formats.source import (
    TEXT_OPTIONS,
    FileFormat,
    InputFile,
    ReadOptions,
    Side,
    SourcePart,
    stated,
)
from boxgate_engine.datasets.formats.stamps import EPOCH_FORMS, parse_stamps, parse_stated
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
    _check_options(options)
    pieces = _behind(pieces_of(file), options.skip_lines)
    begin = next(pieces, None)
    if begin is None:
        raise _no_rows(file)
    refuse_binary(begin.text.split(b"\n", 1)[0], file.label)
    header, separator = _header(begin, file, frame, options)
    place_of_header = place(file.label, begin.lines_before + 1)
    named = stated_names(header, options.columns, place_of_header)
    unnamed = frozenset() if options.header else frozenset(header) - frozenset(options.columns)
    found = column_meanings(named, frame, options.ignore | unnamed, place_of_header, trades=trades)
    meanings = {name: found[known] for name, known in zip(header, named, strict=True) if known in found}
    fields: dict[str, pl.DataType | None] = {}
    for index, name in enumerate(header):
        meaning = meanings.get(name)
        fields[meaning or f"unused {index}"] = None if not meaning else TEXT if meaning in (TIME, DATE) else NUMBER
    read_names = {name for name, kind in fields.items() if kind is not None}
    two_sided = not trades if frame == TICK else "bid_open" in read_names
    sources = {name: source_of(name, frame, two_sided) for name in stored_names(frame, read_names)}
    rows = _Rows(
        file=file,
        options=options,
        symbol=symbol,
        frame=frame,
        side=None if two_sided else side,
        fields=fields,
        separator=separator,
        sources=sources,
        header_of={meaning: name for name, meaning in meanings.items()},
        ignored=tuple(sorted(name for name in header if name not in meanings)),
    )
    for piece in chain([begin], pieces):
        yield from rows.parts(piece, header_lines=1 if piece is begin and options.header else 0)
    if rows.first_stamp is None:
        raise _no_rows(file)


@dataclass(kw_only=True, slots=True)
class _Rows:
    """Makes parts of the pieces of one file. sources: stored column -> meaning. first_stamp: of the file, when read."""

    file: InputFile
    options: ReadOptions
    symbol: str
    frame: str
    side: Side | None
    fields: dict[str, pl.DataType | None]
    separator: str
    sources: dict[str, str]
    header_of: dict[str, str]
    ignored: tuple[str, ...]
    first_stamp: str | None = None
    form: str = ""

    def parts(self, piece: Piece, header_lines: int) -> Iterator[SourcePart]:
        """Yield the rows of a piece; where one has a fault, those before it, and raise its refusal."""
        return read_soundly(piece, header_lines, lambda lines: self._part(lines, header_lines))

    def _part(self, piece: Piece, header_lines: int) -> SourcePart:
        options = self.options
        table = _read(
            piece,
            self.file.label,
            self.fields,
            self.separator,
            header_lines,
            options,
            whole_stamps=self.form in EPOCH_FORMS,
        )
        where = partial(_where, self.file.label, table.first_line, self.sources, self.header_of)
        where_time = partial(where, column=TIME)
        stamps = _stamps(table)
        if options.time_format is not None:
            times_ns, form = parse_stated(stamps, options.time_format, options.zone, where_time)
        else:  # Stamps have the form of the file's first one.
            times_ns, form = parse_stamps(stamps, options.zone, where_time, self.first_stamp)
        self.first_stamp, self.form = self.first_stamp or str(stamps[0]), form
        columns: dict[str, Column] = {time_column(self.frame): times_ns}
        for name, source in self.sources.items():  # Only the volume may be missing: none is known, and 0 is stored.
            columns[name] = table.numbers(source) if source in table.columns else np.zeros(table.rows)
        if self.frame == TICK and self.side == "last":
            columns = trade_columns(columns)
        return SourcePart(
            symbol=self.symbol,
            frame=self.frame,
            side=self.side,
            columns=columns,
            where=where,
            file=self.file,
            form=form,
            ignored=self.ignored,
            bytes_read=piece.bytes_read,
        )


def _read(
    piece: Piece,
    label: str,
    fields: dict[str, pl.DataType | None],
    separator: str,
    header_lines: int,
    options: ReadOptions,
    *,
    whole_stamps: bool,
) -> TextTable:
    """Return the rows of a piece. whole_stamps: the stamps are numbers, unless there is a fault or a space in them."""
    read = partial(
        read_table,
        piece.text,
        label,
        separator=separator,
        header_lines=header_lines,
        lines_before=piece.lines_before,
        decimal_comma=options.decimal == ",",
    )
    if whole_stamps and DATE not in fields:
        with suppress(DataRefused):
            return read(fields={**fields, TIME: WHOLE})
    return read(fields=fields)


def _check_options(options: ReadOptions) -> None:
    """Raise DataRefused (DATA_FORMAT) for options that no file can have."""
    if options.decimal not in (".", ","):
        raise _option("--decimal", f"{options.decimal!r} is no decimal sign", "point or comma")
    if options.separator is not None and (len(options.separator) != 1 or not options.separator.isascii()):
        raise _option("--separator", f"{options.separator!r} is no separator", "one sign, such as ; or tab")
    if options.separator == options.decimal:
        raise _option("--separator", "fields and decimals have the same sign", "two different signs")
    if options.skip_lines < 0:
        raise _option("--skip-lines", f"{options.skip_lines} lines cannot be skipped", "zero or more")
    for name, meaning in options.columns.items():
        if normal(meaning) not in MEANINGS:
            known = ", ".join(sorted(set(MEANINGS.values())))
            raise _option("--column", f"{meaning!r}, stated for column {name!r}, is no meaning", f"one of {known}")


def _option(where: str, what: str, expected: str) -> DataRefused:
    return DataRefused(what, code="DATA_FORMAT", where=where, expected=expected, remedy=f"correct {where}")


def _behind(pieces: Iterator[Piece], lines: int) -> Iterator[Piece]:
    """Yield what is behind the first lines of a text."""
    left = lines
    for piece in pieces:
        if not left:
            yield piece
            continue
        split = piece.text.split(b"\n", left)
        if len(split) <= left:
            left -= len(split)
            continue
        yield replace(piece, text=split[left], lines_before=piece.lines_before + left)
        left = 0


def _no_rows(file: InputFile) -> DataRefused:
    return DataRefused(
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


def _header(begin: Piece, file: InputFile, frame: str, options: ReadOptions) -> tuple[list[str], str]:
    """Return the names of the columns and the separator; the one that gives the most names that are known."""
    where = place(file.label, begin.lines_before + 1)
    try:
        line = begin.text.split(b"\n", 1)[0].decode("utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise _schema(
            "the first line is no text in UTF-8",
            file.label,
            "a header line with column names, in UTF-8 or UTF-16",
            "save the file as UTF-8; if it is no text, export it as CSV",
        ) from error
    if "\r" in line:
        raise _schema(
            "the lines end with carriage returns alone",
            where,
            "lines that end with a line feed, with or without a carriage return before it",
            "save the file with line ends of Unix or Windows",
        )
    signs = (options.separator,) if options.separator else _SEPARATORS
    candidates = [(next(csv.reader([line], delimiter=sign), []), sign) for sign in signs]
    if not options.header:
        names, separator = max(candidates, key=lambda pair: (len(pair[0]), -signs.index(pair[1])))
        if options.decimal == "," and options.separator is None:
            names, separator = max((pair for pair in candidates if pair[1] != ","), key=lambda pair: len(pair[0]))
        if not options.columns:
            raise _schema(
                "nothing says what the columns of a file without a header mean",
                where,
                "--column NUMBER=MEANING for each that is to be read",
                f"for example: {_command(file, options, frame, names)}",
            )
        return [str(number) for number in range(1, len(names) + 1)], separator
    names, separator = max(
        candidates, key=lambda pair: sum(name in options.columns or normal(name) in MEANINGS for name in pair[0])
    )
    if not any(name in options.columns or normal(name) in MEANINGS for name in names):
        names, _ = max(candidates, key=lambda pair: len(pair[0]))
        raise _schema(
            "the first line names no column that is known",
            where,
            "a header line such as time,open,high,low,close,volume",
            "add a header line with the names of the columns, or say what they mean, for example: "
            + _command(file, options, frame, names),
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _schema(f"two columns are called {twice!r}", where, "different names", "rename one of them")
    return names, separator


def _command(file: InputFile, options: ReadOptions, frame: str, names: list[str]) -> str:
    """Return a command line that says what the columns mean, by their usual order."""
    bare = not options.header or any(name[:1].isdigit() for name in names)
    columns = TICK_COLUMNS[1:] if frame == TICK else BAR_COLUMNS[1:]
    given = [str(number) for number in range(1, len(names) + 1)] if bare else names
    stated_columns = zip(given, (TIME, *columns), strict=False)
    words = ["boxgate", "data", "import", str(file.path), "--symbol", str(options.symbol), "--frame", frame]
    words += ["--no-header"] if bare else []
    words += [word for name, meaning in stated_columns for word in ("--column", f"{name}={meaning}")]
    return shlex.join(words)


def _stamps(table: TextTable) -> pl.Series:
    if DATE not in table.columns:
        return table.columns[TIME]
    return table.columns[DATE].str.strip_chars() + " " + table.columns[TIME].str.strip_chars()


def _schema(what: str, where: str, expected: str, remedy: str = "export the file with a header line") -> DataRefused:
    return DataRefused(what, code="DATA_SCHEMA", where=where, expected=expected, remedy=remedy)


FORMAT: Final = FileFormat(
    name="csv",
    title="CSV with a header line",
    recognises=lambda file: True,
    read=read,
    follows=frozenset(TEXT_OPTIONS),
)
