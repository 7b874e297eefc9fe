"""The page of a matrix and its exports: numbers against plain loops over the index, equal bytes for an equal index."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

from boxgate_engine.errors import UserMistake
from boxgate_engine.report.matrix import (
    Constraint,
    Luck,
    Objective,
    Stitched,
    index,
    matrix_page_data,
    render_matrix_page,
    write_csv,
    write_matrix_pictures,
    write_parquet,
)
from boxgate_engine.report.matrix.periods import rank_correlation
from boxgate_engine.report.matrix.summaries import front

SECTIONS = ["runs", "heatmap", "parallel", "pareto", "stability", "oos", "costs", "failures"]
SMALL: dict[str, Any] = {
    "params": {"fast": [10, 20, 30], "width": [1.0, 2.5], "tags": [["a", "b"], ["c"]], "trail": [True, False]},
    "instruments": ("EURUSD", "XAUUSD"), "folds": 3, "cost_sets": ("fees 1", "fees 2"), "failed": 0.05, "pending": 0.02,
}  # fmt: skip
"""3 × 2 × 2 × 2 parameter sets on two instruments, three folds of two parts, two sets of costs: 576 runs."""


@pytest.fixture(scope="session")
def indexes() -> ModuleType:
    """The module beside this file; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("matrix_indexes", Path(__file__).with_name("matrix_indexes.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def made(indexes: ModuleType, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that writes an index: keyword arguments of `write_index`."""

    def write(**given: Any) -> Any:
        return indexes.write_index(tmp_path / f"index {len(list(tmp_path.iterdir()))}", **given)

    return write


def inside(page: str) -> Any:
    return json.loads(page.split('id="boxgate-data">')[1].split("</script>", maxsplit=1)[0])


def values(data: Any, metric: str) -> list[float | None]:
    return next(one["values"] for one in data["metrics"] if one["path"] == metric)


def code(data: Any, axis: str, row: int) -> Any:
    found = next(one for one in data["axes"] if one["name"] == axis)
    at = 0 if found["codes"] is None else found["codes"][row]
    return None if at < 0 or not found["values"] else found["values"][at]


def test_the_page_has_every_section_and_holds_its_data(made: Callable[..., Any]) -> None:
    given = made(**SMALL)
    page = render_matrix_page(matrix_page_data(given.folder, given.facts))
    assert re.findall(r'<section id="([a-z]+)"', page) == SECTIONS
    data = inside(page)
    assert data == json.loads(json.dumps(matrix_page_data(given.folder, given.facts)))
    assert data["matrix_id"] == given.facts.matrix_id
    lines = [f"{row['run_id']} {row['result_digest']}\n" for row in given.rows if row["status"] == "complete"]
    assert data["matrix_digest"] == "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()
    states = [row["status"] for row in given.rows]
    assert data["counts"] == {
        "planned": 576, "listed": 576, **{name: states.count(name) for name in ("complete", "failed", "pending")}
    }  # fmt: skip
    for row, run in enumerate(given.rows):
        assert data["runs"]["run_id"][row] == run["run_id"]
        shown = {
            name: code(data, name, row) for name in ("status", "instrument", "fold", "segment", "cost_set", "p_fast")
        }
        assert shown == {name: run[name] for name in shown}
        assert code(data, "p_tags", row) == ", ".join(run["p_tags"])
        assert code(data, "p_trail", row) is run["p_trail"]
    sharpes = [run["m_ratio_sharpe"] for run in given.rows]
    assert values(data, "ratio.sharpe") == [None if value is None else float(f"{value:.10g}") for value in sharpes]


def test_an_equal_index_gives_an_equal_page_however_it_is_cut(made: Callable[..., Any]) -> None:
    first, second = made(**SMALL), made(**SMALL, parts=4)
    pages = [render_matrix_page(matrix_page_data(one.folder, one.facts)) for one in (first, first, second)]
    assert pages[0] == pages[1] == pages[2]


def test_the_pinned_columns_are_enough(made: Callable[..., Any]) -> None:
    whole, pinned = made(**SMALL), made(**SMALL, pinned_only=True)
    pages = [render_matrix_page(matrix_page_data(one.folder, one.facts)) for one in (whole, pinned)]
    assert pages[0] == pages[1]


def test_cells_of_the_map_are_medians_of_the_runs_on_tests(made: Callable[..., Any]) -> None:
    given = made(**SMALL)
    chart = matrix_page_data(given.folder, given.facts)["charts"]["heatmap"]
    assert (chart["x"], chart["y"], chart["metric"]) == ("p_fast", "p_width", "ratio.sharpe")
    for y, width in enumerate([1.0, 2.5]):
        for x, fast in enumerate([10, 20, 30]):
            group = [
                run["m_ratio_sharpe"]
                for run in given.rows
                if (run["p_fast"], run["p_width"], run["segment"], run["status"]) == (fast, width, "test", "complete")
            ]
            assert chart["counts"][y][x] == len(group)
            assert chart["cells"][y][x] == pytest.approx(statistics.median(group), rel=1e-9)


def test_the_choice_of_a_fold_is_the_best_on_train_that_keeps_the_constraints(made: Callable[..., Any]) -> None:
    given = made(**SMALL)
    data = matrix_page_data(given.folder, given.facts)
    choices = data["periods"]["choices"]
    assert len(choices) == 3 * 2 * 2
    place = {run["run_id"]: row for row, run in enumerate(given.rows)}
    for choice in choices:
        block = [
            run
            for run in given.rows
            if (run["fold"], run["instrument"], run["cost_set"])
            == (choice["period"], choice["instrument"], choice["cost_set"])
        ]
        trained = [run for run in block if run["segment"] == "train" and run["status"] == "complete"]
        best = max((run for run in trained if run["m_trades_count"] >= 10), key=lambda run: run["m_ratio_sharpe"])
        test = next(run for run in block if run["segment"] == "test" and run["params"] == best["params"])
        assert choice["row"] == place[best["run_id"]]
        assert choice["later"] == place[test["run_id"]]
        assert choice["later_value"] == test["m_ratio_sharpe"]
        if test["status"] == "complete":
            others = [
                run["m_ratio_sharpe"] for run in block if run["segment"] == "test" and run["status"] == "complete"
            ]
            not_better = sum(value <= test["m_ratio_sharpe"] for value in others)
            assert choice["rank"] == pytest.approx((not_better - 1) / (len(others) - 1))


def test_a_smaller_objective_and_a_constraint_that_nobody_keeps(made: Callable[..., Any]) -> None:
    given = made(objectives=(Objective(metric="risk.max_drawdown", is_better_large=False),), constraints=(), windows=3)
    data = matrix_page_data(given.folder, given.facts)
    assert data["metrics"][0]["path"] == "risk.max_drawdown"
    assert data["metrics"][0]["better"] == -1
    for choice in data["periods"]["choices"]:
        window = [run["m_risk_max_drawdown"] for run in given.rows if run["window"] == choice["period"]]
        assert choice["value"] == min(window)
    assert [choice["later"] is None for choice in data["periods"]["choices"]] == [False, False, True]
    given = made(constraints=(Constraint(metric="trades.count", low=1e9), Constraint(metric="no.such", high=1.0)))
    assert matrix_page_data(given.folder, given.facts)["periods"]["choices"] == []


def test_windows_of_one_instrument_follow_one_another_whatever_those_of_others_are(
    made: Callable[..., Any], indexes: ModuleType
) -> None:
    given = made(instruments=("EURUSD", "GBPUSD"), windows=3, constraints=())
    table = pl.read_parquet(given.folder / "part-*.parquet")
    shift = pl.when(pl.col("instrument") == "GBPUSD").then(indexes.DAY_NS).otherwise(0)
    edges = [pl.col(name) + shift for name in ("window_start_ns", "window_end_ns")]
    table.with_columns(edges).write_parquet(given.folder / "part-00000.parquet")
    data = matrix_page_data(given.folder, given.facts)
    assert len(data["periods"]["labels"]) == 6
    for choice in data["periods"]["choices"]:
        # EURUSD has the periods 0, 2 and 4, GBPUSD those between.
        assert choice["judged"] == (None if choice["period"] > 3 else choice["period"] + 2)
        assert (choice["later"] is None) == (choice["period"] > 3)
        if choice["later"] is not None:
            assert choice["correlation"] is not None
    assert len(data["periods"]["choices"]) == 6


def test_a_run_that_is_a_test_and_a_train_window_counts_in_both(made: Callable[..., Any]) -> None:
    given = made(folds=2)
    table = pl.read_parquet(given.folder / "part-*.parquet")
    # As where the test of fold 0 is the train window of fold 1: the latter is no run of its own.
    both = (pl.col("fold") == 0) & (pl.col("segment") == "test")
    merged = table.filter(~((pl.col("fold") == 1) & (pl.col("segment") == "train"))).with_columns(
        pl.when(both).then(pl.lit("train:1")).otherwise(pl.col("also_folds")).alias("also_folds")
    )
    merged.write_parquet(given.folder / "part-00000.parquet")
    periods = matrix_page_data(given.folder, given.facts)["periods"]
    sets = table["params"].n_unique()
    assert periods["pairs"]["period"].count(0) == periods["pairs"]["period"].count(1) == sets
    pairs = list(zip(*(periods["pairs"][name] for name in ("period", "earlier", "later")), strict=True))
    tests_of_first = {later for period, _, later in pairs if period == 0}
    assert {earlier for period, earlier, _ in pairs if period == 1} == tests_of_first


def test_spreads_out_of_sample_and_of_costs_are_numpys_quantiles(made: Callable[..., Any]) -> None:
    given = made(**SMALL)
    charts = matrix_page_data(given.folder, given.facts)["charts"]
    done = [run for run in given.rows if run["status"] == "complete"]
    for number, found in enumerate(charts["costs"]["sets"]):
        group = [run["m_ratio_sharpe"] for run in done if run["cost_set"] == number and run["segment"] == "test"]
        assert found["count"] == len(group)
        assert found["quantiles"] == pytest.approx(np.quantile(group, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist(), rel=1e-9)
        assert found["above_zero"] == pytest.approx(sum(value > 0 for value in group) / len(group))
    tests = [run["m_ratio_sharpe"] for run in done if run["segment"] == "test"]
    assert charts["oos"]["groups"]["test"]["count"] == len(tests)
    assert sum(charts["oos"]["histogram"]["test"]) == len(tests)
    for fold, found in enumerate(charts["stability"]["periods"]):
        group = [run["m_ratio_sharpe"] for run in done if (run["fold"], run["segment"]) == (fold, "test")]
        assert (found["count"], found["quantiles"][2]) == (len(group), pytest.approx(statistics.median(group)))


def test_nobody_beats_a_run_on_the_front_and_somebody_every_other() -> None:
    random = np.random.default_rng(5)
    for size in (0, 1, 2, 50):
        x, y = random.integers(0, 12, size).astype(float), random.integers(0, 12, size).astype(float)
        x[: size // 10] = np.nan
        rows = set(front(x, y, x_large=False, y_large=True).tolist())
        for row in range(size):
            beaten = any(
                x[other] <= x[row] and y[other] >= y[row] and (x[other], y[other]) != (x[row], y[row])
                for other in range(size)
            )
            twin = any((x[other], y[other]) == (x[row], y[row]) for other in range(row))
            assert (row in rows) == (not beaten and not twin and not np.isnan(x[row])), row


def test_the_front_is_that_of_two_objectives_where_there_are_two(made: Callable[..., Any]) -> None:
    two = (Objective(metric="return.total"), Objective(metric="costs.fees", is_better_large=False))
    given = made(cost_sets=("a", "b"), objectives=two)
    chart = matrix_page_data(given.folder, given.facts)["charts"]["pareto"]
    assert (chart["y"], chart["x"]) == ("return.total", "costs.fees")
    best = [max(run["m_return_total"] for run in given.rows if run["cost_set"] == number) for number in (0, 1)]
    expected = [best[0], *([best[1]] if best[1] > best[0] else [])]
    assert [given.rows[row]["m_return_total"] for row in chart["front"]] == expected


def test_rank_correlation_is_that_of_scipys_definition() -> None:
    random = np.random.default_rng(6)
    one, other = random.normal(size=30), random.normal(size=30)
    distance = ((np.argsort(np.argsort(one)) - np.argsort(np.argsort(other))) ** 2).sum()
    expected = 1 - 6 * distance / (30 * (30**2 - 1))
    assert rank_correlation(one.tolist(), other.tolist()) == pytest.approx(expected)
    assert rank_correlation([1.0, 2.0], [1.0, 2.0]) is None
    assert rank_correlation([1.0] * 9, list(map(float, range(9)))) is None


@pytest.mark.parametrize(
    ("given", "empty"),
    [
        ({"params": {"fast": [1]}}, {"heatmap", "parallel", "stability", "oos", "costs", "failures"}),
        ({}, {"stability", "oos", "costs", "failures"}),
        ({"failed": 1.0}, {"heatmap", "parallel", "pareto", "stability", "oos", "costs"}),
        ({"pending": 1.0, "folds": 2}, {"heatmap", "parallel", "pareto", "stability", "oos", "costs", "failures"}),
        ({"params": {"fast": []}}, set(SECTIONS)),
    ],
)
def test_a_section_without_content_says_why(made: Callable[..., Any], given: Any, empty: set[str]) -> None:
    found = made(**given)
    page = render_matrix_page(matrix_page_data(found.folder, found.facts))
    parts = dict(re.findall(r'<section id="([a-z]+)".*?</h2>(.*?)</section>', page, re.DOTALL))
    assert {name for name, part in parts.items() if part.startswith('<p class="empty">')} == empty
    assert all(len(part) > 30 for part in parts.values())


def test_failed_runs_are_told_by_reason_and_nothing_of_it_is_markup(made: Callable[..., Any]) -> None:
    given = made(**{**SMALL, "failed": 0.2})
    data = matrix_page_data(given.folder, given.facts)
    failed = [run for run in given.rows if run["status"] == "failed"]
    assert {one["code"]: one["count"] for one in data["failures"]} == {
        name: sum(run["error_code"] == name for run in failed) for name in ("SIGNAL_RANGE", "LIMIT_RUNTIME")
    }
    page = render_matrix_page(data)
    assert "the quantity is &lt;b&gt;not&lt;/b&gt; a number" in page
    assert "<b>not" not in page


def test_names_of_others_are_no_markup(made: Callable[..., Any]) -> None:
    evil = "</script><script>planted=1</script>"
    given = made(params={evil: [1, 2]}, instruments=(evil,), cost_sets=(evil, "b"), name=evil)
    page = render_matrix_page(matrix_page_data(given.folder, given.facts))
    assert "<script>planted" not in page


def test_pages_of_runs_are_linked_where_they_are(made: Callable[..., Any]) -> None:
    given = made()
    some = given.rows[3]["run_id"]
    found = made(has_page=lambda run_id: run_id == some, runs_at="../runs")
    data = matrix_page_data(found.folder, found.facts)
    assert data["runs"]["pages"] == [3]
    assert data["runs"]["pages_at"] == "../runs"


def test_of_too_many_runs_whole_parameter_sets_are_shown_with_the_best(
    made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "LISTED_MAX", 120)
    monkeypatch.setattr(index, "_BEST_SETS", 2)
    given = made(**SMALL)
    data = matrix_page_data(given.folder, given.facts)
    shown = set(data["runs"]["run_id"])
    assert len(shown) == data["counts"]["listed"] == 120
    assert data["counts"]["planned"] == 576
    by_set: dict[str, list[Any]] = {}
    for run in given.rows:
        by_set.setdefault(run["params"], []).append(run)
    assert all(len({run["run_id"] in shown for run in group}) == 1 for group in by_set.values())
    best = max((run for run in given.rows if run["m_ratio_sharpe"]), key=lambda run: run["m_ratio_sharpe"])
    assert best["run_id"] in shown
    assert "120 of 576 runs" in render_matrix_page(data)


def test_many_values_of_a_parameter_are_put_into_stretches(made: Callable[..., Any]) -> None:
    given = made(params={"width": [i / 7 for i in range(60)], "slow": [1, 2]})
    data = matrix_page_data(given.folder, given.facts)
    width = next(axis for axis in data["axes"] if axis["name"] == "p_width")
    assert len(width["values"]) == 60
    assert len(width["levels"]) == 20
    for value, level in zip(width["values"], width["level_of"], strict=True):
        low, high = (float(edge) for edge in width["levels"][level].split(" – "))
        assert low - 0.01 <= value <= high + 0.01
    assert sum(map(sum, data["charts"]["heatmap"]["counts"])) == 120


def test_stretches_of_values_that_lie_close_have_names_of_their_own(made: Callable[..., Any]) -> None:
    given = made(params={"level": [10_000 + i / 1000 for i in range(40)], "slow": [1, 2]})
    data = matrix_page_data(given.folder, given.facts)
    levels = next(axis["levels"] for axis in data["axes"] if axis["name"] == "p_level")
    assert len(set(levels)) == len(levels) == 20


def test_an_index_that_is_missing_or_no_index_is_named(made: Callable[..., Any], tmp_path: Path) -> None:
    facts = made().facts
    with pytest.raises(UserMistake) as missing:
        matrix_page_data(tmp_path / "nowhere", facts)
    assert missing.value.error_code == "INDEX_MISSING"
    for content in (b"nonsense", None):
        folder = tmp_path / f"wrong {content!r}"
        folder.mkdir()
        if content is None:
            pl.DataFrame({"run_id": ["r_1"]}).write_parquet(folder / "part-00000.parquet")
        else:
            (folder / "part-00000.parquet").write_bytes(content)
        with pytest.raises(UserMistake) as wrong:
            matrix_page_data(folder, facts)
        assert wrong.value.error_code == "INDEX_UNREADABLE"


def test_the_index_is_one_file_of_csv_or_parquet(made: Callable[..., Any], tmp_path: Path) -> None:
    given = made(**SMALL, parts=3)
    whole = pl.read_parquet(given.folder / "part-*.parquet")
    written = write_parquet(given.folder, tmp_path / "new" / "index.parquet")
    assert pl.read_parquet(written).equals(whole)
    with write_csv(given.folder, tmp_path / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == whole["run_id"].to_list()
    assert list(rows[0]) == whole.columns
    for row, run in zip(rows, given.rows, strict=True):
        assert row["p_tags"] == ",".join(run["p_tags"])
        assert (float(row["m_ratio_sharpe"]) if row["m_ratio_sharpe"] else None) == run["m_ratio_sharpe"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_text_that_a_spreadsheet_would_compute_is_quoted_in_the_csv(made: Callable[..., Any], tmp_path: Path) -> None:
    given = made(params={"word": ["=1+1", "plain"]})
    text = write_csv(given.folder, tmp_path / "index.csv").read_text()
    assert "'=1+1" in text
    assert ",plain," in text


def test_every_chart_becomes_a_picture_and_equal_data_equal_ones(made: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    given = made(**SMALL)
    data = matrix_page_data(given.folder, given.facts)
    first, second = (write_matrix_pictures(data, tmp_path / name) for name in ("first", "second"))
    assert [path.stem for path in first] == ["costs", "heatmap", "oos", "parallel", "pareto", "stability"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    lone = made(params={"fast": [1]})
    assert [
        path.stem for path in write_matrix_pictures(matrix_page_data(lone.folder, lone.facts), tmp_path / "lone")
    ] == ["pareto"]


def test_the_equity_of_the_tests_and_the_luck_of_the_best_are_told_where_they_are_known(
    made: Callable[..., Any], tmp_path: Path
) -> None:
    days = np.arange(5_000, dtype=np.int64)
    equity = (1000.0 + 0.1 * days).astype(np.float64)
    curve = Stitched(
        label="EURUSD, <fees>", folds=3, cash=1000.0, time_ns=days * 86_400_000_000_000, equity=equity,
        total=0.5, sharpe=None, max_drawdown=0.0,
    )  # fmt: skip
    luck = Luck(trials=1234, sharpe=2.0, expected=2.5, deflated=0.25)
    given = made(**SMALL, stitched=(curve,), luck=luck)
    data = matrix_page_data(given.folder, given.facts)
    (told,) = data["stitched"]
    assert (told["value"][0], told["value"][-1]) == (0, pytest.approx(0.4999))
    assert len(told["value"]) == len(told["time"]["steps"]) < 1_300
    page = render_matrix_page(data)
    assert "1,234 trials: best Sharpe ratio 2.00, by luck alone 2.50; deflated 0.25" in page
    assert "EURUSD, &lt;fees&gt;" in page
    if importlib.util.find_spec("matplotlib"):
        assert "oos_equity" in {path.stem for path in write_matrix_pictures(data, tmp_path / "png")}
    without = matrix_page_data(made(**SMALL).folder, made(**SMALL).facts)
    assert 'id="chart-oos-equity"' not in render_matrix_page(without)
