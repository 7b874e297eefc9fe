"""A matrix by two workers of Ray: the same runs as one after another, whoever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from boxgate_server.cluster.execution import RayExecution
from boxgate_server.matrix.execution.work import Group, Outcome, Task
from boxgate_server.matrix.keeping.ledger import Ledger

RUNS = 20


@contextmanager
def meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Do something in a thread; its error is raised at the end."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if raised:
        raise raised[0]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def told(matrices: Any, *overrides: str) -> list[Any]:
    """Return why runs failed."""
    _, _, folder = matrices.plan(*overrides)
    with Ledger(folder.ledger) as ledger:
        return [one.failure for one in ledger.entries("failed")]


def test_two_workers_make_the_runs_that_one_process_makes(matrices: Any, two_workers: RayExecution, work: Path) -> None:
    done = matrices.drive(two_workers)
    alone = matrices.alone()
    assert (done.counts.complete, done.computed) == (RUNS, RUNS)
    assert done.matrix_digest == alone.matrix_digest
    ours, theirs = work / "artifacts" / "runs", work / "alone" / "runs"
    for run in (path.name for path in theirs.iterdir() if path.name.startswith("r_")):
        for name in ("manifest.json", "equity_curve.parquet", "trades.csv", "metrics.json"):
            assert (ours / run / name).read_bytes() == (theirs / run / name).read_bytes()
    assert len({one.pid for one in two_workers.joined}) == 2
    cores = len(os.sched_getaffinity(0))
    assert {len(os.sched_getaffinity(one.pid)) for one in two_workers.joined} == {1 if cores <= 2 else cores}
    assert two_workers.startup_s > 0


def test_k01_a_worker_that_is_killed_loses_nothing(
    matrices: Any, two_workers: RayExecution, witness: Path, descendants: Callable[[int], list[int]]
) -> None:
    # One run of each config: a worker has none of them together with others, which would not count at once.
    overrides = ("matrix.params.every=[31]", "matrix.params.will=[pause]")
    orphans: list[int] = []

    def kill() -> None:
        wait_for(lambda: len(list(witness.iterdir())) == 2)
        victim = two_workers.joined[-1].pid
        orphans.extend(descendants(victim))
        os.kill(victim, signal.SIGKILL)
        (witness / "go").touch()

    with meanwhile(kill):
        done = matrices.drive(two_workers, *overrides)
    assert (done.counts.complete, done.counts.failed) == (4, 0), told(matrices, *overrides)
    (witness / "go").touch()
    assert done.matrix_digest == matrices.alone(*overrides).matrix_digest
    _, _, folder = matrices.plan(*overrides)
    with Ledger(folder.ledger) as ledger:
        attempts = sorted(one.attempts for one in ledger.entries())
    assert attempts == [1] * 3 + [2]
    assert orphans
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))


def test_a_sidecar_that_is_killed_loses_nothing(
    matrices: Any, two_workers: RayExecution, witness: Path, work: Path, descendants: Callable[[int], list[int]]
) -> None:
    overrides = ("matrix.params.every=[41, 42]", "strategy.params.only=41", "matrix.params.will=[pause]")

    def kill() -> None:
        wait_for(lambda: len(list(witness.iterdir())) == 2)
        for worker in two_workers.joined:
            for pid in descendants(worker.pid):
                with suppress(OSError):
                    if os.readlink(f"/proc/{pid}/cwd") == str(work):  # the others have none of their own
                        os.kill(pid, signal.SIGKILL)
        (witness / "go").touch()

    with meanwhile(kill):
        done = matrices.drive(two_workers, *overrides)
    assert (done.counts.complete, done.counts.failed) == (8, 0), told(matrices, *overrides)
    _, _, folder = matrices.plan(*overrides)
    with Ledger(folder.ledger) as ledger:
        assert max(one.attempts for one in ledger.entries()) == 2
    (witness / "go").touch()
    assert done.matrix_digest == matrices.alone(*overrides).matrix_digest


def test_a_strategy_that_raises_is_a_failed_run_and_the_others_go_on(matrices: Any, two_workers: RayExecution) -> None:
    overrides = ("matrix.params.every=[51, 52]", "strategy.params.only=51", "matrix.params.will=[raise]")
    done = matrices.drive(two_workers, *overrides)
    assert (done.counts.complete, done.counts.failed) == (4, 4)
    _, _, folder = matrices.plan(*overrides)
    with Ledger(folder.ledger) as ledger:
        failures = [one.failure for one in ledger.entries("failed")]
    assert {one.code for one in failures if one is not None} == {"SIDECAR_FAILED"}
    assert all(one is not None and "lost the plot" in one.what for one in failures)


def test_k08_k12_what_is_published_is_not_computed_again(matrices: Any, two_workers: RayExecution) -> None:
    first = matrices.drive(two_workers, "matrix.params.every=[61]")
    again = matrices.drive(two_workers, "matrix.params.every=[61]")
    assert (again.computed, again.reused, again.matrix_digest) == (0, first.computed, first.matrix_digest)


def test_k12_a_run_that_is_tried_again_is_looked_for_first(matrices: Any, two_workers: RayExecution) -> None:
    overrides = ("matrix.params.every=[62]",)
    _, plan, _ = matrices.plan(*overrides)
    first = matrices.drive(two_workers, *overrides)
    (one, *_) = plan
    setting = plan.settings[one.setting]
    task = Task(run_id=one.run_id, params=plan.space.varied(one.params), attempt=2)  # as if its answer had been lost
    two_workers.submit(Group(setting=one.setting, config=setting.config, tasks=(task,)))
    outcomes: list[Outcome] = []
    while not outcomes:
        outcomes += two_workers.outcomes(1.0)
    assert [(found.run_id, found.attempt, found.reused) for found in outcomes] == [(one.run_id, 2, True)]
    assert first.counts.complete == 4


@pytest.mark.parametrize("victim", ["raylet", "gcs_server", "host"])
@pytest.mark.slow
def test_k02_k03_ray_that_dies_is_started_again_and_no_strategy_outlives_it(
    matrices: Any, two_workers: RayExecution, witness: Path, victim: str, descendants: Callable[[int], list[int]]
) -> None:
    overrides = (
        f"matrix.params.every=[{71 + len(victim)}, 90]",
        f"strategy.params.only={71 + len(victim)}",
        "matrix.params.will=[pause]",
    )

    orphans: list[int] = []

    def kill() -> None:
        wait_for(lambda: len(list(witness.iterdir())) == 2)
        for worker in two_workers.joined:
            orphans.extend(descendants(worker.pid))
        found = {
            Path(f"/proc/{pid}/comm").read_text().strip(): pid
            for pid in descendants(os.getpid())
            if Path(f"/proc/{pid}/comm").exists()
        }
        host = two_workers._host
        assert host is not None
        os.kill(host.pid if victim == "host" else found[victim], signal.SIGKILL)
        (witness / "go").touch()

    with meanwhile(kill):
        done = matrices.drive(two_workers, *overrides)
    assert (done.counts.complete, done.counts.failed) == (8, 0), told(matrices, *overrides)
    assert orphans
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    (witness / "go").touch()
    assert done.matrix_digest == matrices.alone(*overrides).matrix_digest


def test_nothing_of_ray_is_left(two_workers: RayExecution, descendants: Callable[[int], list[int]]) -> None:
    folder = two_workers._folder
    assert two_workers._host is not None
    before = [two_workers._host.pid, *descendants(two_workers._host.pid)]
    assert folder is not None
    assert folder.exists()
    assert len(before) > 2
    two_workers.close()
    assert not folder.exists()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before))
