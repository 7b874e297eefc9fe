"""A strategy that looks at everything FEEDBACK shows, at every event, and lets it decide."""

from __future__ import annotations

from typing import Any

from boxgate_sdk import Signal, Strategy


class RandomFeedback(Strategy):
    """Draws its signals from ctx.rng and from the account; keeps what it saw.

    eagerness: probability of a signal at an event, a class attribute that a test sets on a subclass.
    """

    name = "random_feedback"
    version = "1"
    eagerness = 0.3

    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",)

    def supports(self) -> tuple[str, ...]:
        return ("TICKS",)

    def on_init(self, ctx: Any) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def on_event(self, event: Any) -> list[Signal] | None:
        ctx = self.ctx
        account = ctx.account
        symbol = event.symbol
        position = account.positions.get(symbol)
        self.seen.append(
            (
                event.seq,
                account.version,
                account.cash,
                ctx.equity,
                ctx.free_margin,
                tuple(sorted((name, ctx.unrealised(name), repr(p)) for name, p in account.positions.items())),
                tuple(map(repr, account.orders)),
                tuple(map(repr, account.targets.values())),
                tuple(map(repr, account.updates)),
            )
        )
        if ctx.rng.random() >= self.eagerness:
            return None
        return [self._signal(event, symbol, position) for _ in range(ctx.rng.integers(1, 3))]

    def _signal(self, event: Any, symbol: str, position: Any) -> Signal:
        rng = self.ctx.rng
        close = getattr(event, "close", None) or event.bid
        if rng.random() < 0.2:
            symbol = rng.choice(list(self.ctx.instruments))
            position = self.ctx.account.positions.get(symbol)
        instrument = self.ctx.instruments[symbol]
        tick = instrument.tick_size
        kind = rng.random()
        if kind < 0.2:
            return Signal.flat(price=close + tick if rng.random() < 0.3 else None, instrument=symbol)
        # What the account shows moves the size and the distance, so a wrong view makes another run.
        size = instrument.lot_size * rng.integers(1, 6)
        if position is not None and self.ctx.unrealised(symbol) > 0:
            size += instrument.lot_size
        if int(self.ctx.equity) % 2:
            size += instrument.lot_size * 0.4
        buys = rng.random() < 0.5
        sign = 1 if buys else -1
        price = close - sign * tick * rng.integers(0, 4) if rng.random() < 0.4 else None
        reference = price or close
        near, far = tick * rng.integers(1, 6), tick * rng.integers(1, 8)
        sl = reference - sign * near if rng.random() < 0.5 else None
        tp = reference + sign * far if rng.random() < 0.5 else None
        if (sl is not None and sl <= tick) or (tp is not None and tp <= tick) or (price is not None and price <= tick):
            return Signal.flat(instrument=symbol)
        until = event.time_ns + 60_000_000_000 * rng.integers(0, 8) if rng.random() < 0.25 else None
        make = Signal.buy if buys else Signal.sell
        return make(
            size, price=price, sl=sl, tp=tp, valid_until_ns=until, adjust_only=rng.random() < 0.2, instrument=symbol
        )


def strategy_with(eagerness: float) -> type[RandomFeedback]:
    """Return the strategy with another eagerness."""
    return type("RandomFeedbackVariant", (RandomFeedback,), {"eagerness": eagerness})
