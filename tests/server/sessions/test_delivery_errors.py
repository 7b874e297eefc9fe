"""Answers that break the contract fail the run by name; odd ones that do not are taken alike in every delivery."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from scripted import (
    BARS,
    MINUTE_NS,
    START_NS,
    WAYS,
    Answer,
    Played,
    ScriptedStream,
    Way,
    bars_of,
    play,
    saying,
    spoiling,
    two_instruments,
)

from boxgate_engine.errors import BoxgateError, RunFailed
from boxgate_engine.tape import Tape
from boxgate_proto.strategy.v1.signal_pb2 import SIDE_BUY, SIDE_FLAT, SIDE_SELL, Signal, SignalWindow
from boxgate_proto.strategy.v1.strategy_pb2 import OnEventResponse
from boxgate_server.sessions._wire import MESSAGE_BYTES_MAX

in_every_way = pytest.mark.parametrize("way", WAYS, ids=str)
AT = 8
"""The event at which a script does something; with windows of six events it lies inside the second."""


def fails(script: Answer, way: Way) -> BoxgateError:
    """Return the error that ends the session."""
    with pytest.raises(BoxgateError) as caught:
        play(script, way)
    error = caught.value
    assert isinstance(error, RunFailed)
    assert all((error.what, error.where, error.expected, error.remedy))
    return error


def seq_of(error: BoxgateError) -> Any:
    return error.as_dict().get("seq")


def window_of(way: Way, seq: int) -> int:
    """Return the first event of the window that holds an event."""
    size = 2 if way.lockstep else way.window_events
    return seq // size * size


# -------------------------------------------------------------------------------------------------------------------
# The frame of an answer.


@in_every_way
@pytest.mark.parametrize("shift", [1, -1, 2, -AT, 2**40])
def test_an_answer_to_another_window_is_a_wrong_number(way: Way, shift: int) -> None:
    """S13."""

    def spoil(said: SignalWindow) -> None:
        said.first_seq += shift

    error = fails(spoiling(AT, spoil), way)
    assert (error.error_code, seq_of(error)) == ("PROTO_SEQ", window_of(way, AT))
    assert str(window_of(way, AT) + shift) in error.what
    assert str(window_of(way, AT)) in error.expected


@pytest.mark.parametrize("way", [way for way in WAYS if not way.feedback], ids=str)
def test_answers_in_another_order_are_wrong_numbers(way: Way) -> None:
    """S13: several windows may be in flight; their answers may not change places."""
    kept: list[SignalWindow] = []

    def answer(window: Any) -> SignalWindow:
        kept.append(SignalWindow(first_seq=window.first_seq, consumed=window.count))
        return kept[-2] if len(kept) > 1 else kept[-1]

    assert fails(answer, way).error_code == "PROTO_SEQ"


@in_every_way
@pytest.mark.parametrize("consumed", [0, 1, 3, 7, 2**32 - 1])
def test_consumed_is_within_the_window_and_ends_a_moment(way: Way, consumed: int) -> None:
    """S13: moments are pairs of events, so that an odd number ends none."""

    def spoil(said: SignalWindow) -> None:
        said.consumed = consumed

    error = fails(spoiling(AT, spoil), way)
    assert (error.error_code, seq_of(error)) == ("PROTO_SEQ", window_of(way, AT))
    assert f"consumed is {consumed}" in error.what


def test_without_feedback_the_whole_window_is_consumed() -> None:
    def spoil(said: SignalWindow) -> None:
        said.consumed -= 2

    error = fails(spoiling(AT, spoil), Way(lockstep=False, feedback=False))
    assert error.error_code == "PROTO_SEQ"
    assert "6, the whole window" in error.expected


def test_with_feedback_nothing_is_consumed_beyond_an_effective_signal() -> None:
    """The account of the window no longer holds behind it."""
    said = saying({AT: [buy()]}, no_ops=[AT])  # it pretends that its signal changes nothing
    error = fails(said, Way(lockstep=False, feedback=True))
    assert (error.error_code, seq_of(error)) == ("PROTO_SEQ", 6)
    assert "effective" in error.what


def test_with_feedback_a_no_op_does_not_end_a_window() -> None:
    """FLAT is the standing target already; it is reported and the window goes on."""
    way = Way(lockstep=False, feedback=True)
    played = play(saying({AT: [flat()]}, no_ops=[AT]), way)
    assert played.delivery.round_trips == 2 * BARS / 6
    assert played.results.counts["no_ops"] == 1


@in_every_way
@pytest.mark.parametrize(
    ("name", "spoil", "code"),
    [
        ("unfinished", lambda said: said.__setattr__("more", True), "CAPABILITY_NOT_GRANTED"),
        ("no signals field", lambda _: OnEventResponse().SerializeToString(), "PROTO_DECODE"),
        ("nothing at all", lambda _: b"", "PROTO_DECODE"),
        ("noise", lambda _: b"\xff\xff\xff", "PROTO_DECODE"),
    ],
)
def test_an_answer_of_another_form_is_refused(way: Way, name: str, spoil: Any, code: str) -> None:
    """S16."""
    assert fails(spoiling(AT, spoil), way).error_code == code


# -------------------------------------------------------------------------------------------------------------------
# Signals that can never be right.

NAN_WITH_PAYLOAD = struct.unpack("<d", bytes.fromhex("efbeadde0000f87f"))[0]


def buy(**changes: Any) -> Signal:
    return _signal(SIDE_BUY, {"qty": 10.0, **changes})


def sell(**changes: Any) -> Signal:
    return _signal(SIDE_SELL, {"qty": 10.0, **changes})


def flat(**changes: Any) -> Signal:
    return _signal(SIDE_FLAT, changes)


def _signal(side: Any, fields: Mapping[str, Any]) -> Signal:
    signal = Signal(side=side)
    for name, value in fields.items():
        if value is not None:
            setattr(signal.risk if name in ("sl", "tp") else signal, name, value)
    return signal


NOT_FINITE = [(name, value) for name in ("qty", "price", "sl", "tp") for value in (math.nan, math.inf, -math.inf)]

NEVER_RIGHT: dict[str, tuple[str, Callable[[], Signal]]] = {
    # S10
    **{f"{name} {value}": ("SIGNAL_NOT_FINITE", partial(buy, **{name: value})) for name, value in NOT_FINITE},
    "NaN with a payload": ("SIGNAL_NOT_FINITE", lambda: buy(qty=NAN_WITH_PAYLOAD)),
    "FLAT at no price": ("SIGNAL_NOT_FINITE", lambda: flat(price=math.nan)),
    "qty -0.0": ("SIGNAL_RANGE", lambda: buy(qty=-0.0)),
    "price -0.0": ("SIGNAL_RANGE", lambda: buy(price=-0.0)),
    "a price that is denormal": ("SIGNAL_RANGE", lambda: buy(price=5e-324)),
    # S11
    "qty 0": ("SIGNAL_RANGE", lambda: buy(qty=0.0)),
    "no qty": ("SIGNAL_RANGE", lambda: sell(qty=None)),
    "qty negative": ("SIGNAL_RANGE", lambda: sell(qty=-10.0)),
    **{f"{name} 1e308": ("SIGNAL_RANGE", partial(buy, **{name: 1e308})) for name in ("qty", "price", "tp")},
    "more than 2^53 lots": ("SIGNAL_RANGE", lambda: buy(qty=2.0**53 / 100 * 1.01)),
    "FLAT with a qty": ("SIGNAL_RANGE", lambda: flat(qty=10.0)),
    "FLAT with a negative qty": ("SIGNAL_RANGE", lambda: flat(qty=-1.0)),
    "FLAT with a stop loss": ("SIGNAL_RANGE", lambda: flat(sl=99.0)),
    "FLAT with a take profit": ("SIGNAL_RANGE", lambda: flat(tp=101.0)),
    # S12
    **{
        f"{name} {value}": ("SIGNAL_RANGE", partial(buy, **{name: value}))
        for name in ("price", "sl", "tp")
        for value in (0.0, -1.0)
    },
    "a price below half a tick": ("SIGNAL_RANGE", lambda: buy(price=0.0004)),
    "a stop loss below half a tick": ("SIGNAL_RANGE", lambda: buy(sl=0.0004)),
    "BUY with sl above tp": ("SIGNAL_RISK_SIDE", lambda: buy(sl=101.0, tp=99.0)),
    "BUY with sl at tp": ("SIGNAL_RISK_SIDE", lambda: buy(sl=101.0, tp=101.0)),
    "SELL with sl below tp": ("SIGNAL_RISK_SIDE", lambda: sell(sl=99.0, tp=101.0)),
    # S14, S15
    "no side": ("SIGNAL_ENUM", Signal),
    "side 99": ("SIGNAL_ENUM", lambda: _signal(99, {"qty": 10.0})),
    "side -1": ("SIGNAL_ENUM", lambda: _signal(-1, {})),
    "the third of two instruments": ("PROTO_SCOPE", lambda: buy(instrument=2)),
    "instrument 2^32 - 1": ("PROTO_SCOPE", lambda: flat(instrument=2**32 - 1)),
}


@in_every_way
@pytest.mark.parametrize("name", NEVER_RIGHT)
def test_a_signal_that_can_never_be_right_fails_the_run(way: Way, name: str) -> None:
    code, make = NEVER_RIGHT[name]
    error = fails(saying({AT: [make()]}), way)
    assert (error.error_code, seq_of(error)) == (code, AT)
    assert f"at event {AT}" in error.where


@in_every_way
def test_faults_are_found_in_signals_that_do_not_count(way: Way) -> None:
    """The second signal of the moment replaces the first, which is wrong all the same."""
    assert fails(saying({AT: [buy(price=-1.0), buy()]}), way).error_code == "SIGNAL_RANGE"


@in_every_way
def test_of_several_faults_the_first_is_told(way: Way) -> None:
    error = fails(saying({AT: [buy(), sell(qty=-1.0)], AT + 1: [_signal(99, {})]}), way)
    assert (error.error_code, seq_of(error)) == ("SIGNAL_RANGE", AT)


@in_every_way
@pytest.mark.parametrize("beyond", [0, 1, 2**31])
def test_an_event_index_lies_within_what_was_consumed(way: Way, beyond: int) -> None:
    def spoil(said: SignalWindow) -> None:
        said.signals.add(event_index=said.consumed + beyond, side=SIDE_FLAT)

    error = fails(spoiling(AT, spoil), way)
    assert error.error_code == "PROTO_SEQ"
    assert "event_index" in error.what


# -------------------------------------------------------------------------------------------------------------------
# What is odd, but no error: one result in every way.

ODD: dict[str, tuple[Mapping[int, Sequence[Signal]], Sequence[int], dict[str, int]]] = {
    "values off the grid are rounded": (
        {AT: [buy(qty=10.0099, price=100.00451, sl=99.0004, tp=101.0006)], AT + 4: [flat()]},
        (),
        {"rounded": 1, "signals": 2},
    ),
    "a denormal quantity is below the smallest": ({AT: [buy(qty=5e-324)]}, (), {"rejected": 1, "rounded": 1}),
    "a quantity below a lot is below the smallest": ({AT: [sell(qty=0.009)]}, (), {"rejected": 1}),
    "FLAT with a quantity of -0.0 is FLAT": ({4: [buy()], AT: [flat(qty=-0.0)]}, (), {"rounded": 0, "signals": 2}),
    "a stop above the market of a long is rejected": ({AT: [buy(sl=120.0)]}, (), {"rejected": 1}),
    "a target below the market of a long is rejected": ({AT: [buy(tp=80.0)]}, (), {"rejected": 1}),
    "the same signal again is a no-op": ({4: [buy()], AT: [buy()], AT + 2: [buy()]}, (AT, AT + 2), {"no_ops": 2}),
    "the same signal twice in one answer counts once": ({AT: [buy(), buy()]}, (), {"signals": 2, "unexecuted": 1}),
    "of one moment the last signal counts": (
        {AT: [buy(), sell()], AT + 1: [buy(qty=20.0), sell(instrument=1)]},
        (),
        {"signals": 4, "unexecuted": 2},
    ),
    "meta of no JSON": ({AT: [buy(), flat()]}, (AT,), {"signals": 2}),
    "an expiry in the past": ({AT: [buy(price=90.0, valid_until_ns=1)]}, (), {"unexecuted": 1}),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_but_right_has_one_result_in_every_way(name: str) -> None:
    signals, no_ops, counts = ODD[name]
    if name == "meta of no JSON":
        signals[AT][0].meta.update({"ratio": math.nan, "list": [math.inf, 1.5]})
    played = [play(saying(signals, no_ops=no_ops), way) for way in WAYS]
    assert len({run.digest for run in played}) == 1
    for run in played:
        assert {key: run.results.counts[key] for key in counts} == counts
        assert run.delivery.meta == played[0].delivery.meta


def test_a_number_of_meta_that_json_does_not_have_is_null() -> None:
    signal = buy()
    signal.meta.update({"ratio": math.nan, "list": [math.inf, 1.5]})
    played = play(saying({AT: [signal]}), WAYS[0])
    assert played.delivery.meta == [{"ratio": None, "list": [None, 1.5]}]


def test_rounded_values_are_those_of_the_grid() -> None:
    played = play(saying({AT: [buy(qty=10.0199, price=100.0045, sl=99.0005, tp=101.0006)]}), WAYS[0])
    (row,) = played.results.tables.signals.to_pylist()
    # The quantity toward zero; prices to the nearest tick, halves to even.
    assert (row["qty"], row["price"], row["sl"], row["tp"]) == (10.01, 100.004, 99.0, 101.001)


# -------------------------------------------------------------------------------------------------------------------
# Warm-up, and the size of messages.


@in_every_way
def test_signals_of_the_warm_up_are_counted_and_never_an_error(way: Way) -> None:
    wrong = [buy(qty=math.nan), _signal(99, {}), flat(instrument=77)]
    script = saying({-6: wrong, -1: [buy()]}, no_ops=[-6, -1])
    played = play(script, way, warmup=two_instruments(first_seq=-2 * BARS))
    assert played.delivery.warmup_signals == 4
    assert played.results.counts["signals"] == 0
    warm = [window for window in played.windows if window.warmup]
    assert [window.first_seq for window in warm] == [-24, -18, -12, -6]
    assert not any(window.HasField("account") or window.HasField("marks") for window in warm)
    assert next(window.first_seq for window in played.windows if not window.warmup) == 0


@in_every_way
def test_a_warm_up_is_consumed_as_a_whole(way: Way) -> None:
    def half(window: Any) -> SignalWindow:
        return SignalWindow(first_seq=window.first_seq, consumed=window.count - 2 * window.warmup)

    with pytest.raises(BoxgateError) as caught:
        play(half, way, warmup=two_instruments(first_seq=-2 * BARS))
    assert (caught.value.error_code, seq_of(caught.value)) == ("PROTO_SEQ", -24)


@in_every_way
def test_the_tape_begins_before_the_warm_up_is_answered_where_several_windows_may_be_in_flight(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[int] = []
    answered = ScriptedStream.receive

    def receive(stream: ScriptedStream, deadline_s: float, *, seq: int) -> bytes:
        waiting.append(len(stream.windows))
        return answered(stream, deadline_s, seq=seq)

    monkeypatch.setattr(ScriptedStream, "receive", receive)
    play(saying({}), way, warmup=two_instruments(first_seq=-2, bars=1), tape=two_instruments(bars=1))
    sent_before_each_answer = [1, 2] if way.lockstep or way.feedback else [2, 2]
    assert waiting == sent_before_each_answer


@pytest.mark.parametrize("feedback", [False, True])
def test_a_message_stays_below_four_mebibytes_whatever_the_size_of_windows(feedback: bool) -> None:
    way = Way(lockstep=False, feedback=feedback, window_events=1_000_000)
    tape = Tape([bars_of(k, 30_000) for k in range(2)])
    sizes: list[int] = []

    def answer(window: Any) -> SignalWindow:
        sizes.append(window.ByteSize())
        return SignalWindow(first_seq=window.first_seq, consumed=window.count)

    played = play(answer, way, tape=tape)
    assert sum(window.count for window in played.windows) == 60_000
    assert max(sizes) < MESSAGE_BYTES_MAX - 64


def test_account_and_marks_are_in_every_window_of_the_tape_with_feedback_and_never_without() -> None:
    for way in WAYS:
        played: Played = play(saying({}), way)
        for window in played.windows:
            assert window.HasField("account") == window.HasField("marks") == way.feedback
            assert len(window.marks.equity) == (window.count if way.feedback else 0)
            assert window.time_ns[0] == START_NS + (window.first_seq // 2 + 1) * MINUTE_NS
