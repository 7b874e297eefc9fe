"""The best run of a matrix: by its objective among those that keep its constraints, on train where it walks forward."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from boxgate_engine.config import RunConfig
from boxgate_engine.config.model import ParamValue
from boxgate_engine.errors import RunFailed
from boxgate_engine.identity import canonical_params
from boxgate_server.matrix.config.model import SearchConfig
from boxgate_server.matrix.execution.compute import task_config
from boxgate_server.matrix.execution.work import Task
from boxgate_server.matrix.keeping.ledger import Entry, Ledger
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.search.generations import known_plan
from boxgate_server.matrix.search.judgement import column, judging
from boxgate_server.matrix.search.outcome import best_trial


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A run that was chosen. value: of the objective. params: what varies.

    trial, aggregate: of the search that proposed it, what its parameters made of all settings that count.
    fold: that it was chosen on; then `test` is the run with the same parameters behind it, and `test_value` its
    objective; None where it has not been computed or has none.
    """

    run_id: str
    setting: int
    params: dict[str, ParamValue]
    value: float
    fold: int | None = None
    test: str | None = None
    test_value: float | None = None
    trial: int | None = None
    aggregate: float | None = None


def best_runs(plan: Plan, ledger: Ledger, search: SearchConfig) -> list[Chosen]:
    """Return what was chosen: one run, or with walk-forward one of each fold of the portfolio and costs that test best.

    The objective is the first of the search; of equal runs the one with the smaller id counts. Portfolio and costs are
    compared by the mean of their tests. A search chooses the parameters that are the best in all settings together, and
    of their runs the best one. Raises RunFailed (MATRIX_NO_BEST) if no complete run qualifies.
    """
    objective = search.objectives[0]
    walks = any(role.fold is not None for one in plan.settings for role in one.roles)
    plan = known_plan(plan, ledger)
    if walks:
        chosen = _walked(plan, ledger, ledger.entries("complete"), search)
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
        if _qualifies(entry, search) and (best is None or _is_better(entry, best, search)):
            best = entry
    return [] if best is None else [_chosen(plan, best, search)]


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


def _walked(plan: Plan, ledger: Ledger, complete: Iterable[Entry], search: SearchConfig) -> list[Chosen]:
    block_of = {one.number: number for number, block in enumerate(plan.blocks) for one in block}
    trained: dict[tuple[int, int], Entry] = {}
    for entry in complete:
        if _qualifies(entry, search):
            for role in plan.settings[entry.setting].roles:
                if role.segment == "train" and role.fold is not None:
                    key = block_of[entry.setting], role.fold
                    if key not in trained or _is_better(entry, trained[key], search):
                        trained[key] = entry
    test_of = {
        (block_of[one.number], role.fold): one for one in plan.settings for role in one.roles if role.segment == "test"
    }
    by_block: dict[int, list[Chosen]] = defaultdict(list)
    for (block, fold), entry in sorted(trained.items(), key=lambda item: item[0]):
        test = test_of[block, fold].run_id(plan.space.text(entry.params))
        found = ledger.find(test)
        tested = found if found is not None and found.state == "complete" else None
        by_block[block].append(
            replace(
                _chosen(plan, entry, search),
                fold=fold,
                test=None if tested is None else test,
                test_value=None if tested is None else _value(tested, search),
            )
        )
    return max(by_block.values(), key=lambda folds: _mean_of_tests(folds, search), default=[])


def _mean_of_tests(folds: list[Chosen], search: SearchConfig) -> float:
    """Return the mean objective of the tests, larger for better; the smallest where no test has one."""
    values = [one.test_value for one in folds if one.test_value is not None]
    if not values:
        return -math.inf
    mean = math.fsum(values) / len(values)
    return mean if search.objectives[0].is_better_large else -mean


def _qualifies(entry: Entry, search: SearchConfig) -> bool:
    metrics = entry.metrics or {}
    return _value(entry, search) is not None and all(
        one.holds(metrics.get(column(one.metric))) for one in search.constraints
    )


def _is_better(entry: Entry, than: Entry, search: SearchConfig) -> bool:
    """Return whether an entry is better; entries come by their id, so that an equal one is not."""
    value, other = _value(entry, search), _value(than, search)
    assert value is not None
    assert other is not None
    return value > other if search.objectives[0].is_better_large else value < other


def _value(entry: Entry, search: SearchConfig) -> float | None:
    return (entry.metrics or {}).get(column(search.objectives[0].metric))


def _chosen(plan: Plan, entry: Entry, search: SearchConfig) -> Chosen:
    value = _value(entry, search)
    assert value is not None
    return Chosen(
        run_id=entry.run_id,
        setting=entry.setting,
        params=plan.space.varied(entry.params),
        value=value,
    )
