"""A thousand runs, a hundred kills, a full disk: nothing is lost, nothing doubled, every digest as if nothing happened.

Every process that dies was frozen before, so that what is written down about it is how it was. The log of the kills has
one line of JSON for each, in the folder that BOXGATE_CHAOS_LOG names.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from boxgate_engine.artefacts import read_run

pytestmark = pytest.mark.slow

SHARE: Final = float(os.environ.get("BOXGATE_CHAOS_SHARE", "1"))
"""Of all runs and kills, to try this test itself; what is counted is asserted for 1 alone."""
DECK: Final = {"sidecar": 40, "worker": 30, "raylet": 11, "node": 11, "driver": 11}
"""Kills of each kind. A node is the process that holds Ray, the raylet, its store of facts and all workers at once."""
ANYWHERE: Final = 6
"""Every so many kills one does not wait for a run to be in flight: it comes soon after the one before."""
PUBLISHING: Final = 4
"""Every so many kills of a worker one comes while it publishes."""
SETS: Final = round(250 * SHARE)
"""Parameter sets; each is four runs."""
STORE_BYTES: Final = 600 << 20
ORPHANS_S: Final = 60.0
"""Ray's own agents look some seconds apart whether their raylet lives, if it was killed together with the host."""


class Monkey:
    """Kills processes below a driver, and writes down whom and during what."""

    def __init__(self, work: Path, runs: Mapping[str, str], descendants: Callable[[int], list[int]]) -> None:
        """Prepare. runs: run id by the beginning of its marks."""
        self.log: list[dict[str, Any]] = []
        self.met: set[tuple[int, str]] = set()
        """Every process that was ever frozen, with the time it was started."""
        self.store = work / "artifacts" / "runs"
        self._marks = work / "marks"
        self._runs = runs
        self._descendants = descendants
        self.began = time.monotonic()
        self.path = Path(os.environ.get("BOXGATE_CHAOS_LOG", work)) / "kills.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("")

    def kill(self, kind: str, driver: int, *, during: str | None = None) -> bool:
        """Kill a victim of a kind; False if there is none now, or what it does is not what is asked for.

        during: in flight, publishing, or None for whatever it does.
        """
        if during == "publishing" and not any(name.startswith(".tmp-") for name in os.listdir(self.store)):
            return False
        with frozen([driver, *self._descendants(driver)]) as all_of_them:
            victims = self._victims(kind, driver, all_of_them)
            doomed = {one for pid in victims for one in (pid, *self._descendants(pid))}
            runs = self._in_flight(doomed)
            publishing = any(self._publishes(pid) for pid in doomed)
            if not victims or (during == "in flight" and not runs) or (during == "publishing" and not publishing):
                return False
            self.met |= {(pid, started(pid)) for pid in all_of_them}
            phase = "computing" if runs else "between runs" if self._workers(all_of_them) else "starting"
            if publishing:
                phase = "publishing"
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            self.note(kind, victims, runs, phase)
        return True

    def note(self, victim: str, pids: list[int], runs: list[str], phase: str) -> None:
        """Write a line of the log."""
        entry = {
            "number": len(self.log) + 1, "second": round(time.monotonic() - self.began, 3), "victim": victim,
            "pids": pids, "runs": runs, "phase": phase, "published": self.published(),
        }  # fmt: skip
        self.log.append(entry)
        with self.path.open("a") as log:
            log.write(json.dumps(entry) + "\n")

    def published(self) -> int:
        """Return how many runs are in the store."""
        with suppress(OSError):
            return sum(name.startswith("r_") for name in os.listdir(self.store))
        return 0

    def starts(self) -> dict[str, list[tuple[str, bool]]]:
        """Return for each run the processes that began it, and whether it was the last thing they did."""
        last: dict[str, tuple[int, str]] = {}
        for run, process, number in self._all_marks():
            last[process] = max(last.get(process, (-1, "")), (number, run))
        found: dict[str, list[tuple[str, bool]]] = defaultdict(list)
        for run, process, number in self._all_marks():
            found[run].append((process, last[process] == (number, run)))
        return found

    def _all_marks(self) -> Iterator[tuple[str, str, int]]:
        for name in os.listdir(self._marks):
            symbol, every, time_ns, pid, began, number = name.split(".")
            yield self._runs[f"{symbol}.{every}.{time_ns}"], f"{pid}.{began}", int(number)

    def _in_flight(self, doomed: set[int]) -> list[str]:
        """Return the runs that some processes have begun and nobody has published."""
        theirs = {process_name(pid) for pid in doomed}
        last = {one: run for run, all_of_them in self.starts().items() for one, is_last in all_of_them if is_last}
        return sorted(run for one, run in last.items() if one in theirs and not (self.store / run).exists())

    def _victims(self, kind: str, driver: int, found: list[int]) -> list[int]:
        if kind == "driver":
            return [driver]
        named = {pid: kind_of(pid) for pid in found}
        if kind == "node":
            parts = [pid for pid, name in named.items() if name in ("host", "raylet", "gcs_server", "worker")]
            return parts if "raylet" in named.values() else []
        if kind == "sidecar":
            known = {process for all_of_them in self.starts().values() for process, _ in all_of_them}
            pids = [pid for pid in found if process_name(pid) in known]
        else:
            pids = [pid for pid, name in named.items() if name == kind]
        busy = [pid for pid in pids if self._publishes(pid)] or [
            pid for pid in pids if self._in_flight({pid, *self._descendants(pid)})
        ]
        return (busy or pids)[:1]

    def _publishes(self, pid: int) -> bool:
        with suppress(OSError):
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    if os.readlink(handle).startswith(f"{self.store}/.tmp-"):
                        return True
        return False

    def _workers(self, found: list[int]) -> list[int]:
        return [pid for pid in found if kind_of(pid) == "worker"]


@contextmanager
def frozen(pids: list[int]) -> Iterator[list[int]]:
    """Stop processes, yield those that are still there, and let them go on."""
    stopped = []
    try:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)
        yield stopped
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def kind_of(pid: int) -> str:
    """Return what a process is: host, raylet, gcs_server, worker, or its name."""
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if command.startswith(b"ray::Worker"):
            return "worker"
        if b"boxgate_server.cluster.host" in command:
            return "host"
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def started(pid: int) -> str:
    """Return when a process was started, in clock ticks since the boot; empty if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


def process_name(pid: int) -> str:
    """Return what a process calls itself in its marks: its number as it sees it, where, and when it was started."""
    with suppress(OSError):
        space = os.readlink(f"/proc/{pid}/ns/pid").strip("pid:[]")
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return f"{line.split()[-1]}-{space}.{started(pid)}"
    return ""


@pytest.fixture
def small_disk(work: Path) -> Iterator[Path]:
    """A file system of its own under the store, so that it can be filled."""
    store = work / "artifacts"
    store.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={STORE_BYTES}", "tmpfs", store],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a file system of its own needs the right to mount one: {mounted.stderr.strip()}")
    yield store
    subprocess.run(["umount", "-l", store], check=True)


def fill(folder: Path) -> Path:
    """Take all the space that a file system has, and return the file that has it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * (1 << 20)):
            pass
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"\0"):
            pass
    return ballast


def test_a_thousand_runs_survive_a_hundred_kills_and_a_full_disk(
    matrices: Any,
    work: Path,
    small_disk: Path,
    descendants: Callable[[int], list[int]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (work / "marks").mkdir()
    (work / "strategies" / "marking.py").write_text(Path(__file__).with_name("marking.py").read_text())
    overrides = [
        "strategy.command=[python, strategies/marking.py]",
        f"matrix.params={{every: {{from: 5, to: {4 + SETS}, step: 1}}}}",
        "runner.limits.retries=20",
    ]
    _, plan, _ = matrices.plan(*overrides)
    runs = {}
    for one in plan:
        setting = plan.settings[one.setting]
        first_ns = setting.start_ns + 60_000_000_000  # a bar is delivered when it is over
        runs[f"{setting.instruments[0]}.{plan.space.params(one.params)['every']}.{first_ns}"] = one.run_id
    assert len(runs) == 4 * SETS
    chance = random.Random(7)
    deck = [kind for kind, number in DECK.items() for _ in range(max(1, round(number * SHARE)))]
    chance.shuffle(deck)
    deck.insert(len(deck) // 2, "disk")
    pace = 0.9 * len(runs) / len(deck)
    monkey = Monkey(work, runs, descendants)
    drivers = Drivers(work, overrides)
    told: dict[str, Any] = {}
    driver = drivers.start("run")
    until = time.monotonic() + 3000
    while not told:
        assert time.monotonic() < until
        number = len(monkey.log)
        if driver.poll() is not None:
            answer = drivers.answer()
            if driver.returncode in (0, 1) and answer.get("failed", 1) == answer.get("pending", 1) == 0:
                told = answer
            else:
                driver = drivers.start("resume")
        elif number == len(deck):
            (work / "hurry").touch()
            time.sleep(0.1)
        elif deck[number] == "disk":
            if monkey.published() >= number * pace:
                overflow(monkey, small_disk, driver, drivers)
        elif number % ANYWHERE == 0:
            time.sleep(chance.uniform(0.0, 2.0))
            monkey.kill(deck[number], driver.pid)
        elif monkey.published() >= number * pace:
            of_its_kind = deck[:number].count(deck[number])
            exactly = deck[number] == "worker" and of_its_kind % PUBLISHING == 0
            monkey.kill(deck[number], driver.pid, during="publishing" if exactly else "in flight")
            time.sleep(0.001 if exactly else 0.005)
        else:
            time.sleep(0.02)
    again = explained(monkey)
    kills = [one for one in monkey.log if one["victim"] != "disk"]
    kinds = Counter(one["victim"] for one in kills)
    phases = Counter(one["phase"] for one in kills)
    flying = sum(bool(one["runs"]) for one in kills)
    with capsys.disabled():
        print(
            f"\n{len(runs)} runs, {len(kills)} kills ({', '.join(f'{n} {kind}' for kind, n in kinds.most_common())}), "
            f"{flying} with a run in flight ({', '.join(f'{n} {phase}' for phase, n in phases.most_common())}), "
            f"disk full {len(monkey.log) - len(kills)} time, {drivers.number} drivers, {again} runs begun again, "
            f"{time.monotonic() - monkey.began:.0f} s; {monkey.path}"
        )
    if SHARE == 1:
        assert len(kills) >= 100
        assert flying >= 60
        assert min(kinds.values()) >= 10
    assert set(kinds) == set(DECK)
    assert (told["planned"], told["complete"], told["failed"], told["pending"]) == (len(runs), len(runs), 0, 0)
    index = pl.read_parquet(Path(told["index"]) / "part-*.parquet")
    assert sorted(index["run_id"]) == sorted(runs.values())
    (work / "hurry").touch()
    undisturbed = matrices.alone(*overrides)
    assert told["matrix_digest"] == undisturbed.matrix_digest
    assert sorted(os.listdir(monkey.store)) == sorted(runs.values()), "one folder for each run, and nothing else"
    for run, digest in zip(index["run_id"], index["result_digest"], strict=True):
        assert read_run(monkey.store / run).result_digest == digest
    deadline = time.monotonic() + ORPHANS_S
    while left := [pid for pid, began in monkey.met if began and started(pid) == began]:
        assert time.monotonic() < deadline, f"{sorted(map(kind_of, left))} have lost what they worked for, and live on"
        time.sleep(0.1)


class Drivers:
    """Drivers of one matrix, one after another."""

    def __init__(self, work: Path, overrides: list[str]) -> None:
        self.number = 0
        self._work = work
        self._sets = [part for one in overrides for part in ("--set", one)]

    def start(self, verb: str) -> subprocess.Popen[bytes]:
        """Start the next one."""
        self.number += 1
        with self._output.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "boxgate_server", "matrix", verb, "matrix.yaml", *self._sets, "--json"],
                cwd=self._work, stdout=output, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def answer(self) -> dict[str, Any]:
        """Return what the last one answered, nothing if it was killed before."""
        with suppress(json.JSONDecodeError):
            answer: dict[str, Any] = json.loads(self._output.read_bytes())
            return answer
        return {}

    @property
    def _output(self) -> Path:
        return self._work / f"driver-{self.number}.json"


def overflow(monkey: Monkey, disk: Path, driver: subprocess.Popen[bytes], drivers: Drivers) -> None:
    """Fill the disk until the driver gives up, and make room again."""
    ballast = fill(disk)
    driver.wait(300)
    before = monkey.published()
    error = drivers.answer()["error"]
    assert (driver.returncode, error["code"]) == (1, "STORE_FULL")
    ballast.unlink()
    begun = [run for run in monkey.starts() if not (monkey.store / run).exists()]
    monkey.note("disk", [], sorted(begun), "publishing")
    assert monkey.published() == before


def explained(monkey: Monkey) -> int:
    """Return how often a run was begun again; each time whoever began it before died of a kill with it."""
    full = {run for one in monkey.log if one["victim"] == "disk" for run in one["runs"]}
    again = 0
    for run, processes in monkey.starts().items():
        again += len(processes) - 1
        survived = [name for name, was_its_last in processes if not was_its_last]
        assert len(survived) <= 1 + (run in full), (run, processes)
    assert again <= sum(len(one["runs"]) for one in monkey.log)
    return again


def test_what_is_computed_again_after_a_kill_is_what_was_in_flight(
    work: Path, descendants: Callable[[int], list[int]]
) -> None:
    (work / "witness").mkdir(exist_ok=True)
    sets = ["--set", "matrix.params.every={from: 401, to: 420, step: 1}", "--set", "matrix.params.will=[dawdle]"]
    command = [sys.executable, "-m", "boxgate_server", "matrix"]
    driver = subprocess.Popen(
        [*command, "run", "matrix.yaml", *sets, "--json"], cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    runs = work / "artifacts" / "runs"

    def published() -> set[str]:
        return {path.name for path in runs.iterdir() if path.name.startswith("r_")} if runs.is_dir() else set()

    before = published()
    while len(published() - before) < 40:
        assert driver.poll() is None
        time.sleep(0.05)
    below = descendants(driver.pid)
    driver.kill()
    driver.communicate()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in below):
        assert time.monotonic() < deadline, "orphans live on"
        time.sleep(0.05)
    done = published() - before
    told = json.loads(
        subprocess.run(
            [*command, "resume", "matrix.yaml", *sets, "--json"], cwd=work, capture_output=True, text=True, check=True
        ).stdout
    )
    assert (told["complete"], told["reused"], told["computed"]) == (80, len(done), 80 - len(done))
