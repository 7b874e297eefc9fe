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

from boxgate_engine.kernel.records import Record, Records
from boxgate_engine.signal_intake import RAW_SIGNAL

_BYTES_MIN: Final = 2
"""Of a signal on the wire: its tag and its length."""
_BYTES_FEW: Final = 256
"""Of an answer so short that its signals need not be counted beforehand."""


class SignalRows(NamedTuple):
    """An answer that has signals alone. signals: RAW_SIGNAL records."""

    first_seq: int
    consumed: int
    signals: Records


def read_signal_rows(raw: bytes) -> SignalRows | None:
    """Return the answer in the bytes of an OnEventResponse, None if it is not of the usual form."""
    data = np.frombuffer(raw, np.uint8)
    room = len(raw) // _BYTES_MIN if len(raw) < _BYTES_FEW else _count(data)
    if room < 0:
        return None
    signals = np.zeros(room, RAW_SIGNAL)
    rows, first_seq, consumed = read_rows(data, signals)
    return None if rows < 0 else SignalRows(first_seq, consumed, signals[:rows])


def compile_reader() -> None:
    """Compile what reads an answer, and keep it for later processes."""
    read_signal_rows(b"\x0a\x04\x1a\x02\x18\x03")


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
    rows = 0
    while at < data.shape[0]:
        at = _end_of_signal(data, at)
        if at < 0:
            return -1
        rows += 1
    return rows


@njit(cache=True, nogil=True)
def read_rows(data: np.ndarray, signals: Records) -> tuple[int, int, int]:
    """Fill the records of all signals, which are 0; return how many there are, first_seq and consumed.

    Returns -1 for bytes of another form, and for more signals than records.
    """
    window = np.zeros(2, np.int64)
    at = _body(data)
    if at >= 0:
        at = _head(data, at, window)
    if at < 0:
        return -1, 0, 0
    cell = np.zeros(1, np.int64)
    rows = 0
    while at < data.shape[0]:
        end = _end_of_signal(data, at)
        if end < 0 or rows == signals.shape[0] or not _read_one(data, at + _BYTES_MIN, end, signals[rows], cell):
            return -1, 0, 0
        at = end
        rows += 1
    return rows, window[0], window[1]


@njit(cache=True, nogil=True)
def _end_of_signal(data: np.ndarray, at: int) -> int:
    """Return where the signal at `at` ends, -1 if there is none of the usual length."""
    if at + _BYTES_MIN > data.shape[0] or data[at] != 0x1A or data[at + 1] >= 0x80:
        return -1
    end = at + _BYTES_MIN + int(data[at + 1])
    return end if end <= data.shape[0] else -1


@njit(cache=True, nogil=True)
def _read_one(data: np.ndarray, at: int, end: int, signal: Record, cell: np.ndarray) -> bool:
    """Fill the record of the signal in bytes [at, end)."""
    if at + 5 <= end and data[at] == 0x0D:
        signal.event = _four(data, at + 1)
        at += 5
    if at + 5 <= end and data[at] == 0x15:
        signal.instrument = _four(data, at + 1)
        at += 5
    if at + 2 <= end and data[at] == 0x18 and data[at + 1] < 0x80:
        signal.side = data[at + 1]
        at += 2
    if at + 9 <= end and data[at] == 0x21:
        signal.qty = _double(data, at + 1, cell)
        signal.has_qty = True
        at += 9
    if at + 9 <= end and data[at] == 0x29:
        signal.price = _double(data, at + 1, cell)
        signal.has_price = True
        at += 9
    if at + 2 <= end and data[at] == 0x32:
        risk_end = at + 2 + int(data[at + 1])
        if data[at + 1] >= 0x80 or risk_end > end:
            return False
        at += 2
        if at + 9 <= risk_end and data[at] == 0x09:
            signal.sl = _double(data, at + 1, cell)
            signal.has_sl = True
            at += 9
        if at + 9 <= risk_end and data[at] == 0x11:
            signal.tp = _double(data, at + 1, cell)
            signal.has_tp = True
            at += 9
        if at + 9 <= risk_end and data[at] == 0x19:
            signal.trail = _double(data, at + 1, cell)
            signal.has_trail = True
            at += 9
        if at != risk_end:
            return False
    if at + 9 <= end and data[at] == 0x39:
        signal.valid_until_ns = _eight(data, at + 1)
        signal.has_until = True
        at += 9
    if at + 2 <= end and data[at] == 0x40 and data[at + 1] <= 1:
        signal.adjust_only = data[at + 1] == 1
        at += 2
    return at == end


@njit(cache=True, nogil=True)
def _double(data: np.ndarray, at: int, cell: np.ndarray) -> float:
    cell[0] = _eight(data, at)
    return float(cell.view(np.float64)[0])


@njit(cache=True, nogil=True)
def _four(data: np.ndarray, at: int) -> int:
    return int(data[at]) | int(data[at + 1]) << 8 | int(data[at + 2]) << 16 | int(data[at + 3]) << 24


@njit(cache=True, nogil=True)
def _eight(data: np.ndarray, at: int) -> int:
    return _four(data, at) | _four(data, at + 4) << 32
