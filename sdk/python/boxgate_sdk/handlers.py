"""What the layers for authors who think in orders share: handlers by name, and what they ask of a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from boxgate_sdk.context import Context
from boxgate_sdk.errors import StrategyMistake
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.strategy import Description, Strategy


class HandlerStrategy(Strategy):
    """A strategy of handlers that return nothing and order by self.ctx."""

    _ordering: ClassVar[str] = "self.ctx"
    """How its author orders, for errors."""

    def on_start(self) -> None:
        """Prepare a session. self.ctx is there; self.ctx.require_history(n) asks for more warm-up."""

    def on_bar(self, bar: Bar) -> None:
        """Handle a closed bar."""

    def on_tick(self, tick: Tick) -> None:
        """Handle a tick. Ticks come only where it is overridden."""

    def supports(self) -> Sequence[str]:
        """Return RESET, and TICKS where on_tick is written."""
        return ("RESET", "TICKS") if self._handles("on_tick") else ("RESET",)

    def describe(self) -> Description:
        """Return what the strategy is and needs, what its layer needs included."""
        if not self._handles("on_bar") and not self._handles("on_tick"):
            raise StrategyMistake(
                "the strategy handles nothing",
                where=type(self).__name__,
                expected="on_bar or on_tick",
                remedy="write one of them",
            )
        description = super().describe()
        missing = [name for name in self._needed() if name not in description.requires]
        return replace(description, requires=(*description.requires, *missing))

    def on_init(self, ctx: Context) -> None:
        """Call on_start."""
        self.on_start()

    def _needed(self) -> Sequence[str]:
        """Return the capabilities that the layer cannot do without: orders need the position."""
        return ("FEEDBACK",)

    def _handle(self, event: Bar | Tick) -> None:
        """Call on_bar or on_tick."""
        handler: Callable[[Any], object] = self.on_tick if isinstance(event, Tick) else self.on_bar
        answer = handler(event)
        if answer is not None:
            raise StrategyMistake(
                f"{'on_tick' if isinstance(event, Tick) else 'on_bar'} returned {type(answer).__name__}",
                where=type(self).__name__,
                expected="nothing",
                remedy=f"order by {self._ordering}, or derive from Strategy and write on_event",
            )

    def _handles(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(HandlerStrategy, name)
