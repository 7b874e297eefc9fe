"""How far a matrix is, in one line that changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from boxgate_server.cli.answer import line
from boxgate_server.cli.numerals import count, duration, rate
from boxgate_server.matrix.driver import Progress
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.search.generations import sets_to_come

_WATCH_S: Final = 1.0
_LINE_S: Final = 5.0


@contextmanager
def shown_progress() -> Iterator[Callable[[Progress], None]]:
    """Show one line of progress on a terminal, a line now and then elsewhere."""
    console = _people()
    live = console.is_terminal and not console.is_dumb_terminal
    next_at = 0.0

    def tell(progress: Progress) -> None:
        nonlocal next_at
        now = time.monotonic()
        if now >= next_at or progress.done == progress.planned:
            next_at = now + (0.1 if live else _LINE_S)
            text = _progress_line(progress)
            if live:
                # Not by the console, which takes the return of the carriage out of a text.
                console.file.write(f"\r\x1b[K{text[: console.width - 1]}")
                console.file.flush()
            else:
                line(console, text)

    try:
        yield tell
    finally:
        if live:
            console.print()


def watch_progress(ledger: Ledger, plan: Plan) -> None:
    """Show a line each second until nobody computes; the rate is that since the first of them."""
    began, first, console = time.monotonic(), ledger.counts(), _people()
    while ledger.driver() is not None:
        counts = ledger.counts()
        done = counts.complete + counts.failed
        progress = Progress(
            planned=counts.planned + sets_to_come(plan, ledger) * len(plan.settings),
            done=done,
            reused=0,
            computed=max(0, done - first.complete - first.failed),
            failed=counts.failed,
            seconds=time.monotonic() - began,
        )
        line(console, _progress_line(progress))
        time.sleep(_WATCH_S)


def _progress_line(progress: Progress) -> str:
    text = f"{count(progress.done)} of {count(progress.planned)} runs"
    if progress.reused:
        text += f", {count(progress.reused)} were there"
    if progress.failed:
        text += f", {count(progress.failed)} failed"
    if progress.computed and progress.seconds > 0:
        speed = progress.computed / progress.seconds
        shown = f"{speed:.1f}/s" if speed < 100 else rate(speed)
        text += f", {shown}"
        if progress.done < progress.planned:
            text += f", {duration((progress.planned - progress.done) / speed)} left"
    return text


def _people() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False)
