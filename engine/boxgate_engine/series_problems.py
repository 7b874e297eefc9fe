"""What the execution series of a run lack for the rules of its config: an ask side, a volume, the length of a tick."""

from __future__ import annotations

from collections.abc import Sequence

from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import Series
from boxgate_engine.errors import Problem
from boxgate_engine.frames import TICK


def series_problems(config: RunConfig, executing: Sequence[Series]) -> list[Problem]:
    """Return what does not fit. executing: per instrument the series that fills."""
    by_volume = [one for one in executing if config.costs.slippage_of(one.symbol).model in ("volume_share", "impact")]
    limited = executing if config.execution.volume_limit is not None else []
    delayed = executing if config.execution.latency is not None else []
    return [
        *_without_ask([one for one in executing if config.costs.spread_of(one.symbol) == "data"]),
        *_without_volume(by_volume, "costs.slippage", "choose model bps or ticks"),
        *_without_volume(limited, "execution.volume_limit", "leave it out"),
        *_of_bars(delayed),
    ]


def _without_ask(series: Sequence[Series]) -> list[Problem]:
    return [
        Problem(
            path="costs.spread",
            source="",
            code="SPREAD_MISSING",
            what=f"{one.symbol} {one.frame} has no ask side",
            expected="ask columns in the execution series",
            remedy="set costs.spread to none, {price: x} or {ticks: n}, or import the ask side",
        )
        for one in series
        if not one.has_ask
    ]


def _without_volume(series: Sequence[Series], path: str, remedy: str) -> list[Problem]:
    """Return the series whose volume column is missing or says nothing."""
    return [
        Problem(
            path=path,
            source="",
            code="VOLUME_MISSING",
            what=f"{one.symbol} {one.frame} has no volume",
            expected="a volume column in the execution series that is not zero throughout",
            remedy=f"{remedy}, or import data with volume",
        )
        for one in series
        if "volume" not in one.columns or not one.columns["volume"].any()
    ]


def _of_bars(series: Sequence[Series]) -> list[Problem]:
    """Return the series in which a latency cannot be told from the length of a bar."""
    return [
        Problem(
            path="execution.latency",
            source="",
            what=f"{one.symbol} is filled by {one.frame} bars, inside of which a latency says nothing",
            expected="ticks as the execution series of every instrument",
            remedy="set execution.series: tick, or leave execution.latency out",
        )
        for one in series
        if one.frame != TICK
    ]
