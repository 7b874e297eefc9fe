"""Limits of memory and time for one run, kept by watching the processes of its strategy and killing them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import RunFailed
from boxgate_server.matrix.execution.compute import compute, failure_of
from boxgate_server.matrix.execution.work import Outcome, Task
from boxgate_server.runner import Runner
from boxgate_server.sidecars import Sidecar, SidecarHost

_LOOK_S: Final = 0.05
_WORDS: Final = ("RssAnon:", "RssShmem:")


class LimitedRunner:
    """A runner whose runs are ended where they go too far. A context manager."""

    def __init__(self, *, folder: Path, memory_bytes: int | None = None, runtime_s: float | None = None) -> None:
        """Prepare; nothing is started yet. See Runner and RunGuard."""
        self._closing = ExitStack()
        host = WatchedHost()
        self._closing.callback(host.close)
        self._guard = RunGuard(host, memory_bytes=memory_bytes, runtime_s=runtime_s)
        self._closing.callback(self._guard.close)
        self._runner = self._closing.enter_context(Runner(folder=folder, host=host))

    def compute(self, config: RunConfig, task: Task, store: Path) -> Outcome:
        """Compute a run and publish it in the store. config: of its group."""
        with self._guard.watch():
            outcome = compute(self._runner, config, task, store)
            verdict = self._guard.verdict
        if outcome.failure is None or verdict is None:
            return outcome
        return replace(outcome, failure=failure_of(verdict))

    def close(self) -> None:
        """End the sidecars. Idempotent."""
        self._closing.close()

    def __enter__(self) -> LimitedRunner:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the sidecars."""
        self.close()


class WatchedHost(SidecarHost):
    """A host that tells which sidecars run."""

    def __init__(self) -> None:
        super().__init__()
        self._mine: list[Sidecar] = []

    def start(self, command: list[str], **named: Any) -> Sidecar:
        """As SidecarHost.start."""
        sidecar = super().start(command, **named)
        self._mine = [*self.sidecars, sidecar]
        return sidecar

    @property
    def sidecars(self) -> list[Sidecar]:
        """Those that were started and have not ended."""
        return [one for one in self._mine if one.exit is None]


class RunGuard:
    """Watches the sidecars of one host, which serves one run at a time; without limits it rests."""

    def __init__(self, host: WatchedHost, *, memory_bytes: int | None = None, runtime_s: float | None = None) -> None:
        """Prepare. memory_bytes: of the process tree of a sidecar, mapped files not counted. runtime_s: of one run."""
        self._host = host
        self._memory_bytes = memory_bytes
        self._runtime_s = runtime_s
        self._began: float | None = None
        self._verdict: RunFailed | None = None
        self._lock = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Watch one run: the sidecars are killed if it goes too far."""
        self._begin()
        try:
            yield
        finally:
            with self._lock:
                self._began = None

    @property
    def verdict(self) -> RunFailed | None:
        """Why the sidecars were killed in the last run, RUN_MEMORY or RUN_TIME; None if they were not."""
        with self._lock:
            return self._verdict

    def close(self) -> None:
        """Stop watching. Idempotent."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        if self._thread is not None:
            self._thread.join()

    def _begin(self) -> None:
        if self._memory_bytes is None and self._runtime_s is None:
            return
        with self._lock:
            self._began, self._verdict = time.monotonic(), None
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="boxgate-limits", daemon=True)
                self._thread.start()
            self._lock.notify()

    def _work(self) -> None:
        with self._lock:
            while not self._closed:
                self._lock.wait(None if self._began is None else _LOOK_S)
                if self._began is not None and self._verdict is None and not self._closed:
                    self._verdict = self._judge(time.monotonic() - self._began)
                    if self._verdict is not None:
                        for sidecar in self._host.sidecars:
                            _kill(sidecar)

    def _judge(self, seconds: float) -> RunFailed | None:
        if self._runtime_s is not None and seconds > self._runtime_s:
            return RunFailed(
                f"the run took longer than {self._runtime_s:g} s",
                code="RUN_TIME",
                where="runner.limits.runtime_per_run",
                expected="a run within its limit of time",
                remedy="raise the limit, or look for what makes the strategy slow with these parameters",
            )
        used = 0
        if self._memory_bytes is not None:
            used = max((_tree_bytes(one.pid) for one in self._host.sidecars if one.pid is not None), default=0)
        if self._memory_bytes is not None and used > self._memory_bytes:
            return RunFailed(
                f"the strategy used more than {self._memory_bytes / 2**20:,.0f} MiB",
                code="RUN_MEMORY",
                where="runner.limits.memory_per_run",
                expected="a strategy within its limit of memory",
                remedy="raise the limit, or look for what makes the strategy grow with these parameters",
            )
        return None


def _kill(sidecar: Sidecar) -> None:
    """Kill the process alone: with it ends its tree, and whoever talks to it learns of it in the usual way."""
    if sidecar.pid is not None and sidecar.exit is None:
        with suppress(ProcessLookupError):
            os.kill(sidecar.pid, signal.SIGKILL)


def _tree_bytes(root: int) -> int:
    """Return the memory of a process and its descendants that no file backs."""
    total, waiting = 0, [root]
    while waiting:
        place = Path(f"/proc/{waiting.pop()}")
        with suppress(OSError, ValueError):
            for line in (place / "status").read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith(_WORDS):
                    total += int(line.split()[1]) * 1024
            for thread in (place / "task").iterdir():
                with suppress(OSError):
                    waiting += map(int, (thread / "children").read_text().split())
    return total
