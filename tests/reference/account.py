"""§4 and §20: what a position has (holding, targets or orders, queue), its instrument, and the account of them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace

from terms import Fill, Flow, Intent, Rules, SignalIn, Spec, Trade, Update

Point = tuple[float, float]
"""A bid and an ask at one instant."""


@dataclass(frozen=True)
class Bracket:
    """What closes a position: stop loss, take profit, distance of the trailing stop. record: what stated it."""

    sl: float | None = None
    tp: float | None = None
    trail: float | None = None
    record: int | None = None


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
    trail: float | None = None

    @property
    def bracket(self) -> Bracket:
        return Bracket(self.sl, self.tp, self.trail, self.record)

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
    trail: float | None = None
    trail_level: float | None = None

    @property
    def side(self) -> str:
        return "BUY" if self.lots > 0 else "SELL"


@dataclass
class WorkingOrder:
    """An order that works. record: index of its SUBMIT. level: of a TRAILING_STOP, None while it has none.

    triggered: a STOP_LIMIT that is a LIMIT from now on, a STOP or TRAILING_STOP that is a MARKET order from now on.
    idle: it was met in this event and got no lots of the volume.
    """

    record: int
    client_id: str
    buy: bool
    type: str
    lots: int
    price: float | None
    stop_price: float | None
    trail: float | None
    tif: str
    valid_until_ns: int | None
    reduce_only: bool
    post_only: bool
    oco: str
    bracket: Bracket
    filled: int = 0
    level: float | None = None
    triggered: bool = False
    idle: bool = False

    @property
    def open_lots(self) -> int:
        return self.lots - self.filled

    @property
    def acts_as(self) -> str:
        if self.triggered:
            return "LIMIT" if self.type == "STOP_LIMIT" else "MARKET"
        return self.type


@dataclass(frozen=True)
class QueuedIntent:
    """An intent that waits for the first bar it may meet. record: its index."""

    time_ns: int
    record: int


@dataclass
class Market:
    """What the events of one instrument give all its positions.

    mark: last bid and ask. events: its execution events so far. volume: of the last of them.
    rate: from its quote currency to the account's, 0.0 while unknown.
    lots_left: of the volume of this event, None without a limit. taker: number of the last book that took of it.
    """

    mark: Point | None = None
    events: int = 0
    volume: float | None = None
    rate: float = 1.0
    lots_left: int | None = None
    taker: int | None = None


@dataclass
class Book:
    """All that belongs to one position of an instrument, the unnamed one or a named one (§4, §20).

    place: of a named one, from 1; 0 of the unnamed one. position: what is held.
    orders, intents: of ORDERS sessions, what works and what waits. idle: the working target's limit was met in this
    event and got no lots. decided_ns: T of the last decision.
    """

    instrument: int
    place: int = 0
    name: str = ""
    position: Position | None = None
    standing: Target = FLAT
    working: Target | None = None
    queue: list[Decision] = field(default_factory=list)
    orders: list[WorkingOrder] = field(default_factory=list)
    intents: list[QueuedIntent] = field(default_factory=list)
    idle: bool = False
    decided_ns: int = 0

    @property
    def lots(self) -> int:
        return self.position.lots if self.position else 0

    @property
    def is_free(self) -> bool:
        """§20: no position, no working order and an empty queue."""
        return self.position is None and not self.orders and not self.intents

    @property
    def remainder(self) -> int:
        """Lots, signed, that the working target has not reached (§4.3)."""
        return self.working.signed_lots - self.lots if self.working else 0

    def copy(self) -> Book:
        book = copy(self)
        book.position = copy(self.position)
        book.queue, book.intents = list(self.queue), list(self.intents)
        book.orders = [copy(order) for order in self.orders]
        return book


@dataclass(frozen=True)
class Record:
    """A signal on the grid."""

    seq: int
    time_ns: int
    signal: SignalIn
    lots: int
    rounded: bool


@dataclass(frozen=True)
class IntentRecord:
    """An intent on the grid; its valid_until_ns is that in force."""

    seq: int
    time_ns: int
    intent: Intent
    lots: int
    rounded: bool


@dataclass
class State:
    """The whole account. outcomes: one per record, None while it is open.

    markets: by instrument. books: in the order of §20, the unnamed ones, which are numbered as their instruments are,
    then the named ones by instrument and place; the *number* of a book is its index here. names_taken: instruments and
    names of all named positions so far. trade_positions: id of the position of each trade.
    intents and what follows up to submitted: of ORDERS sessions. filled: lots by SUBMIT. submitted: index of the
    SUBMIT of each client id.
    """

    specs: Sequence[Spec]
    rules: Rules
    cash: float
    books: list[Book]
    markets: list[Market] = field(default_factory=list)
    names_taken: set[tuple[int, str]] = field(default_factory=set)
    records: list[Record] = field(default_factory=list)
    outcomes: list[str | None] = field(default_factory=list)
    reject_reasons: list[str | None] = field(default_factory=list)
    intents: list[IntentRecord] = field(default_factory=list)
    intent_outcomes: list[str | None] = field(default_factory=list)
    intent_reasons: list[str | None] = field(default_factory=list)
    filled: list[int] = field(default_factory=list)
    submitted: dict[str, int] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    trade_positions: list[int] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    path_dependent_bars: int = 0
    margin_calls: int = 0
    start_ns: int = 0
    stamps_used: dict[tuple[str, int], int] = field(default_factory=dict)
    called: bool = False
    next_position_id: int = 1
    fired: Counter[str] = field(default_factory=Counter)

    def market_of(self, number: int) -> Market:
        return self.markets[self.books[number].instrument]

    def spec_of(self, number: int) -> Spec:
        return self.specs[self.books[number].instrument]

    def copy(self, number: int) -> State:
        """Return a copy in which this one position may change, with the account and the market about it."""
        return replace(
            self,
            books=[book.copy() if place == number else book for place, book in enumerate(self.books)],
            markets=[copy(market) for market in self.markets],
            outcomes=list(self.outcomes),
            reject_reasons=list(self.reject_reasons),
            intent_outcomes=list(self.intent_outcomes),
            intent_reasons=list(self.intent_reasons),
            filled=list(self.filled),
            fills=list(self.fills),
            trades=list(self.trades),
            trade_positions=list(self.trade_positions),
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
