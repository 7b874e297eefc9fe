"""Signals at the events that its plan names; with `reads` it also answers what happens to the account."""

from __future__ import annotations

from boxgate_sdk import Bar, BoolParameter, Signal, Strategy, StringListParameter, serve


class Planned(Strategy):
    name = "planned"
    version = "1.0.0"

    plan = StringListParameter((), doc="Entries such as '10 EURUSD BUY 1000' or '20 EURUSD FLAT', by event.")
    reads = BoolParameter(False, doc="Halve a position at a margin call, enter again after a liquidation.")

    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",) if self.reads else ()

    def on_init(self, ctx: object) -> None:
        self.planned: dict[int, list[list[str]]] = {}
        for entry in self.plan:
            seq, *rest = entry.split()
            self.planned.setdefault(int(seq), []).append(rest)
        self.seen: list[list[object]] = []

    def on_event(self, event: Bar) -> list[Signal]:
        if event.warmup:
            return []
        answered = self.reactions(event) if self.reads else []
        for symbol, side, *qty in self.planned.get(event.seq, []):
            answered.append(self.signal(symbol, side, float(qty[0]) if qty else 0.0))
        return answered

    def signal(self, symbol: str, side: str, qty: float) -> Signal:
        instrument = self.ctx.instruments[symbol]
        meta = {"leverage": instrument.leverage, "same": instrument.quote_is_account, "seen": self.seen}
        self.seen = []
        if side == "FLAT":
            return Signal.flat(instrument=symbol, meta=meta)
        return (Signal.buy if side == "BUY" else Signal.sell)(qty, instrument=symbol, meta=meta)

    def reactions(self, event: Bar) -> list[Signal]:
        """Return what follows from the news of a moment, at its first event."""
        if event.symbol != next(iter(self.ctx.instruments)):
            return []
        answered = []
        account = self.ctx.account
        for update in account.updates:
            self.seen.append([update.kind, update.symbol, update.time_ns, update.amount, update.fill_reason])
            position = account.positions.get(update.symbol)
            if update.kind == "MARGIN_CALL" and position is not None:
                answered.append(self.signal(update.symbol, position.side.name, position.qty / 2))
            elif update.kind == "LIQUIDATION":
                answered.append(self.signal(update.symbol, "SELL", update.qty / 4))
            elif update.kind == "FUNDING" and update.amount < 0 and position is not None and position.qty > 1:
                answered.append(self.signal(update.symbol, position.side.name, position.qty * 0.9))
        return answered


if __name__ == "__main__":
    serve(Planned)
