"""Windows with FEEDBACK, written by one compiled call: columns, account and marks, without the generated code.

A session of targets has an account of a few fixed fields, so that writing it is a matter of tags. That both read the
same is a property of random accounts in tests/server/sessions/test_feedback_windows.py; sessions of orders, whose
accounts have names, are left to the generated code.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit

from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.grid import grid_value
from boxgate_engine.kernel.records import (
    UPDATE_FILL,
    UPDATE_LIQUIDATION,
    UPDATE_REJECTION,
    Marks,
    Record,
    Records,
    Sim,
)
from boxgate_engine.rules import AccountRules
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Chunk
from boxgate_server.sessions._feedback_answers import compile_intake
from boxgate_server.sessions._fields import (
    varint_size,
    write_closed,
    write_column,
    write_decimal,
    write_double,
    write_eight,
    write_enum,
    write_four,
    write_number,
    write_picked,
    write_positive,
    write_until,
    write_varint,
)
from boxgate_server.sessions._wire import _BAR_FIELDS, _TICK_FIELDS

_ENTRY_BYTES_MAX: Final = 128
"""Of a position, an order, a target or an update in the account, so that one byte holds the length of each."""
_HEAD_BYTES_MAX: Final = 64
"""Of what stands before columns, and before the entries of the account."""
_TAG_BYTES_MAX: Final = 16
"""Of a tag and a length, and of an instrument's number."""

_BUY: Final = 1
_SELL: Final = 2
_FLAT: Final = 3


class _Columns(NamedTuple):
    """The delivered events of a chunk as bytes.

    times, series: shape (bytes,); series is empty where the windows name none. bars, ticks: shape (columns, bytes), by
    kind. fields: numbers of these columns in their messages, bars first. offsets: events, bars and ticks before each
    moment, shape (3, moments + 1). quote_index: as in the chunk.
    """

    times: np.ndarray
    series: np.ndarray
    bars: np.ndarray
    ticks: np.ndarray
    fields: np.ndarray
    offsets: np.ndarray
    quote_index: np.ndarray


class FeedbackWindows:
    """Writes the windows of one chunk after another."""

    def __init__(self) -> None:
        """Begin without a chunk."""
        self._chunk: tuple[Chunk, _Columns] | None = None
        self._marks: tuple[Marks, tuple[np.ndarray, ...]] | None = None
        self._out = np.empty(0, np.uint8)

    def message(self, chunk: Chunk, first: int, end: int, state: Sim, updates_sent: int, marks: Marks) -> bytes:
        """Return what window_message makes of moments [first, end), with the account and its marks.

        state: as the kernel takes it. updates_sent: the first row of the updates that are news. marks: of the chunk's
        quotes.
        """
        # What belongs together is exchanged as a whole, so identity tells whether it is the same.
        if self._chunk is None or self._chunk[0] is not chunk:
            self._chunk = chunk, _columns_of(chunk)
        if self._marks is None or self._marks[0] is not marks:
            self._marks = marks, tuple(values.view(np.uint8) for values in marks[:4])
        # One by one: for tuples with names the compiled function takes longer to be called than to run.
        arguments: Any = (chunk.first_seq, first, end, state, updates_sent, *self._chunk[1], *self._marks[1])
        begin, stop = _write(self._out, *arguments)
        if begin < 0:
            self._out = np.empty(2 * stop, np.uint8)
            begin, stop = _write(self._out, *arguments)
        return self._out[begin:stop].tobytes()


def compile_writer() -> None:
    """Compile what writes a window with FEEDBACK and takes in its answer, and keep it for later processes."""
    none, table, numbers = np.zeros(0, np.uint8), np.zeros((0, 0), np.uint8), np.zeros(1, np.int64)
    columns = _Columns(none, none, table, table, numbers, np.zeros((3, 1), np.int64), numbers)
    instrument = Instrument(
        symbol="X", asset_class="forex", quote_currency="X", tick_size=Fraction(1), lot_size=Fraction(1)
    )
    simulation = Simulation([instrument], AccountRules(cash=1.0), start_ns=0)
    _write(none, 0, 0, 0, simulation.state, 0, *columns, none, none, table, table)
    compile_intake(simulation.specs)


def _columns_of(chunk: Chunk) -> _Columns:
    columns = chunk.columns
    bars, bar_fields = _table(columns.bars, _BAR_FIELDS)
    ticks, tick_fields = _table(columns.ticks, _TICK_FIELDS)
    series = np.zeros(0, np.uint32) if columns.series is None else columns.series
    return _Columns(
        _bytes_of(columns.time_ns),
        _bytes_of(series),
        bars,
        ticks,
        np.array(bar_fields + tick_fields, np.int64),
        np.stack([chunk.event_offset, chunk.bar_offset, chunk.tick_offset]),
        chunk.quote_index,
    )


def _table(columns: dict[str, np.ndarray], names: tuple[str, ...]) -> tuple[np.ndarray, list[int]]:
    """Return the bytes of the columns that there are, shape (columns, bytes), and the number of the field of each."""
    present = [(number, columns[name]) for number, name in enumerate(names, 1) if name in columns]
    if not present:
        return np.zeros((0, 0), np.uint8), []
    return np.stack([_bytes_of(column) for _, column in present]), [number for number, _ in present]


def _bytes_of(column: np.ndarray) -> np.ndarray:
    return np.array(column).view(np.uint8)


@njit(cache=True, nogil=True)
def _write(
    out: np.ndarray,
    first_seq: int,
    first: int,
    end: int,
    state: Sim,
    updates_sent: int,
    times: np.ndarray,
    series: np.ndarray,
    bars: np.ndarray,
    ticks: np.ndarray,
    fields: np.ndarray,
    offsets: np.ndarray,
    quote_index: np.ndarray,
    equity: np.ndarray,
    free_margin: np.ndarray,
    profit: np.ndarray,
    level: np.ndarray,
) -> tuple[int, int]:
    """Write a window; return where it begins and ends in `out`, or (-1, the room that it may need).

    equity, free_margin, profit, level: marks, as bytes.
    """
    events = offsets[0, first]
    count = offsets[0, end] - events
    book = state.book
    entries = 3 * book.shape[0] + state.account[0].updates - updates_sent
    account_room = _HEAD_BYTES_MAX + _ENTRY_BYTES_MAX * entries
    wide = 5 + fields.shape[0] + 3 * book.shape[0]
    room = 2 * account_room + wide * (_TAG_BYTES_MAX + 8 * count)
    if out.shape[0] < room:
        return -1, room
    # The account is written to the end, where its length becomes known, and copied to its place.
    account = out.shape[0] - account_room
    account_size = _account(out, account, state, updates_sent) - account
    at = body = 8
    if first_seq + events:
        out[at] = 0x09
        at = write_eight(out, at + 1, first_seq + events)
    if count:
        out[at] = 0x15
        at = write_four(out, at + 1, count)
    at = write_column(out, at, 0x1A, times, 8 * events, 8 * count)
    if series.shape[0]:
        at = write_column(out, at, 0x22, series, 4 * events, 4 * count)
    at = _kind(out, at, 0x2A, bars, fields[: bars.shape[0]], offsets[1, first], offsets[1, end])
    at = _kind(out, at, 0x32, ticks, fields[bars.shape[0] :], offsets[2, first], offsets[2, end])
    if account_size:
        at = write_column(out, at, 0x3A, out, account, account_size)
    at = _marks(out, at, quote_index[events : events + count], book, equity, free_margin, profit, level)
    size = at - body
    begin = body - 1 - varint_size(size)
    out[begin] = 0x12
    write_varint(out, begin + 1, size)
    return begin, at


@njit(cache=True, nogil=True)
def _kind(out: np.ndarray, at: int, tag: int, columns: np.ndarray, fields: np.ndarray, first: int, end: int) -> int:
    """Write rows [first, end) of the columns of one kind of event."""
    size = 8 * (end - first)
    if not size:
        return at
    out[at] = tag
    at = write_varint(out, at + 1, columns.shape[0] * (1 + varint_size(size) + size))
    for k in range(columns.shape[0]):
        at = write_column(out, at, fields[k] << 3 | 2, columns[k], 8 * first, size)
    return at


@njit(cache=True, nogil=True)
def _marks(
    out: np.ndarray,
    at: int,
    index: np.ndarray,
    book: Records,
    equity: np.ndarray,
    free_margin: np.ndarray,
    profit: np.ndarray,
    level: np.ndarray,
) -> int:
    """Write the marks of the events with these indices of their quotes."""
    size = 8 * index.shape[0]
    column = 1 + varint_size(size) + size if size else 0
    total = 2 * column
    for i in range(book.shape[0]):
        if book[i].lots != 0:
            inner = _mark_size(book[i], i, column)
            total += 1 + varint_size(inner) + inner
    out[at] = 0x42
    at = write_varint(out, at + 1, total)
    at = write_picked(out, at, 0x0A, equity, index)
    at = write_picked(out, at, 0x12, free_margin, index)
    for i in range(book.shape[0]):
        if book[i].lots != 0:
            out[at] = 0x1A
            at = write_varint(out, at + 1, _mark_size(book[i], i, column))
            at = write_number(out, at, 0x0D, i)
            at = write_picked(out, at, 0x12, profit[i], index)
            if book[i].trail > 0.0:
                at = write_picked(out, at, 0x1A, level[i], index)
    return at


@njit(cache=True, nogil=True)
def _mark_size(book: Record, i: int, column: int) -> int:
    """Return the bytes of the marks of one position. column: bytes of a column with its tag and length."""
    return (5 if i else 0) + column + (column if book.trail > 0.0 else 0)


@njit(cache=True, nogil=True)
def _account(out: np.ndarray, at: int, state: Sim, updates_sent: int) -> int:
    """Write the account; return where it ends."""
    account = state.account[0]
    book = state.book
    cell = np.empty(1)
    if account.version:
        out[at] = 0x09
        at = write_eight(out, at + 1, account.version)
    at = write_double(out, at, 0x11, account.cash, cell)
    for i in range(book.shape[0]):
        if book[i].lots != 0:
            out[at] = 0x1A
            at = write_closed(out, at, _position(out, at + 2, i, book[i], state.specs[i], cell))
    for i in range(book.shape[0]):
        if _wanted(book[i]) != book[i].lots:
            out[at] = 0x22
            seq = state.signals[book[i].stand_signal].seq
            at = write_closed(out, at, _order(out, at + 2, i, seq, book[i], state.specs[i], cell))
    for i in range(book.shape[0]):
        out[at] = 0x2A
        at = write_closed(out, at, _target(out, at + 2, i, book[i], state.specs[i], cell))
    for row in range(updates_sent, account.updates):
        out[at] = 0x32
        at = write_closed(out, at, _update(out, at + 2, state.updates[row], state.fills, cell))
    return at


@njit(cache=True, nogil=True)
def _position(out: np.ndarray, at: int, i: int, book: Record, spec: Record, cell: np.ndarray) -> int:
    if book.position_id:
        out[at] = 0x09
        at = write_eight(out, at + 1, book.position_id)
    at = write_number(out, at, 0x15, i)
    at = write_enum(out, at, 0x18, _side(book.lots))
    at = write_double(out, at, 0x21, grid_value(abs(book.lots), spec.lot_num, spec.lot_den), cell)
    at = write_double(out, at, 0x29, book.entry_price, cell)
    at = write_positive(out, at, 0x31, book.sl, cell)
    at = write_positive(out, at, 0x39, book.tp, cell)
    return write_positive(out, at, 0x41, book.trail, cell)


@njit(cache=True, nogil=True)
def _order(out: np.ndarray, at: int, i: int, seq: int, book: Record, spec: Record, cell: np.ndarray) -> int:
    """Write what still works towards a target, under the name of the instrument and the event of its signal."""
    rest = _wanted(book) - book.lots
    name = write_decimal(out, at + 2, i)
    out[name] = 0x2D
    name = write_decimal(out, name + 1, seq)
    out[at] = 0x0A
    at = write_closed(out, at, name)
    at = write_number(out, at, 0x15, i)
    at = write_enum(out, at, 0x18, _side(rest))
    at = write_double(out, at, 0x21, grid_value(abs(rest), spec.lot_num, spec.lot_den), cell)
    at = write_positive(out, at, 0x29, book.stand_price, cell)
    return write_until(out, at, 0x31, book.stand_until_ns)


@njit(cache=True, nogil=True)
def _target(out: np.ndarray, at: int, i: int, book: Record, spec: Record, cell: np.ndarray) -> int:
    wanted = _wanted(book)
    granted = min(abs(book.lots), abs(wanted)) if (book.lots > 0) == (wanted > 0) else 0
    at = write_number(out, at, 0x0D, i)
    at = write_enum(out, at, 0x10, _side(book.stand_side))
    at = write_double(out, at, 0x19, grid_value(abs(wanted), spec.lot_num, spec.lot_den), cell)
    at = write_double(out, at, 0x21, grid_value(granted, spec.lot_num, spec.lot_den), cell)
    at = write_positive(out, at, 0x29, book.stand_price, cell)
    at = write_positive(out, at, 0x31, book.stand_sl, cell)
    at = write_positive(out, at, 0x39, book.stand_tp, cell)
    at = write_until(out, at, 0x41, book.stand_until_ns)
    return write_positive(out, at, 0x49, book.stand_trail, cell)


@njit(cache=True, nogil=True)
def _update(out: np.ndarray, at: int, update: Record, fills: Records, cell: np.ndarray) -> int:
    at = write_enum(out, at, 0x08, update.kind)
    at = write_number(out, at, 0x15, update.instrument)
    if update.seq:
        out[at] = 0x19
        at = write_eight(out, at + 1, update.seq)
    if update.time_ns:
        out[at] = 0x21
        at = write_eight(out, at + 1, update.time_ns)
    if update.kind in (UPDATE_FILL, UPDATE_LIQUIDATION):
        fill = fills[update.fill]
        at = write_enum(out, at, 0x28, _side(fill.direction))
        at = write_double(out, at, 0x31, fill.qty, cell)
        at = write_double(out, at, 0x39, fill.price, cell)
        at = write_double(out, at, 0x41, fill.fee, cell)
        at = write_enum(out, at, 0x48, fill.reason)
    elif update.kind == UPDATE_REJECTION:
        at = write_enum(out, at, 0x50, update.reason)
    return write_double(out, at, 0x59, update.amount, cell)


@njit(cache=True, nogil=True)
def _wanted(book: Record) -> int:
    """Return the signed lots of the standing target."""
    return int(book.stand_side * book.stand_lots)


@njit(cache=True, nogil=True)
def _side(sign: int) -> int:
    if sign > 0:
        return _BUY
    return _SELL if sign < 0 else _FLAT
