"""Importer of HistData's ASCII files: no header, Eastern Standard Time without summer time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from boxgate_engine.datasets.content import BAR_COLUMNS, Column
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, read_table
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated_symbol
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines, stem_of, text_of
from boxgate_engine.frames import TICK

ZONE: Final = "-5"
"""HistData writes UTC-5 all year."""

_TICK_ROW: Final = re.compile(r"\d{8} \d{9},\d+(\.\d+)?,\d+(\.\d+)?,\d+", re.ASCII)
_BAR_ROW: Final = re.compile(r"\d{8} \d{6}(;\d+(\.\d+)?){5}", re.ASCII)
_NAME: Final = re.compile(r"DAT_ASCII_(?P<symbol>[A-Z0-9]+)_(?:T|M1)_.*", re.IGNORECASE)


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield ticks (`yyyymmdd HHMMSSmmm,bid,ask,volume`) or minutes (`yyyymmdd HHMMSS;open;high;low;close;volume`).

    symbol: stated, else that of a name such as DAT_ASCII_EURUSD_T_201404. zone: UTC-5; another one that is stated is
    taken instead. Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    text = text_of(file)
    ticks = b"," in text.split(b"\n", 1)[0]
    values = ("bid", "ask", "volume") if ticks else BAR_COLUMNS[1:]
    fields: dict[str, pl.DataType | None] = {"time": TEXT, **dict.fromkeys(values, NUMBER)}
    table = read_table(text, file.label, fields=fields, separator="," if ticks else ";", header_lines=0)
    zone = options.zone or ZONE
    times_ns, form = parse_stamps(table.columns["time"], zone, lambda row: table.where(row, "time"))
    columns: dict[str, Column] = {"time_ns" if ticks else "open_ns": times_ns}
    columns |= {name: table.numbers(name) for name in values}
    ignored: tuple[str, ...] = ()
    if ticks and not columns["volume"].any():  # HistData has no volume of ticks and writes zero.
        del columns["volume"]
        ignored = ("volume",)
    name = _NAME.fullmatch(stem_of(file))
    yield SourcePart(
        symbol=stated_symbol(file, options, name["symbol"].upper() if name else None),
        frame=TICK if ticks else "M1",
        side=None if ticks else options.side or "bid",
        columns=columns,
        where=table.where,
        file=file,
        form=form,
        ignored=ignored,
        zone=zone,
    )


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 1)
    return bool(lines) and bool(_TICK_ROW.fullmatch(lines[0]) or _BAR_ROW.fullmatch(lines[0]))


FORMAT: Final = FileFormat(name="histdata", title="HistData ASCII", recognises=_recognises, read=read)
