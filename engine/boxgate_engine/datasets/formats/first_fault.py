"""The first row with a fault, found by halves: which fault is named must not depend on how a file is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np

from boxgate_engine.datasets.formats.pieces import Piece
from boxgate_engine.errors import DataRefused

Rows = TypeVar("Rows")


def read_soundly(piece: Piece, header_lines: int, read: Callable[[Piece], Rows]) -> Iterator[Rows]:
    """Yield what is read of a piece; where it has a fault, what is read of the rows before it, and raise its refusal.

    header_lines: of the piece, before its rows. read: is called with the piece or with its first lines, perhaps more
    than once; what it remembers must not change by that.
    """
    ends = np.flatnonzero(np.frombuffer(piece.text, np.uint8) == ord("\n"))
    rows_all = len(ends) + 1 - header_lines
    if rows_all <= 0:
        return
    try:
        rows = read(piece)
    except DataRefused:

        def first(rows: int) -> Rows:
            count = header_lines + rows
            return read(piece if rows == rows_all else replace(piece, text=piece.text[: ends[count - 1]]))

        sound, refusal = rows_before_fault(rows_all, first)
        if sound:
            yield first(sound)
        raise refusal from None
    yield rows


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
