"""The names that other programs give to columns, and what they mean."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from boxgate_engine.datasets.content import (
    ASK_COLUMNS,
    BAR_COLUMNS,
    TICK_COLUMNS,
    TICK_EXTRA_COLUMNS,
    expected_columns,
)
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

TIME: Final = "time"
"""Meaning of the column of stamps."""

DATE: Final = "date"
"""Meaning of a column that holds the day of a stamp, beside TIME or alone."""

_ALIASES: Final = {
    TIME: ("time", "timestamp", "datetime", "date_time", "open_time", "opentime", "open_time_ms", "time_utc",
            "gmt_time", "utc", "ts", "unix", "unix_time", "epoch", "open_ns", "time_ns"),
    DATE: ("date", "day"),
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
MEANINGS: Final = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}
"""Name, as `normal` gives it -> meaning: a stored column, `bid_open` and its like, TIME or DATE."""

KNOWN_EXTRAS: Final = frozenset({
    "quote_volume", "quote_asset_volume", "volume_quote", "trades", "count", "number_of_trades", "trade_count",
    "close_time", "closetime", "taker_buy_volume", "taker_buy_base_volume", "taker_buy_base_asset_volume",
    "taker_buy_quote_volume", "taker_buy_quote_asset_volume", "ignore", "bid_volume", "ask_volume", "bid_size",
    "ask_size", "bidvolume", "askvolume",
})  # fmt: skip
"""Columns of well-known exports that are left out; the quality report lists them. Any other is refused."""


def column_meanings(
    header: Sequence[str], frame: str, ignore: frozenset[str], where: str, *, trades: bool = False
) -> dict[str, str]:
    """Return header name -> meaning for the columns to be read.

    header: names of all columns. frame: of the rows. ignore: names to leave out. where: of the header, for errors.
    trades: the rows are ticks with one price, that of a trade, in place of bid and ask.
    Raises DataRefused (DATA_SCHEMA) for missing, ambiguous and unknown columns.
    """
    meanings: dict[str, str] = {}
    for name in header:
        if name in ignore or normal(name) in KNOWN_EXTRAS:
            continue
        meaning = MEANINGS.get(normal(name))
        if meaning is None or meaning not in _readable(frame):
            raise _schema(
                f"column {name!r} has no meaning for {frame} data; the columns are {', '.join(header)}",
                f"{where}, column {name}",
                f"known columns: {', '.join(_readable(frame))}",
                f"say what it means with {_proposal(name, header, frame, ignore, trades)}, or leave it out with "
                f"--ignore {shlex.quote(name)}",
            )
        if meaning in meanings.values():
            other = next(key for key, value in meanings.items() if value == meaning)
            raise _schema(
                f"columns {other!r} and {name!r} both mean {meaning}",
                f"{where}, column {name}",
                "one column for each meaning",
                f"leave one out with --ignore {name!r}",
            )
        meanings[name] = meaning
    found = set(meanings.values())
    if DATE in found and TIME not in found:  # A lone date column is the stamp.
        meanings = {name: TIME if meaning == DATE else meaning for name, meaning in meanings.items()}
        found = set(meanings.values())
    _refuse_missing(found, frame, where, trades, header)
    return meanings


def stated_names(header: Sequence[str], columns: Mapping[str, str], where: str) -> list[str]:
    """Return the names under which columns are looked up: the meanings that were stated, else those of the header.

    columns: name in the header -> meaning. Raises DataRefused (DATA_SCHEMA) for a column that is not there.
    """
    unknown = sorted(set(columns) - set(header))
    if unknown:
        raise _schema(
            f"there is no column {unknown[0]!r}",
            where,
            f"one of {', '.join(header)}",
            "correct --column; columns of a file without a header are numbered from 1",
        )
    return [columns.get(name, name) for name in header]


def stored_names(frame: str, read: set[str]) -> tuple[str, ...]:
    """Return the columns to be stored, without that of the time, of a file with the meanings `read`."""
    if frame == TICK:
        return expected_columns(frame, read)
    return (*BAR_COLUMNS[1:], *(ASK_COLUMNS if "bid_open" in read else ()))


def source_of(name: str, frame: str, two_sided: bool) -> str:
    """Return the meaning of the column of the file that becomes a stored column: `bid_open` may become `open`."""
    return f"bid_{name}" if frame != TICK and two_sided and name in BAR_COLUMNS[1:5] else name


def normal(name: str) -> str:
    """Return a column name in the form in which it is looked up: lower case, `_` for spaces and dashes."""
    return name.strip().strip("<>").strip().lower().replace(" ", "_").replace("-", "_")


def refuse_trades(where: str) -> DataRefused:
    """Return the refusal of ticks that are trades where nobody said that one price is to stand on both sides."""
    return _schema(
        "the ticks are trades, they have no bid and ask",
        where,
        "ticks with bid and ask, or --side last",
        "import with --side last: one price then stands on both sides, and the spread is that of the costs",
    )


def _proposal(name: str, header: Sequence[str], frame: str, ignore: frozenset[str], trades: bool) -> str:
    """Return the options that give a column its meaning: the one that is missing, where the order tells which it is."""
    known = {one: MEANINGS.get(normal(one)) for one in header}
    usual = (TIME, "last") if trades else (TIME, "bid", "ask") if frame == TICK else (TIME, *BAR_COLUMNS[1:5])
    dated = DATE in known.values()
    missing = [one for one in usual if one not in known.values() and not (one == TIME and dated)]
    strange = [
        one
        for one, meaning in known.items()
        if meaning is None and one not in ignore and normal(one) not in KNOWN_EXTRAS
    ]
    if len(missing) == len(strange):
        pairs = zip(strange, missing, strict=True)
        return " ".join(f"--column {shlex.quote(f'{one}={meaning}')}" for one, meaning in pairs)
    meaning = missing[0] if name == strange[0] and missing else "MEANING"
    return f"--column {shlex.quote(f'{name}={meaning}')}"


def _refuse_missing(found: set[str], frame: str, where: str, trades: bool, header: Sequence[str]) -> None:
    if frame == TICK:
        needed = {TIME, "last"} if trades else {TIME, "bid", "ask"}
        if not trades and "last" in found and not found & {"bid", "ask"}:
            raise refuse_trades(where)
    elif "bid_open" in found or "ask_open" in found:
        needed = {TIME, *(f"{side}_{name}" for side in ("bid", "ask") for name in ("open", "high", "low", "close"))}
        if "open" in found:
            raise _schema("the file has open and bid_open", where, "one kind of price columns", "use --ignore for one")
    else:
        needed = {TIME, "open", "high", "low", "close"}
    missing = sorted(needed - found)
    if missing:
        raise _schema(
            f"column {missing[0]!r} is missing; the columns are {', '.join(header)}",
            f"{where}, column {missing[0]}",
            f"columns {', '.join(sorted(needed))}",
            f"add it, or say which column holds it with --column 'NAME={missing[0]}'; --frame tick is for ticks, the "
            "others are for bars",
        )


def _readable(frame: str) -> tuple[str, ...]:
    if frame == TICK:
        return (TIME, DATE, *TICK_COLUMNS[1:], *TICK_EXTRA_COLUMNS)
    return (TIME, DATE, *BAR_COLUMNS[1:], *(f"bid_{name}" for name in BAR_COLUMNS[1:5]), *ASK_COLUMNS)


def _schema(what: str, where: str, expected: str, remedy: str = "export the file with a header line") -> DataRefused:
    return DataRefused(what, code="DATA_SCHEMA", where=where, expected=expected, remedy=remedy)
