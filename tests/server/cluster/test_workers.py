"""One worker without Ray: what it does with a run that was computed already, or is computed twice at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boxgate_server.cluster.build import this_build
from boxgate_server.cluster.messages import Job, Joined, Limits, Stopped
from boxgate_server.cluster.worker import Worker
from boxgate_server.matrix.execution.limits import LimitedRunner
from boxgate_server.matrix.execution.work import Outcome, Task


@pytest.fixture
def job(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """What a worker is told."""
    monkeypatch.setattr("boxgate_server.cluster.worker._node_id", lambda: "node")
    return Job(
        folder=str(work), store=str(tmp_path), build=this_build(), workers=1, group_by=("symbol",), limits=Limits()
    )


@pytest.fixture
def planned(matrices: Any) -> Callable[[int], tuple[Any, Task]]:
    """Config and task of the run of the plan with this number."""

    def find(number: int) -> tuple[Any, Task]:
        _, plan, _ = matrices.plan()
        one = list(plan)[number]
        task = Task(run_id=one.run_id, params=plan.space.varied(one.params), attempt=1)
        return plan.settings[one.setting].config, task

    return find


def test_k12_a_run_whose_answer_was_lost_is_found_and_not_computed_again(
    job: Job, planned: Callable[[int], tuple[Any, Task]]
) -> None:
    config, task = planned(0)
    worker = Worker(job)
    joined = worker.join()
    assert isinstance(joined, Joined)
    try:
        worker.learn(b"key", config, None)
        [first] = worker.compute(b"key", [task], again=False)
        [found] = worker.compute(b"key", [replace(task, attempt=2)], again=True)
        assert (first.reused, found.reused, found.attempt) == (False, True, 2)
        assert (found.result_digest, found.metrics) == (first.result_digest, first.metrics)
    finally:
        assert worker._runner is not None
        worker._runner.close()


def test_k09_a_run_that_two_workers_compute_at_once_is_published_once(
    work: Path, tmp_path: Path, planned: Callable[[int], tuple[Any, Task]]
) -> None:
    config, task = planned(1)
    outcomes: list[Outcome] = []

    def compute() -> None:
        with LimitedRunner(folder=work) as runner:
            outcomes.append(runner.compute(config, task, tmp_path))

    threads = [threading.Thread(target=compute) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.failure for one in outcomes] == [None, None]
    assert len({one.result_digest for one in outcomes}) == 1
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == [task.run_id]


def test_k10_a_worker_of_another_build_says_so_instead_of_joining(job: Job) -> None:
    other = replace(job, address="head:6379", build=replace(job.build, code="0" * 64))
    told = Worker(other).join()
    assert isinstance(told, Stopped)
    assert told.code == "VERSION_MIXED"
