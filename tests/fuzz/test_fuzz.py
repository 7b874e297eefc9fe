# mypy: disable-error-code="import-not-found"
"""Random runs of targets and of orders: ledger, limits, finite numbers, and the same result however the tape is cut."""

from __future__ import annotations

from collections import Counter

import pytest
from fuzz import check_seed

_SEEDS = 200
_TOGETHER = 25


@pytest.mark.parametrize("first", range(0, _SEEDS, _TOGETHER))
def test_random_runs_keep_ledger_limits_and_numbers(first: int) -> None:
    found: Counter[str] = Counter()
    for seed in range(first, first + _TOGETHER):
        try:
            found += check_seed(seed)
        except Exception as error:
            error.add_note(f"seed {seed}; again: .venv/bin/python tests/fuzz/fuzz.py --first {seed} --runs 1")
            raise
    # Runs in which nothing happens would hold anything.
    assert found["runs with fills"] > _TOGETHER / 2
    assert found["fills ENTRY"] > 50
    assert found["fills STOP_LOSS"] > 5
