"""The driver: computes what a matrix still lacks, records what becomes of it, and writes the index."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from boxgate_engine.errors import BoxgateError, StoreFailed
from boxgate_server.matrix.closing import close_matrix
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.execution.compute import found_outcome
from boxgate_server.matrix.execution.work import Execution, Failure, Group, Outcome, Task
from boxgate_server.matrix.keeping.folder import MatrixFolder, write_definition
from boxgate_server.matrix.keeping.index import matrix_digest
from boxgate_server.matrix.keeping.lease import BEAT_S
from boxgate_server.matrix.keeping.ledger import Counts, Ledger
from boxgate_server.matrix.keeping.run_store import RunStore
from boxgate_server.matrix.keeping.sign import Sign
from boxgate_server.matrix.planning.plan import Plan, Planned
from boxgate_server.matrix.search.generations import generations

GROUP_RUNS_MAX: Final = 32
"""Most runs that are handed over together: few enough to be shared out evenly at the end."""
_LOOK_AHEAD: Final = 500
_WAIT_S: Final = 0.2
_CANCEL_S: Final = 0.5
_BACK_OFF_S: Final = 0.5
_BACK_OFF_MAX_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a matrix is. done: complete or failed for good, of `planned`. computed: by this driver."""

    planned: int
    done: int
    failed: int
    computed: int
    reused: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Driven:
    """What a driver did. reused: complete runs that it did not compute. cancelled: somebody asked it to stop."""

    counts: Counts
    computed: int
    reused: int
    cancelled: bool
    matrix_digest: str
    index: Path
    seconds: float


@dataclass
class _Course:
    """The state of a driver."""

    plan: Plan
    ledger: Ledger
    runs: RunStore
    retries: int
    planned: int
    tell: Callable[[Progress], None]
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    failed: int = 0
    computed: int = 0
    reused: int = 0
    in_flight: dict[str, Task] = field(default_factory=dict)
    planned_as: dict[str, Planned] = field(default_factory=dict)
    last_failures: dict[str, Failure] = field(default_factory=dict)
    waiting: list[tuple[float, str, int]] = field(default_factory=list)
    """(due by the monotonic clock, run id, attempt) of what is tried again, the earliest first."""


def drive(
    plan: Plan,
    file: MatrixFile,
    folder: MatrixFolder,
    execution: Execution,
    *,
    retry_failed: bool = False,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Driven:
    """Compute every run of the plan that is not complete, of a search generation after generation; write the index.

    retry_failed: give runs that failed another try, unless nothing could mend them. The execution is not closed.
    Raises UserMistake (MATRIX_BUSY) while another driver is at work, StoreFailed as soon as the store refuses (what is
    not published stays pending), RunFailed (LEASE_LOST).
    """
    folder.run_store.prepare()
    with Ledger(folder.ledger) as ledger:
        ledger.take_lease()
        with _heart(folder, ledger):
            write_definition(folder, plan, file)
            course = _Course(plan, ledger, folder.run_store, file.runner.limits.retries, plan.count, tell)
            cancelled = False
            try:
                for part, to_come in _parts(plan, ledger):
                    course.plan = part
                    known = part.first * len(plan.settings) + part.count
                    noted = ledger.plan(part, known)
                    course.planned = noted if plan.proposing is None else known + to_come * len(plan.settings)
                    _tell(course)
                    if not _play(course, _lacking(course, retry_failed), execution):
                        cancelled = True
                        break
            except BoxgateError:
                with suppress(BoxgateError):  # what it failed for is told, not what came of it
                    close_matrix(folder, ledger, plan, file)
                raise
            folder.run_store.sync()  # once for all runs
            index = close_matrix(folder, ledger, plan, file)
            return Driven(
                counts=ledger.counts(),
                computed=course.computed,
                reused=course.reused,
                cancelled=cancelled,
                matrix_digest=matrix_digest(ledger),
                index=index,
                seconds=time.monotonic() - course.began,
            )


def _parts(plan: Plan, ledger: Ledger) -> Iterator[tuple[Plan, int]]:
    """Yield what can be computed without knowing what comes of it: all at once, or one generation of a search.

    With it goes the number of parameter sets that may still come.
    """
    return iter(((plan, 0),)) if plan.proposing is None else generations(plan, ledger)


def _play(course: _Course, lacking: Iterator[Group], execution: Execution) -> bool:
    """Hand out groups and take in outcomes until nothing is left. Returns False if it was cancelled before."""
    look_at = 0.0
    more = True
    while more or course.in_flight or course.waiting:
        now = time.monotonic()
        if now >= look_at:
            look_at = now + _CANCEL_S
            if course.ledger.is_cancelled:
                return False
        while execution.room > 0 and (group := _due(course) or next(lacking, None)) is not None:
            course.in_flight.update((task.run_id, task) for task in group.tasks)
            execution.submit(group)
        more = execution.room <= 0
        if course.in_flight:
            _take_in(course, execution.outcomes(_WAIT_S))
        elif course.waiting and not more:
            time.sleep(min(_WAIT_S, max(0.0, course.waiting[0][0] - time.monotonic())))
    return True


def _lacking(course: _Course, retry_failed: bool) -> Iterator[Group]:
    """Yield what is to be computed, in the order of the plan, grouped by setting."""
    gathered: list[Planned] = []
    for batch in batched(course.plan, _LOOK_AHEAD):
        for one in _absent(course, batch, retry_failed):
            if gathered and (gathered[0].setting != one.setting or len(gathered) == GROUP_RUNS_MAX):
                yield _group(course, gathered)
                gathered = []
            gathered.append(one)
    if gathered:
        yield _group(course, gathered)


def _absent(course: _Course, batch: Sequence[Planned], retry_failed: bool) -> list[Planned]:
    """Return what of some runs is to be computed, and record what is in the store already.

    The folder of a run is the truth: what the ledger calls complete is hashed again, what it does not know is looked
    for, because another matrix or a driver that was killed may have published it.
    """
    states = course.ledger.states([one.run_id for one in batch])
    absent, stored, gone, looked_for = [], [], [], []
    for one in batch:
        state, is_final = states[one.run_id]
        if state == "failed" and (is_final or not retry_failed):
            course.done, course.failed = course.done + 1, course.failed + 1
        else:
            looked_for.append(one)
    found = course.runs.each(lambda one: found_outcome(course.runs, one.run_id), looked_for)
    for one, outcome in zip(looked_for, found, strict=True):
        if outcome is not None:
            stored.append(outcome)
            continue
        if states[one.run_id][0] != "pending":
            gone.append(one.run_id)
        absent.append(one)
    if gone:
        course.ledger.forget(gone)
    if stored:
        course.ledger.record(stored)
        refused = sum(1 for one in stored if one.failure is not None)
        course.done += len(stored)
        course.failed += refused
        course.reused += len(stored) - refused
        _tell(course)
    return absent


def _group(course: _Course, runs: Sequence[Planned], attempt: int = 1) -> Group:
    space = course.plan.space
    course.planned_as.update((one.run_id, one) for one in runs)
    return Group(
        setting=runs[0].setting,
        config=course.plan.settings[runs[0].setting].config,
        tasks=tuple(Task(run_id=one.run_id, params=space.varied(one.params), attempt=attempt) for one in runs),
    )


def _due(course: _Course) -> Group | None:
    """Return a run that is to be tried again now, None if there is none."""
    if not course.waiting or course.waiting[0][0] > time.monotonic():
        return None
    _, run_id, attempt = heapq.heappop(course.waiting)
    return _group(course, [course.planned_as[run_id]], attempt)


def _take_in(course: _Course, outcomes: Sequence[Outcome]) -> None:
    """Record outcomes, and decide which failures are tried again.

    An outcome that nobody waits for comes from a worker that was given up: what it published is in the store, found
    and compared there by whoever computed the run as well.
    """
    refusal: Failure | None = None
    complete: list[Outcome] = []
    for one in outcomes:
        if course.in_flight.pop(one.run_id, None) is None:
            continue
        failure = one.failure
        if failure is None:
            complete.append(one)
            continue
        if failure.is_of_store:
            refusal = failure
            course.ledger.record([one], final=False)
            continue
        again = not failure.is_final and one.attempt <= course.retries
        before = course.last_failures.get(one.run_id)
        if before is not None and (before.code, before.what) == (failure.code, failure.what):
            again = False  # two equal failures: the next would be the same
        course.ledger.record([one], final=not again)
        if again:
            course.last_failures[one.run_id] = failure
            pause_s = min(_BACK_OFF_S * 2 ** (one.attempt - 1), _BACK_OFF_MAX_S)
            heapq.heappush(course.waiting, (time.monotonic() + pause_s, one.run_id, one.attempt + 1))
        else:
            _forget(course, one.run_id)
            course.done, course.failed = course.done + 1, course.failed + 1
    if complete:
        course.ledger.record(complete)
        for one in complete:
            _forget(course, one.run_id)
        course.done += len(complete)
        course.computed += sum(1 for one in complete if not one.reused)
        course.reused += sum(1 for one in complete if one.reused)
    if outcomes:
        _tell(course)
    if refusal is not None:
        raise StoreFailed(refusal.what, where=refusal.where, code=refusal.code)


def _forget(course: _Course, run_id: str) -> None:
    course.last_failures.pop(run_id, None)
    course.planned_as.pop(run_id, None)


def _tell(course: _Course) -> None:
    course.tell(
        Progress(
            planned=course.planned,
            done=course.done,
            failed=course.failed,
            computed=course.computed,
            reused=course.reused,
            seconds=time.monotonic() - course.began,
        )
    )


def batched(runs: Iterable[Planned], size: int) -> Iterator[list[Planned]]:
    """Yield the runs in lists of `size`, the last one shorter."""
    stream = iter(runs)
    while batch := list(islice(stream, size)):
        yield batch


@contextmanager
def _heart(folder: MatrixFolder, ledger: Ledger) -> Iterator[None]:
    """Give signs of life while a run is computed, which may take long, by a thread with a connection of its own."""
    stop, sign = threading.Event(), Sign(folder)

    def live() -> None:
        with suppress(BoxgateError), Ledger(folder.ledger) as own:
            while not stop.wait(BEAT_S):
                own.beat(ledger.epoch)
                sign.beat()

    thread = threading.Thread(target=live, name="matrix lease", daemon=True)
    sign.take()
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sign.drop()
