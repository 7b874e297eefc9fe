"""Importer of funding rates: Binance's three forms as CSV or zip, and LEAN's margin interest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from boxgate_engine.datasets.content import FUNDING, Column
from boxgate_engine.datasets.formats.binance.names import ZONE, binance_name, check_zone, is_coin_margined
from boxgate_engine.datasets.formats.column_names import normal
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, TextTable, read_table
from boxgate_engine.datasets.formats.lean import is_inverse
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated_symbol
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines, text_of
from boxgate_engine.errors import DataRefused

ROUNDED: Final = "stamps_rounded"
"""Name of the repair: rows whose stamp was put on the minute."""

_MINUTE_NS: Final = 60_000_000_000
_LATE_NS_MAX: Final = 5_000_000_000
"""A venue writes a stamp some milliseconds after the minute it means; what is further off means something else."""

_MEANINGS: Final = {
    "timestamp": "time", "time": "time", "fundingtime": "time", "funding_time": "time", "calc_time": "time",
    "symbol": "symbol",
    "funding_rate": "rate", "fundingrate": "rate", "last_funding_rate": "rate", "lastfundingrate": "rate",
    "markprice": "mark_price", "mark_price": "mark_price",
    "funding_interval_hours": "interval",
}  # fmt: skip
_LEAN_ROW: Final = re.compile(r"\d{8} \d\d:\d\d:\d\d,-?\d+(\.\d+)?", re.ASCII)


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rates of one file: a fraction for each interval, positive where longs pay. Stamps are UTC.

    symbol: that of the column or stated, else that of the name. A stamp up to 5 s off its minute is put on it and
    counted as a repair. Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    check_zone(file, options.zone)
    text = text_of(file)
    first = text.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    header = _header(first)
    names = header or ("time", "rate")
    kinds: dict[str, pl.DataType] = {"time": TEXT, "symbol": TEXT, "rate": NUMBER, "mark_price": NUMBER}
    fields = {name: kinds.get(name) for name in names}
    # Old rows of the API have no mark price; a column with holes is left out, and said so.
    table = read_table(
        text,
        file.label,
        fields=fields,
        separator=",",
        header_lines=int(bool(header)),
        may_be_empty=frozenset({"mark_price"} & set(names)),
    )
    stamps = table.columns["time"]
    if not header:  # 20221213 00:00:00
        stamps = stamps.str.replace(r"^(\d{4})(\d\d)(\d\d) ", "$1-$2-$3 ")
    times_ns, form = parse_stamps(stamps, ZONE, lambda row: table.where(row, "time"))
    rounded_ns = _on_minutes(times_ns, table)
    columns: dict[str, Column] = {"time_ns": rounded_ns, "rate": table.numbers("rate")}
    ignored = [name for name in names if kinds.get(name) is None or name == "symbol"]
    if "mark_price" in names:
        if table.columns["mark_price"].null_count():
            ignored.append("mark_price")
        else:
            columns["mark_price"] = table.numbers("mark_price")
    symbol = _symbol(table, file, options)
    yield SourcePart(
        symbol=symbol,
        frame=FUNDING,
        side=None,
        columns=columns,
        where=table.where,
        file=file,
        form=form,
        ignored=tuple(ignored),
        zone=ZONE,
        inverse=is_inverse(file.path.parent.parent.name.lower(), symbol)
        if _is_lean(file)
        else is_coin_margined(symbol),
        repairs={ROUNDED: int(np.count_nonzero(rounded_ns != times_ns))},
    )


def _on_minutes(times_ns: NDArray[np.int64], table: TextTable) -> NDArray[np.int64]:
    rounded_ns = (times_ns + _MINUTE_NS // 2) // _MINUTE_NS * _MINUTE_NS
    off = np.abs(times_ns - rounded_ns) > _LATE_NS_MAX
    if off.any():
        row = int(np.argmax(off))
        raise DataRefused(
            f"the stamp is {int(times_ns[row] - rounded_ns[row]) / 1e9:g} s off the minute",
            code="DATA_TZ",
            where=table.where(row, "time"),
            expected=f"funding stamps within {_LATE_NS_MAX // 10**9} s of a whole minute",
            remedy="correct or remove the row; check that the column holds the time of the funding",
        )
    return rounded_ns


def _symbol(table: TextTable, file: InputFile, options: ReadOptions) -> str:
    if "symbol" not in table.columns:
        told = binance_name(file.path).symbol or (file.path.stem.upper() if _is_lean(file) else None)
        return stated_symbol(file, options, told)
    symbols = table.columns["symbol"].str.strip_chars()
    other = symbols != symbols[0]
    if other.any():
        row = int(other.arg_max() or 0)
        raise DataRefused(
            f"the file holds {symbols[0]} and {symbols[row]}",
            code="DATA_SCHEMA",
            where=table.where(row, "symbol"),
            expected="the funding of one symbol in a file",
            remedy="split the file by symbol",
        )
    return str(symbols[0])


def _is_lean(file: InputFile) -> bool:
    return file.path.parent.name.lower() == "margin_interest"


def _market(file: InputFile) -> str:
    return file.path.parent.parent.name.lower()


def _header(line: str) -> tuple[str, ...]:
    """Return the meanings of a header line; none if it is no header of funding rates."""
    names = tuple(_MEANINGS.get(normal(cell), "") for cell in line.split(","))
    return names if {"time", "rate"} <= set(names) and "" not in names and len(set(names)) == len(names) else ()


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 1)
    return bool(lines) and bool(_header(lines[0]) or (_is_lean(file) and _LEAN_ROW.fullmatch(lines[0])))


FORMAT: Final = FileFormat(name="funding", title="funding rates", recognises=_recognises, read=read)
