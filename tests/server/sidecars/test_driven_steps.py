"""Steps that a stream drives: the same faults by the same names, in the thread that sends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from trials import Starter, steps, window

from boxgate_engine.errors import BoxgateError
from boxgate_proto.strategy.v1 import strategy_pb2


def fail(sidecars: Starter, name: str, mode: str = "debug", **limits: float) -> BoxgateError:
    with pytest.raises(BoxgateError) as caught:
        sidecars.run(name, mode=mode, driven=True, **limits)
    return caught.value


@pytest.mark.parametrize("mode", ["debug", "prod"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Exit", "SIDECAR_EXIT"),
        ("Segfault", "SIDECAR_EXIT"),
        ("Hang", "REPLY_TIMEOUT"),
        ("Freeze", "REPLY_TIMEOUT"),
        ("Raise", "SIDECAR_FAILED"),
        ("EndStream", "STREAM_BROKEN"),
        ("FiveMebibytes", "MSG_TOO_LARGE"),
        ("HugeTrailers", "MSG_TOO_LARGE"),
    ],
)
def test_a_fault_at_a_step_names_it_and_the_last_one_answered(
    sidecars: Starter, name: str, code: str, mode: str
) -> None:
    error = fail(sidecars, name, mode)
    assert error.error_code == code
    assert getattr(error, "seq", None) == 3
    assert error.where == "phase=event seq=3 last answered window=2"


@pytest.mark.parametrize("name", ["AnswerTheOpening", "OneMoreAtTheEnd", "Flood"])
def test_an_answer_that_nobody_asked_for_ends_driven_steps(sidecars: Starter, name: str) -> None:
    assert fail(sidecars, name).error_code == "PROTO_UNSOLICITED"


def test_driven_steps_meet_the_budget_of_the_session(sidecars: Starter) -> None:
    assert fail(sidecars, "Slow", wait_s_max=0.35).error_code == "WAIT_BUDGET"


def test_steps_are_driven_one_after_the_other_and_windows_may_follow(sidecars: Starter) -> None:
    sidecar, stream = sidecars.open()
    stream.drive(steps(stream, windows=3))
    stream.drive(steps(stream, windows=3))
    stream.drive(iter(()))
    for seq in range(32):
        stream.send(window(seq))
    for seq in range(32):
        assert strategy_pb2.OnEventResponse.FromString(stream.receive(2.0, seq=seq)).signals.first_seq == seq
    assert stream.unsolicited(0.05) is None
    stream.close()
    sidecar.stop()
    assert not sidecar.stop_unclean


def test_an_error_of_a_step_is_raised_where_it_was_driven(sidecars: Starter) -> None:
    _, stream = sidecars.open()
    threads = []

    def failing() -> Iterator[bytes]:
        yield window(0)
        threads.append(threading.current_thread())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stream.drive(failing())
    assert threads != [threading.current_thread()]
    stream.abort()


def test_a_sidecar_that_reads_nothing_meets_the_deadline_though_the_window_cannot_be_sent(sidecars: Starter) -> None:
    sidecar, stream = sidecars.open("Freeze", reply_base_s=0.5, reply_per_event_s=0.0)
    large = strategy_pb2.OnEventRequest()
    large.window.first_seq, large.window.count = 4, 1
    large.window.account.updates.add(client_id="x" * 3_000_000)

    def flooding() -> Iterator[bytes]:
        yield from steps(stream, windows=3)
        yield window(3)  # at which it stops itself
        time.sleep(0.2)
        yield large.SerializeToString()
        stream.receive(30.0, seq=4)

    with pytest.raises(BoxgateError) as caught:
        stream.drive(flooding())
    assert caught.value.error_code == "REPLY_TIMEOUT"
    sidecar.stop()


def test_an_interrupted_drive_leaves_steps_that_end_by_themselves(sidecars: Starter) -> None:
    sidecar, stream = sidecars.open("Hang")
    ended = threading.Event()

    def observed() -> Iterator[bytes]:
        try:
            yield from steps(stream, 60.0)
        finally:
            ended.set()

    threading.Timer(0.3, stream.abort).start()  # as the end of a run does, from another thread
    with pytest.raises(BoxgateError):
        stream.drive(observed())
    assert ended.wait(2.0)
    sidecar.stop()
