"""Importer of Binance's trades and aggregate trades, as CSV or zip: ticks with one price."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from boxgate_engine.datasets.content import trade_columns
from boxgate_engine.datasets.formats.binance.names import ZONE, binance_name, check_zone, is_coin_margined
from boxgate_engine.datasets.formats.binance.rows import rows_of
from boxgate_engine.datasets.formats.column_names import normal, refuse_trades
from boxgate_engine.datasets.formats.delimited import NUMBER
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated_symbol
from boxgate_engine.datasets.formats.text import first_lines
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_AGGREGATES: Final = (
    "agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "time", "is_buyer_maker", "is_best_match",
)  # fmt: skip
_TRADES: Final = ("id", "price", "quantity", "quote_quantity", "time", "is_buyer_maker", "is_best_match")
_ALIASES: Final = {
    "transact_time": "time",
    "qty": "quantity",
    "quote_qty": "quote_quantity",
    "base_qty": "base_quantity",
}
_AGGREGATE_ROW: Final = re.compile(
    r"\d+,\d+(\.\d*)?,\d+(\.\d*)?,\d+,\d+,\d{13,16},(true|false)(,(true|false))?", re.ASCII | re.I
)
_TRADE_ROW: Final = re.compile(
    r"\d+,\d+(\.\d*)?,\d+(\.\d*)?,\d+(\.\d*)?,\d{13,16},(true|false)(,(true|false))?", re.ASCII | re.I
)
_KNOWN: Final = frozenset({*_AGGREGATES, *_TRADES, "base_quantity"})


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the trades of one file; `--side last` must say that one price is to stand on both sides.

    symbol: stated, else that of the name. Stamps are UTC, in ms or us.
    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    check_zone(file, options.zone)
    if options.side != "last":
        raise refuse_trades(file.label)
    first = next(iter(first_lines(file, 1)), "")
    names = _columns(first)
    if not names:
        raise DataRefused(
            "the first line is neither a header nor a row of trades",
            code="DATA_SCHEMA",
            where=f"{file.label}, row 1",
            expected=f"{','.join(_AGGREGATES[:7])} or {','.join(_TRADES[:6])}",
            remedy="leave --format out to have the format told from the file",
        )
    kinds: dict[str, pl.DataType] = {"price": NUMBER, "quantity": NUMBER}
    symbol = stated_symbol(file, options, binance_name(file.path).symbol)
    for rows in rows_of(file, names, kinds, time="time", header=not first[:1].isdigit()):
        prices, sizes = rows.table.numbers("price"), rows.table.numbers("quantity")
        yield SourcePart(
            symbol=symbol,
            frame=TICK,
            side="last",
            columns=trade_columns({"time_ns": rows.times_ns, "last": prices, "volume": sizes}),
            where=rows.table.where,
            file=file,
            form=rows.form,
            ignored=tuple(name for name in names if name not in (*kinds, "time")),
            asset_class="crypto",
            zone=ZONE,
            inverse=is_coin_margined(symbol),
            bytes_read=rows.bytes_read,
        )


def _columns(line: str) -> tuple[str, ...]:
    """Return the names of the columns by a header line or the form of a row; none if it is neither."""
    found = line.count(",") + 1
    if _AGGREGATE_ROW.fullmatch(line):
        return _AGGREGATES[:found]
    if _TRADE_ROW.fullmatch(line):
        return _TRADES[:found]
    names = tuple(_ALIASES.get(normal(cell), normal(cell)) for cell in line.split(","))
    sound = set(names) <= _KNOWN and {"price", "quantity", "time", "is_buyer_maker"} <= set(names)
    return names if sound and len(set(names)) == len(names) else ()


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 1)
    return bool(lines) and bool(_columns(lines[0]))


FORMAT: Final = FileFormat(name="binance-trades", title="Binance trades", recognises=_recognises, read=read)
