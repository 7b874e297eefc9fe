"""The bytes of the stream, read and written without the generated code.

Columns are little-endian arrays on the wire, so a window is read by slicing and an answer written by packing; byte for
byte what the generated code would give. Whatever is unusual (fields out of order, unknown, repeated, not packed; a
big-endian machine) is left to the generated parser, which has the last word on what is valid.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from struct import Struct, error
from typing import TYPE_CHECKING, Any, Literal

from google.protobuf.message import DecodeError

from boxgate_proto.strategy.v1 import order_pb2, signal_pb2, strategy_pb2, window_pb2
from boxgate_sdk.errors import WindowMalformed

if TYPE_CHECKING:
    from boxgate_sdk.intents import Intent
    from boxgate_sdk.signals import Signal

    Format = Literal["d", "q", "I"]
    Column = memoryview[Any]
    """Values of one column: format d, q or I."""
    PositionKey = tuple[int, str]
    """Index of the instrument, and name of the position, "" for the unnamed one."""

BAR_COLUMNS = ("open_ns", "open", "high", "low", "close", "volume", "ask_open", "ask_high", "ask_low", "ask_close")
TICK_COLUMNS = ("bid", "ask", "last", "volume")

_SFIXED64 = Struct("<q")
_FIXED32 = Struct("<I")
_BAR_FORMATS: tuple[Format, ...] = ("q",) + ("d",) * 9
_TICK_FORMATS: tuple[Format, ...] = ("d",) * 4
_EMPTY: Column = memoryview(b"")


class Marks:
    """Values of the account at each event of a window."""

    __slots__ = ("equity", "free_margin", "order_levels", "trail_levels", "unrealised")

    def __init__(
        self,
        equity: Column,
        free_margin: Column,
        unrealised: dict[PositionKey, Column],
        trail_levels: dict[PositionKey, Column] | None = None,
        order_levels: dict[str, Column] | None = None,
    ) -> None:
        self.equity = equity
        self.free_margin = free_margin
        self.unrealised = unrealised
        """By index of the instrument and name of the position, "" for the unnamed one; absent without a position."""
        self.trail_levels = trail_levels or {}
        """Likewise; absent without a trailing stop."""
        self.order_levels = order_levels or {}
        """By client_id, of trailing stop orders."""


class Window:
    """One EventWindow. Columns are views of the message; bars and ticks in the order of BAR_COLUMNS, TICK_COLUMNS."""

    __slots__ = ("account", "bars", "count", "first_seq", "marks", "series", "ticks", "time_ns", "warmup")

    def __init__(
        self,
        first_seq: int,
        count: int,
        warmup: bool,
        time_ns: Column,
        series: Column,
        bars: list[Column] | None,
        ticks: list[Column] | None,
        account: bytes | None,
        marks: Marks | None,
    ) -> None:
        self.first_seq = first_seq
        self.count = count
        self.warmup = warmup
        self.time_ns = time_ns
        self.series = series
        self.bars = bars
        self.ticks = ticks
        self.account = account
        self.marks = marks


def decode_request(data: bytes) -> str | Window:
    """Read one OnEventRequest: the session id of an `open`, or a window. Raises WindowMalformed."""
    if data[:1] == b"\x12" and sys.byteorder == "little":
        try:
            return _checked(_read_window(data))
        except (_Unusual, IndexError, TypeError, ValueError, error):
            pass  # damaged or unusual: the generated parser decides
    try:
        request = strategy_pb2.OnEventRequest.FromString(data)
    except DecodeError as failure:
        raise WindowMalformed(
            f"a message of {len(data)} bytes cannot be parsed", "a serialised OnEventRequest"
        ) from failure
    which = request.WhichOneof("message")
    if which == "open":
        return request.open.session_id
    if which == "window":
        return _checked(_from_generated(request.window))
    raise WindowMalformed("a message is neither open nor window", "open first, windows after it")


def encode_response(
    first_seq: int, consumed: int, signals: bytes, *, intents: bytes = b"", more: bool = False
) -> bytes:
    """Write one OnEventResponse. signals: the concatenated results of encode_signal or encode_signal_rows.

    intents: those of encode_intent. more: the answer is unfinished.
    """
    head = b"\x09" + _SFIXED64.pack(first_seq) if first_seq else b""
    if consumed:
        head += b"\x15" + _FIXED32.pack(consumed)
    tail = (b"\x20\x01" if more else b"") + intents
    length = len(head) + len(signals) + len(tail)
    return b"\x0a" + _varint(length) + head + signals + tail


_SIDE_QTY = Struct("<BBBd")
_TAGGED_DOUBLE = Struct("<Bd")
_TAGGED_SFIXED64 = Struct("<Bq")
_TAGGED_FIXED32 = Struct("<BI")


def encode_signal(event_index: int, instrument: int, signal: Signal, meta: bytes | None) -> bytes:
    """Write one Signal as an entry of SignalWindow.signals. meta: a serialised Struct, None for none."""
    body = _TAGGED_FIXED32.pack(0x0D, event_index) if event_index else b""
    if instrument:
        body += _TAGGED_FIXED32.pack(0x15, instrument)
    if signal.qty is None:
        body += bytes((0x18, signal.side))
    else:
        body += _SIDE_QTY.pack(0x18, signal.side, 0x21, signal.qty)
    if signal.price is not None:
        body += _TAGGED_DOUBLE.pack(0x29, signal.price)
    if signal.sl is not None or signal.tp is not None or signal.trail is not None:
        risk = b"" if signal.sl is None else _TAGGED_DOUBLE.pack(0x09, signal.sl)
        if signal.tp is not None:
            risk += _TAGGED_DOUBLE.pack(0x11, signal.tp)
        if signal.trail is not None:
            risk += _TAGGED_DOUBLE.pack(0x19, signal.trail)
        body += bytes((0x32, len(risk))) + risk
    if signal.valid_until_ns is not None:
        body += _TAGGED_SFIXED64.pack(0x39, signal.valid_until_ns)
    if signal.adjust_only:
        body += b"\x40\x01"
    if meta is not None:
        body += b"\x4a" + _varint(len(meta)) + meta
    return b"\x1a" + _varint(len(body)) + body


def encode_intent(event_index: int, instrument: int, intent: Intent, meta: bytes | None) -> bytes:
    """Write one OrderIntent as an entry of SignalWindow.intents. meta: a serialised Struct, None for none."""
    message = signal_pb2.OrderIntent(
        event_index=event_index,
        kind=order_pb2.OrderIntentKind.ValueType(intent.kind),
        instrument=instrument,
        client_id=intent.client_id,
        side=signal_pb2.Side.ValueType(intent.side or 0),
        type=order_pb2.OrderType.ValueType(intent.type or 0),
        qty=intent.qty,
        price=intent.price,
        stop_price=intent.stop_price,
        trail=intent.trail,
        tif=order_pb2.TimeInForce.ValueType(intent.tif or 0),
        valid_until_ns=intent.valid_until_ns,
        reduce_only=intent.reduce_only,
        post_only=intent.post_only,
        oco=intent.oco,
        position=intent.position,
    )
    if (intent.sl, intent.tp, intent.risk_trail) != (None, None, None):
        message.risk.CopyFrom(signal_pb2.Risk(sl=intent.sl, tp=intent.tp, trail=intent.risk_trail))
    if meta is not None:
        message.meta.ParseFromString(meta)
    body = message.SerializeToString(deterministic=True)
    return b"\x2a" + _varint(len(body)) + body


class _Unusual(Exception):
    """The fast reader met something that it leaves to the generated parser."""


def _read_window(data: bytes) -> Window:
    """Read an OnEventRequest with nothing but a window whose fields are known, in order and packed."""
    length, pos = _read_varint(data, 1)
    end = len(data)
    if pos + length != end:
        raise _Unusual
    view = memoryview(data)
    first_seq = count = 0
    time_ns = series = _EMPTY
    bars = ticks = marks = account = None
    warmup = False
    last_tag = 0
    while pos < end:
        tag = data[pos]
        if tag <= last_tag:
            raise _Unusual
        last_tag = tag
        pos += 1
        if tag == 0x09:
            (first_seq,) = _SFIXED64.unpack_from(data, pos)
            pos += 8
        elif tag == 0x15:
            (count,) = _FIXED32.unpack_from(data, pos)
            pos += 4
        elif tag == 0x48:
            if data[pos] > 1:
                raise _Unusual
            warmup = data[pos] == 1
            pos += 1
        else:
            length, pos = _read_varint(data, pos)
            stop = pos + length
            if stop > end:
                raise _Unusual
            part = view[pos:stop]
            if tag == 0x1A:
                time_ns = part.cast("q")
            elif tag == 0x22:
                series = part.cast("I")
            elif tag == 0x2A:
                bars = _read_columns(part, _BAR_FORMATS)
            elif tag == 0x32:
                ticks = _read_columns(part, _TICK_FORMATS)
            elif tag == 0x3A:
                account = bytes(part)
            elif tag == 0x42:
                marks = _read_marks(part)
            else:
                raise _Unusual
            pos = stop
    return Window(first_seq, count, warmup, time_ns, series, bars, ticks, account, marks)


def _read_columns(part: memoryview, formats: tuple[Format, ...]) -> list[Column]:
    """Read a message whose fields 1… are packed 8-byte values in the formats given."""
    columns = [_EMPTY] * len(formats)
    end = len(part)
    pos = 0
    last_tag = 0
    # Columns of one message are of one length: what stands before the first one stands before the others.
    before = b""
    length = 0
    while pos < end:
        tag = part[pos]
        number = tag >> 3
        if tag <= last_tag or tag & 7 != 2 or number > len(formats):
            raise _Unusual
        last_tag = tag
        begin = pos + 1
        pos = begin + len(before)
        if not before or part[begin:pos] != before:
            length, pos = _read_varint(part, begin)
            before = bytes(part[begin:pos])
        stop = pos + length
        if stop > end:
            raise _Unusual
        columns[number - 1] = part[pos:stop].cast(formats[number - 1])
        pos = stop
    return columns


def _read_marks(part: memoryview) -> Marks:
    equity: Column = _EMPTY
    free_margin: Column = _EMPTY
    unrealised: dict[PositionKey, Column] = {}
    trails: dict[PositionKey, Column] = {}
    orders: dict[str, Column] = {}
    pos = 0
    last_tag = 0
    while pos < len(part):
        tag = part[pos]
        if tag < last_tag or (tag == last_tag and tag not in (0x1A, 0x22)):
            raise _Unusual
        last_tag = tag
        length, pos = _read_varint(part, pos + 1)
        stop = pos + length
        if stop > len(part):
            raise _Unusual
        if tag == 0x0A:
            equity = part[pos:stop].cast("d")
        elif tag == 0x12:
            free_margin = part[pos:stop].cast("d")
        elif tag == 0x1A:
            instrument, name, levels = 0, "", None
            if part[pos] == 0x0D:
                (instrument,) = _FIXED32.unpack_from(part, pos + 1)
                pos += 5
            if part[pos] != 0x12:
                raise _Unusual
            profits, pos = _read_doubles(part, pos + 1, stop)
            if pos < stop and part[pos] == 0x1A:
                levels, pos = _read_doubles(part, pos + 1, stop)
            if pos < stop and part[pos] == 0x22:
                name, pos = _read_text(part, pos + 1, stop)
            if (instrument, name) in unrealised:
                raise _Unusual
            unrealised[instrument, name] = profits
            if levels is not None:
                trails[instrument, name] = levels
        elif tag == 0x22 and part[pos] == 0x0A:
            name, pos = _read_text(part, pos + 1, stop)
            if part[pos] != 0x12 or name in orders:
                raise _Unusual
            orders[name], pos = _read_doubles(part, pos + 1, stop)
        else:
            raise _Unusual
        if tag >= 0x1A and pos != stop:
            raise _Unusual
        pos = stop
    return Marks(equity, free_margin, unrealised, trails, orders)


def _read_doubles(part: memoryview, pos: int, stop: int) -> tuple[Column, int]:
    """Return a packed column and the position behind it; pos: behind its tag, stop: end of its message."""
    length, pos = _read_varint(part, pos)
    if pos + length > stop:
        raise _Unusual
    return part[pos : pos + length].cast("d"), pos + length


def _read_text(part: memoryview, pos: int, stop: int) -> tuple[str, int]:
    """Return a text and the position behind it; pos: behind its tag, stop: end of its message."""
    length, pos = _read_varint(part, pos)
    if pos + length > stop:
        raise _Unusual
    return str(part[pos : pos + length], "utf-8"), pos + length


def _from_generated(message: window_pb2.EventWindow) -> Window:
    """Copy a parsed window into the same form that the fast reader gives."""

    def columns(
        part: window_pb2.BarColumns | window_pb2.TickColumns, names: Sequence[str], formats: tuple[Format, ...]
    ) -> list[Column]:
        return [memoryview(array(f, getattr(part, name))) for f, name in zip(formats, names, strict=True)]

    marks = None
    if message.HasField("marks"):
        marks = Marks(
            memoryview(array("d", message.marks.equity)),
            memoryview(array("d", message.marks.free_margin)),
            {(m.instrument, m.position): memoryview(array("d", m.unrealised_pnl)) for m in message.marks.instruments},
            {
                (m.instrument, m.position): memoryview(array("d", m.trail_level))
                for m in message.marks.instruments
                if m.trail_level
            },
            {m.client_id: memoryview(array("d", m.level)) for m in message.marks.orders},
        )
    return Window(
        message.first_seq,
        message.count,
        message.warmup,
        memoryview(array("q", message.time_ns)),
        memoryview(array("I", message.series)),
        columns(message.bars, BAR_COLUMNS, _BAR_FORMATS) if message.HasField("bars") else None,
        columns(message.ticks, TICK_COLUMNS, _TICK_FORMATS) if message.HasField("ticks") else None,
        message.account.SerializeToString() if message.HasField("account") else None,
        marks,
    )


def _checked(window: Window) -> Window:
    """Return the window. Raises WindowMalformed where the lengths of its columns do not fit one another."""
    count = window.count
    _check_length("time_ns", len(window.time_ns), count)
    if len(window.series):
        _check_length("series", len(window.series), count)
    bars = len(window.bars[0]) if window.bars is not None else 0
    ticks = len(window.ticks[0]) if window.ticks is not None else 0
    if bars + ticks != count:
        raise WindowMalformed(f"a window has {bars} bars and {ticks} ticks", f"{count} events, its count")
    if window.bars is not None:
        lengths = [*map(len, window.bars)]
        if lengths != [bars] * 6 + [0] * 4:
            for name, length in zip(BAR_COLUMNS, lengths, strict=True):
                if length or not name.startswith("ask_"):
                    _check_length(f"bars.{name}", length, bars)
    if window.ticks is not None:
        for name, column in zip(TICK_COLUMNS, window.ticks, strict=True):
            if len(column) or name in ("bid", "ask"):
                _check_length(f"ticks.{name}", len(column), ticks)
    if window.marks is not None:
        entries = count or 1  # a window of count 0 tells how things are now
        _check_length("marks.equity", len(window.marks.equity), entries)
        _check_length("marks.free_margin", len(window.marks.free_margin), entries)
        for columns in (window.marks.unrealised, window.marks.trail_levels):
            for (instrument, name), column in columns.items():
                where = f"{instrument}, {name!r}" if name else str(instrument)
                _check_length(f"marks.instruments[{where}]", len(column), entries)
        for client_id, column in window.marks.order_levels.items():
            _check_length(f"marks.orders[{client_id}]", len(column), entries)
    return window


def _check_length(name: str, have: int, want: int) -> None:
    if have != want:
        raise WindowMalformed(f"{name} has {have} values", f"{want} values")


def _read_varint(data: bytes | memoryview, pos: int) -> tuple[int, int]:
    """Return the value of at most five bytes and the position behind it."""
    value = shift = 0
    while True:
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, pos
        shift += 7
        if shift > 28:
            raise _Unusual


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
