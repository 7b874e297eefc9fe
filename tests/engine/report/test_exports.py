"""Pictures, CSV files and data of a page: what is exported is what is shown."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.errors import UserMistake
from boxgate_engine.report import page_data, render_report
from boxgate_engine.report.exports import write_pictures, write_sheets

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def case(run_folder: Callable[..., Any]) -> Any:
    return run_folder(bars=4_000, symbols=("EURUSD", "XAUUSD"), frame_minutes=60, keep_open=True)


def test_the_data_are_those_inside_the_page(case: Any) -> None:
    page = render_report(case.folder, **case.arguments)
    inside = page.split('id="boxgate-data">')[1].split("</script>")[0]
    assert json.loads(inside) == json.loads(json.dumps(page_data(case.folder, **case.arguments)))


def test_sheets_hold_the_rows_of_the_charts(case: Any, tmp_path: Path) -> None:
    data = page_data(case.folder, **case.arguments)
    written = write_sheets(data, tmp_path / "csv")
    assert [path.name for path in written] == sorted(path.name for path in (tmp_path / "csv").iterdir())
    equity = rows(tmp_path / "csv", "equity")
    assert [float(row["equity"]) for row in equity] == data["equity"]["value"]
    assert equity[0]["time"] == "2024-01-01T00:00:00Z"
    assert [float(row["net"]) for row in rows(tmp_path / "csv", "exposure")] == data["exposure"]["net"]
    assert {row["instrument"] for row in rows(tmp_path / "csv", "instruments")} == {"EURUSD", "XAUUSD"}
    metrics = {row["metric"]: row["value"] for row in rows(tmp_path / "csv", "metrics")}
    assert float(metrics["return.net_profit"]) == case.metrics["return"]["net_profit"]
    assert (metrics["open_positions.0.instrument"], metrics["ratio.sharpe"] != "") == ("EURUSD", True)


def test_a_text_that_a_spreadsheet_would_compute_is_quoted(case: Any, tmp_path: Path) -> None:
    data = page_data(case.folder, **case.arguments)
    data["instruments"][0]["instrument"] = '=HYPERLINK("x")'
    write_sheets(data, tmp_path)
    assert rows(tmp_path, "instruments")[0]["instrument"] == '\'=HYPERLINK("x")'


def test_every_chart_becomes_a_picture_and_equal_data_equal_ones(case: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    data = page_data(case.folder, **case.arguments)
    first, second = (write_pictures(data, tmp_path / name) for name in ("first", "second"))
    assert [path.stem for path in first] == [
        "costs", "distribution_daily", "distribution_trades", "drawdown", "equity", "exposure", "instruments", "mae",
        "mfe", "monthly", "price_1", "price_2", "rolling_sharpe",
    ]  # fmt: skip
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes().startswith(SIGNATURE)
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("given", [{"bars": 1}, {"bars": 100}])
def test_a_run_without_trades_has_pictures_too(run_folder: Callable[..., Any], tmp_path: Path, given: Any) -> None:
    pytest.importorskip("matplotlib")
    case = run_folder(**given)
    names = {path.stem for path in write_pictures(page_data(case.folder, **case.arguments), tmp_path / "png")}
    assert {"equity", "drawdown", "costs"} <= names
    assert "mae" not in names


def test_without_matplotlib_the_remedy_is_named(case: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = page_data(case.folder, **case.arguments)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name))
    with pytest.raises(UserMistake) as refused:
        write_pictures(data, tmp_path / "png")
    assert refused.value.error_code == "EXTRA_MISSING"
    assert "boxgate-engine[png]" in refused.value.remedy
    assert not (tmp_path / "png").exists()


def test_the_rolling_ratio_is_that_of_each_window(case: Any) -> None:
    data = page_data(case.folder, **case.arguments)
    import pyarrow.parquet as pq

    curve = pq.read_table(case.folder / "equity_curve.parquet")
    days: dict[int, float] = {}
    for time_ns, equity in zip(curve["time"].cast("int64").to_pylist(), curve["equity"].to_pylist(), strict=True):
        days[time_ns // 86_400_000_000_000] = equity
    marks = list(days.values())
    returns = [after / before - 1 for before, after in pairwise(marks)]
    found = data["rolling_sharpe"]
    assert found["window"] == 63
    assert len(found["value"]) == len(returns) - 62
    for at in (0, 20, len(found["value"]) - 1):
        window = np.array(returns[at : at + 63])
        assert found["value"][at] == pytest.approx(window.mean() / window.std(ddof=1) * np.sqrt(252), abs=1e-7)


def test_contributions_add_up_to_the_trades(case: Any) -> None:
    data = page_data(case.folder, **case.arguments)
    with (case.folder / "trades.csv").open(encoding="utf-8") as file:
        trades = list(csv.DictReader(file))
    for one in data["instruments"]:
        own = [row for row in trades if row["instrument"] == one["instrument"]]
        assert one["trades"] == len(own)
        for name in ("net_pnl", "fees", "gross_pnl", "slippage_cost"):
            assert one[name] == pytest.approx(sum(float(row[name]) for row in own))


def test_the_drawdown_table_lists_the_deepest_first(case: Any) -> None:
    data = page_data(case.folder, **case.arguments)
    depths = [one["depth"] for one in data["drawdowns"]["deepest"]]
    assert depths == sorted(depths, reverse=True)
    assert len(depths) == min(10, data["drawdowns"]["count"])
    assert depths[0] == case.metrics["risk"]["max_drawdown"]
