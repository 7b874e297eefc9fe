"""A matrix whose store is an address: the runs of a folder, whoever dies or refuses, and readable from elsewhere."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from boxgate_engine.artefacts import read_run
from boxgate_engine.errors import StoreFailed, UserMistake
from boxgate_engine.remote_folder import RemoteFolder
from boxgate_server.cluster.build import this_build
from boxgate_server.cluster.execution import RayExecution
from boxgate_server.cluster.messages import Job, Joined, Limits, Shipment, Stopped
from boxgate_server.cluster.worker import Worker
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.config.places import address_key
from boxgate_server.matrix.driver import Driven, drive
from boxgate_server.matrix.execution.in_process import InProcess
from boxgate_server.matrix.execution.work import Group, Task
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.keeping.published import fetch_matrix
from boxgate_server.matrix.keeping.sign import Sign, driver_there
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.trials.deflation import deflation
from boxgate_server.matrix.trials.exchange import fetch_trials

UNLISTED = {"logs.ndjson", "environment.json"}


class Remote:
    """A store behind an address, whose content can be looked at, and the folder that stands for it on some host."""

    def __init__(self, matrices: Any, there: Path, local: Path) -> None:
        self.matrices = matrices
        self.there = there
        self.local = local
        self.address = f"file://{there}"

    @cached_property
    def planned(self) -> tuple[MatrixFile, Plan, MatrixFolder]:
        """File, plan and folder, made once."""
        file, plan, folder = self.matrices.plan(f"io.local_store={self.local}", store=self.address)
        return file, plan, folder

    @property
    def folder(self) -> MatrixFolder:
        return self.planned[2]

    def drive(self) -> Driven:
        """Compute what is lacking, in this process."""
        file, plan, folder = self.planned
        execution = InProcess(folder=self.matrices.work, store=folder.runs, address=self.address)
        try:
            return drive(plan, file, folder, execution)
        finally:
            execution.close()

    def elsewhere(self, local: Path) -> Remote:
        """Return the same store as another host knows it."""
        return Remote(self.matrices, self.there, local)

    def index(self) -> pl.DataFrame:
        """Read the index as its pointer says."""
        at = self.there / "matrices" / self.folder.matrix_id
        pointer = json.loads((at / "index.json").read_text())
        found = pl.read_parquet([at / part for part in pointer["parts"]])
        assert pointer["rows"] == found.height
        return found


@pytest.fixture(scope="module")
def alone(matrices: Any) -> Driven:
    """The matrix in a folder."""
    done: Driven = matrices.alone()
    return done


@pytest.fixture
def remote(matrices: Any, tmp_path: Path) -> Remote:
    return Remote(matrices, tmp_path / "there", tmp_path / "here")


@pytest.fixture(scope="module")
def filled(matrices: Any, tmp_path_factory: pytest.TempPathFactory) -> Remote:
    """A store in which the matrix is complete; tests copy it."""
    place = tmp_path_factory.mktemp("filled")
    found = Remote(matrices, place / "there", place / "here")
    assert found.drive().computed == 20
    return found


@pytest.fixture
def copied(filled: Remote, tmp_path: Path) -> Remote:
    """A store in which the matrix is complete, on a host that has never heard of it."""
    shutil.copytree(filled.there, tmp_path / "there")
    return Remote(filled.matrices, tmp_path / "there", tmp_path / "here")


def runs_in(folder: Path) -> dict[str, dict[str, bytes]]:
    return {
        run.name: {path.name: path.read_bytes() for path in run.iterdir() if path.name not in UNLISTED}
        for run in folder.iterdir()
        if run.name.startswith("r_")
    }


def test_the_store_has_what_a_folder_would_have(matrices: Any, alone: Driven, filled: Remote) -> None:
    assert filled.drive().matrix_digest == alone.matrix_digest
    assert runs_in(filled.there / "runs") == runs_in(matrices.work / "alone" / "runs")
    folder = filled.folder
    assert [path.name for path in folder.runs.iterdir()] == [], "what is uploaded stays nowhere else"
    there = {path.name for path in (filled.there / "matrices" / folder.matrix_id).iterdir()}
    assert there == {"index", "index.json", "ledger.sqlite", "matrix.json", "trials.json"}
    assert not list(filled.there.glob(".probe*"))


def test_polars_and_duckdb_read_the_index(alone: Driven, filled: Remote) -> None:
    parts = filled.there / "matrices" / filled.folder.matrix_id / "index" / "part-*.parquet"
    expected = pl.read_parquet(alone.index / "part-*.parquet")
    assert filled.index().equals(expected)
    assert pl.read_parquet(parts).equals(expected)
    rows = (
        duckdb.connect()
        .execute(f"select run_id, result_digest, m_ratio_sharpe from '{parts}' order by run_id")
        .fetchall()
    )
    assert rows == expected.select("run_id", "result_digest", "m_ratio_sharpe").rows()


def test_another_host_computes_nothing_that_is_there_and_nothing_is_believed(alone: Driven, copied: Remote) -> None:
    runs = sorted((copied.there / "runs").iterdir())
    (runs[2] / "metrics.json").write_text("{}")
    (runs[5] / "fills.parquet").unlink()
    (runs[7] / "manifest.json").unlink()
    done = copied.drive()
    assert (done.computed, done.reused, done.matrix_digest) == (3, 17, alone.matrix_digest)
    assert {read_run(path).run_id for path in runs} == {path.name for path in runs}
    aside = {path.name for path in (copied.there / "runs").iterdir()} - {path.name for path in runs}
    assert aside == {f"{runs[2].name}.damaged-1", f"{runs[5].name}.damaged-1"}


def test_a_run_under_the_id_of_another_fails_alone(copied: Remote) -> None:
    one, other, *_ = sorted((copied.there / "runs").iterdir())
    shutil.rmtree(other)
    shutil.copytree(one, other)
    done = copied.drive()
    assert (done.counts.complete, done.counts.failed) == (19, 1)
    with Ledger(copied.folder.ledger) as ledger:
        (failed,) = ledger.entries("failed")
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.where) == (
        "RUN_ID_CONFLICT",
        f"{copied.address}/runs/{other.name}",
    )


def test_k08_a_run_that_has_another_result_there_fails_and_both_are_kept(copied: Remote) -> None:
    _, plan, folder = copied.planned
    one = next(iter(plan))
    place = copied.there / "runs" / one.run_id / "manifest.json"
    ours = json.loads(place.read_text())["result_digest"]
    place.write_text(place.read_text().replace(ours, f"sha256:{'0' * 64}"))
    execution = InProcess(folder=copied.matrices.work, store=folder.runs, address=copied.address)
    task = Task(run_id=one.run_id, params=plan.space.varied(one.params), attempt=1)
    execution.submit(Group(setting=one.setting, config=plan.settings[one.setting].config, tasks=(task,)))
    try:
        (outcome,) = execution.outcomes(0.0)
    finally:
        execution.close()
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.failure.is_final, outcome.result_digest) == ("NONDETERMINISM", True, None)
    assert not (folder.runs / one.run_id).exists()
    kept = copied.there / "runs" / f"{one.run_id}.conflict-{ours.removeprefix('sha256:')[:8]}"
    assert read_run(kept).result_digest == ours
    assert json.loads(place.read_text())["result_digest"] == f"sha256:{'0' * 64}"


def test_what_a_driver_of_another_host_wrote_is_fetched_with_its_trials(copied: Remote) -> None:
    _, plan, folder = copied.planned
    assert fetch_matrix(folder)
    fetch_trials(folder)
    assert not fetch_matrix(folder), "this host has what is as new"
    with Ledger(folder.ledger) as ledger:
        assert (ledger.counts().complete, ledger.driver()) == (20, None)
        assert deflation(folder, ledger, plan, None).trials == 20
    assert pl.read_parquet(folder.index / "part-*.parquet").equals(copied.index())
    done = copied.drive()
    assert (done.computed, done.counts.complete) == (0, 20)


def test_two_hosts_in_turn_know_what_the_other_did(copied: Remote, tmp_path: Path) -> None:
    first, second = copied, copied.elsewhere(tmp_path / "second")
    shutil.rmtree(min((copied.there / "runs").iterdir()))
    for host, computed in ((first, 1), (second, 0), (first, 0)):
        folder = host.folder
        fetch_matrix(folder)
        with Ledger(folder.ledger) as ledger:
            before = ledger.last_epoch
        assert host.drive().computed == computed
        with Ledger(folder.ledger) as ledger:
            assert ledger.last_epoch == before + 1


def test_a_host_whose_driver_died_learns_what_another_host_did_since(copied: Remote) -> None:
    folder = copied.folder
    for _ in range(3):
        with Ledger(folder.ledger) as ledger:
            ledger.take_lease()
    assert fetch_matrix(folder), "there is less done here, though the lease was taken more often"
    with Ledger(folder.ledger) as ledger:
        assert (ledger.counts().complete, ledger.last_epoch) == (20, 3)
        ledger.take_lease()
        assert ledger.epoch == 4


def test_k04_a_driver_on_another_host_is_refused_while_the_first_lives(
    copied: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = copied.elsewhere(tmp_path / "second")
    sign, at = Sign(copied.folder), copied.there / "matrices" / copied.folder.matrix_id
    sign.take()
    monkeypatch.setattr("boxgate_server.matrix.keeping.lease._place", lambda: "another host")
    with pytest.raises(UserMistake) as refused:
        second.drive()
    assert refused.value.error_code == "MATRIX_BUSY"
    assert refused.value.where == f"{copied.address}/matrices/{copied.folder.matrix_id}"
    with Ledger(second.folder.ledger) as ledger:
        assert ledger.driver() is None
    assert driver_there(second.folder) is not None
    silent = {**json.loads((at / "driver.json").read_text()), "beat_s": 1.0}
    (at / "driver.json").write_text(json.dumps(silent))
    assert second.drive().counts.complete == 20
    assert not (at / "driver.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"host": 1}', '{"beat_s": "x"}'])
def test_a_sign_that_cannot_be_read_is_none(copied: Remote, content: str) -> None:
    place = copied.there / "matrices" / copied.folder.matrix_id / "driver.json"
    place.write_text(content)
    assert driver_there(copied.folder) is None


@pytest.mark.parametrize(("name", "number"), [("manifest.json", 4), ("index.json", 1)])
def test_a_driver_that_is_killed_while_it_uploads_loses_what_it_was_at(
    alone: Driven, remote: Remote, name: str, number: int
) -> None:
    script = f"""
        import os, signal
        from pathlib import Path
        from boxgate_engine.remote_folder import RemoteFolder
        from boxgate_server.matrix.config.load import load_matrix
        from boxgate_server.matrix.driver import drive
        from boxgate_server.matrix.execution.in_process import InProcess
        from boxgate_server.matrix.keeping.folder import MatrixFolder
        from boxgate_server.matrix.planning.planner import make_plan

        put, seen = RemoteFolder._put, []
        def dying(self, relative, fill):
            if relative.endswith({name!r}):
                seen.append(relative)
                if len(seen) == {number}:
                    os.kill(os.getpid(), signal.SIGKILL)
            put(self, relative, fill)
        RemoteFolder._put = dying

        work = Path({str(remote.matrices.work)!r})
        places = ["io.artifacts_store={remote.address}", "io.local_store={remote.local}"]
        file = load_matrix(work / "matrix.yaml", places)
        plan = make_plan(file, folder=work)
        folder = MatrixFolder(work / file.store, plan.matrix_id, file.io.address)
        drive(plan, file, folder, InProcess(folder=work, store=folder.runs, address=file.io.address))
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=remote.matrices.work, check=False)
    assert ended.returncode == -9
    complete = {path.parent.name for path in (remote.there / "runs").glob("r_*/manifest.json")}
    assert len(complete) == (20 if name == "index.json" else 3)
    assert not list((remote.there / "matrices").glob("*/index.json"))
    done = remote.drive()
    assert (done.computed, done.reused) == (20 - len(complete), len(complete))
    assert done.matrix_digest == alone.matrix_digest
    assert remote.index().height == 20
    assert len(list((remote.there / "matrices").glob("*/index/part-*"))) == 1, "what the dead left is gone"
    assert [path.name for path in remote.folder.runs.iterdir() if not path.name.startswith(".")] == []


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int, OSError], None]:
    """Let every store refuse files of a name from a number on, until it is called with another."""
    put = RemoteFolder._put

    def refuse(name: str, number: int, error: OSError) -> None:
        seen: list[str] = []

        def refuses(self: RemoteFolder, relative: str, fill: Callable[[Any], object]) -> None:
            def refused(sink: Any) -> None:
                if relative.endswith(name):
                    seen.append(relative)
                    if len(seen) >= number:
                        raise error
                fill(sink)

            put(self, relative, refused)

        monkeypatch.setattr("boxgate_engine.artefacts.remote._PAUSES_S", ())
        monkeypatch.setattr(RemoteFolder, "_put", refuses)

    return refuse


def test_a_store_that_refuses_ends_the_driver_and_leaves_the_run_pending(
    alone: Driven, remote: Remote, refusing: Callable[[str, int, OSError], None]
) -> None:
    refusing("trades.csv", 6, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StoreFailed) as failed:
        remote.drive()
    assert (failed.value.error_code, failed.value.where) == ("STORE_FULL", f"{remote.address}/runs")
    with Ledger(remote.folder.ledger) as ledger:
        counts = ledger.counts()
    assert (counts.complete, counts.failed, counts.pending) == (5, 0, 15)
    refusing("nothing", 1, OSError())
    done = remote.drive()
    assert (done.computed, done.reused, done.matrix_digest) == (15, 5, alone.matrix_digest)


def test_a_store_that_refuses_anything_is_named_before_the_first_run(
    remote: Remote, refusing: Callable[[str, int, OSError], None]
) -> None:
    refusing("", 1, PermissionError(errno.EACCES, "Permission denied"))
    with pytest.raises(StoreFailed) as failed:
        remote.drive()
    assert failed.value.error_code == "STORE_DENIED"
    assert not remote.folder.ledger.exists()


def test_the_old_index_stays_until_the_new_one_is_complete(
    copied: Remote, refusing: Callable[[str, int, OSError], None]
) -> None:
    before = copied.index()
    one = min((copied.there / "runs").iterdir())
    shutil.copytree(sorted((copied.there / "runs").iterdir())[1], one, dirs_exist_ok=True)
    refusing("index.json", 1, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(StoreFailed):
        copied.drive()
    assert copied.index().equals(before)
    refusing("nothing", 1, OSError())
    copied.drive()
    assert copied.index()["status"].to_list().count("failed") == 1


@pytest.fixture
def two_uploading_workers(remote: Remote) -> Iterator[RayExecution]:
    folder = remote.folder
    execution = RayExecution(
        Job(
            folder=str(remote.matrices.work),
            store=str(folder.runs),
            build=this_build(),
            workers=2,
            group_by=("symbol", "frame"),
            limits=Limits(),
            store_address=remote.address,
        )
    )
    yield execution
    execution.close()


def test_workers_upload_what_they_compute(
    alone: Driven, remote: Remote, two_uploading_workers: RayExecution, matrices: Any
) -> None:
    file, plan, folder = remote.planned
    done = drive(plan, file, folder, two_uploading_workers)
    assert (done.computed, done.matrix_digest) == (20, alone.matrix_digest)
    assert runs_in(remote.there / "runs") == runs_in(matrices.work / "alone" / "runs")


@pytest.fixture
def node(remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """What a worker on a node of a cluster is told that shares no folder with the driver."""
    monkeypatch.setattr("boxgate_server.cluster.worker._node_id", lambda: "node")
    monkeypatch.setenv("BOXGATE_NODE_CACHE", str(tmp_path / "node"))
    work = remote.matrices.work
    files = {"strategies/wilful.py": (work / "strategies" / "wilful.py").read_bytes()}
    _, plan, _ = remote.planned
    return Job(
        folder="/nowhere",
        store="/nowhere/at/all",
        build=this_build(),
        workers=1,
        group_by=("symbol",),
        limits=Limits(),
        address="10.0.0.1:6379",
        store_address=remote.address,
        shipment=Shipment(
            files=files, dataset=plan.versions.dataset, root=str(work / "datasets"), source=None, probe=""
        ),
    )


def test_a_node_without_the_folder_of_the_driver_uploads_from_its_own(
    remote: Remote, node: Job, tmp_path: Path
) -> None:
    _, plan, _ = remote.planned
    one = next(iter(plan))
    task = Task(run_id=one.run_id, params=plan.space.varied(one.params), attempt=1)
    worker = Worker(node)
    assert isinstance(worker.join(), Joined)
    try:
        worker.learn(b"key", plan.settings[one.setting].config, None)
        [first] = worker.compute(b"key", [task], again=True)
        [found] = worker.compute(b"key", [replace(task, attempt=2)], again=True)
    finally:
        assert worker._runner is not None
        worker._runner.close()
    assert (first.failure, first.reused, found.reused) == (None, False, True)
    assert found.result_digest == first.result_digest == read_run(remote.there / "runs" / one.run_id).result_digest
    uploads = tmp_path / "node" / "uploads" / address_key(remote.address)
    assert [path.name for path in uploads.iterdir() if not path.name.startswith(".")] == []
    assert not Path("/nowhere").exists()


def test_a_node_that_the_store_refuses_says_so_instead_of_joining(
    node: Job, refusing: Callable[[str, int, OSError], None]
) -> None:
    refusing("", 1, PermissionError(errno.EACCES, "Permission denied"))
    told = Worker(node).join()
    assert isinstance(told, Stopped)
    assert told.code == "STORE_DENIED"
    assert "seen from" in told.where
