"""The host of sidecars: starts them, or attaches to running ones, and leaves nothing behind."""

from __future__ import annotations

import re
import secrets
import sys
import time
from pathlib import Path

from boxgate_server.errors import AttachAddress, HandshakeBad, PlatformUnsupported
from boxgate_server.sidecars.command import resolve
from boxgate_server.sidecars.endpoint import PinnedSocket
from boxgate_server.sidecars.limits import SidecarLimits
from boxgate_server.sidecars.sidecar import Sidecar, wait_ready
from boxgate_server.sidecars.spawner import Spawner
from boxgate_server.sidecars.versions import CONTRACT_VERSIONS

_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\]):(\d{1,5})", re.ASCII)


class SidecarHost:
    """Owns one spawner thread and one guard process, both made with the first start. A context manager."""

    def __init__(self, *, runtime_folder: Path | None = None, containment: str = "auto") -> None:
        """Prepare; nothing is started yet.

        runtime_folder: where private folders are made, default the folder for temporary files; must be short.
        containment: auto takes the best that the host grants: pid_namespace, user_pid_namespace, process_tree.
        """
        self._runtime_folder = runtime_folder
        self._containment = containment
        self._spawner: Spawner | None = None
        self._attached: list[Sidecar] = []
        self._started: list[Sidecar] = []

    @property
    def containment(self) -> str | None:
        """How the trees of sidecars are held together; None before the first start."""
        return self._spawner.containment if self._spawner else None

    def start(self, command: list[str], *, cwd: Path, mode: str, limits: SidecarLimits | None = None) -> Sidecar:
        """Start a sidecar and return it when it serves.

        command: as in the run config. cwd: where it is started, and where its relative paths begin.
        mode: debug keeps the end of its output; prod sends it to /dev/null and shows none of its texts.
        Raises BundleExec before anything is started; SidecarExit, HandshakeTimeout, HandshakeBad, CookieRefused
        after its tree was killed; GuardLost; PlatformUnsupported.
        """
        assert mode in ("debug", "prod")
        limits = limits or SidecarLimits()
        argv = resolve(command, cwd)
        cookie = secrets.token_hex(32)
        env = {"BOXGATE_COOKIE": cookie, "BOXGATE_PROTOCOLS": ",".join(map(str, CONTRACT_VERSIONS))}
        process = self._running_spawner().spawn(
            argv,
            name=command[0],
            cwd=cwd.absolute(),
            env=env,
            capture_bytes=limits.capture_bytes_max if mode == "debug" else 0,
            open_files=limits.open_files_max,
        )
        sidecar = wait_ready(process, cookie, mode=mode, limits=limits)
        self._started = [*(other for other in self._started if not other.stopped), sidecar]
        return sidecar

    def attach(self, address: str, cookie: str, *, mode: str = "debug", limits: SidecarLimits | None = None) -> Sidecar:
        """Return a sidecar that somebody else started, for example under a debugger; it is never killed.

        address: `unix:/absolute/path` or `host:port` on this host. Raises AttachAddress, HandshakeTimeout,
        HandshakeBad or CookieRefused.
        """
        limits = limits or SidecarLimits()
        pinned = None
        if address.startswith("unix:/"):
            try:
                pinned = PinnedSocket(Path(address.removeprefix("unix:")))
            except FileNotFoundError:
                raise _bad_address(address, "there is no such socket") from None
            except HandshakeBad as fault:
                raise _bad_address(address, fault.what) from None
        elif not _LOOPBACK.fullmatch(address):
            raise _bad_address(address, "it is not an address of this host")
        sidecar = Sidecar(
            pinned.address if pinned else address, cookie, mode=mode, limits=limits, process=None, socket=pinned
        )
        try:
            sidecar.connection.wait_serving(time.monotonic() + limits.handshake_s)
        except BaseException:
            sidecar.stop()
            raise
        self._attached.append(sidecar)
        return sidecar

    def close(self) -> None:
        """Close every connection, kill every started sidecar, end the guard. Idempotent."""
        for sidecar in [*self._started, *self._attached]:
            sidecar.kill()
        self._started.clear()
        self._attached.clear()
        if self._spawner is not None:
            self._spawner.close()

    def __enter__(self) -> SidecarHost:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self.close()

    def _running_spawner(self) -> Spawner:
        if sys.platform != "linux":
            raise PlatformUnsupported(
                f"sidecars cannot be started on {sys.platform}",
                where="sidecar host",
                expected="Linux",
                remedy="start the strategy yourself and use --attach, or run boxgate in a Linux container",
            )
        if self._spawner is None:
            self._spawner = Spawner(runtime_folder=self._runtime_folder, containment=self._containment)
        return self._spawner


def _bad_address(address: str, fault: str) -> AttachAddress:
    return AttachAddress(
        f"cannot attach to {address!r}: {fault}",
        where="--attach",
        expected="unix:/absolute/path, localhost:port, 127.0.0.1:port or [::1]:port of a running sidecar",
        remedy="start the strategy with BOXGATE_ENDPOINT set to such an address first",
    )
