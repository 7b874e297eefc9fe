"""`boxgate rerun`: the same run once more, and where it differs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def own_strategy(workspace: Path) -> Path:
    """A copy of the strategy that a test may edit."""
    folder = workspace / "own"
    folder.mkdir()
    shutil.copy(workspace / "strategies" / "trader.py", folder)
    config = workspace / "run.yaml"
    config.write_text(config.read_text().replace("strategies/trader.py", "own/trader.py"))
    return folder / "trader.py"


def test_an_equal_result_is_told_and_nothing_is_published(boxgate: Call, runs: Call) -> None:
    first = boxgate("run", "run.yaml", "--json").json
    before = runs()
    answered = boxgate("rerun", first["run_id"][:8], "--json")
    assert answered.code == 0, answered.err
    told = answered.json
    assert (told["schema"], told["status"], told["equal"]) == ("boxgate.rerun/1", "complete", True)
    assert told["run_id"] == first["run_id"]
    assert told["recomputed_digest"] == told["result_digest"] == first["result_digest"]
    assert told["identity"] == told["tables"] == told["files"] == []
    assert runs() == before


def test_a_run_is_named_by_its_folder_as_well(boxgate: Call) -> None:
    folder = boxgate("run", "run.yaml", "--json").json["artifacts"]
    answered = boxgate("rerun", folder)
    assert answered.code == 0
    assert "the same result" in answered.out


def test_another_strategy_is_a_difference_with_its_first_row(boxgate: Call, own_strategy: Path) -> None:
    first = boxgate("run", "run.yaml", "--json").json
    text = own_strategy.read_text()
    own_strategy.write_text(
        text.replace("if event.seq % self.every:", "if event.seq % self.every or event.seq == 200:")
    )
    answered = boxgate("rerun", first["run_id"], "--json")
    assert answered.code == 1
    assert answered.error["code"] == "RESULT_DIFFERS"
    assert answered.error["seq"] == 200
    assert "strategy.digest" in answered.error["remedy"]
    told = answered.json
    assert told["equal"] is False
    assert [change["key"] for change in told["identity"]] == ["strategy.digest"]
    signals = told["tables"][0]
    assert (signals["table"], signals["row"], signals["seq"], signals["column"]) == ("signals", 10, 200, "seq")
    assert signals["rows_now"] == signals["rows_before"] - 1
    assert {table["table"] for table in told["tables"]} == {"signals", "fills", "trades", "equity"}
    assert {"metrics.json", "trades.csv"} <= set(told["files"])
    assert "signals: row 10, seq 200" in answered.err


def test_a_strategy_that_reads_the_clock_is_found(boxgate: Call) -> None:
    first = boxgate("run", "run.yaml", "--json", "--set", "strategy.params.fault=clock").json
    answered = boxgate("rerun", first["run_id"], "--json")
    assert answered.code == 1
    assert answered.json["identity"] == []
    assert "unseeded randomness" in answered.error["remedy"]
    signals = answered.json["tables"][0]
    assert (signals["table"], signals["seq"], signals["column"]) == ("signals", 100, "qty")


def test_an_edit_without_effect_gives_the_same_result(boxgate: Call, own_strategy: Path) -> None:
    first = boxgate("run", "run.yaml", "--json").json
    own_strategy.write_text(own_strategy.read_text() + "# a remark\n")
    answered = boxgate("rerun", first["run_id"], "--json")
    assert answered.code == 0
    assert [change["key"] for change in answered.json["identity"]] == ["strategy.digest"]


def test_an_unknown_run_is_refused(boxgate: Call) -> None:
    for command in ("rerun", "report"):
        answered = boxgate(command, "r_0123", "--json")
        assert (answered.code, answered.error["code"]) == (2, "RUN_NOT_FOUND")
        assert answered.json["schema"] == f"boxgate.{command}/1"


def test_the_beginning_of_several_ids_is_refused_with_some_of_them(boxgate: Call, workspace: Path) -> None:
    for digit in "0123456":
        (workspace / "artifacts" / "runs" / f"r_0{digit}").mkdir(parents=True)
    for command in ("rerun", "report"):
        answered = boxgate(command, "r_0", "--json")
        assert (answered.code, answered.error["code"]) == (2, "RUN_AMBIGUOUS")
        assert answered.error["what"] == "'r_0' begins 7 ids: r_00, r_01, r_02, r_03, r_04, …"


def test_a_damaged_run_is_not_believed(boxgate: Call) -> None:
    folder = Path(boxgate("run", "run.yaml", "--json").json["artifacts"])
    (folder / "trades.csv").write_text("")
    for command in ("rerun", "report"):
        answered = boxgate(command, str(folder), "--json")
        assert (answered.code, answered.error["code"]) == (1, "RUN_DAMAGED")
        assert "trades.csv" in answered.error["where"]


def test_a_dataset_that_is_gone_is_named(boxgate: Call, workspace: Path) -> None:
    first = boxgate("run", "run.yaml", "--json").json
    answered = boxgate("rerun", first["run_id"], "--data-root", "elsewhere", "--json")
    assert (answered.code, answered.error["code"]) == (2, "DATASET_UNKNOWN")
