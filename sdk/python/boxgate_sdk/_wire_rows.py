"""Signals of the vector form, written to bytes column by column.

Rows that have the same fields are of one length, so they are laid out as an array of records and filled by column.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

_FIELDS = (
    ("event_index", 0x0D, "<u4"),
    ("instrument", 0x15, "<u4"),
    ("side", 0x18, "u1"),
    ("qty", 0x21, "<f8"),
    ("price", 0x29, "<f8"),
    ("risk", 0x32, "u1"),
    ("sl", 0x09, "<f8"),
    ("tp", 0x11, "<f8"),
    ("trail", 0x19, "<f8"),
    ("valid_until_ns", 0x39, "<i8"),
    ("adjust_only", 0x40, "u1"),
)
"""Name, tag and type of each field, in the order of the wire. The value of `risk` is the length of sl, tp and trail."""

_BITS = {name: 1 << bit for bit, (name, _, _) in enumerate(_FIELDS)}
_RISK = _BITS["sl"] | _BITS["tp"] | _BITS["trail"]
_FLAT = 3


def encode_signal_rows(
    event_index: Ints,
    instrument: Ints,
    side: Ints,
    qty: Floats,
    price: Floats | None,
    sl: Floats | None,
    tp: Floats | None,
    trail: Floats | None,
    valid_until_ns: Ints | None,
    adjust_only: Mask | None,
) -> bytes:
    """Write entries of SignalWindow.signals, equal to encode_signal row by row.

    All of shape (n,), None where no row has the field. NaN in price, sl, tp and trail and 0 in valid_until_ns mean
    absent; qty is left out for FLAT (side 3).
    """
    columns: dict[str, NDArray[Any]] = {"event_index": event_index, "instrument": instrument, "side": side, "qty": qty}
    masks: dict[str, Mask] = {"event_index": event_index != 0, "instrument": instrument != 0, "qty": side != _FLAT}
    for name, prices in (("price", price), ("sl", sl), ("tp", tp), ("trail", trail)):
        if prices is not None:
            columns[name], masks[name] = prices, ~np.isnan(prices)
    if valid_until_ns is not None:
        columns["valid_until_ns"], masks["valid_until_ns"] = valid_until_ns, valid_until_ns != 0
    if adjust_only is not None:
        columns["adjust_only"] = masks["adjust_only"] = adjust_only
    everywhere = _BITS["side"]
    somewhere = {}
    for name, mask in masks.items():
        count = np.count_nonzero(mask)
        if count == len(mask):
            everywhere |= _BITS[name]
        elif count:
            somewhere[name] = mask
    if not somewhere:
        return _records(everywhere, columns)
    has = np.full(len(event_index), everywhere)
    for name, mask in somewhere.items():
        has += mask * _BITS[name]
    kinds = np.flatnonzero(np.bincount(has))
    rows_of_kind = [np.flatnonzero(has == kind) for kind in kinds]
    written = [
        np.frombuffer(_records(int(kind), {name: column[rows] for name, column in columns.items()}), np.uint8)
        for kind, rows in zip(kinds, rows_of_kind, strict=True)
    ]
    lengths = [len(part) // len(rows) for part, rows in zip(written, rows_of_kind, strict=True)]
    length_of_kind = np.zeros(kinds[-1] + 1, np.int64)
    length_of_kind[kinds] = lengths
    ends = np.cumsum(length_of_kind[has])
    out = np.empty(int(ends[-1]), dtype=np.uint8)
    for part, rows, length in zip(written, rows_of_kind, lengths, strict=True):
        out[(ends[rows] - length)[:, None] + np.arange(length)] = part.reshape(len(rows), length)
    return out.tobytes()


def _records(kind: int, columns: dict[str, NDArray[Any]]) -> bytes:
    """Write rows that all have the same fields. kind: the bits of these."""
    layout, blank, names = _layout(kind | _BITS["risk"] if kind & _RISK else kind)
    data = bytearray(blank * len(columns["side"]))
    records = np.frombuffer(data, layout)
    for name in names:
        records[name] = columns[name]
    return bytes(data)


@lru_cache(maxsize=1 << len(_FIELDS))
def _layout(kind: int) -> tuple[np.dtype[Any], bytes, list[str]]:
    """Return the type of a record, one with its tags and lengths but no values, and the names of these."""
    present = [field for field in _FIELDS if kind & _BITS[field[0]]]
    parts: list[tuple[str, str]] = [("tag", "u1"), ("length", "u1")]
    for name, _, form in present:
        parts += [(f"{name}_tag", "u1"), (name, form)]
    layout = np.dtype(parts)
    blank = np.zeros(1, layout)
    # A record without meta has at most 68 bytes, so its length is always one byte.
    blank["tag"], blank["length"] = 0x1A, layout.itemsize - 2
    for name, tag, _ in present:
        blank[f"{name}_tag"] = tag
    if kind & _RISK:
        blank["risk"] = 9 * (kind & _RISK).bit_count()
    return layout, blank.tobytes(), [name for name, _, _ in present if name != "risk"]
