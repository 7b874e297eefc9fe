"""What a proposed set made: of several settings one number for each objective and constraint."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final, Literal

from boxgate_server.matrix.config.model import ConstraintConfig
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.keeping.proposals import Told
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.setting import Setting

_UNDEFINED: Final = 1e9
"""How far a constraint is broken by a metric that is undefined."""


def judge(plan: Plan, ledger: Ledger, number: int) -> Told:
    """Return what a set made in the settings that count: the train windows, or without walk-forward all.

    Objectives are aggregated by the rule of the search. A constraint is broken as far as in the setting that breaks it
    most. A set of which one of these runs failed or lacks an objective has no values.
    """
    assert plan.proposing is not None
    search = plan.proposing.config
    text = plan.space.text(number)
    made = []
    for setting in judging(plan):
        entry = ledger.find(setting.run_id(text))
        if entry is None or entry.state != "complete":
            return Told(values=None, broken=())
        made.append(entry.metrics or {})
    values = []
    for objective in search.objectives:
        found = [metrics.get(column(objective.metric)) for metrics in made]
        numbers = [one for one in found if one is not None]
        if len(numbers) < len(found):
            return Told(values=None, broken=())
        values.append(aggregated(numbers, search.rule, is_better_large=objective.is_better_large))
    broken = [max(_broken(one, metrics.get(column(one.metric))) for metrics in made) for one in search.constraints]
    return Told(values=tuple(values), broken=tuple(broken))


def judging(plan: Plan) -> list[Setting]:
    """Return the settings by which a set is judged."""
    train = [one for one in plan.settings if any(role.segment == "train" for role in one.roles)]
    return train or list(plan.settings)


def aggregated(numbers: Sequence[float], rule: Literal["mean", "median", "worst"], *, is_better_large: bool) -> float:
    """Return what several settings make of an objective, in their order; at least one."""
    if rule == "worst":
        return min(numbers) if is_better_large else max(numbers)
    return statistics.median(numbers) if rule == "median" else math.fsum(numbers) / len(numbers)


def column(metric: str) -> str:
    """Return the name of a metric in the ledger."""
    return metric.replace(".", "_", 1)


def _broken(constraint: ConstraintConfig, value: float | None) -> float:
    """Return how far a constraint is broken, at most 0 for one that holds."""
    if value is None:
        return _UNDEFINED
    below = -math.inf if constraint.min is None else constraint.min - value
    above = -math.inf if constraint.max is None else value - constraint.max
    return max(below, above)
