"""A worker: one process of Ray with one runner, which keeps sidecars, datasets and markets between its runs."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import BoxgateError
from boxgate_server.cluster.build import check_build, this_build
from boxgate_server.cluster.core import keep_to_core
from boxgate_server.cluster.messages import Job, Joined, Stopped
from boxgate_server.cluster.node import Supplied, receive
from boxgate_server.matrix.execution.compute import failure_of, found_outcome, uploaded
from boxgate_server.matrix.execution.limits import LimitedRunner
from boxgate_server.matrix.execution.work import Outcome, Task
from boxgate_server.matrix.keeping.run_store import RunStore
from boxgate_server.own_process import leave_pandas_out
from boxgate_server.warming import warm_up


class Worker:
    """Computes one run after another, and publishes each itself: what it gives back is a digest and some numbers."""

    def __init__(self, job: Job) -> None:
        """Prepare; nothing is started yet."""
        # Ray may let the kernel reap children, which is inherited, and the guard of sidecars waits for its own.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._job = job
        self._configs: dict[bytes, RunConfig] = {}
        self._store = RunStore(Path(job.store), job.store_address)
        self._runner: LimitedRunner | None = None
        self._supplied: Supplied | None = None
        self._claim: socket.socket | None = None

    def join(self) -> Joined | Stopped:
        """Get ready. Returns what is wrong, for Ray cannot carry our errors, if nothing can be computed here."""
        try:
            if self._job.address is not None:  # else this is the installation of the driver
                check_build(self._job.build, this_build(), node=socket.gethostname())
            shipment = self._job.shipment
            self._supplied = None if shipment is None else receive(shipment)
            self._load()
        except BoxgateError as error:
            return Stopped.of(error)
        supplied = self._supplied
        if supplied is not None and self._store.address is not None:
            self._store = supplied.store(self._store.address)
            try:
                self._store.prepare()
            except BoxgateError as error:
                return replace(Stopped.of(error), where=f"{error.where}, seen from {socket.gethostname()}")
        folder = Path(self._job.folder) if supplied is None else supplied.folder
        limits = self._job.limits
        self._runner = LimitedRunner(folder=folder, memory_bytes=limits.memory_bytes, runtime_s=limits.runtime_s)
        return Joined(
            node=_node_id(),
            pid=os.getpid(),
            fetched_bytes=0 if supplied is None else supplied.fetched_bytes,
            place="" if supplied is None else str(supplied.place),
        )

    def _load(self) -> None:
        """Do what the first run would wait for: it has no more time than the others."""
        leave_pandas_out()
        warm_up()
        if self._job.is_full and _node_cpus() >= len(os.sched_getaffinity(0)):
            self._claim = keep_to_core()

    def learn(self, key: bytes, config: RunConfig, forget: bytes | None) -> None:
        """Take a config under a key, for the runs of it that follow. forget: of one that is not needed any more."""
        self._configs[key] = config if self._supplied is None else self._supplied.localised(config)
        if forget is not None:
            del self._configs[forget]

    def compute(self, key: bytes, tasks: Sequence[Task], again: bool) -> list[Outcome]:
        """Compute runs one after another. again: they may have been computed already: the store is looked at first."""
        return [self._outcome(key, one, again) for one in tasks]

    def _outcome(self, key: bytes, task: Task, again: bool) -> Outcome:
        assert self._runner is not None
        try:
            if again and (stored := found_outcome(self._store, task.run_id)) is not None:
                return replace(stored, attempt=task.attempt)
        except BoxgateError as error:
            return Outcome(run_id=task.run_id, attempt=task.attempt, failure=failure_of(error))
        return uploaded(self._store, self._runner.compute(self._configs[key], task, self._store.folder))


def _node_cpus() -> float:
    """Return how many CPUs Ray has to give on this node. Fewer than the machine has are not this node's alone."""
    import ray

    nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes()}  # type: ignore[no-untyped-call]
    return float(nodes[_node_id()].get("CPU", 0.0))


def _node_id() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())
