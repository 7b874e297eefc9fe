"""The equity of the tests, one after another, as one account would have had it that always trades the choice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from boxgate_engine.artefacts.curve import CURVE_FILE
from boxgate_engine.metrics.arrays import Float64Array, Int64Array, finite, floats, integers
from boxgate_engine.metrics.drawdowns import drawdown_figures
from boxgate_engine.metrics.returns import daily_marks, growth_figures
from boxgate_server.matrix.keeping.run_store import RunStore

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = ("cagr", "volatility", "sharpe", "sortino", "probabilistic_sharpe")


@dataclass(frozen=True, kw_only=True)
class FoldCurve:
    """The marks of one test. times_ns, equity: shape (n,), n >= 1, oldest first, the first row the start."""

    fold: int
    run_id: str
    times_ns: Int64Array
    equity: Float64Array


def read_curve(runs: RunStore, run_id: str, fold: int) -> FoldCurve | None:
    """Return the stored curve of a test, None if it is gone or cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(runs.read(run_id, CURVE_FILE)))
        # Without threads: one of Arrow's that still holds bytes of Python when the process ends, aborts it.
        table = file.read(["time", "equity"], use_threads=False)
    except (OSError, pa.ArrowException):
        return None
    if table.num_rows == 0:
        return None
    return FoldCurve(fold=fold, run_id=run_id, times_ns=integers(table["time"]), equity=floats(table["equity"]))


def stitch(curves: Sequence[FoldCurve], cash: float) -> list[FoldCurve]:
    """Return the curves by their start, each begun with what the one before has left; cash: what the first has.

    Each grows as it did alone. Marks that are not after the last one before are left out, and what was made until then:
    where tests touch, the start of the next is the end of the one before. Nothing grows from 0 or below.
    """
    level, last_ns = cash, None
    stitched = []
    for one in sorted(curves, key=lambda curve: (int(curve.times_ns[0]), curve.fold)):
        # The marks up to the last one before; what the test made until then was made by another.
        passed = 0 if last_ns is None else int(np.searchsorted(one.times_ns, last_ns, side="right"))
        base = float(one.equity[max(passed - 1, 0)])
        times_ns, equity = one.times_ns[passed:], one.equity[passed:] * (level / base if base > 0.0 else 0.0)
        if len(times_ns) == 0:
            continue
        stitched.append(FoldCurve(fold=one.fold, run_id=one.run_id, times_ns=times_ns, equity=equity))
        level, last_ns = max(float(equity[-1]), 0.0), int(times_ns[-1])
    return stitched


def figures(stitched: Sequence[FoldCurve], cash: float, periods: int) -> dict[str, Any]:
    """Return what the stitched equity made, as JSON; names as in metrics.json. periods: of a year."""
    if not stitched:
        return {}
    times_ns = np.concatenate([one.times_ns for one in stitched])
    equity = np.concatenate([one.equity for one in stitched])
    daily = daily_marks(times_ns, equity)
    growth = growth_figures(daily.returns, periods)
    falls, _ = drawdown_figures(times_ns, equity, daily.marks)
    return {
        "final_equity": finite(float(equity[-1])),
        "total": finite(float(equity[-1]) / cash - 1.0),
        **{name: growth[name] for name in _SHOWN},
        **{name: falls[name] for name in ("max_drawdown", "max_drawdown_daily")},
    }


def equity_table(stitched: Sequence[FoldCurve], block: int) -> pa.Table:
    """Return the stitched equity of a block. Columns: block, fold, run_id, time, equity, drawdown in [0, 1]."""
    import pyarrow as pa

    lengths = [len(one.times_ns) for one in stitched]
    equity = np.concatenate([one.equity for one in stitched])
    peak = np.maximum.accumulate(equity)
    return pa.table(
        {
            "block": pa.array(np.full(len(equity), block), pa.int32()),
            "fold": pa.array(np.repeat([one.fold for one in stitched], lengths), pa.int32()),
            "run_id": pa.array(_repeated([one.run_id for one in stitched], lengths), pa.string()),
            "time": pa.array(np.concatenate([one.times_ns for one in stitched])).cast(pa.timestamp("ns", "UTC")),
            "equity": pa.array(equity, pa.float64()),
            "drawdown": pa.array(np.clip(1.0 - equity / peak, 0.0, 1.0), pa.float64()),
        }
    )


def _repeated(values: Sequence[str], lengths: Sequence[int]) -> Iterator[str]:
    return (value for value, length in zip(values, lengths, strict=True) for _ in range(length))
