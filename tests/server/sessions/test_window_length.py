"""The length of windows with FEEDBACK is free: any sequence of lengths is one result."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_lockstep_equals_window import play

from boxgate_server.sessions import delivery
from boxgate_server.sessions.window_length import FIRST, GROWTH, LEAST, WindowLength


@pytest.mark.parametrize("seed", range(24))
def test_any_sequence_of_lengths_gives_the_result_of_lockstep(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = random.Random(seed)  # which windows are tried, no secret

    class Erratic(WindowLength):
        def note(self, sent: int, consumed: int, *, stopped: bool) -> None:
            self.events = lengths.choice((1, 1, 2, 3, 7, 40, 4096))

    lockstep = play(seed, lockstep=True, window_events=4096)
    monkeypatch.setattr(delivery, "WindowLength", Erratic)
    windows = play(seed, lockstep=False, window_events=4096)
    assert windows.seen == lockstep.seen
    assert windows.counts == lockstep.counts
    assert windows.digest == lockstep.digest


@given(st.integers(1, 5000), st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.booleans()), max_size=40))
def test_a_length_stays_within_its_bounds(events_max: int, steps: list[tuple[float, float, bool]]) -> None:
    length = WindowLength(events_max)
    for cut, answered, said in steps:
        assert 1 <= length.events <= events_max
        sent = max(1, round(cut * length.events))
        consumed = max(1, round(answered * sent))
        length.note(sent, consumed, stopped=said or consumed < sent)


def test_windows_grow_while_nothing_stops_them() -> None:
    length = WindowLength(4096)
    lengths = []
    for _ in range(5):
        lengths.append(length.events)
        length.note(length.events, length.events, stopped=False)
    assert lengths == [FIRST * GROWTH**k for k in range(3)] + [4096] * 2
    length.note(10, 10, stopped=False)  # cut before the next change of the account
    assert length.events == 4096


def test_regular_stops_lead_to_windows_of_just_their_distance() -> None:
    length = WindowLength(4096)
    trips = _trips(length, [50] * 100)
    assert trips <= 105
    assert 50 <= length.events <= 51
    assert _trips(length, [50] * 100) == 100


@pytest.mark.parametrize("mean", [5, 50, 500])
def test_irregular_stops_are_seldom_met_by_windows_that_end_before_them(mean: int) -> None:
    chance = random.Random(3)  # which stops come, no secret
    length = WindowLength(4096)
    stretches = [1 + int(chance.expovariate(1 / mean)) for _ in range(400)]
    assert _trips(length, stretches) <= 1.1 * len(stretches)
    assert LEAST <= length.events <= 8 * mean + LEAST


def _trips(length: WindowLength, stretches: list[int]) -> int:
    """Return how many windows it takes to answer them. stretches: events until each stop."""
    trips = 0
    for stretch in stretches:
        left = stretch
        while left:
            sent = length.events
            consumed = min(sent, left)
            left -= consumed
            length.note(sent, consumed, stopped=not left)
            trips += 1
    return trips
