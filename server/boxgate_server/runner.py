"""The runner: one run after another in one process, which share what does not change between them."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from boxgate_engine.config import RunConfig
from boxgate_server.course import Course
from boxgate_server.outcome import Attachment, Finished, Watcher
from boxgate_server.sessions.recording import Recorder
from boxgate_server.sidecars import SidecarHost
from boxgate_server.stock import Stock


class Runner:
    """Runs one config after another. Not for several threads: a process has one, or some. A context manager.

    Its runs share the host of sidecars and the stock: datasets, markets and digests of files, never a result.
    """

    def __init__(self, *, folder: Path, host: SidecarHost | None = None) -> None:
        """Prepare; nothing is started yet. folder: where relative paths start. host: of sidecars; one is made if
        missing.
        """
        self._folder = folder
        self._own_host = host is None
        self._host = host or SidecarHost()
        self._stock = Stock(folder)

    def run(
        self,
        config: RunConfig,
        *,
        attachment: Attachment | None = None,
        reuse: bool = False,
        watcher: Watcher | None = None,
        store: Path | None = None,
        record: Path | None = None,
    ) -> Finished:
        """Compute a run and publish its artefacts.

        reuse: return a complete run of the same identity, if there is one. store: where the run is published, default
        `artifacts` of the config. record: file for a recording of the session.
        Raises BoxgateError; nothing of a failed run is published, and the runner is good for the next one.
        """
        with nullcontext() if record is None else Recorder(record, mode=config.mode) as recorder:
            course = Course(
                config,
                folder=self._folder,
                stock=self._stock,
                host=self._host,
                attachment=attachment,
                watcher=watcher or Watcher(),
                store=store or self._folder / config.artifacts,
                recorder=recorder,
            )
            return course.execute(reuse)

    def close(self) -> None:
        """Leave nothing behind. Idempotent."""
        if self._own_host:
            self._host.close()

    def __enter__(self) -> Runner:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self.close()
