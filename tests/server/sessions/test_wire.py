"""The session's own serialiser against the generated code, byte for byte, and what an answer is rebuilt to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st
from plain_tape import PlainEvent, plain_moments, tapes

from boxgate_engine.errors import BoxgateError
from boxgate_engine.intent_intake import RAW_INTENT
from boxgate_engine.kernel.records import Marks
from boxgate_engine.signal_intake import RAW_SIGNAL
from boxgate_engine.tape import Chunk, Source, Tape
from boxgate_proto.strategy.v1 import account_pb2, signal_pb2, window_pb2
from boxgate_proto.strategy.v1.strategy_pb2 import OnEventRequest, OnEventResponse
from boxgate_sdk._wire import decode_request
from boxgate_server.sessions._wire import Held, Levels, continuation_message, plain_struct, read_answer, window_message

BARS = ("open_ns", "open", "high", "low", "close", "volume", "ask_open", "ask_high", "ask_low", "ask_close")
TICKS = ("bid", "ask", "last", "volume")
numbers = st.floats(allow_nan=False)


@given(st.data(), tapes(), st.integers(-300, 300), st.integers(1, 12))
def test_a_window_has_the_bytes_of_the_generated_code(
    data: st.DataObject, sources: list[Source], first_seq: int, events_max: int
) -> None:
    tape = Tape(sources, first_seq=first_seq)
    if not tape.merged_events:
        return
    chunk = tape.chunk(0, events_max)
    first = data.draw(st.integers(0, chunk.moments))
    end = data.draw(st.integers(first, chunk.moments))
    warmup = data.draw(st.booleans())
    account = data.draw(st.none() | accounts())
    marks = data.draw(st.none() | marks_of(chunk))
    rows = data.draw(st.lists(st.integers(0, 2), unique=True).map(sorted)) if marks else []
    held = [Held(row, data.draw(st.integers(0, 2)), data.draw(st.sampled_from(["", "ticket-7"]))) for row in rows]
    written = window_message(
        chunk,
        first,
        end,
        warmup=warmup,
        account=account.SerializeToString() if account else b"",
        marks=marks,
        held=held,
    )
    moments = plain_moments(sources)
    before = sum(event.delivered for moment in moments[:first] for event in moment)
    events = [event for moment in moments[first:end] for event in moment]
    window = expected_window(sources, events)
    window.first_seq = first_seq + before
    window.warmup = warmup
    if account:
        window.account.CopyFrom(account)
    if marks:
        start = int(chunk.quotes.moment_start[first])
        window.marks.CopyFrom(expected_marks(marks, [start + k for k, e in enumerate(events) if e.delivered], held))
    assert written == OnEventRequest(window=window).SerializeToString()
    assert window.count == 0 or decode_request(written) is not None


def expected_window(sources: list[Source], events: list[PlainEvent]) -> window_pb2.EventWindow:
    """The message of the delivered events, one value at a time."""
    session = [source for source in sources if source.delivered >= 0]
    shown = [event for event in events if event.delivered]
    window = window_pb2.EventWindow(count=len(shown), time_ns=[event.time_ns for event in shown])
    if len({source.delivered for source in session}) > 1:
        window.series.extend(event.source.delivered for event in shown)
    for columns, names, tick in ((window.bars, BARS, False), (window.ticks, TICKS, True)):
        mine = [event for event in shown if event.tick == tick]
        for name in names if mine else ():
            if any(name in source.columns for source in session if (source.frame == "tick") == tick):
                getattr(columns, name).extend(event.values.get(name, math.nan) for event in mine)
    return window


def expected_marks(marks: Marks, quotes: list[int], held: list[Held]) -> account_pb2.Marks:
    message = account_pb2.Marks()
    message.equity.extend(float(marks.equity[k]) for k in quotes)
    message.free_margin.extend(float(marks.free_margin[k]) for k in quotes)
    for row, instrument, name in held:
        profit = [float(marks.profit[row][k]) for k in quotes]
        message.instruments.add(instrument=instrument, unrealised_pnl=profit, position=name)
    return message


@st.composite
def marks_of(draw: st.DrawFn, chunk: Chunk) -> Marks:
    count = len(chunk.quotes.events)
    column = st.lists(st.floats(), min_size=count, max_size=count).map(np.array)
    return Marks(draw(column), draw(column), np.array([draw(column) for _ in range(3)]).reshape(3, count))


@st.composite
def accounts(draw: st.DrawFn) -> account_pb2.Account:
    """Accounts of every size: the length of the nested message takes one to three bytes."""
    account = account_pb2.Account(version=draw(st.integers(1, 2**40)), cash=draw(numbers))
    for k in range(draw(st.sampled_from([0, 1, 3, 400]))):
        account.updates.add(kind=account_pb2.ACCOUNT_UPDATE_KIND_FILL, instrument=k % 3, seq=k, price=draw(numbers))
    account.targets.add(instrument=2, side=signal_pb2.SIDE_FLAT)
    return account


@pytest.mark.parametrize("count", [1, 15, 16, 2_047, 2_048, 16_384])
def test_lengths_of_columns_are_written_as_the_generated_code_does(count: int) -> None:
    """A length takes another byte at 2^7 and 2^14 bytes, and at 2^21 a fourth."""
    columns: dict[str, np.ndarray] = {name: np.arange(count, dtype=np.float64) + 1 for name in BARS[1:]}
    columns["open_ns"] = np.arange(count) * 60_000_000_000
    source = Source(
        instrument=0,
        frame="M1",
        columns=columns,
        rows=slice(0, count),
        executes=False,
        spread=0.0,
        tick_size=Fraction(1, 100),
        delivered=0,
    )
    chunk = Tape([source]).chunk(0, count)
    expected = window_pb2.EventWindow(count=count, time_ns=(columns["open_ns"] + 60_000_000_000).tolist())
    for name in BARS:
        getattr(expected.bars, name).extend(columns[name].tolist())
    assert window_message(chunk, 0, count) == OnEventRequest(window=expected).SerializeToString()


# -------------------------------------------------------------------------------------------------------------------
# Answers.

optional_numbers = st.none() | st.floats()


@st.composite
def signals(draw: st.DrawFn) -> signal_pb2.Signal:
    signal = signal_pb2.Signal(
        event_index=draw(st.integers(0, 2**32 - 1)),
        instrument=draw(st.integers(0, 2**32 - 1)),
        adjust_only=draw(st.booleans()),
    )
    side: Any = draw(st.sampled_from([0, 1, 2, 3, 99, -1, -(2**31)]))
    signal.side = side
    for name in ("qty", "price"):
        value = draw(optional_numbers)
        if value is not None:
            setattr(signal, name, value)
    if draw(st.booleans()):
        signal.risk.SetInParent()
        for name in ("sl", "tp", "trail"):
            value = draw(optional_numbers)
            if value is not None:
                setattr(signal.risk, name, value)
    if draw(st.booleans()):
        signal.valid_until_ns = draw(st.integers(-(2**63), 2**63 - 1))
    if draw(st.booleans()):
        signal.meta.update(draw(metas))
    return signal


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)


metas = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | numbers.filter(math.isfinite) | st.text(max_size=5), _nested, max_leaves=6
    ),
    max_size=3,
)


@given(st.lists(signals(), max_size=5), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**32 - 1))
def test_an_answer_is_rebuilt_from_its_public_values(
    sent: list[signal_pb2.Signal], first_seq: int, consumed: int
) -> None:
    window = signal_pb2.SignalWindow(first_seq=first_seq, consumed=consumed, signals=sent)
    raw = OnEventResponse(signals=window).SerializeToString()
    for keep_meta in (False, True):
        answer = read_answer(raw, seq=0, keep_meta=keep_meta)
        assert (answer.first_seq, answer.consumed) == (first_seq, consumed)
        assert answer.signals.dtype == RAW_SIGNAL
        for record, signal in zip(answer.signals, sent, strict=True):
            assert (record["event"], record["instrument"]) == (signal.event_index, signal.instrument)
            assert (record["side"], record["adjust_only"]) == (signal.side, signal.adjust_only)
            assert_optional(record, "qty", signal.qty if signal.HasField("qty") else None)
            assert_optional(record, "price", signal.price if signal.HasField("price") else None)
            for name in ("sl", "tp", "trail"):
                has = signal.HasField("risk") and signal.risk.HasField(name)
                assert_optional(record, name, getattr(signal.risk, name) if has else None)
            assert record["has_until"] == signal.HasField("valid_until_ns")
            assert record["valid_until_ns"] == signal.valid_until_ns
        if keep_meta:
            assert answer.meta == [plain_struct(s.meta) if s.HasField("meta") else None for s in sent]
        else:
            assert answer.meta is None


def assert_optional(record: Any, name: str, value: float | None) -> None:
    assert record[f"has_{name}"] == (value is not None)
    assert np.array([record[name]]).tobytes() == np.array([0.0 if value is None else value]).tobytes()


@st.composite
def intents(draw: st.DrawFn) -> signal_pb2.OrderIntent:
    """Any intent that the wire can carry, right or wrong."""
    small = st.integers(0, 2**31 - 1)
    intent = signal_pb2.OrderIntent(
        event_index=draw(st.integers(0, 2**32 - 1)),
        instrument=draw(st.integers(0, 2**32 - 1)),
        client_id=draw(st.text(max_size=5)),
        oco=draw(st.text(max_size=5)),
        reduce_only=draw(st.booleans()),
        post_only=draw(st.booleans()),
    )
    for name in ("kind", "side", "type", "tif"):
        setattr(intent, name, draw(small))
    for name in ("qty", "price", "stop_price", "trail"):
        if draw(st.booleans()):
            setattr(intent, name, draw(numbers))
    if draw(st.booleans()):
        intent.risk.SetInParent()
        for name in ("sl", "tp", "trail"):
            if draw(st.booleans()):
                setattr(intent.risk, name, draw(numbers))
    if draw(st.booleans()):
        intent.valid_until_ns = draw(st.integers(-(2**63), 2**63 - 1))
    if draw(st.booleans()):
        intent.meta.update(draw(metas))
    return intent


@given(st.lists(intents(), max_size=5), st.booleans())
def test_intents_are_rebuilt_from_their_public_values_and_names(sent: list[Any], more: bool) -> None:
    window = signal_pb2.SignalWindow(first_seq=3, consumed=2, intents=sent, more=more)
    raw = OnEventResponse(signals=window).SerializeToString()
    for keep_meta in (False, True):
        answer = read_answer(raw, seq=3, keep_meta=keep_meta, orders=True, continues=True)
        assert (answer.first_seq, answer.consumed, answer.more, len(answer.signals)) == (3, 2, more, 0)
        assert answer.intents.rows.dtype == RAW_INTENT
        assert list(answer.intents.client_ids) == [intent.client_id for intent in sent]
        assert list(answer.intents.ocos) == [intent.oco for intent in sent]
        for record, intent in zip(answer.intents.rows, sent, strict=True):
            assert record["event"] == intent.event_index
            for name in ("kind", "instrument", "side", "type", "tif", "reduce_only", "post_only"):
                assert record[name] == getattr(intent, name)
            for name in ("qty", "price", "stop_price", "trail"):
                assert_optional(record, name, getattr(intent, name) if intent.HasField(name) else None)
            for name, field in (("sl", "sl"), ("tp", "tp"), ("risk_trail", "trail")):
                has = intent.HasField("risk") and intent.risk.HasField(field)
                assert_optional(record, name, getattr(intent.risk, field) if has else None)
            assert record["has_valid_until_ns"] == intent.HasField("valid_until_ns")
            assert record["valid_until_ns"] == intent.valid_until_ns
        assert answer.meta == (
            [plain_struct(i.meta) if i.HasField("meta") else None for i in sent] if keep_meta else None
        )


@pytest.mark.parametrize("first_seq", [0, 77])
def test_what_comes_behind_an_unfinished_answer_is_written_as_the_generated_code_writes_it(first_seq: int) -> None:
    marks = Marks(np.arange(3.0), np.arange(3.0) + 10, np.arange(6.0).reshape(2, 3))
    levels = Levels({1: np.array([np.nan, 2.5, 3.5])}, {"stop-1": np.array([7.0, 8.0, 9.0])})
    account = account_pb2.Account(version=3, cash=5.0)
    expected = window_pb2.EventWindow(first_seq=first_seq, account=account)
    expected.marks.equity.append(1.0)
    expected.marks.free_margin.append(11.0)
    expected.marks.instruments.add(instrument=0, unrealised_pnl=[1.0])
    expected.marks.instruments.add(instrument=1, unrealised_pnl=[4.0], trail_level=[2.5], position="b")
    expected.marks.orders.add(client_id="stop-1", level=[8.0])
    held = [Held(0, 0), Held(1, 1, "b")]
    raw = continuation_message(first_seq, account.SerializeToString(), marks, 1, held=held, levels=levels)
    assert raw == OnEventRequest(window=expected).SerializeToString()


def test_a_number_that_json_does_not_have_is_null_in_meta() -> None:
    meta = Struct()
    meta.update({"nan": math.nan, "deep": [{"inf": math.inf}, -math.inf, 1.5, -0.0], "none": None, "text": "NaN"})
    meta.fields["empty"].SetInParent()  # a value of no kind
    assert plain_struct(meta) == {
        "nan": None,
        "deep": [{"inf": None}, None, 1.5, -0.0],
        "none": None,
        "text": "NaN",
        "empty": None,
    }


def varint(value: int, *, width: int = 0) -> bytes:
    """Return a varint; width: at least so many bytes, more than it needs."""
    out = bytearray()
    while value > 0x7F or len(out) + 1 < width:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, body: bytes, *, width: int = 0) -> bytes:
    """Return a length-delimited field; width: bytes of its tag and of its length."""
    return varint(number << 3 | 2, width=width) + varint(len(body), width=width) + body


def test_odd_but_legal_encodings_are_rebuilt_to_the_same_answer() -> None:
    """S17: over-long varints, fields twice and in another order, unknown fields."""
    plain = signal_pb2.Signal(event_index=1, side=signal_pb2.SIDE_BUY, qty=2.0)
    window = signal_pb2.SignalWindow(first_seq=7, consumed=3, signals=[plain])
    ours = read_answer(OnEventResponse(signals=window).SerializeToString(), seq=7, keep_meta=False)
    side = varint(3 << 3) + varint(int(plain.side), width=9)
    rest = signal_pb2.Signal(event_index=1, qty=2.0).SerializeToString()
    first = signal_pb2.Signal(event_index=9, qty=5.0).SerializeToString()
    signal = field(1000, b"unknown") + side + first + rest
    head = signal_pb2.SignalWindow(first_seq=99, consumed=3).SerializeToString()
    odd = field(3, signal, width=4) + head + signal_pb2.SignalWindow(first_seq=7).SerializeToString()
    raw = field(1, odd, width=3) + field(2000, b"unknown")
    theirs = read_answer(raw, seq=7, keep_meta=False)
    assert (theirs.first_seq, theirs.consumed) == (ours.first_seq, ours.consumed)
    assert theirs.signals.tobytes() == ours.signals.tobytes()


def nested(depth: int) -> bytes:
    meta = b""
    for _ in range(depth):
        meta = field(1, field(1, b"k") + field(2, field(5, meta)))
    return field(1, field(3, field(9, meta)))


BROKEN: dict[str, Callable[[], bytes]] = {
    "noise": lambda: b"\xff\xff\xff",
    "cut off": lambda: OnEventResponse(signals=signal_pb2.SignalWindow(first_seq=7)).SerializeToString()[:-1],
    "nested too deeply": lambda: nested(200),
    "a text that is no UTF-8": lambda: field(1, field(3, field(9, field(1, field(1, b"\xff\xfe"))))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_bytes_that_are_no_message_are_not_read(name: str) -> None:
    """S16."""
    with pytest.raises(DecodeError):
        read_answer(BROKEN[name](), seq=7, keep_meta=True)


def test_an_answer_without_signals_field_and_an_unfinished_one_are_refused() -> None:
    empty = OnEventResponse().SerializeToString()
    unfinished = OnEventResponse(signals=signal_pb2.SignalWindow(first_seq=7, more=True)).SerializeToString()
    for raw, code in ((empty, "PROTO_DECODE"), (unfinished, "CAPABILITY_NOT_GRANTED")):
        with pytest.raises(BoxgateError) as caught:
            read_answer(raw, seq=7, keep_meta=False)
        assert (caught.value.error_code, caught.value.as_dict()["seq"]) == (code, 7)


def test_every_presence_of_optional_fields_is_told_apart_from_zero() -> None:
    names = ("qty", "price", "sl", "tp")
    for present in itertools.product([False, True], repeat=4):
        signal = signal_pb2.Signal(side=signal_pb2.SIDE_BUY)
        for name, is_set in zip(names, present, strict=True):
            if is_set:
                setattr(signal if name in ("qty", "price") else signal.risk, name, 0.0)
        raw = OnEventResponse(signals=signal_pb2.SignalWindow(signals=[signal])).SerializeToString()
        (record,) = read_answer(raw, seq=0, keep_meta=False).signals
        assert tuple(record[f"has_{name}"] for name in names) == present
