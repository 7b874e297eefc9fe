"""Answers of the usual form are read as the generated code reads them, and no others are read at all."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from boxgate_proto.strategy.v1.signal_pb2 import SIDE_BUY, OrderIntent, Risk, Signal, SignalWindow
from boxgate_proto.strategy.v1.strategy_pb2 import OnEventResponse
from boxgate_server.sessions import _wire
from boxgate_server.sessions._signal_rows import read_signal_rows

numbers = st.none() | st.floats(allow_nan=False)
words = st.integers(0, 2**32 - 1)
signals = st.builds(
    Signal,
    event_index=words,
    instrument=words,
    side=st.integers(0, 3),
    qty=numbers,
    price=numbers,
    risk=st.none() | st.builds(Risk, sl=numbers, tp=numbers, trail=numbers),
    valid_until_ns=st.none() | st.integers(-(2**63), 2**63 - 1),
    adjust_only=st.booleans(),
)
windows = st.builds(
    SignalWindow, first_seq=st.integers(-(2**63), 2**63 - 1), consumed=words, signals=st.lists(signals, max_size=5)
)


@given(windows)
def test_every_answer_of_signals_is_read_as_the_generated_code_reads_it(window: SignalWindow) -> None:
    read = read_signal_rows(_answer(window))
    assert read is not None
    assert (read.first_seq, read.consumed) == (window.first_seq, window.consumed)
    assert [tuple(row) for row in read.signals] == [_wire._public_values(signal) for signal in window.signals]


@given(windows, st.data())
def test_other_bytes_are_read_equally_or_left_to_the_generated_code(window: SignalWindow, data: st.DataObject) -> None:
    raw = bytearray(_answer(window))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        if data.draw(st.booleans()):
            raw[at] = data.draw(st.integers(0, 255))
        else:
            del raw[at : at + data.draw(st.integers(1, 9))]
        if not raw:
            return
    read = read_signal_rows(bytes(raw))
    if read is None:
        return
    parsed = OnEventResponse.FromString(bytes(raw)).signals
    assert (read.first_seq, read.consumed) == (parsed.first_seq, parsed.consumed)
    assert not parsed.intents
    assert not parsed.more
    expected = np.array([_wire._public_values(signal) for signal in parsed.signals], read.signals.dtype)
    for name in read.signals.dtype.names or ():
        assert_array_equal(read.signals[name], expected[name])


def test_what_is_unusual_is_left_to_the_generated_code() -> None:
    signal = Signal(side=SIDE_BUY, qty=1.0)
    with_meta = Signal(side=SIDE_BUY, qty=1.0)
    with_meta.meta["why"] = "x"
    unusual = [
        b"",
        b"\x0a\x05",
        _answer(SignalWindow(signals=[with_meta])),
        _answer(SignalWindow(intents=[OrderIntent()])),
        _answer(SignalWindow(signals=[signal], more=True)),
        _answer(SignalWindow(first_seq=1)) + b"\x10\x01",
        _answer(SignalWindow(first_seq=1)) * 2,
        b"\x0a\x0a\x1a\x08\x18\x01\x15" + struct.pack("<I", 3) + b"\x00",
    ]
    assert [read_signal_rows(raw) for raw in unusual] == [None] * len(unusual)


def _answer(window: SignalWindow) -> bytes:
    raw: bytes = OnEventResponse(signals=window).SerializeToString()
    return raw
