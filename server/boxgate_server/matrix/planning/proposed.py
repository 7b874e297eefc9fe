"""Parameter sets that a search proposes: what it may choose from, and those that it has chosen so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from boxgate_engine.config.model import ParamValue
from boxgate_engine.identity import canonical_params
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.matrix.config.model import RangeConfig, SearchConfig
from boxgate_server.matrix.planning.space import ParamSpace, param_space

Point = Mapping[str, int | float]
"""A choice on each axis: of a continuous one the value, of others the place in its order."""


@dataclass(frozen=True, kw_only=True)
class SearchAxis:
    """What a search may choose for one parameter.

    kind: `ordered`, places [0, size) by rising value; `unordered`, places without an order; `continuous`, every double
    of [low, high].
    """

    name: str
    kind: Literal["ordered", "unordered", "continuous"]
    size: int | None = None
    low: float = 0.0
    high: float = 0.0


class SearchSpace:
    """All sets that a search may propose."""

    def __init__(self, sets: ParamSpace, continuous: Sequence[str]) -> None:
        """Take the product of the axes; of a continuous one it has both ends alone."""
        self._sets = sets
        self._axes = {axis.name: axis for axis in sets.axes}
        self._order: dict[str, list[int]] = {}
        self.axes = tuple(self._axis(name, name in continuous) for name in self._axes)

    def values(self, point: Point) -> dict[str, ParamValue]:
        """Return the values of a point, normalised by the schema."""
        values: dict[str, ParamValue] = {}
        for axis in self.axes:
            chosen = point[axis.name]
            if axis.kind == "continuous":
                values[axis.name] = float(chosen) + 0.0
            else:
                order = self._order.get(axis.name)
                values[axis.name] = self._axes[axis.name].value(int(chosen) if order is None else order[int(chosen)])
        return values

    def complete(self, values: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
        """Return the complete parameters of a set."""
        return {**self._sets.params(0), **values}

    @cached_property
    def origin(self) -> dict[str, ParamValue]:
        """The first value of every axis."""
        return self._sets.varied(0)

    def definition(self) -> dict[str, Any]:
        """Return what tells this space from another, as JSON."""
        return {
            "origin": self._sets.text(0).decode(),
            "axes": [[one.name, one.kind, self._sets.axis_digest(i)] for i, one in enumerate(self.axes)],
        }

    def _axis(self, name: str, is_continuous: bool) -> SearchAxis:
        axis = self._axes[name]
        first, last = axis.value(0), axis.value(axis.size - 1)
        if is_continuous:
            assert isinstance(first, float)
            assert isinstance(last, float)
            return SearchAxis(name=name, kind="continuous", low=first, high=last)
        if not _is_number(first):
            return SearchAxis(name=name, kind="unordered", size=axis.size)
        if not axis.rises:
            values = [axis.value(place) for place in range(axis.size)]
            self._order[name] = sorted(range(axis.size), key=lambda place: _number(values[place]))
        return SearchAxis(name=name, kind="ordered", size=axis.size)


class ListedSpace:
    """The sets that a search has proposed so far, by number; what it has not proposed yet reads as the origin."""

    def __init__(self, space: SearchSpace, sets: Sequence[Mapping[str, ParamValue]], size: int) -> None:
        """Take the sets. size: how many there are, or will be."""
        self.space = space
        self.size = size
        self._sets = sets

    @property
    def axis_sizes(self) -> dict[str, int | None]:
        """How many values each parameter may have, None for a continuous one."""
        return {axis.name: axis.size for axis in self.space.axes}

    def text(self, number: int) -> bytes:
        """Return the canonical JSON of a set, as it stands in the identity of a run."""
        return canonical_params(self.params(number))

    def varied(self, number: int) -> dict[str, ParamValue]:
        """Return the values that vary in a set."""
        return dict(self._sets[number]) if number < len(self._sets) else self.space.origin

    def params(self, number: int) -> dict[str, ParamValue]:
        """Return the complete parameters of a set."""
        return self.space.complete(self.varied(number))


@dataclass(frozen=True, kw_only=True)
class Proposing:
    """How the sets of a plan are found. library: name and version of what proposes, part of what the matrix is."""

    config: SearchConfig
    space: SearchSpace
    library: str

    @property
    def trials(self) -> int:
        """How many sets are proposed in all; equal ones are computed once."""
        assert self.config.trials is not None
        return self.config.trials

    def definition(self, seed: int) -> dict[str, Any]:
        """Return what decides which sets are proposed, as JSON."""
        told = self.config.model_dump(mode="json", exclude={"seed"})
        told |= {"generation": self.config.generation_size, "aggregate": self.config.rule}
        return {**told, **self.space.definition(), "seed": str(seed), "library": self.library}


def search_space(
    given: Mapping[str, ParamValue],
    axes: Mapping[str, RangeConfig | tuple[ParamValue, ...]],
    schema: Sequence[pb.ParameterSchema],
    *,
    debug: bool,
) -> SearchSpace:
    """Return what a search may choose from; as param_space, but a range may be without a step.

    Of a whole-numbered parameter such a range has every whole number, of another every double between its ends.
    """
    kinds = {one.name: one.type for one in schema}
    made: dict[str, RangeConfig | tuple[ParamValue, ...]] = {}
    continuous = []
    for name, axis in axes.items():
        if not isinstance(axis, RangeConfig) or axis.step is not None:
            made[name] = axis
        elif kinds.get(name) == pb.PARAMETER_TYPE_INT:
            made[name] = axis.model_copy(update={"step": 1})
        else:
            made[name] = (axis.low, axis.high)
            if axis.low < axis.high:
                continuous.append(name)
    return SearchSpace(param_space(given, made, schema, debug=debug), continuous)


def _is_number(value: ParamValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: ParamValue) -> float:
    assert isinstance(value, (int, float))
    return value
