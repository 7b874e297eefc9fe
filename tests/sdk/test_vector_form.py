"""The vector form: helpers that do not depend on the cuts, answers as arrays, and a control that does."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from boxgate_sdk import Bar, Side, Signal, Signals, Strategy, errors, rolling, vector
from boxgate_sdk.testing import InProcess, OverSocket, bars

Example = Callable[[str], ModuleType]


def _pieces(n: int, generator: random.Random) -> list[int]:
    sizes: list[int] = []
    while sum(sizes) < n:
        sizes.append(generator.choice((1, 2, 3, 7, 50, 400)))
    return sizes


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 10, 30, 31, 64, 100])
def test_rolling_sums_are_equal_to_the_last_bit_bar_by_bar_and_in_windows_of_any_size(n: int) -> None:
    generator = random.Random(n)
    values = np.array([generator.gauss(1.0, 1e-4) * 10 ** generator.randrange(-3, 4) for _ in range(700)])
    by_bar = rolling.RollingSum(n)
    expected = np.array([by_bar.push(value) for value in values.tolist()])
    assert np.isnan(expected[: n - 1]).all()
    exact = [math.fsum(values[i + 1 - n : i + 1]) for i in range(n - 1, 700)]
    assert np.allclose(expected[n - 1 :], exact, rtol=1e-13)
    for _ in range(5):
        whole = vector.RollingSum(n)
        got, at = [], 0
        for size in _pieces(700, generator):
            got.append(whole.push(values[at : at + size]))
            at += size
        assert np.concatenate(got).tobytes() == expected.tobytes()


def test_a_value_that_has_left_the_window_leaves_no_trace() -> None:
    total = rolling.RollingSum(3)
    for value in (1e300, 1.0, 2.0):
        total.push(value)
    assert total.push(3.0) == 6.0


@pytest.mark.parametrize(
    "helper", [rolling.RollingSum, rolling.RollingMean, rolling.RollingDeviation, vector.RollingSum]
)
def test_a_window_of_no_values_is_refused(helper: Callable[[int], object]) -> None:
    with pytest.raises(ValueError, match="n >= 1"):
        helper(0)


def test_deviation_is_that_of_the_last_values() -> None:
    deviation = rolling.RollingDeviation(4)
    assert all(math.isnan(deviation.push(value)[0]) for value in (5.0, 1.0, 2.0))
    assert deviation.push(4.0) == (3.0, math.sqrt(2.5))


def test_crossing_averages_answer_equally_in_both_forms_and_in_every_cut(
    example: Example, two_symbols: list[Bar]
) -> None:
    strategy = example("sma_cross").SmaCross
    params = {"fast": 5, "slow": 12}
    expected = InProcess(strategy, {**params, "form": "bar"}, warmup=40).run(two_symbols, windows=1).signals
    assert len(expected) > 50
    generator = random.Random(5)
    for form in ("bar", "vector"):
        for windows in (1, 7, 4096, [generator.randrange(1, 60) for _ in range(30)]):
            run = InProcess(strategy, {**params, "form": form}, warmup=40).run(two_symbols, windows=windows)
            assert run.signals == expected
    assert OverSocket(strategy, params, warmup=40).run(two_symbols, windows=[100, 3]).signals == expected


class _PrefixSums(Strategy):
    """The control: an average by prefix sums over the window, whose rounding depends on where the window begins."""

    def on_init(self, ctx: Any) -> None:
        self.tail = np.zeros(0)

    def on_window(self, columns: Any) -> Signals | None:
        n = 10
        (bars_of_one,) = columns.bars()
        values = np.concatenate((self.tail, bars_of_one.close))
        self.tail = values[-n + 1 :]
        if len(values) < n:
            return None
        sums = np.cumsum(np.concatenate(([0.0], values)))
        means = (sums[n:] - sums[:-n]) / n
        rows = np.arange(len(values) - len(means), len(values)) - (len(values) - columns.count)
        return Signals(event_index=rows, side=np.full(len(rows), Side.BUY), qty=1.0, price=means)


class _CarriedSums(_PrefixSums):
    def on_init(self, ctx: Any) -> None:
        self.mean = vector.RollingMean(10)

    def on_window(self, columns: Any) -> Signals | None:
        (bars_of_one,) = columns.bars()
        means = self.mean.push(bars_of_one.close)
        rows = np.flatnonzero(~np.isnan(means))
        return Signals(event_index=rows, side=np.full(len(rows), Side.BUY), qty=1.0, price=means[rows])


def test_prefix_sums_over_a_window_depend_on_the_cut_and_the_helper_does_not() -> None:
    generator = random.Random(8)
    # A grid far finer than the rounding of a double shows every bit.
    tape = bars([generator.uniform(0.9, 1.1) for _ in range(400)])

    def prices(strategy: type[Strategy], windows: Any) -> list[float | None]:
        run = InProcess(strategy, tick_size=(1, 10**15)).run(tape, windows=windows)
        return [signal.price for signal in run.signals]

    assert prices(_PrefixSums, 400) != prices(_PrefixSums, [13, 29])
    assert prices(_CarriedSums, 400) == prices(_CarriedSums, [13, 29]) == prices(_CarriedSums, 1)


def _answering(answer: Callable[[Any], Any]) -> type[Strategy]:
    class Answering(Strategy):
        def on_window(self, columns: Any) -> Any:
            return answer(columns)

    return Answering


def test_rows_may_come_in_any_order_and_one_value_may_stand_for_all() -> None:
    def answer(columns: Any) -> Signals:
        return Signals(event_index=[2, 0, 2], side=[Side.BUY, Side.SELL, Side.FLAT], qty=1.0, sl=[0.9, 1.1, np.nan])

    run = InProcess(_answering(answer)).run(bars([1.0, 1.0, 1.0]))
    assert [(s.seq, s.side, s.qty, s.sl) for s in run.signals] == [
        (0, Side.SELL, 1.0, 1.1),
        (2, Side.BUY, 1.0, 0.9),
        (2, Side.FLAT, None, None),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"event_index": [3], "side": 1, "qty": 1.0},
        {"event_index": [-1], "side": 1, "qty": 1.0},
        {"event_index": [0.0], "side": 1, "qty": 1.0},
        {"event_index": [[0]], "side": 1, "qty": 1.0},
        {"event_index": [0], "side": 0, "qty": 1.0},
        {"event_index": [0], "side": 4, "qty": 1.0},
        {"event_index": [0], "side": [1, 1], "qty": 1.0},
        {"event_index": [0, 1], "side": 1, "qty": [1.0]},
        {"event_index": [0], "side": 1, "qty": 1.0, "instrument": 1},
    ],
)
def test_arrays_that_cannot_be_sent_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(errors.AnswerMistyped):
        InProcess(_answering(lambda _: Signals(**fields))).run(bars([1.0, 1.0, 1.0]))


def test_on_window_answers_nothing_else() -> None:
    with pytest.raises(errors.AnswerMistyped, match="on_window"):
        InProcess(_answering(lambda _: [Signal.flat()])).run(bars([1.0]))
    assert InProcess(_answering(lambda _: Signals(event_index=[], side=1, qty=1.0))).run(bars([1.0])).signals == []


def test_columns_show_each_series_of_a_window(two_symbols: list[Bar]) -> None:
    seen: list[tuple[str, int, float]] = []

    def answer(columns: Any) -> None:
        assert columns.count == len(columns.time_ns) == len(columns.series)
        for part in columns.bars():
            assert not part.close.flags.writeable or part.close.base is None
            assert np.isnan(part.ask_close).all()
            assert (columns.series[part.event_index] == part.series).all()
            rows = zip(part.event_index.tolist(), part.close.tolist(), strict=True)
            seen.extend((part.symbol, columns.first_seq + row, close) for row, close in rows)
        assert list(columns.ticks()) == []

    InProcess(_answering(answer)).run(two_symbols, windows=[17, 5])
    assert sorted(seen, key=lambda row: row[1]) == [(b.symbol, seq, b.close) for seq, b in enumerate(two_symbols)]


def test_history_and_draws_belong_to_single_events() -> None:
    class Asking(Strategy):
        def history_events(self) -> int:
            return 1

        def on_window(self, columns: Any) -> None:
            with pytest.raises(errors.OutsideEvent):
                self.ctx.history("EURUSD", "M1", 1)
            with pytest.raises(errors.OutsideEvent):
                self.ctx.rng.random()
            assert 0.0 <= self.ctx.rng.at(columns.first_seq).random() < 1.0

    InProcess(Asking).run(bars([1.0, 2.0]))


def test_with_feedback_the_vector_form_is_not_used() -> None:
    class Both(Strategy):
        def requires(self) -> tuple[str, ...]:
            return ("FEEDBACK",)

        def on_event(self, event: Bar) -> Signal:
            return Signal.flat()

        def on_window(self, columns: Any) -> Signals:
            raise AssertionError

    assert len(InProcess(Both).run(bars([1.0, 2.0])).signals) == 2
