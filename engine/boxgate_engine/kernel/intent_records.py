"""Order intents and orders as the kernel holds them, and their constants.

Words as in records.py: prices are positive, so 0.0 stands for "no price", NO_EXPIRY for "no expiry", `side` is +1 for
BUY, -1 for SELL and 0 where an intent has none. Numbers of kinds, types, times in force and reasons are those of the
contract. Rules: docs/spec/execution.md, section 15.
"""

from __future__ import annotations

from typing import Final

import numpy as np

# Kind of an intent; numbers of boxgate.strategy.v1.OrderIntentKind.
SUBMIT: Final = 1
REPLACE: Final = 2
CANCEL: Final = 3
PROTECT: Final = 4

# Type of an order; numbers of boxgate.strategy.v1.OrderType.
MARKET: Final = 1
LIMIT: Final = 2
STOP: Final = 3
STOP_LIMIT: Final = 4
TRAILING_STOP: Final = 5

# Time in force; numbers of boxgate.strategy.v1.TimeInForce.
GTC: Final = 1
DAY: Final = 2
GTD: Final = 3
IOC: Final = 4
FOK: Final = 5

# Outcome of an intent, beside OPEN, REJECTED and UNEXECUTED of records.py.
FILLED: Final = 6
"""All lots of the order were filled."""
CANCELLED: Final = 7
"""The order ended before it was filled; see the reason. What was filled stands in `filled`."""
EXPIRED: Final = 8
"""The order passed its valid_until_ns."""
WORKING: Final = 9
"""The order still worked when the run ended."""
DONE: Final = 10
"""A REPLACE, CANCEL or PROTECT that took effect."""

# Reason of a rejection, beside those of records.py; numbers of boxgate.strategy.v1.RejectReason.
MARKET_CLOSED: Final = 5
STOP_PRICE_SIDE: Final = 10
POST_ONLY: Final = 11
TOO_MANY_ORDERS: Final = 12
ORDER_NOT_WORKING: Final = 13
NO_POSITION: Final = 14
TOO_MANY_POSITIONS: Final = 15

# Reason of a cancellation; numbers of boxgate.strategy.v1.CancelReason.
CANCEL_INTENT: Final = 1
CANCEL_REDUCE_ONLY: Final = 2
CANCEL_OCO: Final = 3
CANCEL_IOC: Final = 4
CANCEL_FOK: Final = 5

UPDATE_CANCELLATION: Final = 8
"""Kind of an account update, beside those of records.py; number of boxgate.strategy.v1.AccountUpdateKind."""

ORDERS_PER_POSITION_MAX: Final = 64
"""Orders of one position that work or wait."""

NAMED_POSITIONS_MAX: Final = 64
"""Named positions of one instrument at a time."""

# State of an order.
ORDER_NEW: Final = 0
"""Not accepted."""
ORDER_QUEUED: Final = 1
"""Accepted, has not met a bar yet."""
ORDER_WORKING: Final = 2
ORDER_ENDED: Final = 3

INTENT_ROW: Final = np.dtype(
    [
        ("seq", "i8"),
        ("time_ns", "i8"),
        ("event", "i8"),  # incoming: index of the event in the quotes
        ("instrument", "i8"),
        ("name", "i8"),  # number of the position's name, for SUBMIT and PROTECT; 0 for the unnamed one
        ("kind", "i8"),
        ("order", "i8"),  # number of the order it submits or means, from 1 by arrival; 0 for PROTECT
        ("side", "i8"),
        ("type", "i8"),  # of the order, also for REPLACE; 0 for CANCEL and PROTECT
        ("lots", "i8"),  # unsigned, in all
        ("price", "f8"),
        ("stop_price", "f8"),
        ("trail", "f8"),  # of TRAILING_STOP
        ("tif", "i8"),  # 0 for CANCEL and PROTECT
        ("valid_until_ns", "i8"),  # of GTD, and for DAY the end of the day
        ("reduce_only", "i8"),
        ("post_only", "i8"),
        ("oco", "i8"),  # number of the group, from 1 by arrival; 0 for none
        ("sl", "f8"),
        ("tp", "f8"),
        ("risk_trail", "f8"),
        # of the kernel
        ("next", "i8"),
        ("delay_ns", "i8"),  # incoming: latency
        ("due_ns", "i8"),  # when it arrives
        ("outcome", "i8"),
        ("reason", "i8"),  # incoming: MARKET_CLOSED, or 0
        ("filled", "i8"),  # lots
        ("average_price", "f8"),  # of what was filled
    ]
)
"""One intent, on the grid. What comes in has the fields of the kernel at 0."""

ORDER_ROW: Final = np.dtype(
    [
        ("number", "i8"),
        ("instrument", "i8"),
        ("name", "i8"),  # number of the position's name, 0 for none
        ("place", "i8"),  # index of its book
        ("intent", "i8"),  # row of its SUBMIT in the table of intents
        ("state", "i8"),
        ("side", "i8"),
        ("type", "i8"),
        ("triggered", "i8"),  # 1 for a STOP_LIMIT that is a LIMIT by now
        ("lots", "i8"),  # unsigned, in all
        ("filled", "i8"),
        ("average_price", "f8"),
        ("price", "f8"),
        ("stop_price", "f8"),
        ("trail", "f8"),
        ("level", "f8"),  # of a TRAILING_STOP that works, 0.0 while it has none
        ("tif", "i8"),
        ("valid_until_ns", "i8"),
        ("reduce_only", "i8"),
        ("post_only", "i8"),
        ("oco", "i8"),
        ("sl", "f8"),
        ("tp", "f8"),
        ("risk_trail", "f8"),
        ("next", "i8"),  # number of the order behind it in its instrument's list, 0 for none
        ("idle", "i8"),  # number of the event in which the volume limit left it nothing
        ("outcome", "i8"),  # of an order that has ended
        ("reason", "i8"),
    ]
)
"""One order as it is now: order n stands in row n - 1 of their table."""
