"""What a matrix file may say, and what is told of one that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from boxgate_engine.errors import ConfigInvalid
from boxgate_engine.metrics import Counts, compute_metrics
from boxgate_engine.tables import SCHEMAS, Tables, build_table, empty_table
from boxgate_server.matrix.config.load import MatrixFile, load_matrix
from boxgate_server.matrix.config.metrics import METRICS
from boxgate_server.matrix.config.model import RangeConfig

Load = Callable[..., MatrixFile]

BASE = """\
strategy: {command: [python, strategy.py], params: {length: 5}}
dataset: demo
frames: [M1]
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 1.0, slippage_bps: 0.5, spread: data}
"""


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Read a matrix file that has these lines after the base."""

    def call(lines: str, *overrides: str) -> MatrixFile:
        path = tmp_path / "matrix.yaml"
        path.write_text(BASE + lines)
        return load_matrix(path, overrides)

    return call


def _problems(load: Load, lines: str, *overrides: str) -> dict[str, tuple[str, str, str]]:
    with pytest.raises(ConfigInvalid) as caught:
        load(lines, *overrides)
    return {one.path: (one.what, one.remedy, one.code) for one in caught.value.problems}


WHOLE = """\
matrix:
  instruments: [EURUSD, [GBPUSD, USDJPY]]
  windows: [{start: 2024-01-01, end: 2024-02-01}, {start: 2024-02-01, end: last}]
  params: {length: {from: 1.0, to: 2.0, step: 0.5}, kind: [a, b], flag: true}
  search: {method: random, trials: 4, seed: 9, objective: {minimize: risk.max_drawdown}}
  walk_forward: {train: 10d, test: 36h, purge: 30m, embargo: 1h, mode: anchored}
  costs: [{fees_bps: 2.0}, {slippage_bps: 3.0}]
  target_runs: 100
runner: {concurrency: {max_workers: 1, strategy: process}, limits: {retries: 1}}
io: {dataset_cache: fast, artifacts_store: out}
"""


def test_everything_that_is_written_is_read(load: Load) -> None:
    file = load(WHOLE)
    matrix = file.matrix
    assert matrix.instruments == (("EURUSD",), ("GBPUSD", "USDJPY"))
    assert matrix.windows is not None
    assert [one.end for one in matrix.windows] == ["2024-02-01", "last"]
    assert matrix.params == {
        "length": RangeConfig.model_validate({"from": 1.0, "to": 2.0, "step": 0.5}),
        "kind": ("a", "b"),
        "flag": (True,),
    }
    assert (matrix.search.method, matrix.search.trials, matrix.search.seed) == ("random", 4, 9)
    assert str(matrix.search.objectives[0]) == "smallest risk.max_drawdown"
    hour_ns = 3_600_000_000_000
    walk = matrix.walk_forward
    assert walk is not None
    assert (walk.train, walk.test, walk.step_ns) == (240 * hour_ns, 36 * hour_ns, 36 * hour_ns)
    assert (walk.purge, walk.embargo, walk.mode) == (hour_ns // 2, hour_ns, "anchored")
    assert matrix.target_runs == 100
    assert file.runner.limits.retries == 1


def test_the_run_config_beside_it_has_all_instruments_the_first_window_and_the_folders_of_io(load: Load) -> None:
    base = load(WHOLE).base
    assert base.instruments == ("EURUSD", "GBPUSD", "USDJPY")
    assert (base.window.start, base.window.end) == ("2024-01-01", "2024-02-01")
    assert base.artifacts == "out/runs"
    assert base.data_provider.cache.local_dir == "fast"


def test_each_cost_set_is_filled_up_from_the_costs_beside_it(load: Load) -> None:
    costs = load(WHOLE).matrix.costs
    assert costs is not None
    assert [(one.fees_bps, one.slippage_bps, one.spread) for one in costs] == [(2.0, 0.5, "data"), (1.0, 3.0, "data")]


def test_the_page_of_single_runs_is_off_unless_the_file_says_otherwise(load: Load) -> None:
    assert not load(WHOLE).base.report.html
    assert load(WHOLE, "report.html=true").base.report.html


def test_instruments_and_window_may_stand_beside_the_matrix(load: Load) -> None:
    file = load(
        "instruments: [EURUSD]\nwindow: {start: 2024-01-01, end: 2024-02-01}\nmatrix: {params: {length: [1, 2]}}\n"
    )
    assert file.base.instruments == ("EURUSD",)
    assert file.matrix.instruments is None


def test_unknown_keys_are_told_with_what_they_may_have_meant_all_at_once(load: Load) -> None:
    found = _problems(
        load,
        "matrx: 1\nmatrix: {instrumnts: [A], params: {a: {frm: 1, to: 2, step: 1}}, costs: [{fees_bsp: 1}]}\n"
        "instruments: [A]\nwindow: {start: 2024-01-01, end: last}\nrunner: {concurency: {}}\n",
    )
    told = {path: remedy for path, (what, remedy, _) in found.items() if what.startswith("unknown key")}
    assert told == {
        "matrx": "did you mean matrix?",
        "matrix.instrumnts": "did you mean matrix.instruments?",
        "matrix.params.a.frm": "did you mean matrix.params.a.from?",
        "matrix.costs[0].fees_bsp": "did you mean matrix.costs[0].fees_bps?",
        "runner.concurency": "did you mean runner.concurrency?",
    }


def test_c06_contradictory_windows_are_listed_at_once(load: Load) -> None:
    found = _problems(
        load,
        "matrix:\n  instruments: [A]\n  windows: [{start: 2024-02-01, end: 2024-01-01},"
        " {start: 2024-01-01, end: 2024-02-01}, {start: 2023-02-01, end: 2022-01-01}]\n",
    )
    assert {"matrix.windows[0]", "matrix.windows[2]"} <= set(found)
    assert all("empty" in found[path][0] for path in ("matrix.windows[0]", "matrix.windows[2]"))


@pytest.mark.parametrize(
    ("line", "path", "word"),
    [
        ("windows: [{start: first, end: last}]", "matrix.windows[0].start", "first"),
        ("windows: [{start: 2024-01-01, end: last}, {start: 2024-01-01, end: last}]", "matrix.windows[1]", "same"),
        ("instruments: [A, A]", "matrix.instruments[1]", "same"),
        ("instruments: [[A, A]]", "matrix.instruments[0]", "more than once"),
        ("costs: [{fees_bps: 1}, {fees_bps: 1}]", "matrix.costs[1]", "same"),
        ("params: {a: {from: 2, to: 1, step: 1}}", "matrix.params.a", "empty"),
        ("params: {a: {from: 1, to: 2, step: 0}}", "matrix.params.a", "nowhere"),
        ("params: {a: {from: 1, to: 2}}", "matrix.params.a", "step"),
        ("params: {a: []}", "matrix.params.a", "[]"),
        ("search: random", "matrix.search", "when to end"),
        ("search: {method: grid, trials: 3}", "matrix.search", "every parameter set"),
        ("search: {method: random, trials: 3, generation: 8}", "matrix.search", "generations"),
        ("search: {method: nsga2, trials: 3}", "matrix.search", "against each other"),
        ("search: {method: grid, objective: sharpe}", "matrix.search", "names no metric"),
        (
            "search: {method: grid, constraints: [{metric: trades.count, min: 2, max: 1}]}",
            "matrix.search.constraints[0]",
            "nothing is",
        ),
        ("search: {method: tpe, trials: 1000000}", "matrix.search", "more than can be proposed"),
        ("search: {method: random, trials: 3, aggregate: mean}", "matrix.search", "nothing to aggregate"),
        ("search: {method: tpe, trials: 3}\n  target_runs: 5", "matrix", "ends by its trials"),
        ("walk_forward: {train: 10d, test: 5d, step: 1d}", "matrix.walk_forward", "overlap"),
        ("walk_forward: {train: 1d, test: 5d, purge: 1d}", "matrix.walk_forward", "leaves nothing"),
        ("walk_forward: {train: 10, test: 5d}", "matrix.walk_forward.train", "no length of time"),
        ("target_runs: 0", "matrix.target_runs", "0"),
    ],
)
def test_what_contradicts_itself_is_refused_at_its_key(load: Load, line: str, path: str, word: str) -> None:
    rest = "" if line.startswith("windows") else "  windows: [{start: 2024-01-01, end: 2024-02-01}]\n"
    rest += "" if line.startswith("instruments") else "  instruments: [A, B]\n"
    found = _problems(load, f"matrix:\n{rest}  {line}\n")
    assert any(
        key.startswith(path.removesuffix(".objectives[0]")) and word in what for key, (what, *_) in found.items()
    ), found


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("runner: {concurrency: {strategy: distributed}}", "CONFIG"),
        ("runner: {ray: {address: 'head:6379'}}", "CONFIG"),
        ("runner: {ray: {data_server: {tls_cert: c.pem}}}", "CONFIG"),
        ("runner: {limits: {memory_per_run: much}}", "CONFIG"),
        ("runner: {limits: {memory_per_run: 512}}", "CONFIG"),
        ("runner: {limits: {runtime_per_run: 0s}}", "CONFIG"),
        ("io: {local_store: here}", "CONFIG"),
        ("io: {artifacts_store: s3://bucket/x, local_store: s3://bucket/y}", "CONFIG"),
        ("io: {artifacts_store: s3://bucket/x}\nartifacts: runs", "CONFIG"),
        ("artifacts: elsewhere", "CONFIG"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(load: Load, line: str, code: str) -> None:
    lines = "instruments: [A]\nwindow: {start: 2024-01-01, end: last}\nmatrix: {params: {length: [1]}}\n"
    assert code in {one[2] for one in _problems(load, f"{lines}{line}\n").values()}


def test_a_metric_that_does_not_exist_is_told_with_what_it_may_have_been(load: Load) -> None:
    found = _problems(
        load,
        "instruments: [A]\nwindow: {start: 2024-01-01, end: last}\nmatrix:\n  search: {method: nsga2, trials: 3,"
        " objectives: [ratio.sharp, {minimize: drawdown.max_drawdown}],"
        " constraints: [{metric: trade.count, min: 1}]}\n",
    )
    assert sorted(remedy for _, remedy, _ in found.values()) == [
        "did you mean ratio.sharpe?",
        "did you mean risk.max_drawdown?",
        "did you mean trades.count?",
    ]


def test_the_metrics_that_may_be_asked_for_are_those_that_a_run_has() -> None:
    columns = dict.fromkeys(SCHEMAS["equity"].names, np.zeros(1)) | {"time": np.array([0]), "equity": np.array([1.0])}
    tables = Tables(
        **{name: empty_table(name) for name in ("signals", "fills", "trades")}, equity=build_table("equity", columns)
    )
    made = compute_metrics(tables, currency="USD", initial_cash=1.0, all_weekend=False, counts=Counts())
    assert set(METRICS) == {
        f"{group}.{name}" for group, entries in made.items() if isinstance(entries, dict) for name in entries
    }


def test_a_range_without_a_step_is_for_searches_that_propose(load: Load) -> None:
    lines = "instruments: [A]\nwindow: {start: 2024-01-01, end: last}\n"
    file = load(f"{lines}matrix: {{params: {{a: {{from: 1, to: 2}}}}, search: {{method: tpe, trials: 40}}}}\n")
    assert (file.matrix.search.generation_size, file.matrix.search.rule) == (16, "mean")
