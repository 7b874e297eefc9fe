"""Attaching to a sidecar that somebody else started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from trials import HERE, IMPATIENT, exchange

from boxgate_engine.errors import BoxgateError
from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_server.sidecars import SidecarHost

COOKIE = "cookie-of-the-author"


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, runtime_folder: Path) -> Iterator[str]:
    if request.param == "unix":
        address = f"unix:{runtime_folder}/s"
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {**os.environ, "BOXGATE_ENDPOINT": address, "BOXGATE_COOKIE": COOKIE, "BOXGATE_PROTOCOLS": "1"}
    process = subprocess.Popen([sys.executable, str(HERE / "raw_sidecar.py")], env=environment)
    while request.param == "unix" and not (runtime_folder / "s").exists():
        time.sleep(0.01)
    yield address
    assert process.poll() is None, "an attached sidecar is never ended by the gateway"
    process.kill()
    process.wait()
    (runtime_folder / "s").unlink(missing_ok=True)


def test_a_session_runs_over_an_address(host: SidecarHost, address: str) -> None:
    sidecar = host.attach(address, COOKIE, limits=IMPATIENT)
    sidecar.connection.on_init(strategy_pb2.OnInitRequest(session_id="session"))
    stream = sidecar.connection.open_stream("session")
    assert exchange(stream, 0).first_seq == 0
    stream.close()
    sidecar.connection.on_stop(strategy_pb2.OnStopRequest(session_id="session"))
    sidecar.stop()
    assert (sidecar.pid, sidecar.exit, sidecar.stop_unclean, sidecar.stderr_tail()) == (None, None, False, "")


def test_a_wrong_cookie_is_refused(host: SidecarHost, address: str) -> None:
    sidecar = host.attach(address, "guessed", limits=IMPATIENT)
    with pytest.raises(BoxgateError) as caught:
        sidecar.connection.describe(strategy_pb2.DescribeRequest())
    assert caught.value.error_code == "COOKIE_REFUSED"
    assert "--attach" in caught.value.remedy


@pytest.mark.parametrize(
    "address", ["", "unix:relative", "unix:/nowhere/s", "example.org:1", "0.0.0.0:1", "dns:localhost", "localhost"]
)
def test_an_address_that_is_not_of_this_host_is_the_users_mistake(host: SidecarHost, address: str) -> None:
    with pytest.raises(BoxgateError) as caught:
        host.attach(address, COOKIE)
    assert (caught.value.error_code, caught.value.exit_code) == ("ATTACH_ADDRESS", 2)


def test_a_link_is_not_followed(host: SidecarHost, tmp_path: Path) -> None:
    (tmp_path / "s").symlink_to("/nowhere")
    with pytest.raises(BoxgateError) as caught:
        host.attach(f"unix:{tmp_path}/s", COOKIE)
    assert caught.value.error_code == "ATTACH_ADDRESS"


def test_an_address_where_nobody_listens_is_a_timeout(host: SidecarHost) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, not listening
        with pytest.raises(BoxgateError) as caught:
            host.attach(f"127.0.0.1:{free.getsockname()[1]}", COOKIE, limits=replace(IMPATIENT, handshake_s=0.3))
    assert caught.value.error_code == "HANDSHAKE_TIMEOUT"
