"""Windows of one moment, written row by row: a chunk of bars or ticks becomes all its messages at once.

Windows of one event each differ in nothing but values, so that a chunk is one table of bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from boxgate_engine.tape import Chunk
from boxgate_server.sessions._wire import _BAR_FIELDS, _TICK_FIELDS, _tag, window_message


def lockstep_messages(chunk: Chunk) -> Iterator[tuple[int, bytes]]:
    """Yield the message of each delivered moment, and the moment behind it: as window_message, byte for byte."""
    first = 0
    rows = _rows(chunk)
    if rows is not None:
        # The number of event 0 is left out of its message.
        if chunk.first_seq == 0:
            yield 1, window_message(chunk, 0, 1)
            first = 1
        width = rows.shape[1]
        data = rows.tobytes()
        for m in range(first, chunk.moments):
            yield m + 1, data[m * width : (m + 1) * width]
        return
    for m in np.flatnonzero(chunk.quotes.delivered).tolist():
        yield m + 1, window_message(chunk, first, m + 1)
        first = m + 1


def _rows(chunk: Chunk) -> np.ndarray | None:
    """Return the messages, shape (moments, bytes of one); None where moments are not one event of one kind each."""
    moments = chunk.moments
    ticks = int(chunk.tick_offset[-1])
    if moments < 2 or ticks not in (0, moments) or (np.diff(chunk.event_offset) != 1).any():
        return None
    if chunk.first_seq < 0 < chunk.first_seq + moments:
        return None  # event 0 in the middle, which no warm-up and no tape has
    columns = chunk.columns
    names, values = (_TICK_FIELDS, columns.ticks) if ticks else (_BAR_FIELDS, columns.bars)
    numbers = (chunk.first_seq + np.arange(moments)).astype(np.int64)
    # Of one message: what stands before each value, and the values of all.
    cells: list[tuple[bytes, np.ndarray]] = [(b"\x09", numbers), (b"\x15\x01\0\0\0\x1a\x08", columns.time_ns)]
    if columns.series is not None:
        cells.append((b"\x22\x04", columns.series))
    of_kind = [(bytes((number << 3 | 2, 8)), values[name]) for number, name in enumerate(names, 1) if name in values]
    cells.append((bytes((0x32 if ticks else 0x2A, 10 * len(of_kind))) + of_kind[0][0], of_kind[0][1]))
    cells += of_kind[1:]
    length = sum(len(tag) + column.dtype.itemsize for tag, column in cells)
    cells[0] = (_tag(2, length) + cells[0][0], cells[0][1])
    rows = np.empty((moments, length + len(_tag(2, length))), np.uint8)
    at = 0
    for tag, column in cells:
        width = column.dtype.itemsize
        rows[:, at : at + len(tag)] = np.frombuffer(tag, np.uint8)
        at += len(tag)
        rows[:, at : at + width] = np.ascontiguousarray(column).view(np.uint8).reshape(moments, width)
        at += width
    return rows
