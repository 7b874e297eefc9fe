"""Importer of MetaTrader 4 bars: `2012.02.01,00:00,open,high,low,close,volume`, no header.

Its history centre and its charts write them in the server's time; HistData writes the same in its own zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from boxgate_engine.datasets.content import BAR_COLUMNS, Column
from boxgate_engine.datasets.formats import histdata
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, read_table
from boxgate_engine.datasets.formats.source import (
    FileFormat,
    InputFile,
    ReadOptions,
    SourcePart,
    frame_of_bars,
    stated_symbol,
)
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines, stem_of, text_of
from boxgate_engine.errors import DataRefused

_ROW: Final = re.compile(
    r"\d{4}\.\d\d\.\d\d(?P<separator>[,;\t])\d\d:\d\d(:\d\d)?((?P=separator)\d+(\.\d+)?){5}", re.ASCII
)
_HISTDATA: Final = re.compile(r"DAT_MT_(?P<symbol>[A-Z0-9]+)_M1_.*", re.IGNORECASE)


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the bars of a file.

    zone: stated; of HistData's files (DAT_MT_EURUSD_M1_2012), which are told by their name, its own if none is stated.
    symbol: stated, or in that name. frame: stated, else the step of the rows. The volume counts ticks.
    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    text = text_of(file)
    row = _ROW.fullmatch(text.split(b"\n", 1)[0].decode("utf-8", "replace").strip())
    if row is None:
        raise DataRefused(
            "the first line is no bar of MetaTrader 4",
            code="DATA_SCHEMA",
            where=f"{file.label}, row 1",
            expected="a row such as 2012.02.01,00:00,1.1,1.3,1.0,1.2,5",
            remedy="leave --format out to have the format told from the file",
        )
    separator = row["separator"]
    fields: dict[str, pl.DataType | None] = {"date": TEXT, "time": TEXT, **dict.fromkeys(BAR_COLUMNS[1:], NUMBER)}
    table = read_table(text, file.label, fields=fields, separator=separator, header_lines=0)
    name = _HISTDATA.fullmatch(stem_of(file))
    zone = options.zone or (histdata.ZONE if name else None)
    stamps = table.columns["date"].str.strip_chars() + " " + table.columns["time"].str.strip_chars()
    times_ns, form = parse_stamps(stamps, zone, lambda row: table.where(row, "time"))
    columns: dict[str, Column] = {"open_ns": times_ns, **{name: table.numbers(name) for name in BAR_COLUMNS[1:]}}
    yield SourcePart(
        symbol=stated_symbol(file, options, name["symbol"].upper() if name else None),
        frame=frame_of_bars(times_ns, file, options),
        side=options.side or "bid",
        columns=columns,
        where=table.where,
        file=file,
        form=form,
        zone=zone,
    )


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 1)
    return bool(lines) and bool(_ROW.fullmatch(lines[0]))


FORMAT: Final = FileFormat(name="mt4", title="MetaTrader 4 bars", recognises=_recognises, read=read)
