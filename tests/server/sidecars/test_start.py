"""Start and handshake: what a sidecar is given, and what is refused before or instead of a session."""

from __future__ import annotations

import ast
import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from trials import HERE, IMPATIENT, Starter, processes_of

from boxgate_engine.errors import BoxgateError, UserMistake
from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_server.errors import BundleExec
from boxgate_server.sidecars import Sidecar, SidecarHost


def test_a_session_runs_from_describe_to_a_clean_stop(sidecars: Starter) -> None:
    sidecar = sidecars.run()
    assert sidecar.stop_unclean is False
    assert sidecar.exit is not None


def test_a_host_starts_many_sidecars_one_after_the_other_and_at_once(sidecars: Starter) -> None:
    first, second = sidecars.start(), sidecars.start()
    assert first.pid != second.pid
    assert first.folder != second.folder
    first.stop()
    third = sidecars.run()
    assert third.stop_unclean is False
    assert second.connection.describe(strategy_pb2.DescribeRequest()).name == "raw"


def test_a_process_serves_several_sessions_one_after_the_other(sidecars: Starter) -> None:
    sidecar = sidecars.start()
    for number in range(3):
        sidecar.connection.on_init(strategy_pb2.OnInitRequest(session_id=str(number)))
        sidecar.connection.open_stream(str(number)).close()
        sidecar.connection.on_stop(strategy_pb2.OnStopRequest(session_id=str(number)))
    sidecar.stop()
    assert sidecar.stop_unclean is False


def test_a_sidecar_sees_three_variables_no_descriptor_and_a_session_of_its_own(
    sidecars: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    with Path(os.devnull).open("rb") as leak:
        os.set_inheritable(leak.fileno(), True)
        seen = ast.literal_eval(sidecars.run("tell").stderr_tail())
    assert seen == {
        # Python itself sets the last one where the locale is C.
        "env": ["BOXGATE_COOKIE", "BOXGATE_ENDPOINT", "BOXGATE_PROTOCOLS", "LC_CTYPE"],
        "stdin": "/dev/null",
        "fds": 4,  # with the one that lists them
        "leader": True,
        "umask": "0o77",
        "folder": "0o700",
        "cwd": str(HERE),
    }


def test_a_sidecar_outlives_the_thread_that_asked_for_it(sidecars: Starter) -> None:
    started: list[Sidecar] = []
    thread = threading.Thread(target=lambda: started.append(sidecars.start()))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert started[0].exit is None
    assert started[0].connection.describe(strategy_pb2.DescribeRequest()).name == "raw"


def test_every_process_has_a_cookie_of_its_own_and_a_call_without_it_is_refused(sidecars: Starter) -> None:
    with pytest.raises(BoxgateError) as caught:
        sidecars.open("foreign_cookie")
    assert caught.value.error_code == "COOKIE_REFUSED"


def test_the_word_python_is_the_gateways_own_interpreter(sidecars: Starter) -> None:
    sidecar = sidecars.start()
    assert Path(f"/proc/{sidecar.pid}/exe").resolve() == Path(sys.executable).resolve()


def make_file(path: Path, content: bytes, mode: int) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("content", "mode", "fault"),
    [
        (None, 0, "does not exist"),
        (b"#!/bin/sh\n", 0o644, "is not executable"),
        (b"\x7fELF\x02\x01\x01" + bytes(57), 0o755, "cannot be executed"),
        (b"#!/nowhere/interpreter\n", 0o755, "cannot be executed"),
        (b"", 0o755, "cannot be executed"),
    ],
)
def test_S01_a_command_that_cannot_be_executed_is_the_users_mistake(
    host: SidecarHost, tmp_path: Path, content: bytes | None, mode: int, fault: str
) -> None:
    if content is not None:
        make_file(tmp_path / "strategy", content, mode)
    with pytest.raises(BundleExec) as caught:
        host.start(["./strategy"], cwd=tmp_path, mode="debug", limits=IMPATIENT)
    error = caught.value
    assert (error.error_code, error.exit_code) == ("BUNDLE_EXEC", 2)
    assert "'./strategy'" in error.what
    assert fault in error.what
    assert error.where.startswith("strategy.command")


@pytest.mark.parametrize("command", [[], [""], ["no-such-program-anywhere"], ["."], ["python", "a\0b"]])
def test_S01_a_command_without_a_program_starts_no_guard(host: SidecarHost, tmp_path: Path, command: list[str]) -> None:
    with pytest.raises(BundleExec):
        host.start(command, cwd=tmp_path, mode="debug")
    assert host.containment is None


def test_S01_a_working_directory_that_is_missing_is_named(host: SidecarHost, tmp_path: Path) -> None:
    with pytest.raises(BundleExec, match="nowhere"):
        host.start(["python", "-V"], cwd=tmp_path / "nowhere", mode="debug")


def test_a_socket_path_always_fits(tmp_path: Path) -> None:
    with pytest.raises(UserMistake, match="at most"), SidecarHost(runtime_folder=tmp_path / ("x" * 100)) as host:
        host.start(["python", "-V"], cwd=tmp_path, mode="debug")


@pytest.mark.parametrize("mode", ["debug", "prod"])
@pytest.mark.parametrize(
    ("name", "argument", "code"),
    [
        ("never_bind", "", "HANDSHAKE_TIMEOUT"),
        ("shout_instead_of_binding", "", "HANDSHAKE_TIMEOUT"),
        ("never_serve", "", "HANDSHAKE_TIMEOUT"),
        ("mute_socket", "", "HANDSHAKE_TIMEOUT"),
        ("garbage_socket", "", "HANDSHAKE_BAD"),
        ("no_health", "", "HANDSHAKE_BAD"),
        ("fifo", "", "HANDSHAKE_BAD"),
        ("regular_file", "", "HANDSHAKE_BAD"),
        ("crash_on_import", "", "SIDECAR_EXIT"),
    ],
)
def test_S03_without_a_handshake_the_tree_is_killed(
    sidecars: Starter, runtime_folder: Path, name: str, argument: str, code: str, mode: str
) -> None:
    patience_s = {"HANDSHAKE_TIMEOUT": 1.0, "HANDSHAKE_BAD": 3.0}.get(code, 30.0)
    with pytest.raises(BoxgateError) as caught:
        sidecars.start(name, argument, mode=mode, handshake_s=patience_s)
    error = caught.value
    assert error.error_code == code
    assert "phase=start" in error.where or error.where == "BOXGATE_ENDPOINT"
    assert ("canary" in str(error)) == (mode == "debug" and name == "crash_on_import")
    assert list(runtime_folder.glob("bg-*/*")) == []


@pytest.mark.parametrize("how", ["link_to_another_socket", "hard_link_to_another_socket"])
def test_S30_another_socket_of_the_host_is_refused_before_the_first_byte(
    sidecars: Starter, runtime_folder: Path, how: str
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(runtime_folder / "other"))
        other.listen()
        other.settimeout(0.2)
        with pytest.raises(BoxgateError) as caught:
            sidecars.start(how, str(runtime_folder / "other"))
        received = b""
        try:
            while True:  # at most a connection that is closed again without a byte
                connection, _ = other.accept()
                connection.settimeout(0.2)
                received += connection.recv(100)
                connection.close()
        except TimeoutError:
            pass
    (runtime_folder / "other").unlink()
    assert caught.value.error_code == "HANDSHAKE_BAD"
    assert received == b""


def test_S30_a_socket_that_is_exchanged_after_the_check_is_not_followed(sidecars: Starter) -> None:
    sidecar = sidecars.start()
    assert sidecar.folder is not None
    endpoint = sidecar.folder / "s"
    endpoint.rename(sidecar.folder / "old")
    endpoint.symlink_to("/nowhere")
    assert sidecar.connection.describe(strategy_pb2.DescribeRequest()).name == "raw"


def test_two_hosts_do_not_share_a_guard(runtime_folder: Path) -> None:
    with SidecarHost(runtime_folder=runtime_folder) as one, SidecarHost(runtime_folder=runtime_folder) as two:
        first, second = Starter(one).start(), Starter(two).start()
        one.close()
        assert first.exit is not None
        assert second.connection.describe(strategy_pb2.DescribeRequest()).name == "raw"
        assert processes_of(runtime_folder) != []
