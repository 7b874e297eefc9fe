"""Random targets: no idea at all, every kind of signal.

At some events it draws a side, a size, perhaps a limit price, a bracket and an expiry. All draws come from ctx.rng,
which depends on the seed and the number of the event alone, so a run is repeated exactly. What it earns is the price
of trading: a yardstick for strategies that claim more, and a test bed for execution.
"""

from boxgate_sdk import Bar, FloatParameter, Signal, Strategy, Tick, serve


class RandomTargets(Strategy):
    name = "random_targets"
    version = "1.0.0"
    description = "Targets drawn from the seeded generator: a yardstick and a test bed."

    rate = FloatParameter(0.02, min=0.0, max=1.0, doc="Chance of a signal at each event.")
    notional = FloatParameter(10_000.0, min=0.0, doc="Largest size, quote currency; sizes are a tenth of it to all.")
    distance = FloatParameter(
        0.001, min=0.00001, max=0.5, doc="Largest distance of limits and brackets, fraction of the price."
    )
    limits = FloatParameter(0.3, min=0.0, max=1.0, doc="Chance that a target has a limit price.")
    brackets = FloatParameter(0.5, min=0.0, max=1.0, doc="Chance that a target has a stop loss and a take profit.")
    expiries = FloatParameter(0.2, min=0.0, max=1.0, doc="Chance that a target expires.")
    expiry_minutes = FloatParameter(60.0, min=1.0, doc="Longest life of a target that expires, minutes.")

    def supports(self) -> tuple[str, ...]:
        return ("RESET", "TICKS")

    def on_event(self, event: Bar | Tick) -> Signal | None:
        rng = self.ctx.rng
        if rng.random() >= self.rate:
            return None
        side = rng.choice(("BUY", "SELL", "FLAT"))
        if side == "FLAT":
            return Signal.flat()
        up = 1.0 if side == "BUY" else -1.0
        price = event.bid if isinstance(event, Tick) else event.close
        qty = self.notional / price * rng.uniform(0.1, 1.0)
        limit = price * (1.0 - up * rng.uniform(0.0, self.distance)) if rng.random() < self.limits else None
        stop_loss = take_profit = valid_until_ns = None
        if rng.random() < self.brackets:
            # A tenth of the distance keeps both on their side of the price after rounding.
            base = price if limit is None else limit
            stop_loss = base * (1.0 - up * self.distance * rng.uniform(0.1, 1.0))
            take_profit = base * (1.0 + up * self.distance * rng.uniform(0.1, 1.0))
        if rng.random() < self.expiries:
            valid_until_ns = event.time_ns + int(rng.uniform(1.0, self.expiry_minutes) * 60e9)
        target = Signal.buy if side == "BUY" else Signal.sell
        return target(qty, price=limit, sl=stop_loss, tp=take_profit, valid_until_ns=valid_until_ns)


if __name__ == "__main__":
    serve(RandomTargets)
