"""The one long-lived thread from which sidecars are started, and the guard that is their parent.

The thread owns the control socket of the guard and drains what sidecars write. It never blocks on a sidecar.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from boxgate_engine.errors import UserMistake
from boxgate_server.errors import BundleExec, GuardLost
from boxgate_server.sidecars import guard as guard_module
from boxgate_server.sidecars.capture import Tail
from boxgate_server.sidecars.command import refusal
from boxgate_server.sidecars.process import SidecarProcess

SOCKET_PATH_BYTES_MAX = 107
"""sun_path holds 108 bytes, the last of which is NUL."""

_FOLDER_BYTES_MAX = SOCKET_PATH_BYTES_MAX - len("/bg-01234567/99999999/s")
_START_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 5.0
_CHUNK_BYTES = 64 * 1024


class Spawner:
    """Starts processes through the guard. All methods may be called from any thread."""

    def __init__(
        self,
        *,
        runtime_folder: Path | None = None,
        containment: str = "auto",
        program: Sequence[str] = ("-I", "-S", guard_module.__file__),
    ) -> None:
        """Start the thread; the guard follows with the first process.

        runtime_folder: where private folders are made; must be short. containment: auto, or a constant of the guard.
        program: arguments of the interpreter that make it the guard, or the template.
        """
        self._program = program
        self._runtime_folder = _short_folder(runtime_folder)
        self._wanted_containment = containment
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._work: deque[Callable[[], None]] = deque()
        self._guard: subprocess.Popen[bytes] | None = None
        self._guard_pidfd: int | None = None
        self._guard_lost = False
        self._control: socket.socket | None = None
        self._guard_folder: Path | None = None
        self._containment: str | None = None
        self._starting: dict[int, _Starting] = {}
        self._running: dict[int, _Running] = {}
        self._next_id = 1
        self._closing = False
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain_wake)
        self._thread = threading.Thread(target=self._run, name="boxgate-spawner", daemon=True)
        self._thread.start()

    @property
    def containment(self) -> str | None:
        """How trees are held together; None before the first process."""
        return self._containment

    def spawn(
        self, argv: list[str], *, name: str, cwd: Path, env: dict[str, str], capture_bytes: int, open_files: int
    ) -> SidecarProcess:
        """Start a process with exactly this environment and BOXGATE_ENDPOINT.

        name: how refusals call the program. capture_bytes: of stdout and of stderr each that are kept; 0 sends both
        to /dev/null. Raises BundleExec if it cannot be executed, GuardLost if the guard does not answer.
        """
        request = {"op": "start", "argv": argv, "cwd": str(cwd), "env": env, "open_files": open_files}
        starting = _Starting(name, request, capture_bytes)
        if self._closing:
            raise _guard_lost("is closed")
        self._post(lambda: self._start(starting))
        try:
            return starting.future.result(timeout=_START_TIMEOUT_S)
        except TimeoutError:
            starting.abandoned = True
            raise _guard_lost("did not answer in time") from None

    def order(self, message: dict[str, object]) -> None:
        """Pass a message on to the guard; without one there is nothing to order."""
        if not self._closing:
            self._post(lambda: self._send_order(message))

    def drain(self, identity: int) -> None:
        """Return when all is read that the process wrote before the call. Reads it in the thread that calls."""
        running = self._running.get(identity)
        if running is not None:
            running.read_waiting()

    def close(self) -> None:
        """Kill what still runs, end guard and thread. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._post(lambda: None)
        self._thread.join()
        if self._guard is not None:
            assert self._control is not None
            self._control.close()  # the guard ends with everything it holds
            try:
                self._guard.wait(_CLOSE_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._guard.kill()
                self._guard.wait()
            if self._guard_folder is not None:
                shutil.rmtree(self._guard_folder, ignore_errors=True)  # it is there only if the guard was killed
        for running in self._running.values():
            running.close()
            running.process.set_gone()
        for starting in self._starting.values():
            starting.fail(_guard_lost("was closed"))
        if self._guard_pidfd is not None:
            os.close(self._guard_pidfd)
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    # -- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select():
                key.data()
            while self._work:
                self._work.popleft()()

    def _post(self, work: Callable[[], None]) -> None:
        self._work.append(work)
        self._wake_write.send(b"\0")

    def _drain_wake(self) -> None:
        self._wake_read.recv(4096)

    def _start(self, starting: _Starting) -> None:
        """Ask the guard for a process; the answer comes as an event."""
        try:
            if self._guard_lost:
                raise _guard_lost("ended")
            if self._guard is None:
                self._start_guard()
            assert self._guard_folder is not None
            identity = starting.request["id"] = self._next_id
            self._next_id += 1
            starting.folder = self._guard_folder / str(identity)
            starting.request["env"]["BOXGATE_ENDPOINT"] = f"unix:{starting.folder}/s"
            pipes = [os.pipe(), os.pipe()] if starting.capture_bytes else []
            starting.outputs = [read for read, _ in pipes]
            self._starting[identity] = starting
            try:
                self._send(starting.request, [write for _, write in pipes])
            finally:
                for _, write in pipes:
                    os.close(write)
        except Exception as error:
            starting.fail(error)

    def _start_guard(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, *self._program]
            arguments = [str(theirs.fileno()), str(os.getpid()), str(self._runtime_folder), self._wanted_containment]
            self._guard = subprocess.Popen(
                command + arguments,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # an interrupt typed at the terminal is for the gateway alone
                cwd="/",
                env={},
            )
        ours.settimeout(_START_TIMEOUT_S)
        self._control = ours
        try:
            ready = json.loads(ours.recv(guard_module.MESSAGE_BYTES_MAX))
        except (OSError, ValueError):
            raise _guard_lost("did not start") from None
        self._guard_folder = Path(ready["folder"])
        self._containment = ready["containment"]
        ours.settimeout(None)
        self._selector.register(ours, selectors.EVENT_READ, self._read_event)
        self._guard_pidfd = os.pidfd_open(self._guard.pid)
        self._selector.register(self._guard_pidfd, selectors.EVENT_READ, self._lose_guard)

    def _send_order(self, message: dict[str, object]) -> None:
        with contextlib.suppress(GuardLost):  # with the guard the trees end as well
            self._send(message, [])

    def _send(self, message: dict[str, Any], fds: list[int]) -> None:
        if self._control is None:
            return
        data = json.dumps(message).encode()
        if len(data) > guard_module.MESSAGE_BYTES_MAX:
            raise refusal(message["argv"][0], "has too many or too long arguments", "pass them in a file")
        try:
            socket.send_fds(self._control, [data], fds)
        except OSError as error:
            raise _guard_lost("does not listen") from error

    def _read_event(self) -> None:
        assert self._control is not None
        try:
            data = self._control.recv(guard_module.MESSAGE_BYTES_MAX)
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(self._control)
            return
        event = json.loads(data)
        identity = event["id"]
        if event["event"] == "started":
            self._running[identity] = self._begin(self._starting.pop(identity), identity, event["pid"])
        elif event["event"] == "refused":
            starting = self._starting.pop(identity)
            starting.fail(_refused(starting.name, starting.request["cwd"], event["at"], event["errno"]))
        elif identity in self._running and event["event"] == "exited":
            self._running[identity].process.set_exited(event["status"])
        elif identity in self._running:
            running = self._running.pop(identity)
            for output in list(running.outputs):
                self._drain(running, output, to_the_end=True)
            running.process.set_gone()
        elif identity in self._starting:
            self._starting.pop(identity).fail(_guard_lost("lost the process that should hold the sidecar"))

    def _begin(self, starting: _Starting, identity: int, pid: int) -> _Running:
        tails = (Tail(starting.capture_bytes), Tail(starting.capture_bytes)) if starting.capture_bytes else None
        assert starting.folder is not None
        process = SidecarProcess(identity, pid, starting.folder, self, tails)
        running = _Running(process, dict(zip(starting.outputs, tails or (), strict=True)))
        for output in running.outputs:
            os.set_blocking(output, False)
            self._selector.register(output, selectors.EVENT_READ, lambda output=output: self._drain(running, output))
        if starting.abandoned:
            process.kill()
        starting.future.set_result(process)
        return running

    def _drain(self, running: _Running, output: int, *, to_the_end: bool = False) -> None:
        # One chunk for each turn of the loop, so that a flood of one sidecar does not starve the others.
        with running.reading:
            while output in running.outputs:  # else it was drained to the end earlier in this turn
                data = running.read(output)
                if not data and (data == b"" or to_the_end):
                    self._selector.unregister(output)
                    del running.outputs[output]
                    os.close(output)
                    return
                if not to_the_end:
                    return

    def _lose_guard(self) -> None:
        assert self._guard_pidfd is not None
        self._selector.unregister(self._guard_pidfd)
        assert self._guard is not None
        self._guard.wait()
        self._guard_lost = True
        for running in self._running.values():
            running.process.guard_lost = True
            for output in list(running.outputs):
                self._drain(running, output, to_the_end=True)
            running.process.set_gone()
        self._running.clear()
        for starting in self._starting.values():
            starting.fail(_guard_lost("ended"))
        self._starting.clear()


class _Starting:
    """A start that the guard has not answered yet."""

    def __init__(self, name: str, request: dict[str, Any], capture_bytes: int) -> None:
        self.name = name
        self.request = request
        self.capture_bytes = capture_bytes
        self.folder: Path | None = None
        self.abandoned = False
        self.outputs: list[int] = []
        self.future: Future[SidecarProcess] = Future()

    def fail(self, error: Exception) -> None:
        for output in self.outputs:
            os.close(output)
        self.outputs = []
        self.future.set_exception(error)


class _Running:
    """A process and the outputs that are still open. reading: held by who reads or closes one of them."""

    def __init__(self, process: SidecarProcess, outputs: dict[int, Tail]) -> None:
        self.process = process
        self.outputs = outputs
        self.reading = threading.Lock()

    def read(self, output: int) -> bytes | None:
        """Keep a chunk, as much as a pipe holds, and return it: None for nothing now, empty for nothing ever again."""
        try:
            data = os.read(output, _CHUNK_BYTES)
        except BlockingIOError:
            return None
        self.outputs[output].append(data)
        return data

    def read_waiting(self) -> None:
        with self.reading:
            for output in self.outputs:
                self.read(output)

    def close(self) -> None:
        with self.reading:
            for output in self.outputs:
                os.close(output)
            self.outputs = {}


def _short_folder(wanted: Path | None) -> Path:
    for folder in [wanted] if wanted else [Path(tempfile.gettempdir()), Path("/tmp")]:
        if len(os.fsencode(folder)) <= _FOLDER_BYTES_MAX and folder.is_absolute() and folder.is_dir():
            return folder
    raise UserMistake(
        f"the folder for sockets, {str(wanted or tempfile.gettempdir())!r}, cannot be used",
        where="TMPDIR",
        expected=f"an existing folder with an absolute path of at most {_FOLDER_BYTES_MAX} bytes",
        remedy="set TMPDIR to a shorter path",
        code="RUNTIME_FOLDER",
    )


def _refused(name: str, cwd: str, at: str, number: int) -> BundleExec | GuardLost:
    reason = os.strerror(number)
    if at == "exec":
        return refusal(
            name,
            f"cannot be executed: {reason}",
            "check that it and its interpreter exist, are executable and are built for this machine",
        )
    if at == "cwd":
        return refusal(name, f"cannot be started in {cwd!r}: {reason}", "make that folder accessible")
    return _guard_lost(f"could not prepare a process: {reason}")


def _guard_lost(fault: str) -> GuardLost:
    return GuardLost(
        f"the guard of the sidecars {fault}",
        where="sidecar host",
        expected="one guard process for the whole life of the host",
        remedy="look for what ended it, for example a limit on memory or processes, then run again",
    )
