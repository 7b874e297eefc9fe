"""The same parameter sets in one period and in another: train and test of a fold, a window and the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from boxgate_engine.report.matrix.facts import MatrixFacts
from boxgate_engine.report.matrix.index import MatrixIndex, metric_column
from boxgate_engine.report.numerals import instant

if TYPE_CHECKING:
    import polars as pl

BLOCK: Final = ("instrument", "frame", "cost_set")
"""What two runs have in common that are compared over time, besides their parameters."""
_RANKED_MIN: Final = 5
"""Pairs below which a rank correlation says nothing."""


@dataclass(frozen=True, kw_only=True)
class Periods:
    """How runs follow one another.

    of_folds: whether they are folds; else windows, of which each is followed by the next of its block. labels: of the
    periods, in order. pairs: columns earlier, later (rows of the runs), period; both runs have the same parameters and
    block.
    choices: for each block and period the run that the objective chooses in the earlier part, and the period in which
    the later part stands: the next window of the block, or the same fold.
    """

    of_folds: bool
    labels: tuple[str, ...]
    pairs: pl.DataFrame
    choices: tuple[dict[str, Any], ...]

    def data(self) -> dict[str, Any]:
        """Return them as JSON."""
        return {
            "of_folds": self.of_folds,
            "labels": list(self.labels),
            "pairs": {name: self.pairs[name].to_list() for name in ("earlier", "later", "period")},
            "choices": list(self.choices),
        }


def find_periods(index: MatrixIndex, facts: MatrixFacts) -> Periods:
    """Return the periods of a matrix, their pairs of runs and what would have been chosen.

    Of equal runs the one with the smaller id is chosen. rank of a choice: the share of the parameter sets that were
    not better in the later part; correlation: Spearman's, of the objective in both parts.
    """
    import polars as pl

    runs = index.runs.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64))
    roles = _roles(runs)
    of_folds = roles.height > 0
    if of_folds:
        earlier, later, labels = _of_folds(roles)
    else:
        earlier, later, labels = _of_windows(runs)
    objective = facts.objectives[0]
    column = metric_column(objective.metric)
    if column not in runs.columns:
        runs = runs.with_columns(pl.lit(None, pl.Float64).alias(column))
    keys = [*BLOCK, "params", "period"]
    known = runs.select("row", "run_id", "status", "params", *BLOCK, pl.col(column).alias("value"))
    one = earlier.join(known, on="row").select("row", "run_id", "status", "value", *keys)
    other = later.join(known, on="row").select(
        pl.col("row").alias("later"), pl.col("value").alias("later_value"), "judged", *keys
    )
    paired = one.join(other, on=keys, how="left").sort("period", "run_id")
    allowed = [name for name in facts.constraints if metric_column(name.metric) in runs.columns]
    keeps = runs.filter(
        pl.lit(len(allowed) == len(facts.constraints)),
        pl.col("status") == "complete",
        pl.col(column).is_not_null(),
        *[
            pl.col(metric_column(rule.metric)).is_between(
                -float("inf") if rule.low is None else rule.low, float("inf") if rule.high is None else rule.high
            )
            for rule in allowed
        ],
    ).select("row")
    chosen = (
        paired.join(keeps, on="row", how="semi")
        .sort("value", "run_id", descending=[objective.is_better_large, False])
        .group_by(*BLOCK, "period", maintain_order=True)
        .first()
        .sort("period", *BLOCK)
    )
    groups = dict(iter(paired.group_by(*BLOCK, "period", maintain_order=True)))
    choices = tuple(
        _choice(entry, groups[*(entry[name] for name in BLOCK), entry["period"]], large=objective.is_better_large)
        for entry in chosen.iter_rows(named=True)
    )
    whole = paired.drop_nulls("later").select(pl.col("row").alias("earlier"), "later", "period")
    return Periods(of_folds=of_folds, labels=labels, pairs=whole, choices=choices)


def _roles(runs: pl.DataFrame) -> pl.DataFrame:
    """Return row, window, fold and segment of each part that a run has in a fold; a run may have several."""
    import polars as pl

    parts = [runs.filter(pl.col("fold").is_not_null()).select("row", "window", "fold", "segment")]
    if "also_folds" in runs.columns:
        others = runs.filter(pl.col("also_folds").is_not_null()).select(
            "row", "window", pl.col("also_folds").str.split(",").alias("also")
        )
        split = others.explode("also").with_columns(pl.col("also").str.split_exact(":", 1).alias("part")).unnest("part")
        found = split.select(
            "row", "window", pl.col("field_1").cast(pl.Int32, strict=False).alias("fold"), segment=pl.col("field_0")
        )
        parts.append(found.drop_nulls())
    return pl.concat([part.with_columns(pl.col("fold").cast(pl.Int32)) for part in parts])


def _of_folds(roles: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    import polars as pl

    folds = roles.select("window", "fold").unique().sort("window", "fold").with_row_index("period")
    several = folds["window"].n_unique() > 1
    labels = tuple(
        f"window {window + 1}, fold {fold}" if several else f"fold {fold}"
        for window, fold in folds.select("window", "fold").iter_rows()
    )
    placed = roles.join(folds, on=["window", "fold"]).with_columns(pl.col("period").cast(pl.Int64))
    parts = [placed.filter(pl.col("segment") == name).select("row", "period") for name in ("train", "test")]
    return parts[0], parts[1].with_columns(pl.col("period").alias("judged")), labels


def _of_windows(runs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    import polars as pl

    edges = ["window_start_ns", "window_end_ns"]
    windows = (
        runs.select(edges).unique().sort(edges).with_row_index("period").with_columns(pl.col("period").cast(pl.Int64))
    )
    labels = tuple(f"{instant(start)} – {instant(end)}" for start, end in windows.select(edges).iter_rows())
    placed = runs.join(windows, on=edges).select("row", "period", *BLOCK)
    # The window before is that of the same block: others may have windows in between, or none in common.
    befores = placed.select(*BLOCK, "period").unique().sort(*BLOCK, "period")
    befores = befores.with_columns(pl.col("period").shift(1).over(*BLOCK).alias("before"))
    later = placed.join(befores, on=[*BLOCK, "period"]).drop_nulls("before")
    later = later.select("row", pl.col("before").alias("period"), pl.col("period").alias("judged"))
    return placed.select("row", "period"), later, labels


def _choice(entry: dict[str, Any], group: pl.DataFrame, *, large: bool) -> dict[str, Any]:
    both = group.drop_nulls(["value", "later_value"])
    value = entry["later_value"]
    later = group["later_value"].drop_nulls()
    rank = None
    if value is not None and len(later) > 1:
        not_better = (later <= value) if large else (later >= value)
        rank = float(not_better.sum() - 1) / (len(later) - 1)
    return {
        "row": entry["row"],
        "later": entry["later"],
        "period": entry["period"],
        "judged": entry["judged"],
        "instrument": entry["instrument"],
        "frame": entry["frame"],
        "cost_set": entry["cost_set"],
        "value": entry["value"],
        "later_value": value,
        "rank": rank,
        "correlation": rank_correlation(both["value"].to_list(), both["later_value"].to_list()),
    }


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Spearman's correlation, equal values sharing their mean rank; None where it says nothing."""
    import polars as pl

    if len(one) < _RANKED_MIN:
        return None
    ranks = pl.DataFrame({"one": one, "other": other}).select(pl.all().rank("average"))
    found = ranks.select(pl.corr("one", "other")).item()
    return None if found is None or found != found else float(found)  # noqa: PLR0124 (NaN for equal ranks)
