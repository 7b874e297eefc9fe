"""The crew: the workers of a host, which are given a few runs at a time, and replaced where they die."""

from __future__ import annotations

import hashlib
import pickle
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import ray
from ray.exceptions import RayError, RayTaskError

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import RunFailed
from boxgate_server.cluster.messages import Job, Joined, Stopped, Work
from boxgate_server.cluster.worker import Worker
from boxgate_server.matrix.execution.compute import failure_of
from boxgate_server.matrix.execution.work import Outcome, Task

_PARCEL_S: Final = 0.2
_PARCEL_MAX: Final = 32
"""What a worker is given at a time: one run, or as many short ones, whose messages would else take as long as they."""
_AHEAD_S: Final = 0.25
_PARCELS_MAX: Final = 4
"""A worker has more to do than that only by its last parcel: what waits at one is kept from the others."""
_LOOK_S: Final = 0.02
_CONFIGS_MAX: Final = 64
"""Configs that a worker remembers, more than it can have runs of in flight."""
_TROUBLES_MAX: Final = 5
"""Workers that may die, one after another, before they could do anything."""
_WAIT_READY_S: Final = 300.0
"""On a new machine each worker compiles the kernel before it joins."""
_MEMORY: Final = 0.2
"""Weight of the last run in what a run is expected to take."""


@dataclass(eq=False)
class _Item:
    """A run that waits or is in flight. series: what runs of one worker have in common. key: of its config.

    alone: a worker died with it and others, so it is computed by itself, to tell which of them it was.
    """

    series: Any
    key: bytes
    config: RunConfig
    task: Task
    again: bool
    alone: bool = False


@dataclass(eq=False)
class _Parcel:
    """Runs that a worker was given together, of one config. answer: what Ray will have for them."""

    answer: Any
    items: list[_Item]


@dataclass(eq=False)
class _Hand:
    """A worker. join: its answer to come, None once it has joined. parcels: in the order in which it computes them.

    known: keys of configs that it was told, the oldest first.
    """

    number: int
    actor: Any
    join: Any
    since: float
    series: Any = None
    known: dict[bytes, None] = field(default_factory=dict)
    parcels: deque[_Parcel] = field(default_factory=deque)

    @property
    def answer(self) -> Any:
        """What is heard of it next, None if it has nothing to do."""
        return self.join if self.join is not None else self.parcels[0].answer if self.parcels else None


class Crew:
    """Hands out runs, a long one or some short ones at a time, of one series to the same worker while there are some.

    Parcels get smaller as the runs come to an end, so all workers end within about one run of each other. At most so
    much is on its way: the memory that is needed does not grow with the number of runs.
    """

    def __init__(self, job: Job, workers: int) -> None:
        """Ask for workers; they join when Ray has a place for them."""
        self._job = job
        self._worker: Any = ray.remote(Worker)
        self._worker = self._worker.options(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")
        # By reference: a hundred workers read one copy.
        self._told = ray.put(job)
        self._waiting: dict[Any, deque[_Item]] = {}
        self._seconds: dict[Any, float] = {}
        self._joined: list[Joined] = []
        self._troubles = 0
        self._hired = 0
        self._hands = [self._hire() for _ in range(workers)]

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is under way."""
        return not any(self._waiting.values()) and all(one.answer is None for one in self._hands)

    def add(self, work: Work) -> None:
        """Take runs."""
        series = _series(work.config, self._job)
        key = hashlib.blake2b(pickle.dumps(work.config), digest_size=16).digest()
        items = (_Item(series, key, work.config, task, work.again) for task in work.tasks)
        self._waiting.setdefault(series, deque()).extend(items)

    def turn(self, wait_s: float) -> list[Outcome]:
        """Hand out what can be, wait for something to happen, and return what ended.

        Raises BoxgateError if the workers cannot work at all.
        """
        for hand in self._hands:
            self._fill(hand)
        heads = {hand.answer: hand for hand in self._hands if hand.answer is not None}
        if not heads:
            return []
        if len(heads) < len(self._hands):
            wait_s = min(wait_s, _LOOK_S)  # somebody is free, and new runs may have come
        ready, _ = ray.wait(list(heads), timeout=wait_s)
        outcomes: list[Outcome] = []
        while ready:
            for ref in ready:
                hand = heads.pop(ref)
                outcomes += self._hear(hand, ref)
                if hand in self._hands and hand.parcels:
                    heads[hand.answer] = hand
            ready = ray.wait(list(heads), num_returns=len(heads), timeout=0)[0] if heads else []
        self._check_waiting()
        return outcomes

    def joined(self) -> Iterator[Joined]:
        """Yield the workers that joined since the last call."""
        while self._joined:
            yield self._joined.pop()

    def _hire(self) -> _Hand:
        actor = self._worker.remote(self._told)
        self._hired += 1
        return _Hand(self._hired, actor, actor.join.remote(), time.monotonic())

    def _fill(self, hand: _Hand) -> None:
        """Give a worker as much as it needs until it is heard again."""
        while hand.join is None and len(hand.parcels) < _PARCELS_MAX and self._owed_s(hand) < _AHEAD_S:
            series = self._choose(hand)
            if series is None:
                return
            hand.series = series
            items = self._take(series)
            if items[0].key not in hand.known:
                self._teach(hand, items[0])
            tasks = tuple(one.task for one in items)
            hand.parcels.append(_Parcel(hand.actor.compute.remote(items[0].key, tasks, items[0].again), items))

    def _take(self, series: Any) -> list[_Item]:
        """Take the next parcel of a series: runs of one config, no more than a fair share of all that waits."""
        share = sum(map(len, self._waiting.values())) // (2 * len(self._hands))
        most = max(1, min(_PARCEL_MAX, share, int(_PARCEL_S / max(self._expected_s(series), 1e-3))))
        waiting = self._waiting[series]
        items = [waiting.popleft()]
        while len(items) < most and waiting and _fit(items[0], waiting[0]):
            items.append(waiting.popleft())
        if not waiting:
            del self._waiting[series]
        return items

    def _teach(self, hand: _Hand, item: _Item) -> None:
        forget = next(iter(hand.known)) if len(hand.known) >= _CONFIGS_MAX else None
        hand.known[item.key] = None
        if forget is not None:
            del hand.known[forget]
        hand.actor.learn.remote(item.key, item.config, forget)

    def _owed_s(self, hand: _Hand) -> float:
        return sum(len(one.items) * self._expected_s(one.items[0].series) for one in hand.parcels)

    def _expected_s(self, series: Any) -> float:
        """Return what a run is expected to take: before the first one, so much that it is given by itself."""
        return self._seconds.get(series, _AHEAD_S)

    def _choose(self, hand: _Hand) -> Any:
        """Return the series of the next run: that of the last one, else the one with the most work for each worker."""
        if hand.series in self._waiting:
            return hand.series
        crowd: dict[Any, int] = {}
        for other in self._hands:
            crowd[other.series] = crowd.get(other.series, 0) + (other is not hand)

        def worth(series: Any) -> float:
            return len(self._waiting[series]) * self._seconds.get(series, 1.0) / (1 + crowd.get(series, 0))

        return max(self._waiting, key=worth, default=None)

    def _hear(self, hand: _Hand, ref: Any) -> list[Outcome]:
        """Take an answer of a worker: that it has joined, or what became of a run."""
        if ref == hand.join:
            return self._welcome(hand)
        parcel = hand.parcels[0]
        try:
            outcomes: list[Outcome] = ray.get(ref)
        except RayTaskError as error:
            fault = f"the worker met a fault of Boxgate ({type(error.cause).__name__})"
            outcomes = [_lost(one.task, fault, "INTERNAL") for one in parcel.items]
        except RayError:
            return self._replace(hand)
        hand.parcels.popleft()
        self._troubles = 0
        series = parcel.items[0].series
        for one in outcomes:
            if one.failure is None and not one.reused:  # the others do not tell what computing takes
                before = self._seconds.get(series, one.seconds)
                self._seconds[series] = before + _MEMORY * (one.seconds - before)
        return outcomes

    def _welcome(self, hand: _Hand) -> list[Outcome]:
        try:
            told: Joined | Stopped = ray.get(hand.join)
        except RayError as error:
            self._count_trouble(type(error.cause if isinstance(error, RayTaskError) else error).__name__)
            return self._replace(hand)
        if isinstance(told, Stopped):
            raise told.error()
        self._joined.append(told)
        hand.join = None
        return []

    def _count_trouble(self, kind: str) -> None:
        self._troubles += 1
        if self._troubles >= max(_TROUBLES_MAX, len(self._hands)):
            raise RunFailed(
                f"{self._troubles} workers died one after another before they computed anything ({kind})",
                code="RAY_WORKERS",
                where="Ray",
                expected="workers that can start, and load Boxgate",
                remedy="look at the memory of the nodes, and whether boxgate doctor is content on each",
            )

    def _replace(self, hand: _Hand) -> list[Outcome]:
        """Put a new worker in the place of one that is gone.

        A run that it had alone was under way: it counts as an attempt. Of several one was, and which is seen when each
        is computed by itself. That any of them was published nevertheless is possible, so they are looked for.
        """
        ray.kill(hand.actor)
        self._hands[self._hands.index(hand)] = self._hire()
        first = hand.parcels[0].items if hand.parcels else []
        is_known = len(first) == 1
        lost = [one for parcel in hand.parcels for one in parcel.items][is_known:]
        for item in reversed(lost):
            item.again = True
            item.alone = item.alone or item in first
            self._waiting.setdefault(item.series, deque()).appendleft(item)
        return [_lost(one.task, f"worker {hand.number} died", "WORKER_LOST") for one in first[:is_known]]

    def _check_waiting(self) -> None:
        oldest = min(hand.since for hand in self._hands)
        if all(hand.join is not None for hand in self._hands) and time.monotonic() - oldest > _WAIT_READY_S:
            raise RunFailed(
                f"no worker could be started in {_WAIT_READY_S:g} s",
                code="RAY_WORKERS",
                where="Ray",
                expected="at least one free CPU of the cluster",
                remedy="wait for other jobs of the cluster, or add nodes; ray status tells what is free",
            )


def _series(config: RunConfig, job: Job) -> Any:
    """Return what runs have in common that shall be computed by the same worker."""
    parts = {"symbol": config.instruments, "frame": config.frames}
    return tuple(parts[name] for name in job.group_by)


def _fit(first: _Item, other: _Item) -> bool:
    """Return whether two runs may go in one parcel."""
    return (first.key, first.again, first.alone) == (other.key, other.again, other.alone) and not first.alone


def _lost(task: Task, what: str, code: str) -> Outcome:
    failure = failure_of(
        RunFailed(
            what,
            code=code,
            where="worker",
            expected="a worker that lives until its run is done",
            remedy="look at the memory of the node; the run is tried again, resume does so as well",
        )
    )
    return Outcome(run_id=task.run_id, attempt=task.attempt, failure=failure)
