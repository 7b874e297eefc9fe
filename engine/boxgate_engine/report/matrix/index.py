"""The index of a matrix as the page reads it: what it counts, its digest, and the runs that the page holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from boxgate_engine.errors import UserMistake
from boxgate_engine.report.matrix.facts import Objective

if TYPE_CHECKING:
    import polars as pl

LISTED_MAX: Final = 30_000
"""Runs of one page; of a larger matrix it holds a part."""
_BEST_SETS: Final = 100
"""Parameter sets that are in the page of any matrix, because they are the best."""
_NEEDED: Final = (
    "run_id", "status", "error_code", "attempts", "instrument", "frame", "window_start_ns", "window_end_ns", "fold",
    "segment", "params", "cost_set", "result_digest",
)  # fmt: skip
_UNUSED: Final = ("strategy_digest", "dataset", "seed", "result_digest")
_GROUPS: Final = frozenset({"return", "risk", "ratio", "trades", "exposure", "costs", "equity", "counts"})


@dataclass(frozen=True, kw_only=True)
class MatrixIndex:
    """What the index holds.

    runs: one row for each run that the page holds, by run id, with the columns of the index and `window`, the number
    of the window (0 where the index does not tell it). complete, failed, pending: of all runs. digest: of the matrix.
    """

    runs: pl.DataFrame
    complete: int
    failed: int
    pending: int
    digest: str

    @property
    def planned(self) -> int:
        """All runs of the matrix."""
        return self.complete + self.failed + self.pending

    @property
    def metrics(self) -> dict[str, str]:
        """Path of each metric → its column."""
        return {metric_path(name): name for name in self.runs.columns if name.startswith("m_")}

    @property
    def params(self) -> list[str]:
        """Names of the parameters, in the order of the index."""
        return [name.removeprefix("p_") for name in self.runs.columns if name.startswith("p_")]


def read_index(folder: Path, objective: Objective) -> MatrixIndex:
    """Return what the index in a folder holds; of more than LISTED_MAX runs a part.

    The part has whole parameter sets, so that folds, windows and costs stay complete: the best by the objective, and of
    the others those whose SHA-256 is the smallest, which says nothing about them.
    Raises UserMistake (INDEX_MISSING, INDEX_UNREADABLE).
    """
    import polars as pl

    if not any(folder.glob("part-*.parquet")):
        raise UserMistake(
            "the matrix has no index yet",
            code="INDEX_MISSING",
            where=str(folder),
            expected="part-*.parquet",
            remedy="boxgate matrix run or resume writes it when it ends",
        )
    try:
        lazy = pl.scan_parquet(folder / "part-*.parquet")
        names = lazy.collect_schema().names()
        missing = [name for name in _NEEDED if name not in names]
        if missing:
            raise ValueError(f"columns are missing: {', '.join(missing)}")
        states = dict(lazy.group_by("status").len().collect().iter_rows())
        digests = lazy.filter(pl.col("status") == "complete").select("run_id", "result_digest").sort("run_id").collect()
        wanted = _listed(lazy, sum(states.values()), objective)
        listed = lazy if wanted is None else lazy.filter(pl.col("params").is_in(wanted))
        runs = listed.drop(_UNUSED, strict=False).sort("run_id").collect()
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise UserMistake(
            f"the index cannot be read: {str(error).splitlines()[0]}",
            code="INDEX_UNREADABLE",
            where=str(folder),
            expected="the index of a matrix",
            remedy="boxgate matrix resume writes it anew from the ledger",
        ) from error
    if "window" not in names:
        runs = runs.with_columns(window=pl.lit(0, pl.Int32))
    return MatrixIndex(
        runs=runs,
        complete=states.get("complete", 0),
        failed=states.get("failed", 0),
        pending=states.get("pending", 0),
        digest=_digest(digests),
    )


def metric_path(column: str) -> str:
    """Return the path in metrics.json of a column such as `m_ratio_sharpe`."""
    group, _, name = column.removeprefix("m_").partition("_")
    return f"{group}.{name}" if group in _GROUPS else column.removeprefix("m_")


def metric_column(path: str) -> str:
    """Return the column of a metric."""
    return f"m_{path.replace('.', '_', 1)}"


def _digest(complete: pl.DataFrame) -> str:
    state = hashlib.sha256()
    for run_id, digest in complete.iter_rows():
        state.update(f"{run_id} {digest}\n".encode())
    return f"sha256:{state.hexdigest()}"


def _listed(lazy: pl.LazyFrame, total: int, objective: Objective) -> list[str] | None:
    """Return the parameter sets whose runs the page holds, None for all."""
    import polars as pl

    if total <= LISTED_MAX:
        return None
    by_hash = lazy.select(pl.col("params").unique()).collect()["params"].to_list()
    by_hash.sort(key=lambda text: hashlib.sha256(text.encode()).digest())
    column = metric_column(objective.metric)
    best: list[str] = []
    if column in lazy.collect_schema().names():
        of_sets = lazy.group_by("params").agg(
            pl.col(column).max() if objective.is_better_large else pl.col(column).min()
        )
        ranked = of_sets.drop_nulls().sort([column, "params"], descending=[objective.is_better_large, False])
        best = ranked.head(_BEST_SETS).select("params").collect()["params"].to_list()
    return list(dict.fromkeys([*best, *by_hash]))[: max(1, len(by_hash) * LISTED_MAX // total)]
