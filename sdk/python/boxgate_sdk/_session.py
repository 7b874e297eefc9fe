"""One session: windows in, answers out.

Without FEEDBACK everything is answered. With FEEDBACK the session stops at the end of the first moment with an
effective signal; what lies behind has not happened for the strategy and is delivered again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from boxgate_sdk._events import events_of, moment_end
from boxgate_sdk._meta import encode_meta
from boxgate_sdk._wire import Window, encode_response, encode_signal
from boxgate_sdk.errors import AnswerMistyped, InstrumentUnknown, WindowMalformed, WindowOutOfOrder
from boxgate_sdk.signals import Side, Signal
from boxgate_sdk.strategy import Strategy, overrides

if TYPE_CHECKING:
    from boxgate_sdk.context import Context


class Session:
    """A strategy that has accepted on_init. answer() takes its windows in order."""

    def __init__(self, strategy: Strategy, ctx: Context) -> None:
        self.strategy = strategy
        self.ctx = ctx
        self._feedback = "FEEDBACK" in ctx.granted
        can = (*strategy.supports(), *strategy.requires())
        self._vector = (
            not self._feedback
            and "VECTOR" in ctx.granted
            and "VECTOR" in can
            and overrides(type(strategy), "on_window")
        )
        if self._vector:
            ctx.enter_vector_form()
        self._rings = ctx.rings if any(ring.maxlen for ring in ctx.rings) else None
        self._instruments = tuple(ctx.instruments.values())
        self._instrument_of_series = [s.instrument for s in ctx.series]
        self._meta = ctx.mode == "debug"
        self._next_seq: int | None = None
        self._data = ctx.delivered

    def answer(self, window: Window) -> bytes:
        """Return the serialised OnEventResponse. Raises an SdkError, or whatever the strategy raises."""
        self._check(window)
        data = self._data
        if data is not None:
            data.enter_window(window, vector=self._vector)
        if self._vector:
            consumed, signals = window.count, self._vector_signals(window)
        else:
            consumed, signals = self._event_signals(window)
        if data is not None:
            data.leave_window(consumed)
        self._next_seq = window.first_seq + consumed
        return encode_response(window.first_seq, consumed, signals)

    def _check(self, window: Window) -> None:
        if self._next_seq is not None and window.first_seq != self._next_seq:
            raise WindowOutOfOrder(window.first_seq, self._next_seq)
        if len(window.series) and max(window.series) >= len(self.ctx.series):
            raise WindowMalformed(f"series {max(window.series)} is unknown", f"an index below {len(self.ctx.series)}")
        if not len(window.series) and len(self.ctx.series) > 1 and window.count:
            raise WindowMalformed("a window names no series", "one per event where the session has several")
        if self._feedback and not window.warmup and (window.account is None or window.marks is None):
            raise WindowMalformed("a window has no account or no marks", "both in a session with FEEDBACK")

    def _event_signals(self, window: Window) -> tuple[int, bytes]:
        """Hand the events to on_event. Returns the number consumed and the signals as bytes."""
        ctx = self.ctx
        on_event = self.strategy.on_event
        enter_event = ctx.enter_event
        rings = self._rings
        stops = self._feedback and not window.warmup
        if window.count:
            ctx.enter_window(
                window.first_seq,
                moment_end(window, ctx.series, 0) if stops else 0,
                window.account if stops else None,
                window.marks if stops else None,
            )
        out: list[bytes] = []
        moment: dict[int, Signal] = {}
        consumed = moment_stop = -1
        for index, event in enumerate(events_of(window, ctx.series)):
            enter_event(event)
            if rings is not None:
                rings[event.series].append(event)
            answer = on_event(event)
            if answer is not None:
                for signal in _signals_in(answer):
                    instrument = self._instrument(signal, event.series)
                    out.append(self._encode(index, instrument, signal))
                    moment[instrument] = signal
                if stops and moment:
                    moment_stop = moment_end(window, ctx.series, index)
            if index + 1 == moment_stop:
                if self._is_effective(moment):
                    consumed = moment_stop
                    break
                moment = {}
        return (window.count if consumed < 0 else consumed), b"".join(out)

    def _vector_signals(self, window: Window) -> bytes:
        from boxgate_sdk._vector_answer import encode_answer
        from boxgate_sdk.columns import Columns

        columns = Columns(window, self.ctx.series)
        answer = self.strategy.on_window(columns)
        if answer is None:
            return b""
        return encode_answer(answer, columns, self._instrument_of_series, len(self._instruments))

    def _instrument(self, signal: Signal, series: int) -> int:
        if signal.instrument is None:
            return self._instrument_of_series[series]
        try:
            return self.ctx.instruments[signal.instrument].index
        except (KeyError, TypeError):
            raise InstrumentUnknown(signal.instrument, self.ctx.instruments) from None

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
                or signal.valid_until_ns != target.valid_until_ns
            ):
                return True
        return False


def _on_grid(rounding: Callable[[float], float], price: float | None) -> float | None:
    return None if price is None else rounding(price)


def _signals_in(answer: object) -> Sequence[Signal]:
    if type(answer) is Signal:
        return (answer,)
    if isinstance(answer, Iterable):
        signals = tuple(answer)
        if all(isinstance(signal, Signal) for signal in signals):
            return signals
    raise AnswerMistyped("on_event", answer, "None, a Signal, or several Signals")
