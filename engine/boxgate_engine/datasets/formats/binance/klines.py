"""Importer of Binance's klines: spot, USD-M and COIN-M, with and without header, as CSV or zip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import BAR_COLUMNS, Column
from boxgate_engine.datasets.formats.binance.names import ZONE, binance_name, check_zone
from boxgate_engine.datasets.formats.column_names import normal
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, TextTable, read_table
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated_symbol
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines, text_of
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
_COIN_MARGINED: Final = re.compile(r"[A-Z0-9]+USD_(PERP|\d{6})", re.ASCII)


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the bars of one file; stamps are UTC, in ms or (since 2025) us.

    symbol: stated, else that of a name such as BTCUSDT-1m-2024-01.zip or BTCUSDT.csv. frame: from the open to the
    close times. volume: in the base asset; files of COIN-M have it where others have that in the quote asset.
    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    check_zone(file, options.zone)
    text = text_of(file)
    first = text.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    header = _header(first)
    symbol = stated_symbol(file, options, binance_name(file.path).symbol)
    volume = "quote_volume" if _COIN_MARGINED.fullmatch(symbol) else "volume"
    kinds = dict.fromkeys(BAR_COLUMNS[1:5], NUMBER) | {volume: NUMBER}
    fields: dict[str, pl.DataType | None] = {
        name: TEXT if name in ("open_time", "close_time") else kinds.get(name) for name in header or _LAYOUT
    }
    table = read_table(text, file.label, fields=fields, separator=",", header_lines=int(bool(header)))
    opens_ns, form = parse_stamps(table.columns["open_time"], ZONE, lambda row: table.where(row, "open_time"))
    columns: dict[str, Column] = {"open_ns": opens_ns}
    columns |= {name: table.numbers(volume if name == "volume" else name) for name in BAR_COLUMNS[1:]}
    yield SourcePart(
        symbol=symbol,
        frame=_frame(table, opens_ns, file),
        side="last",
        columns=columns,
        where=table.where,
        file=file,
        form=form,
        ignored=tuple(
            name
            for name, meaning in zip(first.split(",") if header else _LAYOUT, header or _LAYOUT, strict=True)
            if meaning not in (*kinds, "open_time")
        ),
        asset_class="crypto",
        zone=ZONE,
        inverse=bool(_COIN_MARGINED.fullmatch(symbol)),
    )


def _frame(table: TextTable, opens_ns: np.ndarray, file: InputFile) -> str:
    """Return the frame that most rows last. Raises DataRefused (DATA_SCHEMA) for one that there is not."""
    closes_ns, form = parse_stamps(table.columns["close_time"], ZONE, lambda row: table.where(row, "close_time"))
    unit_ns = {"epoch ms": 10**6, "epoch us": 10**3}.get(form, 10**9)
    lengths, times = np.unique(closes_ns + unit_ns - opens_ns, return_counts=True)
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
