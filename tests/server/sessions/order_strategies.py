"""One random trader twice: as orders through the order layer, and as targets written by hand.

Both draw the same calls from ctx.rng. ByHand knows nothing of the layer: it follows the table "order call → target" of
docs/writing-a-strategy.md with plain fractions, and keeps what it could not say.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from boxgate_sdk import OrderStrategy, Side, Signal, Strategy
from boxgate_sdk.errors import OrderConflict, OrderInvalid

Call = tuple[str, str | None, dict[str, Any]]
MINUTE_NS = 60_000_000_000


def draw(ctx: Any, event: Any, eagerness: float) -> list[Call]:
    """Return the calls of an event; None as symbol is that of the event."""
    rng = ctx.rng
    if rng.random() >= eagerness:
        return []
    calls: list[Call] = []
    for _ in range(rng.integers(1, 4)):
        symbol = rng.choice([*ctx.instruments]) if rng.random() < 0.2 else None
        instrument = ctx.instruments[symbol or event.symbol]
        close = getattr(event, "close", None) or event.bid
        tick, lot = instrument.tick_size, instrument.lot_size
        name = rng.choice(("buy", "buy", "buy", "sell", "sell", "sell", "close", "cancel", "protect", "close_all"))
        sign = -1 if name == "sell" else 1
        words: dict[str, Any] = {}
        if name in ("buy", "sell"):
            words["qty"] = lot * rng.integers(0, 6) + lot * rng.choice((0.0, 0.0, 0.3))
            if rng.random() < 0.3:
                words["sl"] = max(tick, close - sign * tick * rng.integers(1, 12))
            if rng.random() < 0.3:
                words["tp"] = max(tick, close + sign * tick * rng.integers(1, 12))
        if name in ("buy", "sell", "close"):
            if rng.random() < 0.3:
                words["price"] = max(tick, close - sign * tick * rng.integers(-1, 5))
            if rng.random() < 0.2:
                words["valid_until_ns"] = event.time_ns + MINUTE_NS * rng.integers(0, 8)
        if name == "protect":
            held = ctx.account.positions.get(symbol or event.symbol)
            side = -1 if held is not None and held.side == Side.SELL else 1
            if rng.random() < 0.7:
                words["sl"] = rng.choice((None, max(tick, close - side * tick * rng.integers(1, 8))))
            if rng.random() < 0.5:
                words["tp"] = rng.choice((None, max(tick, close + side * tick * rng.integers(1, 8))))
        calls.append((name, None if name == "close_all" and rng.random() < 0.5 else symbol, words))
    return calls


class ByOrders(OrderStrategy):
    """The trader through the order layer."""

    eagerness = 0.3

    def on_start(self) -> None:
        self.refused: list[tuple[int, str]] = []

    def on_bar(self, bar: Any) -> None:
        self.act(bar)

    def on_tick(self, tick: Any) -> None:
        self.act(tick)

    def act(self, event: Any) -> None:
        for name, symbol, words in draw(self.ctx, event, self.eagerness):
            try:
                getattr(self.ctx, name)(symbol=symbol, **words)
            except (OrderConflict, OrderInvalid):
                self.refused.append((event.seq, name))


class ByHand(Strategy):
    """The trader in targets. A wish is (net lots, price, sl, tp, until); net above 0 is long."""

    eagerness = 0.3

    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",)

    def supports(self) -> tuple[str, ...]:
        return ("TICKS",)

    def on_init(self, ctx: Any) -> None:
        self.refused: list[tuple[int, str]] = []
        self.moment: Any = None
        self.wishes: dict[str, tuple[Any, ...]] = {}

    def on_event(self, event: Any) -> list[Signal]:
        moment = event.time_ns if hasattr(event, "close") else ("tick", event.seq)
        if moment != self.moment:
            self.moment, self.wishes = moment, {}
        said: dict[str, None] = {}
        for name, symbol, words in draw(self.ctx, event, self.eagerness):
            names = [*self.ctx.instruments] if name == "close_all" and symbol is None else [symbol or event.symbol]
            for each in names:
                wish = getattr(self, "close" if name == "close_all" else name)(each, **words)
                if wish is None:
                    self.refused.append((event.seq, name))
                elif wish != "nothing":
                    self.wishes[each] = wish
                    said[each] = None
        return [self.signal(each, *self.wishes[each]) for each in said]

    def holding(self, symbol: str) -> tuple[Any, ...]:
        held = self.ctx.account.positions.get(symbol)
        if held is None:
            return (0, None, None, None, None)
        return (self.lots(symbol, held.qty) * (1 if held.side is Side.BUY else -1), None, held.sl, held.tp, None)

    def wish(self, symbol: str) -> tuple[Any, ...]:
        if symbol in self.wishes:
            return self.wishes[symbol]
        standing = self.ctx.account.targets[symbol]
        net = self.lots(symbol, standing.qty_requested) * {1: 1, 2: -1, 3: 0}[standing.side]
        if net == self.holding(symbol)[0]:
            return self.holding(symbol)
        return (net, standing.price, standing.sl, standing.tp, standing.valid_until_ns)

    def is_met(self, symbol: str) -> bool:
        return bool(self.wish(symbol)[0] == self.holding(symbol)[0])

    def buy(self, symbol: str, qty: float, **words: Any) -> Any:
        return self.trade(1, symbol, qty, **words)

    def sell(self, symbol: str, qty: float, **words: Any) -> Any:
        return self.trade(-1, symbol, qty, **words)

    def trade(
        self,
        sign: int,
        symbol: str,
        qty: float,
        price: float | None = None,
        sl: float | None = None,
        tp: float | None = None,
        valid_until_ns: int | None = None,
    ) -> Any:
        delta = sign * self.lots(symbol, qty)
        if delta == 0:
            return "nothing"
        net, old_price, old_sl, old_tp, until = self.wish(symbol)
        # One working order an instrument: only market orders of one expiry add up.
        if not self.is_met(symbol) and (price is not None or old_price is not None or until != valid_until_ns):
            return None
        total = net + delta
        if total == 0 or (total > 0) != (sign > 0):  # it only reduces
            if sl is not None or tp is not None:
                return None
            sl, tp = (None, None) if total == 0 else (old_sl, old_tp)
        elif net * sign > 0:  # it adds
            sl, tp = (old_sl if sl is None else sl), (old_tp if tp is None else tp)
        return self.sound(symbol, (total, price, sl, tp, valid_until_ns))

    def close(self, symbol: str, price: float | None = None, valid_until_ns: int | None = None) -> Any:
        if price is not None and not self.is_met(symbol):
            return None
        if self.wish(symbol)[0] == 0 == self.holding(symbol)[0]:
            return "nothing"
        return (0, price, None, None, valid_until_ns)

    def cancel(self, symbol: str) -> Any:
        return "nothing" if self.is_met(symbol) else self.holding(symbol)

    def protect(self, symbol: str, **levels: Any) -> Any:
        net, price, sl, tp, until = self.wish(symbol)
        return self.sound(symbol, (net, price, levels.get("sl", sl), levels.get("tp", tp), until)) if net else None

    def sound(self, symbol: str, wish: tuple[Any, ...]) -> Any:
        """Return the wish, None where stop loss, limit and take profit do not follow each other."""
        net, price, sl, tp, _ = wish
        rounded = self.ctx.instruments[symbol].round_price
        levels = [rounded(level) for level in (sl, price, tp) if level is not None]
        ordered = levels == sorted(set(levels), reverse=net < 0)
        return wish if ordered or net == 0 else None

    def lots(self, symbol: str, qty: float) -> int:
        """Return the lots whose quantity, as a double, is the greatest that is not above qty."""
        num, den = self.ctx.instruments[symbol].lot_ratio
        n = int(Fraction(qty) / Fraction(num, den)) + 1
        while float(Fraction(n * num, den)) > qty:
            n -= 1
        return n

    def signal(self, symbol: str, net: int, price: Any, sl: Any, tp: Any, until: Any) -> Signal:
        if net == 0:
            return Signal.flat(price=price, valid_until_ns=until, instrument=symbol)
        num, den = self.ctx.instruments[symbol].lot_ratio
        make = Signal.buy if net > 0 else Signal.sell
        qty = float(Fraction(abs(net) * num, den))
        return make(qty, price=price, sl=sl, tp=tp, valid_until_ns=until, instrument=symbol)
