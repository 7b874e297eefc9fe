"""Order intents: what a strategy with the capability ORDERS answers instead of signals, and what it knows of an order.

Most authors never make an Intent: IntentStrategy has ctx.market, ctx.limit, ctx.cancel and the like, which do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from boxgate_sdk.signals import Side


class IntentKind(IntEnum):
    """What an intent does, with the numbers of the contract."""

    SUBMIT = 1
    """A new order."""
    REPLACE = 2
    """Other values for an order."""
    CANCEL = 3
    """The end of an order."""
    PROTECT = 4
    """The bracket of the position from now on."""


class OrderType(IntEnum):
    """When an order fills and at what price, with the numbers of the contract."""

    MARKET = 1
    """At the next open, or the next tick."""
    LIMIT = 2
    """At price or better."""
    STOP = 3
    """At market, once stop_price is reached."""
    STOP_LIMIT = 4
    """A limit at price, once stop_price is reached."""
    TRAILING_STOP = 5
    """A stop that follows the market at the distance trail."""


class TimeInForce(IntEnum):
    """How long an order works, with the numbers of the contract."""

    GTC = 1
    """Until it is filled or cancelled."""
    DAY = 2
    """To the end of the trading day."""
    GTD = 3
    """To valid_until_ns."""
    IOC = 4
    """At the first open that it meets; the rest is cancelled. MARKET and LIMIT only."""
    FOK = 5
    """At the first open that it meets, wholly or not at all. MARKET and LIMIT only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """One intent; the kind says which fields it takes (docs/spec/strategy-protocol.md, section 18.1).

    instrument: symbol, None for that of the event. qty: base units in all. trail: distance of a TRAILING_STOP. sl, tp,
    risk_trail: bracket of the position, None for none. meta: anything JSON, kept in debug runs only. position: with
    HEDGING the name of the position that it is about, "" for the unnamed one of the instrument.
    """

    kind: IntentKind
    client_id: str = ""
    instrument: str | None = None
    side: Side | None = None
    type: OrderType | None = None
    qty: float | None = None
    price: float | None = None
    stop_price: float | None = None
    trail: float | None = None
    tif: TimeInForce | None = None
    valid_until_ns: int | None = None
    reduce_only: bool = False
    post_only: bool = False
    oco: str = ""
    sl: float | None = None
    tp: float | None = None
    risk_trail: float | None = None
    meta: Mapping[str, Any] | None = None
    position: str = ""


@dataclass(kw_only=True, slots=True, eq=False)
class OrderState:
    """One order of an IntentStrategy, as far as it is known; it changes while the session goes on.

    status: SENT (not answered yet), QUEUED (accepted, has met no bar or tick yet), WORKING, FILLED, CANCELLED, EXPIRED
    or REJECTED. reason: of a cancellation or rejection. qty: in all, on the lot grid. refusal: why the last replace or
    cancel of it was refused, None if none was. position: name of the position that it is about, "" for the unnamed one.
    The other values are as the gateway has them.
    """

    client_id: str
    symbol: str
    side: Side
    type: OrderType
    qty: float
    price: float | None = None
    stop_price: float | None = None
    trail: float | None = None
    tif: TimeInForce = TimeInForce.GTC
    valid_until_ns: int | None = None
    status: str = "SENT"
    filled: float = 0.0
    average_price: float | None = None
    reason: str | None = None
    refusal: str | None = None
    triggered: bool = False
    position: str = ""

    @property
    def is_open(self) -> bool:
        """True while the order may still fill."""
        return self.status in ("SENT", "QUEUED", "WORKING")
