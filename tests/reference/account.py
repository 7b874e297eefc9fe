"""§4: what an instrument has (position, standing target, working target, queue), and the account of them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from terms import Fill, Flow, Rules, SignalIn, Spec, Trade, Update

Point = tuple[float, float]
"""A bid and an ask at one instant."""


@dataclass(frozen=True)
class Target:
    """What an instrument is asked to be. lots: 0 for FLAT. record: index of its signal, None if no signal states it."""

    side: str
    lots: int
    price: float | None = None
    sl: float | None = None
    tp: float | None = None
    valid_until_ns: int | None = None
    record: int | None = None

    @property
    def signed_lots(self) -> int:
        return {"BUY": self.lots, "SELL": -self.lots, "FLAT": 0}[self.side]


FLAT = Target(side="FLAT", lots=0)


@dataclass(frozen=True)
class Decision:
    """A target, or None for *hold*, that waits for the first bar it may meet."""

    time_ns: int
    target: Target | None


@dataclass
class Position:
    """A holding. lots: signed, never 0. The pools hold what is not yet shared out. margin: of isolated mode."""

    position_id: int
    lots: int
    entry: float
    sl: float | None
    tp: float | None
    bracket_record: int | None
    fee_pool: float
    slippage_pool: float
    lowest: float
    highest: float
    entry_seq: int
    entry_time_ns: int
    entry_event: int
    path_dependent: bool
    margin: float = 0.0
    funding_pool: float = 0.0
    swap_pool: float = 0.0

    @property
    def side(self) -> str:
        return "BUY" if self.lots > 0 else "SELL"


@dataclass
class Book:
    """All that belongs to one instrument (§4).

    mark: last bid and ask. events: its execution events so far. volume: of the last of them.
    rate: from its quote currency to the account's, 0.0 while unknown.
    """

    position: Position | None = None
    standing: Target = FLAT
    working: Target | None = None
    queue: list[Decision] = field(default_factory=list)
    mark: Point | None = None
    events: int = 0
    volume: float | None = None
    rate: float = 1.0

    @property
    def lots(self) -> int:
        return self.position.lots if self.position else 0

    @property
    def remainder(self) -> int:
        """Lots, signed, that the working target has not reached (§4.3)."""
        return self.working.signed_lots - self.lots if self.working else 0

    def copy(self) -> Book:
        position = replace(self.position) if self.position else None
        return replace(self, position=position, queue=list(self.queue))


@dataclass(frozen=True)
class Record:
    """A signal on the grid."""

    seq: int
    time_ns: int
    signal: SignalIn
    lots: int
    rounded: bool


@dataclass
class State:
    """The whole account. outcomes: one per record, None while it is open."""

    specs: Sequence[Spec]
    rules: Rules
    cash: float
    books: list[Book]
    records: list[Record] = field(default_factory=list)
    outcomes: list[str | None] = field(default_factory=list)
    reject_reasons: list[str | None] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    path_dependent_bars: int = 0
    margin_calls: int = 0
    start_ns: int = 0
    stamps_used: dict[tuple[str, int], int] = field(default_factory=dict)
    called: bool = False
    next_position_id: int = 1
    fired: Counter[str] = field(default_factory=Counter)

    def copy(self) -> State:
        return replace(
            self,
            books=[book.copy() for book in self.books],
            outcomes=list(self.outcomes),
            reject_reasons=list(self.reject_reasons),
            fills=list(self.fills),
            trades=list(self.trades),
            updates=list(self.updates),
            fired=self.fired.copy(),
        )


@dataclass(frozen=True)
class Spot:
    """Where and when a fill happens: the current point, the time and number it is booked under."""

    point: Point
    time_ns: int
    seq: int
    path_dependent: bool = False
