"""The best run of a matrix: by its objective among those that keep its constraints, on train where it walks forward."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import RunFailed
from boxgate_engine.identity import canonical_params
from boxgate_server.matrix.choice import Chosen, chosen_of, is_better, qualifies
from boxgate_server.matrix.config.model import SearchConfig
from boxgate_server.matrix.execution.compute import task_config
from boxgate_server.matrix.execution.work import Task
from boxgate_server.matrix.keeping.ledger import Entry, Ledger
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.search.generations import known_plan
from boxgate_server.matrix.search.judgement import judging
from boxgate_server.matrix.search.outcome import best_trial
from boxgate_server.matrix.walk_forward.choices import best_block, choices, walks

__all__ = ["Chosen", "best_config", "best_runs", "config_text"]


def best_runs(plan: Plan, ledger: Ledger, search: SearchConfig) -> list[Chosen]:
    """Return what was chosen: one run, or with walk-forward one of each fold of the portfolio and costs that test best.

    The objective is the first of the search; of equal runs the one with the smaller id counts. Portfolio and costs are
    compared by the mean of their tests. A search chooses the parameters that are the best in all settings together, and
    of their runs the best one. Raises RunFailed (MATRIX_NO_BEST) if no complete run qualifies.
    """
    objective = search.objectives[0]
    plan = known_plan(plan, ledger)
    if walks(plan):
        by_block = choices(plan, ledger, search)
        block = best_block(by_block, search)
        chosen = [] if block is None else by_block[block]
    elif plan.proposing is not None:
        chosen = _proposed(plan, ledger, search)
    else:
        chosen = _single(plan, ledger.entries("complete"), search)
    if not chosen:
        raise RunFailed(
            "no run qualifies as the best",
            code="MATRIX_NO_BEST",
            where="matrix.search",
            expected=f"a complete run that has {objective.metric} and keeps every constraint",
            remedy="compute the matrix first, or loosen matrix.search.constraints",
        )
    return chosen


def best_config(plan: Plan, chosen: Chosen) -> RunConfig:
    """Return the config of a chosen run; computed alone it is the same run."""
    task = Task(run_id=chosen.run_id, params=chosen.params, attempt=1)
    return task_config(plan.settings[chosen.setting].config, task)


def config_text(config: RunConfig, remark: str) -> str:
    """Return the YAML of a run config, without what is as it would be anyway. remark: one line above it."""
    keys: dict[str, Any] = config.model_dump(mode="json", exclude_defaults=True)
    keys["report"] = {**keys.get("report", {}), "html": True}
    # JSON is YAML: quoted, a text that looks like a number stays a text.
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}" for key, value in keys.items()]
    return "\n".join([f"# {remark}", *lines, ""])


def _single(plan: Plan, complete: Iterable[Entry], search: SearchConfig) -> list[Chosen]:
    best: Entry | None = None
    for entry in complete:
        if qualifies(entry, search) and (best is None or is_better(entry, best, search)):
            best = entry
    return [] if best is None else [chosen_of(plan, best, search)]


def _proposed(plan: Plan, ledger: Ledger, search: SearchConfig) -> list[Chosen]:
    trial = best_trial(ledger.trials(), search.objectives)
    if trial is None or trial.told is None or trial.told.values is None:
        return []
    assert plan.proposing is not None
    text = canonical_params(plan.proposing.space.complete(trial.params))
    found = (ledger.find(setting.run_id(text)) for setting in judging(plan))
    runs = sorted((one for one in found if one is not None), key=lambda entry: entry.run_id)
    values = trial.told.values
    return [replace(one, trial=trial.number, aggregate=values[0]) for one in _single(plan, runs, search)]
