"""ctx: history, needs, refusals, logs, and what a session begins with."""

from __future__ import annotations

from typing import Any

import pytest

from boxgate_sdk import Bar, SeriesNeed, Signal, Strategy, errors
from boxgate_sdk.testing import InProcess, bar, bars


class _Reader(Strategy):
    def history_events(self) -> int:
        return 3

    def on_init(self, ctx: Any) -> None:
        self.rows: list[list[float]] = []

    def on_event(self, event: Bar) -> None:
        if event.seq >= 0:
            self.rows.append([b.close for b in self.ctx.history(event.symbol, "M1", 3)])

    def on_stop(self) -> dict[str, Any]:
        return {"rows": self.rows}


def test_history_ends_with_the_event_that_is_handled() -> None:
    closes = [float(i) for i in range(1, 9)]
    for windows in (1, [2, 1], 100):
        run = InProcess(_Reader, warmup=2).run(bars(closes), windows=windows)
        assert run.report == {"rows": [[i - 2, i - 1, i] for i in closes[2:]]}


def test_history_beyond_what_is_known_or_declared_is_an_error_never_shortened() -> None:
    with pytest.raises(errors.HistoryShort, match="there are 2 so far"):
        InProcess(_Reader, warmup=1).run(bars([1.0, 2.0]))

    class Greedy(_Reader):
        def on_event(self, event: Bar) -> None:
            self.ctx.history(event.symbol, "M1", 4)

    with pytest.raises(errors.HistoryBeyondDeclared, match="at most 3"):
        InProcess(Greedy, warmup=3).run(bars([1.0] * 4))

    class Lost(_Reader):
        def on_event(self, event: Bar) -> None:
            self.ctx.history(event.symbol, "H1", 1)

    with pytest.raises(errors.SeriesUnknown, match="EURUSD M1"):
        InProcess(Lost, warmup=3).run(bars([1.0] * 4))


def test_history_is_kept_per_series_as_declared() -> None:
    class Two(Strategy):
        def series(self) -> tuple[SeriesNeed, ...]:
            return (SeriesNeed(history_events=1), SeriesNeed(symbol="EURUSD", frame="H1", history_events=2))

        def on_event(self, event: Bar) -> None:
            if event.frame == "M1":
                assert len(self.ctx.history("EURUSD", "M1", 1)) == 1
            elif event.seq > 70:
                hours = self.ctx.history("EURUSD", "H1", 2)
                assert [hour.close for hour in hours] == [1.0, 2.0]

    minutes = bars([1.5] * 120)
    hours = bars([1.0, 2.0], frame="H1")
    events = sorted(minutes + hours, key=lambda b: (b.time_ns, b.frame == "H1"))
    InProcess(Two).run(events)


def test_a_need_for_more_history_is_answered_with_the_series() -> None:
    class Needy(Strategy):
        def on_init(self, ctx: Any) -> None:
            ctx.require_history(5)
            ctx.require_history(2, "GBPUSD")

        def on_event(self, event: Bar) -> None:
            assert len(self.ctx.history(event.symbol, "M1", 2)) == 2

    events = sorted(bars([1.0] * 6) + bars([2.0] * 6, symbol="GBPUSD"), key=lambda b: b.time_ns)
    with pytest.raises(errors.Refusal, match="EURUSD M1: 5, GBPUSD M1: 5"):
        InProcess(Needy, warmup=8).run(events)
    with pytest.raises(errors.HistoryShort):
        InProcess(Needy, warmup=10).run(events)


def test_a_refusal_carries_its_reason() -> None:
    class Picky(Strategy):
        def on_init(self, ctx: Any) -> None:
            raise errors.Refusal("only metals")

        def on_event(self, event: Bar) -> None:
            return None

    with pytest.raises(errors.Refusal, match="only metals"):
        InProcess(Picky).run([bar(1.0)])


def test_a_session_begins_with_the_facts_of_the_run() -> None:
    class Curious(Strategy):
        def on_init(self, ctx: Any) -> None:
            assert self.ctx is ctx
            assert list(ctx.instruments) == ["GBPUSD", "EURUSD"]
            assert [(s.symbol, s.frame, s.warmup_events) for s in ctx.series] == [("EURUSD", "M1", 1)]
            instrument = ctx.instruments["EURUSD"]
            assert (instrument.tick_size, instrument.lot_size) == (0.01, 0.5)
            assert (instrument.round_price(1.014), instrument.round_qty(1.3)) == (1.01, 1.0)
            assert (ctx.seed, ctx.mode, ctx.leverage, ctx.account_currency) == (77, "debug", 30.0, "USD")
            assert dict(ctx.parameters) == {}

        def on_event(self, event: Bar) -> None:
            return None

    run = InProcess(Curious, instruments=["GBPUSD", "EURUSD"], tick_size=(1, 100), lot_size=(1, 2), seed=77, warmup=1)
    run.run(bars([1.0, 2.0]))


@pytest.mark.parametrize("mode", ["debug", "prod"])
def test_logs_and_meta_leave_the_strategy_in_debug_only(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Talker(Strategy):
        def on_event(self, event: Bar) -> Signal:
            self.ctx.log("crossed", price=event.close)
            return Signal.flat(meta={"price": event.close})

    run = InProcess(Talker, mode=mode).run([bar(1.5)])
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ('crossed seq=0 {"price": 1.5}\n' if mode == "debug" else "")
    assert run.signals[0].meta == ({"price": 1.5} if mode == "debug" else None)


def test_meta_holds_what_json_holds() -> None:
    class Meta(Strategy):
        def on_event(self, event: Bar) -> Signal:
            return Signal.flat(meta=self.values[event.seq])

        values: tuple[Any, ...] = (
            {"none": None, "list": [1, (True, "x")], "nan": float("nan"), "deep": {"empty": {}, "no": []}},
            {"object": object()},
        )

    run = InProcess(Meta).run([bar(1.0)])
    assert run.signals[0].meta == {
        "none": None,
        "list": [1.0, [True, "x"]],
        "nan": None,
        "deep": {"empty": {}, "no": []},
    }
    with pytest.raises(errors.MetaInvalid, match=r"meta\.object"):
        InProcess(Meta).run(bars([1.0, 1.0]))


@pytest.mark.parametrize(
    ("signal", "words"),
    [
        (Signal.buy(float("nan")), "qty is nan"),
        (Signal.buy(0.0), "qty is 0.0"),
        (Signal.sell(-1.0), "qty is -1.0"),
        (Signal.buy(1.0, price=0.0), "price is 0.0"),
        (Signal.buy(1.0, sl=2.0, tp=1.0), "contradictory"),
        (Signal.sell(1.0, sl=1.0, tp=2.0), "contradictory"),
    ],
)
def test_the_test_runner_refuses_what_would_fail_a_run(signal: Signal, words: str) -> None:
    class Wrong(Strategy):
        def on_event(self, event: Bar) -> Signal:
            return signal

    with pytest.raises(errors.SignalInvalid, match=words):
        InProcess(Wrong).run([bar(1.0)])
    assert InProcess(Wrong, warmup=1).run([bar(1.0)]).discarded == 1


def test_a_signal_shows_what_it_says() -> None:
    assert repr(Signal.buy(1, sl=0.9)) == "Signal(qty=1.0, side=<Side.BUY: 1>, sl=0.9)"
    assert Signal.buy(1) == Signal.buy(1.0)
    assert Signal.buy(1) != Signal.sell(1)
