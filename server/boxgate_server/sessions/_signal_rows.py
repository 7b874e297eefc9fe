"""Answers of the usual form, read without the generated code.

A SignalWindow with signals alone, each field at most once and in order, is read here, straight into RAW_SIGNAL records.
Whatever is unusual (intents, meta, unknown or repeated fields, long numbers, cut bytes) is left to the generated
parser, which has the last word on what is valid. That both read the same is a property of random messages in
tests/server/sessions/test_signal_rows.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from boxgate_engine.signal_intake import RAW_SIGNAL

_BYTES_MIN: Final = 2
"""Of a signal on the wire: its tag and its length."""

_QTY, _PRICE, _SL, _TP, _TRAIL, _UNTIL = range(6)
"""Columns of the eight-byte fields."""


class SignalRows(NamedTuple):
    """An answer that has signals alone. signals: RAW_SIGNAL records."""

    first_seq: int
    consumed: int
    signals: np.ndarray


def read_signal_rows(raw: bytes) -> SignalRows | None:
    """Return the answer in the bytes of an OnEventResponse, None if it is not of the usual form."""
    data = np.frombuffer(raw, np.uint8)
    window = np.zeros(2, np.int64)
    rows = _count(data)
    if rows < 0:
        return None
    small = np.zeros((rows, 3), np.int64)
    present = np.zeros((rows, 7), np.bool_)
    wide = np.zeros((rows, 6), np.int64)
    if not _read(data, window, small, present, wide):
        return None
    signals = np.empty(rows, RAW_SIGNAL)
    for column, name in enumerate(("event", "instrument", "side")):
        signals[name] = small[:, column]
    for column, name in enumerate(
        ("has_qty", "has_price", "has_sl", "has_tp", "has_trail", "has_until", "adjust_only")
    ):
        signals[name] = present[:, column]
    doubles = wide.view(np.float64)
    for column, name in enumerate(("qty", "price", "sl", "tp", "trail")):
        signals[name] = doubles[:, column]
    signals["valid_until_ns"] = wide[:, _UNTIL]
    return SignalRows(int(window[0]), int(window[1]), signals)


def compile_reader() -> None:
    """Compile what reads an answer, and keep it for later processes."""
    read_signal_rows(b"\x0a\x00")


@njit(cache=True, nogil=True)
def _body(data: np.ndarray) -> int:
    """Return where the one field `signals` of the response begins, -1 if there is anything else."""
    size = data.shape[0]
    if size < 2 or data[0] != 0x0A:
        return -1
    length = 0
    at = 1
    for shift in range(0, 28, 7):
        if at >= size:
            return -1
        byte = int(data[at])
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return at if at + length == size else -1
    return -1


@njit(cache=True, nogil=True)
def _head(data: np.ndarray, at: int, window: np.ndarray) -> int:
    """Read first_seq and consumed; return where the signals begin, -1 if the bytes end before."""
    size = data.shape[0]
    if at < size and data[at] == 0x09:
        if at + 9 > size:
            return -1
        window[0] = _eight(data, at + 1)
        at += 9
    if at < size and data[at] == 0x15:
        if at + 5 > size:
            return -1
        window[1] = _four(data, at + 1)
        at += 5
    return at


@njit(cache=True, nogil=True)
def _count(data: np.ndarray) -> int:
    """Return the number of signals, -1 for bytes of another form."""
    at = _body(data)
    if at < 0:
        return -1
    at = _head(data, at, np.zeros(2, np.int64))
    if at < 0:
        return -1
    size = data.shape[0]
    rows = 0
    while at < size:
        if at + _BYTES_MIN > size or data[at] != 0x1A or data[at + 1] >= 0x80:
            return -1
        at += _BYTES_MIN + int(data[at + 1])
        rows += 1
    return rows if at == size else -1


@njit(cache=True, nogil=True)
def _read(data: np.ndarray, window: np.ndarray, small: np.ndarray, present: np.ndarray, wide: np.ndarray) -> bool:
    """Fill the columns of all signals; False for a signal of another form."""
    at = _head(data, _body(data), window)
    for row in range(small.shape[0]):
        end = at + _BYTES_MIN + int(data[at + 1])
        if not _read_one(data, at + _BYTES_MIN, end, small[row], present[row], wide[row]):
            return False
        at = end
    return True


@njit(cache=True, nogil=True)
def _read_one(data: np.ndarray, at: int, end: int, small: np.ndarray, present: np.ndarray, wide: np.ndarray) -> bool:
    """Fill the columns of the signal in bytes [at, end)."""
    if at + 5 <= end and data[at] == 0x0D:
        small[0] = _four(data, at + 1)
        at += 5
    if at + 5 <= end and data[at] == 0x15:
        small[1] = _four(data, at + 1)
        at += 5
    if at + 2 <= end and data[at] == 0x18 and data[at + 1] < 0x80:
        small[2] = data[at + 1]
        at += 2
    for column, tag in ((_QTY, 0x21), (_PRICE, 0x29)):
        if at + 9 <= end and data[at] == tag:
            wide[column] = _eight(data, at + 1)
            present[column] = True
            at += 9
    if at + 2 <= end and data[at] == 0x32:
        risk_end = at + 2 + int(data[at + 1])
        if data[at + 1] >= 0x80 or risk_end > end:
            return False
        at += 2
        for column, tag in ((_SL, 0x09), (_TP, 0x11), (_TRAIL, 0x19)):
            if at + 9 <= risk_end and data[at] == tag:
                wide[column] = _eight(data, at + 1)
                present[column] = True
                at += 9
        if at != risk_end:
            return False
    if at + 9 <= end and data[at] == 0x39:
        wide[_UNTIL] = _eight(data, at + 1)
        present[_UNTIL] = True
        at += 9
    if at + 2 <= end and data[at] == 0x40 and data[at + 1] <= 1:
        present[6] = data[at + 1] == 1
        at += 2
    return at == end


@njit(cache=True, nogil=True)
def _four(data: np.ndarray, at: int) -> int:
    return int(data[at]) | int(data[at + 1]) << 8 | int(data[at + 2]) << 16 | int(data[at + 3]) << 24


@njit(cache=True, nogil=True)
def _eight(data: np.ndarray, at: int) -> int:
    return _four(data, at) | _four(data, at + 4) << 32
