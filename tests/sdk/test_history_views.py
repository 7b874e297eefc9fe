"""ctx.data.history gives the rows that a plain list of what was delivered gives, and never one more."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from boxgate_sdk import Bar, Signal, Signals, Strategy, Tick, errors
from boxgate_sdk.frames import FRAME_NS
from boxgate_sdk.history_view import HistoryView
from boxgate_sdk.testing import InProcess, OverSocket, bar, bars, tick

Event = Bar | Tick
Walk = Callable[..., list[Bar]]
Query = tuple[str, str, int, int]
Seen = dict[tuple[int, Query], list[float] | str]

_MINUTE = FRAME_NS["M1"]
_CUTS: list[int | list[int]] = [1, [1, 7, 300], 4096]


def _mixed() -> list[Event]:
    """Minutes and hours of one instrument, minutes of another, ticks of a third: many events at one instant."""
    generator = random.Random(11)
    minutes = bars([1.1 + i * 1e-4 for i in range(200)])
    start = minutes[0].open_ns
    other = [b for b in bars([1.3 + i * 1e-4 for i in range(200)], symbol="GBPUSD") if generator.random() < 0.8]
    hours = bars([1.1, 1.2, 1.3], frame="H1")
    ticks = [
        tick(2.0 + i * 0.01, time_ns=start + (1 + i // 3) * _MINUTE + generator.choice([0, 0, 5]), symbol="XAUUSD")
        for i in range(300)
    ]
    order = {"H1": 0, "M1": 1, "tick": 2}
    return sorted([*minutes, *other, *hours, *ticks], key=lambda e: (e.time_ns, order[e.frame], e.symbol))


def _queries(event: Event, generator: random.Random) -> list[Query]:
    series = [("EURUSD", "M1"), ("EURUSD", "H1"), ("GBPUSD", "M1"), ("XAUUSD", "tick")]
    ends = [event.time_ns + 1, event.time_ns, event.time_ns - 3 * _MINUTE + 17]
    return [(*key, generator.choice(ends), generator.choice([1, 2, 9, 60, 500])) for key in series]


def _expected(history: Sequence[Event], delivered: Sequence[Event], query: Query) -> list[float] | str:
    """The rows of a query by a plain loop over everything that has happened."""
    symbol, frame, end_ns, count = query
    found = [
        e.close if isinstance(e, Bar) else e.bid
        for e in [*history, *delivered]
        if (e.symbol, e.frame) == (symbol, frame)
        and (e.time_ns <= end_ns if isinstance(e, Bar) else e.time_ns < end_ns)
    ]
    return found[-count:] if len(found) >= count else "HISTORY_SHORT"


def _answered(ask: Callable[..., HistoryView], query: Query, **at: int) -> list[float] | str:
    try:
        view = ask(*query, **at)
    except errors.SdkError as error:
        return error.code
    assert len(view) == query[3]
    name = "bid" if query[1] == "tick" else "close"
    assert view.to_arrow()[name].to_pylist() == view[name].tolist() == view.to_polars()[name].to_list()
    return [float(value) for value in view[name]]


class Looker(Strategy):
    """Asks at every event and keeps what it saw."""

    seen: ClassVar[Seen] = {}

    def supports(self) -> Sequence[str]:
        return ("TICKS", "HISTORY_HANDLES")

    def on_event(self, event: Any) -> None:
        for query in _queries(event, random.Random(event.seq)):
            answered = _answered(self.ctx.data.history, query)
            assert self.seen.setdefault((event.seq, query), answered) == answered  # an event may come again


class VectorLooker(Looker):
    """The same questions from whole windows, event by event by name."""

    def supports(self) -> Sequence[str]:
        return ("TICKS", "VECTOR", "HISTORY_HANDLES")

    def on_window(self, columns: Any) -> Signals | None:
        for index in range(columns.count):
            event = tick(1.0, time_ns=int(columns.time_ns[index]))
            seq = columns.first_seq + index
            for query in _queries(event, random.Random(seq)):
                self.seen[seq, query] = _answered(self.ctx.data.history, query, at=index)
        return None


class TradingLooker(Looker):
    """Answers often, so that windows are cut and delivered again."""

    def supports(self) -> Sequence[str]:
        return ("TICKS", "FEEDBACK", "HISTORY_HANDLES")

    def on_event(self, event: Any) -> Any:
        super().on_event(event)
        return (Signal.buy(0.5) if event.seq % 2 else Signal.flat()) if event.seq % 5 == 0 else None


@pytest.mark.parametrize("windows", _CUTS, ids=str)
@pytest.mark.parametrize("kind", [Looker, VectorLooker, TradingLooker])
def test_a_view_holds_what_was_delivered_up_to_the_event_however_it_was_delivered(
    kind: type[Looker], windows: int | list[int]
) -> None:
    events = _mixed()
    history = bars([0.5, 0.6, 0.7], start_ns=events[0].time_ns - 10 * _MINUTE)
    warmup = 120
    seen: Seen = {}
    kind.seen = seen
    InProcess(kind, warmup=warmup, history=history).run(events, windows=windows)
    assert len(seen) == sum(len(set(_queries(e, random.Random(i - warmup)))) for i, e in enumerate(events))
    for (seq, query), answered in seen.items():
        assert answered == _expected(history, events[: seq + warmup + 1], query), (seq, query)


def test_over_a_socket_it_is_the_same() -> None:
    near: Seen = {}
    far: Seen = {}
    Looker.seen = near
    InProcess(Looker, warmup=40).run(_mixed(), windows=64)
    Looker.seen = far
    OverSocket(Looker, warmup=40).run(_mixed(), windows=64)
    assert far == near


class OnInit(Strategy):
    """Looks back before the first event."""

    found: ClassVar[list[Any]] = []

    def supports(self) -> Sequence[str]:
        return ("HISTORY_HANDLES",)

    def on_init(self, ctx: Any) -> None:
        start = ctx.start_ns
        self.found.append(ctx.data.history("EURUSD", "M1", start + 1, 5)["close"].tolist())
        for end, count in ((start + 2, 1), (start, 6)):
            with pytest.raises(errors.SdkError) as caught:
                ctx.data.history("EURUSD", "M1", end, count)
            self.found.append(caught.value.code)

    def on_event(self, event: Any) -> None:
        pass


def test_in_on_init_all_that_lies_before_the_start_is_there_and_nothing_else() -> None:
    found: list[Any] = []
    OnInit.found = found
    InProcess(OnInit, warmup=3, history=bars([1.0, 2.0])).run(
        bars([3.0, 4.0, 5.0, 6.0, 7.0], start_ns=bars([1.0])[0].open_ns + 2 * _MINUTE)
    )
    assert found == [[1.0, 2.0, 3.0, 4.0, 5.0], "HISTORY_BEYOND_EVENT", "HISTORY_SHORT"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("EURUSD", "M1", 0, 0), "HISTORY_QUERY"),
        (("EURUSD", "M1", 0, -1), "HISTORY_QUERY"),
        (("EURUSD", "M1", 0, 1.5), "HISTORY_QUERY"),
        (("EURUSD", "M1", 0, True), "HISTORY_QUERY"),
        (("EURUSD", "M1", 1.5, 1), "HISTORY_QUERY"),
        (("EURUSD", "M1", 1 << 70, 1), "HISTORY_QUERY"),
        (("EURUSD", "M1", -(1 << 63), 1), "HISTORY_QUERY"),
        (("EURUSD", "M1", "yesterday", 1), "HISTORY_QUERY"),
        (("EURUSD", "M1", "2024-01-01T00:00:00", 1), "HISTORY_QUERY"),
        (("EURUSD", "M1", (1 << 63) - 1, 1), "HISTORY_BEYOND_EVENT"),
        (("EURUSD", "M1", -1, 1), "HISTORY_SHORT"),
        (("EURUSD", "M1", 0, 1), "HISTORY_SHORT"),
        (("EURUSD", "H1", 0, 1), "SERIES_UNKNOWN"),
        (("GBPUSD", "M1", 0, 1), "SERIES_UNKNOWN"),
    ],
)
def test_a_question_without_an_answer_is_named(arguments: tuple[Any, ...], code: str) -> None:
    class Asks(OnInit):
        def on_init(self, ctx: Any) -> None:
            pass

        def on_event(self, event: Any) -> None:
            self.ctx.data.history(*arguments)

    with pytest.raises(errors.ContextError) as caught:
        InProcess(Asks, warmup=1).run(bars([1.0, 2.0]))
    assert caught.value.code == code


def test_an_end_may_be_a_time_with_a_zone() -> None:
    moments: list[Any] = []

    class Asks(OnInit):
        def on_init(self, ctx: Any) -> None:
            pass

        def on_event(self, event: Any) -> None:
            if event.seq == 3:
                ends = ("2024-01-01T00:02:00Z", "2024-01-01T01:02:00+01:00", datetime(2024, 1, 1, 0, 2, tzinfo=UTC))
                moments.extend(self.ctx.data.history("EURUSD", "M1", end, 2)["close"].tolist() for end in ends)

    InProcess(Asks).run(bars([1.0, 2.0, 3.0, 4.0]))
    assert moments == [[1.0, 2.0]] * 3


def test_without_the_capability_it_says_what_to_add() -> None:
    class Asks(Strategy):
        def on_event(self, event: Any) -> None:
            self.ctx.data.history("EURUSD", "M1", event.time_ns, 1)

    with pytest.raises(errors.HistoryNotGranted) as caught:
        InProcess(Asks).run(bars([1.0]))
    assert '"HISTORY_HANDLES"' in caught.value.remedy
    assert "supports()" in caught.value.remedy


@pytest.mark.parametrize("vector", [True, False])
def test_the_event_is_named_in_the_vector_form_and_only_there(vector: bool) -> None:
    class Asks(OnInit):
        def supports(self) -> Sequence[str]:
            return ("HISTORY_HANDLES", "VECTOR") if vector else ("HISTORY_HANDLES",)

        def on_init(self, ctx: Any) -> None:
            pass

        def on_window(self, columns: Any) -> None:
            self.ctx.data.history("EURUSD", "M1", 0, 1)

        def on_event(self, event: Any) -> None:
            self.ctx.data.history("EURUSD", "M1", 0, 1, at=0)

    with pytest.raises(errors.ContextError) as caught:
        InProcess(Asks).run(bars([1.0]))
    assert caught.value.code == ("OUTSIDE_EVENT" if vector else "HISTORY_QUERY")


def test_a_view_cannot_be_written_to_and_stays_as_it_was() -> None:
    kept: list[tuple[HistoryView, list[float]]] = []

    class Keeps(OnInit):
        def on_init(self, ctx: Any) -> None:
            pass

        def on_event(self, event: Any) -> None:
            view = self.ctx.data.history("EURUSD", "M1", event.time_ns + 1, 1 if event.seq < 0 else 2)
            kept.append((view, view["close"].tolist()))
            with pytest.raises(ValueError, match="read-only"):
                view["close"][0] = 9.0
            assert not view.to_arrow()["close"].chunk(0).buffers()[1].is_mutable

    closes = [1.0 + i for i in range(3000)]
    InProcess(Keeps, warmup=1).run(bars([0.5, *closes]), windows=[1, 7, 300])
    assert len(kept) == 3001
    for i, (view, closing) in enumerate(kept):
        assert view["close"].tolist() == closing
        if i > 1:
            assert closing == [closes[i - 2], closes[i - 1]]


def test_asks_of_bars_are_columns_and_absent_ones_are_not() -> None:
    names: list[tuple[str, ...]] = []

    class Names(OnInit):
        def on_init(self, ctx: Any) -> None:
            pass

        def on_event(self, event: Any) -> None:
            names.append(self.ctx.data.history("EURUSD", "M1", event.time_ns + 1, 1).columns)

    plain = ("open_ns", "open", "high", "low", "close", "volume")
    for spread in (None, 0.1):
        for warmup in (0, 1):
            first = bar(1.0, ask_spread=spread)
            second = bar(1.0, ask_spread=spread, open_ns=first.time_ns)
            InProcess(Names, warmup=warmup).run([first, second])
    assert names == [plain] * 4 + [(*plain, "ask_open", "ask_high", "ask_low", "ask_close")] * 4
