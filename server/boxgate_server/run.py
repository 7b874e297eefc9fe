"""One run, from a config to published artefacts: composes datasets, sidecar, session, engine and artefacts."""

from __future__ import annotations

import importlib.metadata
import platform
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from boxgate_engine import identity as identities
from boxgate_engine.artefacts import LEDGER_FILE, RunArtefacts, RunLog, StoredRun, prepare_store, publish_run, read_run
from boxgate_engine.artefacts.tags import change_tags
from boxgate_engine.benchmark import Held, benchmark_metrics, benchmark_table, benchmarks
from boxgate_engine.config import RunConfig, Variant, resolve_config, semantic_keys
from boxgate_engine.datasets import DEMO_NAME, Dataset, ensure_demo, has_demo, is_remote, local_root, open_dataset
from boxgate_engine.digest import result_digest
from boxgate_engine.errors import BoxgateError, RunDamaged, RunFailed, RunIdConflict, RunNotFound
from boxgate_engine.identity import canonical_json
from boxgate_engine.intent_intake import OrderNames
from boxgate_engine.kernel import is_compiled
from boxgate_engine.market import Market, history_events, told_need, warmup_events, warmup_short
from boxgate_engine.metrics import Counts, compute_metrics
from boxgate_engine.results import Results, finish
from boxgate_engine.simulation import Simulation, compile_kernel
from boxgate_engine.tables import Tables
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.bands import compute_bands
from boxgate_server.folders import check_folders
from boxgate_server.history.handles import CAPABILITY, offered_handles
from boxgate_server.outcome import Attachment, Finished, Watcher
from boxgate_server.page import render_page
from boxgate_server.sessions._wire import plain_struct
from boxgate_server.sessions.delivery import Delivery
from boxgate_server.sessions.opening import ORDERS, Described, describe, init_request, open_session
from boxgate_server.sessions.recording import Recorder
from boxgate_server.sidecars import CONTRACT_VERSIONS, Sidecar, SidecarHost, SidecarLimits
from boxgate_server.stopwatch import Stopwatch

HISTORY_ATTEMPTS_MAX: Final = 3
"""Most times that a run starts over because the strategy wants more history."""

ENGINE_VERSION: Final = importlib.metadata.version("boxgate-engine")
"""Enters the identity: another engine may give another result."""


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
    with nullcontext() if record is None else Recorder(record, mode=config.mode) as recorder:
        if host is not None:
            return _Run(config, folder, attachment, watcher or Watcher(), host, store, recorder).execute(reuse)
        with SidecarHost() as own:
            return _Run(config, folder, attachment, watcher or Watcher(), own, store, recorder).execute(reuse)


class _Run:
    """The steps of one run, in the order in which they are called."""

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        attachment: Attachment | None,
        watcher: Watcher,
        host: SidecarHost,
        store: Path | None,
        recorder: Recorder | None,
    ) -> None:
        self.recorder = recorder
        self.config = config
        self.folder = folder
        self.attachment = attachment
        self.watcher = watcher
        self.host = host
        self.debug = config.mode == "debug"
        self.log = RunLog(clock_ns=time.time_ns, mode=config.mode, echo=watcher.log)
        self.session_id: str | None = None
        self.store = store or folder / config.artifacts
        self.clock = Stopwatch()
        limits = config.limits
        self.limits = SidecarLimits(
            handshake_s=limits.handshake_s,
            reply_base_s=limits.reply_base_s,
            reply_per_event_s=limits.reply_per_event_s,
            stop_s=limits.stop_grace_s,
        )

    def execute(self, reuse: bool) -> Finished:
        """Run everything."""
        check_folders(self.config, self.folder)
        prepare_store(self.store)
        dataset = self._dataset()
        market = Market(self.config, dataset, folder=self.folder)
        digest, identified = self._strategy_digest()
        if not is_compiled():
            self.watcher.stage("compiling the engine (once, about half a minute)")
            compile_kernel()
        self.watcher.stage("starting the strategy")
        self.sidecar = self._start()
        try:
            described = self.described = describe(self.sidecar.connection, self.config)
            if self.attachment is not None:
                digest = f"attached:{described.name}@{described.version}"
            self._identify(market, dataset, described, digest)
            stored = self._stored()
            if reuse and identified and stored is not None and self._has_what_is_wanted(stored):
                return self._reused(stored)
            self.log.write("run_started", "run started", fields={"dataset": dataset.hash, "mode": self.config.mode})
            for clause in market.uncovered(self.start_ns, self.end_ns):
                self.log.write("window_uncovered", f"the window is wider than the data: {clause}", level="warning")
            results, delivery, restarts = self._play(market, dataset, described)
            dataset.check_unchanged()
            metrics = self._metrics(market, results, restarts)
            held = self._benchmarks(market, results, metrics)
            bands = self._bands(dataset, metrics) if self.config.execution.bands else None
            self._check_strategy_unchanged(digest, identified)
            return self._publish(market, dataset, described, results, metrics, held, bands, delivery, identified)
        except BaseException as error:
            self._note_failure(error)
            self._abort()
            raise
        finally:
            self.sidecar.kill()

    def _dataset(self) -> Dataset:
        provider = self.config.data_provider
        cache = self.folder / provider.cache.local_dir
        remote = is_remote(provider.root)
        if remote:
            self.watcher.stage(f"fetching what is missing of the dataset {self.config.dataset}")
        # The demo is the same wherever it is made, so it is never fetched.
        named = None if self.config.dataset == DEMO_NAME else self.config.dataset
        root = local_root(provider.root if remote else self.folder / provider.root, cache, named)
        first_use = " (made on first use)" if self.config.dataset == DEMO_NAME and not has_demo(root) else ""
        self.watcher.stage(f"opening the dataset {self.config.dataset}{first_use}")
        if self.config.dataset == DEMO_NAME:
            return ensure_demo(root, cache, memory_map=provider.memory_map, cache_size_max=provider.cache.size_max)
        return open_dataset(
            root,
            self.config.dataset,
            cache_dir=cache,
            memory_map=provider.memory_map,
            cache_size_max=provider.cache.size_max,
        )

    def _strategy_digest(self) -> tuple[str, bool]:
        if self.attachment is not None:
            return "", False
        strategy = self.config.strategy
        data = self.config.data_provider
        folders = (self.config.artifacts, data.root, data.cache.local_dir)
        exclude = [self.store, *(self.folder / name for name in folders)]
        return (
            identities.strategy_digest(strategy.command, strategy.sources, folder=self.folder, exclude=exclude),
            True,
        )

    def _check_strategy_unchanged(self, digest: str, identified: bool) -> None:
        """Raise RunFailed if the files that the run is identified by are not those of its beginning."""
        if identified and self._strategy_digest()[0] != digest:
            raise RunFailed(
                "the strategy's files changed during the run",
                code="STRATEGY_CHANGED",
                where="strategy.sources",
                expected="files that stay as they were when the run began",
                remedy="run again; if the strategy writes into its own folder, name its files in strategy.sources",
            )

    def _start(self) -> Sidecar:
        mode = self.config.mode
        with self.clock.measure("start"):
            if self.attachment is not None:
                return self.host.attach(self.attachment.address, self.attachment.cookie, mode=mode, limits=self.limits)
            command = list(self.config.strategy.command)
            return self.host.start(command, cwd=self.folder, mode=mode, limits=self.limits)

    def _identify(self, market: Market, dataset: Dataset, described: Described, digest: str) -> None:
        """Resolve window and warm-up, and with them who this run is."""
        warmup = self.config.warmup
        declared = described.history_events(market.feeds)
        self.warmups = [
            warmup_events(need, policy=warmup.policy, min_bars=warmup.min_bars, safety_margin=warmup.safety_margin)
            for need in declared
        ]
        self.start_ns, self.end_ns = market.window([wanted for _, wanted in self.warmups])
        self.identity = identities.build_identity(
            self.config,
            contract=str(CONTRACT_VERSIONS[-1]),
            engine=ENGINE_VERSION,
            strategy_digest=digest,
            dataset=dataset.hash,
            params=described.params,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
            calendars=market.stated_calendars,
        )
        self.run_id = identities.run_id(self.identity)
        self.log.run_id = self.run_id
        scenario = identities.scenario_id(
            params=described.params,
            instruments=self.config.instruments,
            frames=self.config.frames,
            start_ns=self.start_ns,
            end_ns=self.end_ns,
        )
        self.seed = identities.seed(self.config.determinism.master_seed, scenario)

    def _play(self, market: Market, dataset: Dataset, described: Described) -> tuple[Results, Delivery, int]:
        """Run the session, starting over with more history as often as the strategy may ask for it."""
        config = self.config
        tape = market.tape(self.start_ns, self.end_ns)
        rules = self.rules = market.account_rules(self.start_ns, self.end_ns, seed=self.seed)
        counts = self._warmup_counts(market)
        for attempt in range(HISTORY_ATTEMPTS_MAX + 1):
            session_id = f"{self.run_id}-{attempt}"
            orders = ORDERS in described.granted
            simulation = Simulation(market.instruments, rules, start_ns=self.start_ns, orders=orders)
            with self._history(market, dataset, described, session_id) as handles:
                request = init_request(
                    session_id=session_id,
                    seed=self.seed,
                    config=config,
                    described=described,
                    market=market,
                    start_ns=self.start_ns,
                    warmup_events=counts,
                    history=handles,
                )
                needs = open_session(self.sidecar.connection, request, market.feeds, debug=self.debug)
                if not needs and self.recorder is not None:
                    self.recorder.begin(name=described.name, version=described.version, init=request)
            if not needs:
                break
            counts = self._extend_history(market, counts, needs, attempt)
            if self.attachment is None:
                self.sidecar.stop()
                self.sidecar = self._start()
        self.session_id = session_id
        self.log.write("sidecar_ready", "session open", fields={"name": described.name, "version": described.version})
        stream = self.sidecar.connection.open_stream(session_id)
        delivery = Delivery(
            stream=stream if self.recorder is None else self.recorder.over(stream),
            reply_deadline_s=self.limits.reply_deadline_s,
            simulation=simulation,
            window_events=config.execution.window_events,
            lockstep=config.execution.delivery == "lockstep",
            feedback="FEEDBACK" in described.granted,
            keep_meta=self.debug,
            orders=OrderNames() if orders else None,
            day_end=market.day_end,
            is_open=market.is_open,
            progress=lambda done: self.watcher.events(done, tape.events),
        )
        self.watcher.stage("running")
        with self.clock.measure("session"):
            delivery.warm_up(market.warmup_tape(self.start_ns, counts))
            delivery.run(tape)
        self.clock.seconds["sidecar_wait"] = stream.wait_s
        stream.close()
        self._stop(session_id)
        with self.clock.measure("results"):
            if config.execution.close_at_end and tape.events:
                simulation.close_all(
                    int(simulation.sim.equity["time_ns"][simulation.sim.account["equity_rows"][0] - 1]), tape.events - 1
                )
            results = finish(
                simulation, meta=_canonical(delivery.meta) if self.debug else None, ledger=config.report.ledger
            )
        self.warmup_sum = sum(counts)
        self.tape = tape
        return results, delivery, attempt

    def _history(
        self, market: Market, dataset: Dataset, described: Described, session_id: str
    ) -> AbstractContextManager[list[pb.HistoryHandle]]:
        """Return the handles of a session; they are good until the context is left."""
        if CAPABILITY not in described.granted:
            return nullcontext([])
        provider = self.config.data_provider
        same_host = self.attachment is None or self.attachment.address.startswith("unix:")
        cache_dir = self.folder / provider.cache.local_dir if same_host and provider.memory_map else None
        return offered_handles(
            dataset, market.feeds, session_id=session_id, start_ns=self.start_ns, cache_dir=cache_dir
        )

    def _warmup_counts(self, market: Market) -> list[int]:
        counts = []
        for feed, (need, wanted) in zip(market.feeds, self.warmups, strict=True):
            have = history_events(feed.series, self.start_ns)
            if have < need:
                raise warmup_short(feed, told_need(need, self.config.mode), have)
            counts.append(min(wanted, have))
        return counts

    def _extend_history(self, market: Market, counts: list[int], needs: list[int], attempt: int) -> list[int]:
        extended = []
        for feed, count, need in zip(market.feeds, counts, needs, strict=True):
            have = history_events(feed.series, self.start_ns)
            if need > have:
                raise warmup_short(feed, told_need(need, self.config.mode), have)
            extended.append(max(count, need))
            if need > count:
                before, shown = told_need(count, self.config.mode), told_need(need, self.config.mode)
                self.log.write(
                    "history_extended",
                    f"{feed.key}: the strategy asked for {shown} events from before the start instead of {before}",
                    fields={"series": feed.key, "from": before, "to": shown, "attempt": attempt + 1},
                )
        if extended == counts or attempt == HISTORY_ATTEMPTS_MAX:
            raise RunFailed(
                "the strategy keeps asking for more history",
                code="HISTORY_UNSETTLED",
                where=f"OnInit, attempt {attempt + 1}",
                expected=f"acceptance within {HISTORY_ATTEMPTS_MAX} extensions, each larger than the one before",
                remedy="declare the history that is needed in Describe",
            )
        return extended

    def _stop(self, session_id: str) -> None:
        """End the session; results stand whatever the sidecar does now."""
        sidecar = self.sidecar
        self.session_id = None
        answer = sidecar.connection.on_stop(pb.OnStopRequest(session_id=session_id, reason=pb.STOP_REASON_COMPLETED))
        if self.debug and answer is not None and answer.HasField("report"):
            self.log.write(
                "stop_report", "final report", source="sidecar", fields={"report": plain_struct(answer.report)}
            )
        # The process takes a while to end; results and metrics do not wait for it.
        self.stopping = threading.Thread(target=sidecar.stop, name="boxgate-stop")
        self.stopping.start()

    def _note_stop(self) -> None:
        """Wait for the end of the sidecar and note what it left."""
        self.stopping.join()
        if self.sidecar.stop_unclean:
            self.log.write(
                "stop_unclean",
                f"the sidecar did not stop cleanly; the results stand{self._stop_fault()}",
                level="warning",
            )
        self._note_output(self.sidecar)

    def _stop_fault(self) -> str:
        """Return a clause with the last line of what is known of a failed stop, such as the exception; none in prod."""
        fault = self.sidecar.connection.stop_fault
        if not self.debug or fault is None:
            return ""
        return f": {fault.what.rstrip().splitlines()[-1]} (logs.ndjson has all that it wrote)"

    def _note_output(self, sidecar: Sidecar) -> None:
        for name, text in (("stdout", sidecar.stdout_tail()), ("stderr", sidecar.stderr_tail())):
            for line in text.splitlines():
                self.log.write(name, line, level="debug", source="sidecar")

    def _abort(self) -> None:
        """End the session of a sidecar that lives on, so that it is free for the next run; others are killed."""
        if self.attachment is not None and self.session_id is not None:
            self.sidecar.connection.abort_streams()
            self.sidecar.connection.on_stop(pb.OnStopRequest(session_id=self.session_id, reason=pb.STOP_REASON_ABORTED))

    def _note_failure(self, error: BaseException) -> None:
        if isinstance(error, BoxgateError):
            self.log.write("run_failed", error.what, level="error", fields={"code": error.error_code})

    def _metrics(self, market: Market, results: Results, restarts: int) -> dict[str, Any]:
        counts = Counts(
            events=self.tape.events,
            bars=self.tape.bars,
            ticks=self.tape.ticks,
            warmup_events=told_need(self.warmup_sum, self.config.mode),
            history_restarts=restarts,
            **results.counts,
        )
        return compute_metrics(
            results.tables,
            currency=self.config.account.currency,
            initial_cash=self.config.account.cash,
            all_weekend=all(instrument.trades_on_weekends for instrument in market.instruments),
            counts=counts,
            spread_cost=results.spread_cost,
            funding_cost=results.funding_cost,
            swap_cost=results.swap_cost,
            open_positions=results.open_positions,
            fill_units=results.fill_units,
        )

    def _benchmarks(self, market: Market, results: Results, metrics: dict[str, Any]) -> list[Held]:
        """Buy and hold each instrument under the rules of the run, and add the comparison to its metrics."""
        with self.clock.measure("results"):
            held = benchmarks(
                market.instruments,
                self.rules,
                self.tape,
                start_ns=self.start_ns,
                close_at_end=self.config.execution.close_at_end,
            )
            metrics["benchmark"] = benchmark_metrics(held, results.tables.equity, periods=metrics["periods_per_year"])
        return held

    def _bands(self, dataset: Dataset, metrics: dict[str, Any]) -> dict[str, Any]:
        """Run the variants of the band, each in a session of its own with the seed of this run."""

        def play(variant: Variant) -> dict[str, Any]:
            self.watcher.stage(f"running the band: path {variant.path}, costs × {variant.cost_factor:g}")
            return self._variant(variant.config).play_for_band(dataset)

        with self.clock.measure("bands"):
            self.stopping.join()
            return compute_bands(self.config, metrics, play)

    def _variant(self, config: RunConfig) -> _Run:
        variant = _Run(config, self.folder, self.attachment, Watcher(), self.host, self.store, None)
        variant.start_ns, variant.end_ns, variant.warmups = self.start_ns, self.end_ns, self.warmups
        variant.seed, variant.run_id = self.seed, self.run_id
        return variant

    def play_for_band(self, dataset: Dataset) -> dict[str, Any]:
        """Run a variant of another run, of which it has window, warm-up and seed; return its metrics."""
        market = Market(self.config, dataset, folder=self.folder)
        self.sidecar = self._start()
        try:
            described = describe(self.sidecar.connection, self.config)
            results, _, restarts = self._play(market, dataset, described)
            self.stopping.join()
            return self._metrics(market, results, restarts)
        except BaseException:
            self._abort()
            raise
        finally:
            self.sidecar.kill()

    def _publish(
        self,
        market: Market,
        dataset: Dataset,
        described: Described,
        results: Results,
        metrics: dict[str, Any],
        held: Sequence[Held],
        bands: dict[str, Any] | None,
        delivery: Delivery,
        identified: bool,
    ) -> Finished:
        config = self.config
        self.watcher.stage("writing the artefacts")
        with self.clock.measure("artefacts"):
            digest = result_digest(results.tables)
            for row in results.tables.signals.filter(results.tables.signals["reject_reason"].is_valid()).to_pylist():
                self.log.write(
                    "rejected",
                    f"{row['instrument']} {row['side']}: {row['reject_reason']}",
                    source="engine",
                    seq=row["seq"],
                    fields={"reason": row["reject_reason"]},
                )
            self._note_stop()
            self.log.write("run_completed", "run completed", fields={"result_digest": digest})
            resolved = resolve_config(
                config,
                dataset=dataset.hash,
                params=described.params,
                start_ns=self.start_ns,
                end_ns=self.end_ns,
                folder=self.folder,
            )
            facts = {
                "mode": config.execution.delivery,
                "window_events": config.execution.window_events,
                "round_trips": delivery.round_trips,
            }
            page = None
            if config.report.html:
                page = render_page(
                    market, dataset, start_ns=self.start_ns, end_ns=self.end_ns, run_id=self.run_id, digest=digest,
                    assets=config.report.assets,
                )  # fmt: skip
            published = publish_run(
                RunArtefacts(
                    run_id=self.run_id,
                    identity=self.identity,
                    resolved=semantic_keys(resolved),
                    params=described.params,
                    metrics=metrics,
                    tables=results.tables,
                    result_digest=digest,
                    log=self.log.ndjson(),
                    environment=self._environment(facts, identified),
                    ledger=results.ledger,
                    benchmark=benchmark_table(held),
                    bands=bands,
                    render=page,
                ),
                self.store,
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
            metrics=metrics,
            delivery=facts,
            timing_s=timing,
            events_per_s=self.tape.events / timing["session"] if timing["session"] > 0 else None,
            rejections=_rejections(results.tables),
            fills=results.tables.fills.num_rows,
        )

    def _environment(self, facts: Mapping[str, Any], identified: bool) -> dict[str, Any]:
        libraries = ("grpcio", "numba", "numpy", "polars", "protobuf", "pyarrow")
        return {
            "schema": "boxgate.environment/1",
            "host": {"machine": platform.machine(), "system": platform.system(), "release": platform.release()},
            "python": platform.python_version(),
            "libraries": {name: importlib.metadata.version(name) for name in libraries},
            "boxgate": importlib.metadata.version("boxgate"),
            "sandbox": {"level": "none", "containment": self.host.containment},
            "strategy_identified": identified,
            "strategy": {"name": self.described.name, "version": self.described.version},
            "seed": self.seed,
            "delivery": dict(facts),
            "timing_s": self.clock.report(),
        }

    def _stored(self) -> StoredRun | None:
        """Return the complete run of this identity, None if there is none or it was altered.

        Raises RunIdConflict if the folder of the id holds another run: known before anything is computed.
        """
        folder = self.store / self.run_id
        try:
            stored = read_run(folder)
        except (RunNotFound, RunDamaged):
            return None
        if stored.run_id != self.run_id or identities.run_id(stored.json("config.json")["identity"]) != self.run_id:
            raise RunIdConflict(self.run_id, where=str(folder))
        return stored

    def _has_what_is_wanted(self, stored: StoredRun) -> bool:
        return LEDGER_FILE in stored.files or not self.config.report.ledger

    def _reused(self, stored: StoredRun) -> Finished:
        execution = self.config.execution
        tables = stored.tables()
        return Finished(
            run_id=self.run_id,
            result_digest=stored.result_digest,
            seed=self.seed,
            mode=self.config.mode,
            folder=stored.folder.resolve(),
            published="reused",
            metrics=stored.json("metrics.json"),
            delivery={"mode": execution.delivery, "window_events": execution.window_events, "round_trips": 0},
            timing_s=self.clock.report(),
            events_per_s=None,
            rejections=_rejections(tables),
            fills=tables.fills.num_rows,
        )


def _rejections(tables: Tables) -> dict[str, int]:
    """Return how many signals were rejected for each reason, the most frequent first."""
    counted = tables.signals["reject_reason"].drop_null().value_counts().to_pylist()
    ordered = sorted(counted, key=lambda entry: (-entry["counts"], entry["values"]))
    return {entry["values"]: entry["counts"] for entry in ordered}


def _canonical(meta: list[dict[str, Any] | None]) -> list[str | None]:
    return [None if entry is None else canonical_json(entry).decode() for entry in meta]
