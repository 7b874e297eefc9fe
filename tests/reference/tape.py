"""§2 and §3: quotes of an event, the order of the tape, its moments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from account import Point, State
from grids import grid_value, nearest_tick
from terms import Event, Prices, Ratio, ReferenceError, Spread

HOUR_NS = 3_600_000_000_000
THURSDAY = 72
"""Hour of the week, Monday first, at which the count of time begins: 1970-01-01 was a Thursday."""


def sort_tape(events: Iterable[Event]) -> list[Event]:
    """§3: availability; bars before ticks; larger frame first; instruments in config order. Stable."""
    return sorted(events, key=lambda e: (e.time_ns, e.kind == "tick", -e.frame_ns, e.instrument))


def moments_of(events: Sequence[Event]) -> list[Moment]:
    """§3: group the tape; what comes after the last delivered moment is dropped."""
    groups: list[list[Event]] = []
    for event in events:
        together = groups and event.kind == "bar" and groups[-1][-1].kind == "bar"
        if together and groups[-1][-1].time_ns == event.time_ns:
            groups[-1].append(event)
        else:
            groups.append([event])
    while groups and not any(event.delivered for event in groups[-1]):
        groups.pop()
    moments: list[Moment] = []
    next_seq = 0
    for group in groups:
        first_seq = next_seq
        seqs: list[int | None] = []
        for event in group:
            seqs.append(next_seq if event.delivered else None)
            next_seq += event.delivered
        moments.append(Moment(group[0].time_ns, group, seqs, first_seq))
    return moments


@dataclass(frozen=True)
class Moment:
    """All bars that become available at one instant, or one tick (§3).

    first_seq: number of its first delivered event, or of the first one of the next delivered moment.
    """

    time_ns: int
    events: list[Event]
    seqs: list[int | None]
    first_seq: int

    @property
    def delivered(self) -> bool:
        return any(event.delivered for event in self.events)

    @property
    def last_seq(self) -> int:
        """The seq that the last event of the moment books under (§6, last paragraph)."""
        seq = self.seqs[-1]
        return self.first_seq if seq is None else seq

    @property
    def executions(self) -> list[tuple[Event, int]]:
        """The execution events and the seq of their fills, in instrument order (§6, last paragraph)."""
        pairs = [
            (event, self.first_seq if seq is None else seq)
            for event, seq in zip(self.events, self.seqs, strict=True)
            if event.execution
        ]
        pairs.sort(key=lambda pair: pair[0].instrument)
        assert len({event.instrument for event, _ in pairs}) == len(pairs)
        return pairs


def quotes_of(state: State, event: Event) -> tuple[Point, Point, Point, Point]:
    """§2: bid and ask at open, high, low and close."""
    asks = asks_of(state, event)
    bids = event.bid
    return ((bids[0], asks[0]), (bids[1], asks[1]), (bids[2], asks[2]), (bids[3], asks[3]))


def asks_of(state: State, event: Event) -> Prices:
    """§2: the ask of each of the four prices."""
    rule = state.rules.spread
    if rule[0] == "data":
        if event.ask is None:
            raise ReferenceError("SPREAD_MISSING", f"no ask columns for instrument {event.instrument}")
        return event.ask
    if rule[0] == "none":
        return event.bid
    tick = state.specs[event.instrument].tick
    width = width_of(rule, tick, event.open_ns)
    opened, high, low, close = (ask_over(bid, width, tick) for bid in event.bid)
    return (opened, high, low, close)


def width_of(rule: Spread, tick: Ratio, open_ns: int) -> float:
    """§2: what is added to the bid."""
    assert len(rule) == 2
    value = rule[1]
    if isinstance(value, tuple):
        number = value[(open_ns // HOUR_NS + THURSDAY) % 168]
        return (number * tick[0]) / tick[1]
    return value if rule[0] == "price" else grid_value(int(value), tick)


def ask_over(bid: float, width: float, tick: Ratio) -> float:
    """§2: the sum, or the grid price that it misses by no more than rounding."""
    total = bid + width
    nearest = nearest_tick(total, tick)
    return nearest if abs(total - nearest) <= total * 2**-40 else total


def watched(point: Point, buy: bool) -> float:
    """§2: buy orders and exits of shorts (which buy) watch the ask, the others the bid."""
    return point[1] if buy else point[0]


def marking(point: Point, lots: int) -> float:
    """§2: a long position is marked at the bid, a short one at the ask."""
    return point[0] if lots > 0 else point[1]
