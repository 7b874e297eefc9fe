"""What varies in a matrix: instruments, windows, folds, costs, parameters, each with its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from boxgate_engine.report.extremes import Integers
from boxgate_engine.report.numerals import instant

if TYPE_CHECKING:
    import polars as pl

_VALUES_MAX: Final = 30
"""Distinct numbers that are levels of their own; more of them are put into stretches."""
_STRETCHES: Final = 20

Value = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One thing that may vary.

    name: `p_…` for a parameter. values: distinct, rising. codes: shape (runs,), place of the value of each run, −1 for
    none. levels: what a map or a choice shows; a value's level is its own, or of a number the stretch it lies in.
    level_of: level of each value. is_number: whether the values have distances. is_axis: whether a map may have it.
    """

    name: str
    title: str
    values: tuple[Value, ...]
    labels: tuple[str, ...]
    codes: Integers
    levels: tuple[str, ...]
    level_of: tuple[int, ...]
    is_number: bool
    is_axis: bool

    @property
    def varies(self) -> bool:
        """Whether there is more than one value."""
        return len(self.values) > 1

    def levels_of_runs(self) -> Integers:
        """Return the level of each run, shape (runs,), −1 for none."""
        table: Integers = np.array([*self.level_of, -1], dtype=np.int64)
        return table[self.codes]

    def data(self) -> dict[str, Any]:
        """Return it as JSON; codes are left out where all runs have the one value there is, or none."""
        constant = not self.varies and len(set(self.codes.tolist())) < 2
        return {
            "name": self.name,
            "title": self.title,
            "values": list(self.values),
            "labels": list(self.labels),
            "codes": None if constant else self.codes.tolist(),
            "levels": None if self.levels == self.labels else list(self.levels),
            "level_of": None if self.levels == self.labels else list(self.level_of),
            "number": self.is_number,
            "axis": self.is_axis,
        }


def find_axes(runs: pl.DataFrame, params: Sequence[str], cost_sets: Sequence[str]) -> list[Axis]:
    """Return what may vary, parameters first. runs: as of `MatrixIndex`. cost_sets: words for each, by number."""
    import polars as pl

    walks = runs["fold"].null_count() < runs.height
    axes = [_param_axis(name, runs[f"p_{name}"]) for name in params]
    axes.append(_axis("instrument", "Instrument", runs["instrument"].to_list()))
    axes.append(_axis("frame", "Frame", runs["frame"].to_list()))
    windows = runs.select(pl.struct("window_start_ns", "window_end_ns").alias("window"))["window"].to_list()
    pairs = [(one["window_start_ns"], one["window_end_ns"]) for one in windows]
    axes.append(
        _axis("window", "Window", pairs, lambda pair: f"{instant(pair[0])} – {instant(pair[1])}", is_axis=not walks)
    )
    axes.append(_axis("fold", "Fold", runs["fold"].to_list()))
    axes.append(_axis("segment", "Segment", runs["segment"].to_list(), is_axis=False))

    def words(number: int) -> str:
        return cost_sets[number] if 0 <= number < len(cost_sets) else f"set {number}"

    axes.append(_axis("cost_set", "Costs", runs["cost_set"].to_list(), words))
    axes.append(_axis("status", "Status", runs["status"].to_list(), is_axis=False))
    axes.append(_axis("error_code", "Reason", runs["error_code"].to_list(), is_axis=False))
    return axes


def shown_value(value: Any) -> str:
    """Return a parameter's value as people write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def _param_axis(name: str, column: pl.Series) -> Axis:
    values = [", ".join(value) if isinstance(value, list) else value for value in column.to_list()]
    values = [None if isinstance(value, float) and not math.isfinite(value) else value for value in values]
    return _axis(f"p_{name}", name, values)


def _axis(name: str, title: str, found: list[Any], words: Any = shown_value, *, is_axis: bool = True) -> Axis:
    distinct = sorted({value for value in found if value is not None})
    place = {value: code for code, value in enumerate(distinct)}
    labels = tuple(words(value) for value in distinct)
    levels, level_of = labels, tuple(range(len(distinct)))
    is_number = words is shown_value and all(type(value) in {int, float} for value in distinct)
    if len(distinct) > _VALUES_MAX and is_number:
        levels, level_of = _stretches(distinct)
    return Axis(
        name=name,
        title=title,
        values=tuple(value if isinstance(value, (bool, int, float, str)) else words(value) for value in distinct),
        labels=labels,
        codes=np.array([-1 if value is None else place[value] for value in found], dtype=np.int64),
        levels=levels,
        level_of=level_of,
        is_number=is_number,
        is_axis=is_axis,
    )


def _stretches(values: Sequence[float]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return stretches of equal length and the one in which each value lies; the last holds its end."""
    edges = np.linspace(values[0], values[-1], _STRETCHES + 1)
    place = np.clip(np.searchsorted(edges, np.array(values, dtype=np.float64), side="right") - 1, 0, _STRETCHES - 1)
    texts: tuple[str, ...] = ()
    for digits in (4, 8, 17):  # as many as tell the stretches apart
        texts = tuple(f"{low:.{digits}g} – {high:.{digits}g}" for low, high in pairwise(edges))
        if len(set(texts)) == len(texts):
            break
    return texts, tuple(place.tolist())
