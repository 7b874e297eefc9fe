"""All formats, and which of them a file is in."""

from __future__ import annotations

import difflib
from typing import Final

from boxgate_engine.datasets.formats import (
    cryptodatadownload,
    csv_text,
    histdata,
    lean,
    mt4,
    mt5,
    truefx,
)
from boxgate_engine.datasets.formats.binance import funding, klines, stream, trades
from boxgate_engine.datasets.formats.dukascopy import bi5, exports
from boxgate_engine.datasets.formats.parquet import tables as parquet
from boxgate_engine.datasets.formats.source import FileFormat, InputFile
from boxgate_engine.errors import DataRefused

FORMATS: Final[tuple[FileFormat, ...]] = (
    lean.FORMAT,
    parquet.FORMAT,
    bi5.FORMAT,
    funding.FORMAT,
    klines.FORMAT,
    trades.FORMAT,
    stream.FORMAT,
    mt5.FORMAT,
    mt4.FORMAT,
    exports.FORMAT,
    histdata.FORMAT,
    truefx.FORMAT,
    cryptodatadownload.FORMAT,
    csv_text.FORMAT,
)
"""In the order in which they are asked; the last takes what none before it knows."""


def detect(file: InputFile) -> FileFormat:
    """Return the format that content and path tell."""
    return next(one for one in FORMATS if one.recognises(file))


def by_name(name: str) -> FileFormat:
    """Return the format of a name. Raises DataRefused (DATA_FORMAT) with a suggestion."""
    names = [one.name for one in FORMATS]
    for one in FORMATS:
        if one.name == name:
            return one
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise DataRefused(
        f"{name[:40]!r} is no format",
        code="DATA_FORMAT",
        where="--format",
        expected=f"one of {', '.join(sorted(names))}",
        remedy=f"{hint}leave --format out to have it told from the files",
    )
