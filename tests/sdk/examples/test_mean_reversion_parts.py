"""The parts of the mean reversion, each against its formula in fractions or a plain loop over the whole past."""

from __future__ import annotations

import random
from fractions import Fraction
from math import isnan, log, sqrt

import numpy as np
import pytest
from garch import GarchSigma
from garch import memory_bars as garch_memory
from intraday_volatility import IntradayVolatility
from kalman import KalmanMean
from kalman import memory_bars as kalman_memory
from position_manager import HOLD, REVERTED, TOO_LONG, PositionManager
from scenarios import BandReturnScenario, GarchScenario, KalmanScenario, ZScoreScenario

from boxgate_sdk import Side
from boxgate_sdk.account import Order, Position
from boxgate_sdk.testing import bar

HOUR_NS = 3_600_000_000_000


def walk(n: int, seed: int = 1) -> list[float]:
    generator = random.Random(seed)
    price, made = 1.1, []
    for _ in range(n):
        price = round(price + generator.gauss(0.0, 3e-4), 5)
        made.append(price)
    return made


@pytest.mark.parametrize(("q", "r"), [(0.001, 1.0), (0.5, 0.25), (1e-6, 1e-2), (4.0, 1.0)])
def test_the_level_is_that_of_the_filter_in_fractions(q: float, r: float) -> None:
    level, variance = Fraction(0), Fraction(0)
    filtered = KalmanMean(q, r)
    assert isnan(filtered.value)
    for i, close in enumerate(walk(60)):
        if i == 0:
            level, variance = Fraction(close), Fraction(r)
        else:
            predicted = variance + Fraction(q)
            gain = predicted / (predicted + Fraction(r))
            level = level + gain * (Fraction(close) - level)
            variance = (1 - gain) * predicted
            # A fraction of 10,000 digits says nothing more than one of 60.
            level, variance = (value.limit_denominator(10**60) for value in (level, variance))
        assert filtered.push(close) == pytest.approx(float(level), rel=1e-13)
        assert filtered.variance == pytest.approx(float(variance), rel=1e-12)


def test_only_the_ratio_of_the_variances_counts() -> None:
    one, other = KalmanMean(0.001, 1.0), KalmanMean(0.032, 32.0)
    assert [one.push(c) for c in walk(50)] == [other.push(c) for c in walk(50)]


@pytest.mark.parametrize(("q", "r"), [(0.001, 1.0), (0.5, 0.25), (1e-6, 1.0), (1e12, 1e-12), (1e-12, 1e-2)])
def test_the_level_forgets_where_it_began_within_its_memory(q: float, r: float) -> None:
    bars = kalman_memory(q, r)
    if bars > 100_000:
        return  # refused by the strategy
    zero, one = KalmanMean(q, r), KalmanMean(q, r)
    zero.push(0.0)
    one.push(1.0)
    for _ in range(bars):
        zero.push(0.0)
        one.push(0.0)
    assert abs(one.value - zero.value) <= 3.4e-4


@pytest.mark.parametrize("log_returns", [True, False])
def test_the_expected_deviation_is_that_of_the_recursion_written_out(log_returns: bool) -> None:
    closes = np.array(walk(300))
    omega, alpha, beta, scale, first = 0.3, 0.07, 0.9, 10_000.0, 40
    returns = (np.diff(np.log(closes)) if log_returns else closes[1:] / closes[:-1] - 1.0) * scale
    variance = np.full(len(closes), np.nan)
    variance[first] = np.mean(returns[:first] ** 2)
    for t in range(first, len(returns)):
        variance[t + 1] = omega + alpha * returns[t] ** 2 + beta * variance[t]
    sigma = GarchSigma(
        omega=omega, alpha=alpha, beta=beta, log_returns=log_returns, scale=scale, min_periods=first, floor=0.0
    )
    given = np.array([sigma.push(float(close)) for close in closes])
    np.testing.assert_allclose(given, np.sqrt(variance) / scale, rtol=1e-9)


def test_the_expected_deviation_has_a_floor_and_forgets_its_beginning() -> None:
    quiet = GarchSigma(omega=1e-9, alpha=0.05, beta=0.9, min_periods=2, floor=0.5)
    assert [quiet.push(1.0) for _ in range(200)][2:] == [0.5 / 10_000.0] * 198
    bars = garch_memory(0.93, 100)
    ends = []
    for beginning in ([1.0, 1.5] * 51, [1.0] * 102):
        sigma = GarchSigma(omega=0.02, alpha=0.05, beta=0.93)
        for close in beginning[:101]:
            sigma.push(close)
        begun = sigma.value
        for i in range(bars - 101):
            sigma.push(1.0 if i else beginning[100])
        ends.append((begun, sigma.value))
    (wild, after_wild), (_, after_calm) = ends
    assert (after_wild**2 - after_calm**2) <= 3.4e-4 * wild**2


def test_readings_are_distances_in_deviations_and_sides_are_against_them() -> None:
    closes = walk(400)
    bands, kalman = ZScoreScenario(20, 2.0), KalmanScenario(0.01, 1.0, 30, 1.5)
    plain = KalmanMean(0.01, 1.0)
    distances = []
    sides = set()
    for i, close in enumerate(closes):
        z, mean, side = bands.push(close)
        if i >= 19:
            last = np.array(closes[i - 19 : i + 1])
            assert mean == pytest.approx(last.mean(), rel=1e-12)
            assert z == pytest.approx((close - last.mean()) / last.std(), rel=1e-9, abs=1e-9)
            assert side == (1 if z <= -2.0 else -1 if z >= 2.0 else 0)
        distances.append(close - plain.push(close))
        z, mean, side = kalman.push(close)
        if i >= 29:
            last = np.array(distances[-30:])
            assert z == pytest.approx((distances[-1] - last.mean()) / last.std(), rel=1e-7, abs=1e-9)
            assert mean == pytest.approx(plain.value + last.mean(), rel=1e-12)
            sides.add(side)
    assert sides == {-1, 0, 1}


def test_the_return_into_the_bands_is_entered_at_the_first_close_inside() -> None:
    closes = walk(2000, seed=3)
    scenario = BandReturnScenario(20, 1.8)
    outside, sides = 0, []
    for i, close in enumerate(closes):
        side = scenario.push(close).side
        if i < 19:
            assert side == 0
            continue
        last = np.array(closes[i - 19 : i + 1])
        z = (close - last.mean()) / last.std()
        now = 1 if z <= -1.8 else -1 if z >= 1.8 else 0
        # From below the lower band to above the mean in one bar there is nothing left to earn.
        assert side == (outside if not now and z * outside < 0 else 0)
        sides.append(side)
        outside = now
    assert sides.count(1) > 10
    assert sides.count(-1) > 10


def test_the_garch_distance_is_measured_with_the_volatility_known_before_the_close() -> None:
    closes = walk(300)
    sigma = GarchSigma(omega=0.02, alpha=0.05, beta=0.93, min_periods=20)
    scenario = GarchScenario(GarchSigma(omega=0.02, alpha=0.05, beta=0.93, min_periods=20), 25, 1.0)
    for i, close in enumerate(closes):
        before = sigma.value
        sigma.push(close)
        z, mean, _ = scenario.push(close)
        if i < 24:
            assert isnan(z)
            continue
        assert mean == pytest.approx(np.mean(closes[i - 24 : i + 1]), rel=1e-12)
        widening = sqrt(sum((j / 25) ** 2 for j in range(1, 25)))
        assert z == pytest.approx(log(close / mean) / (before * widening), rel=1e-9, abs=1e-12)


def test_the_distance_of_a_random_walk_has_unit_deviation_by_the_garch_scenario() -> None:
    steps = np.random.default_rng(5).normal(0.0, 1e-4, 40_000)
    closes = np.exp(np.cumsum(steps))
    sigma = GarchSigma(omega=1.0 - 0.02 - 0.9, alpha=0.02, beta=0.9, min_periods=1000)  # its long-run variance is 1
    scenario = GarchScenario(sigma, 30, 1.0)
    z = np.array([scenario.push(float(close)).z for close in closes])
    assert np.nanstd(z) == pytest.approx(1.0, abs=0.05)


def test_the_range_of_now_is_compared_with_that_of_the_hour_on_the_days_before() -> None:
    generator = random.Random(8)
    volatility = IntradayVolatility(3, 2)
    by_hour: dict[tuple[int, int], list[float]] = {}
    heights: list[float] = []
    seen = 0
    for i in range(6 * 24 * 4):  # six days of quarters of an hour, some missing
        open_ns = i * HOUR_NS // 4
        day, hour = divmod(open_ns // HOUR_NS, 24)
        if generator.random() < 0.2 or (day == 3 and hour == 5):
            continue
        height = 0.001 * (1 + hour) * generator.uniform(0.5, 1.5)
        made = bar(1.0, high=1.0 + height, low=1.0, open_ns=open_ns, frame="M15")
        given = volatility.push(made)
        heights.append(made.high - made.low)
        by_hour.setdefault((day, hour), []).append(heights[-1])
        before = [by_hour[d, hour] for d in range(day) if (d, hour) in by_hour][-2:]
        if len(before) < 2 or len(heights) < 3:
            assert isnan(given)
            continue
        usual = np.mean([np.mean(of_day) for of_day in before])
        assert given == pytest.approx(np.mean(heights[-3:]) / usual, rel=1e-12)
        seen += 1
    assert seen > 200


def position(position_id: int, side: Side = Side.BUY) -> Position:
    return Position(position_id=position_id, symbol="EURUSD", side=side, qty=1.0, entry_price=1.0, sl=None, tp=None)


def test_the_manager_counts_the_bars_of_each_position_and_remembers_who_opened_it() -> None:
    manager = PositionManager("EURUSD", hold_bars=3, z_exit=0.5)
    manager.ask("kalman")
    manager.follow(None)  # the entry was refused
    assert (manager.side, manager.held_bars, manager.scenario) == (0, 0, "")
    manager.ask("zscore")
    for held in (1, 2, 3):
        manager.follow(position(7))
        assert (manager.side, manager.held_bars, manager.scenario) == (1, held, "zscore")
        assert manager.verdict(-2.0) == (TOO_LONG if held == 3 else HOLD)
    manager.ask("garch")
    # Stopped out and opened again within one bar: there is another position, its time begins anew.
    manager.follow(position(8, Side.SELL))
    assert (manager.side, manager.held_bars, manager.scenario) == (-1, 1, "garch")


@pytest.mark.parametrize(
    ("side", "z", "verdict"),
    [
        (Side.BUY, -0.6, HOLD),
        (Side.BUY, -0.5, REVERTED),
        (Side.BUY, 3.0, REVERTED),
        (Side.SELL, 0.6, HOLD),
        (Side.SELL, 0.5, REVERTED),
        (Side.SELL, -3.0, REVERTED),
        (Side.BUY, float("nan"), HOLD),
    ],
)
def test_a_position_ends_where_its_scenario_is_back(side: Side, z: float, verdict: str) -> None:
    manager = PositionManager("EURUSD", hold_bars=9, z_exit=0.5)
    manager.follow(position(1, side))
    assert manager.verdict(z) == verdict


def test_nothing_is_asked_for_while_an_order_of_the_instrument_works() -> None:
    manager = PositionManager("EURUSD", hold_bars=9, z_exit=0.5)
    other, own = (
        Order(client_id="", symbol=symbol, side=Side.BUY, qty=1.0, price=None, valid_until_ns=None)
        for symbol in ("GBPUSD", "EURUSD")
    )
    assert not manager.waits([])
    assert not manager.waits([other])
    assert manager.waits([other, own])
