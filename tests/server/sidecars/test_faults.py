"""Faults inside a session: each has one code, names where it happened, and leaves nothing behind."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from raw_sidecar import SECRET
from trials import Starter, exchange, window

from boxgate_engine.errors import BoxgateError, RunFailed
from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_server.sidecars import SidecarHost
from boxgate_server.sidecars.capture import Tail
from boxgate_server.sidecars.event_stream import EventStream
from boxgate_server.sidecars.process import SidecarProcess


def fail(
    sidecars: Starter, name: str, *arguments: str, mode: str = "debug", driven: bool = False, **limits: float
) -> BoxgateError:
    with pytest.raises(BoxgateError) as caught:
        sidecars.run(name, *arguments, mode=mode, driven=driven, **limits)
    error = caught.value
    assert isinstance(error, RunFailed)
    assert all((error.what, error.where, error.expected, error.remedy))
    if mode == "prod":
        assert SECRET not in str(error)
    return error


@pytest.mark.parametrize(
    ("argument", "code", "shown"),
    [("exit3", "SIDECAR_EXIT", "code 3"), ("11", "SIDECAR_EXIT", "SIGSEGV"), ("raise", "SIDECAR_FAILED", "UNKNOWN")],
)
def test_S02_the_end_in_init_is_named_with_what_the_author_needs(
    sidecars: Starter, argument: str, code: str, shown: str
) -> None:
    error = fail(sidecars, "InInit", argument)
    assert (error.error_code, error.where) == (code, "phase=init")
    assert shown in error.what
    assert SECRET in error.what


def test_the_end_of_stderr_is_told_when_nothing_can_be_added_to_it(tmp_path: Path) -> None:
    class Guard:
        """Ends the tree a little after the order, with its last words still unread until then."""

        def order(self, message: dict[str, object]) -> None:
            assert message["op"] == "kill"
            threading.Timer(0.05, self.end).start()

        def drain(self, identity: int) -> None:
            """There is nothing to be read before the end."""

        def end(self) -> None:
            stderr.append(b"ValueError: the last words\n")
            process.set_gone()

    stderr = Tail(1000)
    process = SidecarProcess(1, 1, tmp_path, Guard(), (Tail(1000), stderr))
    stderr.append(b"started\n")
    assert process.end_of_stderr() == "started\nValueError: the last words"


@pytest.mark.parametrize(("argument", "outcome"), [("exit3", "failed"), ("11", "killed"), ("raise", "UNKNOWN")])
def test_S02_in_prod_the_end_in_init_is_one_word(sidecars: Starter, argument: str, outcome: str) -> None:
    error = fail(sidecars, "InInit", argument, mode="prod")
    assert outcome in error.what
    assert "3" not in error.what
    assert "11" not in error.what


@pytest.mark.parametrize("mode", ["debug", "prod"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Exit", "SIDECAR_EXIT"),  # S04
        ("Segfault", "SIDECAR_EXIT"),  # S04
        ("Hang", "REPLY_TIMEOUT"),  # S06
        ("Freeze", "REPLY_TIMEOUT"),  # S29
        ("Raise", "SIDECAR_FAILED"),
        ("EndStream", "STREAM_BROKEN"),
        ("FiveMebibytes", "MSG_TOO_LARGE"),  # S09
        ("HugeTrailers", "MSG_TOO_LARGE"),  # S09
    ],
)
def test_a_fault_at_a_window_names_it_and_the_last_one_answered(
    sidecars: Starter, name: str, code: str, mode: str
) -> None:
    error = fail(sidecars, name, mode=mode)
    assert error.error_code == code
    assert error.seq == 3
    assert error.where == "phase=event seq=3 last answered window=2"


def test_S05_a_crash_or_hang_in_on_stop_leaves_a_flag_and_no_error(sidecars: Starter) -> None:
    crashed, hanging = sidecars.run("InStop", "crash"), sidecars.run("InStop", "hang")
    assert crashed.stop_unclean
    assert hanging.stop_unclean
    assert crashed.connection.stop_fault is not None
    assert crashed.connection.stop_fault.error_code == "SIDECAR_EXIT"
    assert hanging.connection.stop_fault is not None
    assert hanging.connection.stop_fault.error_code == "REPLY_TIMEOUT"


def test_S05_one_that_ignores_sigterm_is_killed_after_the_grace(sidecars: Starter) -> None:
    sidecar = sidecars.run("ignore_sigterm")
    assert sidecar.stop_unclean
    assert sidecar.exit is not None
    assert sidecar.exit.signal == 9


def test_S07_one_that_stays_below_each_deadline_meets_the_budget_of_the_session(sidecars: Starter) -> None:
    other = sidecars.start()
    error = fail(sidecars, "Slow", wait_s_max=0.35)
    assert error.error_code == "WAIT_BUDGET"
    assert other.connection.describe(strategy_pb2.DescribeRequest()).name == "raw"


@pytest.mark.parametrize("name", ["AnswerTheOpening", "OneMoreAtTheEnd"])
def test_S08_an_answer_that_nobody_asked_for_ends_the_run(sidecars: Starter, name: str) -> None:
    assert fail(sidecars, name).error_code == "PROTO_UNSOLICITED"


def test_S08_a_flood_is_held_to_the_windows_in_flight(sidecars: Starter) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sidecar, stream = sidecars.open("Flood")
    with pytest.raises(RunFailed) as caught:
        _exchange_until_the_flood_is_seen(stream)
    assert caught.value.error_code == "PROTO_UNSOLICITED"
    with pytest.raises(RunFailed):
        exchange(stream, 4)
    sidecar.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


def _exchange_until_the_flood_is_seen(stream: EventStream) -> None:
    """How many answers are taken before it is seen is a race."""
    for seq in range(4):
        exchange(stream, seq)
    raise stream.unsolicited(2.0) or AssertionError("no flood was seen")


def test_an_orderly_sidecar_is_no_flood(sidecars: Starter) -> None:
    _, stream = sidecars.open()
    exchange(stream, 0)
    assert stream.unsolicited(0.05) is None


def test_several_windows_may_be_in_flight_and_are_answered_in_order(sidecars: Starter) -> None:
    _, stream = sidecars.open()
    for seq in range(32):
        stream.send(window(seq))
    for seq in range(32):
        answer = strategy_pb2.OnEventResponse.FromString(stream.receive(2.0, seq=seq))
        assert answer.signals.first_seq == seq
    assert stream.wait_s > 0
    stream.close()


def test_S09_a_compression_bomb_is_not_unpacked(sidecars: Starter) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sidecar, stream = sidecars.open("Bomb")
    for seq in range(3):
        stream.send(window(seq))
        stream.receive(5.0, seq=seq)
    stream.send(window(3))
    answer = stream.receive(30.0, seq=3)
    fault = stream.undecodable(answer)
    assert fault.error_code == "MSG_TOO_LARGE"
    sidecar.stop()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # KiB


@pytest.mark.parametrize(
    "data",
    [
        "0a05617a",  # truncated: five bytes announced, two there
        "0a02c328",  # a name that is not UTF-8
        "ffffffffffffffffffffff",  # an endless varint
        "2b" * 200,  # nested groups without end
    ],
)
def test_S16_bytes_that_are_no_message_are_named_by_size(sidecars: Starter, data: str) -> None:
    error = fail(sidecars, "InDescribe", data)
    assert error.error_code == "PROTO_DECODE"
    assert f"{len(data) // 2} bytes" in error.what


def test_S16_the_session_names_an_answer_it_cannot_decode_the_same_way(sidecars: Starter) -> None:
    sidecar, stream = sidecars.open()
    exchange(stream, 0)
    fault = stream.undecodable(b"\xff\xff")
    assert (fault.error_code, fault.seq) == ("PROTO_DECODE", 0)
    sidecar.stop()
    assert sidecar.stop_unclean


def test_a_hanging_describe_meets_its_deadline(sidecars: Starter) -> None:
    error = fail(sidecars, "HangInDescribe", describe_s=0.3)
    assert (error.error_code, error.where) == ("REPLY_TIMEOUT", "phase=describe")


@pytest.mark.parametrize("mode", ["debug", "prod"])
def test_parameters_that_the_strategy_refuses_are_the_users_mistake(sidecars: Starter, mode: str) -> None:
    with pytest.raises(BoxgateError) as caught:
        sidecars.open("refuse_parameters", mode=mode)
    assert (caught.value.error_code, caught.value.exit_code) == ("STRATEGY_REFUSED", 2)
    assert (SECRET in caught.value.what) == (mode == "debug")


def test_the_deadline_grows_with_the_window(sidecars: Starter) -> None:
    assert sidecars.limits.reply_deadline_s(100) == pytest.approx(2.0 + 100 * 0.01)


def test_S27_grandchildren_in_their_own_sessions_end_with_the_sidecar(sidecars: Starter) -> None:
    assert sidecars.run("daemonise").stop_unclean is False  # the fixture looks for survivors


def test_S31_output_is_drained_and_held_to_a_bound_in_debug(sidecars: Starter) -> None:
    sidecar = sidecars.run("shout", capture_bytes_max=10_000)
    assert len(sidecar.stdout_tail()) == 10_000
    assert sidecar.stdout_tail().endswith("last of stdout\n")
    assert sidecar.stderr_tail().endswith("last of [31mstderr\n")  # no control characters on a terminal


def test_S31_in_prod_no_byte_of_output_is_kept(sidecars: Starter) -> None:
    sidecar = sidecars.run("shout", mode="prod")
    assert (sidecar.stdout_tail(), sidecar.stderr_tail()) == ("", "")


def test_S31_open_files_are_limited_and_no_core_is_written(sidecars: Starter) -> None:
    told = sidecars.run("open_files", open_files_max=256).stderr_tail()
    assert int(told.split("=")[1].split()[0]) < 256
    assert "core=(0, 0)" in told


def test_S31_a_thousand_threads_end_with_the_sidecar(sidecars: Starter) -> None:
    assert sidecars.run("threads").stop_unclean is False


def test_the_private_folder_is_removed_whatever_is_in_it_and_links_are_not_followed(
    sidecars: Starter, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("x")
    sidecar = sidecars.run("leave_files", str(tmp_path))
    assert sidecar.folder is not None
    assert not sidecar.folder.exists()
    assert (tmp_path / "kept").read_text() == "x"


def test_a_sidecar_that_is_not_stopped_ends_with_its_host(sidecars: Starter) -> None:
    sidecars.start("ignore_sigterm")


def test_a_sidecar_is_a_context_manager_that_kills(sidecars: Starter) -> None:
    with sidecars.start() as sidecar:
        pass
    assert sidecar.exit is not None


def test_a_fault_does_not_touch_the_sidecar_beside_it(sidecars: Starter) -> None:
    _, stream = sidecars.open()
    exchange(stream, 0)
    fail(sidecars, "Exit")
    assert exchange(stream, 1).first_seq == 1


def test_nothing_is_logged_or_written_to_the_gateways_own_output(tmp_path: Path) -> None:
    script = tmp_path / "gateway.py"
    script.write_text(
        "from pathlib import Path\n"
        "from boxgate_engine.errors import BoxgateError\n"
        "from boxgate_server.sidecars import SidecarHost\n"
        "from trials import Starter\n"
        "for name in ('Raise', 'Exit', 'HugeTrailers', 'FiveMebibytes', 'InInit'):\n"
        "    with SidecarHost() as host:\n"
        "        try:\n"
        "            Starter(host).run(name, *(['raise'] if name == 'InInit' else []), mode='prod')\n"
        "        except BoxgateError:\n"
        "            pass\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_host_that_was_closed_starts_nothing(host: SidecarHost) -> None:
    Starter(host).start()
    host.close()
    began = time.monotonic()
    with pytest.raises(BoxgateError) as caught:
        Starter(host).start()
    assert caught.value.error_code == "GUARD_LOST"
    assert time.monotonic() - began < 5
