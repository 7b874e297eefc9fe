"""What this machine can do for Boxgate, found out by doing it, and what to do about the rest."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

Status = Literal["ok", "warning", "missing", "absent"]

LIBRARIES: Final = ("boxgate-engine", "boxgate-sdk", "grpcio", "numba", "numpy", "polars", "protobuf", "pyarrow")
EXTRAS: Final = {
    "exchange_calendars": (
        "trading hours of stock exchanges, for the quality of imported data",
        "'boxgate-engine[calendars]'",
    ),
    "matplotlib": ("pictures of charts: boxgate report --png", "'boxgate-engine[png]'"),
    "s3fs": ("datasets and stores of matrices in S3 by fsspec, where pyarrow's own S3 does not do", "s3fs"),
}
"""Module -> (what it is for, what to install); each is installed only by whom needs it."""
TOOL_CHAINS: Final = {
    "g++": ("C++", "apt-get install g++ cmake"),
    "go": ("Go", "apt-get install golang"),
    "cargo": ("Rust", "apt-get install cargo"),
    "javac": ("Java", "apt-get install default-jdk"),
    "node": ("TypeScript", "apt-get install nodejs npm"),
}
"""Compiler -> (language, how to get it on Debian); for building a strategy, never for running one that is built."""

_FREE_BYTES_MIN: Final = 2 << 30
_MEMORY_BYTES_MIN: Final = 2 << 30
_SOCKET_PATH_BYTES_MAX: Final = 107


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One thing that was tried.

    status: missing = a run is impossible without it; warning = something is slower or weaker; absent = not there, and
    needed for nothing but what needed_for says.
    found: what was seen. needed_for: why it matters. remedy: how to get it; empty if all is well.
    """

    name: str
    status: Status
    found: str
    needed_for: str
    remedy: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def examine(*, root: Path, cache: Path, store: Path, warm: bool) -> Iterator[Check]:
    """Yield one check after another. warm: compile now what is not compiled yet."""
    yield _system()
    yield _python()
    yield _libraries()
    yield _processors()
    yield _memory()
    for name, folder, purpose in (
        ("datasets", root, "frozen market data"),
        ("cache", cache, "the copies that runs map"),
        ("artifacts", store, "the folders of published runs"),
    ):
        yield _folder(name, folder, purpose)
    yield _mapping(cache)
    yield _zones()
    yield _loopback()
    yield _bytecode()
    yield _engine(warm)
    yield from _sidecar()
    yield from _extras()
    yield from _tool_chains()


def _system() -> Check:
    found = f"{platform.system()} {platform.release()} {platform.machine()}"
    if platform.system() == "Linux":
        return Check(name="system", status="ok", found=found, needed_for="starting strategies")
    return Check(
        name="system",
        status="warning",
        found=found,
        needed_for="starting strategies, which needs Linux",
        remedy="use a Linux container, or start the strategy yourself and run with --attach",
    )


def _python() -> Check:
    return Check(
        name="python", status="ok", found=f"{platform.python_version()} at {sys.executable}", needed_for="everything"
    )


def _libraries() -> Check:
    found, absent = [f"boxgate {importlib.metadata.version('boxgate')}"], []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
    return Check(
        name="libraries",
        status="missing" if absent else "ok",
        found=", ".join(found) + (f"; without {', '.join(absent)}" if absent else ""),
        needed_for="everything",
        remedy=f"pip install {' '.join(absent)}" if absent else "",
    )


def _processors() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check(
        name="processors",
        status="ok" if usable > 1 else "warning",
        found=f"{usable} usable",
        needed_for="strategy and engine side by side, and several runs at once",
        remedy="" if usable > 1 else "give the machine a second one: strategy and engine share this one",
    )


def _memory() -> Check:
    needed_for = "the engine; series are mapped, not loaded"
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return Check(name="memory", status="ok", found="unknown", needed_for=needed_for)
    little = available < _MEMORY_BYTES_MIN
    return Check(
        name="memory",
        status="warning" if little else "ok",
        found=f"{_size(available)} available",
        needed_for=needed_for,
        remedy="close other programs, or import and run in smaller pieces" if little else "",
    )


def _folder(name: str, folder: Path, purpose: str) -> Check:
    existing = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    where = str(folder) if existing == folder.absolute() else f"{folder} (to be made)"
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Check(
            name=name,
            status="missing",
            found=f"{where} cannot be written: {error.strerror}",
            needed_for=purpose,
            remedy="choose another folder, or get the right to write there",
        )
    free = shutil.disk_usage(existing).free
    return Check(
        name=name,
        status="warning" if free < _FREE_BYTES_MIN else "ok",
        found=f"{where}, {_size(free)} free",
        needed_for=purpose,
        remedy="" if free >= _FREE_BYTES_MIN else "free some space",
    )


def _mapping(cache: Path) -> Check:
    """Map a small file beside the cache, as every run does."""
    import mmap

    existing = next(place for place in (cache.absolute(), *cache.absolute().parents) if place.exists())
    needed_for = "reading data without copying them"
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"boxgate")
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                sound = mapped[:] == b"boxgate"
    except OSError as error:
        sound, fault = False, error.strerror or str(error)
    else:
        fault = "other bytes"
    return Check(
        name="mapping",
        status="ok" if sound else "warning",
        found="files can be mapped" if sound else f"a file in {existing} cannot be mapped: {fault}",
        needed_for=needed_for,
        remedy="" if sound else "put the cache on a local disk, or set data_provider.memory_map: false",
    )


def _zones() -> Check:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo("America/New_York")
    except (ZoneInfoNotFoundError, OSError):
        return Check(
            name="time zones",
            status="warning",
            found="no zone database",
            needed_for="importing data in local time, and the FX week",
            remedy="pip install tzdata, or apt-get install tzdata",
        )
    return Check(name="time zones", status="ok", found="zone database", needed_for="data in local time, the FX week")


def _loopback() -> Check:
    needed_for = "sidecars by address, and history served over the network"
    try:
        with socket.create_server(("127.0.0.1", 0)):
            return Check(name="loopback", status="ok", found="127.0.0.1", needed_for=needed_for)
    except OSError as error:
        return Check(
            name="loopback",
            status="warning",
            found=f"cannot listen: {error.strerror}",
            needed_for=needed_for,
            remedy="bring the loopback interface up: ip link set lo up",
        )


def _engine(warm: bool) -> Check:
    from boxgate_engine.kernel import is_compiled

    needed_for = "a first run without a minute or two of compiling"
    if warm:
        from boxgate_server.warming import warm_up

        done = warm_up()
        count = len(done.compiled)
        functions = f"{count} function{'' if count == 1 else 's'}"
        found = f"{functions} compiled now, in {done.seconds:.0f} s" if count else "compiled, nothing was left to do"
        return Check(name="engine", status="ok", found=found, needed_for=needed_for)
    if is_compiled():
        return Check(name="engine", status="ok", found="compiled", needed_for=needed_for)
    return Check(
        name="engine",
        status="warning",
        found="not compiled yet",
        needed_for=needed_for,
        remedy="boxgate doctor --warm compiles it now; else the first run does",
    )


def _bytecode() -> Check:
    """See whether Python finds its libraries compiled, as it leaves them after first use unless it is told not to."""
    needed_for = "starting in a second instead of two"
    spec = importlib.util.find_spec("numba")
    kept = spec is not None and spec.cached is not None and Path(spec.cached).exists()
    if kept or not sys.dont_write_bytecode:
        return Check(name="bytecode", status="ok", found="kept", needed_for=needed_for)
    return Check(
        name="bytecode",
        status="warning",
        found="not kept: Python compiles every library anew in each process",
        needed_for=needed_for,
        remedy="unset PYTHONDONTWRITEBYTECODE, or run python -m compileall over the environment once",
    )


_PROBE: Final = """\
from boxgate_sdk import Strategy, serve


class Probe(Strategy):
    name = "doctor"

    def on_event(self, event):
        return None


serve(Probe)
"""


def _sidecar() -> Iterator[Check]:
    """Start a strategy as a run does, and see how well its processes can be held together."""
    from boxgate_engine.errors import BoxgateError
    from boxgate_proto.strategy.v1 import strategy_pb2
    from boxgate_server.sidecars import CONTRACT_VERSIONS, SidecarHost

    longest = len(str(Path(tempfile.gettempdir()) / f"boxgate-{'0' * 12}" / "0000" / "sidecar.sock"))
    if longest > _SOCKET_PATH_BYTES_MAX:
        yield Check(
            name="sidecar",
            status="missing",
            found=f"the folder for temporary files is {longest} bytes deep",
            needed_for="the Unix socket of a strategy, whose path holds 107 bytes",
            remedy="set TMPDIR to a shorter folder, such as /tmp",
        )
        return
    with tempfile.TemporaryDirectory() as folder, SidecarHost() as host:
        (Path(folder) / "probe.py").write_text(_PROBE)
        started = time.monotonic()
        try:
            sidecar = host.start(["python", "probe.py"], cwd=Path(folder), mode="debug")
            ready_ms = (time.monotonic() - started) * 1e3
            name = sidecar.connection.describe(strategy_pb2.DescribeRequest(contract_versions=CONTRACT_VERSIONS)).name
        except BoxgateError as error:
            yield Check(
                name="sidecar",
                status="missing",
                found=f"{error.error_code}: {error.what}",
                needed_for="running a strategy as a process of its own",
                remedy=error.remedy,
            )
            return
        assert name == "doctor"
        yield Check(
            name="sidecar",
            status="ok",
            found=f"a Python strategy was ready in {ready_ms:.0f} ms",
            needed_for="running a strategy as a process of its own",
        )
        held = host.containment or ""
        strong = held.endswith("pid_namespace")
        yield Check(
            name="containment",
            status="ok" if strong else "warning",
            found=held,
            needed_for="ending a strategy with everything it started",
            remedy=""
            if strong
            else "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1); a tree of processes is ended "
            "one by one until then",
        )


def _extras() -> Iterator[Check]:
    for module, (purpose, package) in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        yield Check(
            name=module,
            status="ok" if there else "absent",
            found="installed" if there else "not installed",
            needed_for=purpose,
            remedy="" if there else f"pip install {package}",
        )


def _tool_chains() -> Iterator[Check]:
    for program, (language, remedy) in TOOL_CHAINS.items():
        version = _version_of(program)
        yield Check(
            name=program,
            status="ok" if version else "absent",
            found=version or "not found",
            needed_for=f"building a strategy in {language}",
            remedy="" if version else remedy,
        )


def _version_of(program: str) -> str | None:
    path = shutil.which(program)
    if path is None:
        return None
    arguments = ["version"] if program == "go" else ["--version"]
    try:
        told = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return (told.stdout or told.stderr).strip().splitlines()[0]


def _size(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 30):,.1f} GiB"
