"""When a market is open, when a trading day ends, and when a decision arrives there."""

from __future__ import annotations

from account import State
from randomness import uniform
from tape import Moment
from terms import ReferenceError

DAY_NS = 86_400_000_000_000


def is_open(state: State, instrument: int, time_ns: int) -> bool:
    """§19: without a filter a market is always open."""
    hours = state.rules.hours
    return not hours or any(opened <= time_ns < closed for opened, closed in hours[instrument])


def day_end(state: State, instrument: int, time_ns: int) -> int | None:
    """§15.2: the first day boundary after this time; None where the calendar knows of no later one."""
    if not state.rules.day_ends:
        return (time_ns // DAY_NS + 1) * DAY_NS
    return next((end_ns for end_ns in state.rules.day_ends[instrument] if end_ns > time_ns), None)


def arrival(state: State, number: int, moment: Moment) -> int:
    """§18: T of what is decided in this moment; never before that of an earlier decision on this position."""
    rules, book = state.rules, state.books[number]
    time_ns = moment.time_ns + rules.latency_ns
    if rules.jitter_ns:
        seq = max(seq for seq in moment.seqs if seq is not None)
        time_ns += int(rules.jitter_ns * uniform(rules.seed, seq, 2**32 + book.instrument))
    state.fired["latency_kept_in_order"] += time_ns < book.decided_ns
    state.fired["latency_overtakes_another_position"] += time_ns >= book.decided_ns and any(
        other.instrument == book.instrument and time_ns < other.decided_ns for other in state.books
    )
    book.decided_ns = max(book.decided_ns, time_ns)
    return book.decided_ns


def check_latency(state: State, moments: list[Moment]) -> None:
    """§18: latency is for runs whose execution series are all ticks."""
    if not has_latency(state):
        return
    if any(event.kind != "tick" for moment in moments for event, _ in moment.executions):
        raise ReferenceError("CONFIG", "latency needs ticks")


def has_latency(state: State) -> bool:
    """Whether decisions arrive later than they are made."""
    return state.rules.latency_ns > 0 or state.rules.jitter_ns > 0
