"""Takes sidecars of this folder through sessions, and looks for what they leave behind."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from boxgate_proto.strategy.v1 import signal_pb2, strategy_pb2, window_pb2
from boxgate_server.sidecars import EventStream, Sidecar, SidecarHost, SidecarLimits

HERE = Path(__file__).parent
GONE_S = 2.0
CLOSED_S = 20.0
"""gRPC closes a connection that never spoke its language when it next looks at it, or at the end of its patience."""
IMPATIENT = SidecarLimits(
    handshake_s=30.0, describe_s=2.0, init_s=5.0, reply_base_s=2.0, reply_per_event_s=0.01, stop_s=0.5
)


@dataclass
class Starter:
    """Starts sidecars of this folder by name and takes them through a session."""

    host: SidecarHost
    limits: SidecarLimits = field(default_factory=lambda: IMPATIENT)
    forked: bool = False

    def start(self, name: str = "", *arguments: str, mode: str = "debug", **limits: float) -> Sidecar:
        script = "misbehaving.py" if name else "raw_sidecar.py"
        command = ["python", str(HERE / script), *([name] if name else []), *arguments]
        changed = replace(self.limits, **limits)  # type: ignore[arg-type]
        return self.host.start(command, cwd=HERE, mode=mode, limits=changed, forked=self.forked)

    def open(
        self, name: str = "", *arguments: str, mode: str = "debug", **limits: float
    ) -> tuple[Sidecar, EventStream]:
        sidecar = self.start(name, *arguments, mode=mode, **limits)
        sidecar.connection.describe(strategy_pb2.DescribeRequest(contract_versions=[1]))
        sidecar.connection.on_init(strategy_pb2.OnInitRequest(session_id="session"))
        return sidecar, sidecar.connection.open_stream("session")

    def run(
        self, name: str = "", *arguments: str, mode: str = "debug", driven: bool = False, **limits: float
    ) -> Sidecar:
        """Open a session, exchange six windows, stop; return the stopped sidecar. driven: the windows are steps."""
        sidecar, stream = self.open(name, *arguments, mode=mode, **limits)
        if driven:
            stream.drive(steps(stream, sidecar.limits.reply_deadline_s(1)))
        else:
            for seq in range(6):
                answer = exchange(stream, seq, sidecar.limits.reply_deadline_s(1))
                if answer.first_seq != seq:  # as a session does
                    raise stream.unsolicited() or AssertionError(answer)
        stream.close()
        sidecar.connection.on_stop(strategy_pb2.OnStopRequest(session_id="session"))
        sidecar.stop()
        return sidecar


def parents(pid: int) -> list[int]:
    """Return the parent of a process, its parent, and so on."""
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


def window(seq: int, count: int = 1) -> bytes:
    message = strategy_pb2.OnEventRequest(window=window_pb2.EventWindow(first_seq=seq, count=count))
    return message.SerializeToString()


def exchange(stream: EventStream, seq: int, deadline_s: float = 2.0) -> signal_pb2.SignalWindow:
    stream.send(window(seq))
    return strategy_pb2.OnEventResponse.FromString(stream.receive(deadline_s, seq=seq)).signals


def steps(stream: EventStream, deadline_s: float = 2.0, windows: int = 6) -> Iterator[bytes]:
    """Exchange windows as driven steps do."""
    for seq in range(windows):
        yield window(seq)
        answer = strategy_pb2.OnEventResponse.FromString(stream.receive(deadline_s, seq=seq)).signals
        if answer.first_seq != seq:
            raise stream.unsolicited() or AssertionError(answer)


def processes_of(folder: Path) -> list[int]:
    """Return the processes whose environment or command line names the folder: guards, sidecars, their trees."""
    mark, found = os.fsencode(folder), []
    for path in Path("/proc").iterdir():
        if re.fullmatch(r"\d+", path.name):
            try:
                seen = (path / "environ").read_bytes() + (path / "cmdline").read_bytes()
            except OSError:
                continue
            if mark in seen and int(path.name) != os.getpid():
                found.append(int(path.name))
    return found


def own_resources() -> set[str]:
    threads = {f"thread {thread.name}" for thread in threading.enumerate()}
    return threads | {f"{fd}" for fd in _own_sockets()}


def _own_sockets() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith(("socket:", "pipe:", "anon_inode:[pidfd]", "/tmp/bt-")):
            found.add(f"{entry.name} -> {target}")
    return found


def until_empty(look: Callable[[], Sequence[object]], patience_s: float = GONE_S) -> Sequence[object]:
    deadline = time.monotonic() + patience_s
    while (left := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
