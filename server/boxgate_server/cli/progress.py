"""What a person sees while a run goes on: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from boxgate_server.cli.answer import line, visible
from boxgate_server.cli.numerals import count, duration, rate
from boxgate_server.outcome import Watcher

if TYPE_CHECKING:
    from rich.progress import Progress

_REDRAW_S: Final = 0.1
_LINE_S: Final = 5.0
"""Seconds between two lines where there is no terminal."""
_TOLD: Final = frozenset({"history_extended", "stop_unclean"})
"""Events of the log that a person hears of at once; the rest is in the log."""


@contextmanager
def watching(known: dict[str, Any]) -> Iterator[Watcher]:
    """Show a run on stderr while it goes on. known: gets `run_id` as soon as there is one."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if console.is_terminal and not console.is_dumb_terminal:
        with _bar(console) as progress:
            task = progress.add_task("starting", total=None)

            def stage(text: str) -> None:
                # A new task has a new clock: the rate is that of the events, not of what came before them.
                nonlocal task
                progress.remove_task(task)
                task = progress.add_task(text, total=None)

            def events(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            yield _watcher(known, console, stage=stage, events=_at_most_every(_REDRAW_S, events))
    else:
        lines = _Lines(console)
        yield _watcher(known, console, stage=lines.stage, events=_at_most_every(_LINE_S, lines.events))


def _watcher(
    known: dict[str, Any], console: Console, *, stage: Callable[[str], None], events: Callable[[int, int], None]
) -> Watcher:
    def log(entry: Mapping[str, Any]) -> None:
        if entry["run_id"] is not None:
            known["run_id"] = entry["run_id"]
        if entry["event"] in _TOLD:
            line(console, visible(f"{entry['level']}: {entry['message']}"))

    return Watcher(stage=stage, events=events, log=log)


class _Lines:
    """Plain lines for a log file or a pipe."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def stage(self, text: str) -> None:
        self._began = time.monotonic()
        line(self._console, text)

    def events(self, done: int, total: int) -> None:
        passed = time.monotonic() - self._began
        line(self._console, f"{100 * done // max(total, 1)} %: {_figures(done, total, passed)}")


def _figures(done: int, total: int, passed_s: float) -> str:
    """Return how far it is, how fast, and how long it will take."""
    text = f"{count(done)} of {count(total)} events"
    if done == 0 or passed_s <= 0.0:
        return text
    speed = done / passed_s
    return f"{text}, {rate(speed)}, {duration((total - done) / speed)} left"


def _at_most_every(seconds: float, show: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Return `show` without the calls that come too soon; a lockstep run reports every event."""
    next_at = time.monotonic() + seconds

    def events(done: int, total: int) -> None:
        nonlocal next_at
        now = time.monotonic()
        if now >= next_at:
            next_at = now + seconds
            show(done, total)

    return events


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn  # for terminals only

    class Figures(ProgressColumn):
        def render(self, task: Task) -> Text:
            if task.total is None:
                return Text("")
            return Text(_figures(int(task.completed), int(task.total), task.elapsed or 0.0), "cyan")

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        Figures(),
        console=console,
        transient=True,
    )
