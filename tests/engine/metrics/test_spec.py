"""The specification names every metric."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from boxgate_engine.metrics import Counts, compute_metrics
from boxgate_engine.tables import SCHEMAS, Tables, build_table, empty_table

_SPEC = (Path(__file__).parents[3] / "docs/spec/metrics.md").read_text(encoding="utf-8")


def test_every_metric_has_its_formula() -> None:
    one = {name: np.ones(1) for name in SCHEMAS["equity"].names} | {"time": np.zeros(1, np.int64)}
    empty = {name: empty_table(name) for name in ("signals", "fills", "trades")}
    tables = Tables(equity=build_table("equity", one), **empty)
    found = compute_metrics(tables, currency="USD", initial_cash=1.0, all_weekend=False, counts=Counts())
    for group in ("return", "risk", "ratio", "trades", "exposure", "costs", "equity"):
        for name in found[group]:
            assert f"`{group}.{name}`" in _SPEC, f"{group}.{name}"
    for name in found["counts"]:
        assert f"`{name}`" in _SPEC, name
