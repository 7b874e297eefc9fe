"""A pool of sidecars: one process serves many sessions, one after the other, where its strategy declares RESET."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.sidecars.connection import Connection
from boxgate_server.sidecars.host import SidecarHost
from boxgate_server.sidecars.limits import SidecarLimits
from boxgate_server.sidecars.process import Exit
from boxgate_server.sidecars.sidecar import Sidecar

Fresh = Literal["forked", "process"]
"""How a process is made that served nobody before: forked from the template where it can be, or started normally."""

_DYING_MAX: Final = 8
_DESCRIPTIONS_MAX: Final = 1000


class SidecarPool:
    """Keeps the processes of strategies warm. All methods may be called from any thread. A context manager."""

    def __init__(
        self, host: SidecarHost, *, sessions_max: int = 500, growth_bytes_max: int = 256 << 20, idle_max: int = 4
    ) -> None:
        """Prepare; nothing is started yet.

        host: starts the processes; it is closed by its owner. sessions_max: of one process. growth_bytes_max: by how
        much the anonymous memory of a process may grow. idle_max: processes kept while nobody leases them.
        """
        self._host = host
        self._sessions_max = sessions_max
        self._growth_bytes_max = growth_bytes_max
        self._idle_max = idle_max
        self._idle: list[_Warm] = []  # the one that was given back last comes last
        self._dying: deque[Sidecar] = deque()
        self._lock = threading.Lock()
        self._closed = False

    def lease(
        self,
        command: list[str],
        *,
        cwd: Path,
        mode: str,
        limits: SidecarLimits | None = None,
        digest: str,
        fresh: Fresh | None = None,
    ) -> Lease:
        """Return a sidecar that serves, for one session at a time.

        command, cwd, mode, limits: as of SidecarHost.start. digest: of the strategy's files; a process that was started
        from others is thrown away. fresh: None takes a warm process, if there is one; else a new one is made.
        Raises what SidecarHost.start raises.
        """
        limits = limits or SidecarLimits()
        key = (tuple(command), cwd.absolute(), mode, limits)
        warm = None if fresh else self._take(key, digest)
        if warm is None:
            sidecar = self._host.start(
                command, cwd=cwd, mode=mode, limits=limits, forked=fresh != "process", connection=SessionConnection
            )
            warm = _Warm(key, digest, sidecar, is_single=fresh is not None, bytes_at_start=sidecar.memory_bytes())
        else:
            warm.sidecar.forget_output()
            warm.connection.stop_fault = None
        return Lease(self, warm)

    def close(self) -> None:
        """Kill what is not leased, and return when it is gone. Idempotent."""
        with self._lock:
            self._closed = True
            left = [*self._dying, *(warm.sidecar for warm in self._idle)]
            self._dying.clear()
            self._idle.clear()
        for sidecar in left:
            sidecar.drop()
        for sidecar in left:
            sidecar.kill()

    def __enter__(self) -> SidecarPool:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind that is not leased."""
        self.close()

    def _take(self, key: _Key, digest: str) -> _Warm | None:
        taken = None
        with self._lock:
            same = [warm for warm in self._idle if warm.key == key]
            stale = [warm for warm in same if warm.digest != digest or warm.sidecar.exit is not None]
            if usable := [warm for warm in same if warm not in stale]:
                taken = usable[-1]
            self._idle = [warm for warm in self._idle if warm is not taken and warm not in stale]
        for warm in stale:
            self._throw_away(warm, 0.0)
        return taken

    def _give_back(self, warm: _Warm) -> None:
        """Keep a process whose session ended, or end it as the contract says."""
        warm.sessions += 1
        with self._lock:
            keep = not self._closed and self._is_trusted(warm)
            if keep:
                self._idle.append(warm)
            surplus = [self._idle.pop(0)] if len(self._idle) > self._idle_max else []
        for each in surplus if keep else [*surplus, warm]:
            self._throw_away(each, each.sidecar.limits.stop_s)

    def _is_trusted(self, warm: _Warm) -> bool:
        return (
            not warm.is_single
            and warm.connection.resets
            and not warm.connection.sessions
            and not warm.sidecar.stop_unclean
            and warm.sidecar.exit is None
            and warm.sessions < self._sessions_max
            and warm.sidecar.memory_bytes() - warm.bytes_at_start <= self._growth_bytes_max
        )

    def _throw_away(self, warm: _Warm, grace_s: float) -> None:
        """End a process without waiting for it, unless many are ending already."""
        warm.sidecar.drop(grace_s)
        with self._lock:
            self._dying.append(warm.sidecar)
            late = [self._dying.popleft()] if len(self._dying) > _DYING_MAX else []
        for sidecar in late:
            sidecar.kill()


class Lease:
    """A sidecar for one session at a time. A context manager: it gives back, and after an exception it kills."""

    def __init__(self, pool: SidecarPool, warm: _Warm) -> None:
        """Made by SidecarPool.lease."""
        self.reused = warm.sessions > 0
        """Whether the process served other sessions before."""
        self._pool = pool
        self._warm = warm
        self._sidecar = warm.sidecar
        self._over: _Ended | None = None

    @property
    def connection(self) -> Connection:
        """Calls to the sidecar. Describe is answered from memory where the process was asked the same before."""
        return self._sidecar.connection

    @property
    def limits(self) -> SidecarLimits:
        """Deadlines and sizes."""
        return self._sidecar.limits

    @property
    def pid(self) -> int | None:
        """Process id in the gateway's view."""
        return self._sidecar.pid

    @property
    def exit(self) -> Exit | None:
        """How the process ended; None if it runs."""
        return self._sidecar.exit

    @property
    def notes(self) -> list[str]:
        """What a log should tell of the start."""
        return [] if self.reused or self._sidecar.start_note is None else [self._sidecar.start_note]

    @property
    def stop_unclean(self) -> bool:
        """Return whether OnStop failed, or the process ended by itself or was killed."""
        return self._over.stop_unclean if self._over else self._sidecar.stop_unclean

    def stdout_tail(self) -> str:
        """Return the end of what was written to stdout since the lease began; empty in prod."""
        return self._over.stdout if self._over else self._sidecar.stdout_tail()

    def stderr_tail(self) -> str:
        """Return the end of what was written to stderr since the lease began; empty in prod."""
        return self._over.stderr if self._over else self._sidecar.stderr_tail()

    def stop(self) -> None:
        """Give the sidecar back after OnStop, and do not wait. Idempotent.

        It is kept if it declared RESET, every session was stopped, nothing was wrong and no bound is reached; else it
        is ended with the grace of its limits. Call it last: whoever gives back trusts the process.
        """
        if self._end():
            self._pool._give_back(self._warm)

    def kill(self) -> None:
        """Throw the process away, and do not wait. Idempotent; of no effect after `stop`."""
        if self._end():
            self._pool._throw_away(self._warm, 0.0)

    def __enter__(self) -> Lease:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give back, after an exception kill."""
        if kind is None:
            self.stop()
        else:
            self.kill()

    def _end(self) -> bool:
        """Take down what the session left; return whether this is the end."""
        if self._over is not None:
            return False
        self._sidecar.settle_output()
        self._over = _Ended(self._sidecar.stop_unclean, self._sidecar.stdout_tail(), self._sidecar.stderr_tail())
        return True


class SessionConnection(Connection):
    """A connection that remembers what was described and which sessions are open.

    The contract lets answers of Describe be kept: they depend on the request alone.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """As Connection."""
        super().__init__(*arguments, **named)
        self.resets = False
        """Whether the last description names RESET."""
        self.sessions: set[str] = set()
        """Accepted and not stopped."""
        self._described: dict[bytes, bytes] = {}

    def describe(self, request: pb.DescribeRequest) -> pb.DescribeResponse:
        """Ask what the strategy is and needs, unless the same was asked before."""
        asked = request.SerializeToString(deterministic=True)
        if (known := self._described.get(asked)) is not None:
            answer = pb.DescribeResponse.FromString(known)
        else:
            answer = super().describe(request)
            if len(self._described) >= _DESCRIPTIONS_MAX:
                self._described.clear()
            self._described[asked] = answer.SerializeToString()
        self.resets = "RESET" in (*answer.supports, *answer.requires)
        return answer

    def on_init(self, request: pb.OnInitRequest) -> pb.OnInitResponse:
        """Open a session."""
        self.sessions.add(request.session_id)
        answer = super().on_init(request)
        if not answer.HasField("accepted"):
            self.sessions.discard(request.session_id)
        return answer

    def on_stop(self, request: pb.OnStopRequest) -> pb.OnStopResponse | None:
        """End a session."""
        answer = super().on_stop(request)
        if answer is not None:
            self.sessions.discard(request.session_id)
        return answer


_Key = tuple[tuple[str, ...], Path, str, SidecarLimits]


@dataclass(eq=False)
class _Warm:
    """A process of the pool. is_single: it serves one lease. bytes_at_start: of anonymous memory."""

    key: _Key
    digest: str
    sidecar: Sidecar
    is_single: bool
    bytes_at_start: int
    sessions: int = 0

    @property
    def connection(self) -> SessionConnection:
        connection = self.sidecar.connection
        assert isinstance(connection, SessionConnection)
        return connection


@dataclass(frozen=True)
class _Ended:
    """What is known of a session after its sidecar was given back."""

    stop_unclean: bool
    stdout: str
    stderr: str
