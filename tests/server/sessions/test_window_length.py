"""The length of windows with FEEDBACK is free: any sequence of lengths is one result."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_lockstep_equals_window import play

from boxgate_server.sessions import delivery
from boxgate_server.sessions.window_length import FIRST, GROWTH, MARGIN, WindowLength


@pytest.mark.parametrize("seed", range(24))
def test_any_sequence_of_lengths_gives_the_result_of_lockstep(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = random.Random(seed)  # which windows are tried, no secret

    class Erratic(WindowLength):
        def note(self, sent: int, consumed: int) -> None:
            self.events = lengths.choice((1, 1, 2, 3, 7, 40, 4096))

    lockstep = play(seed, lockstep=True, window_events=4096)
    monkeypatch.setattr(delivery, "WindowLength", Erratic)
    windows = play(seed, lockstep=False, window_events=4096)
    assert windows.seen == lockstep.seen
    assert windows.counts == lockstep.counts
    assert windows.digest == lockstep.digest


@given(st.integers(1, 5000), st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)), max_size=40))
def test_a_length_stays_within_its_bounds(events_max: int, steps: list[tuple[float, float]]) -> None:
    length = WindowLength(events_max)
    for cut, answered in steps:
        assert 1 <= length.events <= events_max
        sent = max(1, round(cut * length.events))
        length.note(sent, max(1, round(answered * sent)))


def test_windows_grow_while_nothing_stops_them_and_fit_the_trades_that_do() -> None:
    length = WindowLength(4096)
    lengths = []
    for _ in range(5):
        lengths.append(length.events)
        length.note(length.events, length.events)
    assert lengths == [FIRST * GROWTH**k for k in range(3)] + [4096] * 2
    lengths = []
    for _ in range(7):
        length.note(length.events, 50)
        lengths.append(length.events)
    assert lengths == [2048, 1024, 512, 256, 128, MARGIN * 50, MARGIN * 50]
    length.note(MARGIN * 50, 1)
    assert length.events == FIRST
    length.note(10, 10)  # cut before the next change of the account
    assert length.events == FIRST
