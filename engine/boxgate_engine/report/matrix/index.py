"""The index of a matrix as the page reads it: what it counts, its digest, and the runs that the page holds."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from boxgate_engine.errors import UserMistake
from boxgate_engine.report.matrix.facts import Objective

if TYPE_CHECKING:
    import polars as pl

LISTED_MAX: Final = 20_000
"""Runs of one page; of a larger matrix it holds a part."""
_BEST_SETS: Final = 100
"""Parameter sets that are in the page of any matrix, because they are the best."""
_BATCH_ROWS: Final = 10_000
"""Rows of the index that are looked at together."""
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
        parts = sorted(folder.glob("part-*.parquet"))
        states, digest = _counted(parts)
        listed = lazy
        if sum(states.values()) > LISTED_MAX:
            column = metric_column(objective.metric)
            wanted = _listed(parts, column if column in names else None, objective.is_better_large)
            listed = lazy.filter(pl.col("params").is_in(wanted))
        runs = listed.drop(_UNUSED, strict=False).sort("run_id").collect(engine="streaming")
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
        digest=digest,
    )


def metric_path(column: str) -> str:
    """Return the path in metrics.json of a column such as `m_ratio_sharpe`."""
    group, _, name = column.removeprefix("m_").partition("_")
    return f"{group}.{name}" if group in _GROUPS else column.removeprefix("m_")


def metric_column(path: str) -> str:
    """Return the column of a metric."""
    return f"m_{path.replace('.', '_', 1)}"


def _counted(parts: Sequence[Path]) -> tuple[Counter[str], str]:
    """Return how many runs have which status, and the digest of the matrix."""
    states: Counter[str] = Counter()
    state = hashlib.sha256()
    before = ""
    for rows in _batches(parts, ["run_id", "status", "result_digest"]):
        states.update(rows["status"])
        for run_id, status, digest in zip(rows["run_id"], rows["status"], rows["result_digest"], strict=True):
            if run_id <= before:
                raise ValueError(f"the rows are not in the order of run_id at {run_id}")
            before = run_id
            if status == "complete":
                state.update(f"{run_id} {digest}\n".encode())
    return states, f"sha256:{state.hexdigest()}"


def _listed(parts: Sequence[Path], column: str | None, is_better_large: bool) -> list[str]:
    """Return the parameter sets whose runs the page holds. column: of the objective, None where the index has none.

    Holds a few texts and one number for each run, however many sets there are.
    """
    best: dict[str, float] = {}
    smallest: dict[bytes, str] = {}
    marks: list[npt.NDArray[np.uint64]] = []
    total = 0
    for rows in _batches(parts, ["params", *([column] if column else [])]):
        total += len(rows["params"])
        digests = {hashlib.sha256(text.encode()).digest(): text for text in dict.fromkeys(rows["params"])}
        marks.append(np.array([int.from_bytes(digest[:8]) for digest in digests], np.uint64))
        smallest |= digests
        if len(smallest) > 2 * LISTED_MAX:
            smallest = {digest: smallest[digest] for digest in heapq.nsmallest(LISTED_MAX, smallest)}
        for text, value in zip(rows["params"], rows[column] if column else (), strict=bool(column)):
            if value is not None:
                worth = value if is_better_large else -value
                best[text] = max(worth, best.get(text, worth))
        best = dict(heapq.nsmallest(_BEST_SETS, best.items(), key=lambda entry: (-entry[1], entry[0])))
    sets = len(np.unique(np.concatenate(marks)))
    by_hash = [smallest[digest] for digest in sorted(smallest)]
    return list(dict.fromkeys([*best, *by_hash]))[: max(1, sets * LISTED_MAX // total)]


def _batches(parts: Sequence[Path], columns: list[str]) -> Iterator[dict[str, list[Any]]]:
    """Yield some columns of the index, some rows at a time."""
    import pyarrow.parquet as pq

    for part in parts:
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                yield batch.to_pydict()
