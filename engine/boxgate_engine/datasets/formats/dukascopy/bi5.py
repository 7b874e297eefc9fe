"""Importer of the hours of ticks that Dukascopy's data feed serves: `EURUSD/2024/00/31/13h_ticks.bi5`, months from 00.

LZMA around records of 20 bytes, big-endian: milliseconds since the hour, ask and bid in points, and two volumes.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from boxgate_engine.datasets.content import Column
from boxgate_engine.datasets.formats.delimited import place
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, stated_symbol
from boxgate_engine.datasets.formats.zones import is_utc
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_NAME: Final = re.compile(
    r"(?:(?:.*[/_-])?(?P<symbol>[A-Za-z0-9]{3,20})[/_-])?"
    r"(?P<year>\d{4})[/_-](?P<month>\d\d)[/_-](?P<day>\d\d)[/_-](?P<hour>\d\d)h_ticks\.bi5",
    re.ASCII,
)
_RECORD: Final = np.dtype([("ms", ">u4"), ("ask", ">u4"), ("bid", ">u4"), ("ask_size", ">f4"), ("bid_size", ">f4")])
_ENDING: Final = ".bi5"
_HOUR_MS: Final = 3_600_000
_BYTES_MAX: Final = 64 << 20
"""Three million ticks in an hour; the busiest have some ten thousand."""
_FIVE_DIGITS: Final = frozenset({"USD", "EUR", "GBP", "CHF", "CAD", "AUD", "NZD"})
_METALS: Final = frozenset({"XAUUSD", "XAGUSD"})


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the ticks of one hour, which the path says; its stamps are UTC.

    symbol: stated, else the folder above the year. A price is counted in points: `--tick-size`, else 0.001 for yen and
    for gold and silver, 0.00001 for pairs of USD EUR GBP CHF CAD AUD NZD.
    Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_TZ, DATA_INSTRUMENT).
    """
    name = _NAME.fullmatch(file.path.as_posix())
    if name is None:
        raise DataRefused(
            "the path does not say the hour of the ticks",
            code="DATA_SCHEMA",
            where=file.label,
            expected="…/EURUSD/2024/00/31/13h_ticks.bi5, as the data feed has it, with months from 00 to 11",
            remedy="keep the folders of the data feed",
        )
    if options.zone is not None and not is_utc(options.zone):
        raise DataRefused(
            f"the file is in UTC, the command says {options.zone}",
            code="DATA_TZ",
            where=file.label,
            expected="UTC, as the data feed has it",
            remedy="leave --tz out",
        )
    symbol = stated_symbol(file, options, name["symbol"].upper() if name["symbol"] else None)
    point = options.tick_size or _point(symbol, file)
    begin_ns = _hour_ns(name, file)
    ticks = np.frombuffer(_unpacked(file), _RECORD)
    late = ticks["ms"] >= _HOUR_MS
    if late.any():
        row = int(np.argmax(late))
        raise DataRefused(
            f"the tick lies {ticks['ms'][row]} ms behind the beginning of the hour",
            code="DATA_TZ",
            where=place(file.label, row + 1, "time"),
            expected=f"milliseconds below {_HOUR_MS}",
            remedy="download the file again; bars (…_candles_….bi5) are not read",
        )
    columns: dict[str, Column] = {"time_ns": begin_ns + ticks["ms"].astype(np.int64) * 1_000_000}
    for side in ("bid", "ask"):  # n · num / den is the double nearest to the price.
        columns[side] = ticks[side].astype(np.float64) * point.numerator / point.denominator
    yield SourcePart(
        symbol=symbol,
        frame=TICK,
        side=None,
        columns=columns,
        where=lambda row, column: place(file.label, row + 1, column),
        file=file,
        form="ms since the hour",
        ignored=("ask_size", "bid_size"),
        zone="UTC",
        bytes_read=file.size,
    )


def _point(symbol: str, file: InputFile) -> Fraction:
    base, quote = symbol[:3], symbol[3:]
    if symbol in _METALS or (quote == "JPY" and base in _FIVE_DIGITS):
        return Fraction(1, 1000)
    if {base, quote} <= _FIVE_DIGITS:
        return Fraction(1, 100_000)
    raise DataRefused(
        f"prices are counted in points, and that of {symbol} is not known",
        code="DATA_INSTRUMENT",
        where=file.label,
        expected="the point of the symbol in the data feed as --tick-size",
        remedy="state it, for example --tick-size 0.001, and compare a price with a chart",
    )


def _hour_ns(name: re.Match[str], file: InputFile) -> int:
    try:
        hour = datetime(int(name["year"]), int(name["month"]) + 1, int(name["day"]), int(name["hour"]), tzinfo=UTC)
    except ValueError as error:
        raise DataRefused(
            f"the path names no hour ({error})",
            code="DATA_TZ",
            where=file.label,
            expected="year, month from 00 to 11, day, hour",
            remedy="correct the path",
        ) from error
    return int(hour.timestamp()) * 10**9


def _unpacked(file: InputFile) -> bytes:
    decoder = lzma.LZMADecompressor(memlimit=_BYTES_MAX * 2)
    try:
        data = decoder.decompress(file.data, _BYTES_MAX)
    except lzma.LZMAError as error:
        raise _damaged(file, f"the file is damaged ({error})") from error
    if not data or len(data) % _RECORD.itemsize or not decoder.eof:
        raise _damaged(file, "the file is cut off, or no file of ticks")
    return data


def _damaged(file: InputFile, what: str) -> DataRefused:
    return DataRefused(
        what,
        code="DATA_FORMAT",
        where=file.label,
        expected="LZMA of ticks of 20 bytes each, as the data feed serves them",
        remedy="download the file again",
    )


def is_empty_hour(path: Path) -> bool:
    """True for a file that stands for an hour without ticks: the data feed serves nothing for it."""
    return path.suffix.lower() == _ENDING and path.is_file() and not path.stat().st_size


def _recognises(file: InputFile) -> bool:
    return file.path.suffix.lower() == _ENDING


FORMAT: Final = FileFormat(name="dukascopy-bi5", title="Dukascopy ticks of an hour", recognises=_recognises, read=read)
