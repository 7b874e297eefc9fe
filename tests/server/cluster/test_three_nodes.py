"""A cluster of three nodes on this host, each with a place of its own, the dataset at the driver alone."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from boxgate_engine.errors import BoxgateError, UserMistake
from boxgate_server.cluster.build import this_build
from boxgate_server.cluster.choice import execution_of
from boxgate_server.cluster.execution import RayExecution
from boxgate_server.matrix.config.places import address_key
from boxgate_server.matrix.driver import drive

pytestmark = pytest.mark.slow

NODES = 3
_START = """
import sys
from ray.scripts.scripts import main
main()
"""


class Cluster(NamedTuple):
    """Address, folder with the token and the places of the nodes, and their processes, the head first."""

    address: str
    folder: Path
    nodes: list[subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a node for each place."""
    folder = Path(tempfile.mkdtemp(prefix="bgc-", dir="/tmp"))
    (folder / "token").write_text(secrets.token_hex(32))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_agent_register_timeout_ms": "120000",
        "RAY_raylet_start_wait_time_s": "120",
    }
    running = []
    for number in range(NODES):
        where = ["--head", f"--port={port}", "--include-dashboard=false"]
        if number:
            where = [f"--address=127.0.0.2:{port}"]
        command = [
            sys.executable, "-c", _START, "start", "--block", "--node-ip-address=127.0.0.2", "--num-cpus=1",
            f"--temp-dir={folder}/{number}", "--object-store-memory=80000000", *where,
        ]  # fmt: skip
        with (folder / f"log-{number}").open("wb") as log:
            running.append(
                subprocess.Popen(
                    command,
                    env={**environment, "BOXGATE_NODE_CACHE": str(folder / f"node-{number}")},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        deadline = time.monotonic() + 180
        while b"Ray runtime started" not in (folder / f"log-{number}").read_bytes():
            assert time.monotonic() < deadline, (folder / f"log-{number}").read_text()
            assert running[-1].poll() is None, (folder / f"log-{number}").read_text()
            time.sleep(0.2)
    yield Cluster(f"127.0.0.2:{port}", folder, running)
    for one in reversed(running):
        one.send_signal(signal.SIGTERM)
    for one in running:
        try:
            one.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _overrides(cluster: Cluster, *more: str) -> tuple[str, ...]:
    address, folder, _ = cluster
    return (
        "runner.concurrency={strategy: distributed}",
        f"runner.ray.address={address}",
        f"runner.ray.token_file={folder / 'token'}",
        "runner.ray.dataset=flight",
        *more,
    )


def _drive(matrices: Any, *overrides: str) -> tuple[Any, RayExecution]:
    file, plan, folder = matrices.plan(*overrides)
    with execution_of(file, plan, folder=matrices.work, store=folder.runs) as execution:
        assert isinstance(execution, RayExecution)
        return drive(plan, file, folder, execution), execution


def _slices(place: Path) -> dict[str, str]:
    """Return the hash of each slice that a node has made, by its path."""
    return {
        path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in place.glob("cache/**/slices/*")
        if path.suffix == ".arrow"
    }


def test_three_nodes_make_the_runs_of_one_process_and_fetch_the_dataset_once_each(
    matrices: Any, cluster: Cluster
) -> None:
    done, execution = _drive(matrices, *_overrides(cluster))
    assert (done.counts.complete, done.counts.failed) == (20, 0)
    assert done.matrix_digest == matrices.alone().matrix_digest
    places = {one.place: one.fetched_bytes for one in execution.joined}
    assert len(places) == NODES
    assert all(fetched > 0 for fetched in places.values())
    slices = [_slices(Path(place)) for place in places]
    assert any(slices)
    for name in set().union(*slices):
        assert len({one[name] for one in slices if name in one}) == 1
    again, execution = _drive(matrices, *_overrides(cluster, "matrix.params.every=[33, 34]"))
    assert again.counts.complete == 8
    assert sum(one.fetched_bytes for one in execution.joined) == 0


def test_nodes_that_share_no_folder_upload_to_one_address(matrices: Any, cluster: Cluster, tmp_path: Path) -> None:
    overrides = (*_overrides(cluster), f"io.local_store={tmp_path / 'driver'}")
    file, plan, folder = matrices.plan(*overrides, store=f"file://{tmp_path / 'there'}")
    with execution_of(file, plan, folder=matrices.work, store=folder.runs) as execution:
        assert isinstance(execution, RayExecution)
        done = drive(plan, file, folder, execution)
    assert (done.counts.complete, done.computed) == (20, 20)
    assert done.matrix_digest == matrices.alone().matrix_digest
    for one in execution.joined:
        uploads = Path(one.place) / "uploads" / address_key(f"file://{tmp_path / 'there'}")
        assert [path.name for path in uploads.iterdir() if not path.name.startswith(".")] == []
    assert len(list((tmp_path / "there" / "runs").glob("r_*/manifest.json"))) == 20
    assert list(folder.runs.glob("r_*")) == []


def test_another_token_is_refused_by_name(matrices: Any, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(secrets.token_hex(32))
    overrides = _overrides(cluster, f"runner.ray.token_file={tmp_path / 'token'}", "matrix.params.every=[35]")
    with pytest.raises(UserMistake) as caught:
        _drive(matrices, *overrides)
    assert caught.value.error_code == "RAY_REFUSED"


def test_other_software_on_the_nodes_is_refused_before_the_first_run(
    matrices: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, plan, folder = matrices.plan(*_overrides(cluster, "matrix.params.every=[36]"))
    changed = replace(this_build(), code="0" * 64)
    monkeypatch.setattr("boxgate_server.cluster.choice.this_build", lambda: changed)
    with (
        execution_of(file, plan, folder=matrices.work, store=folder.runs) as execution,
        pytest.raises(BoxgateError) as caught,
    ):
        drive(plan, file, folder, execution)
    assert caught.value.error_code == "VERSION_MIXED"


def test_k02_a_node_that_is_killed_loses_nothing_and_its_strategies_end(
    matrices: Any, cluster: Cluster, work: Path, descendants: Callable[[int], list[int]]
) -> None:
    (work / "witness").mkdir(exist_ok=True)
    overrides = ("matrix.params.every={from: 101, to: 115, step: 1}", "matrix.params.will=[dawdle]")
    file, plan, folder = matrices.plan(*_overrides(cluster, *overrides))
    killed: list[int] = []
    orphans: list[int] = []

    def kill(progress: Any) -> None:
        if progress.done >= 10 and not killed:
            killed.append(cluster.nodes[-1].pid)
            orphans.extend(pid for pid in descendants(killed[0]) if os.getpgid(pid) != killed[0])
            os.killpg(killed[0], signal.SIGKILL)

    with execution_of(file, plan, folder=matrices.work, store=folder.runs) as execution:
        done = drive(plan, file, folder, execution, tell=kill)
    assert killed
    assert orphans, "they have sessions of their own"
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in orphans):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (done.counts.complete, done.counts.failed) == (60, 0)
    assert done.matrix_digest == matrices.alone(*overrides).matrix_digest
