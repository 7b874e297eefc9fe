"""For authors who think in orders: buy, sell, close, cancel and protect, each turned into a target.

from boxgate_sdk.orders import OrderStrategy

class Breakout(OrderStrategy):
    def on_bar(self, bar):
        if self.ctx.position() == 0 and bar.close > self.level:
            self.ctx.buy(10_000, sl=bar.close - 0.0050)

The calls of one moment on one instrument add up to one target, which goes out as an ordinary signal; the gateway knows
nothing of orders. What no target can say raises OrderConflict. Source: docs/writing-a-strategy.md, section 11.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import Any, Final

from boxgate_sdk.account import Order
from boxgate_sdk.context import Context, Instrument
from boxgate_sdk.errors import InstrumentUnknown, OrderConflict, OrderInvalid, OutsideEvent
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.handlers import HandlerStrategy
from boxgate_sdk.signals import Side, Signal


class Keep(Enum):
    """What protect() takes for a level that stays as it is."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What an instrument is to become.

    lots: signed, steps of the lot grid. working: it is not reached yet.
    """

    lots: int
    sl: float | None = None
    tp: float | None = None
    price: float | None = None
    valid_until_ns: int | None = None
    working: bool = False


class OrderContext(Context):
    """The context of an OrderStrategy: everything of Context, and orders. It needs FEEDBACK.

    qty: base units, put on the lot grid toward zero. price: None for market, else a limit. symbol: None for that of
    the event. Nothing is ordered in the warm-up.
    """

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        self._cash_opening: float = facts["opening_account"].cash
        self._handled: Bar | Tick | None = None
        self._plans: dict[str, _Plan] = {}
        self._touched: dict[str, None] = {}

    def buy(
        self,
        qty: float,
        symbol: str | None = None,
        *,
        price: float | None = None,
        sl: float | None = None,
        tp: float | None = None,
        valid_until_ns: int | None = None,
    ) -> float:
        """Order qty more: open or add to a long, reduce, close or reverse a short.

        sl, tp: of the long that results; left out, those of a long that is there stay. Returns the quantity ordered,
        0.0 where it is below the smallest lot, and then nothing was ordered. Raises OrderConflict, OrderInvalid.
        """
        return self._order(1, qty, symbol, price, sl, tp, valid_until_ns)

    def sell(
        self,
        qty: float,
        symbol: str | None = None,
        *,
        price: float | None = None,
        sl: float | None = None,
        tp: float | None = None,
        valid_until_ns: int | None = None,
    ) -> float:
        """Order qty less: open or add to a short, reduce, close or reverse a long. Else as buy."""
        return self._order(-1, qty, symbol, price, sl, tp, valid_until_ns)

    def close(
        self, symbol: str | None = None, *, price: float | None = None, valid_until_ns: int | None = None
    ) -> None:
        """Close the position, whatever it is by then, and cancel what works. price: a limit; the bracket stays."""
        instrument = self._instrument(symbol)
        if self._takes_orders():
            plan, held = self._plan(instrument), self._held(instrument)
            if price is not None and plan.working:
                raise _two_orders(instrument.symbol)
            if plan.lots or plan.working or held.lots:
                closed = _Plan(lots=0, price=price, valid_until_ns=valid_until_ns, working=held.lots != 0)
                self._set(instrument, closed)

    def close_all(self, symbol: str | None = None) -> None:
        """Close every position at market and cancel everything that works, or only those of one instrument."""
        for name in self.instruments if symbol is None else (symbol,):
            self.close(name)

    def cancel(self, symbol: str | None = None) -> None:
        """Cancel what works; position and bracket stay. An order that follows at the same event replaces it."""
        instrument = self._instrument(symbol)
        if self._takes_orders() and self._plan(instrument).working:
            self._set(instrument, self._held(instrument))

    def protect(
        self, symbol: str | None = None, *, sl: float | Keep | None = KEEP, tp: float | Keep | None = KEEP
    ) -> None:
        """Move the bracket of what is held or ordered. A level left out stays, None takes it away.

        Raises OrderInvalid where nothing is held or ordered, OrderConflict where a limit exit works.
        """
        instrument = self._instrument(symbol)
        if not self._takes_orders():
            return
        plan = self._plan(instrument)
        if not plan.lots and plan.price is not None:
            raise OrderConflict(
                f"a limit exit works in {instrument.symbol}, and its target has no bracket to move",
                where=instrument.symbol,
                expected="either a limit exit or a take profit",
                remedy="give the exit as tp of the position, or call ctx.cancel first",
            )
        if not plan.lots:
            raise OrderInvalid(
                f"there is nothing in {instrument.symbol} to protect",
                where="ctx.protect",
                expected="a position, or an order that opens one",
                remedy="look at ctx.position() first",
            )
        moved = replace(plan, sl=plan.sl if isinstance(sl, Keep) else sl, tp=plan.tp if isinstance(tp, Keep) else tp)
        _check_bracket(instrument, moved)
        self._set(instrument, moved)

    def position(self, symbol: str | None = None) -> float:
        """Return what is held, base units: above 0 long, below 0 short, 0.0 nothing. Calls of this event have not
        happened yet. ctx.account.positions tells entry price and bracket.
        """
        instrument = self._instrument(symbol)
        held = self.account.positions.get(instrument.symbol)
        return 0.0 if held is None else held.qty if held.side == Side.BUY else -held.qty

    @property
    def orders(self) -> Sequence[Order]:
        """What still works, of all instruments, oldest first."""
        return self.account.orders

    @property
    def pnl(self) -> float:
        """Profit since the start, open positions included, account currency."""
        return self.equity - self._cash_opening

    def take_signals(self) -> list[Signal] | None:
        """Return the targets that were asked for at the event, None for none. The OrderStrategy calls it."""
        if not self._touched:
            return None
        signals = [self._signal(self.instruments[symbol], self._plans[symbol]) for symbol in self._touched]
        self._touched = {}
        return signals

    def begin_event(self, event: Bar | Tick) -> None:
        """Begin an event; plans last for a moment: bars of one instant, or one tick. The OrderStrategy calls it."""
        before, self._handled = self._handled, event
        if self._plans and (
            isinstance(event, Tick) or before is None or isinstance(before, Tick) or before.time_ns != event.time_ns
        ):
            self._plans = {}

    def _order(
        self,
        sign: int,
        qty: float,
        symbol: str | None,
        price: float | None,
        sl: float | None,
        tp: float | None,
        valid_until_ns: int | None,
    ) -> float:
        call = "buy" if sign > 0 else "sell"
        instrument = self._instrument(symbol)
        if not (math.isfinite(qty) and qty >= 0):
            raise OrderInvalid(
                f"ctx.{call} was given the quantity {qty!r}",
                where=f"ctx.{call}",
                expected="a finite number, at least 0",
                remedy="ctx.buy and ctx.sell tell the direction, the quantity has no sign",
            )
        lots = _lots(instrument, qty)
        if not self._takes_orders():
            return 0.0
        if not lots:
            if qty > 0:
                self.log(f"{call} {qty:g} {instrument.symbol} is below the smallest lot, nothing is ordered")
            return 0.0
        base = self._plan(instrument)
        if base.working and (price is not None or base.price is not None or base.valid_until_ns != valid_until_ns):
            raise _two_orders(instrument.symbol)
        total = base.lots + sign * lots
        if total * sign > 0:
            if base.lots * sign > 0:
                sl = base.sl if sl is None else sl
                tp = base.tp if tp is None else tp
        elif sl is not None or tp is not None:
            raise OrderInvalid(
                f"ctx.{call} only reduces the position in {instrument.symbol}, and was given sl or tp",
                where=f"ctx.{call}",
                expected="a bracket with an order that opens, adds or reverses",
                remedy="leave sl and tp out; ctx.protect moves those of the position",
            )
        elif total:
            sl, tp = base.sl, base.tp
        working = total != self._held(instrument).lots
        plan = _Plan(lots=total, sl=sl, tp=tp, price=price, valid_until_ns=valid_until_ns, working=working)
        _check_bracket(instrument, plan)
        self._set(instrument, plan)
        return _qty(instrument, lots)

    def _plan(self, instrument: Instrument) -> _Plan:
        """Return what the instrument is to become so far: by the calls of this moment, else by its standing target."""
        plan = self._plans.get(instrument.symbol)
        if plan is not None:
            return plan
        held = self._held(instrument)
        target = self.account.targets[instrument.symbol]
        sign = {Side.BUY: 1, Side.SELL: -1, Side.FLAT: 0}[target.side]
        lots = sign * _lots(instrument, target.qty_requested)
        if lots == held.lots:
            return held
        return _Plan(
            lots=lots,
            sl=target.sl,
            tp=target.tp,
            price=target.price,
            valid_until_ns=target.valid_until_ns,
            working=True,
        )

    def _held(self, instrument: Instrument) -> _Plan:
        position = self.account.positions.get(instrument.symbol)
        if position is None:
            return _Plan(lots=0)
        lots = _lots(instrument, position.qty)
        return _Plan(lots=lots if position.side == Side.BUY else -lots, sl=position.sl, tp=position.tp)

    def _set(self, instrument: Instrument, plan: _Plan) -> None:
        self._plans[instrument.symbol] = plan
        self._touched[instrument.symbol] = None

    def _signal(self, instrument: Instrument, plan: _Plan) -> Signal:
        if not plan.lots:
            return Signal.flat(plan.price, plan.valid_until_ns, instrument.symbol)
        make = Signal.buy if plan.lots > 0 else Signal.sell
        return make(
            _qty(instrument, abs(plan.lots)),
            price=plan.price,
            sl=plan.sl,
            tp=plan.tp,
            valid_until_ns=plan.valid_until_ns,
            instrument=instrument.symbol,
        )

    def _instrument(self, symbol: str | None) -> Instrument:
        if self._handled is None:
            raise OutsideEvent("an order", "call it in on_bar or on_tick")
        name = self._handled.symbol if symbol is None else symbol
        if name not in self.instruments:
            raise InstrumentUnknown(name, self.instruments)
        return self.instruments[name]

    def _takes_orders(self) -> bool:
        return self._handled is not None and not self._handled.warmup


class OrderStrategy(HandlerStrategy):
    """Derive from it and write on_bar, on_tick or both; order by self.ctx. Parameters and the rest as in Strategy."""

    ctx: OrderContext
    context_class = OrderContext
    _ordering = "self.ctx.buy and self.ctx.sell"

    def on_event(self, event: Bar | Tick) -> list[Signal] | None:
        """Call on_bar or on_tick and answer what they ordered."""
        self.ctx.begin_event(event)
        self._handle(event)
        return self.ctx.take_signals()


def _lots(instrument: Instrument, qty: float) -> int:
    """Return steps of the lot grid, toward zero: whole numbers add without error, quantities do not."""
    numerator, denominator = instrument.lot_ratio
    return round(instrument.round_qty(qty) * denominator / numerator)


def _qty(instrument: Instrument, lots: int) -> float:
    numerator, denominator = instrument.lot_ratio
    return lots * numerator / denominator


def _two_orders(symbol: str) -> OrderConflict:
    return OrderConflict(
        f"another order works in {symbol} already",
        where=symbol,
        expected="one working order an instrument: a target has one price",
        remedy=f"replace it: ctx.cancel({symbol!r}) before the new order; or wait until ctx.orders is empty",
    )


def _check_bracket(instrument: Instrument, plan: _Plan) -> None:
    """Raise OrderConflict where stop loss, limit and take profit, new or kept, are not in this order on the grid."""
    levels = {"stop loss": plan.sl, "limit": plan.price, "take profit": plan.tp}
    given = [(name, instrument.round_price(level)) for name, level in levels.items() if level is not None]
    sign = 1 if plan.lots > 0 else -1
    for (name, level), (next_name, next_level) in pairwise(given):
        if plan.lots and (next_level - level) * sign <= 0:
            raise OrderConflict(
                f"the {next_name} {next_level:g} is not {'above' if sign > 0 else 'below'} the {name} {level:g}",
                where=instrument.symbol,
                expected=f"levels in the order of a {'long' if sign > 0 else 'short'}; what was left out stays",
                remedy="give both sl and tp, or move them by ctx.protect first",
            )
