"""`boxgate runs`: old runs are found again by words, facts, tags and conditions on their metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def three(boxgate: Callable[..., Any], workspace: Path) -> list[str]:
    """The ids of three runs: a plain one, one with higher costs, one in prod with a tag."""
    made = [
        boxgate("run", "run.yaml", "--json", "--set", "report.html=false"),
        boxgate("run", "run.yaml", "--json", "--set", "report.html=false", "--set", "costs.fees_bps=20.0"),
        boxgate("run", "run.yaml", "--json", "--set", "report.html=false", "--set", "mode=prod", "--tag", "final"),
    ]
    return [one.json["run_id"] for one in made]


def test_runs_are_listed_the_newest_first_and_found_by_every_filter(
    boxgate: Callable[..., Any], three: list[str]
) -> None:
    plain, dear, final = three

    def found(*options: str) -> list[str]:
        return [run["run_id"] for run in boxgate("runs", "list", "--json", *options).json["runs"]]

    assert found() == [final, dear, plain]
    assert found("--ascending") == [plain, dear, final]
    assert found("--limit", "1") == [final]
    assert found("--tag", "final") == found("--mode", "prod") == found("final") == [final]
    assert found("--instrument", "EURUSD", "--frame", "M1") == [final, dear, plain]
    assert found("--instrument", "GBPUSD") == found("eurusd", "no-such-word") == found("--dataset", "ffff") == []
    assert found("--where", "fees>100", "--sort", "costs.fees") == [dear]
    assert set(found("--where", "fees<=100")) == {plain, final}
    assert found("--sort", "costs.fees")[0] == dear
    assert found("--sort", "costs.fees", "--ascending")[-1] == dear
    assert found("--strategy", "trader") == [final, dear, plain]


def test_the_listing_for_people_names_each_run_so_that_it_can_be_shown(
    boxgate: Callable[..., Any], three: list[str]
) -> None:
    listed = boxgate("runs", "list").out
    assert all(run_id[:10] in listed for run_id in three)
    assert "final" in listed
    shown = boxgate("runs", "show", three[1][:10])
    assert shown.code == 0
    assert three[1] in shown.out
    assert "fees_bps 20.0" in shown.out


def test_show_tells_every_metric_of_metrics_json(
    boxgate: Callable[..., Any], three: list[str], workspace: Path
) -> None:
    shown = boxgate("runs", "show", three[0], "--json").json
    stored = json.loads((workspace / "artifacts" / "runs" / three[0] / "metrics.json").read_text())
    assert shown["metrics"] == stored
    assert shown["config"]["costs"]["fees_bps"] == 0.2


def test_tags_are_added_and_removed_and_leave_the_run_as_it_was(boxgate: Callable[..., Any], three: list[str]) -> None:
    assert boxgate("runs", "tag", three[0], "best", "2024", "--json").json["tags"] == ["2024", "best"]
    assert boxgate("runs", "tag", three[0], "--remove", "2024", "--json").json["tags"] == ["best"]
    assert boxgate("runs", "list", "--tag", "best", "--json").json["found"] == 1
    assert boxgate("rerun", three[0], "--json").code == 0
    kept = boxgate("run", "run.yaml", "--json", "--set", "report.html=false", "--tag", "again").json
    assert kept["published"] == "kept"
    assert boxgate("runs", "tag", three[0], "--json").json["tags"] == ["again", "best"]


def test_a_folder_that_cannot_be_read_is_listed_with_its_problem_and_the_others_work(
    boxgate: Callable[..., Any], three: list[str], workspace: Path
) -> None:
    (workspace / "artifacts" / "runs" / three[0] / "metrics.json").write_text("{")
    listed = boxgate("runs", "list", "--json").json
    problems = {run["run_id"]: run["problem"] for run in listed["runs"]}
    assert "metrics" in str(problems[three[0]]) or "JSON" in str(problems[three[0]])
    assert problems[three[1]] is None
    assert boxgate("runs", "list").code == 0
    assert boxgate("runs", "show", three[0], "--json").error["code"] == "RUN_DAMAGED"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("list", "--where", "sharpe"), "CONDITION_INVALID"),
        (("list", "--where", "sharpe>high"), "CONDITION_INVALID"),
        (("list", "--where", "shrpe>1"), "METRIC_UNKNOWN"),
        (("list", "--sort", "beauty"), "METRIC_UNKNOWN"),
        (("show", "r_ffff"), "RUN_NOT_FOUND"),
        (("show", "elsewhere"), "RUN_NOT_FOUND"),
    ],
)
def test_a_question_that_says_nothing_is_refused(
    boxgate: Callable[..., Any], three: list[str], options: tuple[str, ...], code: str
) -> None:
    refused = boxgate("runs", *options, "--json")
    assert refused.error["code"] == code
    assert refused.code == 2


def test_a_run_that_is_not_there_tells_where_was_looked_and_how_to_list(
    boxgate: Callable[..., Any], workspace: Path
) -> None:
    error = boxgate("runs", "show", "r_ffff", "--artifacts", "my runs", "--json").error
    assert error["where"] == str(workspace / "my runs")
    assert "boxgate runs list --artifacts 'my runs'" in error["remedy"]


def test_a_bad_tag_is_refused_before_the_run(boxgate: Callable[..., Any], runs: object, workspace: Path) -> None:
    assert boxgate("run", "run.yaml", "--tag", "two words", "--json").error["code"] == "TAG_INVALID"
    assert not (workspace / "artifacts").exists()


def test_an_empty_store_says_how_to_make_a_run(boxgate: Callable[..., Any]) -> None:
    assert "boxgate run CONFIG" in boxgate("runs", "list").out
    assert boxgate("runs", "list", "--json").json["runs"] == []
