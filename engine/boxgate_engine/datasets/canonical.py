"""The canonical hash of a dataset: over its content, not over the bytes of any file.

docs/datasets.md states the form bit for bit. Three levels: a SHA-256 per column, so that a series is hashed while its
rows stream by; a digest per series over these, so that opening a dataset can verify its name from the manifest alone;
and the dataset's hash over the instruments and the digests (ADR 0010).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from boxgate_engine.datasets.content import TIME_COLUMNS, Column, PriceBasis, SeriesContent
from boxgate_engine.instruments import Instrument

_DATASET_TAG: Final = b"boxgate.dataset/1\n"
_SERIES_TAG: Final = b"boxgate.series/1\n"
_SLICE_ROWS: Final = 1 << 14
"""So many values are hashed at a time: their copy without minus zeros stays in the processor's cache."""


def dataset_hash(instruments: Iterable[Instrument], series_digests: Iterable[tuple[str, str, str]]) -> str:
    """Return the name of a dataset: 64 lower-case hex digits of SHA-256.

    series_digests: (symbol, frame, digest as 64 hex digits) of each series, any order.
    """
    state = hashlib.sha256(_DATASET_TAG)
    listed = sorted(instruments, key=lambda instrument: instrument.symbol.encode())
    state.update(struct.pack("<I", len(listed)))
    for instrument in listed:
        for text in _instrument_texts(instrument):
            state.update(_text(text))
    series = sorted(series_digests, key=lambda entry: (entry[0].encode(), entry[1].encode()))
    state.update(struct.pack("<I", len(series)))
    for symbol, frame, digest in series:
        state.update(_text(symbol) + _text(frame) + bytes.fromhex(digest))
    return state.hexdigest()


def series_digest(content: SeriesContent) -> str:
    """Return the digest of one series: 64 lower-case hex digits of SHA-256 over names, types and values."""
    digest = SeriesDigest(tuple(content.columns))
    digest.add(content.columns)
    return digest.result(content.symbol, content.frame, content.price_basis)


class SeriesDigest:
    """The digest of one series, made chunk by chunk. names: of its columns, in stored order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._columns = {name: hashlib.sha256() for name in names}
        self._rows = 0

    def add(self, columns: Mapping[str, Column]) -> None:
        """Take the next rows of the series."""
        for name, state in self._columns.items():
            values = columns[name]
            for start in range(0, len(values), _SLICE_ROWS):
                state.update(_little_endian(name, values[start : start + _SLICE_ROWS]))
        self._rows += len(next(iter(columns.values())))

    def result(self, symbol: str, frame: str, price_basis: PriceBasis) -> str:
        """Return the digest of all rows so far, 64 hex digits."""
        state = hashlib.sha256(_SERIES_TAG)
        state.update(_text(symbol) + _text(frame) + _text(price_basis))
        state.update(struct.pack("<qI", self._rows, len(self._columns)))
        for name, column in self._columns.items():
            state.update(_text(name) + (b"i" if name in TIME_COLUMNS else b"f") + column.digest())
        return state.hexdigest()


def _little_endian(name: str, values: Column) -> memoryview:
    if name in TIME_COLUMNS:
        return np.ascontiguousarray(values, dtype="<i8").data
    # Adding +0.0 turns -0.0 into 0.0 and leaves every other value as it is.
    return np.ascontiguousarray(values + 0.0, dtype="<f8").data


def _instrument_texts(instrument: Instrument) -> tuple[str, ...]:
    return (
        instrument.symbol,
        instrument.asset_class,
        instrument.quote_currency,
        instrument.kind,
        ratio_text(instrument.tick_size),
        ratio_text(instrument.lot_size),
        ratio_text(instrument.contract_size),
    )


def ratio_text(value: Fraction) -> str:
    """Return an exact ratio in lowest terms as `numerator/denominator`, decimal digits, for example `1/100000`."""
    return f"{value.numerator}/{value.denominator}"


def _text(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<I", len(encoded)) + encoded
