"""Orders that are waited for: on ticks it knows the fill of a market order within the tick that it handles."""

from __future__ import annotations

from boxgate_sdk import Bar, IntentStrategy, IntParameter, OrderState, Side, Tick, serve


class WaitsForOrders(IntentStrategy):
    name = "waits_for_orders"
    version = "1.0.0"

    every = IntParameter(40, min=2, max=10_000, doc="Events between two entries.")

    def on_start(self) -> None:
        self.told: list[dict[str, object]] = []

    def on_tick(self, tick: Tick) -> None:
        if not tick.warmup and tick.seq % self.every == 0:
            self.turn()
            order = self.ctx.market(Side.BUY, 1000, wait=True)
            self.note(order, tick.ask)
            self.ctx.protect(sl=tick.bid * 0.999, wait=True)
            limit = self.ctx.limit(Side.SELL, 500, tick.ask * 1.0001, reduce_only=True, wait=True)
            self.note(limit, None)

    def on_bar(self, bar: Bar) -> None:
        if not bar.warmup and bar.seq % self.every == 0:
            self.turn()
            self.note(self.ctx.market(Side.BUY, 1000, wait=True), None)
            self.note(self.ctx.stop(Side.BUY, 1000, bar.close * 1.5, wait=True), None)

    def turn(self) -> None:
        """Leave what is held, and every order, before the next entry."""
        self.ctx.cancel_all()
        self.ctx.close()

    def note(self, order: OrderState, price: float | None) -> None:
        self.told.append(
            {
                "order": order.client_id,
                "status": order.status,
                "reason": order.reason,
                "price": order.average_price,
                "expected": price,
                "held": self.ctx.position(),
            }
        )

    def on_stop(self) -> dict[str, object]:
        return {"told": self.told}


if __name__ == "__main__":
    serve(WaitsForOrders)
