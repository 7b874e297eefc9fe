"""One position of the paper account of orders: what it holds, its orders, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from boxgate_proto.strategy.v1 import account_pb2, order_pb2, signal_pb2
from boxgate_sdk.events import Bar, Tick

PLACES = 64
"""Named positions of one instrument at a time, and orders of one position."""

_BUY, _SELL = signal_pb2.SIDE_BUY, signal_pb2.SIDE_SELL
_DAY_NS = 86_400 * 10**9


@dataclass(slots=True)
class Waiting:
    """An accepted intent that has met no bar or tick yet, and the order of a SUBMIT."""

    seq: int
    time_ns: int
    intent: signal_pb2.OrderIntent
    order: account_pb2.Order | None


@dataclass(slots=True)
class Place:
    """One position of one instrument: what is held (signed), its bracket, its orders and its queue."""

    instrument: int
    name: str = ""
    qty: float = 0.0
    entry: float = 0.0
    position_id: int = 0
    risk: signal_pb2.Risk = field(default_factory=signal_pb2.Risk)
    level: float | None = None
    mark: float = 0.0
    working: list[account_pb2.Order] = field(default_factory=list)
    queue: list[Waiting] = field(default_factory=list)

    @property
    def is_free(self) -> bool:
        """True while another name may take the place."""
        return not (self.qty or self.working or self.queue)

    @property
    def unrealised(self) -> float:
        """Profit at the last mark, account currency."""
        return self.qty * (self.mark - self.entry)

    def orders(self) -> Iterator[account_pb2.Order]:
        """Yield what works, then what waits."""
        yield from self.working
        yield from (waiting.order for waiting in self.queue if waiting.order is not None)


def refusal(
    place: Place, intent: signal_pb2.OrderIntent, last: Bar | Tick | None
) -> account_pb2.RejectReason.ValueType:
    """Return why a place refuses an intent, 0 if it does not. last: what its instrument has met last."""
    none = account_pb2.REJECT_REASON_UNSPECIFIED
    if intent.kind == order_pb2.ORDER_INTENT_KIND_CANCEL:
        return none
    side, reference = intent.side, None
    if intent.kind == order_pb2.ORDER_INTENT_KIND_PROTECT:
        if not place.qty:
            return account_pb2.REJECT_REASON_NO_POSITION
        side = _BUY if place.qty > 0 else _SELL
    else:
        old = next((o for o in place.orders() if o.client_id == intent.client_id), None)
        side = old.side if old is not None else side
        if intent.qty <= (old.filled if old is not None else 0.0):
            return account_pb2.REJECT_REASON_QTY_BELOW_MINIMUM
        post_only = intent.post_only or (old is not None and old.post_only)
        now = None if last is None else prices(last, side)[3]
        up = 1 if side == _BUY else -1
        waits = intent.HasField("stop_price") and not (old is not None and old.triggered)
        if now is not None and waits and (now - intent.stop_price) * up >= 0:
            return account_pb2.REJECT_REASON_STOP_PRICE_SIDE
        if now is not None and post_only and (now - intent.price) * up <= 0:
            return account_pb2.REJECT_REASON_POST_ONLY
        named = [n for n in ("price", "stop_price") if intent.HasField(n)]
        reference = getattr(intent, named[0]) if named else None
    if reference is None and last is not None:
        reference = prices(last, _SELL if side == _BUY else _BUY)[3]
    up = 1 if side == _BUY else -1
    if reference is not None and intent.risk.HasField("sl") and (reference - intent.risk.sl) * up <= 0:
        return account_pb2.REJECT_REASON_STOP_LOSS_SIDE
    if reference is not None and intent.risk.HasField("tp") and (intent.risk.tp - reference) * up <= 0:
        return account_pb2.REJECT_REASON_TAKE_PROFIT_SIDE
    if intent.kind == order_pb2.ORDER_INTENT_KIND_SUBMIT and len([*place.orders()]) >= PLACES:
        return account_pb2.REJECT_REASON_TOO_MANY_ORDERS
    return none


def order_of(intent: signal_pb2.OrderIntent, time_ns: int) -> account_pb2.Order:
    """Return the order of a SUBMIT or REPLACE; DAY ends with the day of the moment, UTC."""
    until = intent.valid_until_ns if intent.HasField("valid_until_ns") else None
    if intent.tif == order_pb2.TIME_IN_FORCE_DAY:
        until = (time_ns // _DAY_NS + 1) * _DAY_NS
    return account_pb2.Order(
        client_id=intent.client_id,
        instrument=intent.instrument,
        side=intent.side,
        qty=intent.qty,
        price=intent.price if intent.HasField("price") else None,
        valid_until_ns=until,
        type=intent.type,
        stop_price=intent.stop_price if intent.HasField("stop_price") else None,
        trail=intent.trail if intent.HasField("trail") else None,
        tif=intent.tif or order_pb2.TIME_IN_FORCE_GTC,
        reduce_only=intent.reduce_only,
        post_only=intent.post_only,
        oco=intent.oco,
        risk=intent.risk if intent.HasField("risk") else None,
        queued=True,
        position=intent.position,
    )


def prices(event: Bar | Tick, side: signal_pb2.Side.ValueType) -> tuple[float, float, float, float]:
    """Return open, high, low and close of what an order of this side fills at: for a BUY the ask, if there is one."""
    if isinstance(event, Tick):
        price = event.ask if side == _BUY else event.bid
        return price, price, price, price
    if side == _BUY and not math.isnan(event.ask_open):
        return event.ask_open, event.ask_high, event.ask_low, event.ask_close
    return event.open, event.high, event.low, event.close
