"""The driver with its ledger, lease and index, over an execution that answers at once from the id of a run."""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from boxgate_engine import identity as identities
from boxgate_engine.errors import BoxgateError, RunFailed, StoreFailed, UserMistake
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.matrix.best import best_runs
from boxgate_server.matrix.config.load import MatrixFile, load_matrix
from boxgate_server.matrix.config.model import SearchConfig
from boxgate_server.matrix.driver import Driven, Progress, drive
from boxgate_server.matrix.execution.work import Failure, Group, Outcome, Task
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.index import write_index
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.setting import Role, Setting, Versions
from boxgate_server.matrix.planning.space import param_space
from boxgate_server.matrix.planning.template import Template

DAY_NS = 86_400_000_000_000
FILE = """\
strategy: {command: [python, strategy.py]}
dataset: demo
instruments: [EURUSD]
frames: [M1]
window: {start: 2024-01-01, end: 2024-02-01}
account: {currency: USD, cash: 1000}
matrix: {params: {length: [1, 2]}}
runner: {limits: {retries: 2}}
"""


@dataclass(frozen=True)
class DryMatrix:
    """A plan with all that belongs to it."""

    plan: Plan
    file: MatrixFile
    folder: MatrixFolder


@dataclass
class DryExecution:
    """Answers each task from its id alone. failures: by run id, what its first attempts end with.

    shuffled: seed of the order in which it answers. computed: every task that it was given, in order.
    """

    failures: dict[str, list[Failure]] = field(default_factory=lambda: defaultdict(list))
    shuffled: int | None = None
    groups_max: int = 1
    waiting: list[Task] = field(default_factory=list)
    computed: list[Task] = field(default_factory=list)
    strangers: list[Outcome] = field(default_factory=list)

    @property
    def room(self) -> int:
        return self.groups_max if not self.waiting else max(0, self.groups_max - len(self.waiting))

    def submit(self, group: Group) -> None:
        self.waiting += group.tasks

    def outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        if self.strangers:
            return (self.strangers.pop(),)
        if not self.waiting:
            return ()
        if self.shuffled is not None:
            random.Random(f"{self.shuffled} {len(self.computed)}").shuffle(self.waiting)
        task = self.waiting.pop(0)
        self.computed.append(task)
        if self.failures.get(task.run_id):
            failure = self.failures[task.run_id].pop(0)
            return (Outcome(run_id=task.run_id, attempt=task.attempt, failure=failure),)
        return (dry_outcome(task),)

    def close(self) -> None:
        self.waiting.clear()


def dry_outcome(task: Task) -> Outcome:
    number = int(task.run_id[2:], 16)
    metrics = {"ratio_sharpe": None if number % 7 == 0 else number % 1000 / 100, "trades_count": float(number % 50)}
    digest = f"sha256:{hashlib.sha256(task.run_id.encode()).hexdigest()}"
    return Outcome(run_id=task.run_id, attempt=task.attempt, result_digest=digest, metrics=metrics)


def failure(code: str = "SIDECAR_EXIT", what: str = "it ended", *, final: bool = False, store: bool = False) -> Failure:
    return Failure(code=code, what=what, where="w", expected="e", remedy="r", is_final=final, is_of_store=store)


@pytest.fixture
def dry(tmp_path: Path) -> Callable[..., DryMatrix]:
    """Make a matrix of `blocks` × `folds` settings (with a train and a test each, or one window) × parameter sets."""

    def make(axes: dict[str, Any] | None = None, *, blocks: int = 1, folds: int = 0, lines: str = "") -> DryMatrix:
        path = tmp_path / "matrix.yaml"
        path.write_text(FILE + lines)
        file = load_matrix(path)
        schema = [
            pb.ParameterSchema(name="length", type=pb.PARAMETER_TYPE_INT, default_value=pb.ParameterValue(int_value=5)),
            pb.ParameterSchema(
                name="width", type=pb.PARAMETER_TYPE_FLOAT, default_value=pb.ParameterValue(float_value=1.5)
            ),
        ]
        space = param_space({}, axes or {"length": tuple(range(10))}, schema, debug=True)
        numbers = itertools.count()
        made = []
        for block in range(blocks):
            roles: list[tuple[Role, ...]] = [
                (Role(0, fold, segment),) for fold in range(folds) for segment in ("train", "test")
            ]
            made.append([_setting(file, next(numbers), block, role) for role in roles or [(Role(0, None, "full"),)]])
        versions = Versions(contract="1", engine="0", strategy="sha256:0", dataset="d")
        plan = Plan(versions=versions, blocks=made, space=space, seed=7)
        return DryMatrix(plan, file, MatrixFolder(tmp_path / "store", plan.matrix_id))

    return make


def _setting(file: MatrixFile, number: int, block: int, roles: tuple[Role, ...]) -> Setting:
    config = file.base.model_copy(update={"instruments": ("EURUSD", "GBPUSD")[block : block + 1] or (f"X{block}",)})
    start_ns, end_ns = number * DAY_NS, (number + 1) * DAY_NS
    return Setting(
        number=number,
        config=config,
        start_ns=start_ns,
        end_ns=end_ns,
        cost_set=0,
        events=1440,
        roles=roles,
        identity=Template(
            identities.build_identity(
                config,
                contract="1",
                engine="0",
                strategy_digest="sha256:0",
                dataset="d",
                params={},
                start_ns=start_ns,
                end_ns=end_ns,
            )
        ),
        scenario=Template(
            identities.build_scenario(
                params={},
                instruments=config.instruments,
                frames=config.frames,
                start_ns=start_ns,
                end_ns=end_ns,
            )
        ),
    )


Make = Callable[..., DryMatrix]


def _drive(matrix: DryMatrix, execution: DryExecution | None = None, **options: Any) -> Driven:
    return drive(matrix.plan, matrix.file, matrix.folder, execution or DryExecution(), **options)


def _index(matrix: DryMatrix) -> pl.DataFrame:
    return pl.read_parquet(matrix.folder.index / "part-*.parquet")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr("boxgate_server.matrix.driver._BACK_OFF_S", 0.0)


def test_every_run_is_computed_once_and_its_digest_is_that_of_the_matrix(dry: Make) -> None:
    matrix, execution = dry(blocks=2), DryExecution()
    told: list[Progress] = []
    driven = _drive(matrix, execution, tell=told.append)
    ids = [one.run_id for one in matrix.plan]
    assert [task.run_id for task in execution.computed] == ids
    assert (driven.counts.complete, driven.counts.failed, driven.counts.pending) == (20, 0, 0)
    assert (driven.computed, driven.reused, driven.cancelled) == (20, 0, False)
    lines = sorted(f"{one} sha256:{hashlib.sha256(one.encode()).hexdigest()}" for one in ids)
    assert driven.matrix_digest == "sha256:" + hashlib.sha256("".join(f"{one}\n" for one in lines).encode()).hexdigest()
    assert (told[-1].done, told[-1].planned) == (20, 20)


def test_order_and_number_of_workers_change_neither_digest_nor_index(dry: Make, tmp_path: Path) -> None:
    found = set()
    for number, shuffled in enumerate((None, 1, 2)):
        matrix = dry(blocks=2)
        matrix = DryMatrix(matrix.plan, matrix.file, MatrixFolder(tmp_path / str(number), matrix.plan.matrix_id))
        driven = _drive(matrix, DryExecution(shuffled=shuffled, groups_max=1 + 7 * number))
        parts = [path.read_bytes() for path in sorted(driven.index.iterdir())]
        found.add((driven.matrix_digest, tuple(map(hash, parts))))
    assert len(found) == 1


def test_the_index_has_the_columns_of_the_interface_and_one_row_for_each_run_by_its_id(dry: Make) -> None:
    matrix = dry({"length": (1, 2), "width": (0.5, 1.0, 1.5)}, blocks=2)
    broken = next(iter(matrix.plan)).run_id
    _drive(matrix, DryExecution(failures=defaultdict(list, {broken: [failure(final=True)]})))
    index = _index(matrix)
    assert index["run_id"].to_list() == sorted(one.run_id for one in matrix.plan)
    assert {name: str(kind) for name, kind in index.schema.items()} == {
        "run_id": "String", "status": "String", "error_code": "String", "attempts": "Int32", "instrument": "String",
        "frame": "String", "window": "Int32", "window_start_ns": "Int64", "window_end_ns": "Int64", "fold": "Int32",
        "segment": "String", "also_folds": "String", "strategy_digest": "String", "dataset": "String",
        "params": "String", "p_length": "Int64", "p_width": "Float64", "cost_set": "Int32", "seed": "UInt64",
        "result_digest": "String", "m_ratio_sharpe": "Float64", "m_trades_count": "Float64",
    }  # fmt: skip
    failed = index.row(by_predicate=pl.col("run_id") == broken, named=True)
    assert (failed["status"], failed["error_code"], failed["result_digest"]) == ("failed", "SIDECAR_EXIT", None)
    for row in index.filter(pl.col("status") == "complete").iter_rows(named=True):
        number = int(row["run_id"][2:], 16)
        assert row["m_ratio_sharpe"] == (None if number % 7 == 0 else number % 1000 / 100)
        assert json.loads(row["params"]) == {"length": row["p_length"], "width": row["p_width"]}
        scenario = identities.scenario_id(
            params={"length": row["p_length"], "width": row["p_width"]},
            instruments=[row["instrument"]],
            frames=["M1"],
            start_ns=row["window_start_ns"],
            end_ns=row["window_end_ns"],
        )
        assert row["seed"] == identities.seed(0, scenario)


def test_the_index_is_replaced_as_a_whole_and_nothing_old_is_left(dry: Make) -> None:
    matrix = dry()
    first = _drive(matrix).index.resolve()
    with Ledger(matrix.folder.ledger) as ledger:
        second = write_index(matrix.folder, ledger, matrix.plan).resolve()
    assert first != second
    assert matrix.folder.index.resolve() == second
    assert sorted(path.name for path in matrix.folder.path.iterdir() if path.name.startswith(("index", ".index"))) == [
        "index",
        second.name,
    ]


def test_a_run_that_fails_by_chance_is_tried_again_and_two_equal_failures_end_it(dry: Make) -> None:
    matrix = dry()
    lucky, stubborn, exhausted, hopeless, *_ = (one.run_id for one in matrix.plan)
    execution = DryExecution(
        failures=defaultdict(
            list,
            {
                lucky: [failure(what="a"), failure(what="b")],
                stubborn: [failure(what="a"), failure(what="a"), failure(what="b")],
                exhausted: [failure(what="a"), failure(what="b"), failure(what="c"), failure(what="d")],
                hopeless: [failure(code="WARMUP_SHORT", final=True)],
            },
        )
    )
    driven = _drive(matrix, execution)
    attempts = Counter(task.run_id for task in execution.computed)
    assert [attempts[one] for one in (lucky, stubborn, exhausted, hopeless)] == [3, 2, 3, 1]
    assert (driven.counts.complete, driven.counts.failed) == (7, 3)
    with Ledger(matrix.folder.ledger) as ledger:
        told = {one.run_id: (one.attempts, one.failure.what if one.failure else "") for one in ledger.entries("failed")}
    assert told == {stubborn: (2, "a"), exhausted: (3, "c"), hopeless: (1, "it ended")}


def test_resume_tries_again_what_may_be_mended_and_nothing_else(dry: Make) -> None:
    matrix = dry()
    mended, hopeless, *_ = (one.run_id for one in matrix.plan)
    failures = {mended: [failure(), failure()], hopeless: [failure(code="WARMUP_SHORT", final=True)]}
    _drive(matrix, DryExecution(failures=defaultdict(list, failures)))
    asked: list[str] = []
    for retry_failed in (False, True):
        execution = DryExecution()
        _drive(matrix, execution, retry_failed=retry_failed)
        asked.append(" ".join(task.run_id for task in execution.computed if task.run_id in (mended, hopeless)))
    assert asked == ["", mended]


def test_k06_a_store_that_refuses_ends_the_driver_and_leaves_the_run_pending(dry: Make) -> None:
    matrix = dry()
    third = list(matrix.plan)[2].run_id
    full = failure(code="STORE_FULL", what="no space", store=True)
    with pytest.raises(StoreFailed) as caught:
        _drive(matrix, DryExecution(failures=defaultdict(list, {third: [full]})))
    assert caught.value.error_code == "STORE_FULL"
    with Ledger(matrix.folder.ledger) as ledger:
        counts = ledger.counts()
    assert (counts.complete, counts.failed, counts.pending) == (2, 0, 8)
    assert _drive(matrix).counts.complete == 10


def test_k06_a_ledger_without_space_is_told_by_name(dry: Make) -> None:
    matrix = dry({"length": tuple(range(1000))})
    with Ledger(matrix.folder.ledger) as ledger:
        ledger.take_lease()
        pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
        ledger._db.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(StoreFailed) as caught:
            ledger.plan(matrix.plan, matrix.plan.count)
    assert caught.value.error_code == "STORE_FULL"


def test_k07_a_ledger_that_the_disk_refuses_is_told_by_name_and_goes_on_afterwards(dry: Make) -> None:
    matrix = dry()
    first, second, *_ = (dry_outcome(Task(run_id=one.run_id, params={}, attempt=1)) for one in matrix.plan)
    with Ledger(matrix.folder.ledger) as ledger:
        ledger.take_lease()
        ledger.plan(matrix.plan, matrix.plan.count)
        ledger.record([first])
        ledger._db.execute("PRAGMA query_only = 1")  # what SQLite says of a file system that became read-only
        with pytest.raises(StoreFailed) as denied:
            ledger.record([second])
        ledger._db.execute("PRAGMA query_only = 0")
        size = matrix.folder.ledger.with_name(f"{matrix.folder.ledger.name}-wal").stat().st_size
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # the next page that is written fails
        try:
            with pytest.raises(StoreFailed) as broken:
                ledger.record([second])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert (denied.value.error_code, broken.value.error_code) == ("STORE_DENIED", "STORE_IO")
        assert [run for run, _ in ledger.digests()] == [first.run_id]
        ledger.record([second])
        assert len(list(ledger.digests())) == 2


def test_a_plan_that_was_noted_in_part_is_noted_whole_and_one_that_grows_keeps_what_it_had(dry: Make) -> None:
    matrix = dry()
    runs = list(matrix.plan)
    with Ledger(matrix.folder.ledger) as ledger:
        ledger.take_lease()
        assert ledger.plan(runs[:4], 4) == 4
        ledger.record([dry_outcome(Task(run_id=runs[0].run_id, params={}, attempt=1))])
        assert ledger.plan(iter(runs), 10) == 10
        assert (ledger.counts().complete, ledger.counts().pending) == (1, 9)
        assert ledger.plan(iter(()), 10) == 10


def test_k04_a_second_driver_is_refused_while_the_first_lives(dry: Make) -> None:
    matrix = dry()
    with Ledger(matrix.folder.ledger) as first:
        first.take_lease()
        with pytest.raises(UserMistake) as caught:
            _drive(matrix)
        assert caught.value.error_code == "MATRIX_BUSY"
        assert str(os.getpid()) in caught.value.what
    assert _drive(matrix).counts.complete == 10


def test_k04_the_lease_of_a_dead_driver_is_taken_over_at_once(dry: Make) -> None:
    matrix = dry()
    program = (
        "import os, sys, pathlib; from boxgate_server.matrix.keeping.ledger import Ledger;"
        "Ledger(pathlib.Path(sys.argv[1])).take_lease(); os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(matrix.folder.ledger)], check=False)
    assert ended.returncode == -9
    assert _drive(matrix).counts.complete == 10


def test_k09_a_driver_that_lost_its_lease_records_nothing(dry: Make) -> None:
    matrix = dry()
    with Ledger(matrix.folder.ledger) as old:
        old.take_lease()
        old.plan(matrix.plan, matrix.plan.count)
        db = sqlite3.connect(matrix.folder.ledger)
        db.execute("UPDATE lease SET pid = 999999999")  # as if it were seen to be dead
        db.commit()
        db.close()
        with Ledger(matrix.folder.ledger) as new:
            new.take_lease()
            with pytest.raises(RunFailed) as caught:
                old.record([dry_outcome(Task(run_id=next(iter(matrix.plan)).run_id, params={}, attempt=1))])
            assert caught.value.error_code == "LEASE_LOST"
            assert new.counts().complete == 0


@pytest.mark.parametrize("skew_s", [-3600.0, 3600.0])
def test_k11_a_driver_elsewhere_whose_clock_is_wrong_keeps_nobody_out_and_records_nothing(
    dry: Make, skew_s: float
) -> None:
    matrix = dry()
    with Ledger(matrix.folder.ledger) as elsewhere:
        elsewhere.take_lease()
        elsewhere.plan(matrix.plan, matrix.plan.count)
        foreign = "UPDATE lease SET host = 'elsewhere', place = 'another boot', beat_s = ?"
        elsewhere._db.execute(foreign, (time.time(),))
        with pytest.raises(UserMistake) as busy:
            _drive(matrix)
        assert busy.value.error_code == "MATRIX_BUSY"
        elsewhere._db.execute(foreign, (time.time() + skew_s,))
        driven = _drive(matrix)
        assert (driven.counts.complete, driven.computed) == (10, 10)
        late = dry_outcome(Task(run_id=next(iter(matrix.plan)).run_id, params={}, attempt=1))
        with pytest.raises(RunFailed) as caught:
            elsewhere.record([late])
        assert caught.value.error_code == "LEASE_LOST"


def test_k09_an_outcome_that_nobody_waits_for_changes_nothing(dry: Make) -> None:
    matrix = dry()
    late = dry_outcome(Task(run_id=next(iter(matrix.plan)).run_id, params={}, attempt=1))
    stranger = dry_outcome(Task(run_id="r_" + "0" * 32, params={}, attempt=1))
    driven = _drive(matrix, DryExecution(strangers=[stranger]))
    assert (driven.counts.complete, driven.computed) == (10, 10)
    execution = DryExecution()
    execution.strangers = [late]
    assert _drive(matrix, execution).counts.complete == 10


def test_a_driver_that_is_cancelled_stops_and_another_goes_on(dry: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxgate_server.matrix.driver._CANCEL_S", 0.0)
    matrix = dry()

    def cancel(progress: Progress) -> None:
        if progress.done == 4:
            with Ledger(matrix.folder.ledger) as other:
                other.request_cancel()

    driven = _drive(matrix, tell=cancel)
    assert driven.cancelled
    assert (driven.counts.complete, driven.counts.pending) == (4, 6)
    assert Counter(_index(matrix)["status"]) == {"complete": 4, "pending": 6}
    again = _drive(matrix)
    assert not again.cancelled
    assert again.counts.complete == 10


def test_the_best_is_that_of_the_index(dry: Make) -> None:
    matrix = dry({"length": tuple(range(50))}, blocks=2)
    _drive(matrix)
    rows = _index(matrix).filter((pl.col("m_trades_count") >= 20) & pl.col("m_ratio_sharpe").is_not_null())
    constraints = [{"metric": "trades.count", "min": 20}]
    for goal, wanted in (("maximize", rows["m_ratio_sharpe"].max()), ("minimize", rows["m_ratio_sharpe"].min())):
        search = SearchConfig.model_validate({"objectives": [{goal: "ratio.sharpe"}], "constraints": constraints})
        with Ledger(matrix.folder.ledger) as ledger:
            (chosen,) = best_runs(matrix.plan, ledger, search)
        assert chosen.value == wanted
        assert chosen.run_id == rows.filter(pl.col("m_ratio_sharpe") == wanted)["run_id"].min()


def test_walk_forward_chooses_on_train_and_judges_on_test(dry: Make) -> None:
    matrix = dry({"length": tuple(range(20))}, blocks=2, folds=3)
    _drive(matrix)
    search = SearchConfig()
    with Ledger(matrix.folder.ledger) as ledger:
        chosen = best_runs(matrix.plan, ledger, search)
    index = _index(matrix)
    wanted = {}
    for instrument in ("EURUSD", "GBPUSD"):
        picked = []
        for fold in range(3):
            here = index.filter((pl.col("instrument") == instrument) & (pl.col("fold") == fold))
            train = here.filter((pl.col("segment") == "train") & pl.col("m_ratio_sharpe").is_not_null())
            best = train.sort(["m_ratio_sharpe", "run_id"], descending=[True, False]).row(0, named=True)
            test = here.row(
                by_predicate=(pl.col("segment") == "test") & (pl.col("p_length") == best["p_length"]), named=True
            )
            picked.append((fold, best["run_id"], test["run_id"], test["m_ratio_sharpe"]))
        wanted[instrument] = picked
    means = {name: np.mean([value for *_, value in picked if value is not None]) for name, picked in wanted.items()}
    winner = max(means, key=lambda name: means[name])
    assert [(one.fold, one.run_id, one.test, one.test_value) for one in chosen] == wanted[winner]


def test_no_best_is_told_by_name(dry: Make) -> None:
    matrix = dry()
    _drive(matrix)
    search = SearchConfig.model_validate({"constraints": [{"metric": "trades.count", "min": 1000}]})
    with Ledger(matrix.folder.ledger) as ledger, pytest.raises(BoxgateError) as caught:
        best_runs(matrix.plan, ledger, search)
    assert caught.value.error_code == "MATRIX_NO_BEST"


@pytest.mark.slow
def test_the_memory_of_a_driver_does_not_grow_with_the_runs(
    dry: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks = []
    monkeypatch.setattr("boxgate_server.matrix.keeping.ledger._BATCH", 1_000)
    monkeypatch.setattr("boxgate_server.matrix.keeping.index._ROWS", 1_000)
    monkeypatch.setattr("boxgate_server.matrix.trials.ledger._BATCH", 1_000)
    for number, count in enumerate((2_000, 20_000)):
        matrix = dry({"length": tuple(range(1000)), "width": tuple(float(k) for k in range(count // 1000))})
        matrix = DryMatrix(matrix.plan, matrix.file, MatrixFolder(tmp_path / str(number), matrix.plan.matrix_id))
        gc.collect()
        gc.freeze()  # else what other tests left decides how much rubbish may lie about
        tracemalloc.start()
        execution = DryExecution(groups_max=8)
        execution.computed = _Nothing()
        assert _drive(matrix, execution).counts.complete == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        gc.unfreeze()
    assert peaks[1] < 1.5 * peaks[0], peaks


class _Nothing(list[Task]):
    """Keeps nothing."""

    def append(self, task: Task) -> None:
        pass
