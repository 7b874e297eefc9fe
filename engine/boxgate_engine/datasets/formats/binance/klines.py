"""Importer of Binance's klines: spot, USD-M and COIN-M, with and without header, as CSV or zip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import BAR_COLUMNS, Column
from boxgate_engine.datasets.formats.binance.names import ZONE, binance_name, check_zone, is_coin_margined
from boxgate_engine.datasets.formats.binance.rows import Rows, rows_of
from boxgate_engine.datasets.formats.column_names import normal
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated_symbol
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS

_LAYOUT: Final = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
"""The twelve columns of a file without a header."""

_ALIASES: Final = {
    "timestamp": "open_time", "opentime": "open_time", "closetime": "close_time",
    "quote_asset_volume": "quote_volume", "quoteassetvolume": "quote_volume", "base_asset_volume": "quote_volume",
    "trades": "count", "number_of_trades": "count", "numberoftrades": "count",
    "taker_buy_base_asset_volume": "taker_buy_volume", "taker_buy_base_volume": "taker_buy_volume",
    "taker_buy_quote_asset_volume": "taker_buy_quote_volume",
}  # fmt: skip
_NEEDED: Final = frozenset({*_LAYOUT[:7], "quote_volume", "count"})
_ROW: Final = re.compile(r"\d{13,16}(,\d+(\.\d*)?){5},\d{13,16}(,\d+(\.\d*)?){5}", re.ASCII)


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the bars of one file; stamps are UTC, in ms or (since 2025) us.

    symbol: stated, else that of a name such as BTCUSDT-1m-2024-01.zip or BTCUSDT.csv. frame: from the open to the
    close times. volume: in the base asset; files of COIN-M have it where others have that in the quote asset.
    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    check_zone(file, options.zone)
    first = next(iter(first_lines(file, 1)), "")
    header = _header(first)
    names = header or _LAYOUT
    symbol = stated_symbol(file, options, binance_name(file.path).symbol)
    volume = "quote_volume" if is_coin_margined(symbol) else "volume"
    kinds: dict[str, pl.DataType] = dict.fromkeys((*BAR_COLUMNS[1:5], volume), NUMBER)
    if not set(names) >= _NEEDED or len(names) != first.count(",") + 1:
        raise DataRefused(
            "the first line is neither a header nor a row of klines",
            code="DATA_SCHEMA",
            where=f"{file.label}, row 1",
            expected=f"columns {', '.join(_LAYOUT)}",
            remedy="leave --format out to have the format told from the file",
        )
    ignored = tuple(
        name
        for name, meaning in zip(first.split(",") if header else _LAYOUT, names, strict=True)
        if meaning not in (*kinds, "open_time")
    )
    frame = ""
    for rows in rows_of(file, names, kinds | {"close_time": TEXT}, time="open_time", header=bool(header)):
        frame = frame or _frame(rows, file)
        columns: dict[str, Column] = {"open_ns": rows.times_ns}
        columns |= {name: rows.table.numbers(volume if name == "volume" else name) for name in BAR_COLUMNS[1:]}
        yield SourcePart(
            symbol=symbol,
            frame=frame,
            side="last",
            columns=columns,
            where=rows.table.where,
            file=file,
            form=rows.form,
            ignored=ignored,
            asset_class="crypto",
            zone=ZONE,
            inverse=is_coin_margined(symbol),
            bytes_read=rows.bytes_read,
        )


def _frame(rows: Rows, file: InputFile) -> str:
    """Return the frame that most rows last. Raises DataRefused (DATA_SCHEMA) for one that there is not."""
    table = rows.table
    closes_ns, form = parse_stamps(table.columns["close_time"], ZONE, lambda row: table.where(row, "close_time"))
    unit_ns = {"epoch ms": 10**6, "epoch us": 10**3}.get(form, 10**9)
    lengths, times = np.unique(closes_ns + unit_ns - rows.times_ns, return_counts=True)
    length_ns = int(lengths[np.argmax(times)])
    for frame, duration_ns in FRAME_NS.items():
        if duration_ns == length_ns:
            return frame
    interval = binance_name(file.path).interval or f"{length_ns / 10**9:g} s"
    raise DataRefused(
        f"the klines last {interval}, which is no frame",
        code="DATA_SCHEMA",
        where=file.label,
        expected=f"klines of {', '.join(FRAME_NS)}",
        remedy="import klines of one minute; larger frames are made from them",
    )


def _header(line: str) -> tuple[str, ...]:
    """Return the names of a header line, or none if it is a row."""
    return () if line[:1].isdigit() else tuple(_ALIASES.get(normal(cell), normal(cell)) for cell in line.split(","))


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 1)
    if not lines:
        return False
    names = _header(lines[0])
    return bool(_ROW.fullmatch(lines[0])) or (len(set(names)) == len(names) and set(names) >= _NEEDED)


FORMAT: Final = FileFormat(name="binance", title="Binance klines", recognises=_recognises, read=read)
