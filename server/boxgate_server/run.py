"""One run, from a config to published artefacts."""

from __future__ import annotations

from pathlib import Path

from boxgate_engine.config import RunConfig
from boxgate_server.outcome import Attachment, Finished, Watcher
from boxgate_server.runner import Runner
from boxgate_server.sidecars import SidecarHost


def run_config(
    config: RunConfig,
    *,
    folder: Path,
    attachment: Attachment | None = None,
    reuse: bool = False,
    watcher: Watcher | None = None,
    host: SidecarHost | None = None,
    store: Path | None = None,
    record: Path | None = None,
) -> Finished:
    """Compute a run and publish its artefacts. folder: where relative paths start.

    reuse: return a complete run of the same identity, if there is one. host: of sidecars; one is made if missing.
    store: where the run is published, default `artifacts` of the config. record: file for a recording of the session.
    Raises BoxgateError; nothing of a failed run is published.
    """
    with Runner(folder=folder, host=host, pooled=False) as runner:
        return runner.run(config, attachment=attachment, reuse=reuse, watcher=watcher, store=store, record=record)
