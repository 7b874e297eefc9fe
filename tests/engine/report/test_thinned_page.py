"""The page of a run whose equity curve is stored by the hour or by the day."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from boxgate_engine.artefacts import stored_curve
from boxgate_engine.artefacts.curve import CURVE_FILE
from boxgate_engine.report import render_report
from boxgate_engine.report.comparison import read_compared, render_comparison
from boxgate_engine.tables import stored_table

DATA = re.compile(r'<script type="application/json" id="boxgate-data">(.*?)</script>', re.DOTALL)


def data_of(page: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(DATA.findall(page)[0])
    return data


def thin(folder: Path, resolution: str) -> None:
    path = folder / CURVE_FILE
    pq.write_table(stored_curve(stored_table("equity", pq.read_table(path)), resolution), path)


@pytest.mark.parametrize("resolution", ["hour", "day"])
def test_all_figures_are_those_of_the_full_curve(run_folder: Callable[..., Any], resolution: str) -> None:
    case = run_folder(bars=200_000)
    full = data_of(render_report(case.folder, **case.arguments))
    thin(case.folder, resolution)
    page = render_report(case.folder, **case.arguments)
    thinned = data_of(page)
    for name in ("drawdowns", "monthly", "distribution", "rolling_sharpe", "metrics", "trades", "excursions", "costs"):
        assert thinned[name] == full[name], name
    deepest = thinned["drawdowns"]["deepest"][0]["depth"]
    assert deepest == case.metrics["risk"]["max_drawdown"]
    assert max(thinned["drawdown"]["value"]) <= deepest
    assert thinned["drawdowns"]["count"] == case.metrics["risk"]["drawdowns"]
    curve = thinned["equity"]
    assert (curve["resolution"], curve["marks"]) == (resolution, 200_001)
    assert (full["equity"]["resolution"], full["equity"]["marks"]) == ("bar", 200_001)
    assert (curve["value"][0], curve["value"][-1]) == (full["equity"]["value"][0], full["equity"]["value"][-1])
    text = re.sub(r"<[^>]+>", " ", page)
    assert f"The last mark of each UTC {resolution}" in text
    assert "200,001 in all" in text
    assert "One mark per moment" not in text


def test_runs_of_different_resolution_are_compared(run_folder: Callable[..., Any], tmp_path: Path) -> None:
    case = run_folder(bars=5_000)
    other = case.folder.rename(tmp_path / "other")
    case = run_folder(bars=5_000)
    thin(other, "hour")
    runs = [read_compared(folder, run_id=folder.name, result_digest="d") for folder in (case.folder, other)]
    assert "<section" in render_comparison(runs)
