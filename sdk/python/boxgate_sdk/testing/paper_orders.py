"""A small account that answers order intents in tests of strategies with ORDERS.

No costs, no margin, no volume limit. Intents meet the next bar that opens at or after them, or the next tick: market
orders at its open, then the bracket of the position (the stop before the target), then stops, then limits, each at its
price or a worse open for stops, a better one for limits. A position that an order has opened inside a bar meets its
bracket from the next bar on, and so does a stop-limit its limit. Trailing levels follow the closes. With HEDGING each
name has a position of its own, with 64 places per instrument. It is not the engine and does not foretell its fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from boxgate_proto.strategy.v1 import account_pb2, order_pb2, signal_pb2
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.testing.paper import Mark
from boxgate_sdk.testing.paper_places import PLACES, Place, Waiting, order_of, prices, refusal
from boxgate_sdk.testing.sent import Ratio

_BUY, _SELL = signal_pb2.SIDE_BUY, signal_pb2.SIDE_SELL
_STOPS = (order_pb2.ORDER_TYPE_STOP, order_pb2.ORDER_TYPE_STOP_LIMIT, order_pb2.ORDER_TYPE_TRAILING_STOP)
_AT_ONCE = {
    order_pb2.TIME_IN_FORCE_IOC: order_pb2.CANCEL_REASON_IOC,
    order_pb2.TIME_IN_FORCE_FOK: order_pb2.CANCEL_REASON_FOK,
}


class PaperBook:
    """State of the account. settle() takes a moment, accept() the intents answered in one."""

    def __init__(self, instruments: int, lot_size: Ratio, cash: float = 100_000.0) -> None:
        self.cash = cash
        self.version = 1
        self.updates: list[account_pb2.AccountUpdate] = []
        self._lot_size = lot_size
        self._unnamed = [Place(i) for i in range(instruments)]
        self._named: list[list[Place]] = [[] for _ in range(instruments)]
        self._last: list[Bar | Tick | None] = [None] * instruments
        self._home: dict[str, Place] = {}
        self._names: dict[str, str] = {}
        self._levels: dict[str, float] = {}
        self._positions = 0

    def copy(self) -> PaperBook:
        """Return an independent copy."""
        return deepcopy(self)

    def settle(self, moment: Sequence[tuple[int, Bar | Tick]]) -> bool:
        """Meet the events of a moment, (index of the instrument, event). Returns True if the account changed."""
        before = self.version
        for place in self._places():
            for order in [*place.orders()]:
                if order.HasField("valid_until_ns") and order.valid_until_ns < moment[0][1].time_ns:
                    self._end(place, order, moment[0][1], kind=account_pb2.ACCOUNT_UPDATE_KIND_EXPIRY)
        for place in self._places():
            for index, event in moment:
                if index == place.instrument:
                    self._promote(place, event)
                    self._meet(place, event)
        for index, event in moment:
            self._last[index] = event
            for place in (self._unnamed[index], *self._named[index]):
                place.mark = prices(event, _SELL if place.qty > 0 else _BUY)[3]
        return self.version != before

    def accept(self, intents: Sequence[signal_pb2.OrderIntent], first_seq: int, time_ns: int) -> None:
        """Take the intents of an answer, values on the grid already. time_ns: of the moment that they answer."""

        def turn(intent: signal_pb2.OrderIntent) -> tuple[int, int]:
            home = self._home.get(intent.client_id)
            return (intent.instrument if home is None else home.instrument), intent.event_index

        for intent in sorted(intents, key=turn):
            seq = first_seq + intent.event_index
            place, reason = self._find(intent)
            reason = reason or refusal(place, intent, self._last[place.instrument])
            if reason:
                self._reject(place, intent, reason, seq, time_ns)
                continue
            order = None
            if intent.kind == order_pb2.ORDER_INTENT_KIND_SUBMIT:
                order = order_of(intent, time_ns)
                place.name = intent.position
                self._home[intent.client_id], self._names[intent.client_id] = place, place.name
            place.queue.append(Waiting(seq, time_ns, intent, order))
            self.version += 1

    def message(self, updates: bool) -> account_pb2.Account:
        """Return the account as the gateway would send it, and forget the updates if they are sent."""
        message = account_pb2.Account(version=self.version, cash=self.cash)
        for place in self._places():
            message.orders.extend(place.orders())
            if place.qty:
                message.positions.add(
                    position_id=place.position_id,
                    instrument=place.instrument,
                    side=_BUY if place.qty > 0 else _SELL,
                    qty=abs(place.qty),
                    entry_price=place.entry,
                    sl=place.risk.sl if place.risk.HasField("sl") else None,
                    tp=place.risk.tp if place.risk.HasField("tp") else None,
                    trail=place.risk.trail if place.risk.HasField("trail") else None,
                    position=place.name,
                )
        if updates:
            message.updates.extend(self.updates)
            self.updates = []
        return message

    def marks(self) -> list[Mark]:
        """Return what each open position is worth now."""
        return [Mark(p.instrument, p.name, p.unrealised, p.level) for p in self._places() if p.qty]

    def levels(self) -> dict[str, float]:
        """Return where the trailing stop orders stand now."""
        return {
            o.client_id: self._levels[o.client_id] for p in self._places() for o in p.working if o.HasField("trail")
        }

    def _places(self) -> list[Place]:
        """Return the unnamed positions by instrument, then the named ones by instrument and place."""
        return [*self._unnamed, *(place for places in self._named for place in places)]

    def _find(self, intent: signal_pb2.OrderIntent) -> tuple[Place, account_pb2.RejectReason.ValueType]:
        """Return the place that an intent is about; where there is none a stand-in and the reason for refusing it."""
        nothing = account_pb2.REJECT_REASON_UNSPECIFIED
        submits = intent.kind == order_pb2.ORDER_INTENT_KIND_SUBMIT
        if not submits and intent.kind != order_pb2.ORDER_INTENT_KIND_PROTECT:
            place = self._home.get(intent.client_id)
            alive = place is not None and any(o.client_id == intent.client_id for o in place.orders())
            if place is None or not alive:
                return place or Place(intent.instrument), account_pb2.REJECT_REASON_ORDER_NOT_WORKING
            return place, nothing
        if not intent.position:
            return self._unnamed[intent.instrument], nothing
        places = self._named[intent.instrument]
        for place in places:
            if place.name == intent.position and not place.is_free:
                return place, nothing
        if not submits:
            return Place(intent.instrument, intent.position), account_pb2.REJECT_REASON_NO_POSITION
        free = next((place for place in places if place.is_free), None)
        if free is None and len(places) == PLACES:
            return Place(intent.instrument, intent.position), account_pb2.REJECT_REASON_TOO_MANY_POSITIONS
        if free is None:
            free = Place(intent.instrument)
            places.append(free)
        return free, nothing

    def _promote(self, place: Place, event: Bar | Tick) -> None:
        """Let what was accepted at or before the open of the event take effect."""
        while place.queue and (isinstance(event, Tick) or place.queue[0].time_ns <= event.open_ns):
            self.version += 1
            waiting = place.queue.pop(0)
            intent, order = waiting.intent, waiting.order
            if intent.kind == order_pb2.ORDER_INTENT_KIND_SUBMIT:
                if order is not None:  # else it has ended while it waited
                    order.queued = False
                    place.working.append(order)
                    self._refuse_post_only(place, order, intent, event)
                    self._begin_trail(order, event)
                continue
            if intent.kind == order_pb2.ORDER_INTENT_KIND_PROTECT:
                if place.qty:
                    self._protect(place, intent.risk, event)
                else:
                    reason = account_pb2.REJECT_REASON_NO_POSITION
                    self._reject(place, intent, reason, event.seq, event.time_ns)
                continue
            old = next((o for o in place.working if o.client_id == intent.client_id), None)
            if old is None:
                reason = account_pb2.REJECT_REASON_ORDER_NOT_WORKING
                self._reject(place, intent, reason, event.seq, event.time_ns)
            elif intent.kind == order_pb2.ORDER_INTENT_KIND_CANCEL:
                self._cancel(place, old, order_pb2.CANCEL_REASON_INTENT, event)
            else:
                self._replace(place, old, intent, waiting.time_ns, event)

    def _replace(
        self,
        place: Place,
        order: account_pb2.Order,
        intent: signal_pb2.OrderIntent,
        time_ns: int,
        event: Bar | Tick,
    ) -> None:
        if intent.qty <= order.filled:
            reason = account_pb2.REJECT_REASON_QTY_BELOW_MINIMUM
            self._reject(place, intent, reason, event.seq, event.time_ns)
            return
        place.working.remove(order)
        place.working.append(order)
        keeps = order.trail == intent.trail
        new = order_of(intent, time_ns)
        order.qty = self._on_grid(intent.qty - order.filled)
        order.tif = new.tif
        for name in ("price", "stop_price", "trail", "valid_until_ns"):
            order.ClearField(name)
            if new.HasField(name):
                setattr(order, name, getattr(new, name))
        if not keeps:
            self._begin_trail(order, event)

    def _refuse_post_only(
        self, place: Place, order: account_pb2.Order, intent: signal_pb2.OrderIntent, event: Bar | Tick
    ) -> None:
        up = 1 if order.side == _BUY else -1
        if order.post_only and (prices(event, order.side)[0] - order.price) * up <= 0:
            place.working.remove(order)
            self._reject(place, intent, account_pb2.REJECT_REASON_POST_ONLY, event.seq, event.time_ns)

    def _begin_trail(self, order: account_pb2.Order, event: Bar | Tick) -> None:
        if order.HasField("trail"):
            away = order.trail if order.side == _BUY else -order.trail
            self._levels[order.client_id] = prices(event, order.side)[0] + away

    def _protect(self, place: Place, risk: signal_pb2.Risk, event: Bar | Tick) -> None:
        """Give a position another bracket; an equal trail keeps its level."""
        if not risk.HasField("trail"):
            place.level = None
        elif place.level is None or risk.trail != place.risk.trail:
            out = prices(event, _SELL if place.qty > 0 else _BUY)[0]
            place.level = out - risk.trail if place.qty > 0 else out + risk.trail
        place.risk = risk

    def _meet(self, place: Place, event: Bar | Tick) -> None:
        for order in [o for o in place.working if o.type == order_pb2.ORDER_TYPE_MARKET]:
            if order in place.working:
                self._execute(place, order, prices(event, order.side)[0], event)
        self._bracket(place, event)
        for order in sorted(place.working, key=lambda o: o.type not in _STOPS or o.triggered):
            if order not in place.working:
                continue
            price = self._reached(order, event)
            if price is not None:
                self._execute(place, order, price, event)
            elif order.tif in _AT_ONCE:
                self._cancel(place, order, _AT_ONCE[order.tif], event)
        self._follow(place, event)

    def _reached(self, order: account_pb2.Order, event: Bar | Tick) -> float | None:
        """Return the price at which an order fills in an event, None for not at all. A stop-limit may be triggered."""
        first, high, low, _ = prices(event, order.side)
        buys = order.side == _BUY
        if order.type == order_pb2.ORDER_TYPE_LIMIT or order.triggered:
            best = first if order.tif in _AT_ONCE else low if buys else high
            if (best > order.price) if buys else (best < order.price):
                return None
            return min(first, order.price) if buys else max(first, order.price)
        level = self._levels[order.client_id] if order.HasField("trail") else order.stop_price
        if (high < level) if buys else (low > level):
            return None
        if order.type == order_pb2.ORDER_TYPE_STOP_LIMIT:
            order.triggered = True
            self.version += 1
            return None
        return max(first, level) if buys else min(first, level)

    def _execute(self, place: Place, order: account_pb2.Order, price: float, event: Bar | Tick) -> None:
        """Fill an order, or what of it reduces; it ends either way, and its group with it."""
        against = place.qty * (1 if order.side == _BUY else -1) < 0
        reducible = min(order.qty, abs(place.qty)) if against else 0.0
        part = reducible if order.reduce_only else order.qty
        if part < order.qty and order.tif == order_pb2.TIME_IN_FORCE_FOK:
            self._cancel(place, order, order_pb2.CANCEL_REASON_FOK, event)
            return
        if part:
            others = [o for o in place.orders() if order.oco and o.oco == order.oco and o.client_id != order.client_id]
            for other in others:
                self._cancel(place, other, order_pb2.CANCEL_REASON_OCO, event)
            self._fill(place, order.side, reducible, price, event, account_pb2.FILL_REASON_SIGNAL, order.client_id)
            enlarges = self._on_grid(part - reducible)
            self._fill(place, order.side, enlarges, price, event, account_pb2.FILL_REASON_ENTRY, order.client_id)
            if enlarges:
                risk = signal_pb2.Risk()
                risk.CopyFrom(order.risk)
                self._protect(place, risk, event)
        if part < order.qty:
            self._cancel(place, order, order_pb2.CANCEL_REASON_REDUCE_ONLY, event)
        else:
            place.working.remove(order)

    def _bracket(self, place: Place, event: Bar | Tick) -> None:
        if not place.qty:
            return
        long, risk = place.qty > 0, place.risk
        side = _SELL if long else _BUY
        first, high, low, _ = prices(event, side)
        stops = [level for level in (risk.sl if risk.HasField("sl") else None, place.level) if level is not None]
        stop = (max(stops) if long else min(stops)) if stops else None
        worst, best = (low, high) if long else (high, low)
        up = 1 if long else -1
        if stop is not None and (worst - stop) * up <= 0:
            price, reason = min(first * up, stop * up) * up, account_pb2.FILL_REASON_STOP_LOSS
        elif risk.HasField("tp") and (best - risk.tp) * up >= 0:
            price, reason = max(first * up, risk.tp * up) * up, account_pb2.FILL_REASON_TAKE_PROFIT
        else:
            return
        self._fill(place, side, abs(place.qty), price, event, reason, "")
        for order in [o for o in place.working if o.reduce_only]:
            self._cancel(place, order, order_pb2.CANCEL_REASON_REDUCE_ONLY, event)

    def _follow(self, place: Place, event: Bar | Tick) -> None:
        """Move the trailing levels by the close."""
        if place.level is not None:
            close = prices(event, _SELL if place.qty > 0 else _BUY)[3]
            trail = place.risk.trail
            place.level = max(place.level, close - trail) if place.qty > 0 else min(place.level, close + trail)
        for order in place.working:
            if order.HasField("trail"):
                close, level = prices(event, order.side)[3], self._levels[order.client_id]
                moved = min(level, close + order.trail) if order.side == _BUY else max(level, close - order.trail)
                self._levels[order.client_id] = moved

    def _fill(
        self,
        place: Place,
        side: signal_pb2.Side.ValueType,
        qty: float,
        price: float,
        event: Bar | Tick,
        reason: account_pb2.FillReason.ValueType,
        client_id: str,
    ) -> None:
        if not qty:
            return
        before, signed = place.qty, qty if side == _BUY else -qty
        after = self._on_grid(before + signed)
        if not before:
            self._positions += 1
            place.position_id, place.entry = self._positions, price
        elif before * signed > 0:
            place.entry = (place.entry * before + price * signed) / after
        else:
            self.cash += -signed * (price - place.entry)
        place.qty = after
        if not after:
            place.risk, place.level = signal_pb2.Risk(), None
        self._note(
            place, event.seq, event.time_ns, kind=account_pb2.ACCOUNT_UPDATE_KIND_FILL,
            side=side, qty=qty, price=price, fill_reason=reason, client_id=client_id,
        )  # fmt: skip

    def _cancel(
        self,
        place: Place,
        order: account_pb2.Order,
        reason: order_pb2.CancelReason.ValueType,
        event: Bar | Tick,
    ) -> None:
        self._end(place, order, event, kind=account_pb2.ACCOUNT_UPDATE_KIND_CANCELLATION, cancel_reason=reason)

    def _end(self, place: Place, order: account_pb2.Order, event: Bar | Tick, **facts: object) -> None:
        place.working = [o for o in place.working if o.client_id != order.client_id]
        for waiting in place.queue:
            if waiting.order is not None and waiting.order.client_id == order.client_id:
                waiting.order = None
        place.queue = [
            w for w in place.queue if w.order is not None or w.intent.kind != order_pb2.ORDER_INTENT_KIND_SUBMIT
        ]
        self._note(place, event.seq, event.time_ns, client_id=order.client_id, **facts)

    def _reject(
        self,
        place: Place,
        intent: signal_pb2.OrderIntent,
        reason: account_pb2.RejectReason.ValueType,
        seq: int,
        time_ns: int,
    ) -> None:
        kind = account_pb2.ACCOUNT_UPDATE_KIND_REJECTION
        name = intent.position or self._names.get(intent.client_id, "")
        facts = {"client_id": intent.client_id, "intent_kind": intent.kind, "reject_reason": reason, "position": name}
        self._note(place, seq, time_ns, kind=kind, **facts)

    def _note(self, place: Place, seq: int, time_ns: int, **facts: object) -> None:
        self.version += 1
        known = {"instrument": place.instrument, "position": place.name, "seq": seq, "time_ns": time_ns}
        self.updates.append(account_pb2.AccountUpdate(**{**known, **facts}))  # type: ignore[arg-type]

    def _on_grid(self, qty: float) -> float:
        numerator, denominator = self._lot_size
        return round(qty * denominator / numerator) * numerator / denominator
