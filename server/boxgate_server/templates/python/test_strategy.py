"""What my_strategy decides. Run it by `python -m pytest`."""

from __future__ import annotations

from strategy import MyStrategy  # type: ignore[import-not-found]

from boxgate_sdk import Side
from boxgate_sdk.testing import InProcess, bars

PARAMS = {"length": 3, "band": 0.01, "stop": 0.05}


def test_a_rise_is_bought_with_a_stop_and_sold_at_the_mean() -> None:
    """Prices that rise and fall back: one position, in and out."""
    run = InProcess(MyStrategy, PARAMS).run(bars([100.0, 100.0, 100.0, 110.0, 111.0, 100.0, 100.0]))
    assert [(s.seq, s.side, s.sl) for s in run.signals] == [(3, Side.BUY, 104.5), (5, Side.FLAT, None)]


def test_a_quiet_market_is_left_alone() -> None:
    """Prices that stay inside the band: nothing happens."""
    assert InProcess(MyStrategy, PARAMS).run(bars([100.0, 100.5, 100.0, 99.5] * 20)).signals == []


def test_it_decides_alike_however_the_bars_arrive() -> None:
    """One by one or thousands at once: the decisions are those of the bars."""
    tape = bars([100.0 + (i * 7 % 13) for i in range(300)])
    one_by_one = InProcess(MyStrategy, PARAMS).run(tape, windows=1).signals
    assert one_by_one
    assert InProcess(MyStrategy, PARAMS).run(tape, windows=4096).signals == one_by_one
