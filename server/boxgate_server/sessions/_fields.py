"""Fields of the contract, written by compiled functions into an array of bytes.

Each takes the place where it begins and returns where it ends. Tags are those of the wire: number and type in a byte.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from boxgate_engine.kernel.records import NO_EXPIRY


@njit(cache=True, nogil=True)
def write_closed(out: np.ndarray, at: int, stop: int) -> int:
    """Put the length behind the tag at `at` of what was written behind both; return its end."""
    out[at + 1] = stop - at - 2
    return stop


@njit(cache=True, nogil=True)
def write_number(out: np.ndarray, at: int, tag: int, value: int) -> int:
    """Write a fixed32, which is left out for 0."""
    if not value:
        return at
    out[at] = tag
    return int(write_four(out, at + 1, value))


@njit(cache=True, nogil=True)
def write_enum(out: np.ndarray, at: int, tag: int, value: int) -> int:
    """Write a number below 128, which is left out for 0."""
    if not value:
        return at
    out[at] = tag
    out[at + 1] = value
    return at + 2


@njit(cache=True, nogil=True)
def write_double(out: np.ndarray, at: int, tag: int, value: float, cell: np.ndarray) -> int:
    """Write a double, which is left out for 0.0 but not for -0.0."""
    cell[0] = value
    bits = cell.view(np.int64)[0]
    if not bits:
        return at
    out[at] = tag
    return int(write_eight(out, at + 1, bits))


@njit(cache=True, nogil=True)
def write_positive(out: np.ndarray, at: int, tag: int, value: float, cell: np.ndarray) -> int:
    """Write a price that may be absent, which the kernel has as 0.0."""
    return int(write_double(out, at, tag, value, cell)) if value > 0.0 else at


@njit(cache=True, nogil=True)
def write_until(out: np.ndarray, at: int, tag: int, time_ns: int) -> int:
    """Write when a target expires, if it does."""
    if time_ns == NO_EXPIRY:
        return at
    out[at] = tag
    return int(write_eight(out, at + 1, time_ns))


@njit(cache=True, nogil=True)
def write_decimal(out: np.ndarray, at: int, value: int) -> int:
    """Write the digits of a number that is not negative."""
    digits = 1
    rest = value
    while rest >= 10:
        rest //= 10
        digits += 1
    for k in range(digits):
        out[at + digits - 1 - k] = 0x30 + value % 10
        value //= 10
    return at + digits


@njit(cache=True, nogil=True)
def write_column(out: np.ndarray, at: int, tag: int, values: np.ndarray, start: int, size: int) -> int:
    """Write bytes with their tag and length, unless there are none."""
    if not size:
        return at
    out[at] = tag
    at = write_varint(out, at + 1, size)
    for k in range(size):
        out[at + k] = values[start + k]
    return at + size


@njit(cache=True, nogil=True)
def write_picked(out: np.ndarray, at: int, tag: int, values: np.ndarray, index: np.ndarray) -> int:
    """Write the eight bytes at each index."""
    size = 8 * index.shape[0]
    if not size:
        return at
    out[at] = tag
    at = write_varint(out, at + 1, size)
    for e in range(index.shape[0]):
        begin = 8 * index[e]
        for k in range(8):
            out[at + k] = values[begin + k]
        at += 8
    return at


@njit(cache=True, nogil=True)
def varint_size(value: int) -> int:
    size = 1
    while value > 0x7F:
        value >>= 7
        size += 1
    return size


@njit(cache=True, nogil=True)
def write_varint(out: np.ndarray, at: int, value: int) -> int:
    while value > 0x7F:
        out[at] = value & 0x7F | 0x80
        value >>= 7
        at += 1
    out[at] = value
    return at + 1


@njit(cache=True, nogil=True)
def write_four(out: np.ndarray, at: int, value: int) -> int:
    for k in range(4):
        out[at + k] = (value >> (8 * k)) & 0xFF
    return at + 4


@njit(cache=True, nogil=True)
def write_eight(out: np.ndarray, at: int, value: int) -> int:
    for k in range(8):
        out[at + k] = (value >> (8 * k)) & 0xFF
    return at + 8
