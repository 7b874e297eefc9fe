"""What an execution is given and gives back, and what every execution must do. Plain data, fit to be sent elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from boxgate_engine.config import RunConfig
from boxgate_engine.config.model import ParamValue


@dataclass(frozen=True, kw_only=True)
class Task:
    """One run. params: what differs from the config of its group. attempt: 1 for the first."""

    run_id: str
    params: Mapping[str, ParamValue]
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of one setting, which share their series, to be computed by one worker one after another."""

    setting: int
    config: RunConfig
    tasks: tuple[Task, ...]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt failed. is_final: another attempt of the same run could not do better.

    is_of_store: the store refused, so nothing can be published at all; the run itself stays pending.
    """

    code: str
    what: str
    where: str
    expected: str
    remedy: str
    is_final: bool
    is_of_store: bool


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one attempt: published with a digest, or failed. metrics: `group_name` → number of metrics.json.

    seconds: what it took. reused: nothing was computed, the run was in the store.
    """

    run_id: str
    attempt: int
    result_digest: str | None = None
    metrics: Mapping[str, float | None] | None = None
    failure: Failure | None = None
    seconds: float = 0.0
    reused: bool = False


class Execution(Protocol):
    """Computes groups of runs in any order and anywhere. The driver calls it from one thread."""

    @property
    def room(self) -> int:
        """How many further groups it takes now without letting others wait for long."""

    def submit(self, group: Group) -> None:
        """Take a group; returns at once. Each of its tasks ends in exactly one outcome."""

    def outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        """Return what has ended since the last call; waits for the first one, at most so long."""

    def close(self) -> None:
        """Stop at once: what is not done yet has no outcome, and nothing that was started lives on. Idempotent."""
