"""What is wrong with instruments, windows and costs of a matrix among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from boxgate_engine.config.document import Document, KeyPath, path_text
from boxgate_engine.config.model import FIRST
from boxgate_engine.errors import Problem
from boxgate_server.matrix.config.instruments import GroundConfig, entry_of
from boxgate_server.matrix.config.model import MatrixConfig


def repetition_problems(matrix: MatrixConfig, given: dict[str, Any], document: Document) -> list[Problem]:
    """Return everything that stands twice, windows that begin with `first`, and windows that nothing uses."""
    problems: list[Problem] = []

    def refuse(at: KeyPath, what: str, expected: str, remedy: str) -> None:
        problems.append(
            Problem(path=path_text(at), source=document.source(at), what=what, expected=expected, remedy=remedy)
        )

    def refuse_repeated(at: KeyPath, listed: Sequence[object]) -> None:
        for i, one in enumerate(listed):
            first = listed.index(one)
            if first != i:
                refuse(
                    (*at, i),
                    f"it is the same as number {first + 1} of the list",
                    "each once",
                    "remove one of the two",
                )

    for at, start in _starts(matrix, given):
        if start == FIRST:
            refuse(
                (*at, "start"),
                "`first` leaves room for what a strategy needs before it, which may differ between parameter sets",
                "a date, so that all runs of a window have the same",
                "write the date; boxgate data show tells where the data begin",
            )
    listed = matrix.instruments or ()
    long = [entry_of(one) for one in listed]
    refuse_repeated(("matrix", "windows"), matrix.windows or ())
    for i, entry in enumerate(long):
        refuse_repeated(("matrix", "instruments", i, "windows"), entry.windows or ())
    beside = given.get("frames")
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
    for i, entry in enumerate(long):
        frames = entry.frames or tuple(beside if isinstance(beside, list) else ())
        first = known.setdefault((entry.instruments, frames), i)
        if first != i:
            same = entry.windows == long[first].windows
            refuse(
                ("matrix", "instruments", i),
                f"it is the same as number {first + 1} of the list" + ("" if same else " but for its windows"),
                "each once",
                "remove one of the two" if same else "put the windows of both into one entry",
            )
        twice = sorted({symbol for symbol in entry.instruments if entry.instruments.count(symbol) > 1})
        if twice:
            at = ("instruments",) if isinstance(listed[i], GroundConfig) else ()
            refuse(
                ("matrix", "instruments", i, *at), f"named more than once: {', '.join(twice)}", "each once", "remove it"
            )
    refuse_repeated(("matrix", "costs"), matrix.costs or ())
    if matrix.windows is not None and long and all(entry.windows is not None for entry in long):
        refuse(
            ("matrix", "windows"),
            "nothing uses these windows: every entry of matrix.instruments has windows of its own",
            "windows here, or in every entry",
            "remove matrix.windows, or the windows of an entry that shall have these",
        )
    return problems


def _starts(matrix: MatrixConfig, given: dict[str, Any]) -> list[tuple[KeyPath, Any]]:
    """Return the key and the start of every window that a run has."""
    long = [entry_of(one) for one in matrix.instruments or ()]
    starts: list[tuple[KeyPath, Any]] = [
        (("matrix", "windows", i), one.start) for i, one in enumerate(matrix.windows or ())
    ]
    if matrix.windows is None and (not long or any(entry.windows is None for entry in long)):
        window = given.get("window")
        starts.append((("window",), window.get("start") if isinstance(window, dict) else None))
    for i, entry in enumerate(long):
        at: KeyPath = ("matrix", "instruments", i, "windows")
        starts += [((*at, k), one.start) for k, one in enumerate(entry.windows or ())]
    return starts
