"""Searches that propose: the same trials whoever computes them and in any order, and after any interruption."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine import identity as identities
from boxgate_engine.errors import RunFailed
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.matrix.best import best_runs
from boxgate_server.matrix.config.load import MatrixFile, load_matrix
from boxgate_server.matrix.driver import Driven, Progress, drive
from boxgate_server.matrix.execution.work import Failure, Group, Outcome, Task
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.proposed import ListedSpace, Proposing, search_space
from boxgate_server.matrix.planning.setting import Role, Setting, Versions
from boxgate_server.matrix.planning.template import Template
from boxgate_server.matrix.search.generations import sets_to_come

DAY_NS = 86_400_000_000_000
FILE = """\
strategy: {command: [python, strategy.py]}
dataset: demo
instruments: [EURUSD]
frames: [M1]
window: {start: 2024-01-01, end: 2024-02-01}
account: {currency: USD, cash: 1000}
matrix:
  params: {length: {from: 1, to: 60}, width: {from: 0.0, to: 4.0}, kind: [c, a, b], step: [30, 10, 20]}
  search: %s
runner: {limits: {retries: 0}}
"""
TPE = "{method: tpe, trials: 60, generation: 10, seed: 5}"
NSGA2 = (
    "{method: nsga2, trials: 60, generation: 12, objectives: [{maximize: ratio.sharpe}, {minimize: risk.max_drawdown}]}"
)
SCHEMA = [
    pb.ParameterSchema(
        name="length", type=pb.PARAMETER_TYPE_INT, default_value=pb.ParameterValue(int_value=5), min=1, max=60
    ),
    pb.ParameterSchema(name="width", type=pb.PARAMETER_TYPE_FLOAT, default_value=pb.ParameterValue(float_value=1.5)),
    pb.ParameterSchema(name="kind", type=pb.PARAMETER_TYPE_STRING, default_value=pb.ParameterValue(string_value="a")),
    pb.ParameterSchema(name="step", type=pb.PARAMETER_TYPE_INT, default_value=pb.ParameterValue(int_value=10)),
    pb.ParameterSchema(name="fixed", type=pb.PARAMETER_TYPE_INT, default_value=pb.ParameterValue(int_value=3)),
]


@dataclass(frozen=True)
class Search:
    """A matrix whose sets are proposed, with all that belongs to it."""

    plan: Plan
    file: MatrixFile
    folder: MatrixFolder


def made(setting: int, params: dict[str, Any]) -> dict[str, float | None]:
    """Return what a run makes: a hill at length 20 and width 2.5, a bit elsewhere in every setting."""
    distance = (params["length"] - 20 - setting) ** 2 / 100 + (params["width"] - 2.5) ** 2
    sharpe = 3.0 - distance - {"a": 0.0, "b": 0.5, "c": 1.0}[params["kind"]] - abs(params["step"] - 20) / 10
    return {"ratio_sharpe": sharpe, "risk_max_drawdown": params["length"] / 60, "trades_count": params["width"] * 10}


@dataclass
class Answers:
    """Answers by `made`, several groups at once and in an order drawn by a seed. fails: whether a task fails."""

    workers: int = 1
    shuffled: int | None = None
    fails: Callable[[int, dict[str, Any]], bool] = lambda setting, params: False
    most: int | None = None
    computed: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    _waiting: list[tuple[int, Task]] = field(default_factory=list)

    @property
    def room(self) -> int:
        return max(0, self.workers - len(self._waiting))

    def submit(self, group: Group) -> None:
        self._waiting += [(group.setting, task) for task in group.tasks]

    def outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        if self.most is not None and len(self.computed) >= self.most:
            raise KeyboardInterrupt
        if not self._waiting:
            return ()
        if self.shuffled is not None:
            random.Random(f"{self.shuffled} {len(self.computed)}").shuffle(self._waiting)
        setting, task = self._waiting.pop(0)
        params = dict(task.params)
        self.computed.append((setting, params))
        if self.fails(setting, params):
            failure = Failure(
                code="SIDECAR_EXIT",
                what="it ended",
                where="",
                expected="",
                remedy="",
                is_final=False,
                is_of_store=False,
            )
            return (Outcome(run_id=task.run_id, attempt=task.attempt, failure=failure),)
        digest = f"sha256:{hashlib.sha256(task.run_id.encode()).hexdigest()}"
        return (Outcome(run_id=task.run_id, attempt=task.attempt, result_digest=digest, metrics=made(setting, params)),)

    def close(self) -> None:
        self._waiting.clear()


Make = Callable[..., Search]


@pytest.fixture
def search(tmp_path: Path) -> Make:
    """Make a search over `settings` windows, or with `folds` over a train and a test of each fold."""
    count = itertools.count()

    def make(lines: str = TPE, *, settings: int = 1, folds: int = 0) -> Search:
        path = tmp_path / "matrix.yaml"
        path.write_text(FILE % lines)
        file = load_matrix(path)
        offered = search_space({}, file.matrix.params, SCHEMA, debug=True)
        proposing = Proposing(config=file.matrix.search, space=offered, library="optuna")
        roles = [Role(0, fold, segment) for fold in range(folds) for segment in ("train", "test")]
        made_of = [_setting(file, number, role) for number, role in enumerate(roles)]
        made_of = made_of or [_setting(file, number, Role(number, None, "full")) for number in range(settings)]
        plan = Plan(
            versions=Versions(contract="1", engine="0", strategy="sha256:0", dataset="d"),
            blocks=[made_of] if folds else [[one] for one in made_of],
            space=ListedSpace(offered, (), proposing.trials),
            seed=5,
            proposing=proposing,
        )
        return Search(plan, file, MatrixFolder(tmp_path / f"store{next(count)}", plan.matrix_id))

    return make


def _setting(file: MatrixFile, number: int, role: Role) -> Setting:
    start_ns, end_ns = number * DAY_NS, (number + 1) * DAY_NS
    identity = identities.build_identity(
        file.base, contract="1", engine="0", strategy_digest="sha256:0", dataset="d", params={}, start_ns=start_ns,
        end_ns=end_ns,
    )  # fmt: skip
    scenario = identities.build_scenario(
        params={}, instruments=["EURUSD"], frames=["M1"], start_ns=start_ns, end_ns=end_ns
    )
    return Setting(
        number=number, config=file.base, start_ns=start_ns, end_ns=end_ns, cost_set=0, events=1, roles=(role,),
        identity=Template(identity), scenario=Template(scenario),
    )  # fmt: skip


def _drive(matrix: Search, answers: Answers | None = None, **options: Any) -> Driven:
    return drive(matrix.plan, matrix.file, matrix.folder, answers or Answers(), **options)


def _told(matrix: Search) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((matrix.folder.path / "search.json").read_text())
    return content


@pytest.mark.parametrize("lines", [TPE, NSGA2])
def test_one_worker_and_four_in_any_order_make_the_same_trials_and_the_same_best(search: Make, lines: str) -> None:
    found = []
    for workers, shuffled in ((1, None), (4, 1), (4, 2)):
        matrix = search(lines, settings=2)
        driven = _drive(matrix, Answers(workers=workers, shuffled=shuffled))
        with Ledger(matrix.folder.ledger) as ledger:
            (best,) = best_runs(matrix.plan, ledger, matrix.file.matrix.search)
        found.append((_told(matrix), driven.matrix_digest, best))
    assert found[0] == found[1] == found[2]
    assert len(found[0][0]["trials"]) == 60
    assert len(set(found[0][0]["digests"])) == (6 if lines == TPE else 5)


def test_tpe_comes_closer_than_its_first_generation(search: Make) -> None:
    matrix = search()
    _drive(matrix)
    trials = _told(matrix)["trials"]
    first, last = (statistics.fmean(one["values"][0] for one in trials if one["generation"] == g) for g in (0, 5))
    assert last > first + 2.0
    best = trials[_told(matrix)["best"]]
    assert best["values"][0] == max(one["values"][0] for one in trials)
    assert abs(best["params"]["length"] - 20) < 8


def test_a_set_is_judged_by_the_mean_of_its_settings_and_every_setting_has_the_same_sets(search: Make) -> None:
    matrix = search(settings=3)
    answers = Answers()
    driven = _drive(matrix, answers)
    trials = _told(matrix)["trials"]
    for one in trials:
        values = [made(setting, one["params"])["ratio_sharpe"] for setting in range(3)]
        assert one["values"][0] == pytest.approx(statistics.fmean(v for v in values if v is not None), rel=1e-12)
    sets = {json.dumps(one["params"], sort_keys=True) for one in trials}
    assert driven.counts.complete == len(answers.computed) == 3 * len(sets)


@pytest.mark.parametrize(("rule", "wanted"), [("median", statistics.median), ("worst", min)])
def test_the_rule_of_the_aggregate_is_that_of_the_file(search: Make, rule: str, wanted: Any) -> None:
    matrix = search(f"{{method: tpe, trials: 5, aggregate: {rule}}}", settings=3)
    _drive(matrix)
    for one in _told(matrix)["trials"]:
        values = [made(setting, one["params"])["ratio_sharpe"] for setting in range(3)]
        assert one["values"][0] == pytest.approx(wanted(values), rel=1e-12)


def test_with_walk_forward_a_set_is_judged_by_its_train_windows_alone(search: Make) -> None:
    matrix = search(folds=2)
    _drive(matrix)
    for one in _told(matrix)["trials"]:
        values = [made(setting, one["params"])["ratio_sharpe"] for setting in (0, 2)]
        assert one["values"][0] == pytest.approx(statistics.fmean(v for v in values if v is not None), rel=1e-12)


@pytest.mark.parametrize("lines", [TPE, NSGA2])
@pytest.mark.parametrize("most", [0, 7, 33])
def test_a_driver_that_goes_on_makes_the_trials_that_one_alone_makes(search: Make, lines: str, most: int) -> None:
    whole = search(lines, settings=2)
    _drive(whole)
    broken = search(lines, settings=2)
    with pytest.raises(KeyboardInterrupt):
        _drive(broken, Answers(workers=3, shuffled=1, most=most))
    told: list[Progress] = []
    driven = _drive(broken, Answers(workers=2, shuffled=2), retry_failed=True, tell=told.append)
    assert {**_told(broken), "matrix_id": ""} == {**_told(whole), "matrix_id": ""}
    assert told[-1].done == told[-1].planned == driven.counts.complete


def test_what_a_generation_was_told_stays_when_a_failed_run_is_mended(search: Make) -> None:
    def fails(setting: int, params: dict[str, Any]) -> bool:
        return bool(params["length"] % 3 == 0)

    matrix = search()
    first = _drive(matrix, Answers(fails=fails))
    assert first.counts.failed > 0
    before = _told(matrix)
    failed = [one for one in before["trials"] if one["values"] is None]
    assert failed
    assert all(one["params"]["length"] % 3 == 0 for one in failed)
    driven = _drive(matrix, retry_failed=True)
    assert driven.counts.failed == 0
    assert _told(matrix) == before


def test_a_search_that_is_no_longer_the_recorded_one_is_refused_by_name(search: Make) -> None:
    matrix = search()
    _drive(matrix)
    with Ledger(matrix.folder.ledger) as ledger:
        ledger._db.execute("UPDATE trials SET told = '[[9.0], []]' WHERE number = 3")
    with pytest.raises(RunFailed) as caught:
        _drive(matrix)
    assert caught.value.error_code == "SEARCH_DIVERGED"


def test_constraints_steer_the_search_and_bind_the_best(search: Make) -> None:
    matrix = search(
        "{method: tpe, trials: 60, generation: 10, objective: ratio.sharpe,"
        " constraints: [{metric: trades.count, max: 12}]}"
    )
    _drive(matrix)
    content = _told(matrix)
    trials = content["trials"]
    assert all(one["qualifies"] == (one["params"]["width"] * 10 <= 12) for one in trials)
    late = [one["qualifies"] for one in trials if one["generation"] >= 3]
    early = [one["qualifies"] for one in trials if one["generation"] == 0]
    assert statistics.fmean(late) > statistics.fmean(early)
    wanted = max((one for one in trials if one["qualifies"]), key=lambda one: float(one["values"][0]))
    assert content["best"] == wanted["number"]


def test_the_front_of_two_objectives_is_that_of_a_plain_loop(search: Make) -> None:
    matrix = search(NSGA2)
    _drive(matrix)
    content = _told(matrix)
    points = {one["number"]: (one["values"][0], -one["values"][1]) for one in content["trials"]}
    front = {points[number] for number in content["front"]}
    wanted = {
        point
        for point in points.values()
        if not any(other != point and other[0] >= point[0] and other[1] >= point[1] for other in points.values())
    }
    assert front == wanted


def test_values_are_those_of_the_axes_and_whole_numbers_stay_whole(search: Make) -> None:
    matrix = search()
    _drive(matrix)
    for one in _told(matrix)["trials"]:
        params = one["params"]
        assert type(params["length"]) is int
        assert 1 <= params["length"] <= 60
        assert type(params["width"]) is float
        assert 0.0 <= params["width"] <= 4.0
        assert params["kind"] in {"a", "b", "c"}
        assert params["step"] in {10, 20, 30}


def test_the_id_of_a_search_does_not_change_while_it_grows_and_tells_searches_apart(search: Make) -> None:
    matrix = search()
    offered = matrix.plan.space
    assert isinstance(offered, ListedSpace)
    grown = replace(matrix.plan, space=ListedSpace(offered.space, [offered.varied(0)] * 3, 3))
    assert grown.matrix_id == matrix.plan.matrix_id
    lines = (TPE.replace("60", "61"), TPE.replace("10", "12"), NSGA2, TPE.replace("seed: 5", "aggregate: worst"))
    others = {search(one).plan.matrix_id for one in lines}
    assert len(others | {grown.matrix_id}) == 5


def test_more_runs_are_planned_than_equal_proposals_leave(search: Make) -> None:
    matrix = search(settings=2)
    assert matrix.plan.count == matrix.plan.product == 120
    assert math.isclose(sum(matrix.plan.runs_of_blocks), 120)


def test_a_search_that_is_cancelled_between_its_generations_is_not_complete(
    search: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxgate_server.matrix.driver._CANCEL_S", 0.0)
    matrix = search(settings=2)

    def cancel(progress: Progress) -> None:
        if progress.done == 40:
            with Ledger(matrix.folder.ledger) as other:
                other.request_cancel()

    driven = _drive(matrix, tell=cancel)
    assert driven.cancelled
    assert driven.counts.pending == 0 or driven.counts.complete == 40
    with Ledger(matrix.folder.ledger) as ledger:
        left = sets_to_come(matrix.plan, ledger)
    assert 0 < left <= 40
    assert _drive(matrix).counts.complete >= 40
    with Ledger(matrix.folder.ledger) as ledger:
        assert sets_to_come(matrix.plan, ledger) == 0
