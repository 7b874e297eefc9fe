"""What the metadata of nautilus_trader's Parquet files say: instrument, kind of rows, digits of the whole numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from boxgate_engine.datasets.content import BAR_COLUMNS
from boxgate_engine.datasets.formats.column_names import refuse_trades
from boxgate_engine.datasets.formats.parquet.decoding import Decoder
from boxgate_engine.datasets.formats.source import InputFile, ReadOptions, Side
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS, TICK

SCALES: Final = {"integer": 9, "fixed8": 9, "fixed16": 16}
"""Digits behind the point of its whole numbers: of 8 bytes and, in its high precision, of 16."""

ROUNDED: Final = "raw_values_put_on_precision"
"""Name of the repair: rows with whole numbers that have more digits than the file says; old writers made them."""

_QUOTES: Final = (("bid_price", "ask_price"), ("bid", "ask"))
_BAR_TYPE: Final = re.compile(
    r"(?P<instrument>.+)-(?P<step>\d+)-(?P<unit>SECOND|MINUTE|HOUR|DAY|WEEK)-(?P<price>LAST|BID|ASK|MID)-[A-Z]+"
)
_DIGITS_MAX: Final = 16
_CLOSES: Final = "close_time"
_UNITS_NS: Final = {
    "SECOND": FRAME_NS["S1"],
    "MINUTE": FRAME_NS["M1"],
    "HOUR": FRAME_NS["H1"],
    "DAY": FRAME_NS["D1"],
    "WEEK": FRAME_NS["W1"],
}
_SIDES: Final[dict[str, Side]] = {"LAST": "last", "BID": "bid", "ASK": "ask", "MID": "mid"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What a file holds. time: its column of stamps. sources: stored column -> column of the file.

    price_digits, size_digits: behind the point, of prices and of volumes. after_open_ns: from the open of a bar to its
    stamp.
    """

    symbol: str
    frame: str
    side: Side | None
    trades: bool
    sources: Mapping[str, str | None]
    price_digits: int
    size_digits: int
    time: str = "ts_event"
    after_open_ns: int = 0


def is_written(decoder: Decoder) -> bool:
    """True if the file was written by nautilus_trader."""
    return {"price_precision", "size_precision"} <= set(decoder.metadata)


def contents(file: InputFile, decoder: Decoder, options: ReadOptions) -> Contents:
    """Return what metadata and columns say: quotes, trades or bars.

    symbol: stated, else the instrument without its venue. Stamps are `ts_event`, ns UTC; that of a bar is taken as
    its open, for then it never comes early, unless it is stated to be its `close_time`.
    Raises DataRefused (DATA_SCHEMA): other rows, a bar type that is no frame, trades without `--side last`.
    """
    unknown = {name: meaning for name, meaning in options.columns.items() if (name, meaning) != ("ts_event", _CLOSES)}
    if unknown:
        raise _refused(
            file, f"the meaning of {next(iter(unknown))} is known", f"--column ts_event={_CLOSES}, if it is so"
        )
    names = {one.name for one in decoder.columns}
    told = decoder.metadata
    digits = [int(text) if text.isdigit() else -1 for text in (told["price_precision"], told["size_precision"])]
    if not all(0 <= each <= _DIGITS_MAX for each in digits):
        raise _refused(file, "the metadata say no digits of prices and sizes", f"0 to {_DIGITS_MAX} digits")
    made = partial(
        Contents,
        symbol=options.symbol or told.get("instrument_id", "").rsplit(".", 1)[0].replace("/", "").removesuffix("-PERP"),
        price_digits=digits[0],
        size_digits=digits[1],
    )
    for bid, ask in _QUOTES:
        if {bid, ask, "ts_event"} <= names:
            return made(frame=TICK, side=None, trades=False, sources={"bid": bid, "ask": ask})
    if {"price", "size", "ts_event"} <= names:
        if options.side != "last":
            raise refuse_trades(file.label)
        return made(frame=TICK, side="last", trades=True, sources={"last": "price", "volume": "size"})
    match = _BAR_TYPE.fullmatch(told.get("bar_type", ""))
    if match is None or not {*BAR_COLUMNS[1:], "ts_event"} <= names:
        raise _refused(file, "the file holds neither quotes nor trades nor bars of time", "another file of the catalog")
    duration_ns = int(match["step"]) * _UNITS_NS[match["unit"]]
    frame = next((name for name, length_ns in FRAME_NS.items() if length_ns == duration_ns), None)
    if frame is None:
        raise _refused(file, f"bars of {match['step']} {match['unit']} are no frame", f"one of {', '.join(FRAME_NS)}")
    return made(
        frame=frame,
        side=_SIDES[match["price"]],
        trades=False,
        sources={name: name for name in BAR_COLUMNS[1:]},
        after_open_ns=duration_ns if options.columns.get("ts_event") == _CLOSES else 0,
    )


def _refused(file: InputFile, what: str, expected: str) -> DataRefused:
    return DataRefused(
        what,
        code="DATA_SCHEMA",
        where=file.label,
        expected=expected,
        remedy="export bars of a frame, quotes or trades; larger frames are made from smaller ones",
    )
