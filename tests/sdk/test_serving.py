"""A strategy behind its socket: cookie, health, statuses, and an end in every case."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from boxgate_proto.strategy.v1 import instrument_pb2, strategy_pb2, window_pb2
from boxgate_sdk import Bar, IntParameter, Signal, Strategy, errors
from boxgate_sdk._server import STATUS, check_strategy
from boxgate_sdk.testing import serve_in_thread
from boxgate_sdk.testing.socket_server import COOKIE

_SERVICE = "/boxgate.strategy.v1.Strategy/"
_HEALTH = "/grpc.health.v1.Health/Check"
_METADATA = (("boxgate-cookie", COOKIE),)


class Fragile(Strategy):
    """Flat at every bar; raises where it is told to."""

    version = "1"
    fails_at = IntParameter(-1)

    def on_init(self, ctx: Any) -> None:
        if self.fails_at == 100:
            raise RuntimeError("no init today")

    def on_event(self, event: Bar) -> Signal:
        if event.seq == self.fails_at:
            raise ZeroDivisionError("seven by zero")
        return Signal.flat()

    def on_stop(self) -> dict[str, Any]:
        return {"events": 3}


def _init(session_id: str = "s", fails_at: int = -1, version: int = 1) -> bytes:
    one = instrument_pb2.Ratio(numerator=1, denominator=1)
    value = strategy_pb2.ParameterValue(int_value=fails_at)
    return strategy_pb2.OnInitRequest(
        session_id=session_id,
        mode=strategy_pb2.MODE_DEBUG,
        contract_version=version,
        parameters=[strategy_pb2.Parameter(name="fails_at", value=value)],
        instruments=[instrument_pb2.Instrument(symbol="A", tick_size=one, lot_size=one)],
        series=[instrument_pb2.Series(instrument=0, frame="M1")],
    ).SerializeToString()


def _window(first_seq: int, count: int = 1) -> bytes:
    ones = [1.0] * count
    bars = window_pb2.BarColumns(open_ns=[1] * count, open=ones, high=ones, low=ones, close=ones, volume=ones)
    times = [first_seq + i for i in range(count)]
    window = window_pb2.EventWindow(first_seq=first_seq, count=count, time_ns=times, bars=bars)
    return strategy_pb2.OnEventRequest(window=window).SerializeToString()


def _open(session_id: str = "s") -> bytes:
    return strategy_pb2.OnEventRequest(open=strategy_pb2.OpenStream(session_id=session_id)).SerializeToString()


class _Gateway:
    """The least that a gateway does."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel

    def call(self, method: str, request: bytes = b"", metadata: Any = _METADATA) -> bytes:
        answer: bytes = self.channel.unary_unary(method)(request, metadata=metadata, timeout=10)
        return answer

    def on_init(self, **values: Any) -> strategy_pb2.OnInitResponse:
        return strategy_pb2.OnInitResponse.FromString(self.call(f"{_SERVICE}OnInit", _init(**values)))

    def on_stop(self, session_id: str = "s") -> strategy_pb2.OnStopResponse:
        request = strategy_pb2.OnStopRequest(session_id=session_id, reason=strategy_pb2.STOP_REASON_COMPLETED)
        return strategy_pb2.OnStopResponse.FromString(self.call(f"{_SERVICE}OnStop", request.SerializeToString()))

    def stream(self, *messages: bytes) -> Any:
        return self.channel.stream_stream(f"{_SERVICE}OnEvent")(iter(messages), metadata=_METADATA, timeout=10)


@pytest.fixture
def gateway() -> Iterator[_Gateway]:
    with serve_in_thread(Fragile) as endpoint, grpc.insecure_channel(endpoint) as channel:
        yield _Gateway(channel)


@contextmanager
def _refused(code: grpc.StatusCode, words: str) -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as refused:
        yield
    status: Any = refused.value
    assert status.code() is code
    assert words in status.details()


def test_every_error_that_can_be_raised_has_a_status() -> None:
    def leaves(cls: type[errors.SdkError]) -> set[type[errors.SdkError]]:
        children = cls.__subclasses__()
        return set().union(*map(leaves, children)) if children else {cls}

    assert leaves(errors.SdkError) == STATUS.keys()


@pytest.mark.parametrize("metadata", [(), (("boxgate-cookie", "wrong"),), (*_METADATA, *_METADATA)])
@pytest.mark.parametrize("method", [f"{_SERVICE}Describe", f"{_SERVICE}OnInit", f"{_SERVICE}OnStop", _HEALTH])
def test_a_call_without_the_cookie_is_refused(gateway: _Gateway, method: str, metadata: Any) -> None:
    with _refused(grpc.StatusCode.UNAUTHENTICATED, "boxgate-cookie"):
        gateway.call(method, metadata=metadata)


def test_a_stream_without_the_cookie_is_refused(gateway: _Gateway) -> None:
    with _refused(grpc.StatusCode.UNAUTHENTICATED, "boxgate-cookie"):
        list(gateway.channel.stream_stream(f"{_SERVICE}OnEvent")(iter([_open()]), timeout=10))


def test_health_says_serving_for_the_whole_and_for_the_service(gateway: _Gateway) -> None:
    name = b"boxgate.strategy.v1.Strategy"
    assert gateway.call(_HEALTH) == b"\x08\x01"
    assert gateway.call(_HEALTH, b"\x0a" + bytes((len(name),)) + name) == b"\x08\x01"
    with _refused(grpc.StatusCode.NOT_FOUND, "unknown service"):
        gateway.call(_HEALTH, b"\x0a\x01x")
    with _refused(grpc.StatusCode.UNIMPLEMENTED, ""):
        gateway.call(f"{_SERVICE}Nothing")


def test_a_session_runs_from_describe_to_stop_and_another_may_follow(gateway: _Gateway) -> None:
    described = strategy_pb2.DescribeResponse.FromString(gateway.call(f"{_SERVICE}Describe"))
    assert (described.name, described.max_sessions, list(described.supports)) == ("Fragile", 1, ["RESET"])
    for session_id in ("one", "two"):
        assert gateway.on_init(session_id=session_id).HasField("accepted")
        answers = [
            strategy_pb2.OnEventResponse.FromString(a).signals
            for a in gateway.stream(_open(session_id), _window(0, 2), _window(2))
        ]
        assert [(a.first_seq, a.consumed, len(a.signals)) for a in answers] == [(0, 2, 2), (2, 1, 1)]
        assert dict(gateway.on_stop(session_id).report) == {"events": 3.0}
        with _refused(grpc.StatusCode.NOT_FOUND, "SESSION_UNKNOWN"):
            gateway.on_stop(session_id)


def test_more_sessions_than_allowed_are_refused_until_one_ends(gateway: _Gateway) -> None:
    assert gateway.on_init(session_id="one").HasField("accepted")
    with _refused(grpc.StatusCode.FAILED_PRECONDITION, "SESSION_LIMIT"):
        gateway.on_init(session_id="two")
    gateway.on_stop("one")
    assert gateway.on_init(session_id="two").HasField("accepted")


def test_a_wrong_parameter_and_a_foreign_version_are_refused_by_name(gateway: _Gateway) -> None:
    value = strategy_pb2.ParameterValue(int_value=1)
    request = strategy_pb2.DescribeRequest(parameters=[strategy_pb2.Parameter(name="fail_at", value=value)])
    with _refused(grpc.StatusCode.INVALID_ARGUMENT, "PARAMETER_UNKNOWN"):
        gateway.call(f"{_SERVICE}Describe", request.SerializeToString())
    with _refused(grpc.StatusCode.FAILED_PRECONDITION, "PROTO_VERSION"):
        gateway.on_init(version=2)


def test_what_a_strategy_raises_is_told_with_its_place_and_ends_the_session(
    gateway: _Gateway, capfd: pytest.CaptureFixture[str]
) -> None:
    with _refused(grpc.StatusCode.UNKNOWN, "STRATEGY_RAISED: on_init: RuntimeError: no init today"):
        gateway.on_init(fails_at=100)
    gateway.on_init(fails_at=1)
    with _refused(grpc.StatusCode.UNKNOWN, "STRATEGY_RAISED: on_event seq=1: ZeroDivisionError: seven by zero"):
        list(gateway.stream(_open(), _window(0), _window(1, 2)))
    captured = capfd.readouterr()
    assert "Traceback" in captured.err
    assert captured.out == ""
    assert not gateway.on_stop().HasField("report")


@pytest.mark.parametrize(
    ("messages", "code", "words"),
    [
        ([_window(0)], grpc.StatusCode.INVALID_ARGUMENT, "out of order"),
        ([_open(), _open()], grpc.StatusCode.INVALID_ARGUMENT, "out of order"),
        ([_open("other")], grpc.StatusCode.NOT_FOUND, "SESSION_UNKNOWN"),
        ([_open(), b"\xff\xff"], grpc.StatusCode.INVALID_ARGUMENT, "WINDOW_MALFORMED"),
        ([_open(), _window(0), _window(5)], grpc.StatusCode.OUT_OF_RANGE, "expected event 1"),
    ],
)
def test_a_stream_that_breaks_the_contract_ends_with_a_status(
    gateway: _Gateway, messages: list[bytes], code: grpc.StatusCode, words: str
) -> None:
    gateway.on_init()
    with _refused(code, words):
        list(gateway.stream(*messages))


def test_a_broken_stream_ends_the_session_and_makes_room(gateway: _Gateway) -> None:
    gateway.on_init(session_id="one")
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    requests.put(_open("one"))
    requests.put(_window(0))
    stream = gateway.channel.stream_stream(f"{_SERVICE}OnEvent")(iter(requests.get, None), metadata=_METADATA)
    next(stream)
    stream.cancel()
    for _ in range(100):
        try:
            assert gateway.on_init(session_id="two").HasField("accepted")
            break
        except grpc.RpcError:
            time.sleep(0.05)
    else:
        pytest.fail("the broken session was not ended")
    with _refused(grpc.StatusCode.NOT_FOUND, "SESSION_UNKNOWN"):
        list(gateway.stream(_open("one")))


def test_a_class_that_cannot_be_served_is_named() -> None:
    class Mute(Strategy):
        pass

    class Odd(Fragile):
        name = "two words"

    for wrong, words in ((Mute, "answers nothing"), (Odd, "the name"), (Fragile(), "the class itself"), (int, "class")):
        with pytest.raises(errors.StrategyMistake, match=words):
            check_strategy(wrong)


# Programs: the strategy as a process of its own.


_PROGRAM = """
from boxgate_sdk import Strategy, serve

class Quiet(Strategy):
    def on_event(self, event):
        return None

serve(Quiet)
"""


def _start(folder: Path, **changes: str | None) -> subprocess.Popen[str]:
    program = folder / "quiet.py"
    program.write_text(_PROGRAM)
    wanted: dict[str, str | None] = {
        "BOXGATE_ENDPOINT": f"unix:{folder}/s",
        "BOXGATE_COOKIE": COOKIE,
        "BOXGATE_PROTOCOLS": "1,2",
        **changes,
    }
    environment = {name: value for name, value in wanted.items() if value is not None}
    return subprocess.Popen(
        [sys.executable, str(program)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _await_health(endpoint: str, tries: int = 200) -> None:
    with grpc.insecure_channel(endpoint) as channel:
        for _ in range(tries):
            try:
                assert _Gateway(channel).call(_HEALTH) == b"\x08\x01"
                return
            except grpc.RpcError:
                time.sleep(0.05)
    pytest.fail("the strategy did not become ready")


def test_the_process_says_nothing_on_stdout_and_ends_on_sigterm(tmp_path: Path) -> None:
    process = _start(tmp_path)
    _await_health(f"unix:{tmp_path}/s")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def test_the_process_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys, time\n"
            f"open({str(tmp_path / 'quiet.py')!r}, 'w').write({_PROGRAM!r})\n"
            f"p = subprocess.Popen([sys.executable, {str(tmp_path / 'quiet.py')!r}], env=dict(os.environ, "
            f"BOXGATE_ENDPOINT='unix:{tmp_path}/s', BOXGATE_COOKIE={COOKIE!r}, BOXGATE_PROTOCOLS='1'))\n"
            "print(p.pid, flush=True)\n"
            "time.sleep(60)\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    _await_health(f"unix:{tmp_path}/s")
    parent.kill()
    parent.wait(10)
    parent.stdout.close()

    def gone() -> bool:
        try:
            # A process that ended and waits for init to reap it is gone as well.
            return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    for _ in range(200):
        if gone():
            break
        time.sleep(0.05)
    else:
        os.kill(pid, signal.SIGKILL)
        pytest.fail("the strategy outlived its parent")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"BOXGATE_ENDPOINT": None}, "boxgate run"),
        ({"BOXGATE_COOKIE": None}, "boxgate run"),
        ({"BOXGATE_PROTOCOLS": None}, "boxgate run"),
        ({"BOXGATE_PROTOCOLS": "2,3"}, "2,3"),
        ({"BOXGATE_ENDPOINT": "unix:/" + "x" * 107}, "108 bytes"),
        ({"BOXGATE_ENDPOINT": "unix:/nowhere/at/all"}, "cannot listen"),
    ],
)
def test_a_process_without_its_gateway_says_so_in_one_sentence(
    tmp_path: Path, changes: dict[str, str | None], words: str
) -> None:
    process = _start(tmp_path, **changes)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    assert "Traceback" not in err
    assert words in err.splitlines()[-1]


def test_importing_the_sdk_starts_no_server_and_reads_no_environment() -> None:
    program = "import boxgate_sdk, boxgate_sdk.testing, threading; assert threading.active_count() == 1"
    subprocess.run([sys.executable, "-c", program], check=True, env={})


def test_stopping_a_test_server_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())  # those of tests that went before are theirs

    def servers() -> int:
        return sum(thread.name.startswith("boxgate") for thread in set(threading.enumerate()) - before)

    for _ in range(3):
        with serve_in_thread(Fragile) as endpoint, grpc.insecure_channel(endpoint) as channel:
            _Gateway(channel).call(_HEALTH)
    for _ in range(100):
        if servers() == 0:
            return
        time.sleep(0.05)
    pytest.fail(f"{servers()} threads are left")
