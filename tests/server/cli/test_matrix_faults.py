"""A matrix whose driver is killed, whose disk is full or breaks, or whose clock is wrong: nothing is lost by it."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from boxgate_engine.artefacts import read_run
from boxgate_engine.errors import StoreFailed
from boxgate_server.matrix.config.load import load_matrix
from boxgate_server.matrix.driver import Driven, Progress, drive
from boxgate_server.matrix.execution.in_process import InProcess
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.planning.planner import make_plan

pytestmark = pytest.mark.usefixtures("nothing_left")

RUNS = 12
FAULT_AT = 5
"""Runs that are done when something breaks."""

Drive = Callable[..., Driven]


@pytest.fixture
def compute(matrix: Path, workspace: Path) -> Drive:
    """Compute the matrix in this process. breaks: is called once, when some runs are done."""

    def call(store: str = "artifacts", breaks: Callable[[], object] = lambda: None) -> Driven:
        plan, file, folder = _planned(matrix, workspace, store)
        due = [breaks]

        def tell(progress: Progress) -> None:
            if progress.done >= FAULT_AT and due:
                due.pop()()

        execution = InProcess(folder=workspace, store=folder.runs)
        try:
            return drive(plan, file, folder, execution, tell=tell)
        finally:
            execution.close()

    return call


@pytest.fixture
def disk(workspace: Path) -> Iterator[Path]:
    """A file system of its own, of a few MB, where the runs are published."""
    place = workspace / "artifacts" / "runs"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a file system of its own needs the right to mount one: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def _planned(matrix: Path, workspace: Path, store: str = "artifacts") -> Any:
    file = load_matrix(matrix, [f"io.artifacts_store={store}"])
    plan = make_plan(file, folder=workspace)
    return plan, file, MatrixFolder(workspace / store, plan.matrix_id)


def _check_broken(matrix: Path, workspace: Path, compute: Drive, error: StoreFailed, code: str) -> None:
    """Check what a driver left that lost its disk: complete runs, the others pending; and that another goes on."""
    assert error.error_code == code
    _, _, folder = _planned(matrix, workspace)
    whole = {path.name: path.stat().st_ino for path in folder.runs.glob("r_*")}
    for name in whole:
        assert read_run(folder.runs / name).run_id == name
    with Ledger(folder.ledger) as ledger:
        counts = ledger.counts()
        noted = {one.run_id for one in ledger.entries("complete")}
    assert FAULT_AT <= len(noted) < RUNS
    assert (counts.failed, counts.pending) == (0, RUNS - len(noted))
    assert noted <= whole.keys()
    again = compute()
    assert (again.counts.complete, again.counts.failed) == (RUNS, 0)
    assert (again.reused, again.computed) == (len(whole), RUNS - len(whole))
    assert {name: (folder.runs / name).stat().st_ino for name in whole} == whole
    assert again.matrix_digest == compute(store="undisturbed").matrix_digest


def test_k06_a_disk_that_is_full_leaves_runs_pending_that_resume_computes(
    matrix: Path, workspace: Path, disk: Path, compute: Drive
) -> None:
    def fill() -> None:
        with (disk / ".ballast").open("wb", buffering=0) as ballast:
            while True:
                try:
                    ballast.write(bytes(4096))
                except OSError:
                    return

    with pytest.raises(StoreFailed) as caught:
        compute(breaks=fill)
    (disk / ".ballast").unlink()
    _check_broken(matrix, workspace, compute, caught.value, "STORE_FULL")


def test_k06_a_disk_that_becomes_read_only_leaves_runs_pending_that_resume_computes(
    matrix: Path, workspace: Path, disk: Path, compute: Drive
) -> None:
    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)

    with pytest.raises(StoreFailed) as caught:
        compute(breaks=lambda: remount("ro"))
    remount("rw")
    _check_broken(matrix, workspace, compute, caught.value, "STORE_DENIED")


def test_k07_a_disk_that_breaks_leaves_runs_pending_that_resume_computes(
    matrix: Path, workspace: Path, compute: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched, pytest.raises(StoreFailed) as caught:
        compute(breaks=lambda: patched.setattr(Path, "write_bytes", refuse))
    _check_broken(matrix, workspace, compute, caught.value, "STORE_IO")


@pytest.mark.parametrize("call", ["syncfs", "fsync"])
def test_k07_a_sync_that_fails_ends_the_driver_and_is_not_tried_again(
    matrix: Path, compute: Drive, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    asked: list[int] = []

    def fails(descriptor: int) -> NoReturn:
        asked.append(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    class Libc:
        """A C library that has one function, which fails."""

        @staticmethod
        def syncfs(descriptor: int) -> int:
            asked.append(descriptor)
            return -1

    with monkeypatch.context() as patched:

        def break_it() -> None:
            if call == "fsync":
                patched.setattr("os.fsync", fails)
            else:
                patched.setattr("boxgate_engine.artefacts.publish.ctypes.CDLL", lambda *_, **__: Libc)
                patched.setattr("boxgate_engine.artefacts.publish.ctypes.get_errno", lambda: errno.EIO)

        with pytest.raises(StoreFailed) as caught:
            compute(breaks=break_it)
    assert caught.value.error_code == "STORE_IO"
    assert len(asked) == 1, "what a disk says the second time is worth nothing"
    again = compute()
    assert (again.counts.complete, again.reused, again.computed) == (RUNS, RUNS, 0)


def test_k04_two_that_resume_at_once_share_nothing_and_compute_every_run_once(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    store = workspace / "artifacts" / "runs"
    command = [sys.executable, "-m", "boxgate_server", "matrix"]
    driver = subprocess.Popen(
        [*command, "run", str(matrix)], cwd=workspace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while driver.poll() is None and time.monotonic() < until and len(list(store.glob("r_*"))) < RUNS // 2:
        time.sleep(0.005)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL, "it was killed before it was done"
    before = {path.name: path.stat().st_ino for path in store.glob("r_*")}
    both = [
        subprocess.Popen(
            [*command, "resume", str(matrix), "--json"],
            cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    answers = [json.loads(one.communicate(timeout=120)[0]) for one in both]
    done = [one for one in answers if "error" not in one]
    refused = [one["error"]["code"] for one in answers if "error" in one]
    assert refused in (["MATRIX_BUSY"], []), "nobody is refused where the first was done before the second came"
    assert len(done) + len(refused) == 2
    assert sum(one["computed"] for one in done) == RUNS - len(before)
    assert {one["matrix_digest"] for one in done} == {
        boxgate("matrix", "status", str(matrix), "--json").json["matrix_digest"]
    }
    assert len(list(store.glob("r_*"))) == RUNS
    assert {name: (store / name).stat().st_ino for name in before} == before, "what was there was not made again"


def test_k11_no_result_depends_on_a_clock(workspace: Path, compute: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    right = compute(store="right")
    chance, now, now_ns = random.Random(3), time.time, time.time_ns
    with monkeypatch.context() as patched:
        # Ahead, and another time each time it is looked at; what waits for an answer bears no clock that is behind.
        patched.setattr(time, "time", lambda: now() + chance.uniform(0.0, 1e9))
        patched.setattr(time, "time_ns", lambda: now_ns() + chance.randrange(10**18))
        wrong = compute(store="wrong")
    assert (wrong.counts.complete, wrong.matrix_digest) == (RUNS, right.matrix_digest)
    for run in (workspace / "right" / "runs").glob("r_*"):
        assert (workspace / "wrong" / "runs" / run.name / "manifest.json").read_bytes() == (
            run / "manifest.json"
        ).read_bytes(), "with it every file that it lists"
