"""One task computed by a runner, as every worker does it: an outcome in each case, never an error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from boxgate_engine.artefacts import read_run
from boxgate_engine.config import RunConfig
from boxgate_engine.errors import (
    BoxgateError,
    NotDeterministic,
    RunDamaged,
    RunFailed,
    RunIdConflict,
    RunNotFound,
    SignalError,
    StoreFailed,
    UserMistake,
)
from boxgate_engine.identity import run_id
from boxgate_server.errors import (
    BundleExec,
    DescriptionInvalid,
    MessageTooLarge,
    RpcMissing,
    SidecarFailed,
    UndecodableMessage,
    Unsolicited,
)
from boxgate_server.matrix.execution.work import Failure, Outcome, Task
from boxgate_server.matrix.keeping.run_store import RunStore
from boxgate_server.runner import Runner

_DETERMINISTIC: Final = (
    UserMistake,
    NotDeterministic,
    RunIdConflict,
    SignalError,
    SidecarFailed,
    DescriptionInvalid,
    RpcMissing,
    MessageTooLarge,
    UndecodableMessage,
    Unsolicited,
)
"""Of these the strategy or its user is the cause, so the same run would fail again."""


def compute(runner: Runner, config: RunConfig, task: Task, store: Path) -> Outcome:
    """Compute a run and publish it in the store. config: of its group.

    It is not waited for until the disk has it: who goes on after a crash hashes what the ledger calls complete again.
    """
    began = time.monotonic()
    try:
        done = runner.run(task_config(config, task), store=store, durable=False)
        if done.run_id != task.run_id:
            raise RunFailed(
                f"what was computed is {done.run_id}, not the run that was planned",
                code="VERSION_MIXED",
                where=task.run_id,
                expected="the strategy, the dataset and the version of Boxgate that the matrix was planned with",
                remedy="leave the strategy's files alone while the matrix runs, then plan it anew",
            )
    except Exception as error:  # a fault of ours in one run does not end the others
        named = error if isinstance(error, BoxgateError) else _internal(error)
        seconds = time.monotonic() - began
        return Outcome(run_id=task.run_id, attempt=task.attempt, failure=failure_of(named), seconds=seconds)
    return Outcome(
        run_id=task.run_id,
        attempt=task.attempt,
        result_digest=done.result_digest,
        metrics=numbers(done.metrics),
        seconds=time.monotonic() - began,
    )


def task_config(config: RunConfig, task: Task) -> RunConfig:
    """Return the config of one run. config: of its group."""
    strategy = config.strategy
    params = {**strategy.params, **task.params}
    return config.model_copy(update={"strategy": strategy.model_copy(update={"params": params})})


def stored_outcome(store: Path, wanted: str) -> Outcome | None:
    """Return the outcome of a run that is published, its files hashed again; None if it is not, or not whole."""
    try:
        stored = read_run(store / wanted)
        identity = stored.json("config.json")["identity"]
        metrics = stored.json("metrics.json")
    except (RunNotFound, RunDamaged):
        return None
    if stored.run_id != wanted or run_id(identity) != wanted:
        conflict = RunIdConflict(wanted, where=str(store / wanted))
        return Outcome(run_id=wanted, attempt=0, failure=failure_of(conflict))
    return Outcome(run_id=wanted, attempt=0, result_digest=stored.result_digest, metrics=numbers(metrics), reused=True)


def found_outcome(store: RunStore, wanted: str) -> Outcome | None:
    """Return the outcome of a run of a store as `stored_outcome` does. Raises StoreFailed where it is not reached."""
    try:
        with store.opened(wanted) as folder:
            found = stored_outcome(folder.parent, wanted)
    except RunNotFound:
        return None
    if found is not None and found.failure is not None:
        return replace(found, failure=replace(found.failure, where=f"{store.shown}/{wanted}"))
    return found


def uploaded(store: RunStore, outcome: Outcome) -> Outcome:
    """Bring a run that was computed to where it shall be, and return what became of it."""
    if outcome.failure is not None:
        return outcome
    try:
        store.upload(outcome.run_id)
    except BoxgateError as error:
        return replace(outcome, result_digest=None, metrics=None, failure=failure_of(error))
    return outcome


def failure_of(error: BoxgateError) -> Failure:
    """Return the failure that an error is."""
    cannot_differ = isinstance(error, _DETERMINISTIC)
    return Failure(
        code=error.error_code,
        what=error.what,
        where=error.where,
        expected=error.expected,
        remedy=error.remedy,
        is_final=cannot_differ and not isinstance(error, BundleExec),  # the program may be on its way
        is_of_store=isinstance(error, StoreFailed),
    )


def _internal(error: Exception) -> RunFailed:
    detail = " ".join(str(error).split())
    return RunFailed(
        f"internal error: {type(error).__name__}{f': {detail}' if detail else ''}",
        code="INTERNAL",
        where="boxgate",
        expected="no such error",
        remedy="compute this run alone by boxgate run --debug and report what it prints",
    )


def numbers(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Return every number of metrics.json by `group_name`, None for what is undefined."""
    found: dict[str, float | None] = {}
    for group, entries in metrics.items():
        if isinstance(entries, dict):
            found |= {
                f"{group}_{name}": None if value is None else float(value)
                for name, value in entries.items()
                if value is None or _is_number(value)
            }
        elif _is_number(entries):
            found[group] = float(entries)
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
