"""Importer of Binance's trades and aggregate trades, as CSV or zip: ticks with one price."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import polars as pl

from boxgate_engine.datasets.content import trade_columns
from boxgate_engine.datasets.formats.binance.names import ZONE, binance_name, check_zone
from boxgate_engine.datasets.formats.column_names import normal, refuse_trades
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, read_table
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated_symbol
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines, text_of
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
    text = text_of(file)
    first = text.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    names = _columns(first)
    kinds: dict[str, pl.DataType] = {"time": TEXT, "price": NUMBER, "quantity": NUMBER}
    fields = {name: kinds.get(name) for name in names}
    table = read_table(text, file.label, fields=fields, separator=",", header_lines=int(not first[:1].isdigit()))
    times_ns, form = parse_stamps(table.columns["time"], ZONE, lambda row: table.where(row, "time"))
    prices, sizes = table.numbers("price"), table.numbers("quantity")
    yield SourcePart(
        symbol=stated_symbol(file, options, binance_name(file.path).symbol),
        frame=TICK,
        side="last",
        columns=trade_columns({"time_ns": times_ns, "last": prices, "volume": sizes}),
        where=table.where,
        file=file,
        form=form,
        ignored=tuple(name for name in names if name not in kinds),
        asset_class="crypto",
        zone=ZONE,
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
