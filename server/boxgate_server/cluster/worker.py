"""A worker: one process of Ray with one runner, which keeps sidecars, datasets and markets between its runs."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import BoxgateError
from boxgate_server.cluster.build import check_build
from boxgate_server.cluster.messages import Job, Joined, Stopped
from boxgate_server.matrix.execution.compute import compute, failure_of, stored_outcome
from boxgate_server.matrix.execution.limits import RunGuard, WatchedHost
from boxgate_server.matrix.execution.work import Outcome, Task
from boxgate_server.runner import Runner


class Worker:
    """Computes one run after another, and publishes each itself: what it gives back is a digest and some numbers."""

    def __init__(self, job: Job) -> None:
        """Prepare; nothing is started yet."""
        # Ray may let the kernel reap children, which is inherited, and the guard of sidecars waits for its own.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._job = job
        self._configs: dict[int, RunConfig] = {}
        self._store = Path(job.store)
        self._closing = ExitStack()
        self._runner: Runner | None = None
        self._guard: RunGuard | None = None

    def join(self) -> Joined | Stopped:
        """Get ready. Returns what is wrong, for Ray cannot carry our errors, if nothing can be computed here."""
        try:
            if self._job.address is not None:  # else this is the installation of the driver
                check_build(self._job.build, node=socket.gethostname())
            folder = Path(self._job.folder)
        except BoxgateError as error:
            return Stopped.of(error)
        host = WatchedHost()
        self._closing.callback(host.close)
        limits = self._job.limits
        self._guard = RunGuard(host, memory_bytes=limits.memory_bytes, runtime_s=limits.runtime_s)
        self._closing.callback(self._guard.close)
        self._runner = self._closing.enter_context(Runner(folder=folder, host=host))
        return Joined(node=_node_id(), pid=os.getpid(), fetched_bytes=0, dataset=None, slices={})

    def learn(self, setting: int, config: RunConfig, forget: int | None) -> None:
        """Take the config of a setting, for the runs of it that follow. forget: one that is not needed any more."""
        self._configs[setting] = config
        if forget is not None:
            del self._configs[forget]

    def compute(self, setting: int, task: Task, again: bool) -> Outcome:
        """Compute a run. again: it may have been computed already, so the store is looked at first."""
        assert self._runner is not None
        assert self._guard is not None
        if again and (stored := stored_outcome(self._store, task.run_id)) is not None:
            return replace(stored, attempt=task.attempt)
        with self._guard.watch():
            outcome = compute(self._runner, self._configs[setting], task, self._store)
            verdict = self._guard.verdict
        if outcome.failure is None or verdict is None:
            return outcome
        return replace(outcome, failure=failure_of(verdict))


def _node_id() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())
