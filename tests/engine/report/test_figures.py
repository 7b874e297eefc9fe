"""Numbers that the page derives from the files of a run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.report.figures import build_figures, daily_returns, histogram, monthly_returns
from boxgate_engine.report.figures.trade_list import TRADES_MAX, trade_list
from boxgate_engine.report.run_files import read_run_files

DAY_NS = 86_400_000_000_000
START_NS = 1_704_067_200_000_000_000  # 2024-01-01


def figures_of(case: Any) -> dict[str, Any]:
    given = {name: case.arguments[name] for name in ("run_id", "result_digest", "prices", "quality", "instruments")}
    return build_figures(read_run_files(case.folder), **given)


def test_months_multiply_to_the_year_and_years_to_the_run() -> None:
    rng = np.random.Generator(np.random.Philox(key=1))
    equity = 1e5 * np.exp(np.cumsum(rng.normal(size=700)) * 0.01)
    years = monthly_returns(START_NS + np.arange(700, dtype=np.int64) * DAY_NS, equity)
    assert [year["year"] for year in years] == [2024, 2025]
    for year in years:
        assert math.prod(1 + month for month in year["months"] if month is not None) == pytest.approx(1 + year["total"])
    assert math.prod(1 + year["total"] for year in years) == pytest.approx(equity[-1] / equity[0])
    assert years[1]["months"][-1] is None  # the run ended before


def test_a_mark_at_midnight_belongs_to_the_day_that_begins() -> None:
    equity = np.array([100.0, 110.0, 121.0])
    assert daily_returns(np.array([0, DAY_NS - 1, DAY_NS]), equity).tolist() == pytest.approx([0.1])


@pytest.mark.parametrize("equity", [[100.0], [100.0, -5.0, 20.0]])
def test_daily_returns_are_empty_where_they_are_undefined(equity: list[float]) -> None:
    assert not len(daily_returns(np.arange(len(equity), dtype=np.int64) * DAY_NS, np.array(equity)))


def test_a_month_after_a_loss_of_everything_is_undefined() -> None:
    (year,) = monthly_returns(START_NS + np.array([0, 10, 40, 70]) * DAY_NS, np.array([100.0, 50.0, -10.0, 30.0]))
    assert year["months"][:3] == [-0.5, pytest.approx(-1.2), None]


@given(values=st.lists(st.floats(-1e7, 1e7, allow_nan=False), min_size=1, max_size=200))
def test_a_histogram_counts_everything_once_and_mixes_no_signs(values: list[float]) -> None:
    array = np.round(np.array(values), 2)
    edges, counts = histogram(array)
    assert sum(counts) == len(array)
    assert len(edges) == len(counts) + 1
    assert len(counts) <= 70
    assert not any(low < 0 < high for low, high in pairwise(edges))
    below = sum(number for number, low in zip(counts, edges[:-1], strict=True) if low < 0)
    assert below == int((array < 0).sum())


def test_figures_agree_with_the_files(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=20_000, keep_open=True)
    figures = figures_of(case)
    assert figures["metrics"] == case.metrics
    columns = figures["trades"]["columns"]
    assert len(columns["net_pnl"]) == case.metrics["trades"]["count"] > 20
    assert math.fsum(columns["net_pnl"]) == pytest.approx(figures["path"]["net_pnl_total"])
    assert figures["distribution"]["trades"]["count"] == len(columns["net_pnl"])
    assert figures["signals"]["count"] == case.metrics["counts"]["signals"]
    assert figures["signals"]["outcomes"]["REJECTED"] == case.metrics["counts"]["rejected"] > 0
    assert figures["signals"]["reject_reasons"] == {"INSUFFICIENT_MARGIN": case.metrics["counts"]["rejected"]}
    assert figures["equity"]["rows"] == 20_001
    assert figures["summary"]["costs_total"] == pytest.approx(
        sum(case.metrics["costs"][name] for name in ("fees", "slippage", "spread"))
    )


def test_trades_carry_the_stop_and_target_of_the_signal_behind_them(run_folder: Callable[..., Any]) -> None:
    columns = figures_of(run_folder(bars=20_000))["trades"]["columns"]
    for side, entry, stop, target in zip(
        columns["side"], columns["entry_price"], columns["sl"], columns["tp"], strict=True
    ):
        assert (stop < entry < target) if side == 0 else (target < entry < stop)


def test_more_trades_than_the_page_holds_leave_the_largest_by_exit(run_folder: Callable[..., Any]) -> None:
    files = read_run_files(run_folder(bars=300_000, fast=10, slow=30).folder)
    listed = trade_list(files)
    assert listed["total"] > TRADES_MAX == listed["listed"]
    sizes = np.sort(np.abs(files.trade_column("net_pnl")))[::-1]
    assert min(map(abs, listed["columns"]["net_pnl"])) >= sizes[TRADES_MAX]
    assert listed["columns"]["exit_time_ms"] == sorted(listed["columns"]["exit_time_ms"])


def test_a_run_without_trades_has_empty_figures(run_folder: Callable[..., Any]) -> None:
    figures = figures_of(run_folder(bars=1))
    assert figures["trades"]["total"] == 0
    assert figures["distribution"] == {"trades": {"count": 0}, "daily": {"count": 0}}
    assert figures["excursions"]["winners"]["mae_median"] is None
    assert figures["monthly"] == [{"year": 2024, "months": [0.0] + [None] * 11, "total": 0.0}]


def set_execution(case: Any, **values: Any) -> None:
    path = case.folder / "config.json"
    config = json.loads(path.read_text())
    config["resolved"]["execution"] |= values
    path.write_text(json.dumps(config))


def test_path_dependent_bars_are_a_share_of_the_bars_that_can_fill(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=500, symbols=("EURUSD", "XAUUSD"))
    metrics = case.folder / "metrics.json"
    content = json.loads(metrics.read_text())
    content["counts"]["bars"] = 5_000  # coarser bars are delivered too
    metrics.write_text(json.dumps(content))
    assert figures_of(case)["path"]["bars_total"] == 1_000
    set_execution(case, series={"EURUSD": "M1"})
    assert figures_of(case)["path"]["bars_total"] == 1_000


@pytest.mark.parametrize("execution", [{"path": "real"}, {"series": "M5"}, {"series": {"EURUSD": "tick"}}])
def test_a_share_of_bars_that_the_page_was_not_given_is_undefined(
    run_folder: Callable[..., Any], execution: dict[str, Any]
) -> None:
    case = run_folder(bars=500)
    set_execution(case, **execution)
    assert figures_of(case)["path"]["bars_total"] is None


def test_without_prices_the_share_of_bars_is_undefined(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=500)
    case.prices = []
    assert figures_of(case)["path"]["bars_total"] is None


def test_zeros_are_neither_above_nor_below(run_folder: Callable[..., Any]) -> None:
    daily = figures_of(run_folder(bars=20_000, slow=4_000))["distribution"]["daily"]
    assert daily["zero"] > 0
    assert daily["zero"] + daily["positive"] + daily["negative"] == daily["count"] == sum(daily["counts"])
