"""The execution inside this process: one run after another, none while the driver does something else."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from boxgate_engine.config import RunConfig
from boxgate_server.matrix.execution.compute import uploaded
from boxgate_server.matrix.execution.limits import LimitedRunner
from boxgate_server.matrix.execution.work import Group, Outcome, Task
from boxgate_server.matrix.keeping.run_store import RunStore


class InProcess:
    """Computes with a runner of its own, which keeps datasets, markets and sidecars between runs."""

    def __init__(
        self,
        *,
        folder: Path,
        store: Path,
        address: str | None = None,
        memory_bytes: int | None = None,
        runtime_s: float | None = None,
    ) -> None:
        """Prepare; nothing is started yet. folder: where relative paths start. store: where runs are published.

        address: of a store to which they are uploaded from there.
        memory_bytes, runtime_s: of one run, see RunGuard.
        """
        self._runner = LimitedRunner(folder=folder, memory_bytes=memory_bytes, runtime_s=runtime_s)
        self._store = RunStore(store, address)
        self._waiting: deque[tuple[RunConfig, Task]] = deque()

    @property
    def room(self) -> int:
        """One group while nothing waits."""
        return 0 if self._waiting else 1

    def submit(self, group: Group) -> None:
        """Take a group; its runs are computed when their outcomes are asked for."""
        self._waiting += [(group.config, task) for task in group.tasks]

    def outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        """Compute the next run, however long it takes, and return its outcome; nothing if none waits."""
        if not self._waiting:
            return ()
        config, task = self._waiting.popleft()
        return (uploaded(self._store, self._runner.compute(config, task, self._store.folder)),)

    def close(self) -> None:
        """Forget what waits and end the sidecars."""
        self._waiting.clear()
        self._runner.close()
