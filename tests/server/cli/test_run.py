"""`boxgate run`: what it answers to a person and to a program when all is well."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.artefacts import read_run
from boxgate_engine.digest import result_digest

MISBEHAVING = Path(__file__).parent.parent / "sidecars" / "misbehaving.py"

Call = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_run_is_answered_as_interfaces_say(boxgate: Call, workspace: Path) -> None:
    answered = boxgate("run", "run.yaml", "--json")
    assert answered.code == 0, answered.err
    told = answered.json
    assert told.keys() == {
        "schema",
        "status",
        "run_id",
        "result_digest",
        "seed",
        "mode",
        "artifacts",
        "published",
        "reused",
        "metrics",
        "delivery",
        "timing_s",
        "events_per_s",
    }
    assert (told["schema"], told["status"], told["published"]) == ("boxgate.run/1", "complete", "new")
    assert told["timing_s"].keys() == {"total", "start", "engine", "sidecar_wait", "artefacts"}
    assert told["delivery"].keys() == {"mode", "window_events", "round_trips"}
    folder = Path(told["artifacts"])
    assert folder == workspace / "artifacts" / "runs" / told["run_id"]
    stored = read_run(folder)
    assert stored.result_digest == told["result_digest"] == result_digest(stored.tables())
    assert stored.json("metrics.json") == told["metrics"]
    assert told["metrics"]["counts"]["events"] == 360
    assert told["metrics"]["trades"]["count"] > 5


def test_a_person_gets_a_summary_and_plain_lines_where_there_is_no_terminal(boxgate: Call) -> None:
    answered = boxgate("run", "run.yaml")
    assert answered.code == 0
    told = dict(line.split(None, 1) for line in answered.out.splitlines())
    for name in ("run", "result", "published", "events", "trades", "CAGR", "Sharpe", "fees", "time", "report"):
        assert name in told, answered.out
    assert "net profit" in answered.out
    assert "max drawdown" in answered.out
    assert "round trips" in answered.out
    assert Path(told["report"]).is_file()
    assert "\x1b" not in answered.out + answered.err


def test_a_second_run_computes_again_and_keeps_the_first(boxgate: Call) -> None:
    first = boxgate("run", "run.yaml", "--json").json
    second = boxgate("run", "run.yaml", "--set", "execution.delivery=lockstep", "--json").json
    assert (second["published"], second["reused"]) == ("kept", False)
    assert second["result_digest"] == first["result_digest"]
    assert second["delivery"]["mode"] == "lockstep"
    assert second["delivery"]["round_trips"] > first["delivery"]["round_trips"]


def test_reuse_takes_a_complete_run_and_computes_a_damaged_one(boxgate: Call, workspace: Path) -> None:
    first = boxgate("run", "run.yaml", "--reuse", "--json").json
    assert (first["published"], first["reused"]) == ("new", False)
    second = boxgate("run", "run.yaml", "--reuse", "--json").json
    assert (second["published"], second["reused"]) == ("kept", True)
    for name in ("run_id", "result_digest", "seed", "mode", "artifacts", "metrics"):
        assert second[name] == first[name]
    (Path(first["artifacts"]) / "metrics.json").write_text("{}")
    third = boxgate("run", "run.yaml", "--reuse", "--json").json
    assert (third["published"], third["reused"]) == ("new", False)
    assert third["metrics"] == first["metrics"]


def test_overrides_change_the_run(boxgate: Call) -> None:
    first = boxgate("run", "run.yaml", "--json").json
    other = boxgate("run", "run.yaml", "--json", "--set", "strategy.params.every=30", "--set", "mode=prod").json
    assert other["run_id"] != first["run_id"]
    assert other["mode"] == "prod"
    assert json.loads((Path(other["artifacts"]) / "params.json").read_text())["every"] == 30


def test_operational_keys_do_not_change_the_run(boxgate: Call) -> None:
    first = boxgate("run", "run.yaml", "--json").json
    other = boxgate("run", "run.yaml", "--json", "--set", "artifacts=elsewhere", "--set", "report.html=false").json
    assert (other["run_id"], other["result_digest"]) == (first["run_id"], first["result_digest"])
    assert other["published"] == "new"
    assert not (Path(other["artifacts"]) / "report.html").exists()


def test_shared_assets_lie_once_beside_the_runs(boxgate: Call, runs: Call) -> None:
    told = boxgate("run", "run.yaml", "--json", "--set", "report.assets=shared").json
    assert runs() == ["_assets", told["run_id"]]


def test_more_history_is_given_and_told(boxgate: Call) -> None:
    answered = boxgate("run", "run.yaml", "--set", "strategy.params.fault=more_history", "--json")
    assert answered.code == 0, answered.err
    assert "EURUSD M1: the strategy asked for 45 events from before the start instead of 6" in answered.err
    assert answered.json["metrics"]["counts"]["history_restarts"] == 1


def test_values_off_the_grid_are_rounded_and_counted(boxgate: Call) -> None:
    told = boxgate("run", "run.yaml", "--set", "strategy.params.fault=off_grid", "--json").json
    assert told["metrics"]["counts"]["rounded"] == 1


def test_a_stop_on_the_wrong_side_of_the_market_is_rejected_and_counted(boxgate: Call) -> None:
    """S12: a stop above the market of a long is no error."""
    answered = boxgate("run", "run.yaml", "--set", "strategy.params.fault=sl_above_market", "--json")
    assert answered.json["metrics"]["counts"]["rejected"] == 1
    assert "1 rejected (STOP_LOSS_SIDE 1)" in answered.err
    assert "nothing was traded" not in answered.err


def test_a_run_without_a_fill_warns_and_says_why(boxgate: Call) -> None:
    options = ("--set", "account.cash=1", "--set", "strategy.params.qty=1000000")
    answered = boxgate("run", "run.yaml", *options)
    assert answered.code == 0
    *_, last = answered.out.splitlines()
    assert last.startswith("warning: nothing was traded: ")
    assert "rejected (INSUFFICIENT_MARGIN " in last
    assert boxgate("run", "run.yaml", "--reuse", *options).out.splitlines()[-1] == last


def test_an_exception_in_on_stop_is_told_with_the_warning(boxgate: Call, workspace: Path) -> None:
    (workspace / "own").mkdir()
    script = (workspace / "strategies" / "trader.py").read_text()
    fault = '    def on_stop(self) -> None:\n        raise ValueError("no room for the model")\n\n    def misbehave('
    (workspace / "own" / "trader.py").write_text(script.replace("    def misbehave(", fault))
    options = ("--set", "strategy.command=[python, own/trader.py]")
    answered = boxgate("run", "run.yaml", *options)
    assert answered.code == 0
    told = "the results stand: ValueError: no room for the model (logs.ndjson has all that it wrote)"
    assert told in answered.err
    assert "no room" not in boxgate("run", "run.yaml", *options, "--set", "mode=prod").err


def test_a_sidecar_that_crashes_in_on_stop_costs_nothing(boxgate: Call) -> None:
    """S05: results are kept, with the flag stop_unclean."""
    command = f"[python, {MISBEHAVING}, InStop, crash]"
    answered = boxgate("run", "run.yaml", "--json", "--set", f"strategy.command={command}")
    assert answered.code == 0, answered.err
    assert "warning: the sidecar did not stop cleanly" in answered.err
    stored = read_run(Path(answered.json["artifacts"]))
    assert [line["level"] for line in stored.log() if line["event"] == "stop_unclean"] == ["warning"]
