"""Protobuf at the edge of a session: windows are written as bytes, answers are rebuilt as plain records.

Columns are little-endian arrays on the wire, so a window is a few tags and lengths around the arrays' own bytes.
What leaves here for the engine is a record array, RAW_SIGNAL or RAW_INTENT, which has no room for anything but public
values; the names of orders, by which the gateway finds them, and the meta of a debug run travel beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from boxgate_engine.errors import RunFailed
from boxgate_engine.intent_intake import RAW_INTENT, RawIntents
from boxgate_engine.kernel.records import Marks
from boxgate_engine.signal_intake import RAW_SIGNAL
from boxgate_engine.tape import Chunk
from boxgate_proto.strategy.v1.signal_pb2 import OrderIntent, Signal, SignalWindow
from boxgate_proto.strategy.v1.strategy_pb2 import OnEventRequest, OnEventResponse, OpenStream
from boxgate_server.sessions._signal_rows import read_signal_rows

MESSAGE_BYTES_MAX: Final = 4 << 20
"""Largest message of the contract."""

_BAR_FIELDS: Final = (
    "open_ns", "open", "high", "low", "close", "volume", "ask_open", "ask_high", "ask_low", "ask_close",
)  # fmt: skip
_TICK_FIELDS: Final = ("bid", "ask", "last", "volume")
_NO_RAW_INTENTS: Final = RawIntents(np.zeros(0, RAW_INTENT), [], [])


def open_message(session_id: str) -> bytes:
    """Return the first message of a stream."""
    return OnEventRequest(open=OpenStream(session_id=session_id)).SerializeToString()


class Held(NamedTuple):
    """An open position. row: in the marks. instrument: its index. position: its name, empty for none."""

    row: int
    instrument: int
    position: str = ""


@dataclass(frozen=True, eq=False)
class Levels:
    """Where trailing stops stand at each quote of a chunk, NaN while there is none.

    positions: by row in the marks, for positions with a trail. orders: by client_id, for TRAILING_STOP orders.
    """

    positions: Mapping[int, np.ndarray]
    orders: Mapping[str, np.ndarray]


def window_message(
    chunk: Chunk,
    first: int,
    end: int,
    *,
    warmup: bool = False,
    account: bytes = b"",
    marks: Marks | None = None,
    held: Iterable[Held] = (),
    levels: Levels | None = None,
) -> bytes:
    """Return the OnEventRequest with the delivered events of moments [first, end) of a chunk.

    account: a serialised Account, and marks of the chunk's quotes, with FEEDBACK. held: positions whose profit is
    sent. levels: where trailing stops stand. Byte for byte what the generated code makes of the same message.
    """
    events = slice(int(chunk.event_offset[first]), int(chunk.event_offset[end]))
    bars = slice(int(chunk.bar_offset[first]), int(chunk.bar_offset[end]))
    ticks = slice(int(chunk.tick_offset[first]), int(chunk.tick_offset[end]))
    columns = chunk.columns
    parts: list[Any] = []
    first_seq = chunk.first_seq + events.start
    if first_seq:
        parts.append(b"\x09" + first_seq.to_bytes(8, "little", signed=True))
    if events.stop > events.start:
        parts.append(b"\x15" + (events.stop - events.start).to_bytes(4, "little"))
    _packed(parts, 3, columns.time_ns[events])
    if columns.series is not None:
        _packed(parts, 4, columns.series[events])
    if bars.stop > bars.start:
        _nested(parts, 5, _BAR_FIELDS, columns.bars, bars)
    if ticks.stop > ticks.start:
        _nested(parts, 6, _TICK_FIELDS, columns.ticks, ticks)
    if account:
        parts += [_tag(7, len(account)), account]
    if marks is not None:
        _marks(parts, marks, chunk.quote_index[events], held, levels)
    if warmup:
        parts.append(b"\x48\x01")
    return b"".join([_tag(2, _size(parts)), *parts])


def continuation_message(
    first_seq: int, account: bytes, marks: Marks, at: int, *, held: Iterable[Held] = (), levels: Levels | None = None
) -> bytes:
    """Return the OnEventRequest behind an answer marked `more`: the account, and the marks of event `at` of the quotes.

    first_seq: of the window that was answered.
    """
    parts: list[Any] = [b"\x09" + first_seq.to_bytes(8, "little", signed=True)] if first_seq else []
    parts += [_tag(7, len(account)), account]
    _marks(parts, marks, np.array([at]), held, levels)
    return b"".join([_tag(2, _size(parts)), *parts])


class Answer(NamedTuple):
    """One SignalWindow, rebuilt. signals: RAW_SIGNAL records. more: it is unfinished.

    meta: per signal or intent canonical JSON values, debug only.
    """

    first_seq: int
    consumed: int
    signals: np.ndarray
    intents: RawIntents
    more: bool
    meta: list[dict[str, Any] | None] | None


def read_answer(
    raw: bytes, *, seq: int, keep_meta: bool, orders: bool = False, hedging: bool = False, continues: bool = False
) -> Answer:
    """Return the answer in the bytes of an OnEventResponse. seq: first event of its window, for errors.

    orders: the session has intents instead of signals. hedging: these may name positions. continues: the answer may be
    unfinished.
    Raises DecodeError for bytes that are no such message, RunFailed for one that breaks the contract.
    """
    if not orders and (usual := read_signal_rows(raw)) is not None:
        return Answer(*usual, _NO_RAW_INTENTS, False, [None] * len(usual.signals) if keep_meta else None)
    response = OnEventResponse.FromString(raw)
    if not response.HasField("signals"):
        raise protocol_error("PROTO_DECODE", "the answer has no signals field", seq=seq, expected="a SignalWindow")
    window: SignalWindow = response.signals
    if window.more and not continues:
        raise protocol_error(
            "CAPABILITY_NOT_GRANTED",
            "the answer is marked as unfinished",
            seq=seq,
            expected="more = false in the warm-up, and in a session without ORDERS and FEEDBACK",
        )
    if window.intents and not orders:
        raise protocol_error(
            "CAPABILITY_NOT_GRANTED", "the answer has order intents", seq=seq, expected="no intents without ORDERS"
        )
    if window.signals and orders:
        raise protocol_error(
            "SIGNAL_MIXED", "the answer has signals", seq=seq, expected="intents alone in a session with ORDERS"
        )
    if not hedging and any(intent.position for intent in window.intents):
        raise protocol_error(
            "CAPABILITY_NOT_GRANTED", "an intent names a position", seq=seq, expected="no position without HEDGING"
        )
    signals = np.array([_public_values(signal) for signal in window.signals], RAW_SIGNAL)
    intents = RawIntents(
        np.array([_public_intent(intent) for intent in window.intents], RAW_INTENT),
        [intent.client_id for intent in window.intents],
        [intent.oco for intent in window.intents],
        [intent.position for intent in window.intents] if hedging else (),
    )
    meta = None
    if keep_meta:
        said = window.intents if orders else window.signals
        meta = [plain_struct(one.meta) if one.HasField("meta") else None for one in said]
    return Answer(window.first_seq, window.consumed, signals, intents, window.more, meta)


def _public_values(signal: Signal) -> tuple[Any, ...]:
    """Return the values of a RAW_SIGNAL record: presence and value of every public field, and nothing else."""
    has_risk = signal.HasField("risk")
    risk = signal.risk
    return (
        signal.event_index,
        signal.instrument,
        signal.side,
        signal.HasField("qty"),
        signal.HasField("price"),
        has_risk and risk.HasField("sl"),
        has_risk and risk.HasField("tp"),
        has_risk and risk.HasField("trail"),
        signal.HasField("valid_until_ns"),
        signal.adjust_only,
        signal.qty,
        signal.price,
        risk.sl if has_risk else 0.0,
        risk.tp if has_risk else 0.0,
        risk.trail if has_risk else 0.0,
        signal.valid_until_ns,
    )


def _public_intent(intent: OrderIntent) -> tuple[Any, ...]:
    """Return the values of a RAW_INTENT record: presence and value of every public field, and nothing else."""
    has_risk = intent.HasField("risk")
    risk = intent.risk
    return (
        intent.event_index,
        intent.kind,
        intent.instrument,
        intent.side,
        intent.type,
        intent.tif,
        intent.HasField("qty"),
        intent.HasField("price"),
        intent.HasField("stop_price"),
        intent.HasField("trail"),
        intent.HasField("valid_until_ns"),
        has_risk and risk.HasField("sl"),
        has_risk and risk.HasField("tp"),
        has_risk and risk.HasField("trail"),
        intent.reduce_only,
        intent.post_only,
        intent.qty,
        intent.price,
        intent.stop_price,
        intent.trail,
        risk.sl if has_risk else 0.0,
        risk.tp if has_risk else 0.0,
        risk.trail if has_risk else 0.0,
        intent.valid_until_ns,
    )


def plain_struct(struct: Any) -> dict[str, Any]:
    """Return a protobuf Struct as JSON values; numbers that JSON does not have become null."""
    return {name: _plain_value(value) for name, value in struct.fields.items()}


def protocol_error(code: str, what: str, *, seq: int, expected: str) -> RunFailed:
    """Return the error of a sidecar that does not keep to the contract."""
    return RunFailed(
        what,
        code=code,
        where=f"answer to the window at event {seq}",
        expected=expected,
        remedy="correct the sidecar; docs/spec/strategy-protocol.md says what an answer must be",
        seq=seq,
    )


def _plain_value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain_struct(value.struct_value)
    if kind == "list_value":
        return [_plain_value(item) for item in value.list_value.values]
    if kind == "number_value":
        return value.number_value if math.isfinite(value.number_value) else None
    return None if kind in (None, "null_value") else getattr(value, kind)


def _marks(parts: list[Any], marks: Marks, index: np.ndarray, held: Iterable[Held], levels: Levels | None) -> None:
    body: list[Any] = []
    _packed(body, 1, marks.equity[index])
    _packed(body, 2, marks.free_margin[index])
    for row, instrument, position in held:
        inner: list[Any] = [b"\x0d" + instrument.to_bytes(4, "little")] if instrument else []
        _packed(inner, 2, marks.profit[row][index])
        if levels is not None and row in levels.positions:
            _packed(inner, 3, levels.positions[row][index])
        if position:
            inner += [_tag(4, len(position)), position.encode()]
        body += [_tag(3, _size(inner)), *inner]
    for client_id, level in levels.orders.items() if levels is not None else ():
        name = client_id.encode()
        inner = [_tag(1, len(name)), name]
        _packed(inner, 2, level[index])
        body += [_tag(4, _size(inner)), *inner]
    parts += [_tag(8, _size(body)), *body]


def _nested(parts: list[Any], field: int, names: tuple[str, ...], columns: dict[str, np.ndarray], rows: slice) -> None:
    body: list[Any] = []
    for number, name in enumerate(names, 1):
        if name in columns:
            _packed(body, number, columns[name][rows])
    parts += [_tag(field, _size(body)), *body]


def _packed(parts: list[Any], field: int, values: np.ndarray) -> None:
    if len(values):
        data = np.ascontiguousarray(values).data.cast("B")
        parts += [_tag(field, len(data)), data]


def _size(parts: list[Any]) -> int:
    return sum(map(len, parts))


def _tag(field: int, length: int) -> bytes:
    """Return the tag and length of a length-delimited field; field numbers here are below 16."""
    if length <= 0x7F:
        return bytes((field << 3 | 2, length))
    out = bytearray([field << 3 | 2])
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)
