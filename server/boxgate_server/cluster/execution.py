"""The execution on all cores or on a cluster: gives runs to the host of Ray, and starts it again if it dies."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import BoxgateError, RunFailed
from boxgate_server.cluster.messages import LOST, START_FAILED, Done, Job, Joined, Ready, Shipment, Stopped, Work
from boxgate_server.cluster.reach import check_address
from boxgate_server.cluster.settings import attached_environment, embedded_environment, make_folder
from boxgate_server.matrix.execution.work import Group, Outcome, Task

_STARTS_MAX: Final = 3
"""Starts of the host, one after another, of which nothing came."""
_AHEAD_RUNS: Final = 64
"""Runs that are given to the host for each worker, so that it can choose, and no more."""
_END_S: Final = 10.0


class RayExecution:
    """Computes with workers of Ray, one on each CPU. Nothing is started before the first group."""

    def __init__(
        self, job: Job, *, token_file: str | None = None, shipment: Callable[[], Shipment] | None = None
    ) -> None:
        """Prepare. token_file: of a cluster, see settings. shipment: what its nodes are given, made when it is needed.

        Raises UserMistake: RAY_ADDRESS, RAY_UNREACHABLE, RAY_TOKEN.
        """
        self._job = job
        self._shipment = shipment
        self._environment: dict[str, str] = {}
        if job.address is not None:
            check_address(job.address)
            self._environment = attached_environment(token_file)
        self._workers = job.workers or os.cpu_count() or 1
        self._open: dict[str, tuple[int, RunConfig, Task]] = {}
        self._host: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._folder: Path | None = None
        self._vain_starts = 0
        self._started_at = 0.0
        self.startup_s = 0.0
        """From the start of the host, which loads Ray, until the first worker could compute, all starts together."""
        self.joined: list[Joined] = []
        """The workers that have begun, also those that are gone."""

    @property
    def room(self) -> int:
        """One group while less is given out than keeps every worker busy for a while."""
        return int(len(self._open) < self._workers * _AHEAD_RUNS)

    def submit(self, group: Group) -> None:
        """Take a group; the first one starts Ray."""
        self._open.update((task.run_id, (group.setting, group.config, task)) for task in group.tasks)
        if self._pipe is None:
            self._start()
        else:
            # Of a run that is tried again the answer alone may have been lost.
            again = any(task.attempt > 1 for task in group.tasks)
            self._send([Work(config=group.config, tasks=group.tasks, again=again)])

    def outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        """Return what has ended. Raises BoxgateError if nothing can be computed any more."""
        found: list[Outcome] = []
        while self._pipe is not None and self._pipe.poll(0.0 if found else timeout_s):
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                self._lose_host(None)
                break
            if isinstance(message, Done):
                self._vain_starts = 0
                found += [one for one in message.outcomes if self._open.pop(one.run_id, None) is not None]
            elif isinstance(message, Ready):
                self.startup_s += time.monotonic() - self._started_at
                self._workers = message.workers
            elif isinstance(message, Joined):
                self.joined.append(message)
            elif isinstance(message, Stopped):
                self._lose_host(message)
                break
        return found

    def close(self) -> None:
        """End the host and with it Ray, as far as it was started here, and every sidecar. Idempotent."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._host is not None:
            try:
                self._host.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._host.kill()
                self._host.wait()
            self._host = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _start(self) -> None:
        """Start the host with all runs that are open."""
        if self._job.address is not None:
            check_address(self._job.address)
        if self._shipment is not None and self._job.shipment is None:
            self._job = replace(self._job, shipment=self._shipment())
        self._started_at = time.monotonic()
        self._folder = make_folder()
        environment = self._environment or embedded_environment(self._folder)
        ours, theirs = socket.socketpair()
        with theirs:
            self._host = subprocess.Popen(
                [sys.executable, "-m", "boxgate_server.cluster.host", str(theirs.fileno()), str(self._folder)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt typed at the terminal is for the driver alone
                env=environment,
            )
        self._pipe = Connection(ours.detach())
        again = self.startup_s > 0.0
        settings: dict[int, tuple[RunConfig, list[Task]]] = {}
        for setting, config, task in self._open.values():
            settings.setdefault(setting, (config, []))[1].append(task)
        work = [Work(config=config, tasks=tuple(tasks), again=again) for config, tasks in settings.values()]
        self._send([self._job, *work])

    def _send(self, messages: Sequence[Job | Work]) -> None:
        assert self._pipe is not None
        try:
            for message in messages:
                self._pipe.send(message)
        except OSError:
            return  # the host is gone, which is found out where outcomes are taken

    def _lose_host(self, told: Stopped | None) -> None:
        """Start the host again, which computes what is open, unless it says that this is of no use."""
        self.close()
        self._vain_starts += 1
        if told is not None and told.code not in (START_FAILED, LOST):
            raise told.error()
        if self._vain_starts < _STARTS_MAX:
            self._start()
            return
        error: BoxgateError = (
            RunFailed(
                f"Ray died {self._vain_starts} times without a run coming back",
                code=LOST,
                where="Ray",
                expected="Ray living while the matrix is computed",
                remedy="look at the memory of the host, then boxgate matrix resume: nothing that is done is lost",
            )
            if told is None
            else told.error()
        )
        raise error
