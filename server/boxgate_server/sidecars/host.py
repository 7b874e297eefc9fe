"""The host of sidecars: starts them, or attaches to running ones, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import re
import secrets
import sys
import threading
import time
from pathlib import Path
from typing import Final

from boxgate_server.errors import AttachAddress, GuardLost, HandshakeBad, PlatformUnsupported
from boxgate_server.sidecars.command import can_be_forked, resolve
from boxgate_server.sidecars.connection import Connection
from boxgate_server.sidecars.endpoint import PinnedSocket
from boxgate_server.sidecars.limits import SidecarLimits
from boxgate_server.sidecars.sidecar import Sidecar, wait_ready
from boxgate_server.sidecars.spawner import Spawner
from boxgate_server.sidecars.versions import CONTRACT_VERSIONS

_TEMPLATE: Final = Path(__file__).with_name("template.py")
_TEMPLATES_MAX: Final = 3
"""Templates that may be lost before sidecars are no longer forked."""
_LOOPBACK = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\]):(\d{1,5})", re.ASCII)


class SidecarHost:
    """Owns spawner threads, a guard and a template, made when they are first needed. A context manager.

    Sidecars may be started from any thread.
    """

    def __init__(self, *, runtime_folder: Path | None = None, containment: str = "auto") -> None:
        """Prepare; nothing is started yet.

        runtime_folder: where private folders are made, default the folder for temporary files; must be short.
        containment: auto takes the best that the host grants: pid_namespace, user_pid_namespace, process_tree.
        """
        self._lock = threading.Lock()
        self._template: Spawner | None = None
        self._templates_lost = 0
        self._runtime_folder = runtime_folder
        self._containment = containment
        self._spawner: Spawner | None = None
        self._attached: list[Sidecar] = []
        self._started: list[Sidecar] = []

    @property
    def containment(self) -> str | None:
        """How the trees of sidecars are held together; None before the first start."""
        spawner = self._spawner or self._template
        return spawner.containment if spawner else None

    def start(
        self,
        command: list[str],
        *,
        cwd: Path,
        mode: str,
        limits: SidecarLimits | None = None,
        forked: bool = False,
        connection: type[Connection] = Connection,
    ) -> Sidecar:
        """Start a sidecar and return it when it serves.

        command: as in the run config. cwd: where it is started, and where its relative paths begin.
        mode: debug keeps the end of its output; prod sends it to /dev/null and shows none of its texts.
        forked: fork it from the template if the command can be; where that fails it is started normally.
        Raises BundleExec before anything is started; SidecarExit, HandshakeTimeout, HandshakeBad, CookieRefused
        after its tree was killed; GuardLost; PlatformUnsupported.
        """
        assert mode in ("debug", "prod")
        if sys.platform != "linux":
            raise PlatformUnsupported(
                f"sidecars cannot be started on {sys.platform}",
                where="sidecar host",
                expected="Linux",
                remedy="start the strategy yourself and use --attach, or run boxgate in a Linux container",
            )
        limits = limits or SidecarLimits()
        argv = resolve(command, cwd)
        sidecar = note = None
        if forked and self._templates_lost < _TEMPLATES_MAX and can_be_forked(command, cwd):
            template = self._running_template()
            with contextlib.suppress(GuardLost):
                sidecar = self._start(template, command[0], argv, cwd, mode, limits, connection)
                sidecar.forked = True
            if sidecar is None:
                self._lose_template(template)
                note = "the template of sidecars was lost; this one was started normally"
        if sidecar is None:
            sidecar = self._start(self._running_spawner(), command[0], argv, cwd, mode, limits, connection)
            sidecar.start_note = note
        with self._lock:
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
        for spawner in (self._template, self._spawner):
            if spawner is not None:
                spawner.close()

    def __enter__(self) -> SidecarHost:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self.close()

    def _start(
        self,
        spawner: Spawner,
        name: str,
        argv: list[str],
        cwd: Path,
        mode: str,
        limits: SidecarLimits,
        connection: type[Connection],
    ) -> Sidecar:
        cookie = secrets.token_hex(32)
        process = spawner.spawn(
            argv,
            name=name,
            cwd=cwd.absolute(),
            env={"BOXGATE_COOKIE": cookie, "BOXGATE_PROTOCOLS": ",".join(map(str, CONTRACT_VERSIONS))},
            capture_bytes=limits.capture_bytes_max if mode == "debug" else 0,
            open_files=limits.open_files_max,
        )
        return wait_ready(process, cookie, mode=mode, limits=limits, connection=connection)

    def _running_template(self) -> Spawner:
        with self._lock:
            if self._template is None:
                self._template = Spawner(
                    runtime_folder=self._runtime_folder,
                    containment=self.containment or self._containment,
                    program=(str(_TEMPLATE),),
                )
            return self._template

    def _lose_template(self, lost: Spawner) -> None:
        with self._lock:
            if self._template is lost:
                self._template = None
                self._templates_lost += 1
        lost.close()

    def _running_spawner(self) -> Spawner:
        with self._lock:
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
