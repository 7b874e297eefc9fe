"""The kernel's state, outputs and constants.

Prices are positive, so 0.0 stands for "no price" in every price field; NO_EXPIRY stands for "no expiry". Lots are
signed whole numbers of the instrument's lot size; `side` is +1 for BUY, -1 for SELL, 0 for FLAT.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Records: TypeAlias = npt.NDArray[Any]
Record: TypeAlias = Any
"""One element of Records: a view, not a copy."""
Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]

NO_EXPIRY: Final = 2**63 - 1
"""valid_until_ns of a target that never expires."""

# Outcome of a signal.
OPEN: Final = 0
"""Accepted, not yet decided; never in a finished run."""
EXECUTED: Final = 1
"""The position reached the target."""
NO_OP: Final = 2
"""Equal to the standing target, or an adjustment without a position."""
RESTING: Final = 3
"""A limit that still worked when the run ended."""
REJECTED: Final = 4
"""Refused; see the reason."""
UNEXECUTED: Final = 5
"""Replaced, expired or ended before the position reached it, or met no event."""

# Reason of a rejection; numbers of boxgate.strategy.v1.RejectReason.
INSUFFICIENT_MARGIN: Final = 1
QTY_BELOW_MINIMUM: Final = 2
STOP_LOSS_SIDE: Final = 3
TAKE_PROFIT_SIDE: Final = 4
SHORT_NOT_ALLOWED: Final = 6
RATE_UNKNOWN: Final = 7

# Reason of a fill; numbers of boxgate.strategy.v1.FillReason.
ENTRY: Final = 1
SIGNAL: Final = 2
STOP_LOSS: Final = 3
TAKE_PROFIT: Final = 4
LIQUIDATION: Final = 5
END: Final = 7

# Kind of an account update; numbers of boxgate.strategy.v1.AccountUpdateKind.
UPDATE_FILL: Final = 1
UPDATE_REJECTION: Final = 2
UPDATE_EXPIRY: Final = 3
UPDATE_FUNDING: Final = 4
UPDATE_LIQUIDATION: Final = 5
"""Stands in place of the UPDATE_FILL of that fill."""
UPDATE_SWAP: Final = 6
UPDATE_MARGIN_CALL: Final = 7

# Kind of a decision.
HOLD: Final = 0
"""Cancel what works and keep the position."""
TARGET: Final = 1
"""Work towards the signal's target."""

# Path assumption of bars.
PATH_OHLC: Final = 0
PATH_OLHC: Final = 1
PATH_ADAPTIVE: Final = 2
PATH_PESSIMISTIC: Final = 3
PATH_OPTIMISTIC: Final = 4

FILLS_PER_INSTRUMENT_MAX: Final = 8
"""Fills that one instrument can make in one moment: twice what section 5 of the rules allows."""

# Slippage models.
SLIP_BPS: Final = 0
SLIP_TICKS: Final = 1
SLIP_VOLUME_SHARE: Final = 2
SLIP_IMPACT: Final = 3

# Models of the overnight swap.
SWAP_NONE: Final = 0
SWAP_POINTS: Final = 1
SWAP_MONEY_PER_LOT: Final = 2
SWAP_ANNUAL_RATE: Final = 3

SPEC: Final = np.dtype(
    [
        ("tick_num", "i8"),
        ("tick_den", "i8"),
        ("lot_num", "i8"),
        ("lot_den", "i8"),
        ("contract", "f8"),
        # fee of a fill: max(fee_min, share of the notional + per lot + per fill)
        ("maker_bps", "f8"),
        ("taker_bps", "f8"),
        ("per_lot", "f8"),
        ("lot_qty", "f8"),  # quantity of one lot of per_lot
        ("per_fill", "f8"),
        ("fee_min", "f8"),
        ("slip_model", "i8"),
        ("slip_value", "f8"),
        ("leverage", "f8"),
        # rate from the quote currency to the account's: mid of up to two instruments, each as it is or inverted
        ("rate_first", "i8"),  # -1: the currencies are one
        ("rate_first_inverse", "i8"),
        ("rate_second", "i8"),  # -1: one leg
        ("rate_second_inverse", "i8"),
        # swap: values of one night by side, positive is received
        ("swap_model", "i8"),
        ("swap_long", "f8"),
        ("swap_short", "f8"),
        ("swap_lot_qty", "f8"),
        ("funding_end", "i8"),  # behind the instrument's last row of Sim.funding
        ("swap_end", "i8"),  # and of Sim.swap
    ]
)
"""Static facts of one instrument, and what trading it costs."""

RULES: Final = np.dtype(
    [
        ("path", "i8"),
        ("cash_account", "i8"),
        ("isolated", "i8"),  # 1: each position has a margin of its own
        ("maintenance", "f8"),  # share of the margin below which positions are liquidated
        ("margin_call", "f8"),  # share of the margin below which the account is called, 0.0 for none
        ("liquidation_fee_bps", "f8"),
        ("liquidates", "i8"),  # 1 if positions can be liquidated
        ("orders", "i8"),  # 1 for a session of orders instead of targets
        ("places", "i8"),  # number of books for named positions that each instrument has
        ("volume_limit", "f8"),  # share of an event's volume that may fill, 0.0 for any
        ("active", "i8"),  # 1 if there are rates, stamps, liquidations or margin calls at all
    ]
)
"""Assumptions of the run, one record."""

STAMP: Final = np.dtype([("time_ns", "i8"), ("value", "f8")])
"""Funding: the rate. Swap: the number of nights."""

ACCOUNT: Final = np.dtype(
    [
        ("cash", "f8"),
        ("version", "i8"),  # grows whenever feedback would see a change
        ("next_position_id", "i8"),
        ("fills", "i8"),  # rows in use of each output
        ("trades", "i8"),
        ("updates", "i8"),
        ("signals", "i8"),
        ("intents", "i8"),
        ("equity_rows", "i8"),
        ("no_ops", "i8"),
        ("path_dependent_bars", "i8"),
        ("gross_sum", "f8"),  # every cash movement, for the ledger identity
        ("fee_sum", "f8"),
        ("spread_sum", "f8"),
        ("funding_sum", "f8"),
        ("swap_sum", "f8"),
        ("funding_stamps", "i8"),  # that moved cash
        ("liquidations", "i8"),
        ("margin_calls", "i8"),
        ("called", "i8"),  # the equity was below the call level after the last moment
    ]
)
"""The account and how far the outputs are written, one record."""

BOOK: Final = np.dtype(
    [
        # position
        ("lots", "i8"),
        ("entry_price", "f8"),
        ("fee_pool", "f8"),  # entry fees and slippage not yet passed on to trades
        ("slippage_pool", "f8"),
        ("funding_pool", "f8"),
        ("swap_pool", "f8"),
        ("margin", "f8"),  # set aside for the position in isolated mode
        ("sl", "f8"),
        ("tp", "f8"),
        ("trail", "f8"),
        ("trail_level", "f8"),  # 0.0 while there is none
        ("bracket_signal", "i8"),  # row of the signal or intent that set the bracket
        ("position_id", "i8"),
        ("entry_seq", "i8"),
        ("entry_time_ns", "i8"),
        ("entry_event", "i8"),
        ("path_dependent", "i8"),
        ("lowest", "f8"),  # of the marking side since the opening fill
        ("highest", "f8"),
        # last mark and number of execution events seen
        ("mark_bid", "f8"),
        ("mark_ask", "f8"),
        ("volume", "f8"),  # of the last execution event
        ("events", "i8"),
        ("unit", "f8"),  # unit value: contract size x rate to the account's currency, 0.0 while that is unknown
        ("next_funding", "i8"),  # row of Sim.funding that is not used yet
        ("next_swap", "i8"),
        # working target
        ("work_live", "i8"),
        ("work_side", "i8"),
        ("work_lots", "i8"),  # signed
        ("work_price", "f8"),
        ("work_sl", "f8"),
        ("work_tp", "f8"),
        ("work_trail", "f8"),
        ("work_idle", "i8"),  # number of the event in which the volume limit left a limit nothing
        ("work_until_ns", "i8"),
        ("work_signal", "i8"),
        # standing target
        ("stand_side", "i8"),
        ("stand_lots", "i8"),  # unsigned
        ("stand_price", "f8"),
        ("stand_sl", "f8"),
        ("stand_tp", "f8"),
        ("stand_trail", "f8"),
        ("stand_until_ns", "i8"),
        ("stand_signal", "i8"),
        # orders: numbers of those that work, linked by `next`; 0 for none
        ("order_head", "i8"),
        ("order_tail", "i8"),
        ("open_orders", "i8"),  # that work or wait
        ("allowance", "i8"),  # lots that the present event still fills, -1 for any number
        ("decided_ns", "i8"),  # when the last decision arrives
        # place: a book of its own for each named position, behind the books of all instruments
        ("instrument", "i8"),  # index of the instrument, whose own book has this row
        ("name", "i8"),  # number of the position's name, 0 for none
        # queue of decisions: rows of the signal or intent table, linked by `next`
        ("queue_head", "i8"),
        ("queue_tail", "i8"),
        ("cut_long", "i8"),  # queued decisions of that side end after the walk
        ("cut_short", "i8"),
    ]
)
"""Everything about one instrument, or one of its named positions, that changes."""

SIGNAL_ROW: Final = np.dtype(
    [
        ("seq", "i8"),
        ("time_ns", "i8"),
        ("event", "i8"),  # incoming: index of the event in the quotes
        ("instrument", "i8"),
        ("side", "i8"),
        ("lots", "i8"),  # unsigned
        ("price", "f8"),
        ("sl", "f8"),
        ("tp", "f8"),
        ("trail", "f8"),
        ("valid_until_ns", "i8"),
        ("adjust_only", "i8"),
        ("delay_ns", "i8"),  # incoming: latency
        ("due_ns", "i8"),  # when it arrives
        ("kind", "i8"),
        ("next", "i8"),
        ("outcome", "i8"),
        ("reason", "i8"),
    ]
)
"""One signal, on the grid."""

FILL_ROW: Final = np.dtype(
    [
        ("seq", "i8"),
        ("time_ns", "i8"),
        ("instrument", "i8"),
        ("direction", "i8"),  # +1 bought, -1 sold
        ("lots", "i8"),
        ("qty", "f8"),
        ("price", "f8"),
        ("unit", "f8"),  # value of one unit of quantity and price, account currency
        ("reference_price", "f8"),
        ("fee", "f8"),
        ("slippage", "f8"),
        ("maker", "i8"),
        ("reason", "i8"),
        ("signal", "i8"),  # row of the signal or intent table, -1 for none
        ("order", "i8"),  # number of the order, 0 for none
        ("path_dependent", "i8"),
    ]
)

TRADE_ROW: Final = np.dtype(
    [
        ("instrument", "i8"),
        ("side", "i8"),
        ("qty", "f8"),
        ("entry_seq", "i8"),
        ("entry_time_ns", "i8"),
        ("entry_price", "f8"),
        ("exit_seq", "i8"),
        ("exit_time_ns", "i8"),
        ("exit_price", "f8"),
        ("reason", "i8"),
        ("gross_pnl", "f8"),
        ("fees", "f8"),
        ("funding", "f8"),
        ("swap", "f8"),
        ("slippage_cost", "f8"),
        ("mae", "f8"),
        ("mfe", "f8"),
        ("bars_held", "i8"),
        ("path_dependent", "i8"),
    ]
)

UPDATE_ROW: Final = np.dtype(
    [
        ("kind", "i8"),
        ("instrument", "i8"),
        ("seq", "i8"),
        ("time_ns", "i8"),
        ("fill", "i8"),  # row of the fill table, -1 for none
        ("reason", "i8"),  # of a rejection
        ("amount", "f8"),  # that funding or swap moved, account currency, positive is received
        ("order", "i8"),  # number of the order, 0 for none
        ("intent_kind", "i8"),  # of a rejected intent
        ("name", "i8"),  # number of the position's name, 0 for none
    ]
)

CURVE: Final = ("equity", "cash", "unrealised_pnl", "margin_used", "exposure_gross", "exposure_net")
"""The columns of the equity curve besides the time, in their order in `Sim.curve`."""


QUOTE: Final = np.dtype(
    [
        ("time_ns", "i8"),  # availability
        ("open_ns", "i8"),
        ("seq", "i8"),  # number of the event with which it becomes known
        ("instrument", "i8"),
        ("execution", "i8"),  # 1 if it fills and marks
        ("tick", "i8"),  # 1 for ticks, whose open, high, low and close are one
        ("bid_open", "f8"),
        ("bid_high", "f8"),
        ("bid_low", "f8"),
        ("bid_close", "f8"),
        ("ask_open", "f8"),
        ("ask_high", "f8"),
        ("ask_low", "f8"),
        ("ask_close", "f8"),
        ("volume", "f8"),
        ("closed", "i8"),  # 1 if it opens outside market hours: then it marks and does not fill
    ]
)
"""One event of the merged tape, quote currency. Quotes of events that do not execute are not read."""


WALK: Final = 0
"""Row of what is kept while a walk along a bar may be undone."""
TRIAL: Final = 1
"""Row of what is kept while an order is tried that fills wholly or not at all."""


class Sim(NamedTuple):
    """All that a step reads and writes besides the quotes.

    book, specs: one record per instrument, then one per place of a named position, by instrument. account, rules: one
    record. The others are outputs, of which the account knows how many rows are in use. executing: per book the event
    that executes in the present moment, or -1. scratch: room for one book's fills of one walk. funding, swap: STAMP
    records, grouped by instrument, ascending in time. intents, orders: outputs of a session of orders; order n stands
    in row n - 1. order_copies, order_numbers: room for the open orders of one book. curve_ns, curve: the equity curve
    by columns, shapes (rows,) and (6, rows). kept_book, kept_account (WALK and TRIAL), kept_order: room for what may
    be undone.
    """

    book: Records
    specs: Records
    account: Records
    rules: Records
    signals: Records
    fills: Records
    trades: Records
    updates: Records
    curve_ns: Integers
    curve: Floats
    executing: Integers
    scratch: Records
    funding: Records
    swap: Records
    intents: Records
    orders: Records
    order_copies: Records
    kept_book: Records
    kept_account: Records
    kept_order: Records
    order_numbers: Integers


class Quotes(NamedTuple):
    """Consecutive events of the merged tape, as whole moments.

    events: QUOTE records, shape (n,). moment_start: shape (m + 1,), index of each moment's first event, then n.
    delivered: shape (m,), 1 if the moment is on the tape of the run.
    """

    events: Records
    moment_start: Integers
    delivered: npt.NDArray[np.uint8]


_NO_LEVELS: Final = np.zeros((0, 0))
_NO_ORDERS: Final = np.zeros(0, np.int64)


class Marks(NamedTuple):
    """Values at each of the n events of a chunk, by index of the event.

    equity, free_margin: shape (n,). profit: shape (instruments, n). level: likewise, where the trailing stops of the
    positions stand that have one. trailing: numbers of working trailing stop orders, shape (k,). order_level: where
    those stand, shape (k, n). NaN for a stop that stands nowhere yet.
    """

    equity: Floats
    free_margin: Floats
    profit: Floats
    level: Floats = _NO_LEVELS
    trailing: Integers = _NO_ORDERS
    order_level: Floats = _NO_LEVELS

    @staticmethod
    def for_chunk(events: int, instruments: int) -> Marks:
        """Return room for a chunk of `events` quotes."""
        shape = (instruments, events)
        return Marks(np.zeros(events), np.zeros(events), np.zeros(shape), np.zeros(shape))

    def following(self, numbers: Integers) -> Marks:
        """Return these marks with room for the levels of trailing stop orders. numbers: shape (k,)."""
        return self._replace(trailing=numbers, order_level=np.empty((len(numbers), len(self.equity))))
