"""One session: windows in, answers out.

Without FEEDBACK everything is answered. With FEEDBACK the session stops at the end of the first moment with an
effective signal or an intent; what lies behind has not happened for the strategy and is delivered again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from boxgate_sdk._conversation import Conversation
from boxgate_sdk._events import Events, Roster
from boxgate_sdk._extras import extra_missing
from boxgate_sdk._meta import encode_meta
from boxgate_sdk._wire import Window, encode_intent, encode_response, encode_signal
from boxgate_sdk.errors import (
    AnswerMistyped,
    HedgingNotGranted,
    InstrumentUnknown,
    WindowMalformed,
    WindowOutOfOrder,
)
from boxgate_sdk.intents import Intent
from boxgate_sdk.signals import Side, Signal
from boxgate_sdk.strategy import Strategy, overrides

if TYPE_CHECKING:
    from boxgate_sdk.context import Context
    from boxgate_sdk.events import Bar, Tick

Part = TypeVar("Part", Signal, Intent)


class Session:
    """A strategy that has accepted on_init. answer() takes its windows in order."""

    def __init__(self, strategy: Strategy, ctx: Context) -> None:
        self.strategy = strategy
        self.ctx = ctx
        self._feedback = "FEEDBACK" in ctx.granted
        self._orders = "ORDERS" in ctx.granted
        self._hedging = "HEDGING" in ctx.granted
        can = (*strategy.supports(), *strategy.requires())
        self._vector = (
            not self._feedback
            and "VECTOR" in ctx.granted
            and "VECTOR" in can
            and overrides(type(strategy), "on_window")
        )
        if self._vector:
            ctx.enter_vector_form()
        self._keep = ctx.keep
        self._roster = Roster(ctx.series)
        self._instruments = tuple(ctx.instruments.values())
        self._instrument_of_series = [s.instrument for s in ctx.series]
        self._meta = ctx.mode == "debug"
        self._next_seq: int | None = None
        self._data = ctx.delivered
        # The window that is answered: its events, what was said of them, and in its current moment the last signal of
        # each instrument, and whether there was an intent.
        self._events: Events | None = None
        self._out: list[bytes] = []
        self._moment: dict[int, Signal] = {}
        self._acted = False
        self._conversation = Conversation(self._answer) if self._orders and self._feedback else None
        if self._conversation is not None:
            ctx.attach_session(self._ask)

    def answer(self, window: Window) -> bytes:
        """Return the serialised OnEventResponse. Raises an SdkError, or whatever the strategy raises.

        With ORDERS and FEEDBACK an answer may be unfinished; the next window then goes on with it.
        """
        return self._answer(window) if self._conversation is None else self._conversation.say(window)

    def close(self) -> None:
        """End the session, also in the middle of an answer."""
        if self._conversation is not None:
            self._conversation.end()

    def _answer(self, window: Window) -> bytes:
        self._check(window)
        data = self._data
        if data is not None:
            data.enter_window(window, vector=self._vector)
        if self._vector:
            consumed, said = window.count, self._vector_signals(window)
        else:
            consumed, said = self._event_answers(window)
        if data is not None:
            data.leave_window(consumed)
        self._next_seq = window.first_seq + consumed
        if self._orders:
            return encode_response(window.first_seq, consumed, b"", intents=said)
        return encode_response(window.first_seq, consumed, said)

    def _ask(self, intents: Sequence[Intent]) -> None:
        """Send what was said in the moment so far as an unfinished answer and go on with the account that comes back.

        intents: of the event that is handled; those of events before it in the moment go with them.
        """
        events = self._events
        assert events is not None
        assert self._conversation is not None
        window, index = events.window, events.index
        self._out += [self._encode_intent(index, intent) for intent in intents]
        self._acted = True
        consumed = events.moment_end(index)
        said, self._out = b"".join(self._out), []
        reply = encode_response(window.first_seq, consumed, b"", intents=said, more=True)
        news = self._conversation.ask(reply)
        if news.count or news.first_seq != window.first_seq:
            raise WindowOutOfOrder(news.first_seq, window.first_seq)
        if news.account is None or news.marks is None:
            raise WindowMalformed("a window of count 0 has no account or no marks", "both, as they are now")
        self.ctx.enter_continuation(news.account, news.marks)

    def _check(self, window: Window) -> None:
        if self._next_seq is not None and window.first_seq != self._next_seq:
            raise WindowOutOfOrder(window.first_seq, self._next_seq)
        if len(window.series) and (index := max(window.series.tolist())) >= len(self.ctx.series):
            raise WindowMalformed(f"series {index} is unknown", f"an index below {len(self.ctx.series)}")
        if not window.count:
            raise WindowMalformed("a window has no events", "at least one, but behind an answer marked `more`")
        if not len(window.series) and len(self.ctx.series) > 1:
            raise WindowMalformed("a window names no series", "one per event where the session has several")
        if self._feedback and not window.warmup and (window.account is None or window.marks is None):
            raise WindowMalformed("a window has no account or no marks", "both in a session with FEEDBACK")

    def _event_answers(self, window: Window) -> tuple[int, bytes]:
        """Hand the events to on_event. Returns the number consumed and the signals or intents as bytes."""
        events = self._events = Events(window, self._roster)
        self._out = []
        if self._feedback and not window.warmup:
            self.ctx.enter_window(events, window.account, window.marks)
            consumed = self._answer_until_news(events)
        else:
            self.ctx.enter_window(events, None, None)
            consumed = self._answer_all(events)
        return consumed, b"".join(self._out)

    def _answer_all(self, events: Events) -> int:
        on_event, keep = self.strategy.on_event, self._keep
        for event in events:
            if keep is not None:
                keep(event)
            answer = on_event(event)
            if answer is not None:
                self._say(answer, event)
        return events.window.count

    def _answer_until_news(self, events: Events) -> int:
        """Stop at the end of the first moment with an effective signal or an intent."""
        on_event, keep = self.strategy.on_event, self._keep
        moment = self._moment
        moment.clear()
        self._acted = False
        for event in events:
            if keep is not None:
                keep(event)
            answer = on_event(event)
            if answer is not None:
                self._say(answer, event)
            if not moment and not self._acted:
                continue
            done = events.index + 1
            if done == events.moment_end(done - 1):
                if self._acted or self._is_effective(moment):
                    return done
                moment.clear()
        return events.window.count

    def _say(self, answer: object, event: Bar | Tick) -> None:
        """Encode what was answered to an event. Raises AnswerMistyped, InstrumentUnknown."""
        assert self._events is not None
        index = self._events.index
        if self._orders:
            intents = _parts_of(answer, Intent, "None, an Intent, or several Intents")
            self._out += [self._encode_intent(index, intent) for intent in intents]
            self._acted = self._acted or bool(intents)
            return
        for signal in _parts_of(answer, Signal, "None, a Signal, or several Signals"):
            instrument = self._instrument(signal.instrument, event.series)
            self._out.append(self._encode(index, instrument, signal))
            self._moment[instrument] = signal

    def _vector_signals(self, window: Window) -> bytes:
        try:
            from boxgate_sdk._vector_answer import encode_answer
            from boxgate_sdk.columns import Columns
        except ModuleNotFoundError as error:
            raise extra_missing(error, "on_window", "vector") from error

        columns = Columns(window, self.ctx.series)
        answer = self.strategy.on_window(columns)
        if answer is None:
            return b""
        return encode_answer(answer, columns, self._instrument_of_series, len(self._instruments))

    def _instrument(self, symbol: str | None, series: int) -> int:
        if symbol is None:
            return self._instrument_of_series[series]
        try:
            return self.ctx.instruments[symbol].index
        except (KeyError, TypeError):
            raise InstrumentUnknown(symbol, self.ctx.instruments) from None

    def _encode_intent(self, index: int, intent: Intent) -> bytes:
        if intent.position and not self._hedging:
            raise HedgingNotGranted(intent.position)
        assert self._events is not None
        series = self._events.series.index
        meta = encode_meta(intent.meta) if self._meta and intent.meta is not None else None
        return encode_intent(index, self._instrument(intent.instrument, series), intent, meta)

    def _encode(self, index: int, instrument: int, signal: Signal) -> bytes:
        meta = encode_meta(signal.meta) if self._meta and signal.meta is not None else None
        return encode_signal(index, instrument, signal, meta)

    def _is_effective(self, moment: dict[int, Signal]) -> bool:
        """Return True if the last signal of any instrument in the moment asks for something new.

        Two decisions of one moment on one instrument are one: the last. adjust_only without a position of its side
        does nothing, and a signal that equals the standing target on the grid changes nothing.
        """
        account = self.ctx.current_account()
        for index, signal in moment.items():
            instrument = self._instruments[index]
            if signal.adjust_only:
                position = account.positions.get(instrument.symbol)
                if position is None or position.side != signal.side:
                    continue
            target = account.targets[instrument.symbol]
            if (
                signal.side != target.side
                or (signal.side != Side.FLAT and instrument.round_qty(signal.qty or 0.0) != target.qty_requested)
                or _on_grid(instrument.round_price, signal.price) != target.price
                or _on_grid(instrument.round_price, signal.sl) != target.sl
                or _on_grid(instrument.round_price, signal.tp) != target.tp
                or _on_grid(instrument.round_price, signal.trail) != target.trail
                or signal.valid_until_ns != target.valid_until_ns
            ):
                return True
        return False


def _on_grid(rounding: Callable[[float], float], price: float | None) -> float | None:
    return None if price is None else rounding(price)


def _parts_of(answer: object, kind: type[Part], expected: str) -> Sequence[Part]:
    if isinstance(answer, kind):
        return (answer,)
    # Lists and tuples first: to ask whether something can be gone through takes longer than to go through them.
    if isinstance(answer, (list, tuple)) or isinstance(answer, Iterable):  # noqa: SIM101
        parts = tuple(answer)
        for part in parts:
            if not isinstance(part, kind):
                break
        else:
            return parts
    raise AnswerMistyped("on_event", answer, expected)
