"""Eight workers, and runs that are handed out in any order: as the commands of tests/bench/matrix show it, on a few."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMANDS = Path(__file__).resolve().parents[2] / "bench" / "matrix"


def told(name: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(COMMANDS / name), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr or done.stdout
    return dict(json.loads(done.stdout))


@pytest.mark.slow
def test_eight_workers_and_a_shuffled_order_make_what_one_process_makes_in_order() -> None:
    ways = ("in_process", "in_process_shuffled", "workers_8_shuffled")
    found = told("same_digest.py", "--runs", "16", "--bars", "1500", "--ways", *ways)
    assert (found["runs"], found["different_results"]) == (16, 16)
    assert len(set(found["matrix_digest"].values())) == 1


@pytest.mark.slow
def test_tpe_with_four_workers_makes_the_trials_and_finds_the_best_of_one() -> None:
    found = told("tpe.py", "--trials", "24", "--bars", "1500")
    assert found["workers_4"] == found["workers_1"] == found["in_process"]
    assert found["workers_4"]["trials"] == 24
