"""A search that proposes, and walk-forward, from the command to what is told of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytestmark = pytest.mark.usefixtures("nothing_left")

SEARCH = """\
  params: {every: {from: 5, to: 30}, qty: {from: 1000, to: 3000, step: 500}}
  search: {method: tpe, trials: 6, generation: 3, seed: 3, objective: return.total}
"""


@pytest.fixture
def matrix(matrix: Path) -> Path:
    """The file of a search over the windows of that matrix."""
    head, _, _ = matrix.read_text().partition("  params:")
    matrix.write_text(head + SEARCH)
    return matrix


def test_a_search_is_computed_gone_on_with_and_its_best_taken_over(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    planned = boxgate("matrix", "plan", str(matrix), "--json").json
    assert (planned["runs"], planned["parameter_sets"]) == (12, 6)
    done = boxgate("matrix", "run", str(matrix), "--json")
    assert done.code == 0, done.err
    search = done.json["search"]
    assert (done.json["matrix_id"], search["trials"], search["of"]) == (planned["matrix_id"], 6, 6)
    assert done.json["planned"] == done.json["complete"] == done.json["trials"]["trials"]
    index = pl.read_parquet(Path(done.json["index"]) / "part-*.parquet")
    for one in json.loads(Path(search["file"]).read_text())["trials"]:
        made = index.filter((pl.col("p_every") == one["params"]["every"]) & (pl.col("p_qty") == one["params"]["qty"]))[
            "m_return_total"
        ]
        assert one["values"][0] == pytest.approx(statistics.fmean(made.to_list()), rel=1e-12)
    again = boxgate("matrix", "resume", str(matrix), "--json").json
    assert (again["computed"], again["search"]["digest"]) == (0, search["digest"])
    best = boxgate("matrix", "best", str(matrix), "--json", "--write", "best.yaml").json
    assert best["best"]["trial"] == search["best"]["number"]
    assert best["best"]["aggregate"] == search["best"]["values"][0]
    assert best["trials"]["trials"] == done.json["complete"]
    taken = boxgate("run", "best.yaml", "--json").json
    assert (taken["run_id"], taken["published"]) == (best["best"]["run_id"], "kept")
    status = boxgate("matrix", "status", str(matrix), "--json").json
    assert (status["status"], status["pending"]) == ("complete", 0)


def test_walk_forward_tells_its_folds_and_a_run_computed_alone_is_a_trial_as_well(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    beside = [
        "--set", "matrix.windows=[{start: 2024-01-03T08:00:00, end: 2024-01-03T14:00:00}]",
        "--set", "matrix.walk_forward={train: 2h, test: 1h}", "--set", "matrix.params={every: [10, 20]}",
        "--set", "matrix.search={method: grid, objective: return.total}",
    ]  # fmt: skip
    done = boxgate("matrix", "run", str(matrix), "--json", *beside)
    assert done.code == 0, done.err
    assert done.json["search"] is None
    (block,) = done.json["walk_forward"]["blocks"]
    assert (block["instruments"], block["folds"], block["out_of_sample"]["folds"]) == (["EURUSD"], 4, [0, 1, 2, 3])
    equity = pl.read_parquet(done.json["walk_forward"]["equity"])
    assert equity["time"].is_sorted()
    assert equity["equity"][-1] == pytest.approx(100_000 * (1 + block["out_of_sample"]["total"]), rel=1e-12)
    index = pl.read_parquet(Path(done.json["index"]) / "part-*.parquet")
    folds = json.loads(Path(done.json["walk_forward"]["file"]).read_text())["blocks"][0]["folds"]
    growth = 1.0
    for one in folds:
        growth *= 1 + index.row(by_predicate=pl.col("run_id") == one["test"]["run_id"], named=True)["m_return_total"]
    assert 1 + block["out_of_sample"]["total"] == pytest.approx(growth, rel=1e-9)
    trials = done.json["trials"]["trials"]
    assert trials == done.json["complete"]
    boxgate("matrix", "best", str(matrix), "--write", "best.yaml", *beside)
    boxgate("run", "best.yaml", "--set", "strategy.params.every=7")
    again = boxgate("matrix", "run", str(matrix), "--json", *beside).json
    assert again["trials"]["trials"] == trials + 1


def test_a_metric_that_does_not_exist_is_refused_before_anything_is_opened(
    matrix: Path, boxgate: Callable[..., Any]
) -> None:
    refused = boxgate(
        "matrix", "run", str(matrix), "--json", "--set", "dataset=none", "--set", "matrix.search.objective=ratio.sharp"
    )
    assert refused.code == 2
    assert refused.error["problems"][0]["remedy"] == "did you mean ratio.sharpe?"
    assert refused.error["problems"][0]["path"].startswith("matrix.search")
