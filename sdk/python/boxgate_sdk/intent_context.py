"""The ctx of a strategy with orders of its own: how it submits, changes, cancels and reads them back."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping
from operator import length_hint
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from boxgate_sdk.account import Order, Position, Update
from boxgate_sdk.context import Context, Instrument
from boxgate_sdk.errors import FeedbackNotGranted, HedgingNotGranted, InstrumentUnknown, OrderInvalid, OutsideEvent
from boxgate_sdk.intents import Intent, IntentKind, OrderState, OrderType, TimeInForce
from boxgate_sdk.signals import Side

if TYPE_CHECKING:
    from boxgate_sdk._events import Events
    from boxgate_sdk._wire import Marks

_PRICES = ("price", "stop_price", "trail")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Terms(TypedDict, total=False):
    """What every order may have besides its prices; see IntentContext.submit."""

    tif: TimeInForce
    valid_until_ns: int | None
    reduce_only: bool
    oco: str
    position: str
    sl: float | None
    tp: float | None
    risk_trail: float | None
    client_id: str | None
    wait: bool
    meta: Mapping[str, Any] | None


class IntentContext(Context):
    """The context of an IntentStrategy: everything of Context, and orders.

    symbol: None for that of the event. Nothing is ordered in the warm-up: an order made there is REJECTED (WARMUP) at
    once. What was ordered at an event is met by later bars and ticks; its OrderState changes as the account tells it.

    wait: ask the gateway at once and return when it has answered, in the same event. The order is then accepted or
    rejected; on ticks it has also met the tick that is handled, on bars it waits for the next open all the same. One
    round trip each: leave it out where the answer can wait.

    position: with HEDGING the name of one of several positions of the instrument, each with its own side, orders and
    bracket. Left out, a call is about the unnamed one, the only one there is without HEDGING: there a name raises
    HedgingNotGranted. ctx.positions() has them all.
    """

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        self._states: dict[str, OrderState] = {}
        self._open: dict[str, OrderState] = {}
        self._intents: list[Intent] = []
        self._news: deque[Update] = deque()
        self._count = 0

    def submit(
        self,
        type: OrderType,
        side: Side,
        qty: float,
        symbol: str | None = None,
        *,
        price: float | None = None,
        stop_price: float | None = None,
        trail: float | None = None,
        tif: TimeInForce = TimeInForce.GTC,
        valid_until_ns: int | None = None,
        reduce_only: bool = False,
        post_only: bool = False,
        oco: str = "",
        position: str = "",
        sl: float | None = None,
        tp: float | None = None,
        risk_trail: float | None = None,
        client_id: str | None = None,
        wait: bool = False,
        meta: Mapping[str, Any] | None = None,
    ) -> OrderState:
        """Submit an order and return its state, which goes on changing. ctx.market, ctx.limit and so on are shorter.

        qty: base units, put on the lot grid toward zero. sl, tp, risk_trail: bracket of the position that it opens or
        enlarges; risk_trail is the distance of a stop loss that follows the market. oco: name of a group; the first
        order of it that fills ends the others. client_id: unique in the session, made if it is left out. position: the
        one that it is about; a name that no position and no order of the instrument bears begins another one.
        Raises OrderInvalid for what can never be right, HedgingNotGranted, InstrumentUnknown.
        """
        instrument = self._instrument(symbol)
        self._check_position(position)
        for name, value in (("qty", qty), ("price", price), ("stop_price", stop_price), ("trail", trail)):
            _check_number(name, value)
        if client_id is not None and client_id in self._states:
            raise OrderInvalid(
                f"there is an order {client_id!r} already",
                where="client_id",
                expected="a name that no order of the session had",
                remedy="leave client_id out, or number the names",
            )
        state = OrderState(
            client_id=client_id or self._new_name(),
            symbol=instrument.symbol,
            side=Side(side),
            type=OrderType(type),
            qty=instrument.round_qty(qty),
            price=price,
            stop_price=stop_price,
            trail=trail,
            tif=TimeInForce(tif),
            valid_until_ns=valid_until_ns,
            position=position,
        )
        if self._is_warmup():
            state.status, state.reason = "REJECTED", "WARMUP"
            return state
        self._states[state.client_id] = self._open[state.client_id] = state
        self._say(
            Intent(
                kind=IntentKind.SUBMIT,
                client_id=state.client_id,
                instrument=instrument.symbol,
                side=state.side,
                type=state.type,
                qty=qty,
                price=price,
                stop_price=stop_price,
                trail=trail,
                tif=state.tif,
                valid_until_ns=valid_until_ns,
                reduce_only=reduce_only,
                post_only=post_only,
                oco=oco,
                sl=sl,
                tp=tp,
                risk_trail=risk_trail,
                meta=meta,
                position=position,
            ),
            wait,
        )
        return state

    def market(self, side: Side, qty: float, symbol: str | None = None, **terms: Unpack[Terms]) -> OrderState:
        """Submit a market order."""
        return self.submit(OrderType.MARKET, side, qty, symbol, **terms)

    def limit(
        self,
        side: Side,
        qty: float,
        price: float,
        symbol: str | None = None,
        *,
        post_only: bool = False,
        **terms: Unpack[Terms],
    ) -> OrderState:
        """Submit a limit order: it fills at price or better. post_only: refuse it where it would fill at once."""
        return self.submit(OrderType.LIMIT, side, qty, symbol, price=price, post_only=post_only, **terms)

    def stop(
        self, side: Side, qty: float, stop_price: float, symbol: str | None = None, **terms: Unpack[Terms]
    ) -> OrderState:
        """Submit a stop order: a BUY above the market, a SELL below it, filled at market once it is reached."""
        return self.submit(OrderType.STOP, side, qty, symbol, stop_price=stop_price, **terms)

    def stop_limit(
        self,
        side: Side,
        qty: float,
        stop_price: float,
        price: float,
        symbol: str | None = None,
        **terms: Unpack[Terms],
    ) -> OrderState:
        """Submit a stop-limit order: once stop_price is reached it is a limit order at price."""
        return self.submit(OrderType.STOP_LIMIT, side, qty, symbol, price=price, stop_price=stop_price, **terms)

    def trailing_stop(
        self, side: Side, qty: float, trail: float, symbol: str | None = None, **terms: Unpack[Terms]
    ) -> OrderState:
        """Submit a stop order that follows the market at the distance trail."""
        return self.submit(OrderType.TRAILING_STOP, side, qty, symbol, trail=trail, **terms)

    def replace(
        self,
        order: OrderState | str,
        *,
        qty: float | None = None,
        price: float | None = None,
        stop_price: float | None = None,
        trail: float | None = None,
        tif: TimeInForce | None = None,
        valid_until_ns: int | None = None,
        wait: bool = False,
    ) -> OrderState:
        """Give an order other values; what is left out stays. qty: in all, what is filled included.

        order: the state, or its client_id. It goes to the end of the list. Where the order has ended meanwhile nothing
        happens but that `refusal` of the state says so. Raises OrderInvalid.
        """
        state = self._known(order)
        for name, value in (("qty", qty), ("price", price), ("stop_price", stop_price), ("trail", trail)):
            _check_number(name, value)
        lasting = state.tif if tif is None else TimeInForce(tif)
        until = valid_until_ns if valid_until_ns is not None else state.valid_until_ns
        intent = Intent(
            kind=IntentKind.REPLACE,
            client_id=state.client_id,
            instrument=state.symbol,
            qty=state.qty if qty is None else qty,
            price=state.price if price is None else price,
            stop_price=state.stop_price if stop_price is None else stop_price,
            trail=state.trail if trail is None else trail,
            tif=lasting,
            valid_until_ns=until if lasting == TimeInForce.GTD else None,
        )
        state.refusal = None
        self._say(intent, wait)
        return state

    def cancel(self, order: OrderState | str, *, wait: bool = False) -> OrderState:
        """Cancel an order. Where it has ended meanwhile nothing happens but that `refusal` of the state says so."""
        state = self._known(order)
        state.refusal = None
        self._say(Intent(kind=IntentKind.CANCEL, client_id=state.client_id, instrument=state.symbol), wait)
        return state

    def cancel_all(self, symbol: str | None = None, *, position: str | None = None) -> None:
        """Cancel every open order, or those of one instrument, or of one position."""
        for state in self.orders(symbol, position=position):
            self.cancel(state)

    def protect(
        self,
        symbol: str | None = None,
        *,
        position: str = "",
        sl: float | None = None,
        tp: float | None = None,
        trail: float | None = None,
        wait: bool = False,
    ) -> None:
        """Set the bracket of the position; what is left out is removed. trail: distance of a stop that follows."""
        self._check_position(position)
        for name, value in (("sl", sl), ("tp", tp), ("trail", trail)):
            _check_number(name, value)
        symbol = self._instrument(symbol).symbol
        intent = Intent(kind=IntentKind.PROTECT, instrument=symbol, sl=sl, tp=tp, risk_trail=trail, position=position)
        self._say(intent, wait)

    def close(self, symbol: str | None = None, *, position: str = "", wait: bool = False) -> OrderState | None:
        """Close the position by a market order that only reduces; None without a position. Orders stay.

        The unnamed position of the instrument, or the one named; to close all of them go through ctx.positions().
        """
        held = self.position(symbol, position=position)
        if not held:
            return None
        side = Side.SELL if held > 0 else Side.BUY
        return self.market(side, abs(held), symbol, position=position, reduce_only=True, wait=wait)

    def position(self, symbol: str | None = None, *, position: str = "") -> float:
        """Return what is held in the unnamed position, or in the one named: above 0 long, below 0 short, base units.

        0.0 without such a position. Named positions are not added to the unnamed one: ctx.positions() has them all.
        """
        self._check_position(position)
        name = self._instrument(symbol).symbol
        for held in self.positions(name):
            if held.name == position:
                return held.qty if held.side == Side.BUY else -held.qty
        return 0.0

    def positions(self, symbol: str | None = None) -> list[Position]:
        """Return every open position, or those of one instrument: unnamed ones first, then by instrument.

        `name` of each is what orders, close, protect and unrealised take as position; "" without HEDGING.
        """
        account = self.account
        return [p for p in (*account.positions.values(), *account.named) if symbol in (None, p.symbol)]

    def orders(self, symbol: str | None = None, *, position: str | None = None) -> list[OrderState]:
        """Return the orders that may still fill, oldest first, or those of one instrument, or of one position.

        position: its name, "" for the unnamed one, None for all.
        """
        return [
            state
            for state in self._open.values()
            if symbol in (None, state.symbol) and position in (None, state.position)
        ]

    def order(self, client_id: str) -> OrderState:
        """Return the state of an order of this session, also after its end. Raises OrderInvalid."""
        return self._known(client_id)

    def order_level(self, order: OrderState | str) -> float | None:
        """Return where a trailing stop order stands at the event, None while it has no level."""
        column = None if self._marks is None else self._marks.order_levels.get(self._known(order).client_id)
        level = math.nan if column is None else column[~length_hint(self._to_come)]
        return None if math.isnan(level) else level

    def take_intents(self) -> list[Intent]:
        """Return what was ordered at the event and not sent yet. The IntentStrategy calls it."""
        intents = self._intents
        if intents:
            self._intents = []
        return intents

    def take_news(self) -> Update | None:
        """Return the next update that on_order_update has not seen. The IntentStrategy calls it."""
        return self._news.popleft() if self._news else None

    def enter_window(self, events: Events, account: bytes | None, marks: Marks | None) -> None:
        """As Context; the states of the orders follow the account."""
        super().enter_window(events, account, marks)
        if account is not None:
            self._follow()

    def enter_continuation(self, account: bytes, marks: Marks) -> None:
        """As Context; the states of the orders follow the account."""
        super().enter_continuation(account, marks)
        self._follow()

    def _say(self, intent: Intent, wait: bool) -> None:
        if self._is_warmup():
            return
        self._intents.append(intent)
        if wait:
            if self._ask is None:
                raise FeedbackNotGranted("wait=True")
            self._ask(self.take_intents())

    def _follow(self) -> None:
        account = self.current_account()
        for update in account.updates:
            self._news.append(update)
            state = self._states.get(update.client_id)
            if state is not None:
                _apply(state, update)
        working = {order.client_id: order for order in account.orders}
        for client_id, state in list(self._open.items()):
            order = working.get(client_id)
            if order is not None:
                _copy(state, order)
            elif state.is_open and state.filled:
                state.status = "FILLED"
            if not state.is_open:
                del self._open[client_id]

    def _known(self, order: OrderState | str) -> OrderState:
        client_id = order if isinstance(order, str) else order.client_id
        if isinstance(order, OrderState) and order.reason == "WARMUP":
            return order
        if client_id not in self._states:
            raise OrderInvalid(
                f"there is no order {client_id!r}",
                where="client_id",
                expected="an order that was submitted in this session",
                remedy="keep what ctx.submit returned, or the client_id of it",
            )
        return self._states[client_id]

    def _new_name(self) -> str:
        while True:
            self._count += 1
            name = f"o{self._count}"
            if name not in self._states:
                return name

    def _instrument(self, symbol: str | None) -> Instrument:
        if self._events is None:
            raise OutsideEvent("an order", "call it in on_bar or on_tick")
        name = self._events.series.symbol if symbol is None else symbol
        if name not in self.instruments:
            raise InstrumentUnknown(name, self.instruments)
        return self.instruments[name]

    def _check_position(self, name: object) -> None:
        if name == "":
            return
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise OrderInvalid(
                f"the name of a position is {name!r}",
                where="position",
                expected="a text of 1 to 64 of A-Z a-z 0-9 _ . : -",
                remedy='write a number as text, such as position=f"t{number}"',
            )
        if "HEDGING" not in self.granted:
            raise HedgingNotGranted(name)

    def _is_warmup(self) -> bool:
        return self._events is not None and self._events.window.warmup


def _apply(state: OrderState, update: Update) -> None:
    """Change a state by what happened to its order."""
    if update.kind == "FILL":
        before = state.filled * (state.average_price or 0.0)
        state.filled += update.qty
        state.average_price = (before + update.qty * update.price) / state.filled
    elif update.kind == "REJECTION" and update.intent_kind in ("REPLACE", "CANCEL"):
        state.refusal = update.reject_reason
    elif update.kind == "REJECTION":
        state.status, state.reason = "REJECTED", update.reject_reason
    elif update.kind == "CANCELLATION":
        state.status, state.reason = "CANCELLED", update.cancel_reason
    elif update.kind == "EXPIRY":
        state.status = "EXPIRED"


def _copy(state: OrderState, order: Order) -> None:
    """Take over what the account has of an order."""
    state.status = "QUEUED" if order.queued else "WORKING"
    state.qty = order.qty + order.filled
    state.filled, state.average_price = order.filled, order.average_price or None
    for name in _PRICES:
        setattr(state, name, getattr(order, name))
    state.valid_until_ns = order.valid_until_ns
    state.tif = TimeInForce[order.tif] if order.tif is not None else state.tif
    state.triggered = order.triggered


def _check_number(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise OrderInvalid(
            f"{name} of an order is {value!r}",
            where=name,
            expected="a finite number above 0",
            remedy="check the value before it is ordered; the side tells the direction",
        )
