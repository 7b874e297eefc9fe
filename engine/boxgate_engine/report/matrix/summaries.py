"""What the charts show before a reader chooses anything else: also the content of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from boxgate_engine.report.extremes import Floats, Integers
from boxgate_engine.report.matrix.axes import Axis
from boxgate_engine.report.matrix.facts import Objective
from boxgate_engine.report.matrix.measures import Measure, of_path, shortened
from boxgate_engine.report.matrix.periods import Periods

Flags = npt.NDArray[np.bool_]

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS: Final = 40
_PARALLEL_MAX: Final = 3
"""Metrics of the parallel coordinates."""
_RISK: Final = ("risk.max_drawdown", "risk.volatility", "return.total", "ratio.sharpe")


def summarise(
    axes: Sequence[Axis], measures: Sequence[Measure], periods: Periods, objectives: Sequence[Objective]
) -> dict[str, Any]:
    """Return the figures of each chart by section; where one has nothing to show, `none` is the sentence why."""
    judged = judged_runs(axes)
    return {
        "heatmap": _heatmap(axes, measures, judged),
        "parallel": _parallel(axes, measures),
        "pareto": _pareto(measures, judged, objectives),
        "stability": _stability(axes, measures, periods, judged),
        "oos": _oos(measures, periods),
        "costs": _costs(axes, measures, judged),
    }


def judged_runs(axes: Sequence[Axis]) -> Flags:
    """Return which runs count where nothing is chosen: those on test windows and whole windows. Shape (runs,)."""
    segment = next(axis for axis in axes if axis.name == "segment")
    train = segment.values.index("train") if "train" in segment.values else -2
    judged: Flags = segment.codes != train
    return judged


def spread(values: Floats) -> dict[str, Any]:
    """Return count, quantiles and share above zero of values, NaN left out."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {"count": 0, "quantiles": None, "above_zero": None, "mean": None}
    return {
        "count": len(known),
        "quantiles": [shortened(float(value)) for value in np.quantile(known, QUANTILES)],
        "above_zero": shortened(float((known > 0).mean())),
        "mean": shortened(float(np.sum(known) / len(known))),
    }


def front(x: Floats, y: Floats, *, x_large: bool, y_large: bool) -> Integers:
    """Return the runs that no other run beats in one of two metrics without losing in the other, by x from best.

    x, y: shape (n,), NaN for undefined. Of runs that are equal in both, the first counts.
    """
    rows = np.flatnonzero(~(np.isnan(x) | np.isnan(y)))
    costs = (-x if x_large else x)[rows], (-y if y_large else y)[rows]
    order = np.lexsort((rows, costs[1], costs[0]))
    sought = costs[1][order]
    before = np.concatenate([[np.inf], np.minimum.accumulate(sought)[:-1]]) if len(sought) else sought
    return rows[order[sought < before]].astype(np.int64)


def _heatmap(axes: Sequence[Axis], measures: Sequence[Measure], judged: Flags) -> dict[str, Any]:
    varying = [axis for axis in axes if axis.is_axis and axis.varies]
    if not measures:
        return {"none": "No run has a result."}
    if len(varying) < 2:
        what = f"Only {varying[0].title} varies" if varying else "Nothing varies"
        return {"none": f"{what} in this matrix; a map needs two things that do."}
    x, y, measure = varying[0], varying[1], measures[0]
    rows, columns = y.levels_of_runs(), x.levels_of_runs()
    cells: list[list[int | float | None]] = []
    counts: list[list[int]] = []
    known = judged & ~np.isnan(measure.values) & (rows >= 0) & (columns >= 0)
    place = np.where(known, rows * len(x.levels) + columns, -1)
    order = np.argsort(place, kind="stable")
    begins = np.searchsorted(place[order], np.arange(len(x.levels) * len(y.levels) + 1))
    for row in range(len(y.levels)):
        groups = [
            measure.values[order[begins[at] : begins[at + 1]]]
            for at in range(row * len(x.levels), (row + 1) * len(x.levels))
        ]
        cells.append([shortened(float(np.median(group))) if len(group) else None for group in groups])
        counts.append([len(group) for group in groups])
    return {"x": x.name, "y": y.name, "metric": measure.path, "cells": cells, "counts": counts}


def _parallel(axes: Sequence[Axis], measures: Sequence[Measure]) -> dict[str, Any]:
    varying = [axis.name for axis in axes if axis.is_axis and axis.varies]
    if not measures or not varying:
        return {"none": "Nothing varies in this matrix." if measures else "No run has a result."}
    return {"axes": varying, "metrics": [one.path for one in measures[:_PARALLEL_MAX]]}


def _pareto(measures: Sequence[Measure], judged: Flags, objectives: Sequence[Objective]) -> dict[str, Any]:
    if len(measures) < 2:
        return {"none": "No run has two metrics to weigh against each other."}
    first = measures[0]
    others = [of_path(measures, path) for path in (*(one.metric for one in objectives), *_RISK)]
    second = next((one for one in others if one is not None and one.path != first.path), measures[1])
    return {"x": second.path, "y": first.path, "front": pareto_rows(second, first, judged).tolist()}


def pareto_rows(x: Measure, y: Measure, judged: Flags) -> Integers:
    """Return the rows of the front of two metrics among the runs that count."""
    return front(
        np.where(judged, x.values, np.nan),
        np.where(judged, y.values, np.nan),
        x_large=x.is_better_large,
        y_large=y.is_better_large,
    )


def _stability(axes: Sequence[Axis], measures: Sequence[Measure], periods: Periods, judged: Flags) -> dict[str, Any]:
    if not measures:
        return {"none": "No run has a result."}
    if len(periods.labels) < 2:
        kind = "fold" if periods.of_folds else "window"
        also = "" if periods.of_folds else " and no folds"
        return {"none": f"This matrix has one {kind}{also}, so there is nothing to compare over time."}
    values = measures[0].values
    if periods.of_folds:
        later, period = periods.pairs["later"].to_numpy(), periods.pairs["period"].to_numpy()
        groups = [values[later[period == code]] for code in range(len(periods.labels))]
    else:
        window = next(axis for axis in axes if axis.name == "window").codes
        groups = [values[judged & (window == code)] for code in range(len(periods.labels))]
    return {"metric": measures[0].path, "periods": [spread(group) for group in groups]}


def _oos(measures: Sequence[Measure], periods: Periods) -> dict[str, Any]:
    if not periods.of_folds:
        return {
            "none": "This matrix has no folds (matrix.walk_forward), so no result is out of the sample that chose it."
        }
    if not measures:
        return {"none": "No run has a result."}
    values = measures[0].values
    earlier, later = (values[np.unique(periods.pairs[name].to_numpy())] for name in ("earlier", "later"))
    chosen = [
        values[np.array([one[name] for one in periods.choices if one[name] is not None], dtype=np.int64)]
        for name in ("row", "later")
    ]
    groups = dict(zip(("train", "test", "chosen_train", "chosen_test"), (earlier, later, *chosen), strict=True))
    both = np.concatenate([earlier, later])
    both = both[~np.isnan(both)]
    histogram = None
    if len(both):
        edges = (
            np.linspace(both.min(), both.max(), _BINS + 1) if both.max() > both.min() else both[[0, 0]] + [-0.5, 0.5]
        )
        counts = {
            name: np.histogram(group[~np.isnan(group)], edges)[0].tolist()
            for name, group in (("train", earlier), ("test", later))
        }
        histogram = {"edges": [shortened(edge) for edge in edges.tolist()], **counts}
    return {
        "metric": measures[0].path,
        "groups": {name: spread(group) for name, group in groups.items()},
        "histogram": histogram,
    }


def _costs(axes: Sequence[Axis], measures: Sequence[Measure], judged: Flags) -> dict[str, Any]:
    sets = next(axis for axis in axes if axis.name == "cost_set")
    if not measures:
        return {"none": "No run has a result."}
    if not sets.varies:
        return {"none": "This matrix has one set of costs (matrix.costs), so there is no band."}
    values = measures[0].values
    groups = [spread(values[judged & (sets.codes == code)]) for code in range(len(sets.values))]
    return {"metric": measures[0].path, "sets": groups}
