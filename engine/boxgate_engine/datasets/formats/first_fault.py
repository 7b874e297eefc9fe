"""The first row with a fault, found by halves: which fault is named must not depend on how a file is cut."""

from __future__ import annotations

from collections.abc import Callable

from boxgate_engine.errors import DataRefused


def rows_before_fault(rows: int, check: Callable[[int], object]) -> tuple[int, DataRefused]:
    """Return how many rows come before the first with a fault, and the refusal that they and this row give.

    rows: of which at least one has a fault. check: raises DataRefused if any of so many first rows has one.
    """
    sound, bad, refusal = 0, rows, None
    while refusal is None or bad - sound > 1:
        middle = bad if refusal is None else (sound + bad) // 2
        try:
            check(middle)
        except DataRefused as error:
            bad, refusal = middle, error
        else:
            assert refusal is not None, "all rows together have no fault"
            sound = middle
    return sound, refusal
