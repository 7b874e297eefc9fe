"""Walk-forward: the pairs of train and test windows inside one window."""

from __future__ import annotations

from dataclasses import dataclass

from boxgate_server.matrix.config.model import WalkForwardConfig


@dataclass(frozen=True, slots=True)
class Window:
    """Part of history: available after `start_ns`, up to and including `end_ns`."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Fold:
    """A train window and the test behind it."""

    train: Window
    test: Window


def walk(rule: WalkForwardConfig, start_ns: int, end_ns: int) -> list[Fold]:
    """Return the folds of a window, the earliest first; empty where it is too short for one.

    Fold k divides at start + train + k·step: its train window ends there less the purge, and begins `train` before
    (rolling) or at the start (anchored); its test begins there plus the embargo. A test that would end behind the
    window is left out.
    """
    folds = []
    divide_ns = start_ns + rule.train
    while divide_ns + rule.embargo + rule.test <= end_ns:
        begin_ns = start_ns if rule.mode == "anchored" else divide_ns - rule.train
        test_ns = divide_ns + rule.embargo
        folds.append(Fold(Window(begin_ns, divide_ns - rule.purge), Window(test_ns, test_ns + rule.test)))
        divide_ns += rule.step_ns
    return folds
