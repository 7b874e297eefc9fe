"""The rotation against pandas: what is held when, how much of it, and what a missing bar does."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from boxgate_sdk import Bar, Side
from boxgate_sdk.testing import InProcess, Run, bar

Example = Callable[[str], ModuleType]

DAY_NS = 86_400_000_000_000
START_NS = 1_704_067_200_000_000_000  # a Monday, the first of January 2024
SYMBOLS = ("AUDUSD", "EURUSD", "GBPUSD", "NZDUSD", "XAUUSD")
PARAMS = {"momentum_len": 15, "vol_len": 10, "top": 2, "band": 0.0, "risk": 0.003, "weight_max": 100.0}


def run(example: Example, events: list[Bar], *, warmup: int = 0, windows: Any = 4096, **params: Any) -> Run:
    strategy = example("portfolio_rotation").PortfolioRotation
    return InProcess(strategy, {**PARAMS, **params}, instruments=SYMBOLS, warmup=warmup).run(events, windows=windows)


def closes(days: int = 200) -> pd.DataFrame:
    """Return closes of five instruments by day, each with its own volatility."""
    generator = random.Random(11)
    columns = {}
    for k, symbol in enumerate(SYMBOLS):
        steps = [generator.gauss(0.0, 0.002 * (k + 1)) for _ in range(days)]
        columns[symbol] = np.round(np.exp(np.cumsum(steps)), 5)
    return pd.DataFrame(columns)


def days_of(table: pd.DataFrame, *, without: set[tuple[int, str]] = frozenset()) -> list[Bar]:  # type: ignore[assignment]
    return [
        bar(float(row[symbol]), open_ns=START_NS + int(i) * DAY_NS, symbol=symbol, frame="D1")
        for i, row in table.iterrows()
        for symbol in SYMBOLS
        if (i, symbol) not in without
    ]


def first_days(table: pd.DataFrame, rebalance: str) -> list[int]:
    """Return the days at whose close is ranked."""
    dates = pd.to_datetime(START_NS + table.index.to_numpy() * DAY_NS)
    periods = {"daily": dates.day_of_year, "weekly": dates.isocalendar().week, "monthly": dates.month}[rebalance]
    numbers = list(periods)
    return [i for i in range(len(numbers)) if i == 0 or numbers[i] != numbers[i - 1]]


@pytest.mark.parametrize("rebalance", ["daily", "weekly", "monthly"])
def test_the_strongest_of_pandas_are_held_with_equal_risk(example: Example, rebalance: str) -> None:
    table = closes()
    log = np.log(table)
    volatility = log.diff().rolling(10).std(ddof=0)
    strength = (log - log.shift(15)) / volatility
    held: dict[str, float] = dict.fromkeys(SYMBOLS, 0.0)
    expected: list[tuple[int, str, Side, float | None]] = []
    for day in first_days(table, rebalance):
        row = strength.loc[day]
        chosen = set(row[row > 0.0].nlargest(2).index)
        for symbol in SYMBOLS:
            qty = 0.0
            if symbol in chosen:
                qty = 0.003 / volatility.loc[day, symbol] * 100_000.0 / table.loc[day, symbol]
            if qty or held[symbol]:
                expected.append((day * 5 + 4, symbol, Side.BUY if qty else Side.FLAT, qty or None))
            held[symbol] = qty
    signals = run(example, days_of(table), rebalance=rebalance).signals
    assert len(expected) >= 12
    assert [(s.seq, s.symbol, s.side) for s in signals] == [row[:3] for row in expected]
    for signal, row_ in zip(signals, expected, strict=True):
        assert signal.qty == (None if row_[3] is None else pytest.approx(row_[3], abs=0.0101))


def test_a_trifle_is_not_traded(example: Example) -> None:
    table = closes()
    every = run(example, days_of(table), rebalance="daily").signals
    few = run(example, days_of(table), rebalance="daily", band=0.2).signals
    last: dict[str, float] = {}
    for signal in few:
        if signal.side is Side.BUY and signal.symbol in last:
            assert signal.qty is not None
            assert abs(signal.qty - last[signal.symbol]) > 0.2 * last[signal.symbol]
        last.pop(signal.symbol, None)
        if signal.side is Side.BUY:
            assert signal.qty is not None
            last[signal.symbol] = signal.qty
    assert len(few) < len(every) / 2


def test_a_missing_bar_puts_the_decision_off_to_the_next_moment(example: Example) -> None:
    table = closes(70)
    first_of_march = 60
    whole = run(example, days_of(table)).signals
    late = run(example, days_of(table, without={(first_of_march, "EURUSD")})).signals
    at = {s.seq for s in whole if s.seq >= first_of_march * 5}
    assert at == {first_of_march * 5 + 4}
    assert {s.seq for s in late if s.seq >= first_of_march * 5} == {first_of_march * 5 + 4}
    # The event of the same number is the first of the next day: one bar is missing before it.


def test_the_tape_begins_with_a_decision_that_the_warm_up_prepared(example: Example) -> None:
    signals = run(example, days_of(closes(70)), warmup=5 * 40).signals
    assert signals[0].seq == 4


def test_every_cut_is_answered_equally(example: Example) -> None:
    generator = random.Random(2)
    without = {(day, symbol) for day in range(200) for symbol in SYMBOLS if generator.random() < 0.1}
    events = days_of(closes(), without=without)
    runs = [run(example, events, warmup=100, windows=w, rebalance="weekly") for w in (1, [1, 2, 3, 50], 4096)]
    assert runs[0].signals == runs[1].signals == runs[2].signals
    assert len(runs[0].signals) >= 20


def test_a_size_is_bounded_by_the_capital(example: Example) -> None:
    table = closes()
    for signal in run(example, days_of(table), weight_max=0.5).signals:
        if signal.qty:
            assert signal.qty * table.loc[signal.seq // 5, signal.symbol] <= 50_000.0 + 0.01
