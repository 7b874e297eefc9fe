"""A small account that answers signals in tests of strategies with FEEDBACK.

Netting, no costs, no margin. Market targets are met at the next open (or tick), limits and brackets where a bar
touches them, the stop before the target. A trailing stop is shown and never met. It is not the engine and does not
foretell its fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import NamedTuple

from boxgate_proto.strategy.v1 import account_pb2, signal_pb2
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.signals import Side


class Mark(NamedTuple):
    """What an open position is worth, and where its trailing stop stands. position: its name, "" for none."""

    instrument: int
    position: str
    unrealised: float
    level: float | None


@dataclass(slots=True)
class _Target:
    side: int = Side.FLAT
    qty: float = 0.0
    price: float | None = None
    sl: float | None = None
    tp: float | None = None
    valid_until_ns: int | None = None
    trail: float | None = None

    @property
    def signed(self) -> float:
        return self.qty if self.side == Side.BUY else -self.qty if self.side == Side.SELL else 0.0


@dataclass(slots=True)
class _Holding:
    """One instrument: signed position, its bracket, its target and the last mark."""

    target: _Target = field(default_factory=_Target)
    qty: float = 0.0
    entry: float = 0.0
    sl: float | None = None
    tp: float | None = None
    trail: float | None = None
    position_id: int = 0
    mark: float = 0.0

    @property
    def unrealised(self) -> float:
        return self.qty * (self.mark - self.entry)

    @property
    def rest(self) -> float:
        """What still works, signed."""
        return self.target.signed - self.qty


class PaperAccount:
    """State of the account. settle() takes a moment, accept() the signals answered in one."""

    def __init__(self, instruments: int, cash: float = 100_000.0) -> None:
        self.cash = cash
        self.version = 1
        self.holdings = [_Holding() for _ in range(instruments)]
        self.updates: list[account_pb2.AccountUpdate] = []
        self._positions = 0

    def copy(self) -> PaperAccount:
        """Return an independent copy."""
        twin = copy(self)
        twin.holdings = [copy(holding) for holding in self.holdings]
        for holding in twin.holdings:
            holding.target = copy(holding.target)
        twin.updates = list(self.updates)
        return twin

    def settle(self, moment: Sequence[tuple[int, Bar | Tick]]) -> bool:
        """Meet the events of a moment, (index of the instrument, event). Returns True if the account changed."""
        before = self.version
        for index, event in moment:
            holding = self.holdings[index]
            self._expire(index, holding, event)
            self._trade(index, holding, event)
            self._bracket(index, holding, event)
            holding.mark = event.bid if isinstance(event, Tick) else event.close
        return self.version != before

    def accept(self, signals: Sequence[signal_pb2.Signal]) -> None:
        """Take the last signal of each instrument in a moment as its target, values on the grid already."""
        for signal in {s.instrument: s for s in signals}.values():
            holding = self.holdings[signal.instrument]
            side_of_position = Side.BUY if holding.qty > 0 else Side.SELL if holding.qty < 0 else Side.FLAT
            if signal.adjust_only and (side_of_position == Side.FLAT or side_of_position != int(signal.side)):
                continue
            side = int(signal.side)
            new = _Target(
                side=side,
                qty=signal.qty,
                price=signal.price if signal.HasField("price") else None,
                sl=signal.risk.sl if signal.risk.HasField("sl") else None,
                tp=signal.risk.tp if signal.risk.HasField("tp") else None,
                valid_until_ns=signal.valid_until_ns if signal.HasField("valid_until_ns") else None,
                trail=signal.risk.trail if signal.risk.HasField("trail") else None,
            )
            if new != holding.target:
                holding.target = new
                if side_of_position == new.side:
                    holding.sl, holding.tp, holding.trail = new.sl, new.tp, new.trail
                self.version += 1

    def message(self, updates: bool) -> account_pb2.Account:
        """Return the account as the gateway would send it, and forget the updates if they are sent."""
        message = account_pb2.Account(version=self.version, cash=self.cash)
        for i, h in enumerate(self.holdings):
            t = h.target
            if h.qty:
                side = signal_pb2.SIDE_BUY if h.qty > 0 else signal_pb2.SIDE_SELL
                message.positions.add(
                    position_id=h.position_id,
                    instrument=i,
                    side=side,
                    qty=abs(h.qty),
                    entry_price=h.entry,
                    sl=h.sl,
                    tp=h.tp,
                    trail=h.trail,
                )
            if h.rest:
                side = signal_pb2.SIDE_BUY if h.rest > 0 else signal_pb2.SIDE_SELL
                message.orders.add(
                    client_id=f"{i}-{self.version}",
                    instrument=i,
                    side=side,
                    qty=abs(h.rest),
                    price=t.price,
                    valid_until_ns=t.valid_until_ns,
                )
            granted = max(0.0, min(abs(h.qty), t.qty)) if h.qty * t.signed > 0 else 0.0
            message.targets.add(
                instrument=i,
                side=signal_pb2.Side.ValueType(t.side),
                qty_requested=t.qty,
                qty_granted=granted,
                price=t.price,
                sl=t.sl,
                tp=t.tp,
                valid_until_ns=t.valid_until_ns,
                trail=t.trail,
            )
        if updates:
            message.updates.extend(self.updates)
            self.updates = []
        return message

    def marks(self) -> list[Mark]:
        """Return what each open position is worth now."""
        return [Mark(i, "", h.unrealised, None) for i, h in enumerate(self.holdings) if h.qty]

    def levels(self) -> dict[str, float]:
        """Return nothing: targets have no trailing stop orders."""
        return {}

    def _expire(self, index: int, holding: _Holding, event: Bar | Tick) -> None:
        until = holding.target.valid_until_ns
        begins_ns = event.time_ns if isinstance(event, Tick) else event.open_ns
        if until is not None and holding.rest and begins_ns >= until:
            self._keep(holding)
            self._note(index, event, kind=account_pb2.ACCOUNT_UPDATE_KIND_EXPIRY)

    def _trade(self, index: int, holding: _Holding, event: Bar | Tick) -> None:
        rest = holding.rest
        if not rest:
            return
        if isinstance(event, Tick):
            offered = best = event.ask if rest > 0 else event.bid
        else:
            offered, best = event.open, event.low if rest > 0 else event.high
        limit = holding.target.price
        if limit is None:
            price = offered
        elif (best > limit) if rest > 0 else (best < limit):
            return
        else:
            price = min(offered, limit) if rest > 0 else max(offered, limit)
        self._fill(index, holding, rest, price, event, account_pb2.FILL_REASON_ENTRY)
        if holding.qty and holding.target.side != Side.FLAT:
            holding.sl, holding.tp, holding.trail = holding.target.sl, holding.target.tp, holding.target.trail

    def _bracket(self, index: int, holding: _Holding, event: Bar | Tick) -> None:
        if not holding.qty:
            return
        long = holding.qty > 0
        low, high = (event.bid, event.ask) if isinstance(event, Tick) else (event.low, event.high)
        worst, best = (low, high) if long else (high, low)
        up = 1 if long else -1
        if holding.sl is not None and (worst - holding.sl) * up <= 0:
            price, reason = holding.sl, account_pb2.FILL_REASON_STOP_LOSS
        elif holding.tp is not None and (best - holding.tp) * up >= 0:
            price, reason = holding.tp, account_pb2.FILL_REASON_TAKE_PROFIT
        else:
            return
        survives = holding.target.signed * holding.qty < 0
        self._fill(index, holding, -holding.qty, price, event, reason)
        if not survives:
            holding.target = _Target()

    def _fill(
        self,
        index: int,
        holding: _Holding,
        qty: float,
        price: float,
        event: Bar | Tick,
        reason: account_pb2.FillReason.ValueType,
    ) -> None:
        before = holding.qty
        after = before + qty
        closed = 0.0 if before * qty >= 0 else min(abs(before), abs(qty)) * (1 if before > 0 else -1)
        self.cash += closed * (price - holding.entry)
        if before * after <= 0:
            holding.entry, holding.sl, holding.tp, holding.trail = price, None, None, None
            self._positions += 1
            holding.position_id = self._positions
        elif abs(after) > abs(before):
            holding.entry = (holding.entry * before + price * qty) / after
        holding.qty = after
        side = signal_pb2.SIDE_BUY if qty > 0 else signal_pb2.SIDE_SELL
        kind = account_pb2.ACCOUNT_UPDATE_KIND_FILL
        self._note(index, event, kind=kind, side=side, qty=abs(qty), price=price, fill_reason=reason)

    def _keep(self, holding: _Holding) -> None:
        """Make the position that is there the target."""
        side = Side.BUY if holding.qty > 0 else Side.SELL if holding.qty < 0 else Side.FLAT
        holding.target = _Target(side=side, qty=abs(holding.qty), sl=holding.sl, tp=holding.tp, trail=holding.trail)

    def _note(self, index: int, event: Bar | Tick, **facts: object) -> None:
        self.version += 1
        update = account_pb2.AccountUpdate(instrument=index, seq=event.seq, time_ns=event.time_ns, **facts)  # type: ignore[arg-type]
        self.updates.append(update)
