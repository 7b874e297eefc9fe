"""What a search found: its best trial, the front of several objectives, and all of it as search.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from boxgate_server.matrix.config.model import ObjectiveConfig
from boxgate_server.matrix.keeping.folder import MatrixFolder, write_json
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.keeping.proposals import Trial
from boxgate_server.matrix.planning.plan import Plan

SEARCH: Final = "search.json"


def best_trial(trials: Sequence[Trial], objectives: Sequence[ObjectiveConfig]) -> Trial | None:
    """Return the trial that is the best by the first objective, of equal ones the earliest; None if none qualifies."""
    found: tuple[float, Trial] | None = None
    for one in trials:
        if one.told is not None and one.told.values is not None and one.told.qualifies:
            value = _gain(one.told.values, objectives)[0]
            if found is None or value > found[0]:
                found = value, one
    return None if found is None else found[1]


def front(trials: Sequence[Trial], objectives: Sequence[ObjectiveConfig]) -> list[Trial]:
    """Return the trials of which no other is better by one objective and not worse by any, each set once."""
    kept: list[tuple[tuple[float, ...], Trial]] = []
    for one in trials:
        if one.told is None or one.told.values is None or not one.told.qualifies:
            continue
        gain = _gain(one.told.values, objectives)
        if any(_covers(other, gain) and (other != gain or trial.params == one.params) for other, trial in kept):
            continue
        kept = [(other, trial) for other, trial in kept if other == gain or not _covers(gain, other)]
        kept.append((gain, one))
    return [trial for _, trial in kept]


def write_search(folder: MatrixFolder, ledger: Ledger, plan: Plan) -> None:
    """Write search.json beside the index: every trial in its order, what it made, and the digest of each generation."""
    assert plan.proposing is not None
    search = plan.proposing.config
    trials, digests = ledger.trials(), ledger.generations()
    best = best_trial(trials, search.objectives)
    content: dict[str, Any] = {
        "schema": "boxgate.matrix-search/1",
        "matrix_id": folder.matrix_id,
        "method": search.method,
        "library": plan.proposing.library,
        "seed": str(plan.seed),
        "aggregate": search.rule,
        "objectives": [one.model_dump(mode="json", exclude_none=True) for one in search.objectives],
        "constraints": [one.model_dump(mode="json", exclude_none=True) for one in search.constraints],
        "generation": search.generation_size,
        "of": plan.proposing.trials,
        "digests": digests,
        "trials": [_trial(one) for one in trials],
        "best": None if best is None else best.number,
        "front": [one.number for one in front(trials, search.objectives)] if len(search.objectives) > 1 else [],
    }
    write_json(folder.path / SEARCH, content)


def _trial(one: Trial) -> dict[str, Any]:
    told = one.told
    return {
        "number": one.number,
        "generation": one.generation,
        "params": dict(one.params),
        "values": None if told is None or told.values is None else list(told.values),
        "broken": [] if told is None else list(told.broken),
        "qualifies": told is not None and told.qualifies,
    }


def _gain(values: Sequence[float], objectives: Sequence[ObjectiveConfig]) -> tuple[float, ...]:
    """Return the values with their sign, so that more is better."""
    return tuple(value if one.is_better_large else -value for value, one in zip(values, objectives, strict=True))


def _covers(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a >= b for a, b in zip(one, other, strict=True))
