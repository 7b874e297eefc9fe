"""Indexes of matrices that were never computed: seeded numbers in the shape that real ones have."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from boxgate_engine.report.matrix import Constraint, MatrixFacts, Objective, Reason

DAY_NS = 86_400_000_000_000
START_NS = 1_704_067_200_000_000_000  # 2024-01-01
MATRIX_ID = "m_" + "5" * 32
METRICS = (
    "ratio_sharpe", "return_total", "risk_max_drawdown", "trades_count", "return_net_profit", "risk_volatility",
    "trades_win_rate", "trades_profit_factor", "trades_holding_mean_ns", "costs_fees", "ratio_sortino", "return_cagr",
    "ratio_mar", "trades_expectancy", "exposure_time_fraction", "counts_rejected", "equity_final", "risk_skew",
)  # fmt: skip


@dataclass(frozen=True)
class Index:
    """A written index and what the matrix file says. rows: its content as written."""

    folder: Path
    facts: MatrixFacts
    rows: list[dict[str, Any]]


def write_index(
    folder: Path,
    *,
    params: dict[str, list[Any]] | None = None,
    instruments: tuple[str, ...] = ("EURUSD",),
    windows: int = 1,
    folds: int = 0,
    cost_sets: tuple[str, ...] = ("fees 0.2 bps",),
    failed: float = 0.0,
    pending: float = 0.0,
    parts: int = 1,
    pinned_only: bool = False,
    **facts: Any,
) -> Index:
    """Write the index of every combination. failed, pending: share of the runs. pinned_only: no column of our own."""
    random = np.random.default_rng(20)
    given = {"fast": [10, 20, 30, 40, 50], "slow": [50, 100]} if params is None else params
    rows = []
    reasons = {}
    for instrument, cost_set, window, part in product(
        instruments, range(len(cost_sets)), range(windows), _parts(folds)
    ):
        for values in product(*given.values()):
            chosen = dict(zip(given, values, strict=True))
            row = _row(chosen, instrument, cost_set, window, part, random)
            draw = random.random()
            if draw < failed:
                code = "SIGNAL_RANGE" if draw < failed / 2 else "LIMIT_RUNTIME"
                row |= {"status": "failed", "error_code": code, "attempts": 3, "result_digest": None}
                row |= {f"m_{name}": None for name in METRICS}
                what = "the quantity is <b>not</b> a number" if code == "SIGNAL_RANGE" else "the run took too long"
                reasons[row["run_id"]] = Reason(
                    code=code, what=what, where="strategy", expected="a number", remedy="mend it"
                )
            elif draw < failed + pending:
                row |= {"status": "pending", "attempts": 0, "result_digest": None}
                row |= {f"m_{name}": None for name in METRICS}
            rows.append(row)
    rows.sort(key=lambda row: str(row["run_id"]))
    schema = _schema(given)
    if pinned_only:
        schema = pa.schema([field for field in schema if field.name not in {"window", "also_folds"}])
    folder.mkdir(parents=True)
    size = -(-len(rows) // parts)
    for number in range(parts):
        table = pa.Table.from_pylist(rows[number * size : (number + 1) * size], schema=schema)
        pq.write_table(table, folder / f"part-{number:05d}.parquet")
    described: dict[str, Any] = {
        "matrix_id": MATRIX_ID,
        "name": "sma_cross",
        "currency": "USD",
        "search": "grid",
        "objectives": (Objective(metric="ratio.sharpe"),),
        "constraints": (Constraint(metric="trades.count", low=10.0),),
        "walk_forward": "train 60d, test 20d, rolling" if folds else None,
        "cost_sets": cost_sets,
        "reasons": reasons,
    }
    return Index(folder, MatrixFacts(**{**described, **facts}), rows)


def _parts(folds: int) -> list[tuple[int | None, str, int, int]]:
    """Return (fold, segment, first day, last day) of each part of a window."""
    if not folds:
        return [(None, "full", 0, 60)]
    return [
        part
        for k in range(folds)
        for part in ((k, "train", 20 * k, 20 * k + 60), (k, "test", 20 * k + 60, 20 * k + 80))
    ]


def _row(
    params: dict[str, Any],
    instrument: str,
    cost_set: int,
    window: int,
    part: tuple[int | None, str, int, int],
    random: Any,
) -> dict[str, Any]:
    fold, segment, first, last = part
    text = json.dumps(params, sort_keys=True, separators=(",", ":"))
    name = f"{text} {instrument} {cost_set} {window} {fold} {segment}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    numbers = [value for value in params.values() if isinstance(value, (int, float))]
    # A hill over the parameters, lower with costs, and luck, of which a train window has more.
    hill = -sum((value / (1 + abs(value)) - 0.95) ** 2 for value in numbers) * 40
    sharpe = 1.2 + hill - 0.6 * cost_set + random.normal(0, 0.7) + (0.5 if segment == "train" else 0.0)
    total = sharpe * 0.03 + random.normal(0, 0.01)
    drawdown = abs(random.normal(0.05, 0.02)) + 0.005
    found = {
        "ratio_sharpe": sharpe, "return_total": total, "risk_max_drawdown": drawdown,
        "trades_count": float(random.integers(5, 400)), "return_net_profit": total * 1e5,
        "risk_volatility": drawdown * 1.7, "trades_win_rate": 0.4 + 0.02 * sharpe,
        "trades_profit_factor": 1 + 0.2 * sharpe,
        "trades_holding_mean_ns": float(random.integers(1, 500)) * 6e10, "costs_fees": 100.0 * (cost_set + 1),
        "ratio_sortino": sharpe * 1.4, "return_cagr": total * 5, "ratio_mar": total * 5 / drawdown,
        "trades_expectancy": total * 300, "exposure_time_fraction": float(random.random()), "counts_rejected": 0.0,
        "equity_final": 1e5 + total * 1e5, "risk_skew": float(random.normal()),
    }  # fmt: skip
    offset = START_NS + window * 200 * DAY_NS
    return {
        "run_id": f"r_{digest[:32]}",
        "status": "complete",
        "error_code": None,
        "attempts": 1,
        "instrument": instrument,
        "frame": "M1",
        "window": window,
        "window_start_ns": offset + first * DAY_NS,
        "window_end_ns": offset + last * DAY_NS,
        "fold": fold,
        "segment": segment,
        "also_folds": None,
        "strategy_digest": "sha256:" + "a" * 64,
        "dataset": "d" * 64,
        "params": text,
        **{f"p_{key}": value for key, value in params.items()},
        "cost_set": cost_set,
        "seed": int(digest[:12], 16),
        "result_digest": f"sha256:{digest}",
        **{f"m_{key}": value for key, value in found.items()},
    }


def _schema(params: dict[str, list[Any]]) -> pa.Schema:
    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), list: pa.list_(pa.string())}
    return pa.schema(
        [
            ("run_id", pa.string()), ("status", pa.string()), ("error_code", pa.string()), ("attempts", pa.int32()),
            ("instrument", pa.string()), ("frame", pa.string()), ("window", pa.int32()),
            ("window_start_ns", pa.int64()), ("window_end_ns", pa.int64()), ("fold", pa.int32()),
            ("segment", pa.string()), ("also_folds", pa.string()), ("strategy_digest", pa.string()),
            ("dataset", pa.string()), ("params", pa.string()),
            *((f"p_{name}", types[type(next(iter(values), 0))]) for name, values in params.items()),
            ("cost_set", pa.int32()), ("seed", pa.uint64()), ("result_digest", pa.string()),
            *((f"m_{name}", pa.float64()) for name in METRICS),
        ]
    )  # fmt: skip


TWENTY: dict[str, Any] = {"windows": 2, "failed": 0.1}
THOUSANDS: dict[str, Any] = {
    "params": {
        "fast": list(range(10, 110, 10)), "slow": list(range(50, 550, 50)), "width": [1.0, 1.5, 2.0, 2.5, 3.0],
        "form": ["vector"],
    },
    "instruments": ("EURUSD", "XAUUSD"),
    "folds": 5,
    "cost_sets": ("fees 0.2 bps", "fees 0.4 bps"),
    "failed": 0.01,
    "pending": 0.002,
}  # fmt: skip
"""20,000 runs: 500 parameter sets on two instruments, five folds of two parts, two sets of costs."""
