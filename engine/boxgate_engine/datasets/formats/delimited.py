"""Delimited text into typed columns, strictly: every line has its fields, every number is a number, or it is named."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from boxgate_engine.errors import DataRefused

TEXT: Final = pl.String()
NUMBER: Final = pl.Float64()
"""Decimal text becomes the double nearest to it, as in Python's `float`."""
WHOLE: Final = pl.Int64()

_SHOWN_MAX: Final = 40
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextTable:
    """Columns read from one text. first_line: number of the line (from 1) that holds row 0."""

    label: str
    first_line: int
    columns: dict[str, pl.Series]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())))

    def where(self, row: int, column: str | None = None) -> str:
        """Return where a row stands, for errors: file, row (line number) and column."""
        return place(self.label, self.first_line + row, column)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a NUMBER column."""
        return np.ascontiguousarray(self.columns[name].to_numpy())


def place(label: str, line: int, column: str | None = None) -> str:
    """Return `file, row n[, column c]`; rows are line numbers from 1."""
    return f"{label}, row {line}" + (f", column {column}" if column else "")


def clean_text(data: bytes, label: str) -> bytes:
    """Return the text of a file without byte order mark and trailing blank lines. Raises DataRefused (DATA_FORMAT)."""
    text = data.removeprefix(_BOM).rstrip()
    if not text:
        raise _format(label, "the file is empty", "rows of market data", "download or export it again")
    refuse_binary(text, label)
    return text


def refuse_binary(text: bytes, label: str) -> None:
    """Raise DataRefused (DATA_FORMAT) if a text is none."""
    if text.startswith(b"PAR1") or text.endswith(b"PAR1"):
        raise _format(label, "the text is Parquet", "text; Parquet by itself, not packed", "unpack the file")
    if b"\0" in text:
        raise _format(label, "the file is binary or UTF-16", "CSV text in UTF-8", "export it as UTF-8 text")


def line_ends(text: bytes) -> int:
    """Return how many line feeds are in a text; four times as fast as `bytes.count` where lines are short."""
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord("\n")))


def read_table(
    text: bytes,
    label: str,
    *,
    fields: Mapping[str, pl.DataType | None],
    separator: str,
    header_lines: int,
    may_be_empty: frozenset[str] = frozenset(),
    lines_before: int = 0,
    decimal_comma: bool = False,
) -> TextTable:
    """Return the columns of a text.

    fields: name -> type of each field of a line, in order; None for fields that are not wanted. All names differ.
    lines_before: of the file, before this text. decimal_comma: numbers are written with a comma, not with a point.
    may_be_empty: names of those that need no value in every row; where there is none, there is null.
    Raises DataRefused: DATA_FORMAT (a line without the right number of fields, no rows), DATA_VALUE (empty, no number).
    """
    refuse_binary(text, label)
    wanted = {name: kind for name, kind in fields.items() if kind is not None}
    try:
        if decimal_comma and b"." in text:  # The parser takes a point as well, which may part thousands.
            frame = _parse_slowly(text, label, fields, separator, header_lines, lines_before, decimal_comma)
        else:
            frame = _parse(
                text, {name: kind or TEXT for name, kind in fields.items()}, separator, header_lines, decimal_comma
            )
    except pl.exceptions.NoDataError:
        frame = pl.DataFrame()
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        _refuse_bad_line(text, label, len(fields), separator, header_lines, lines_before)
        frame = _parse_slowly(text, label, fields, separator, header_lines, lines_before, decimal_comma)
    lines = line_ends(text) + 1 - header_lines
    if not frame.height:
        if lines > 0:
            _refuse_bad_line(text, label, len(fields), separator, header_lines, lines_before)
        raise _format(label, "the file has no rows", "rows of market data", "download or export it again")
    needed = {name: kind for name, kind in wanted.items() if name not in may_be_empty}
    ragged = bool(may_be_empty) and _separators(text, separator, header_lines) != lines * (len(fields) - 1)
    if frame.height != lines or ragged or _has_null(frame, needed):
        _refuse_bad_line(text, label, len(fields), separator, header_lines, lines_before)
        if frame.height != lines:
            raise _format(
                label,
                f"{lines} lines gave {frame.height} rows",
                "one row a line, without line breaks inside quotes",
                "export it again without quotes",
            )
    first_line = lines_before + header_lines + 1
    table = TextTable(label=label, first_line=first_line, columns={name: frame[name] for name in wanted})
    for name in needed:
        if table.columns[name].null_count():
            raise _no_value(table, int(table.columns[name].is_null().arg_max() or 0), name, "")
    return table


def _parse(
    text: bytes, schema: dict[str, pl.DataType], separator: str, header_lines: int, decimal_comma: bool
) -> pl.DataFrame:
    return pl.read_csv(
        text,
        has_header=False,
        skip_lines=header_lines,
        schema=schema,
        separator=separator,
        decimal_comma=decimal_comma,
        low_memory=False,
        truncate_ragged_lines=False,
    )


def _parse_slowly(
    text: bytes,
    label: str,
    fields: Mapping[str, pl.DataType | None],
    separator: str,
    header_lines: int,
    lines_before: int,
    decimal_comma: bool,
) -> pl.DataFrame:
    """Read every field as text and convert it, to name the row of the first that is none of its type."""
    try:
        frame = _parse(text, dict.fromkeys(fields, TEXT), separator, header_lines, False)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise _format(
            label, "the file cannot be read as delimited text", "CSV text in UTF-8", "export it again"
        ) from error
    for name, kind in fields.items():
        if kind is None or kind == TEXT:
            continue
        raw = frame[name].str.strip_chars()
        plain = raw
        if decimal_comma:
            points = raw.str.contains(".", literal=True)
            plain = pl.select(pl.when(~points).then(raw.str.replace(",", ".", literal=True))).to_series()
        typed = plain.cast(kind, strict=False)
        wrong = typed.is_null() & raw.is_not_null()
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            table = TextTable(label=label, first_line=lines_before + header_lines + 1, columns={name: raw})
            raise _no_value(table, row, name, str(raw[row]))
        frame = frame.with_columns(typed.alias(name))
    return frame


def _refuse_bad_line(
    text: bytes, label: str, fields: int, separator: str, header_lines: int, lines_before: int
) -> None:
    """Raise DataRefused (DATA_FORMAT) at the first line that is no UTF-8 or has another number of fields."""
    for number, line in enumerate(text.split(b"\n"), start=1):
        if number <= header_lines:
            continue
        try:
            found = next(csv.reader([line.decode("utf-8").rstrip("\r")], delimiter=separator), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise _format(
                place(label, lines_before + number),
                "the line is no text in UTF-8",
                "CSV text in UTF-8",
                "export it again",
            ) from error
        if len(found) != fields:
            raise _format(
                place(label, lines_before + number),
                f"the line has {len(found)} fields",
                f"{fields} fields, as the first line has",
                "complete or remove the line; a file that was cut off must be downloaded again",
            )


def _separators(text: bytes, separator: str, header_lines: int) -> int:
    """Return how often the separator stands behind the header: what a field that is missing at an end takes away."""
    body = text.split(b"\n", header_lines)[header_lines] if header_lines else text
    return body.count(separator.encode())


def _has_null(frame: pl.DataFrame, names: Mapping[str, pl.DataType]) -> bool:
    return any(frame[name].null_count() for name in names)


def _no_value(table: TextTable, row: int, column: str, shown: str) -> DataRefused:
    what = f"{shown[:_SHOWN_MAX]!r} is no number" if shown else "the field is empty"
    hint = "; for decimal commas give --decimal ," if "," in shown else ""
    return DataRefused(
        what,
        code="DATA_VALUE",
        where=table.where(row, column),
        expected="a value in every field" if not shown else "a decimal number",
        remedy=f"correct or remove the row{hint}",
    )


def _format(where: str, what: str, expected: str, remedy: str) -> DataRefused:
    return DataRefused(what, code="DATA_FORMAT", where=where, expected=expected, remedy=remedy)
