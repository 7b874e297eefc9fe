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

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from boxgate_sdk.account import Update
from boxgate_sdk.context import Context
from boxgate_sdk.errors import StrategyMistake
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.intent_context import IntentContext
from boxgate_sdk.intents import Intent
from boxgate_sdk.strategy import Description, Strategy


class IntentStrategy(Strategy):
    """Derive from it and write on_bar, on_tick or both; order by self.ctx. Parameters and the rest as in Strategy."""

    ctx: IntentContext
    context_class = IntentContext

    hedging: ClassVar[bool] = False
    """True: several positions per instrument, by name; see `position` of the calls of ctx."""

    def on_start(self) -> None:
        """Prepare a session. self.ctx is there; self.ctx.require_history(n) asks for more warm-up."""

    def on_bar(self, bar: Bar) -> None:
        """Handle a closed bar."""

    def on_tick(self, tick: Tick) -> None:
        """Handle a tick. Ticks come only where it is overridden."""

    def on_order_update(self, update: Update) -> None:
        """Handle one thing that happened to an order or the account, before the event with which it became known.

        update.client_id names the order, and is empty for what is of none: a bracket that was met, a refused protect.
        What a call with wait=True tells comes behind the handler that made it.
        """

    def supports(self) -> Sequence[str]:
        """Return RESET, and TICKS where on_tick is written."""
        return ("RESET", "TICKS") if type(self).on_tick is not IntentStrategy.on_tick else ("RESET",)

    def describe(self) -> Description:
        """Return what the strategy is and needs: ORDERS and FEEDBACK in any case, HEDGING with `hedging`."""
        if type(self).on_bar is IntentStrategy.on_bar and type(self).on_tick is IntentStrategy.on_tick:
            raise StrategyMistake(
                "the strategy handles nothing",
                where=type(self).__name__,
                expected="on_bar or on_tick",
                remedy="write one of them",
            )
        description = super().describe()
        needed = ("ORDERS", "FEEDBACK", *(("HEDGING",) if self.hedging else ()))
        missing = [name for name in needed if name not in description.requires]
        return replace(description, requires=(*description.requires, *missing))

    def on_init(self, ctx: Context) -> None:
        """Call on_start."""
        self.on_start()

    def on_event(self, event: Bar | Tick) -> list[Intent]:
        """Call on_order_update for what is new, then on_bar or on_tick, and answer what they ordered."""
        self._tell()
        handler: Callable[[Any], object] = self.on_tick if isinstance(event, Tick) else self.on_bar
        answer = handler(event)
        if answer is not None:
            raise StrategyMistake(
                f"{'on_tick' if isinstance(event, Tick) else 'on_bar'} returned {type(answer).__name__}",
                where=type(self).__name__,
                expected="nothing",
                remedy="order by self.ctx, or derive from Strategy and write on_event",
            )
        self._tell()
        return self.ctx.take_intents()

    def _tell(self) -> None:
        while (update := self.ctx.take_news()) is not None:
            self.on_order_update(update)
