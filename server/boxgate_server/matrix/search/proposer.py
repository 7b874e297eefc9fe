"""Optuna behind one door: asked for a generation, told what it made. Nothing else of this project imports it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.trial import Trial, TrialState

from boxgate_server.matrix.config.model import SearchConfig
from boxgate_server.matrix.keeping.proposals import Told
from boxgate_server.matrix.planning.proposed import Point, SearchAxis


class Proposer:
    """Proposes points; the same ones to whoever tells the same. What it knows is in memory alone."""

    def __init__(self, search: SearchConfig, axes: Sequence[SearchAxis], seed: int) -> None:
        """Begin. seed: 0 <= seed < 2^64."""
        optuna.logging.disable_default_handler()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(
            directions=["maximize" if one.is_better_large else "minimize" for one in search.objectives],
            sampler=_sampler(search, seed),
        )
        self._constraints = [f"{place} {one.metric}" for place, one in enumerate(search.constraints)]
        self._axes: dict[str, BaseDistribution] = {one.name: _distribution(one) for one in axes}
        self._asked: list[Trial] = []

    def propose(self, count: int) -> list[Point]:
        """Return the points of the next generation. The one before has been told."""
        assert not self._asked
        self._asked = [self._study.ask(self._axes) for _ in range(count)]
        return [dict[str, Any](one.params) for one in self._asked]

    def tell(self, told: Sequence[Told]) -> None:
        """Take in what the generation made, in its order."""
        for trial, one in zip(self._asked, told, strict=True):
            if one.values is None:
                self._study.tell(trial, state=TrialState.FAIL)
                continue
            for name, broken in zip(self._constraints, one.broken, strict=True):
                trial.set_constraint(name, broken)
            self._study.tell(trial, one.values)
        self._asked = []


def _sampler(search: SearchConfig, seed: int) -> BaseSampler:
    drawn = int.from_bytes(hashlib.sha256(f"boxgate.search/1 {seed}".encode()).digest()[:4])
    if search.method == "tpe":
        return TPESampler(seed=drawn)
    return NSGAIISampler(seed=drawn, population_size=max(2, search.generation_size))


def _distribution(axis: SearchAxis) -> BaseDistribution:
    if axis.kind == "continuous":
        return FloatDistribution(axis.low, axis.high)
    assert axis.size is not None
    return IntDistribution(0, axis.size - 1) if axis.kind == "ordered" else CategoricalDistribution(range(axis.size))
