"""walk_forward.json and oos_equity.parquet: what the folds chose, what came of it, and the equity of the tests."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from boxgate_engine.timestamps import format_utc
from boxgate_server.matrix.choice import Chosen
from boxgate_server.matrix.config.model import SearchConfig
from boxgate_server.matrix.keeping.folder import MatrixFolder, store_failed, write_json
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.setting import Setting
from boxgate_server.matrix.trials.deflation import Deflation
from boxgate_server.matrix.walk_forward.choices import best_block, choices
from boxgate_server.matrix.walk_forward.equity import FoldCurve, equity_table, figures, read_curve, stitch
from boxgate_server.matrix.walk_forward.stability import stability

if TYPE_CHECKING:
    import pyarrow.parquet as pq

WALK_FORWARD: Final = "walk_forward.json"
OOS_EQUITY: Final = "oos_equity.parquet"
_PERIODS: Final = 252


def write_walk_forward(
    folder: MatrixFolder, ledger: Ledger, plan: Plan, search: SearchConfig, deflation: Deflation
) -> None:
    """Write both files beside the index. deflation: of the choice of the last fold of the best block.

    A test whose folder is gone has no part in the equity. Raises StoreFailed for what the disk refuses.
    """
    by_block = choices(plan, ledger, search)
    objective = search.objectives[0]
    blocks = []
    equity = _EquityFile(folder.path / OOS_EQUITY)
    try:
        for number, block in enumerate(plan.blocks):
            chosen = by_block.get(number, [])
            blocks.append(_block(folder, ledger, number, block, chosen, objective.is_better_large, equity))
        equity.close()
    except OSError as error:
        raise store_failed(error, equity.path) from error
    finally:
        equity.forget()
    content = {
        "schema": "boxgate.matrix-walk-forward/1",
        "matrix_id": folder.matrix_id,
        "objective": objective.model_dump(mode="json", exclude_none=True),
        "best_block": best_block(by_block, search),
        "blocks": blocks,
        "deflation": asdict(deflation),
    }
    write_json(folder.path / WALK_FORWARD, content)


def _block(
    folder: MatrixFolder,
    ledger: Ledger,
    number: int,
    block: Sequence[Setting],
    chosen: Sequence[Chosen],
    is_better_large: bool,
    equity: _EquityFile,
) -> dict[str, Any]:
    """Return one portfolio with its costs as JSON, and write its equity."""
    windows = {(role.fold, role.segment): one for one in block for role in one.roles}
    of_file = {role.fold: role.window for one in block for role in one.roles}
    cash = block[0].config.account.cash
    curves = [read_curve(folder.run_store, one.test, one.fold) for one in chosen if one.test and one.fold is not None]
    stitched = stitch([one for one in curves if one is not None], cash)
    if stitched:
        equity.write(equity_table(stitched, number))
    changed = [None, *(before.params != after.params for before, after in pairwise(chosen))]
    return {
        "number": number,
        "instruments": list(block[0].instruments),
        "frames": list(block[0].config.frames),
        "cost_set": block[0].cost_set,
        "folds_planned": len({fold for fold in of_file if fold is not None}),
        "folds": [
            {
                "fold": one.fold,
                "window": of_file[one.fold],
                "params": one.params,
                "changed": change,
                "train": _side(windows[one.fold, "train"], one.run_id, one.value),
                "test": _side(windows[one.fold, "test"], one.test, one.test_value),
                "efficiency": _efficiency([one], is_better_large),
            }
            for one, change in zip(chosen, changed, strict=False)
        ],
        "efficiency": _efficiency(chosen, is_better_large),
        "stability": stability(chosen),
        "out_of_sample": {
            "folds": [one.fold for one in stitched],
            "first_equity": cash,
            **figures(stitched, cash, _periods(ledger, stitched)),
        },
    }


def _side(setting: Setting, run_id: str | None, value: float | None) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "start": format_utc(setting.start_ns),
        "end": format_utc(setting.end_ns),
        "value": value,
    }


def _efficiency(folds: Sequence[Chosen], is_better_large: bool) -> float | None:
    """Return the mean objective of the tests over that of their train windows: what was kept of it.

    None for an objective that shall be small, and where the train windows made nothing.
    """
    pairs = [(one.value, one.test_value) for one in folds if one.test_value is not None]
    train, test = math.fsum(one for one, _ in pairs), math.fsum(one for _, one in pairs)
    return test / train if is_better_large and train > 0.0 else None


def _periods(ledger: Ledger, stitched: Sequence[FoldCurve]) -> int:
    entry = ledger.find(stitched[0].run_id) if stitched else None
    metrics = {} if entry is None else entry.metrics or {}
    return int(metrics.get("periods_per_year") or _PERIODS)


class _EquityFile:
    """The equity of all blocks, a row group or more for each; it replaces the old file when it is closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._aside = path.with_name(f".{path.name}.{os.getpid()}")
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: Any) -> None:
        import pyarrow.parquet as pq

        if self._writer is None:
            self._writer = pq.ParquetWriter(self._aside, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> None:
        """Put it into its place; without a row there is no file."""
        if self._writer is None:
            self.path.unlink(missing_ok=True)
            return
        self._writer.close()
        with self._aside.open("rb") as written:
            os.fsync(written.fileno())
        self._aside.replace(self.path)

    def forget(self) -> None:
        """Remove what did not come into its place."""
        self._aside.unlink(missing_ok=True)
