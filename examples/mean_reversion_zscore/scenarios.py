"""Scenarios: ways to say how far the price is from where it belongs, and when that is too far.

Each takes every close and gives a `Reading`; the strategy asks those that are switched on, in the order of the list,
and the first that wants a side opens the position. A position is closed by the scenario that opened it.

| name | the mean | a deviation is | enters |
| --- | --- | --- | --- |
| `zscore` | of the last z_len closes | their standard deviation | beyond z_entry |
| `bollinger` | of the last bb_len closes | their standard deviation | outside the band of bb_dev deviations |
| `band_return` | as bollinger | as bollinger | at the first close inside, after one outside |
| `kalman` | the filtered level | the deviation of the last local_z_len distances from it | beyond z_entry |
| `garch` | of the last z_len closes | what GARCH expects of the distance | beyond z_entry |
"""

from __future__ import annotations

from math import log, nan, sqrt
from typing import TYPE_CHECKING, NamedTuple, Protocol

from garch import GarchSigma
from kalman import KalmanMean

from boxgate_sdk.rolling import RollingDeviation, RollingMean

if TYPE_CHECKING:
    from strategy import MeanReversionZscore


SCENARIOS = ("zscore", "bollinger", "band_return", "kalman", "garch")
"""Their names."""


class Reading(NamedTuple):
    """What a scenario says at a bar. z: distance from the mean, deviations, NaN where not known.

    mean: the price that is expected back. side: +1 to buy, −1 to sell, 0 for neither.
    """

    z: float
    mean: float
    side: int


class Scenario(Protocol):
    """What all of them are."""

    def push(self, close: float) -> Reading:
        """Take the next close."""


class ZScoreScenario:
    """The distance from a rolling mean, in rolling standard deviations."""

    def __init__(self, n: int, entry: float) -> None:
        self.values = RollingDeviation(n)
        self.entry = entry

    def push(self, close: float) -> Reading:
        """Take the next close."""
        mean, deviation = self.values.push(close)
        z = (close - mean) / deviation if deviation > 0.0 else nan
        return Reading(z, mean, against(z, self.entry))


class BandReturnScenario:
    """As the bands, but enters when the price is back inside: later, and not into a price that still falls."""

    def __init__(self, n: int, deviations: float) -> None:
        self.bands = ZScoreScenario(n, deviations)
        self.outside = 0

    def push(self, close: float) -> Reading:
        """Take the next close."""
        z, mean, outside = self.bands.push(close)
        side = self.outside if outside == 0 and z * self.outside < 0.0 else 0
        self.outside = outside
        return Reading(z, mean, side)


class KalmanScenario:
    """The distance from a filtered level, standardised by its own last distances."""

    def __init__(self, q: float, r: float, local_n: int, entry: float) -> None:
        self.level = KalmanMean(q, r)
        self.distances = RollingDeviation(local_n)
        self.entry = entry

    def push(self, close: float) -> Reading:
        """Take the next close."""
        level = self.level.push(close)
        offset, deviation = self.distances.push(close - level)
        z = (close - level - offset) / deviation if deviation > 0.0 else nan
        return Reading(z, level + offset, against(z, self.entry))


class GarchScenario:
    """The distance from a rolling mean, in what is to be expected of it with the volatility of now.

    The distance of a random walk with steps of σ from the mean of its last n values has the standard deviation
    σ · √((n − 1)(2n − 1) / (6n)): step number j of the n − 1 counts with the weight j / n.
    """

    def __init__(self, sigma: GarchSigma, n: int, entry: float) -> None:
        self.sigma = sigma
        self.closes = RollingMean(n)
        self.widening = sqrt((n - 1) * (2 * n - 1) / (6 * n))
        self.entry = entry

    def push(self, close: float) -> Reading:
        """Take the next close."""
        # The volatility that was expected before this close: its own move must not excuse it.
        sigma = self.sigma.value
        self.sigma.push(close)
        mean = self.closes.push(close)
        z = log(close / mean) / (sigma * self.widening) if sigma > 0.0 and mean > 0.0 else nan
        return Reading(z, mean, against(z, self.entry))


def against(z: float, entry: float) -> int:
    """Return the side against a distance of at least `entry`."""
    return 1 if z <= -entry else -1 if z >= entry else 0


def make_scenario(name: str, p: MeanReversionZscore) -> Scenario:
    """Return a scenario by its name, made from the parameters of the strategy."""
    match name:
        case "bollinger":
            return ZScoreScenario(p.bb_len, p.bb_dev)
        case "band_return":
            return BandReturnScenario(p.bb_len, p.bb_dev)
        case "kalman":
            return KalmanScenario(p.kalman_q, p.kalman_r, p.local_z_len, p.z_entry)
        case "garch":
            sigma = GarchSigma(
                omega=p.garch_omega,
                alpha=p.garch_alpha,
                beta=p.garch_beta,
                log_returns=p.garch_log_returns,
                scale=p.garch_scale,
                min_periods=p.garch_min_periods,
                floor=p.garch_floor,
            )
            return GarchScenario(sigma, p.z_len, p.z_entry)
        case _:
            return ZScoreScenario(p.z_len, p.z_entry)
