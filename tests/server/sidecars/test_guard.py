"""The guard: whatever ends the gateway, the guard or a keeper, nothing of a sidecar is left two seconds later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from trials import HERE, IMPATIENT, Starter, exchange, parents, processes_of, until_empty

from boxgate_engine.errors import BoxgateError
from boxgate_server.sidecars import SidecarHost, guard


def start_gateway(runtime_folder: Path, containment: str, *, forked: bool = False) -> subprocess.Popen[str]:
    """Start a gateway with three sidecars, one of them with daemonised grandchildren; wait until all serve."""
    program = f"""
import os, time
from pathlib import Path
from boxgate_server.sidecars import SidecarHost, SidecarLimits
from trials import Starter
host = SidecarHost(runtime_folder=Path({str(runtime_folder)!r}), containment={containment!r})
for name in ("daemonise", "ignore_sigterm", ""):
    Starter(host).start(name)
if {forked} and os.fork() == 0:
    time.sleep(8)
    os._exit(0)
print(host.containment, flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONWARNINGS": "ignore", "GRPC_VERBOSITY": "NONE"}
    gateway = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
    assert gateway.stdout is not None
    assert gateway.stdout.readline().strip() == containment
    return gateway


def daemons(runtime_folder: Path) -> list[int]:
    return [pid for pid in processes_of(runtime_folder) if b"misbehaving.py\0daemonise" in command_line(pid)]


def command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_S27_nothing_is_left_of_a_gateway_that_was_killed(runtime_folder: Path, containment: str) -> None:
    with start_gateway(runtime_folder, containment) as gateway:
        assert len(daemons(runtime_folder)) == 4  # the sidecar and three grandchildren
        gateway.kill()
    assert until_empty(lambda: [*processes_of(runtime_folder), *runtime_folder.iterdir()]) == []


def test_a_forked_copy_of_the_gateway_does_not_keep_the_guard_from_noticing(runtime_folder: Path) -> None:
    with start_gateway(runtime_folder, guard.PROCESS_TREE, forked=True) as gateway:
        gateway.kill()

    def left() -> list[object]:
        mine = [pid for pid in processes_of(runtime_folder) if b"trials" not in command_line(pid)]
        return [*mine, *runtime_folder.iterdir()]

    assert until_empty(left) == []
    for pid in processes_of(runtime_folder):
        os.kill(pid, signal.SIGKILL)  # the forked copy, which is ours


def test_an_interrupt_at_the_terminal_does_not_end_the_guard_before_the_gateway(runtime_folder: Path) -> None:
    with SidecarHost(runtime_folder=runtime_folder) as host:
        sidecar = Starter(host).start()
        assert sidecar.pid is not None
        assert os.getsid(sidecar.pid) != os.getsid(0)
        for pid in processes_of(runtime_folder):
            if b"guard.py" in command_line(pid):
                os.kill(pid, signal.SIGINT)
                os.kill(pid, signal.SIGTERM)
        assert Starter(host).run().stop_unclean is False


def test_a_tree_ends_in_every_containment(runtime_folder: Path, containment: str) -> None:
    with SidecarHost(runtime_folder=runtime_folder, containment=containment) as host:
        starter = Starter(host)
        sidecar = starter.run("daemonise")
        assert host.containment == containment
        assert sidecar.stop_unclean is False
        assert daemons(runtime_folder) == []
        hanging, stream = starter.open("daemonise")
        exchange(stream, 0)
        hanging.kill()
        assert daemons(runtime_folder) == []


def test_a_keeper_that_is_killed_takes_its_tree_along_and_no_other(runtime_folder: Path, containment: str) -> None:
    with SidecarHost(runtime_folder=runtime_folder, containment=containment) as host:
        starter = Starter(host)
        doomed, spared = starter.start("daemonise"), starter.start()
        assert doomed.pid is not None
        os.kill(parents(doomed.pid)[0], signal.SIGKILL)
        assert until_empty(lambda: daemons(runtime_folder)) == []
        assert doomed.folder is not None
        assert until_empty(lambda: list(doomed.folder.glob("*")) if doomed.folder else []) == []
        _, stream = starter.open()
        exchange(stream, 0)
        spared.stop()
        assert spared.stop_unclean is False
        doomed.stop()
        assert doomed.stop_unclean


def test_a_guard_that_is_killed_is_named_and_leaves_nothing(runtime_folder: Path, containment: str) -> None:
    with SidecarHost(runtime_folder=runtime_folder, containment=containment) as host:
        starter = Starter(host)
        sidecar, stream = starter.open("daemonise")
        exchange(stream, 0)
        assert sidecar.pid is not None
        os.kill(parents(sidecar.pid)[1], signal.SIGKILL)
        assert until_empty(lambda: daemons(runtime_folder)) == []
        with pytest.raises(BoxgateError) as caught:
            exchange(stream, 1)
        assert caught.value.error_code == "GUARD_LOST"
        assert until_empty(lambda: processes_of(runtime_folder)) == []
        with pytest.raises(BoxgateError) as again:
            starter.start()
        assert again.value.error_code == "GUARD_LOST"


def test_the_best_containment_is_found_by_doing(runtime_folder: Path) -> None:
    with SidecarHost(runtime_folder=runtime_folder) as host:
        Starter(host).start()
        assert host.containment in (guard.PID_NAMESPACE, guard.USER_PID_NAMESPACE, guard.PROCESS_TREE)


def test_the_guard_imports_no_module_that_is_slow_to_start() -> None:
    program = f"import sys; sys.argv=['x']; import runpy; runpy.run_path({guard.__file__!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, check=True, text=True)
    assert not {"grpc", "google", "boxgate_server", "pathlib", "subprocess", "threading"} & set(done.stdout.split())


def test_what_the_guard_cannot_prepare_is_reported_and_no_keeper_is_left(runtime_folder: Path) -> None:
    with SidecarHost(runtime_folder=runtime_folder, containment="no_such_containment") as host:
        with pytest.raises(BoxgateError) as caught:
            host.start(["python", "-V"], cwd=HERE, mode="debug", limits=IMPATIENT)
        assert caught.value.error_code == "GUARD_LOST"
        assert json.dumps(caught.value.as_dict())
