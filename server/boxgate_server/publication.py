"""From a run that is computed to its folder, and to what the caller is told."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxgate_engine.artefacts import RunArtefacts, RunLog, StoredRun, publish_run, table_bytes
from boxgate_engine.artefacts.tags import change_tags
from boxgate_engine.benchmark import Held, benchmark_table
from boxgate_engine.beside import Beside
from boxgate_engine.config import RunConfig, resolve_config, semantic_keys
from boxgate_engine.datasets import Dataset
from boxgate_engine.market import Market
from boxgate_engine.metrics.benchmark import BENCHMARK_FILE
from boxgate_engine.results import Results
from boxgate_engine.tables import Tables
from boxgate_server.ending import Ending
from boxgate_server.outcome import Finished
from boxgate_server.page import render_page
from boxgate_server.sessions.opening import Described
from boxgate_server.stopwatch import Stopwatch

_LIBRARIES = ("grpcio", "numba", "numpy", "polars", "protobuf", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A computed run. folder: where relative paths start. identified: its strategy is known by its files.

    files: of the tables of the results. events: of the tape. round_trips: of the session. containment: how the sidecar
    is held, None if it is attached. durable: whether the run is on the disk when it is published, see `publish_run`.
    """

    config: RunConfig
    folder: Path
    store: Path
    run_id: str
    identity: Mapping[str, Any]
    identified: bool
    seed: int
    start_ns: int
    end_ns: int
    market: Market
    dataset: Dataset
    described: Described
    results: Results
    files: Beside[dict[str, bytes]]
    metrics: dict[str, Any]
    held: Sequence[Held]
    bands: Mapping[str, Any] | None
    events: int
    round_trips: int
    containment: str | None
    ending: Ending
    log: RunLog
    clock: Stopwatch
    durable: bool = True

    def publish(self) -> Finished:
        """Write the folder of the run, with all that became known to the end of its sidecar."""
        config, tables = self.config, self.results.tables
        with self.clock.measure("artefacts"):
            self._note_rejections(tables)
            files = {**self.files.value(), BENCHMARK_FILE: table_bytes(benchmark_table(self.held))}
            self.ending.note()  # after what can be done without: it may wait
            digest = self.results.digest.value()
            self.log.write("run_completed", "run completed", fields={"result_digest": digest})
            resolved = resolve_config(
                config,
                dataset=self.dataset.hash,
                params=self.described.params,
                start_ns=self.start_ns,
                end_ns=self.end_ns,
                folder=self.folder,
            )
            page = None
            if config.report.html:
                page = render_page(
                    self.market, self.dataset, start_ns=self.start_ns, end_ns=self.end_ns, run_id=self.run_id,
                    digest=digest, assets=config.report.assets,
                )  # fmt: skip
            published = publish_run(
                RunArtefacts(
                    run_id=self.run_id,
                    identity=self.identity,
                    resolved=semantic_keys(resolved),
                    params=self.described.params,
                    metrics=self.metrics,
                    tables=files,
                    result_digest=digest,
                    log=self.log.ndjson(),
                    environment=self._environment(),
                    bands=self.bands,
                    render=page,
                ),
                self.store,
                durable=self.durable,
            )
            change_tags(published.folder, add=config.tags)
        timing = self.clock.report()
        return Finished(
            run_id=self.run_id,
            result_digest=digest,
            seed=self.seed,
            mode=config.mode,
            folder=published.folder.resolve(),
            published=published.published,
            metrics=self.metrics,
            delivery=self._delivery(),
            timing_s=timing,
            events_per_s=self.events / timing["session"] if timing["session"] > 0 else None,
            rejections=_rejections(tables),
            fills=tables.fills.num_rows,
        )

    def _note_rejections(self, tables: Tables) -> None:
        signals = tables.signals
        if _has_rejected(signals):
            for row in signals.filter(signals["reject_reason"].is_valid()).to_pylist():
                self._note_rejection(f"{row['instrument']} {row['side']}", row["reject_reason"], row["seq"])
        if tables.orders is not None:
            for row in _rejected(tables.orders).to_pylist():
                name = f"order {row['number']}, {row['instrument']} {row['side']} {row['type']}"
                self._note_rejection(name, row["reason"], row["seq"])

    def _note_rejection(self, name: str, reason: str, seq: int) -> None:
        self.log.write("rejected", f"{name}: {reason}", source="engine", seq=seq, fields={"reason": reason})

    def _delivery(self) -> dict[str, Any]:
        execution = self.config.execution
        return {
            "mode": execution.delivery,
            "window_events": execution.window_events,
            "round_trips": self.round_trips,
        }

    def _environment(self) -> dict[str, Any]:
        return {
            "schema": "boxgate.environment/1",
            "host": {"machine": platform.machine(), "system": platform.system(), "release": platform.release()},
            "python": platform.python_version(),
            "libraries": {name: _version(name) for name in _LIBRARIES},
            "boxgate": _version("boxgate"),
            "sandbox": {"level": "none", "containment": self.containment},
            "strategy_identified": self.identified,
            "strategy": {"name": self.described.name, "version": self.described.version},
            "seed": self.seed,
            "delivery": self._delivery(),
            "timing_s": self.clock.report(),
        }


@functools.cache
def _version(name: str) -> str:
    """Return the version of an installed distribution; it is read from its files, so once a process."""
    return importlib.metadata.version(name)


def reused(stored: StoredRun, config: RunConfig, *, seed: int, clock: Stopwatch) -> Finished:
    """Return what a run is told that was there already."""
    tables = stored.tables()
    execution = config.execution
    return Finished(
        run_id=stored.run_id,
        result_digest=stored.result_digest,
        seed=seed,
        mode=config.mode,
        folder=stored.folder.resolve(),
        published="reused",
        metrics=stored.json("metrics.json"),
        delivery={"mode": execution.delivery, "window_events": execution.window_events, "round_trips": 0},
        timing_s=clock.report(),
        events_per_s=None,
        rejections=_rejections(tables),
        fills=tables.fills.num_rows,
    )


def _rejections(tables: Tables) -> dict[str, int]:
    """Return how many signals or orders were rejected for each reason, the most frequent first."""
    if tables.orders is not None:
        reasons = _rejected(tables.orders)["reason"]
    elif _has_rejected(tables.signals):
        reasons = tables.signals["reject_reason"].drop_null()
    else:
        return {}
    ordered = sorted(reasons.value_counts().to_pylist(), key=lambda entry: (-entry["counts"], entry["values"]))
    return {entry["values"]: entry["counts"] for entry in ordered}


def _has_rejected(signals: Any) -> bool:
    """Return whether any signal was rejected: most runs have none, and looking for them takes longer than this."""
    return bool(signals["reject_reason"].null_count < signals.num_rows)


def _rejected(orders: Any) -> Any:
    """Return the rows of the orders that were rejected."""
    import pyarrow.compute as pc

    return orders.filter(pc.equal(orders["outcome"], "REJECTED"))
