"""Answers that are taken in at once against the general way, on random answers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.errors import BoxgateError
from boxgate_engine.instruments import Instrument
from boxgate_engine.signal_intake import kernel_specs, take_signals
from boxgate_proto.strategy.v1 import signal_pb2
from boxgate_proto.strategy.v1.strategy_pb2 import OnEventResponse
from boxgate_server.sessions._feedback_answers import FeedbackAnswers
from boxgate_server.sessions._wire import read_answer

INSTRUMENTS = [
    Instrument(
        symbol=name, asset_class="crypto", quote_currency="USD", tick_size=Fraction(tick), lot_size=Fraction(lot)
    )
    for name, tick, lot in (("A", "0.01", "1"), ("B", "0.5", "0.001"))
]
SEQ, COUNT, FIRST = 100, 6, 4
QUOTE_INDEX = np.array([0, 1, 3, 4, 6, 8, 9, 11, 12, 15, 16, 17])
prices = st.none() | st.sampled_from([0.0, -1.0, 0.001, 1.0, 1.237, float("nan"), float("inf"), 2.0**60])


@st.composite
def signals(draw: st.DrawFn) -> signal_pb2.Signal:
    signal = signal_pb2.Signal(
        event_index=draw(st.integers(0, COUNT)),
        instrument=draw(st.sampled_from([0, 0, 1, 2])),
        side=signal_pb2.Side.ValueType(draw(st.sampled_from([1, 1, 2, 2, 3, 3, 0, 4]))),
        adjust_only=draw(st.booleans()),
    )
    for message, name in ((signal, "qty"), (signal, "price"), (signal.risk, "sl"), (signal.risk, "tp")):
        if (value := draw(prices)) is not None:
            setattr(message, name, value)
    if draw(st.booleans()):
        signal.valid_until_ns = draw(st.integers(0, 2**62))
    return signal


@given(
    st.lists(signals(), max_size=2), st.integers(0, COUNT + 1), st.sampled_from([SEQ, SEQ, SEQ, SEQ + 1]), st.booleans()
)
def test_what_is_taken_at_once_is_what_the_general_way_takes(
    said: list[signal_pb2.Signal], consumed: int, first_seq: int, unknown: bool
) -> None:
    specs = kernel_specs(INSTRUMENTS)
    raw = OnEventResponse(
        signals=signal_pb2.SignalWindow(first_seq=first_seq, consumed=consumed, signals=said)
    ).SerializeToString() + (b"\x78\x01" if unknown else b"")
    answers = FeedbackAnswers(specs)
    for _ in range(2):  # nothing of the first is left in the second
        taken = answers.take(raw, SEQ, COUNT, QUOTE_INDEX, FIRST)
        if taken is None:
            continue
        answer = read_answer(raw, seq=SEQ, keep_meta=True)
        assert (answer.first_seq, answer.consumed) == (SEQ, taken.consumed)
        assert 1 <= taken.consumed <= COUNT
        moment = np.arange(taken.consumed)
        expected, rounded, _ = take_signals(answer.signals, specs, INSTRUMENTS, seq=moment, moment=moment)
        expected["event"] = QUOTE_INDEX[FIRST + expected["event"]]
        assert taken.signals.tobytes() == expected.tobytes()
        assert taken.rounded == rounded
    right = first_seq == SEQ and 1 <= consumed <= COUNT and len(said) <= 1 and not unknown
    assert (taken is not None) == (right and _is_valid(raw, consumed))


def _is_valid(raw: bytes, consumed: int) -> bool:
    moment = np.arange(consumed)
    answer = read_answer(raw, seq=SEQ, keep_meta=True)
    try:
        take_signals(answer.signals, kernel_specs(INSTRUMENTS), INSTRUMENTS, seq=moment, moment=moment)
    except BoxgateError:
        return False
    return True
