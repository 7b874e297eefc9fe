"""Which CPU a worker keeps to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from boxgate_server.cluster import worker as worker_module
from boxgate_server.cluster.build import this_build
from boxgate_server.cluster.messages import Job, Limits
from boxgate_server.cluster.worker import Worker

CORES = sorted(os.sched_getaffinity(0))
KEEPER = """
import os, subprocess, sys, threading
from boxgate_server.cluster import core
core._CLAIM = chr(0) + sys.argv[1] + "/{core}/{turn}"
threading.Thread(target=threading.Event().wait, daemon=True).start()
claim = core.keep_to_core()
child = "import os; print(*os.sched_getaffinity(0))"
places = {frozenset(os.sched_getaffinity(int(one))) for one in os.listdir("/proc/self/task")}
places.add(frozenset(map(int, subprocess.check_output([sys.executable, "-c", child]).split())))
assert claim is not None and len(places) == 1, places
print(*places.pop(), flush=True)
sys.stdin.read()
"""

Keeper = tuple[subprocess.Popen[str], list[int]]


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Callable[[], Keeper]]:
    """Start processes that keep to a core; each comes with the CPUs of all its threads and of what it started."""
    with ExitStack() as ends:

        def start() -> Keeper:
            process = subprocess.Popen(
                [sys.executable, "-c", KEEPER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            ends.enter_context(process)
            ends.callback(process.kill)
            assert process.stdout is not None
            return process, list(map(int, process.stdout.readline().split()))

        yield start


def test_workers_keep_to_one_core_each_and_share_when_there_are_more_of_them(
    keeper: Callable[[], Keeper],
) -> None:
    assert [keeper()[1] for _ in range(len(CORES) + 1)] == [*([one] for one in CORES), CORES[:1]]


def test_the_place_of_a_worker_that_was_killed_is_free(keeper: Callable[[], Keeper]) -> None:
    first, place = keeper()
    first.kill()
    first.wait()
    assert keeper()[1] == place


@pytest.mark.parametrize(
    ("is_full", "node_cpus", "keeps"),
    [
        (True, len(CORES), True),
        (True, 4 * len(CORES), True),
        (False, len(CORES), False),  # a CPU is idle, on which the strategy may work meanwhile
        (True, len(CORES) - 1, False),  # what is left of the machine is somebody else's
    ],
)
def test_a_worker_keeps_to_a_core_where_all_are_taken_and_no_one_else_has_any(
    is_full: bool, node_cpus: int, keeps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(
        folder="", store=str(tmp_path), build=this_build(), workers=2, group_by=("symbol", "frame"), limits=Limits()
    )
    kept: list[None] = []
    monkeypatch.setattr(worker_module, "keep_to_core", lambda: kept.append(None))
    monkeypatch.setattr(worker_module, "_node_cpus", lambda: float(node_cpus))
    monkeypatch.setattr(worker_module, "_node_id", lambda: "node")
    worker = Worker(replace(job, is_full=is_full))
    worker.join()
    assert worker._runner is not None
    worker._runner.close()
    assert bool(kept) == keeps
