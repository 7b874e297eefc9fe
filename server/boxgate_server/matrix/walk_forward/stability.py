"""How steady the choices are from fold to fold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from boxgate_engine.config.model import ParamValue
from boxgate_server.matrix.choice import Chosen


def stability(folds: Sequence[Chosen]) -> dict[str, Any]:
    """Return how often the chosen set changes, and how far each parameter spreads, as JSON. folds: rising.

    changes: folds that choose another set than the fold before; change_share: of those that have one before.
    sets: different sets. params: by name; of numbers min, max, mean and deviation (over the folds, not over a
    population), of others the value that is chosen most often (of equals the first) and its share.
    """
    changes = sum(before.params != after.params for before, after in pairwise(folds))
    different: list[dict[str, ParamValue]] = []
    for one in folds:
        if one.params not in different:
            different.append(one.params)
    names = list(folds[0].params) if folds else []
    return {
        "folds": len(folds),
        "changes": changes,
        "change_share": changes / (len(folds) - 1) if len(folds) > 1 else None,
        "sets": len(different),
        "params": {name: _spread([one.params[name] for one in folds]) for name in names},
    }


def _spread(values: Sequence[ParamValue]) -> dict[str, Any]:
    changes = sum(before != after for before, after in pairwise(values))
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) == len(values):
        mean = math.fsum(numbers) / len(numbers)
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in numbers) / len(numbers))
        spread = {"min": min(numbers), "max": max(numbers), "mean": mean, "deviation": deviation}
        return {"changes": changes, **spread}
    most = max(values, key=values.count)
    return {"changes": changes, "most": most, "share": values.count(most) / len(values)}
