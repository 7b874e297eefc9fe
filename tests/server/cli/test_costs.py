"""Tariffs and models of slippage reach the fills of a run and the assumptions of its page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

SETS = (
    "costs.fees_bps=0.0",
    "costs.slippage_bps=0.0",
    "costs.fees={taker_bps: 0.1, per_lot: 7.0, per_fill: 0.25, minimum: 1.5}",
    "costs.slippage={model: ticks, value: 2.0}",
    "costs.instruments={EURUSD: {spread: {ticks: 3}}}",
)


def test_a_tariff_is_charged_as_its_formula_says(boxgate: Callable[..., Any], workspace: Path) -> None:
    answered = boxgate("run", "run.yaml", "--json", *[part for one in SETS for part in ("--set", one)])
    folder = Path(answered.json["artifacts"])
    fills = pq.read_table(folder / "fills.parquet").to_pylist()
    assert len(fills) > 10
    for fill in fills:
        share = fill["qty"] * fill["price"] * 0.1 / 10_000
        assert abs(fill["fee"] - max(1.5, share + 7.0 * fill["qty"] / 100_000 + 0.25)) < 1e-9
        assert round(abs(fill["price"] - fill["reference_price"]), 9) == 0.00002
    page = (folder / "report.html").read_text()
    assert "0 bps maker, 0.1 bps taker, 7 for each 100,000 units, 0.25 a fill, at least 1.5" in page
    assert "Costs of EURUSD" in page
    assert boxgate("rerun", answered.json["run_id"], "--json").code == 0


def test_costs_that_this_run_cannot_have_are_refused(boxgate: Callable[..., Any]) -> None:
    def refused(option: str) -> list[str]:
        answered = boxgate("run", "run.yaml", "--json", "--set", "costs.slippage_bps=0.0", "--set", option)
        return [problem["path"] for problem in answered.error["problems"]]

    assert refused("costs.instruments={XAUUSD: {fees_bps: 1.0}}") == ["costs.instruments.XAUUSD"]
