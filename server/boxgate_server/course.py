"""The course of one run: composes dataset, sidecar, session, engine and artefacts."""

from __future__ import annotations

import importlib.metadata
import time
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Final

from boxgate_engine import identity as identities
from boxgate_engine.artefacts import LEDGER_FILE, RunLog, StoredRun, read_run, table_files
from boxgate_engine.benchmark import Held, benchmark_metrics, benchmarks
from boxgate_engine.beside import Beside
from boxgate_engine.config import RunConfig, Variant
from boxgate_engine.datasets import Dataset
from boxgate_engine.digest import FEW_ROWS
from boxgate_engine.errors import BoxgateError, RunDamaged, RunFailed, RunIdConflict, RunNotFound
from boxgate_engine.identity import canonical_json
from boxgate_engine.intent_intake import OrderNames
from boxgate_engine.market import Market, told_need, warmup_events
from boxgate_engine.metrics import Counts, compute_metrics
from boxgate_engine.results import Results, finish
from boxgate_engine.simulation import Simulation
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.bands import compute_bands
from boxgate_server.ending import Ending
from boxgate_server.history.handles import CAPABILITY, offered_handles
from boxgate_server.outcome import Finished, Watcher
from boxgate_server.publication import Publication, reused
from boxgate_server.sessions.delivery import Delivery
from boxgate_server.sessions.opening import HEDGING, ORDERS, Described, describe, init_request, open_session
from boxgate_server.sessions.recording import Recorder
from boxgate_server.sidecars import CONTRACT_VERSIONS, Lease, Sidecar
from boxgate_server.starting import Starter
from boxgate_server.stock import Stock
from boxgate_server.stopwatch import Stopwatch
from boxgate_server.strategy_files import StrategyFiles
from boxgate_server.warmup import HISTORY_ATTEMPTS_MAX, extended_counts, warmup_counts

ENGINE_VERSION: Final = importlib.metadata.version("boxgate-engine")
"""Enters the identity: another engine may give another result."""


class Course:
    """The steps of one run, in the order in which they are called."""

    def __init__(
        self,
        config: RunConfig,
        *,
        folder: Path,
        stock: Stock,
        files: StrategyFiles,
        starter: Starter,
        watcher: Watcher,
        store: Path,
        recorder: Recorder | None,
        durable: bool,
        executor: Executor,
    ) -> None:
        """Prepare a run. folder: where relative paths start. store: where it is published. recorder: of the session.

        durable: wait until what is published is on the disk. executor: has a thread for what goes on beside the run.
        """
        self.recorder = recorder
        self.config = config
        self.folder = folder
        self.stock = stock
        self.files = files
        self.starter = starter
        self.attachment = starter.attachment
        self.watcher = watcher
        self.store = store
        self.durable = durable
        self.executor = executor
        self.debug = config.mode == "debug"
        self.log = RunLog(clock_ns=time.time_ns, mode=config.mode, echo=watcher.log)
        self.session_id: str | None = None
        self._ending: Ending | None = None
        self.clock = Stopwatch()

    def execute(self, reuse: bool) -> Finished:
        """Compute and publish the run. reuse: return a complete run of the same identity, if there is one."""
        self.stock.check_folders(self.config, self.store)
        dataset = self.stock.dataset(self.config, self.watcher)
        market = self.stock.market(self.config, dataset)
        digest, identified = self._strategy_digest()
        self.stock.compile_engine(self.watcher)
        self.watcher.stage("starting the strategy")
        self.digest = digest
        self.sidecar = self._start(digest)
        try:
            described = describe(self.sidecar.connection, self.config)
            if self.attachment is not None:
                digest = f"attached:{described.name}@{described.version}"
            self._identify(market, dataset, described, digest)
            stored = self._stored()
            if reuse and identified and stored is not None and self._has_what_is_wanted(stored):
                return reused(stored, self.config, seed=self.seed, clock=self.clock)
            self.log.write("run_started", "run started", fields={"dataset": dataset.hash, "mode": self.config.mode})
            for clause in market.uncovered(self.start_ns, self.end_ns):
                self.log.write("window_uncovered", f"the window is wider than the data: {clause}", level="warning")
            self._prepare_page()
            results, delivery, restarts = self._play(market, dataset, described)
            files = self._files_beside(results)
            dataset.check_unchanged()
            metrics = self._metrics(market, results, restarts)
            held = self._benchmarks(market, results, metrics)
            bands = self._bands(dataset, metrics) if self.config.execution.bands else None
            self._check_strategy_unchanged(digest, identified)
            self.watcher.stage("writing the artefacts")
            return Publication(
                config=self.config,
                folder=self.folder,
                store=self.store,
                run_id=self.run_id,
                identity=self.identity,
                identified=identified,
                seed=self.seed,
                start_ns=self.start_ns,
                end_ns=self.end_ns,
                market=market,
                dataset=dataset,
                described=described,
                results=results,
                files=files,
                metrics=metrics,
                held=held,
                bands=bands,
                events=self.tape.events,
                round_trips=delivery.round_trips,
                containment=self.starter.host.containment,
                ending=self.ending,
                log=self.log,
                clock=self.clock,
                durable=self.durable,
            ).publish()
        except BaseException as error:
            self._note_failure(error)
            self._abort()
            raise
        finally:
            self.sidecar.kill()

    @property
    def ending(self) -> Ending:
        """The end of the session, once it was played."""
        assert self._ending is not None
        return self._ending

    def _prepare_page(self) -> None:
        """Begin what a page needs and takes a while, beside the session."""
        if self.config.report.html and self.config.report.assets == "inline":
            from boxgate_engine.report.chart_library import pack_beside

            pack_beside()

    def _strategy_digest(self) -> tuple[str, bool]:
        if self.attachment is not None:
            return "", False
        return self.files.digest(self.config, self.store), True

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

    def _start(self, digest: str) -> Sidecar | Lease:
        with self.clock.measure("start"):
            sidecar = self.starter.start(digest)
        for note in sidecar.notes if isinstance(sidecar, Lease) else ():
            self.log.write("sidecar_note", note)
        return sidecar

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
        counts = warmup_counts(market.feeds, self.warmups, start_ns=self.start_ns, mode=config.mode)
        for attempt in range(HISTORY_ATTEMPTS_MAX + 1):
            session_id = f"{self.run_id}-{attempt}"
            orders = ORDERS in described.granted
            simulation = Simulation(
                market.instruments,
                rules,
                start_ns=self.start_ns,
                moments=tape.moments,
                orders=orders,
                hedging=HEDGING in described.granted,
            )
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
            counts = extended_counts(
                market.feeds, counts, needs, attempt, start_ns=self.start_ns, mode=config.mode, log=self.log
            )
            if self.attachment is None:
                self.sidecar.stop()
                self.sidecar = self._start(self.digest)
        self.session_id = session_id
        self.log.write("sidecar_ready", "session open", fields={"name": described.name, "version": described.version})
        stream = self.sidecar.connection.open_stream(session_id)
        names = OrderNames()
        delivery = Delivery(
            stream=stream if self.recorder is None else self.recorder.over(stream),
            reply_deadline_s=self.starter.limits.reply_deadline_s,
            simulation=simulation,
            window_events=config.execution.window_events,
            lockstep=config.execution.delivery == "lockstep",
            feedback="FEEDBACK" in described.granted,
            keep_meta=self.debug,
            orders=names if orders else None,
            day_end=market.day_end,
            is_open=market.is_open,
            progress=lambda done: self.watcher.events(done, tape.events),
        )
        self.watcher.stage("running")
        with self.clock.measure("session"):
            delivery.warm_up(market.warmup_tape(self.start_ns, counts))
            delivery.run(tape)
        self.clock.seconds["sidecar_wait"] = stream.wait_s
        self._ending = Ending(self.sidecar, stream, session_id, executor=self.executor, log=self.log, debug=self.debug)
        with self.clock.measure("results"):
            if config.execution.close_at_end and tape.events:
                simulation.close_all(tape.events - 1)
            results = finish(
                simulation,
                meta=_canonical(delivery.meta) if self.debug else None,
                client_ids=names.client_ids if self.debug else (),
                ledger=config.report.ledger,
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

    def _files_beside(self, results: Results) -> Beside[dict[str, bytes]]:
        """Begin to encode the tables, which takes as long as the metrics."""
        report, mode = self.config.report, self.config.mode
        return Beside(
            lambda: table_files(results.tables, mode=mode, equity=report.equity, ledger=results.ledger),
            name="boxgate-files",
            threaded=results.tables.equity.num_rows > FEW_ROWS,
        )

    def _abort(self) -> None:
        """End the session of a sidecar that lives on, so that it is free for the next run; others are killed."""
        if self._ending is not None and self._ending.is_orderly():
            return
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
            self.ending.wait()
            return compute_bands(self.config, metrics, play)

    def _variant(self, config: RunConfig) -> Course:
        variant = Course(
            config,
            folder=self.folder,
            stock=self.stock,
            files=self.files,
            starter=self.starter,
            watcher=Watcher(),
            store=self.store,
            recorder=None,
            durable=self.durable,
            executor=self.executor,
        )
        variant.start_ns, variant.end_ns, variant.warmups = self.start_ns, self.end_ns, self.warmups
        variant.seed, variant.run_id, variant.digest = self.seed, self.run_id, self.digest
        return variant

    def play_for_band(self, dataset: Dataset) -> dict[str, Any]:
        """Run a variant of another run, of which it has window, warm-up and seed; return its metrics."""
        market = self.stock.market(self.config, dataset)
        self.sidecar = self._start(self.digest)
        try:
            described = describe(self.sidecar.connection, self.config)
            results, _, restarts = self._play(market, dataset, described)
            self.ending.wait()
            return self._metrics(market, results, restarts)
        except BaseException:
            self._abort()
            raise
        finally:
            self.sidecar.kill()

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


def _canonical(meta: list[dict[str, Any] | None]) -> list[str | None]:
    return [None if entry is None else canonical_json(entry).decode() for entry in meta]
