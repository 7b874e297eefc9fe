"""`boxgate compare` puts runs side by side, where they differ first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.report.comparison import _correlation


@pytest.fixture
def two(boxgate: Callable[..., Any]) -> list[str]:
    """The ids of two runs that differ in fees and in a parameter."""
    plain = ("run", "run.yaml", "--json", "--set", "report.html=false")
    dear = (*plain, "--set", "costs.fees_bps=20.0", "--set", "strategy.params.every=7")
    return [boxgate(*options).json["run_id"] for options in (plain, dear)]


def data_of(page: Path) -> Any:
    found = re.search(r'<script type="application/json" id="boxgate-data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_only_what_differs_is_told_and_the_metrics_are_those_of_the_runs(
    boxgate: Callable[..., Any], two: list[str], workspace: Path
) -> None:
    answered = boxgate("compare", *two, "--json").json
    assert answered["differences"] == {"params.every": ["20", "7"], "costs.fees_bps": ["0.2", "20"]}
    assert answered["remarks"] == []
    page = workspace / "compare.html"
    assert answered["page"] == str(page)
    shown = data_of(page)
    for run_id, run in zip(two, shown["runs"], strict=True):
        stored = json.loads((workspace / "artifacts" / "runs" / run_id / "metrics.json").read_text())
        assert run["metrics"] == stored
        assert run["return"]["value"][-1] == pytest.approx(stored["return"]["total"], abs=1e-8)
        assert max(run["drawdown"]["value"]) == pytest.approx(stored["risk"]["max_drawdown"], abs=1e-8)


def test_differences_that_spoil_the_comparison_are_said_first(boxgate: Callable[..., Any], two: list[str]) -> None:
    other = boxgate(
        "run", "run.yaml", "--json", "--set", "window.end=2024-01-03T15:00:00", "--set", "account.cash=5000"
    )
    answered = boxgate("compare", two[0], other.json["run_id"])
    assert answered.code == 0
    assert "they end at different times; they begin with different cash" in answered.out
    assert answered.out.index("window.end") < answered.out.index("ratio.sharpe")


def test_the_page_asks_for_nothing_and_is_equal_for_equal_input(
    boxgate: Callable[..., Any], two: list[str], workspace: Path
) -> None:
    for name in ("a.html", "b.html"):
        assert boxgate("compare", *two, "-o", name).code == 0
    page = (workspace / "a.html").read_text()
    assert page == (workspace / "b.html").read_text()
    assert "default-src 'none'" in page
    assert not re.search(r"""(?:src|href)=["']?https?:""", page)
    for name in ("assumptions", "metrics", "equity", "drawdown", "correlation"):
        assert f'<section id="{name}"' in page
    assert page.count('beside"') == 2, "tables whose columns are compared fit a narrow page"
    assert re.search(r'return: net profit</th><td class="num">[+\u2212][0-9,.]+ USD<', page), "with its unit"
    assert page.index('id="assumptions"') < page.index('id="metrics"') < page.index('id="equity"')


def test_a_file_that_is_no_page_is_not_overwritten(
    boxgate: Callable[..., Any], two: list[str], workspace: Path
) -> None:
    (workspace / "thesis.html").write_text("<p>years of work</p>")
    assert boxgate("compare", *two, "-o", "thesis.html", "--json").error["code"] == "OUTPUT_EXISTS"
    assert (workspace / "thesis.html").read_text() == "<p>years of work</p>"


def test_runs_that_cannot_be_compared_are_named(boxgate: Callable[..., Any], two: list[str], workspace: Path) -> None:
    assert boxgate("compare", two[0], "--json").error["code"] == "USAGE"
    assert boxgate("compare", two[0], two[0][:12], "--json").error["code"] == "RUN_TWICE"
    assert boxgate("compare", two[0], "r_00", "--json").error["code"] == "RUN_NOT_FOUND"
    (workspace / "artifacts" / "runs" / two[1] / "metrics.json").write_text("{}")
    assert boxgate("compare", *two, "--json").error["code"] == "RUN_DAMAGED"
    assert not (workspace / "compare.html").exists()


def test_the_correlation_is_that_of_numpy_on_the_common_days() -> None:
    rng = np.random.default_rng(3)
    one = dict(enumerate(rng.normal(size=40)))
    other = {day + 5: value for day, value in enumerate(rng.normal(size=40))}
    common = sorted(one.keys() & other.keys())
    expected = np.corrcoef([one[day] for day in common], [other[day] for day in common])[0, 1]
    assert _correlation(one, other) == pytest.approx(expected, rel=1e-12)
    assert _correlation(one, {day: other[day] for day in common[:9]}) is None
    assert _correlation(one, dict.fromkeys(one, 0.25)) is None
