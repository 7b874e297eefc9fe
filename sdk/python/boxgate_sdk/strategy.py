"""The class that a strategy author derives from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from boxgate_sdk.columns import Columns
    from boxgate_sdk.context import Context
    from boxgate_sdk.intents import Intent
    from boxgate_sdk.signals import Signal, Signals


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesNeed:
    """A series that the strategy wants. symbol "" = every instrument, frame "" = the first frame of the run."""

    symbol: str = ""
    frame: str = ""
    history_events: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What a strategy is and needs with the parameters it has."""

    name: str
    version: str
    description: str = ""
    author: str = ""
    frames: Sequence[str] = ()
    requires: Sequence[str] = ()
    supports: Sequence[str] = ()
    series: Sequence[SeriesNeed] = ()
    max_sessions: int = 1


class Strategy:
    """Derive from it, declare parameters as class attributes, answer events, and serve the class.

    The SDK makes one object per session and sets its parameters and self.ctx before on_init. Every method but one of
    on_event and on_window may be left out.
    """

    name: str = ""
    """At most 64 letters, digits and _ . -; the name of the class if empty."""
    version: str = "0"
    """At most 32 letters, digits and _ . + -"""
    description: str = ""
    """One line for people."""
    author: str = ""
    frames: Sequence[str] = ()
    """The only frames that the strategy is made for, such as ("H1", "H4"); empty for any. Others are refused."""
    max_sessions: int = 1
    """Sessions at the same time in one process."""

    context_class: ClassVar[type[Context] | None] = None
    """Another class of ctx, for a layer over this one such as OrderStrategy; None for Context."""

    ctx: Context

    def on_init(self, ctx: Context) -> None:
        """Prepare a session. ctx.require_history(n) asks for more warm-up; raise errors.Refusal to refuse the run."""

    def on_event(self, event: Any) -> Signal | Intent | Iterable[Signal] | Iterable[Intent] | None:
        """Answer a Bar or a Tick: None for no change, one Signal, or several; with ORDERS Intents instead."""
        return None

    def on_window(self, columns: Columns) -> Signals | None:
        """Answer a window at once, by column arithmetic. Override it only where on_event is too slow.

        The events behind the current one are future information: row i of the answer may use rows 0 … i alone, and
        must not depend on where the window begins.
        """
        return None

    def on_stop(self) -> dict[str, Any] | None:
        """Return a last report, kept in debug runs only, or None."""
        return None

    def requires(self) -> Sequence[str]:
        """Return the capabilities without which the strategy cannot work; may depend on parameters."""
        return ()

    def supports(self) -> Sequence[str]:
        """Return the capabilities that the strategy can use. Add "TICKS" if on_event handles ticks.

        VECTOR is there where on_window is overridden; leave it out to have on_event called.
        """
        return ("RESET", "VECTOR") if overrides(type(self), "on_window") else ("RESET",)

    def history_events(self) -> int:
        """Return how many events of each instrument's first frame are needed before the tape."""
        return 0

    def series(self) -> Sequence[SeriesNeed]:
        """Return the series wanted; none means those of the run. The run config must cover them."""
        events = self.history_events()
        return (SeriesNeed(history_events=events),) if events else ()

    def check_parameters(self) -> None:
        """Raise errors.ParameterConflict where values that are right alone are wrong together."""

    def describe(self) -> Description:
        """Return what the strategy is and needs. The default reads the attributes and methods above."""
        return Description(
            name=self.name or type(self).__name__,
            version=self.version,
            description=self.description,
            author=self.author,
            frames=tuple(self.frames),
            requires=tuple(self.requires()),
            supports=tuple(self.supports()),
            series=tuple(self.series()),
            max_sessions=self.max_sessions,
        )


def overrides(strategy_class: type[Strategy], method: str) -> bool:
    """Return True if the class has its own version of a method of Strategy."""
    return getattr(strategy_class, method) is not getattr(Strategy, method)
