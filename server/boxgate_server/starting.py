"""The start of a strategy: a process of its own, one of a pool, or one that somebody else started."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

from boxgate_engine.config import RunConfig
from boxgate_server.outcome import Attachment
from boxgate_server.sidecars import Fresh, Lease, Sidecar, SidecarHost, SidecarLimits, SidecarPool


class Starter:
    """Starts the strategy of a run, as often as it is asked to."""

    def __init__(
        self,
        config: RunConfig,
        *,
        folder: Path,
        host: SidecarHost,
        pool: SidecarPool | None = None,
        fresh: Fresh | None = None,
        attachment: Attachment | None = None,
    ) -> None:
        """Prepare. folder: where the strategy is started. pool, fresh: where it is leased from, None for no pool."""
        limits = config.limits
        self.limits = SidecarLimits(
            handshake_s=limits.handshake_s,
            reply_base_s=limits.reply_base_s,
            reply_per_event_s=limits.reply_per_event_s,
            stop_s=limits.stop_grace_s,
        )
        self.attachment = attachment
        self.host = host
        self._config = config
        self._folder = folder
        self._pool = pool
        self._fresh = fresh
        self._begun: Future[Sidecar] | None = None
        self._begun_from = ""

    def begin(self, digest: str) -> None:
        """Begin a process of its own for the first `start`, beside what the caller does until then. digest: as there.

        The digest is that of files which were read before: what the process reads is not older.
        """
        begun: Future[Sidecar] = Future()

        def work() -> None:
            try:
                begun.set_result(self._own())
            except BaseException as error:
                begun.set_exception(error)

        self._begun, self._begun_from = begun, digest
        threading.Thread(target=work, name="boxgate-start").start()

    def start(self, digest: str) -> Sidecar | Lease:
        """Return a sidecar that serves. digest: of the strategy's files. Raises what SidecarHost.start or attach do."""
        mode = self._config.mode
        if self.attachment is not None:
            return self.host.attach(self.attachment.address, self.attachment.cookie, mode=mode, limits=self.limits)
        if self._pool is not None:
            command = list(self._config.strategy.command)
            return self._pool.lease(
                command, cwd=self._folder, mode=mode, limits=self.limits, digest=digest, fresh=self._fresh
            )
        if self._begun_from != digest:
            self.drop()
        begun, self._begun = self._begun, None
        return self._own() if begun is None else begun.result()

    def drop(self) -> None:
        """Kill what was begun and nobody asked for."""
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.add_done_callback(_kill)

    def _own(self) -> Sidecar:
        command = list(self._config.strategy.command)
        return self.host.start(command, cwd=self._folder, mode=self._config.mode, limits=self.limits)


def _kill(begun: Future[Sidecar]) -> None:
    if begun.exception() is None:
        begun.result().kill()
