"""`boxgate matrix report`: the page of what was computed, equal for an equal index, and its exports."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from boxgate_server.cli.matrix.page import cost_words
from boxgate_server.matrix.config.load import load_matrix

pytestmark = pytest.mark.usefixtures("nothing_left")

CONFIG = """\
strategy: {command: [python, strategies/trader.py]}
dataset: small
frames: [M1]
account: {currency: USD, cash: 100000, leverage: 30}
costs: {slippage_bps: 0.1, spread: {ticks: 2}}
execution: {window_events: 64}
determinism: {master_seed: 7}
limits: {handshake_s: 30, reply_base_s: 20, stop_grace_s: 1}
matrix:
  instruments: [EURUSD]
  windows: [{start: 2024-01-03T08:00:00, end: 2024-01-03T20:00:00}]
  params: {every: [10, 20], qty: [1000, 2000]}
  costs: [{fees_bps: 0.2}, {fees_bps: 0.4}]
  walk_forward: {train: 4h, test: 2h, step: 4h}
  search: {method: grid, objective: return.total}
"""


@pytest.fixture
def matrix(workspace: Path) -> Path:
    """The file of a matrix of two folds, two sets of costs and four parameter sets."""
    path = workspace / "matrix.yaml"
    path.write_text(CONFIG)
    return path


def inside(page: Path) -> Any:
    text = page.read_text(encoding="utf-8").split('id="boxgate-data">')[1]
    return json.loads(text.split("</script>", maxsplit=1)[0])


def test_a_computed_matrix_has_a_page_and_it_is_built_again_alike(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    ran = boxgate("matrix", "run", str(matrix), "--json").json
    assert "error" not in ran, ran["error"]
    page = Path(ran["report"])
    first = page.read_bytes()
    outputs = ["--csv", "out/index.csv", "--parquet", "out/index.parquet"]
    told = boxgate("matrix", "report", str(matrix), *outputs, "--json")
    assert told.code == 0, told.err
    assert told.json["report"] == str(page)
    assert page.read_bytes() == first
    data = inside(page)
    assert (data["matrix_id"], data["matrix_digest"]) == (ran["matrix_id"], ran["matrix_digest"])
    assert data["counts"]["complete"] == ran["complete"] == data["counts"]["listed"]
    assert data["walk_forward"] == "rolling, train 4h, test 2h, step 4h"
    axes = {axis["name"]: axis for axis in data["axes"]}
    assert axes["cost_set"]["labels"] == ["fees_bps 0.2", "fees_bps 0.4"]
    assert len(data["stitched"]) == 2
    index = pl.read_parquet(Path(ran["index"]) / "part-*.parquet")
    assert pl.read_parquet(workspace / "out" / "index.parquet").equals(index)
    assert pl.read_csv(workspace / "out" / "index.csv")["run_id"].to_list() == index["run_id"].to_list()
    assert data["runs"]["pages"] == []
    run_id = data["runs"]["run_id"][3]
    assert boxgate("report", run_id, "--json").code == 0
    boxgate("matrix", "report", str(matrix), "-o", "elsewhere/all.html")
    moved = inside(workspace / "elsewhere" / "all.html")["runs"]
    assert moved["pages"] == [3]
    assert (workspace / "elsewhere" / moved["pages_at"] / run_id / "report.html").resolve().is_file()


def test_what_cannot_be_shown_or_written_is_named(matrix: Path, boxgate: Callable[..., Any], workspace: Path) -> None:
    assert boxgate("matrix", "report", str(matrix), "--json").error["code"] == "MATRIX_UNKNOWN"
    ran = boxgate("matrix", "run", str(matrix), "--json", "--set", "matrix.params={every: [10]}").json
    again = ["matrix", "report", str(matrix), "--set", "matrix.params={every: [10]}", "--json"]
    (workspace / "file").write_text("")
    assert boxgate(*again, "--csv", "file/index.csv").error["code"] == "EXPORT_UNWRITABLE"
    assert boxgate(*again, "-o", "file/page.html").error["code"] in {"STORE_IO", "STORE_DENIED"}
    shutil.rmtree(Path(ran["index"]).resolve())
    assert boxgate(*again).error["code"] == "INDEX_MISSING"


def test_costs_are_told_by_what_differs(matrix: Path) -> None:
    costs = load_matrix(matrix).matrix.costs
    assert costs is not None
    assert cost_words(costs) == ("fees_bps 0.2", "fees_bps 0.4")
    assert cost_words(costs[:1]) == ("one set",)


def test_a_failed_run_is_told_with_its_reason(matrix: Path, boxgate: Callable[..., Any]) -> None:
    ran = boxgate(
        "matrix", "run", str(matrix), "--json", "--set", "runner.limits.retries=0",
        "--set", "matrix.params={fault: [none, raise]}", "--set", "matrix.costs=[{fees_bps: 0.2}]",
    ).json  # fmt: skip
    data = inside(Path(ran["report"]))
    assert data["counts"]["failed"] == ran["failed"] == data["counts"]["complete"] > 0
    (reason,) = data["failures"]
    assert (reason["count"], reason["code"]) == (ran["failed"], ran["failures"][0]["code"])
    assert "lost the plot" in reason["what"]
    assert "Traceback" not in Path(ran["report"]).read_text()
