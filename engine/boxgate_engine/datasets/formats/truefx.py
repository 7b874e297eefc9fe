"""Importer of TrueFX ticks: `EUR/USD,20130101 21:59:59.123,bid,ask`, no header, GMT."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, read_table
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated_symbol
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines, text_of
from boxgate_engine.datasets.formats.zones import is_utc
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_ROW: Final = re.compile(r"[A-Z]{3}/[A-Z]{3},\d{8} \d\d:\d\d:\d\d\.\d{3},\d+(\.\d+)?,\d+(\.\d+)?", re.ASCII)


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the ticks of a month. The first field is the symbol, of which a file has one.

    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    if options.zone is not None and not is_utc(options.zone):
        raise DataRefused(
            f"the file is in GMT, the command says {options.zone}",
            code="DATA_TZ",
            where=file.label,
            expected="GMT, as TrueFX writes",
            remedy="leave --tz out",
        )
    fields: dict[str, pl.DataType | None] = {"symbol": TEXT, "time": TEXT, "bid": NUMBER, "ask": NUMBER}
    table = read_table(text_of(file), file.label, fields=fields, separator=",", header_lines=0)
    pair = table.columns["symbol"]
    others = pair != pair[0]
    if others.any():
        row = int(others.arg_max() or 0)
        raise DataRefused(
            f"the symbol changes from {pair[0]} to {str(pair[row])[:20]}",
            code="DATA_SCHEMA",
            where=table.where(row, "symbol"),
            expected="ticks of one symbol",
            remedy="split the file by symbol",
        )
    times_ns, form = parse_stamps(table.columns["time"], "UTC", lambda row: table.where(row, "time"))
    yield SourcePart(
        symbol=stated_symbol(file, options, str(pair[0]).replace("/", "")),
        frame=TICK,
        side=None,
        columns={"time_ns": times_ns, "bid": table.numbers("bid"), "ask": table.numbers("ask")},
        where=table.where,
        file=file,
        form=form,
        zone="UTC",
    )


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 1)
    return bool(lines) and bool(_ROW.fullmatch(lines[0]))


FORMAT: Final = FileFormat(name="truefx", title="TrueFX ticks", recognises=_recognises, read=read)
