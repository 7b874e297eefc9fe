"""The host of Ray: a process between the driver of a matrix and the workers, the only one besides them that loads Ray.

The driver gives it runs through a pipe and gets outcomes back. It ends with the pipe, and Ray, if it was started here,
ends with it. What it prints goes nowhere.
"""

from __future__ import annotations

import ctypes
import os
import queue
import select
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NoReturn

from boxgate_engine.errors import BoxgateError, RunFailed
from boxgate_server.cluster.crew import Crew
from boxgate_server.cluster.messages import LOST, START_FAILED, Done, Job, Ready, Stopped, Work
from boxgate_server.cluster.reach import attach, cpus
from boxgate_server.cluster.settings import embedded_arguments

_PR_SET_CHILD_SUBREAPER: Final = 36
_IDLE_S: Final = 0.2
_END_S: Final = 3.0
_REAP_S: Final = 1.0


def main(descriptor: int, folder: str) -> None:
    """Serve the driver at the other end of the pipe. folder: private, for Ray if it is started here."""
    os.set_inheritable(descriptor, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides when it is over
    signal.signal(signal.SIGTERM, lambda *_: _end(folder))
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # workers whose raylet is gone are ended here
    pipe = Connection(descriptor)
    job: Job = pipe.recv()
    inbox: queue.SimpleQueue[Work] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(pipe, inbox, folder), daemon=True).start()
    try:
        Host(pipe, inbox, job, folder).serve()
    except BoxgateError as error:
        pipe.send(Stopped.of(error))
    except Exception as error:
        pipe.send(Stopped.of(_lost(error)))
    finally:
        _end(folder)


def _lost(error: Exception) -> RunFailed:
    """Return what tells that Ray does not answer any more as it should."""
    return RunFailed(
        f"Ray failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
        code=LOST,
        where="Ray",
        expected="Ray living while the matrix is computed",
        remedy="look at the memory of its nodes, then boxgate matrix resume: nothing that is done is lost",
    )


class Host:
    """Starts or joins Ray, keeps the workers busy and passes on what they did."""

    def __init__(self, pipe: Connection, inbox: queue.SimpleQueue[Work], job: Job, folder: str) -> None:
        self._pipe = pipe
        self._inbox = inbox
        self._job = job
        self._folder = folder
        self._pillars: list[int] = []
        self._own: set[int] = set()
        self._reap_at = 0.0

    def serve(self) -> NoReturn:
        """Never return. Raises BoxgateError where nothing can be computed here."""
        workers = self._start()
        crew = Crew(replace(self._job, is_full=workers >= cpus()), workers)
        told = False
        while True:
            idle = crew.is_idle
            self._take_in(crew, _IDLE_S if idle else 0.0)
            outcomes = crew.turn(_IDLE_S)
            for joined in crew.joined():
                if not told:
                    self._pipe.send(Ready(workers=workers))
                    told = True
                self._pipe.send(joined)
            if outcomes:
                self._pipe.send(Done(outcomes=tuple(outcomes)))
            self._check_pillars()
            self._reap()

    def _take_in(self, crew: Crew, wait_s: float) -> None:
        with suppress(queue.Empty):
            crew.add(self._inbox.get(timeout=wait_s) if wait_s else self._inbox.get_nowait())
            while True:
                crew.add(self._inbox.get_nowait())

    def _start(self) -> int:
        """Start Ray here or join a cluster, and return how many workers there are to be."""
        if self._job.address is not None:
            return attach(self._job, self._give_up)
        workers = self._job.workers or os.cpu_count() or 1
        try:
            import ray

            _leave_out()
            ray.init(**embedded_arguments(self._folder, workers))
        except Exception as error:
            raise RunFailed(
                f"Ray could not be started: {' '.join(str(error).split())[:300]}",
                code=START_FAILED,
                where=self._folder,
                expected="Ray starting on this host",
                remedy="look for a limit on memory, processes or time of the host, or set "
                "runner.concurrency.max_workers: 1, which needs no Ray",
            ) from error
        self._own = set(_children(os.getpid()))
        self._pillars = [os.pidfd_open(pid) for pid in self._own if _name(pid) in ("raylet", "gcs_server")]
        return workers

    def _give_up(self, error: BoxgateError) -> NoReturn:
        self._pipe.send(Stopped.of(error))
        _end(self._folder)

    def _check_pillars(self) -> None:
        """End, to be started anew, if Ray's own processes are gone: nothing would come back from the workers."""
        if self._pillars and select.select(self._pillars, [], [], 0)[0]:
            _end(self._folder)

    def _reap(self) -> None:
        """Bury the orphans of workers that were killed; Ray buries its own."""
        now = time.monotonic()
        if self._own and now >= self._reap_at:
            self._reap_at = now + _REAP_S
            for pid in set(_children(os.getpid())) - self._own:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def _leave_out() -> None:
    """Let Ray start without its autoscaler, its dashboard and its reader of logs.

    Nobody asks them anything here, and they are three processes of Python, half of what a start costs. Ray has no
    option for it; where it calls them otherwise one day, they are started.
    """
    from ray._private.node import Node

    for name in ("start_monitor", "start_api_server", "start_log_monitor"):
        if hasattr(Node, name):
            setattr(Node, name, lambda *_, **__: None)


def _read(pipe: Connection, inbox: queue.SimpleQueue[Work], folder: str) -> None:
    """Take what the driver sends; its end is ours."""
    with suppress(EOFError, OSError):
        while (work := pipe.recv()) is not None:
            inbox.put(work)
    _end(folder)


def _end(folder: str) -> NoReturn:
    """Leave nothing behind, and end."""
    try:
        _clear()
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os._exit(0)


def _clear() -> None:
    """End everything that was started here: Ray at once, what clears up behind itself if it does so soon."""
    me, deadline = os.getpid(), time.monotonic() + _END_S
    while found := _descendants(me):
        late = time.monotonic() > deadline
        for pid in found:
            with suppress(ProcessLookupError):
                # The guard of sidecars ends by itself with its gateway, and removes what it made.
                if late or not _is_guard(pid):
                    os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)


def _is_guard(pid: int) -> bool:
    """Return whether a process belongs to the sidecars of a worker, which has sessions of its own."""
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return any(part.endswith((b"/sidecars/guard.py", b"/sidecars/template.py")) for part in command)
    return False


def _descendants(root: int) -> list[int]:
    found = _children(root)
    for pid in found:
        found += _children(pid)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
