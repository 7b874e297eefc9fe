"""Signals of the vector form, written to bytes column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Mask = NDArray[np.bool_]
    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


def encode_signal_rows(
    event_index: Ints,
    instrument: Ints,
    side: Ints,
    qty: Floats,
    price: Floats,
    sl: Floats,
    tp: Floats,
    trail: Floats,
    valid_until_ns: Ints,
    adjust_only: Mask,
) -> bytes:
    """Write entries of SignalWindow.signals, equal to encode_signal row by row.

    All of shape (n,). NaN in price, sl, tp and trail and 0 in valid_until_ns mean absent; qty is left out for FLAT
    (side 3).
    """
    rows = len(event_index)
    has_sl, has_tp, has_trail = ~np.isnan(sl), ~np.isnan(tp), ~np.isnan(trail)
    has_risk = has_sl | has_tp | has_trail
    risk_length = 9 * has_sl.astype(np.int64) + 9 * has_tp + 9 * has_trail
    everywhere = np.ones(rows, dtype=np.bool_)
    fields = [
        (event_index != 0, _tagged(0x0D, event_index.astype("<u4"))),
        (instrument != 0, _tagged(0x15, instrument.astype("<u4"))),
        (everywhere, _tagged(0x18, side.astype("u1"))),
        (side != 3, _tagged(0x21, qty.astype("<f8"))),
        (~np.isnan(price), _tagged(0x29, price.astype("<f8"))),
        (has_risk, _tagged(0x32, risk_length.astype("u1"))),
        (has_sl, _tagged(0x09, sl.astype("<f8"))),
        (has_tp, _tagged(0x11, tp.astype("<f8"))),
        (has_trail, _tagged(0x19, trail.astype("<f8"))),
        (valid_until_ns != 0, _tagged(0x39, valid_until_ns.astype("<i8"))),
        (adjust_only, _tagged(0x40, everywhere.astype("u1"))),
    ]
    lengths = np.zeros(rows, dtype=np.int64)
    for present, cells in fields:
        lengths += present * cells.shape[1]
    # A row without meta has at most 68 bytes, so its length is always one byte.
    begins = np.concatenate(([0], np.cumsum(lengths + 2)))
    out = np.zeros(int(begins[-1]), dtype=np.uint8)
    position = begins[:-1].copy()
    _scatter(out, position, everywhere, _tagged(0x1A, lengths.astype("u1")))
    for present, cells in fields:
        _scatter(out, position, present, cells)
    return out.tobytes()


def _tagged(tag: int, values: NDArray[np.generic]) -> Bytes:
    """Return shape (n, 1 + itemsize): the tag, then the little-endian bytes of each value."""
    size = values.dtype.itemsize
    cells = np.empty((len(values), 1 + size), dtype=np.uint8)
    cells[:, 0] = tag
    cells[:, 1:] = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), size)
    return cells


def _scatter(out: Bytes, position: Ints, present: Mask, cells: Bytes) -> None:
    """Put the cells of the rows in which the field is present at their positions and move these on."""
    width = cells.shape[1]
    where = position[present]
    out[where[:, None] + np.arange(width)] = cells[present]
    position[present] += width
