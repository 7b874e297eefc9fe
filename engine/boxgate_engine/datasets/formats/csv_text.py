"""Importer of CSV files with a header line: columns are recognised by their usual names."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import (
    ASK_COLUMNS,
    BAR_COLUMNS,
    TICK_COLUMNS,
    TICK_EXTRA_COLUMNS,
    Column,
    expected_columns,
    time_column,
)
from boxgate_engine.datasets.formats.archive import is_zip, read_member
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, TextTable, clean_text, read_table
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_SEPARATORS: Final = (",", ";", "\t", "|")
_TIME: Final = "time"
_DATE: Final = "date"
_ALIASES: Final = {
    _TIME: ("time", "timestamp", "datetime", "date_time", "open_time", "opentime", "open_time_ms", "time_utc",
            "gmt_time", "utc", "ts", "unix", "unix_time", "epoch", "open_ns", "time_ns"),
    _DATE: ("date", "day"),
    "open": ("open", "o", "open_price"),
    "high": ("high", "h", "high_price", "max"),
    "low": ("low", "l", "low_price", "min"),
    "close": ("close", "c", "close_price"),
    "volume": ("volume", "vol", "v", "tick_volume", "tickvolume", "tickvol", "base_volume", "volume_base", "size"),
    **{f"bid_{name}": (f"bid_{name}", f"bid{name}", f"{name}_bid", f"{name}bid")
       for name in ("open", "high", "low", "close")},
    **{f"ask_{name}": (f"ask_{name}", f"ask{name}", f"{name}_ask", f"{name}ask")
       for name in ("open", "high", "low", "close")},
    "bid": ("bid", "bid_price", "bidprice"),
    "ask": ("ask", "ask_price", "askprice", "offer"),
    "last": ("last", "last_price", "price"),
}  # fmt: skip
_MEANING: Final = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}

_KNOWN_EXTRAS: Final = frozenset({
    "quote_volume", "quote_asset_volume", "volume_quote", "trades", "count", "number_of_trades", "trade_count",
    "close_time", "closetime", "taker_buy_volume", "taker_buy_base_volume", "taker_buy_base_asset_volume",
    "taker_buy_quote_volume", "taker_buy_quote_asset_volume", "ignore", "bid_volume", "ask_volume", "bid_size",
    "ask_size", "bidvolume", "askvolume",
})  # fmt: skip
"""Columns of well-known exports that are left out; the quality report lists them. Any other is refused."""


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rows of a CSV file (or of a zip that holds one).

    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    symbol, frame = stated(file, options)
    zone, side, ignore = options.zone, options.side or "bid", options.ignore
    text = clean_text(read_member(file)[1] if is_zip(file) else file.data, file.label)
    header, separator = _header(text, file.label)
    meanings = _meanings(header, frame, ignore, file.label)
    fields: dict[str, pl.DataType | None] = {}
    for index, name in enumerate(header):
        meaning = meanings.get(name)
        fields[meaning or f"unused {index}"] = None if not meaning else TEXT if meaning in (_TIME, _DATE) else NUMBER
    table = read_table(text, file.label, fields=fields, separator=separator, header_lines=1)
    two_sided = frame == TICK or "bid_open" in table.columns
    sources = {name: _source_of(name, frame, two_sided) for name in _stored_names(frame, set(table.columns))}
    header_of = {meaning: name for name, meaning in meanings.items()}

    def where(row: int, column: str | None = None) -> str:
        source = sources.get(column or "", column)
        return table.where(row, header_of.get(source or "", source))

    times_ns, form = parse_stamps(_stamps(table), zone, lambda row: where(row, _TIME))
    columns: dict[str, Column] = {time_column(frame): times_ns}
    for name, source in sources.items():  # Only the volume may be missing; then none is known, and 0 is stored.
        columns[name] = table.numbers(source) if source in table.columns else np.zeros(table.rows)
    yield SourcePart(
        symbol=symbol,
        frame=frame,
        side=None if two_sided else side,
        columns=columns,
        where=where,
        file=file,
        form=form,
        ignored=tuple(sorted(name for name in header if name not in meanings)),
    )


def _header(text: bytes, label: str) -> tuple[list[str], str]:
    """Return the names of the header line and the separator that gives the most names that are known."""
    try:
        line = text.split(b"\n", 1)[0].decode("utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise _schema("the first line is no text in UTF-8", label, "a header line with column names") from error
    candidates = [(next(csv.reader([line], delimiter=separator), []), separator) for separator in _SEPARATORS]
    names, separator = max(candidates, key=lambda pair: sum(_normal(name) in _MEANING for name in pair[0]))
    if not any(_normal(name) in _MEANING for name in names):
        raise _schema(
            "the first line names no column that is known",
            f"{label}, row 1",
            "a header line such as time,open,high,low,close,volume",
            "add a header line with the names of the columns",
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _schema(f"two columns are called {twice!r}", f"{label}, row 1", "different names", "rename one of them")
    return names, separator


def _meanings(header: list[str], frame: str, ignore: frozenset[str], label: str) -> dict[str, str]:
    """Return header name -> meaning for the columns to be read; refuse missing, ambiguous and unknown ones."""
    meanings: dict[str, str] = {}
    for name in header:
        if name in ignore or _normal(name) in _KNOWN_EXTRAS:
            continue
        meaning = _MEANING.get(_normal(name))
        if meaning is None or meaning not in _readable(frame):
            raise _schema(
                f"column {name!r} has no meaning for {frame} data",
                f"{label}, row 1, column {name}",
                f"known columns: {', '.join(_readable(frame))}",
                f"leave it out with --ignore {name!r}, or rename it",
            )
        if meaning in meanings.values():
            other = next(key for key, value in meanings.items() if value == meaning)
            raise _schema(
                f"columns {other!r} and {name!r} both mean {meaning}",
                f"{label}, row 1, column {name}",
                "one column for each meaning",
                f"leave one out with --ignore {name!r}",
            )
        meanings[name] = meaning
    found = set(meanings.values())
    if _DATE in found and _TIME not in found:  # A lone date column is the stamp.
        meanings = {name: _TIME if meaning == _DATE else meaning for name, meaning in meanings.items()}
        found = set(meanings.values())
    _refuse_missing(found, frame, label)
    return meanings


def _refuse_missing(found: set[str], frame: str, label: str) -> None:
    if frame == TICK:
        needed = {_TIME, "bid", "ask"}
    elif "bid_open" in found or "ask_open" in found:
        needed = {_TIME, *(f"{side}_{name}" for side in ("bid", "ask") for name in ("open", "high", "low", "close"))}
        if "open" in found:
            raise _schema(
                "the file has open and bid_open", f"{label}, row 1", "one kind of price columns", "use --ignore for one"
            )
    else:
        needed = {_TIME, "open", "high", "low", "close"}
    missing = sorted(needed - found)
    if missing:
        raise _schema(
            f"column {missing[0]!r} is missing",
            f"{label}, row 1, column {missing[0]}",
            f"columns {', '.join(sorted(needed))}",
            "add it or rename the column that holds it; --frame tick is for ticks, the others are for bars",
        )


def _readable(frame: str) -> tuple[str, ...]:
    if frame == TICK:
        return (_TIME, _DATE, *TICK_COLUMNS[1:], *TICK_EXTRA_COLUMNS)
    return (_TIME, _DATE, *BAR_COLUMNS[1:], *(f"bid_{name}" for name in BAR_COLUMNS[1:5]), *ASK_COLUMNS)


def _stored_names(frame: str, read: set[str]) -> tuple[str, ...]:
    if frame == TICK:
        return expected_columns(frame, read)
    return (*BAR_COLUMNS[1:], *(ASK_COLUMNS if "bid_open" in read else ()))


def _source_of(name: str, frame: str, two_sided: bool) -> str:
    return f"bid_{name}" if frame != TICK and two_sided and name in BAR_COLUMNS[1:5] else name


def _stamps(table: TextTable) -> pl.Series:
    if _DATE not in table.columns:
        return table.columns[_TIME]
    return table.columns[_DATE].str.strip_chars() + " " + table.columns[_TIME].str.strip_chars()


def _normal(name: str) -> str:
    return name.strip().strip("<>").strip().lower().replace(" ", "_").replace("-", "_")


def _schema(what: str, where: str, expected: str, remedy: str = "export the file with a header line") -> DataRefused:
    return DataRefused(what, code="DATA_SCHEMA", where=where, expected=expected, remedy=remedy)


FORMAT: Final = FileFormat(name="csv", title="CSV with a header line", recognises=lambda file: True, read=read)
