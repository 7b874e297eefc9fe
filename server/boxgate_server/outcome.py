"""What a caller gives to a run besides its config, and what it gets back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A sidecar that is already running. address: as BOXGATE_ENDPOINT; cookie: as BOXGATE_COOKIE."""

    address: str
    cookie: str


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run that is done. published: new, kept or reused. report: the page, if there is one.

    rejections: reason → rejected signals, the most frequent first. fills: how many there were.
    """

    run_id: str
    result_digest: str
    seed: int
    mode: str
    folder: Path
    published: str
    metrics: Mapping[str, Any]
    delivery: Mapping[str, Any]
    timing_s: Mapping[str, float]
    events_per_s: float | None
    rejections: Mapping[str, int]
    fills: int

    @property
    def report(self) -> Path | None:
        """The page of the run, None if it was switched off."""
        page = self.folder / "report.html"
        return page if page.exists() else None

    @property
    def bands(self) -> Mapping[str, Any] | None:
        """Content of bands.json, None if no band was asked for."""
        from boxgate_engine.artefacts import BANDS_FILE  # who only names an outcome does without the engine

        file = self.folder / BANDS_FILE
        return dict(json.loads(file.read_bytes())) if file.exists() else None


@dataclass(kw_only=True)
class Watcher:
    """What a caller wants to hear while a run goes on.

    stage: a clause for people. events: (done, total) events of the tape. log: each line of the run's log.
    """

    stage: Callable[[str], None] = lambda _: None
    events: Callable[[int, int], None] = lambda _done, _total: None
    log: Callable[[Mapping[str, Any]], None] = lambda _: None
