"""The rows of a file of Binance, piece by piece, with their stamps in UTC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from boxgate_engine.datasets.formats.binance.names import ZONE
from boxgate_engine.datasets.formats.delimited import TEXT, TextTable, read_table
from boxgate_engine.datasets.formats.first_fault import read_soundly
from boxgate_engine.datasets.formats.pieces import Piece, pieces_of
from boxgate_engine.datasets.formats.source import InputFile
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.errors import DataRefused


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Some rows of a file. times_ns: of the column of stamps. form: of the stamps. bytes_read: of the file so far."""

    table: TextTable
    times_ns: NDArray[np.int64]
    form: str
    bytes_read: int


def rows_of(
    file: InputFile,
    names: Sequence[str],
    kinds: Mapping[str, pl.DataType],
    *,
    time: str,
    header: bool,
    may_be_empty: frozenset[str] = frozenset(),
) -> Iterator[Rows]:
    """Yield the rows of a file, bounded in size.

    names: of all columns. kinds: of those that are wanted beside the stamps. time: the column of stamps; all have the
    unit of the first. header: there is a line of names. may_be_empty: as of `read_table`.
    Raises DataRefused (DATA_FORMAT, DATA_VALUE, DATA_TZ).
    """
    fields: dict[str, pl.DataType | None] = {name: TEXT if name == time else kinds.get(name) for name in names}
    first: str | None = None

    def read(piece: Piece) -> Rows:
        table = read_table(
            piece.text,
            file.label,
            fields=fields,
            separator=",",
            header_lines=int(header and piece.lines_before == 0),
            lines_before=piece.lines_before,
            may_be_empty=may_be_empty,
        )
        times_ns, form = parse_stamps(table.columns[time], ZONE, lambda row: table.where(row, time), first)
        return Rows(table=table, times_ns=times_ns, form=form, bytes_read=piece.bytes_read)

    for piece in pieces_of(file):
        for rows in read_soundly(piece, int(header and piece.lines_before == 0), read):
            first = first or str(rows.table.columns[time][0])
            yield rows
    if first is None:
        raise DataRefused(
            "the file has no rows",
            code="DATA_FORMAT",
            where=file.label,
            expected="rows of market data",
            remedy="download it again",
        )
