"""A thousand runs, a hundred kills: nothing is lost, nothing doubled, every digest as if nobody had been killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("BOXGATE_CHAOS_KILLS", "110"))
"""In all; of each kind there are at least ten with the default."""
EVERY = int(os.environ.get("BOXGATE_CHAOS_SETS", "250"))
"""Parameter sets; each is four runs."""
KINDS = ("sidecar", "worker", "raylet", "host", "driver")
WEIGHTS = (32, 28, 13, 14, 13)


class Monkey:
    """Kills processes below a driver, and writes down whom and during what."""

    def __init__(self, work: Path, descendants: Callable[[int], list[int]]) -> None:
        self.log: list[dict[str, Any]] = []
        self._work = work
        self._descendants = descendants

    def kill(self, kind: str, driver: int) -> bool:
        """Kill one process of a kind; False if there is none now."""
        found = [driver] if kind == "driver" else [pid for pid in self._descendants(driver) if self._is(kind, pid)]
        if not found:
            return False
        flights = sorted(path.name for path in (self._work / "witness").iterdir())
        victim = found[len(self.log) % len(found)]
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
            phase = "in flight" if flights else "between runs" if self._descendants(driver) else "starting"
            self.log.append({"victim": kind, "pid": victim, "runs": flights, "phase": phase})
            (self._work / "kills.json").write_text(json.dumps(self.log, indent=1))
        for path in (self._work / "witness").iterdir():
            path.unlink(missing_ok=True)
        return True

    def _is(self, kind: str, pid: int) -> bool:
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if kind == "sidecar":
                ours = b"/template.py" in command or b"/wilful.py" in command
                return ours and os.readlink(f"/proc/{pid}/cwd") == str(self._work)
            if kind == "worker":
                return command.startswith(b"ray::Worker")
            if kind == "host":
                return b"boxgate_server.cluster.host" in command
            return Path(f"/proc/{pid}/comm").read_text().strip() == kind
        return False


def test_a_thousand_runs_survive_a_hundred_kills(
    matrices: Any, work: Path, descendants: Callable[[int], list[int]]
) -> None:
    (work / "witness").mkdir()
    overrides = [
        f"matrix.params.every={{from: 5, to: {4 + EVERY}, step: 1}}",
        "matrix.params.will=[dawdle]",
        "runner.limits.retries=20",
    ]
    command = [sys.executable, "-m", "boxgate_server", "matrix"]
    sets = [part for one in overrides for part in ("--set", one)]

    def start(verb: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, verb, "matrix.yaml", *sets, "--json"],
            cwd=work, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    chance, monkey, drivers = random.Random(7), Monkey(work, descendants), 1
    driver = start("run")
    answer = ""
    deadline = time.monotonic() + 3600
    while True:
        assert time.monotonic() < deadline
        wait_s = chance.uniform(0.3, 2.0)
        try:
            answer, _ = driver.communicate(timeout=wait_s)
        except subprocess.TimeoutExpired:
            if len(monkey.log) < KILLS:
                kind = chance.choices(KINDS, WEIGHTS)[0]
                if any((work / "witness").iterdir()):
                    monkey.kill(kind, driver.pid)
            continue
        if driver.returncode in (0, 1):
            told = json.loads(answer)
            if told.get("failed", 1) == 0 and told.get("pending", 1) == 0:
                break
        drivers += 1
        driver = start("resume")
    kinds = Counter(one["victim"] for one in monkey.log)
    print(f"kills: {dict(kinds)}, in flight: {sum(one['phase'] == 'in flight' for one in monkey.log)}")
    print(f"drivers: {drivers}")
    assert (told["complete"], told["failed"], told["pending"]) == (4 * EVERY, 0, 0)
    index = pl.read_parquet(Path(told["index"]) / "part-*.parquet")
    assert index["run_id"].n_unique() == index.height == 4 * EVERY
    (work / "witness" / "hurry").touch()
    undisturbed = matrices.alone(*overrides)
    assert told["matrix_digest"] == undisturbed.matrix_digest
    store = sorted(path.name for path in (work / "artifacts" / "runs").iterdir() if not path.name.startswith("."))
    assert store == sorted(index["run_id"])


def test_what_is_computed_again_after_a_kill_is_what_was_in_flight(
    work: Path, descendants: Callable[[int], list[int]]
) -> None:
    (work / "witness").mkdir(exist_ok=True)
    (work / "witness" / "hurry").unlink(missing_ok=True)
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
