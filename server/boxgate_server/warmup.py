"""How much history a session begins with, and how much more when the strategy asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from boxgate_engine.artefacts import RunLog
from boxgate_engine.errors import RunFailed
from boxgate_engine.market import Feed, history_events, told_need, warmup_short

HISTORY_ATTEMPTS_MAX: Final = 3
"""Most times that a run starts over because the strategy wants more history."""


def warmup_counts(feeds: Sequence[Feed], warmups: Sequence[tuple[int, int]], *, start_ns: int, mode: str) -> list[int]:
    """Return how many events of each feed come before the start. warmups: (needed, wanted) of each.

    Raises ConfigInvalid where the data begin too late for what is needed.
    """
    counts = []
    for feed, (need, wanted) in zip(feeds, warmups, strict=True):
        have = history_events(feed.series, start_ns)
        if have < need:
            raise warmup_short(feed, told_need(need, mode), have)
        counts.append(min(wanted, have))
    return counts


def extended_counts(
    feeds: Sequence[Feed], counts: list[int], needs: list[int], attempt: int, *, start_ns: int, mode: str, log: RunLog
) -> list[int]:
    """Return the counts of the next attempt after the strategy asked for `needs` in attempt number `attempt`.

    Raises ConfigInvalid where the data do not have them, RunFailed HISTORY_UNSETTLED where it never comes to an end.
    """
    extended = []
    for feed, count, need in zip(feeds, counts, needs, strict=True):
        have = history_events(feed.series, start_ns)
        if need > have:
            raise warmup_short(feed, told_need(need, mode), have)
        extended.append(max(count, need))
        if need > count:
            before, shown = told_need(count, mode), told_need(need, mode)
            log.write(
                "history_extended",
                f"{feed.key}: the strategy asked for {shown} events from before the start instead of {before}",
                fields={"series": feed.key, "from": before, "to": shown, "attempt": attempt + 1},
            )
    if extended == counts or attempt == HISTORY_ATTEMPTS_MAX:
        raise RunFailed(
            "the strategy keeps asking for more history",
            code="HISTORY_UNSETTLED",
            where=f"OnInit, attempt {attempt + 1}",
            expected=f"acceptance within {HISTORY_ATTEMPTS_MAX} extensions, each larger than the one before",
            remedy="declare the history that is needed in Describe",
        )
    return extended
