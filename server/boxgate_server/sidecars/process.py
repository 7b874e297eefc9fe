"""One started process of a sidecar, as the gateway sees it."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from boxgate_server.sidecars.capture import Tail

_SOCKET_NAME = "s"
_DRAIN_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Exit:
    """How a process ended: exactly one of the two is set."""

    code: int | None
    signal: int | None

    @property
    def outcome(self) -> str:
        """Return ok, failed or killed: all that prod says, since code and signal can carry a message."""
        if self.signal is not None:
            return "killed"
        return "ok" if self.code == 0 else "failed"

    def __str__(self) -> str:
        """Return for example `code 3` or `signal SIGSEGV`."""
        if self.signal is None:
            return f"code {self.code}"
        try:
            return f"signal {signal.Signals(self.signal).name}"
        except ValueError:
            return f"signal {self.signal}"


class Orders(Protocol):
    """What a process asks of its spawner."""

    def order(self, message: dict[str, object]) -> None:
        """Pass a message on to the guard."""

    def drain(self, identity: int) -> None:
        """Return when all is read that the process wrote before the call."""


class SidecarProcess:
    """Its state is set by the spawner's thread and may be read and awaited by any."""

    def __init__(self, identity: int, pid: int, folder: Path, orders: Orders, tails: tuple[Tail, Tail] | None) -> None:
        self.pid = pid
        self.folder = folder
        self.exit: Exit | None = None
        self.guard_lost = False
        self._identity = identity
        self._orders = orders
        self._tails = tails
        self._exited = threading.Event()
        self._gone = threading.Event()

    @property
    def socket_path(self) -> Path:
        """Where the sidecar is told to listen."""
        return self.folder / _SOCKET_NAME

    def wait_exited(self, timeout_s: float) -> Exit | None:
        """Return how it ended, or None if it still runs after the timeout."""
        self._exited.wait(timeout_s)
        return self.exit

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until no process of the tree is left, its folder is removed and its output is drained."""
        return self._gone.wait(timeout_s)

    def kill(self) -> None:
        """Kill the whole tree."""
        self._orders.order({"op": "kill", "id": self._identity})

    def terminate(self, grace_s: float) -> None:
        """Send SIGTERM, and after the grace kill the whole tree."""
        self._orders.order({"op": "stop", "id": self._identity, "grace_s": grace_s})

    def output(self, index: int) -> str:
        """Return the kept end of stdout (0) or stderr (1); empty in prod."""
        return self._tails[index].text() if self._tails else ""

    def settle_output(self) -> None:
        """Return when all is read that it wrote before the call; nothing is in prod."""
        if self._tails is not None and not self._gone.is_set():
            self._orders.drain(self._identity)

    def forget_output(self) -> None:
        """Forget all that it wrote before the call: it belongs to nobody who asks from now on."""
        self.settle_output()
        for tail in self._tails or ():
            tail.clear()

    def end_of_stderr(self, lines_max: int = 60) -> str:
        """Kill the tree and return the last lines of all that it wrote to stderr; empty in prod.

        For the message of a fault, which ends the tree in any case: before its end, what was written may not be read.
        """
        if self._tails is None:
            return ""
        self.kill()
        self.wait_gone(_DRAIN_TIMEOUT_S)
        return "\n".join(self.output(1).splitlines()[-lines_max:])

    def set_exited(self, status: int) -> None:
        """Record how it ended; `status` as of waitpid. The spawner's thread calls it."""
        killed = status & 0x7F
        self.exit = Exit(None, killed) if killed else Exit(status >> 8, None)
        self._exited.set()

    def set_gone(self) -> None:
        """Record that nothing is left. The spawner's thread calls it."""
        if self.exit is None:  # whoever would have told how it ended was killed, and the tree with it
            self.exit = Exit(None, signal.SIGKILL)
        self._exited.set()
        self._gone.set()
