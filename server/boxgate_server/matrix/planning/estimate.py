"""What a matrix will take, from three runs of it that are really computed, in a place that is removed again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boxgate_engine.errors import RunFailed
from boxgate_server.matrix.execution.compute import compute
from boxgate_server.matrix.execution.work import Task
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.setting import Setting
from boxgate_server.runner import Runner


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """seconds: of all runs one after another. artifact_bytes: of their folders. computed: calibration runs."""

    seconds: float
    artifact_bytes: int
    computed: int


def estimate(plan: Plan, *, folder: Path, stage: Callable[[str], None] = lambda _: None) -> Estimate:
    """Compute the first run of the settings with the fewest, the median and the most events, and extend to all.

    Between the three, time and size grow with the events in straight lines. The first is computed twice, and the
    second time counts: what is made ready once for all runs is no part of each. Raises RunFailed where a run fails.
    """
    ranked = sorted(plan.settings, key=lambda one: (one.events, one.number))
    chosen = {one.number: one for one in (ranked[0], ranked[len(ranked) // 2], ranked[-1])}
    measured: list[tuple[int, float, int]] = []
    params = next(iter(plan)).params
    with Runner(folder=folder) as runner:
        for setting in chosen.values():
            stage(f"calibrating: a run of {'+'.join(setting.instruments)} with {setting.events:,} events")
            for _ in range(1 if measured else 2):
                seconds, size = _measure(plan, setting, params, runner)
            measured.append((setting.events, seconds, size))
    events, times, sizes = (np.array(column, np.float64) for column in zip(*measured, strict=True))
    shares = [runs / len(block) for runs, block in zip(plan.runs_of_blocks, plan.blocks, strict=True)]
    weights = np.array([share for share, block in zip(shares, plan.blocks, strict=True) for _ in block])
    at = np.array([setting.events for block in plan.blocks for setting in block], np.float64)
    return Estimate(
        seconds=float(np.interp(at, events, times) @ weights),
        artifact_bytes=round(float(np.interp(at, events, sizes) @ weights)),
        computed=len(measured),
    )


def _measure(plan: Plan, setting: Setting, params: int, runner: Runner) -> tuple[float, int]:
    """Return (seconds, bytes) of one run."""
    with tempfile.TemporaryDirectory(prefix="boxgate-matrix-") as place:
        store = Path(place)
        task = Task(run_id=setting.run_id(plan.space.text(params)), params=plan.space.varied(params), attempt=1)
        outcome = compute(runner, setting.config, task, store)
        if outcome.failure is not None:
            failure = outcome.failure
            raise RunFailed(
                f"a calibration run failed: {failure.what}",
                code=failure.code,
                where=failure.where,
                expected=failure.expected,
                remedy=failure.remedy,
            )
        size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    return outcome.seconds, size
