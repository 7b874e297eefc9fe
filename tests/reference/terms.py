"""What the reference loop takes and gives: plain values, no behaviour but reading aids.

Times are int64 nanoseconds UTC, prices in quote currency, quantities in base units, money in account currency.
Source: docs/spec/execution.md and the column lists of the result tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

Ratio = tuple[int, int]
"""A size as (numerator, denominator)."""

Prices = tuple[float, float, float, float]
"""Open, high, low, close; four times the same price for a tick."""


class ReferenceError(Exception):
    """The run fails: a signal or an event that can never be right.

    code: SIGNAL_NOT_FINITE, SIGNAL_RANGE, SIGNAL_RISK_SIDE, SIGNAL_ENUM, SIGNAL_MIXED, ORDER_FIELDS, ORDER_ID,
    ORDER_LOOP, PROTO_SCOPE, SPREAD_MISSING, VOLUME_MISSING, RATE_MISSING or CONFIG.
    """

    def __init__(self, code: str, what: str) -> None:
        super().__init__(f"{code}: {what}")
        self.code = code


@dataclass(frozen=True)
class Spec:
    """An instrument: its name, its grids and its contract size, all in lowest terms.

    quote: currency of its prices; empty where that is the account's.
    """

    symbol: str
    tick: Ratio = (1, 1)
    lot: Ratio = (1, 1)
    contract: Ratio = (1, 1)
    quote: str = ""

    def __post_init__(self) -> None:
        for name in ("tick", "lot", "contract"):
            object.__setattr__(self, name, Fraction(*getattr(self, name)).as_integer_ratio())


@dataclass(frozen=True)
class Fees:
    """A tariff. per_lot, per_fill and minimum in account currency; lot_qty: base units of one lot for per_lot."""

    maker_bps: float = 0.0
    taker_bps: float = 0.0
    per_lot: float = 0.0
    lot_qty: float = 100_000.0
    per_fill: float = 0.0
    minimum: float = 0.0


@dataclass(frozen=True)
class Slippage:
    """How market and stop fills slip. model: bps, ticks, volume_share or impact."""

    model: str = "bps"
    value: float = 0.0


@dataclass(frozen=True)
class SwapTerms:
    """What a night costs. model: points, money_per_lot or annual_rate; values by side, positive is received."""

    model: str = "points"
    long: float = 0.0
    short: float = 0.0
    lot_qty: float = 100_000.0


FundingStamps = tuple[tuple[int, float], ...]
"""Times in ns and rates, ascending."""

SwapStamps = tuple[tuple[int, int], ...]
"""Times in ns and nights, ascending."""

Hours = tuple[tuple[int, int], ...]
"""When a market is open: intervals [from, to) in ns, ascending, apart."""

Spread = tuple[str] | tuple[str, float] | tuple[str, tuple[float, ...]]


@dataclass(frozen=True)
class Rules:
    """Costs, account and execution rules of a run.

    Tuples "by instrument" are in config order; empty means the short form (fees_bps, slippage_bps, leverage) or none.
    spread: ("data",), ("none",), ("price", x), ("ticks", n) or ("hours", 168 numbers of ticks, Monday 00:00 UTC first).
    equivalents: groups of currencies that count as one.
    margin_mode: cross or isolated; maintenance and margin_call are fractions of the margin, 0 for none.
    path: ohlc, olhc, adaptive, pessimistic or optimistic ("real" is pessimistic on a tape of finer events).
    orders: the session answers with intents, not with signals.
    volume_limit: the share of an event's volume that its fills may take; None for no limit.
    latency_ns, jitter_ns: fixed and random part of the latency, drawn by seed.
    hours: by instrument; empty for no filter. day_ends: by instrument, ascending; empty for UTC midnights.
    """

    fees_bps: float = 0.0
    slippage_bps: float = 0.0
    spread: Spread = ("data",)
    leverage: float = 1.0
    cash: float = 100_000.0
    path: str = "pessimistic"
    cash_account: bool = False
    close_at_end: bool = False
    fees: tuple[Fees, ...] = ()
    slippage: tuple[Slippage, ...] = ()
    leverages: tuple[float, ...] = ()
    currency: str = "USD"
    equivalents: tuple[tuple[str, ...], ...] = ()
    margin_mode: str = "cross"
    maintenance: float = 0.0
    margin_call: float = 0.0
    liquidation_fee_bps: float = 0.0
    funding: tuple[FundingStamps, ...] = ()
    swap_terms: tuple[SwapTerms | None, ...] = ()
    swap_stamps: tuple[SwapStamps, ...] = ()
    orders: bool = False
    volume_limit: float | None = None
    latency_ns: int = 0
    jitter_ns: int = 0
    seed: int = 0
    hours: tuple[Hours, ...] = ()
    day_ends: tuple[tuple[int, ...], ...] = ()

    def fees_of(self, instrument: int) -> Fees:
        """Return the tariff of an instrument."""
        return self.fees[instrument] if self.fees else Fees(self.fees_bps, self.fees_bps)

    def slippage_of(self, instrument: int) -> Slippage:
        """Return the slippage model of an instrument."""
        return self.slippage[instrument] if self.slippage else Slippage("bps", self.slippage_bps)

    def leverage_of(self, instrument: int) -> float:
        """Return the leverage of an instrument."""
        return self.leverages[instrument] if self.leverages else self.leverage


@dataclass(frozen=True)
class Event:
    """A closed bar or a tick as the data have it, before the spread rule.

    time_ns: availability. open_ns: open of the bar; of a tick its time_ns.
    execution: it belongs to the instrument's execution series. delivered: the strategy sees it.
    frame_ns: length of the bar; 0 for a tick. volume: None where the data have none.
    """

    kind: str
    instrument: int
    time_ns: int
    open_ns: int
    bid: Prices
    ask: Prices | None = None
    execution: bool = True
    delivered: bool = True
    frame_ns: int = 0
    volume: float | None = None


@dataclass(frozen=True)
class SignalIn:
    """A signal as the strategy states it, before the grid. trail: distance of the trailing stop (risk.trail)."""

    instrument: int
    side: str
    qty: float | None = None
    price: float | None = None
    sl: float | None = None
    tp: float | None = None
    valid_until_ns: int | None = None
    adjust_only: bool = False
    event_index_in_moment: int = 0
    trail: float | None = None


@dataclass(frozen=True)
class Intent:
    """An order intent as the strategy states it, before the grid.

    kind: SUBMIT, REPLACE, CANCEL or PROTECT. side: BUY or SELL. type: MARKET, LIMIT, STOP, STOP_LIMIT or
    TRAILING_STOP. tif: GTC, DAY, GTD, IOC or FOK. trail: that of a TRAILING_STOP. sl, tp, risk_trail: the bracket
    (risk). position: name of the position that a SUBMIT or PROTECT is about, empty for the unnamed one. Fields that a
    kind does not have are left as they are here. The instrument of REPLACE and CANCEL is not read.
    """

    kind: str
    instrument: int
    client_id: str = ""
    side: str = ""
    type: str = ""
    qty: float | None = None
    price: float | None = None
    stop_price: float | None = None
    trail: float | None = None
    tif: str = "GTC"
    valid_until_ns: int | None = None
    reduce_only: bool = False
    post_only: bool = False
    oco: str = ""
    sl: float | None = None
    tp: float | None = None
    risk_trail: float | None = None
    event_index_in_moment: int = 0
    position: str = ""


@dataclass(frozen=True)
class Answer:
    """The answer to a moment of an ORDERS session. more: another one follows at the same moment."""

    intents: tuple[Intent, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class Fill:
    """A row of fills; lots and spread_cost besides.

    signal_seq: of the signal, or of the intent that submitted the order or stated the bracket. client_id: of the
    order that filled; None for all other fills. position_id, position: number and name of the position.
    """

    seq: int
    time_ns: int
    instrument: str
    side: str
    qty: float
    price: float
    reference_price: float
    fee: float
    slippage: float
    liquidity: str
    reason: str
    signal_seq: int | None
    path_dependent: bool
    lots: int
    spread_cost: float
    client_id: str | None = None
    position_id: int = 0
    position: str = ""


@dataclass(frozen=True)
class Trade:
    """A row of trades: one closed quantity."""

    trade_id: int
    instrument: str
    side: str
    qty: float
    entry_seq: int
    entry_time_ns: int
    entry_price: float
    exit_seq: int
    exit_time_ns: int
    exit_price: float
    exit_reason: str
    gross_pnl: float
    fees: float
    funding: float
    swap: float
    net_pnl: float
    slippage_cost: float
    mae: float
    mfe: float
    bars_held: int
    path_dependent: bool


@dataclass(frozen=True)
class EquityRow:
    """A row of the equity curve."""

    time_ns: int
    equity: float
    cash: float
    unrealised_pnl: float
    margin_used: float
    exposure_gross: float
    exposure_net: float
    drawdown: float


@dataclass(frozen=True)
class SignalRow:
    """A row of signals: values on the grid, and what became of them. qty is None for FLAT."""

    seq: int
    time_ns: int
    instrument: str
    side: str
    qty: float | None
    price: float | None
    sl: float | None
    tp: float | None
    valid_until_ns: int | None
    adjust_only: bool
    outcome: str
    reject_reason: str | None


@dataclass(frozen=True)
class OrderRow:
    """A row of intents: values on the grid, and what became of it.

    outcome: FILLED, CANCELLED, EXPIRED, REJECTED, WORKING, UNEXECUTED or DONE. reason: of CANCELLED and REJECTED.
    number: of the order, from 1, in the order of the events and of the places in the answers; 0 for PROTECT.
    valid_until_ns: of DAY the end of the day. filled_lots, filled_qty: of SUBMIT, else 0. position: its name; of
    REPLACE and CANCEL that of their order.
    """

    number: int
    seq: int
    time_ns: int
    instrument: str
    kind: str
    client_id: str
    side: str
    type: str
    qty: float | None
    price: float | None
    stop_price: float | None
    trail: float | None
    tif: str
    valid_until_ns: int | None
    reduce_only: bool
    post_only: bool
    oco: str
    sl: float | None
    tp: float | None
    risk_trail: float | None
    outcome: str
    reason: str | None
    filled_lots: int
    filled_qty: float
    position: str = ""


@dataclass(frozen=True)
class OpenPosition:
    """A position that the end of the run left open."""

    instrument: str
    side: str
    qty: float
    entry_price: float
    mark_price: float
    unrealised_pnl: float


@dataclass(frozen=True)
class PositionView:
    """A position as the strategy sees it. side: BUY for long, SELL for short. trail_level: a mark. name: or empty."""

    position_id: int
    instrument: int
    side: str
    qty: float
    entry_price: float
    sl: float | None
    tp: float | None
    unrealised_pnl: float
    trail: float | None = None
    trail_level: float | None = None
    name: str = ""


@dataclass(frozen=True)
class OrderView:
    """An order as the strategy sees it: those that work, in the order of the list, then those that wait.

    trail_level: a mark. queued: it waits. position: the name of its position.
    """

    client_id: str
    instrument: int
    side: str
    type: str
    qty: float
    filled_qty: float
    price: float | None
    stop_price: float | None
    trail: float | None
    trail_level: float | None
    triggered: bool
    valid_until_ns: int | None
    queued: bool = False
    position: str = ""


@dataclass(frozen=True)
class TargetView:
    """A standing target as the strategy sees it; there is one for each instrument."""

    instrument: int
    side: str
    qty_requested: float
    qty_granted: float
    price: float | None
    sl: float | None
    tp: float | None
    valid_until_ns: int | None
    trail: float | None = None


@dataclass(frozen=True)
class Update:
    """What became known of the account.

    kind: FILL, REJECTION, EXPIRY, CANCELLATION, LIQUIDATION, MARGIN_CALL, FUNDING or SWAP. A LIQUIDATION has the
    fields of a fill and stands in place of its FILL. amount: what FUNDING or SWAP moved. client_id: of the order;
    None for what is of no order. cancel_reason: INTENT, OCO, REDUCE_ONLY, IOC or FOK. intent_kind: of a REJECTION.
    position: name of the position that it is about.
    """

    kind: str
    instrument: int
    seq: int
    time_ns: int
    side: str | None = None
    qty: float | None = None
    price: float | None = None
    fee: float | None = None
    fill_reason: str | None = None
    reject_reason: str | None = None
    amount: float | None = None
    client_id: str | None = None
    cancel_reason: str | None = None
    intent_kind: str | None = None
    position: str = ""


@dataclass(frozen=True)
class Flow:
    """Funding or swap that moved the cash: positive was received. kind: FUNDING or SWAP."""

    kind: str
    instrument: int
    seq: int
    time_ns: int
    amount: float


@dataclass(frozen=True)
class MomentView:
    """What a decision is made from: the delivered events of a moment and the account after it was settled.

    round: 0, and one more for each answer marked `more`; orders and round are of ORDERS sessions, targets of others.
    """

    seq: int
    time_ns: int
    events: list[Event]
    cash: float
    equity: float
    positions: list[PositionView]
    targets: list[TargetView]
    updates: list[Update]
    orders: list[OrderView] = field(default_factory=list)
    round: int = 0


@dataclass(frozen=True)
class Counts:
    """Counts of a run. signals: or intents. path_dependent_bars: bars whose two walks made different fills."""

    signals: int
    no_ops: int
    rounded: int
    rejected: int
    unexecuted: int
    path_dependent_bars: int
    margin_calls: int = 0


@dataclass(frozen=True)
class Result:
    """Everything that a run gives, in the order of the tables.

    trade_positions, open_position_ids: number of the position of each trade and of each open position.
    """

    fills: list[Fill]
    trades: list[Trade]
    equity: list[EquityRow]
    signals: list[SignalRow]
    counts: Counts
    open_positions: list[OpenPosition]
    flows: list[Flow] = field(default_factory=list)
    orders: list[OrderRow] = field(default_factory=list)
    trade_positions: list[int] = field(default_factory=list)
    open_position_ids: list[int] = field(default_factory=list)
    rules_fired: dict[str, int] = field(default_factory=dict, compare=False)
