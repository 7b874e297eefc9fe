"""How a crew shares runs out, on a stand-in for Ray that does one thing at a time. With Ray itself: test_ray_matrix."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorDiedError

from boxgate_engine.config import RunConfig
from boxgate_server.cluster import crew as crew_module
from boxgate_server.cluster.build import this_build
from boxgate_server.cluster.crew import Crew
from boxgate_server.cluster.messages import Job, Joined, Limits, Work
from boxgate_server.matrix.execution.work import Outcome, Task


class Ref:
    """An answer of an actor, made when somebody waits for it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: list[Any] = []

    def value(self) -> Any:
        if not self._made:
            try:
                self._made.append(self._make())
            except ActorDiedError as error:
                self._made.append(error)
        if isinstance(self._made[0], ActorDiedError):
            raise self._made[0]
        return self._made[0]


class Actor:
    """A worker. Calls are made one after another; after its death each of them fails."""

    def __init__(self, number: int, ray: Ray) -> None:
        self.number = number
        self._ray = ray
        self._calls: deque[Ref] = deque()
        self._dead = False
        self.join, self.learn, self.compute = (
            Method(self, one) for one in (lambda: Joined(node="n", pid=number), lambda *_: None, self._compute)
        )

    def call(self, work: Callable[..., Any], arguments: Sequence[Any]) -> Ref:
        def make() -> Any:
            if self._dead:
                raise ActorDiedError
            return work(*arguments)

        return Ref(make)

    def _compute(self, key: bytes, tasks: Sequence[Task], again: bool) -> list[Outcome]:
        self._ray.parcels.append((self.number, [one.run_id for one in tasks], again))
        found = []
        for one in tasks:
            if one.run_id in self._ray.deadly:
                self._dead = True
                raise ActorDiedError
            reused = not self._ray.seconds
            found.append(Outcome(run_id=one.run_id, attempt=one.attempt, seconds=self._ray.seconds, reused=reused))
        return found


class Method:
    def __init__(self, actor: Actor, work: Callable[..., Any]) -> None:
        self._actor = actor
        self._work = work

    def remote(self, *arguments: Any) -> Ref:
        return self._actor.call(self._work, arguments)


class Ray:
    """What a crew uses of Ray. deadly: runs that end their worker. seconds: what others take, 0.0 if they are there."""

    def __init__(self, seconds: float, deadly: Sequence[str] = ()) -> None:
        self.seconds = seconds
        self.deadly = deadly
        self.parcels: list[tuple[int, list[str], bool]] = []
        self.hired = 0

    def put(self, told: Any) -> Any:
        return told

    def remote(self, *_: Any) -> Any:
        """Both `ray.remote(Worker)` and the `.remote(job)` of what it returns, whose options are none."""
        if _ and isinstance(_[0], type):
            return self
        self.hired += 1
        return Actor(self.hired, self)

    def options(self, **_: Any) -> Ray:
        return self

    def wait(self, refs: list[Ref], timeout: float, num_returns: int = 1) -> tuple[list[Ref], list[Ref]]:
        if num_returns > 1 or timeout == 0:
            return [], refs
        self._turn = getattr(self, "_turn", -1) + 1
        return [refs[self._turn % len(refs)]], []

    def get(self, ref: Ref) -> Any:
        return ref.value()

    def kill(self, actor: Actor) -> None:
        pass


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[Outcome]]:
    """Let a crew of two compute runs, and return their outcomes."""

    def run(ray: Ray, runs: int) -> list[Outcome]:
        monkeypatch.setattr(crew_module, "ray", ray)
        job = Job(
            folder="", store=str(tmp_path), build=this_build(), workers=2, group_by=("symbol", "frame"), limits=Limits()
        )
        crew = Crew(job, 2)
        config = RunConfig.model_construct(instruments=("EURUSD",), frames=("M1",))
        tasks = tuple(Task(run_id=f"r{number:03}", params={}, attempt=1) for number in range(runs))
        crew.add(Work(config=config, tasks=tasks))
        outcomes: list[Outcome] = []
        while not crew.is_idle:
            outcomes += crew.turn(1.0)
        return outcomes

    return run


def test_short_runs_are_given_together_and_the_last_ones_one_by_one(play: Callable[..., list[Outcome]]) -> None:
    ray = Ray(seconds=0.01)
    outcomes = play(ray, 100)
    assert Counter(one.run_id for one in outcomes) == {f"r{number:03}": 1 for number in range(100)}
    sizes = [len(runs) for _, runs, _ in ray.parcels]
    assert sizes[0] == 1
    assert 10 <= max(sizes) <= 20
    assert sizes[-3:] == [1, 1, 1]
    by_worker = Counter(number for number, runs, _ in ray.parcels for _ in runs)
    assert min(by_worker.values()) >= 25


def test_long_runs_are_given_one_by_one_to_who_is_free(play: Callable[..., list[Outcome]]) -> None:
    ray = Ray(seconds=0.3)
    assert len(play(ray, 20)) == 20
    assert all(len(runs) == 1 for _, runs, _ in ray.parcels)
    assert [number for number, _, _ in ray.parcels[:6]] == [1, 2, 1, 2, 1, 2]


def test_what_is_found_in_the_store_tells_nothing_about_what_computing_takes(
    play: Callable[..., list[Outcome]],
) -> None:
    ray = Ray(seconds=0.0)
    assert len(play(ray, 100)) == 100
    assert all(len(runs) == 1 for _, runs, _ in ray.parcels)


def test_of_runs_that_a_worker_died_with_the_one_that_ends_it_is_found(play: Callable[..., list[Outcome]]) -> None:
    ray = Ray(seconds=0.01, deadly=("r050",))
    outcomes = play(ray, 100)
    assert Counter(one.run_id for one in outcomes) == {f"r{number:03}": 1 for number in range(100)}
    failed = [one for one in outcomes if one.failure is not None]
    assert [(one.run_id, one.failure.code) for one in failed if one.failure is not None] == [("r050", "WORKER_LOST")]
    first, second = (parcel for parcel in ray.parcels if "r050" in parcel[1])
    assert len(first[1]) > 1
    assert (second[1], second[2]) == (["r050"], True)
    for neighbour in set(first[1]) - {"r050"}:
        assert [(len(runs), again) for _, runs, again in ray.parcels if neighbour in runs] == [
            (len(first[1]), False),
            (1, True),
        ]
    assert ray.hired == 4


def test_runs_that_end_every_worker_end_too(play: Callable[..., list[Outcome]]) -> None:
    runs = [f"r{number:03}" for number in range(12)]
    outcomes = play(Ray(seconds=0.01, deadly=runs), 12)
    assert sorted(one.run_id for one in outcomes) == runs
    assert {one.failure.code for one in outcomes if one.failure is not None} == {"WORKER_LOST"}
