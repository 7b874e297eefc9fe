"""The runner: one run after another in one process, which share what does not change between them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import BoxgateError
from boxgate_server.outcome import Attachment, Finished, Watcher
from boxgate_server.sidecars import Fresh, SidecarHost, SidecarPool
from boxgate_server.starting import Starter
from boxgate_server.strategy_files import StrategyFiles

if TYPE_CHECKING:
    from boxgate_server.stock import Stock


class Runner:
    """Runs one config after another. Not for several threads: a process has one, or some. A context manager.

    Its runs share the host of sidecars, their pool and the stock: datasets, markets and digests of files, never a
    result.
    """

    def __init__(self, *, folder: Path, host: SidecarHost | None = None, pooled: bool = True) -> None:
        """Prepare; nothing is started yet.

        folder: where relative paths start. host: of sidecars; one is made if missing. pooled: processes of strategies
        that declare RESET serve many runs; else each run has its own, and waits for its end.
        """
        self._folder = folder
        self._closing = ExitStack()
        self._host = host or self._closing.enter_context(SidecarHost())
        self._pool = self._closing.enter_context(SidecarPool(self._host)) if pooled else None
        self._executor = self._closing.enter_context(ThreadPoolExecutor(1, thread_name_prefix="boxgate-beside"))
        self._files = StrategyFiles(folder)
        self._stock: Stock | None = None

    def run(
        self,
        config: RunConfig,
        *,
        attachment: Attachment | None = None,
        fresh: Fresh | None = None,
        reuse: bool = False,
        watcher: Watcher | None = None,
        store: Path | None = None,
        record: Path | None = None,
        durable: bool = True,
    ) -> Finished:
        """Compute a run and publish its artefacts.

        fresh: the process of the strategy serves nobody else, where there is a pool; see SidecarPool.lease. reuse:
        return a complete run of the same identity, if there is one. store: where the run is published, default
        `artifacts` of the config. record: file for a recording of the session. durable: what is published is on the
        disk when this returns; else the caller calls `sync_store` before it relies on that.
        Raises BoxgateError; nothing of a failed run is published, and the runner is good for the next one.
        """
        starter = Starter(
            config, folder=self._folder, host=self._host, pool=self._pool, fresh=fresh, attachment=attachment
        )
        store = store or self._folder / config.artifacts
        try:
            if self._pool is None and attachment is None:
                with suppress(BoxgateError):  # the course of the run raises it in its turn
                    starter.begin(self._files.digest(config, store))
            watcher = watcher or Watcher()
            return self._run(config, starter, reuse=reuse, watcher=watcher, store=store, record=record, durable=durable)
        finally:
            starter.drop()

    def _run(
        self,
        config: RunConfig,
        starter: Starter,
        *,
        reuse: bool,
        watcher: Watcher,
        store: Path,
        record: Path | None,
        durable: bool,
    ) -> Finished:
        # Loading the engine takes longer than the start of a strategy, which goes on meanwhile.
        from boxgate_server.course import Course
        from boxgate_server.sessions.recording import Recorder
        from boxgate_server.stock import Stock

        if self._stock is None:
            self._stock = Stock(self._folder)
        with nullcontext() if record is None else Recorder(record, mode=config.mode) as recorder:
            course = Course(
                config,
                folder=self._folder,
                stock=self._stock,
                files=self._files,
                starter=starter,
                watcher=watcher,
                store=store,
                recorder=recorder,
                durable=durable,
                executor=self._executor,
            )
            return course.execute(reuse)

    def close(self) -> None:
        """Leave nothing behind. Idempotent."""
        self._closing.close()

    def __enter__(self) -> Runner:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self.close()
