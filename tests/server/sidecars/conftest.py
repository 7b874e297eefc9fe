"""A host for the tests of the sidecar host, and what must hold after each of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from trials import CLOSED_S, Starter, own_resources, processes_of, until_empty

from boxgate_server.sidecars import SidecarHost, guard


@pytest.fixture
def runtime_folder() -> Iterator[Path]:
    """A short folder for sockets. Afterwards it is empty, and no process that was started below it is left."""
    folder = Path(tempfile.mkdtemp(prefix="bt-", dir="/tmp"))
    yield folder
    left = until_empty(lambda: [*processes_of(folder), *folder.iterdir()])
    shutil.rmtree(folder)
    assert left == [], "something outlived the host"


@pytest.fixture
def host(runtime_folder: Path) -> Iterator[SidecarHost]:
    """A host; afterwards the gateway has as many threads and file descriptors as before."""
    before = own_resources()
    with SidecarHost(runtime_folder=runtime_folder) as host:
        yield host
    left = until_empty(lambda: sorted(own_resources() - before), CLOSED_S)
    assert left == [], "the gateway holds on to something"


@pytest.fixture
def sidecars(host: SidecarHost) -> Starter:
    return Starter(host)


@pytest.fixture(params=[guard.PID_NAMESPACE, guard.USER_PID_NAMESPACE, guard.PROCESS_TREE])
def containment(request: pytest.FixtureRequest) -> str:
    """Each way to hold a tree together that this host grants."""
    name = str(request.param)
    if name != guard.PROCESS_TREE:
        pid = os.fork()
        if pid == 0:
            guard._in_child(lambda: guard._try_pid_namespace(guard._NAMESPACES[name]))
        if os.waitpid(pid, 0)[1] != 0:
            pytest.skip(f"this host grants no {name}")
    return name
