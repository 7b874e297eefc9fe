"""One sidecar: a process, or an address that somebody else started, with the connection to it."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from boxgate_server.sidecars import faults
from boxgate_server.sidecars.connection import Connection
from boxgate_server.sidecars.endpoint import PinnedSocket
from boxgate_server.sidecars.limits import SidecarLimits
from boxgate_server.sidecars.process import Exit, SidecarProcess

_POLL_S = 0.001
_GONE_TIMEOUT_S = 5.0
_SIGTERM, _SIGKILL = 15, 9
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Sidecar:
    """Made by SidecarHost.start or attach; ready for `connection.describe`. A context manager that kills at its end."""

    def __init__(
        self,
        address: str,
        cookie: str,
        *,
        mode: str,
        limits: SidecarLimits,
        process: SidecarProcess | None,
        socket: PinnedSocket | None,
        connection: type[Connection] = Connection,
    ) -> None:
        """Make the connection; `wait_ready` has checked the socket."""
        self.limits = limits
        self.forked = False
        """Whether it is a fork of the template."""
        self.start_note: str | None = None
        """What a log should tell of its start."""
        self.connection = connection(
            address, cookie, mode=mode, limits=limits, process=process, kill=self._kill_process
        )
        self._process = process
        self._socket = socket
        self._stopped = False
        self._dropped = False
        self._killed = False

    @property
    def pid(self) -> int | None:
        """Process id in the gateway's view; None if attached."""
        return self._process.pid if self._process else None

    @property
    def exit(self) -> Exit | None:
        """How the process ended; None if it runs or is not ours."""
        return self._process.exit if self._process else None

    @property
    def folder(self) -> Path | None:
        """The private folder of its socket; None if attached."""
        return self._process.folder if self._process else None

    @property
    def stopped(self) -> bool:
        """Return whether `stop` or `kill` was called, or its tree is gone after `drop`."""
        return self._stopped or (self._dropped and (self._process is None or self._process.wait_gone(0.0)))

    @property
    def stop_unclean(self) -> bool:
        """Return whether OnStop failed, or the process had to be killed or ended with an error after it."""
        if self.connection.stop_fault is not None or self._killed:
            return True
        end = self.exit
        return end is not None and end.signal != _SIGTERM and end.code not in (0, 128 + _SIGTERM)

    def stdout_tail(self) -> str:
        """Return the end of what it wrote to stdout; empty in prod."""
        return self._process.output(0) if self._process else ""

    def stderr_tail(self) -> str:
        """Return the end of what it wrote to stderr; empty in prod."""
        return self._process.output(1) if self._process else ""

    def stop(self, grace_s: float | None = None) -> None:
        """End it: close the connection, SIGTERM, and after the grace SIGKILL of the whole tree. Idempotent.

        Call `connection.on_stop` before. Returns when no process of the tree is left and its folder is removed.
        """
        if self._stopped:
            return
        self._stopped = True
        self._close_connection()
        if self._process is None:
            return
        grace_s = self.limits.stop_s if grace_s is None else grace_s
        if self._process.exit is None:
            self._process.terminate(grace_s)
        gone = self._process.wait_gone(grace_s + _GONE_TIMEOUT_S)
        self._killed = self._killed or not gone or (self.exit is not None and self.exit.signal == _SIGKILL)

    def kill(self) -> None:
        """Kill the whole tree at once and wait until it is gone. Idempotent."""
        self._kill_process()
        self.stop(0.0)

    def drop(self, grace_s: float = 0.0) -> None:
        """End it as `stop` does, or with no grace as `kill`, and do not wait: `kill` afterwards does. Idempotent."""
        self._dropped = True
        self._close_connection()
        if grace_s > 0.0 and self._process is not None and self._process.exit is None:
            self._process.terminate(grace_s)
        elif self._process is not None:
            self._kill_process()

    def memory_bytes(self) -> int:
        """Return the anonymous memory of the process that was started; 0 if it is over or not ours."""
        with contextlib.suppress(OSError, ValueError):
            _, resident, of_files = Path(f"/proc/{self.pid}/statm").read_bytes().split()[:3]
            return (int(resident) - int(of_files)) * _PAGE_BYTES
        return 0

    def settle_output(self) -> None:
        """Return when all is read that it wrote before the call."""
        if self._process is not None:
            self._process.settle_output()

    def forget_output(self) -> None:
        """Forget all that it wrote before the call."""
        if self._process is not None:
            self._process.forget_output()

    def __enter__(self) -> Sidecar:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it if it was not stopped."""
        self.kill()

    def _kill_process(self) -> None:
        if self._process is not None and self._process.exit is None:
            self._killed = True
            self._process.kill()

    def _close_connection(self) -> None:
        self.connection.close()
        if self._socket is not None:
            self._socket.close()


def wait_ready(
    process: SidecarProcess,
    cookie: str,
    *,
    mode: str,
    limits: SidecarLimits,
    connection: type[Connection] = Connection,
) -> Sidecar:
    """Return the sidecar of a started process when it serves; else kill its tree and raise.

    Raises SidecarExit, HandshakeTimeout, HandshakeBad or CookieRefused.
    """
    deadline = time.monotonic() + limits.handshake_s
    pinned: PinnedSocket | None = None
    sidecar: Sidecar | None = None
    try:
        pinned = _wait_listening(process, mode, limits, deadline)
        sidecar = Sidecar(
            pinned.address, cookie, mode=mode, limits=limits, process=process, socket=pinned, connection=connection
        )
        sidecar.connection.wait_serving(deadline)
    except BaseException:
        process.kill()
        if sidecar is not None:
            sidecar.kill()
        elif pinned is not None:
            pinned.close()
        process.wait_gone(_GONE_TIMEOUT_S)
        raise
    return sidecar


def _wait_listening(process: SidecarProcess, mode: str, limits: SidecarLimits, deadline: float) -> PinnedSocket:
    scene = faults.Scene(mode, process)
    state = "did not bind its endpoint"
    while time.monotonic() < deadline:
        pinned = None
        try:
            pinned = PinnedSocket(process.socket_path)
            if pinned.check_listener(process.pid):
                return pinned
            state = "did not listen at its endpoint"
        except FileNotFoundError:
            pass
        except BaseException:
            if pinned is not None:
                pinned.close()
            raise
        if pinned is not None:
            pinned.close()
        if ended := faults.exited(scene, _POLL_S):
            raise ended
    raise faults.handshake_timeout(scene, state, limits.handshake_s)
