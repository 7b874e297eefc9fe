"""What a strategy with FEEDBACK sees of the account. Nothing here can be changed; signals change the account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

from google.protobuf.message import DecodeError

from boxgate_proto.strategy.v1 import account_pb2, order_pb2
from boxgate_sdk.errors import WindowMalformed
from boxgate_sdk.signals import Side

_SIDES = {side.value: side for side in Side}


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """An open holding. side is BUY for long, SELL for short; qty > 0 in base units; sl, tp and trail None for none.

    name: with HEDGING that of the position, "" for the unnamed one of the instrument.
    """

    position_id: int
    symbol: str
    side: Side
    qty: float
    entry_price: float
    sl: float | None
    tp: float | None
    trail: float | None = None
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What still works towards a target. side is that of the order; price None for no limit.

    With ORDERS each order that works or waits; the fields behind valid_until_ns are those of such orders alone. qty is
    still to be filled, filled was, average_price 0.0 if nothing was. triggered: a STOP_LIMIT that is a LIMIT by now.
    queued: it has not met a bar or tick yet. position: with HEDGING the name of the position that it is about.
    """

    client_id: str
    symbol: str
    side: Side
    qty: float
    price: float | None
    valid_until_ns: int | None
    type: str | None = None
    stop_price: float | None = None
    trail: float | None = None
    filled: float = 0.0
    average_price: float = 0.0
    tif: str | None = None
    reduce_only: bool = False
    post_only: bool = False
    oco: str = ""
    sl: float | None = None
    tp: float | None = None
    risk_trail: float | None = None
    triggered: bool = False
    queued: bool = False
    position: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What the last accepted signal of an instrument asked for; qty_granted is what the position has reached of it."""

    symbol: str
    side: Side
    qty_requested: float
    qty_granted: float
    price: float | None
    sl: float | None
    tp: float | None
    valid_until_ns: int | None
    trail: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Update:
    """One thing that became known with the event `seq`.

    kind: FILL, LIQUIDATION, REJECTION, EXPIRY, FUNDING, SWAP, MARGIN_CALL or CANCELLATION. side, qty, price, fee and
    fill_reason (ENTRY, SIGNAL, STOP_LOSS, TAKE_PROFIT, LIQUIDATION, END) belong to fills and liquidations,
    reject_reason to rejections, amount (account currency, positive is received) to funding and swap; they are None or 0
    elsewhere.
    """

    kind: str
    symbol: str
    seq: int
    time_ns: int
    side: Side | None
    qty: float
    price: float
    fee: float
    fill_reason: str | None
    reject_reason: str | None
    client_id: str = ""
    """With ORDERS: the order that it is about, empty for none."""
    intent_kind: str | None = None
    """With ORDERS, of a rejection: SUBMIT, REPLACE, CANCEL or PROTECT."""
    cancel_reason: str | None = None
    """With kind CANCELLATION: INTENT, REDUCE_ONLY, OCO, IOC or FOK."""
    amount: float = 0.0
    position: str = ""
    """With HEDGING: name of the position that it is about, empty for the unnamed one of the instrument."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The account at the event that is handled.

    cash: account currency, realised profit, fees, funding and swap included. positions and targets by symbol (a symbol
    without position is absent, a target is there for every instrument). updates: what became known with this moment.
    named: with HEDGING the positions that have a name, by instrument and in the order of the gateway; positions holds
    the unnamed ones alone.
    """

    version: int
    cash: float
    positions: Mapping[str, Position]
    orders: Sequence[Order]
    targets: Mapping[str, Target]
    updates: Sequence[Update]
    named: Sequence[Position] = ()

    def without_updates(self) -> Account:
        """Return the account as later moments of the same window see it."""
        return replace(self, updates=()) if self.updates else self


def read_account(data: bytes, symbols: Sequence[str], *, news: bool = True) -> Account:
    """Return the account of a serialised message, without `news` without its updates. Raises WindowMalformed.

    symbols: by index of the instrument.
    """
    try:
        message = account_pb2.Account.FromString(data)
    except DecodeError as failure:
        raise WindowMalformed("the account of a window cannot be parsed", "a serialised Account") from failure
    positions = [_position(p, symbols) for p in message.positions]
    return Account(
        version=message.version,
        cash=message.cash,
        positions=MappingProxyType({p.symbol: p for p in positions if not p.name}),
        orders=tuple([_order(o, symbols) for o in message.orders]),
        targets=_Targets({symbols[t.instrument]: t for t in message.targets}, symbols),
        updates=tuple([_update(u, symbols) for u in message.updates]) if news else (),
        named=tuple([p for p in positions if p.name]),
    )


class _Targets(Mapping[str, Target]):
    """The target of every instrument, made when it is asked for: few strategies look at their own targets again."""

    __slots__ = ("_stated", "_symbols")

    def __init__(self, stated: Mapping[str, account_pb2.StandingTarget], symbols: Sequence[str]) -> None:
        self._stated = stated
        self._symbols = symbols

    def __getitem__(self, symbol: str) -> Target:
        stated = self._stated.get(symbol)
        if stated is not None:
            return _target(stated, symbol)
        if symbol not in self._symbols:
            raise KeyError(symbol)
        return flat_target(symbol)

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)

    def __repr__(self) -> str:
        return repr(dict(self))


def flat_target(symbol: str) -> Target:
    """Return the target that every instrument begins with."""
    return Target(
        symbol=symbol,
        side=Side.FLAT,
        qty_requested=0.0,
        qty_granted=0.0,
        price=None,
        sl=None,
        tp=None,
        valid_until_ns=None,
    )


def _target(t: account_pb2.StandingTarget, symbol: str) -> Target:
    return Target(
        symbol=symbol,
        side=_side(t.side),
        qty_requested=t.qty_requested,
        qty_granted=t.qty_granted,
        price=t.price if t.HasField("price") else None,
        sl=t.sl if t.HasField("sl") else None,
        tp=t.tp if t.HasField("tp") else None,
        trail=t.trail if t.HasField("trail") else None,
        valid_until_ns=t.valid_until_ns if t.HasField("valid_until_ns") else None,
    )


def _position(p: account_pb2.Position, symbols: Sequence[str]) -> Position:
    return Position(
        position_id=p.position_id,
        symbol=symbols[p.instrument],
        side=_side(p.side),
        qty=p.qty,
        entry_price=p.entry_price,
        sl=p.sl if p.HasField("sl") else None,
        tp=p.tp if p.HasField("tp") else None,
        trail=p.trail if p.HasField("trail") else None,
        name=p.position,
    )


def _order(o: account_pb2.Order, symbols: Sequence[str]) -> Order:
    return Order(
        client_id=o.client_id,
        symbol=symbols[o.instrument],
        side=_side(o.side),
        qty=o.qty,
        price=o.price if o.HasField("price") else None,
        valid_until_ns=o.valid_until_ns if o.HasField("valid_until_ns") else None,
        type=_name(order_pb2.OrderType, o.type, "ORDER_TYPE_"),
        stop_price=o.stop_price if o.HasField("stop_price") else None,
        trail=o.trail if o.HasField("trail") else None,
        filled=o.filled,
        average_price=o.average_price,
        tif=_name(order_pb2.TimeInForce, o.tif, "TIME_IN_FORCE_"),
        reduce_only=o.reduce_only,
        post_only=o.post_only,
        oco=o.oco,
        sl=o.risk.sl if o.risk.HasField("sl") else None,
        tp=o.risk.tp if o.risk.HasField("tp") else None,
        risk_trail=o.risk.trail if o.risk.HasField("trail") else None,
        triggered=o.triggered,
        queued=o.queued,
        position=o.position,
    )


def _update(u: account_pb2.AccountUpdate, symbols: Sequence[str]) -> Update:
    return Update(
        kind=_name(account_pb2.AccountUpdateKind, u.kind, "ACCOUNT_UPDATE_KIND_") or "UNKNOWN",
        symbol=symbols[u.instrument],
        seq=u.seq,
        time_ns=u.time_ns,
        side=_side(u.side) if u.side else None,
        qty=u.qty,
        price=u.price,
        fee=u.fee,
        fill_reason=_name(account_pb2.FillReason, u.fill_reason, "FILL_REASON_"),
        reject_reason=_name(account_pb2.RejectReason, u.reject_reason, "REJECT_REASON_"),
        client_id=u.client_id,
        intent_kind=_name(order_pb2.OrderIntentKind, u.intent_kind, "ORDER_INTENT_KIND_"),
        cancel_reason=_name(order_pb2.CancelReason, u.cancel_reason, "CANCEL_REASON_"),
        amount=u.amount,
        position=u.position,
    )


def _side(number: int) -> Side:
    return _SIDES.get(number) or Side(number)


@lru_cache(maxsize=256)
def _name(enum: object, number: int, prefix: str) -> str | None:
    """Return the name of an enum value without its prefix, None for 0, the number for one that is newer than this."""
    if not number:
        return None
    try:
        name: str = enum.Name(number)  # type: ignore[attr-defined]  # the three enum wrappers share no typed base
    except ValueError:
        return str(number)
    return name.removeprefix(prefix)
