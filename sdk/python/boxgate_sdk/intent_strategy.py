"""For authors who work with orders of their own: several at once, of every type, changed and cancelled by name.

from boxgate_sdk import IntentStrategy, Side

class Breakout(IntentStrategy):
    def on_bar(self, bar):
        if not self.ctx.orders() and self.ctx.position() == 0.0:
            self.ctx.stop(Side.BUY, 10_000, bar.high, sl=bar.low, oco="range")
            self.ctx.stop(Side.SELL, 10_000, bar.low, sl=bar.high, oco="range")

It needs the capabilities ORDERS and FEEDBACK, and HEDGING where `hedging` is true. OrderStrategy is the layer over
targets for those who need one order an instrument. Source: docs/writing-a-strategy.md, sections 13 and 14.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from boxgate_sdk.account import Update
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.handlers import HandlerStrategy
from boxgate_sdk.intent_context import IntentContext
from boxgate_sdk.intents import Intent


class IntentStrategy(HandlerStrategy):
    """Derive from it and write on_bar, on_tick or both; order by self.ctx. Parameters and the rest as in Strategy."""

    ctx: IntentContext
    context_class = IntentContext

    hedging: ClassVar[bool] = False
    """True: several positions per instrument, by name; see `position` of the calls of ctx."""

    def on_order_update(self, update: Update) -> None:
        """Handle one thing that happened to an order or the account, before the event with which it became known.

        update.client_id names the order, and is empty for what is of none: a bracket that was met, a refused protect.
        What a call with wait=True tells comes behind the handler that made it.
        """

    def _needed(self) -> Sequence[str]:
        return ("ORDERS", "FEEDBACK", *(("HEDGING",) if self.hedging else ()))

    def on_event(self, event: Bar | Tick) -> list[Intent] | None:
        """Call on_order_update for what is new, then on_bar or on_tick, and answer what they ordered."""
        self._tell()
        self._handle(event)
        self._tell()
        return self.ctx.take_intents() or None

    def _tell(self) -> None:
        while (update := self.ctx.take_news()) is not None:
            self.on_order_update(update)
