"""Usual answers to windows with FEEDBACK, taken in by one compiled call: at most one signal, and nothing wrong.

Everything else, whatever it is, is left to read_answer and take_signals, which have the last word on what is valid.
That both take the same is a property of random answers in tests/server/sessions/test_feedback_answers.py.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from boxgate_engine.kernel.records import SIGNAL_ROW, Records
from boxgate_engine.signal_intake import RAW_SIGNAL, first_fault, put_on_grid
from boxgate_server.sessions._signal_rows import read_rows

_ONE: Final = np.zeros(1, np.int64)
"""The order of one signal."""


class Taken(NamedTuple):
    """What was answered. signals: SIGNAL_ROW records as the kernel takes them, good until the next answer is taken."""

    consumed: int
    signals: Records
    rounded: int


class FeedbackAnswers:
    """Takes in one answer after another."""

    def __init__(self, specs: Records) -> None:
        """specs: SPEC records of the instruments."""
        self._specs = specs
        # A second row that stays 0, to clear the first with.
        self._raw = np.zeros(2, RAW_SIGNAL)
        self._signals = np.zeros(2, SIGNAL_ROW)
        self._counts = self._signals[:0], self._signals[:1]

    def take(self, raw: bytes, seq: int, count: int, quote_index: np.ndarray, first_event: int) -> Taken | None:
        """Return what an OnEventResponse says, None if it is of another kind.

        seq, count: number of the first event of the window, and its events. quote_index: of the chunk, in which the
        window begins with `first_event`.
        """
        data = np.frombuffer(raw, np.uint8)
        rows, consumed, rounded = _take(
            data, seq, count, quote_index, first_event, self._specs, self._raw, self._signals, _ONE
        )
        return None if rows < 0 else Taken(consumed, self._counts[rows], rounded)


@njit(cache=True, nogil=True)
def _take(
    data: np.ndarray,
    seq: int,
    count: int,
    quote_index: np.ndarray,
    first_event: int,
    specs: Records,
    raw: Records,
    signals: Records,
    order: np.ndarray,
) -> tuple[int, int, int]:
    """Fill the first record of `signals`; return how many there are, -1 for another kind, consumed, and the rounded."""
    raw[0] = raw[1]
    rows, first_seq, consumed = read_rows(data, raw[:1])
    if rows < 0 or first_seq != seq or consumed < 1 or consumed > count:
        return -1, 0, 0
    if rows == 0:
        return 0, consumed, 0
    if first_fault(raw[:1], specs, consumed)[1] >= 0:
        return -1, 0, 0
    signals[0] = signals[1]
    rounded, vanished = put_on_grid(raw[:1], order, specs, signals[:1])
    if vanished >= 0:
        return -1, 0, 0
    signals[0].event = quote_index[first_event + signals[0].event]
    return 1, consumed, rounded


def compile_intake(specs: Records) -> None:
    """Compile what takes in an answer, and keep it for later processes."""
    FeedbackAnswers(specs).take(b"\x0a\x00", 0, 0, np.zeros(1, np.int64), 0)
