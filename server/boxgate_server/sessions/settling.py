"""Settling of answered windows, beside reading and writing them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from boxgate_engine.kernel.records import Quotes, Records
from boxgate_engine.simulation import Simulation

Settle = Callable[[Quotes, Records, int, int], None]
"""Settles moments of some quotes with what answered them, as `Simulation.advance` does."""

_UNSETTLED_MAX: Final = 2
"""Answered windows that may wait for the thread."""


@contextmanager
def settler(simulation: Simulation, *, beside: bool) -> Iterator[Settle]:
    """Give what settles windows, in the order in which it is called; all are settled when the context is left.

    beside: on a thread, for the kernel needs no interpreter. One window alone is not worth it.
    """
    if not beside:
        yield simulation.advance
        return
    with ThreadPoolExecutor(1, thread_name_prefix="boxgate-settle") as thread:
        unsettled: deque[Future[None]] = deque()

        def settle(quotes: Quotes, incoming: Records, first: int, end: int) -> None:
            if len(unsettled) == _UNSETTLED_MAX:
                unsettled.popleft().result()
            unsettled.append(thread.submit(simulation.advance, quotes, incoming, first, end))

        yield settle
        for one in unsettled:
            one.result()
