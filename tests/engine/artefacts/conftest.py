"""A small finished run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from boxgate_engine.artefacts import RunArtefacts, table_files
from boxgate_engine.digest import result_digest
from boxgate_engine.tables import Tables, build_table

_DAY = 86_400 * 10**9


def small_tables(*, equity_end: float = 1005.0, meta: bool = True) -> Tables:
    """One trade over three marks; the tables agree with one another."""
    signals: dict[str, Any] = {
        "seq": [0, 5],
        "time": [_DAY, 2 * _DAY],
        "instrument": ["EURUSD", "EURUSD"],
        "side": ["BUY", "FLAT"],
        "qty": [0.1, None],
        "price": [None, None],
        "sl": [1.05, None],
        "tp": [None, None],
        "valid_until_ns": [None, None],
        "adjust_only": [False, False],
        "outcome": ["EXECUTED", "EXECUTED"],
        "reject_reason": [None, None],
    }
    if meta:
        signals["meta"] = ['{"why":"secret"}', None]
    fills = {
        "seq": [1, 6],
        "time": [_DAY, 2 * _DAY],
        "instrument": ["EURUSD", "EURUSD"],
        "side": ["BUY", "SELL"],
        "qty": [0.1, 0.1],
        "price": [1.1, 1.15],
        "reference_price": [1.1, 1.15],
        "fee": [0.0, 0.0],
        "slippage": [0.0, 0.0],
        "liquidity": ["TAKER", "TAKER"],
        "reason": ["ENTRY", "SIGNAL"],
        "signal_seq": [0, None],
        "path_dependent": [False, True],
    }
    trades = {
        "trade_id": [1],
        "instrument": ["EURUSD"],
        "side": ["LONG"],
        "qty": [0.1],
        "entry_seq": [1],
        "entry_time_ns": [_DAY],
        "entry_price": [1.1],
        "exit_seq": [6],
        "exit_time_ns": [2 * _DAY],
        "exit_price": [1.15],
        "exit_reason": ["SIGNAL"],
        "gross_pnl": [5.0],
        "fees": [0.0],
        "funding": [-0.0],
        "swap": [0.0],
        "net_pnl": [5.0],
        "slippage_cost": [1e-7],
        "mae": [-1 / 3],
        "mfe": [123456789012.25],
        "bars_held": [5],
        "path_dependent": [True],
    }
    zeros = np.zeros(3)
    equity = {
        "time": np.array([_DAY, 2 * _DAY, 3 * _DAY]),
        "equity": np.array([1000.0, 1010.0, equity_end]),
        **dict.fromkeys(("cash", "unrealised_pnl", "margin_used", "exposure_gross", "exposure_net", "drawdown"), zeros),
    }
    return Tables(
        signals=build_table("signals", signals),
        fills=build_table("fills", fills),
        trades=build_table("trades", trades),
        equity=build_table("equity", equity),
    )


def small_run(
    *, tables: Tables | None = None, mode: str = "debug", ledger: pa.Table | None = None, **changes: Any
) -> RunArtefacts:
    """A run with an identity of the right shape."""
    tables = tables or small_tables()
    facts: dict[str, Any] = {
        "run_id": "r_" + "0123456789abcdef" * 2,
        "identity": {"mode": mode, "dataset": "ab" * 32, "strategy": {"digest": "sha256:" + "cd" * 32, "params": {}}},
        "resolved": {"strategy": {"command": ["python", "s.py"]}},
        "params": {"n": np.int64(3), "x": np.float64(0.1), "on": np.bool_(True)},
        "metrics": {"ratio": {"sharpe": float("nan"), "mar": -0.0}, "list": (1, 2)},
        "tables": table_files(tables, mode=mode, ledger=ledger),
        "result_digest": result_digest(tables),
        "log": b'{"event": "run_started"}\n',
        "environment": {"host": "here"},
    }
    return RunArtefacts(**{**facts, **changes})


@pytest.fixture
def make_run() -> Callable[..., RunArtefacts]:
    """Return the maker of small runs."""
    return small_run


@pytest.fixture
def make_tables() -> Callable[..., Tables]:
    """Return the maker of small tables."""
    return small_tables
