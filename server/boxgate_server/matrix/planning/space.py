"""The parameter sets of a matrix: the product of its axes, each set by its number, none of them kept."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Protocol

from boxgate_engine.config.model import ParamValue
from boxgate_engine.errors import ConfigInvalid, Problem
from boxgate_engine.identity import canonical_params
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.matrix.config.model import RangeConfig
from boxgate_server.sessions.parameters import complete_parameters

_TOLD_MAX: Final = 10
_KEPT_MAX: Final = 100_000
"""Largest axis whose values are kept; of a larger one each is made when it is asked for."""


@dataclass(frozen=True)
class ParamAxis:
    """The values of one parameter, normalised by its schema, by their number. rises: each is above the one before."""

    name: str
    size: int
    value: Callable[[int], ParamValue]
    text: Callable[[int], bytes]
    rises: bool = False


class ParamSets(Protocol):
    """Parameter sets by their number."""

    @property
    def size(self) -> int:
        """How many there are."""

    @property
    def axis_sizes(self) -> Mapping[str, int | None]:
        """How many values each parameter has that varies, None for more than can be counted."""

    def text(self, number: int) -> bytes:
        """Return the canonical JSON of a set, as it stands in the identity of a run."""

    def varied(self, number: int) -> dict[str, ParamValue]:
        """Return the values that vary in a set."""

    def params(self, number: int) -> dict[str, ParamValue]:
        """Return the complete parameters of a set."""


class ParamSpace:
    """All parameter sets. The first axis changes slowest."""

    def __init__(self, fixed: Mapping[str, ParamValue], axes: Sequence[ParamAxis]) -> None:
        """Take the complete parameters that do not vary, and the axes of those that do."""
        self.axes = tuple(axes)
        self.size = math.prod(axis.size for axis in axes)
        varied = {axis.name: axis for axis in axes}
        self._fixed = {name: value for name, value in fixed.items() if name not in varied}
        # As canonical JSON orders keys. Between the values of two axes stands one constant text.
        names = sorted({*self._fixed, *varied}, key=lambda name: name.encode("utf-16be"))
        self._constants: list[bytes] = []
        self._places: list[int] = []
        text = b"{"
        for number, name in enumerate(names):
            comma = b"," if number else b""
            if name in varied:
                self._constants.append(text + comma + _key(name))
                self._places.append(self.axes.index(varied[name]))
                text = b""
            else:
                text += comma + canonical_params({name: self._fixed[name]})[1:-1]
        self._constants.append(text + b"}")

    @property
    def axis_sizes(self) -> dict[str, int | None]:
        """How many values each axis has."""
        return {axis.name: axis.size for axis in self.axes}

    def axis_digest(self, place: int) -> str:
        """Return what tells an axis from another: of a large one its ends and its size, for its steps are equal."""
        axis = self.axes[place]
        numbers = range(axis.size) if axis.size <= _KEPT_MAX else (0, 1, axis.size - 1)
        state = hashlib.sha256(str(axis.size).encode())
        for number in numbers:
            state.update(b"," + axis.text(number))
        return state.hexdigest()

    def text(self, number: int) -> bytes:
        """Return the canonical JSON of a set, as it stands in the identity of a run."""
        digits = self._digits(number)
        axes, parts = self.axes, [self._constants[0]]
        for place, constant in zip(self._places, self._constants[1:], strict=True):
            parts += (axes[place].text(digits[place]), constant)
        return b"".join(parts)

    def varied(self, number: int) -> dict[str, ParamValue]:
        """Return the values of the axes in a set."""
        digits = self._digits(number)
        return {axis.name: axis.value(digit) for axis, digit in zip(self.axes, digits, strict=True)}

    def params(self, number: int) -> dict[str, ParamValue]:
        """Return the complete parameters of a set."""
        return {**self._fixed, **self.varied(number)}

    def _digits(self, number: int) -> list[int]:
        digits = [0] * len(self.axes)
        for place in range(len(self.axes) - 1, -1, -1):
            number, digits[place] = divmod(number, self.axes[place].size)
        return digits


def param_space(
    given: Mapping[str, ParamValue],
    axes: Mapping[str, RangeConfig | tuple[ParamValue, ...]],
    schema: Sequence[pb.ParameterSchema],
    *,
    debug: bool,
) -> ParamSpace:
    """Return the sets of a strategy. given: the parameters beside the matrix. schema: as Describe tells it.

    Values that the schema makes equal count once. debug: errors may show names and choices of the schema.
    Raises ConfigInvalid with everything that is wrong.
    """
    problems: list[Problem] = []
    fixed: dict[str, ParamValue] = {}
    try:
        fixed = complete_parameters(
            {**given, **{name: _some(axis) for name, axis in axes.items()}}, schema, debug=debug
        )
    except ConfigInvalid as error:
        problems += [_moved(one, axes) for one in error.problems]
    declared = {one.name: one for one in schema}
    made: list[ParamAxis] = []
    for name, axis in axes.items():
        if name not in declared:
            continue  # told above
        try:
            made.append(_axis(name, axis, declared[name], debug=debug))
        except ConfigInvalid as error:
            problems += [_moved(one, axes) for one in error.problems]
    if problems:
        raise ConfigInvalid(list(dict.fromkeys(problems)))
    return ParamSpace(fixed, made)


def axis_size(axis: RangeConfig | tuple[ParamValue, ...]) -> int:
    """Return how many values an axis has as it is written. A range counts in decimals: 1.0 to 2.0 by 0.1 are 11."""
    if not isinstance(axis, RangeConfig):
        return len(axis)
    assert axis.step is not None, "load_matrix refuses a range without one"
    return (Fraction(repr(axis.high)) - Fraction(repr(axis.low))) // Fraction(repr(axis.step)) + 1


def _axis(
    name: str, axis: RangeConfig | tuple[ParamValue, ...], declared: pb.ParameterSchema, *, debug: bool
) -> ParamAxis:
    def normal(value: ParamValue) -> ParamValue:
        return complete_parameters({name: value}, [declared], debug=debug)[name]

    def text(value: ParamValue) -> bytes:
        return canonical_params({"": value})[4:-1]

    if isinstance(axis, RangeConfig):
        low, step = Fraction(repr(axis.low)), Fraction(repr(axis.step))
        size = axis_size(axis)

        def stepped(number: int) -> ParamValue:
            value = low + number * step
            return int(value) if value.denominator == 1 and declared.type == pb.PARAMETER_TYPE_INT else float(value)

        for number in {0, min(1, size - 1), size - 1}:
            normal(stepped(number))
        if size > _KEPT_MAX:
            return ParamAxis(name, size, lambda k: normal(stepped(k)), lambda k: text(normal(stepped(k))), True)
        values = [normal(stepped(number)) for number in range(size)]
    else:
        values = _each(axis, normal)
    kept = {text(value): value for value in values}
    texts, values = list(kept), list(kept.values())
    rises = isinstance(axis, RangeConfig)
    return ParamAxis(name, len(values), values.__getitem__, texts.__getitem__, rises)


def _each(given: Sequence[ParamValue], normal: Callable[[ParamValue], ParamValue]) -> list[ParamValue]:
    """Return the normal form of each value. Raises ConfigInvalid with all that have none, or the first of them."""
    values: list[ParamValue] = []
    problems: list[Problem] = []
    for value in given:
        try:
            values.append(normal(value))
        except ConfigInvalid as error:
            problems += error.problems
        if len(problems) >= _TOLD_MAX:
            break
    if problems:
        raise ConfigInvalid(problems)
    return values


def _some(axis: RangeConfig | tuple[ParamValue, ...]) -> ParamValue:
    return axis.low if isinstance(axis, RangeConfig) else axis[0]


def _moved(problem: Problem, axes: Mapping[str, object]) -> Problem:
    """Return the problem at the key of the matrix, where the value comes from there."""
    name = problem.path.removeprefix("strategy.params.")
    if name not in axes:
        return problem
    return replace(
        problem, path=f"matrix.params.{name}", remedy=problem.remedy.replace(", or leave it out to get the default", "")
    )


def _key(name: str) -> bytes:
    return canonical_params({name: 0})[1:-2]
