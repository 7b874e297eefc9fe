"""Walk-forward: the choice of each fold, how steady it is, and the equity of the tests joined by plain pandas."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from boxgate_engine import identity as identities
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.matrix.choice import Chosen
from boxgate_server.matrix.config.load import MatrixFile, load_matrix
from boxgate_server.matrix.driver import drive
from boxgate_server.matrix.execution.work import Group, Outcome, Task
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.setting import Role, Setting, Versions
from boxgate_server.matrix.planning.space import param_space
from boxgate_server.matrix.planning.template import Template
from boxgate_server.matrix.walk_forward.equity import FoldCurve, figures, stitch
from boxgate_server.matrix.walk_forward.stability import stability

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
FOLDS = 4
LENGTHS = (1, 2, 3)
FILE = """\
strategy: {command: [python, strategy.py]}
dataset: demo
instruments: [EURUSD]
frames: [M1]
window: {start: 2024-01-01, end: 2024-02-01}
account: {currency: USD, cash: 1000}
matrix: {params: {length: [1, 2, 3]}, walk_forward: {train: 10d, test: 5d}}
"""


def _sharpe(setting: int, length: int) -> float:
    """Train windows prefer 2, 2, 3, 2 in this order; tests make a bit less."""
    fold = setting // 2
    liked = (2, 2, 3, 2)[fold % FOLDS]
    return 2.0 - abs(length - liked) + (0.0 if setting % 2 == 0 else -0.5)


def _curve(setting: int, length: int) -> tuple[list[int], list[float]]:
    """The marks of six hours, four times a day, from the start of a window on."""
    steps = np.random.Generator(np.random.Philox(key=[setting, length])).normal(0.0005, 0.004, size=20)
    start_ns = _start_ns(setting)
    return [start_ns + k * 6 * HOUR_NS for k in range(21)], [1000.0, *(1000.0 * np.cumprod(1 + steps)).tolist()]


def _start_ns(setting: int) -> int:
    """Tests touch one another; the train windows lie apart from them, so that no run has two roles."""
    fold, is_test = divmod(setting, 2)
    return (20_000 + fold * 5 - (0 if is_test else 1000)) * DAY_NS


@dataclass
class Publishing:
    """Answers at once and leaves a curve for each run. lost: settings whose folders are gone."""

    runs: Path
    lost: tuple[int, ...] = ()
    _waiting: list[tuple[int, Task]] = field(default_factory=list)

    @property
    def room(self) -> int:
        return 0 if self._waiting else 1

    def submit(self, group: Group) -> None:
        self._waiting += [(group.setting, task) for task in group.tasks]

    def outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        setting, task = self._waiting.pop(0)
        length = task.params["length"]
        assert isinstance(length, int)
        times_ns, equity = _curve(setting, length)
        if setting not in self.lost:
            folder = self.runs / f"{task.run_id}"
            folder.mkdir(parents=True)
            table = pl.DataFrame({"time": times_ns, "equity": equity})
            table.with_columns(pl.col("time").cast(pl.Datetime("ns", "UTC"))).write_parquet(
                folder / "equity_curve.parquet"
            )
        metrics = {"ratio_sharpe": _sharpe(setting, length), "periods_per_year": 252.0}
        digest = f"sha256:{hashlib.sha256(task.run_id.encode()).hexdigest()}"
        return (Outcome(run_id=task.run_id, attempt=task.attempt, result_digest=digest, metrics=metrics),)

    def close(self) -> None:
        self._waiting.clear()


@dataclass(frozen=True)
class Walk:
    """A matrix of four folds."""

    plan: Plan
    file: MatrixFile
    folder: MatrixFolder

    def told(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder.path / name).read_text())
        return content


@pytest.fixture
def walk(tmp_path: Path) -> Callable[..., Walk]:
    """Compute a matrix of four folds and three parameter sets."""

    def make(lost: tuple[int, ...] = ()) -> Walk:
        path = tmp_path / "matrix.yaml"
        path.write_text(FILE)
        file = load_matrix(path)
        schema = [
            pb.ParameterSchema(name="length", type=pb.PARAMETER_TYPE_INT, default_value=pb.ParameterValue(int_value=5))
        ]
        roles = [Role(0, fold, segment) for fold in range(FOLDS) for segment in ("train", "test")]
        plan = Plan(
            versions=Versions(contract="1", engine="0", strategy="sha256:0", dataset="d"),
            blocks=[[_setting(file, number, role) for number, role in enumerate(roles)]],
            space=param_space({}, {"length": LENGTHS}, schema, debug=True),
            seed=0,
        )
        folder = MatrixFolder(tmp_path / "store", plan.matrix_id)
        drive(plan, file, folder, Publishing(folder.runs, lost))
        return Walk(plan, file, folder)

    return make


def _setting(file: MatrixFile, number: int, role: Role) -> Setting:
    start_ns = _start_ns(number)
    end_ns = start_ns + 5 * DAY_NS
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


def test_each_fold_tells_its_choice_on_train_and_what_it_made_on_test(walk: Callable[..., Walk]) -> None:
    content = walk().told("walk_forward.json")
    (block,) = content["blocks"]
    folds = block["folds"]
    assert [one["params"]["length"] for one in folds] == [2, 2, 3, 2]
    assert [one["changed"] for one in folds] == [None, False, True, True]
    assert [(one["train"]["value"], one["test"]["value"]) for one in folds] == [(2.0, 1.5)] * FOLDS
    assert [one["efficiency"] for one in folds] == [0.75] * FOLDS
    assert (block["efficiency"], content["best_block"], block["folds_planned"]) == (0.75, 0, FOLDS)
    assert block["stability"] == {
        "folds": 4, "changes": 2, "change_share": 2 / 3, "sets": 2,
        "params": {"length": {"changes": 2, "min": 2, "max": 3, "mean": 2.25, "deviation": math.sqrt(3) / 4}},
    }  # fmt: skip


def test_the_equity_of_the_tests_is_that_of_one_account_that_trades_them_one_after_another(
    walk: Callable[..., Walk],
) -> None:
    made = walk()
    found = pl.read_parquet(made.folder.path / "oos_equity.parquet")
    curves = [pd.Series(*reversed(_curve(2 * fold + 1, length))) for fold, length in enumerate((2, 2, 3, 2))]
    # The growth of each step, all in a row: the test of a fold begins where the one before ends.
    growth = pd.concat([one.pct_change().dropna() for one in curves])
    wanted = 1000.0 * (1 + growth).cumprod()
    assert found["time"].cast(pl.Int64).to_list() == [curves[0].index[0], *growth.index]
    assert np.allclose(found["equity"].to_numpy(), [1000.0, *wanted], rtol=1e-12)
    whole = pd.Series([1000.0, *wanted])
    assert np.allclose(found["drawdown"].to_numpy(), 1 - whole / whole.cummax(), atol=1e-12)
    assert found["fold"].unique(maintain_order=True).to_list() == [0, 1, 2, 3]
    told = made.told("walk_forward.json")["blocks"][0]["out_of_sample"]
    daily = (
        pd.Series([1000.0, *wanted], index=pd.to_datetime([curves[0].index[0], *growth.index])).resample("1D").last()
    )
    returns = daily.pct_change().dropna()
    assert told["total"] == pytest.approx(wanted.iloc[-1] / 1000 - 1)
    assert told["sharpe"] == pytest.approx(returns.mean() / returns.std() * math.sqrt(252))
    assert told["max_drawdown"] == pytest.approx((1 - whole / whole.cummax()).max())


def test_a_test_whose_folder_is_gone_has_no_part_in_the_equity(walk: Callable[..., Walk]) -> None:
    made = walk(lost=(3,))
    told = made.told("walk_forward.json")["blocks"][0]
    assert told["out_of_sample"]["folds"] == [0, 2, 3]
    assert len(told["folds"]) == FOLDS
    assert pl.read_parquet(made.folder.path / "oos_equity.parquet")["fold"].unique().sort().to_list() == [0, 2, 3]


def test_luck_is_told_of_the_choice_of_the_last_fold_among_all_runs(walk: Callable[..., Walk]) -> None:
    made = walk()
    trials, content = made.told("trials.json"), made.told("walk_forward.json")
    assert trials["trials"] == 8 * len(LENGTHS)
    assert trials["best"]["run_id"] == content["blocks"][0]["folds"][-1]["train"]["run_id"]
    ratios = [_sharpe(setting, length) for setting in range(8) for length in LENGTHS]
    assert trials["sharpe_deviation"] == pytest.approx(np.std(ratios, ddof=1))
    assert trials["best"]["deflated_sharpe"] == content["deflation"]["deflated_sharpe"]


def test_what_is_lost_stays_lost_and_marks_of_an_overlap_count_once() -> None:
    def curve(fold: int, start: int, equity: list[float]) -> FoldCurve:
        times = np.arange(start, start + len(equity), dtype=np.int64) * DAY_NS
        return FoldCurve(fold=fold, run_id=f"r{fold}", times_ns=times, equity=np.array(equity))

    first, second, third = curve(0, 0, [100, 110]), curve(1, 1, [100, 50, 0]), curve(2, 3, [100, 300, 400])
    joined = stitch([third, first, second], 10.0)
    assert [one.equity.tolist() for one in joined] == [[10.0, 11.0], [5.5, 0.0], [0.0, 0.0]]
    assert [one.times_ns.tolist() for one in joined] == [
        [0, DAY_NS],
        [2 * DAY_NS, 3 * DAY_NS],
        [4 * DAY_NS, 5 * DAY_NS],
    ]
    assert figures(joined, 10.0, 252)["total"] == -1.0
    over = stitch([first, curve(1, 0, [100, 200, 300])], 10.0)
    assert [one.equity.tolist() for one in over] == [[10.0, 11.0], [11.0 * 300 / 200]]
    assert figures([], 10.0, 252) == {}


def test_choices_that_are_no_numbers_tell_what_is_chosen_most_often() -> None:
    kinds = ["a", "b", "b", "c", "b"]
    folds = [
        Chosen(run_id=f"r{n}", setting=0, params={"kind": kind, "flag": True}, value=1.0)
        for n, kind in enumerate(kinds)
    ]
    found = stability(folds)
    assert found["params"] == {
        "kind": {"changes": sum(a != b for a, b in itertools.pairwise(kinds)), "most": "b", "share": 0.6},
        "flag": {"changes": 0, "most": True, "share": 1.0},
    }
    assert (found["changes"], found["sets"]) == (3, 3)
    assert stability([])["change_share"] is None
