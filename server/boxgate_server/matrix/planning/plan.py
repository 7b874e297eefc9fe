"""The plan: which runs a matrix has, in which order, counted before any of them is written out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Final, NamedTuple

from boxgate_engine.errors import UserMistake
from boxgate_engine.identity import canonical_json
from boxgate_server.matrix.planning.proposed import Proposing
from boxgate_server.matrix.planning.sampling import draw
from boxgate_server.matrix.planning.setting import Setting, Versions
from boxgate_server.matrix.planning.space import ParamSets, ParamSpace

RUNS_MAX: Final = 10_000_000
"""Most runs of one matrix."""

_OF_TRIALS: Final = 1
_OF_TARGET: Final = 2
"""Domains of the draws by one seed."""


class Planned(NamedTuple):
    """One run of the plan: its id, the number of its setting and the number of its parameter set."""

    run_id: str
    setting: int
    params: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All runs of a matrix. blocks: settings that share their parameter sets.

    trials: parameter sets drawn from the space, None for all. target_runs: cap of all runs. seed: of both draws.
    proposing: how the space grows, None for one that is known. first: sets before this number are left out.
    """

    versions: Versions
    blocks: Sequence[Sequence[Setting]]
    space: ParamSets
    seed: int
    trials: int | None = None
    target_runs: int | None = None
    proposing: Proposing | None = None
    first: int = 0

    def __iter__(self) -> Iterator[Planned]:
        """Yield every run once: block after block, setting after setting, parameter set after parameter set."""
        text = self.space.text
        for number, block in enumerate(self.blocks):
            for setting in block:
                run_id, place = setting.run_id, setting.number
                for params in self._param_sets(number):
                    yield Planned(run_id(text(params)), place, params)

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """All settings by their number."""
        return tuple(setting for block in self.blocks for setting in block)

    @cached_property
    def count(self) -> int:
        """How many runs there are."""
        return sum(self.runs_of_blocks)

    @property
    def runs_of_blocks(self) -> list[int]:
        """Runs of each block."""
        if not self.capped:
            return [len(block) * self._sets for block in self.blocks]
        return [sum(1 for _ in self._param_sets(i)) * len(block) for i, block in enumerate(self.blocks)]

    @property
    def product(self) -> int:
        """How many runs there would be without target_runs."""
        return sum(len(block) for block in self.blocks) * self._sets

    @property
    def capped(self) -> bool:
        """Whether target_runs leaves runs out."""
        return self.target_runs is not None and self.target_runs < self.product

    @cached_property
    def matrix_id(self) -> str:
        """The id of the matrix: the hash of what says which runs it has."""
        some = b"{}" if self.proposing else self.space.text(0)
        definition: dict[str, Any] = {
            "schema": "boxgate.matrix-definition/1",
            "settings": [[one.identity.digest(some).hex() for one in block] for block in self.blocks],
            "roles": [[[role.window, role.fold, role.segment] for role in one.roles] for one in self.settings],
            "axes": [[name, self.space.axis_digest(i)] for i, name in enumerate(self.space.axis_sizes)]
            if isinstance(self.space, ParamSpace)
            else None,
            "trials": self.trials,
            "target_runs": self.target_runs if self.capped else None,
            "seed": str(self.seed) if self.capped or self.trials is not None else None,
        }
        if self.proposing is not None:
            definition["search"] = self.proposing.definition(self.seed)
        return f"m_{hashlib.sha256(canonical_json(definition)).hexdigest()[:32]}"

    def check(self) -> None:
        """Raise UserMistake for a matrix without runs, or with more than can be kept. Nothing is expanded for it."""
        check_count(self._most)
        if self.space.size >= 2**62:
            raise UserMistake(
                f"the parameters have {self.space.size:,} sets",
                code="MATRIX_TOO_LARGE",
                where="matrix.params",
                expected="less than 2^62",
                remedy="take fewer values or larger steps",
            )
        if self.capped and self._units == 0:
            largest = max(map(len, self.blocks))
            raise UserMistake(
                f"target_runs is {self.target_runs}, and one parameter set in all folds is {largest} runs already",
                code="MATRIX_EMPTY",
                where="matrix.target_runs",
                expected=f"at least {largest}",
                remedy="raise matrix.target_runs, or take fewer folds",
            )

    @cached_property
    def _sets(self) -> int:
        return self.space.size - self.first if self.trials is None else min(self.trials, self.space.size)

    @property
    def _most(self) -> int:
        return self.product if self.target_runs is None else min(self.product, self.target_runs)

    @cached_property
    def _units(self) -> int:
        """How many pairs of block and parameter set are drawn under the cap."""
        assert self.target_runs is not None
        return self.target_runs // max(map(len, self.blocks))

    def _param_sets(self, block: int) -> Iterator[int]:
        """Yield the numbers of the parameter sets of a block, rising."""
        if not self.capped:
            picks: Iterator[int] = iter(range(self.first, self.first + self._sets))
        else:
            low, high = block * self._sets, (block + 1) * self._sets
            total = len(self.blocks) * self._sets
            # The parts that reach into this block; a pick of one may lie in the block beside it.
            first, last = low * self._units // total, -(-high * self._units // total)
            drawn = draw(total, self._units, seed=self.seed, domain=_OF_TARGET, first=first, last=last)
            picks = (pick - low for pick in drawn if low <= pick < high)
        if self.trials is None or self._sets == self.space.size:
            return picks
        return self._trials(picks)

    def _trials(self, picks: Iterator[int]) -> Iterator[int]:
        """Yield the parameter sets of the trials with these numbers, which rise."""
        drawn, at = draw(self.space.size, self._sets, seed=self.seed, domain=_OF_TRIALS), 0
        for pick in picks:
            yield next(islice(drawn, pick - at, None))
            at = pick + 1


def check_count(runs: int) -> None:
    """Raise UserMistake (MATRIX_TOO_LARGE) for more runs than can be kept."""
    if runs > RUNS_MAX:
        raise UserMistake(
            f"the matrix has {runs:,} runs",
            code="MATRIX_TOO_LARGE",
            where="matrix",
            expected=f"at most {RUNS_MAX:,} runs",
            remedy="take fewer values or larger steps, search: random with trials, or cap it by matrix.target_runs",
        )
