"""Declarations of a strategy's parameters; together they are its schema.

A declaration is a class attribute of the strategy; on an instance the same name is the value:

    class MyStrategy(Strategy):
        fast = IntParameter(10, min=1, max=500, doc="Bars of the fast average.")
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, Self, TypeVar, overload

from boxgate_sdk.errors import ParameterMistyped, ParameterNotAChoice, ParameterOutOfRange, ParameterUnknown

INT_MAX = 2**53
"""Largest magnitude of a whole number that every language of the contract holds exactly."""

V = TypeVar("V")


class Parameter(Generic[V]):
    """One declared parameter. Use one of its five kinds.

    default: used where the run config gives no value. min, max: inclusive bounds of numbers, None for none.
    choices: the only texts allowed, empty for any. doc: one sentence for people.
    """

    kind: ClassVar[str] = ""

    def __init__(
        self,
        default: V,
        *,
        min: float | None = None,
        max: float | None = None,
        choices: Sequence[str] = (),
        doc: str = "",
    ) -> None:
        self.name = ""
        self.min = min
        self.max = max
        self.choices = tuple(choices)
        self.doc = doc
        self.default: V = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.default = self.check(self.default)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> V: ...
    def __get__(self, instance: object | None, owner: type) -> Self | V:
        # Not a data descriptor: bind() puts values into the instance, where reading them costs nothing.
        return self if instance is None else self.default

    def check(self, value: object) -> V:
        """Return the value in the parameter's type. Raises a leaf of ParameterError."""
        raise ParameterMistyped(self.name, value, "a parameter of one of the five kinds")

    def _check_range(self, value: float) -> None:
        if (self.min is not None and value < self.min) or (self.max is not None and value > self.max):
            raise ParameterOutOfRange(self.name, value, self.min, self.max)

    def _check_choice(self, value: str) -> None:
        if self.choices and value not in self.choices:
            raise ParameterNotAChoice(self.name, value, self.choices)


class BoolParameter(Parameter[bool]):
    """true or false."""

    kind = "BOOL"

    def __init__(self, default: bool, *, doc: str = "") -> None:
        super().__init__(default, doc=doc)

    def check(self, value: object) -> bool:
        """Return the value. Raises ParameterMistyped."""
        if not isinstance(value, bool):
            raise ParameterMistyped(self.name, value, "true or false")
        return value


class IntParameter(Parameter[int]):
    """A whole number of at most 2^53 in magnitude."""

    kind = "INT"

    def __init__(self, default: int, *, min: int | None = None, max: int | None = None, doc: str = "") -> None:
        super().__init__(default, min=min, max=max, doc=doc)

    def check(self, value: object) -> int:
        """Return the value. Raises ParameterMistyped, also for 2.0, and ParameterOutOfRange."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise ParameterMistyped(self.name, value, "a whole number")
        if abs(value) > INT_MAX:
            raise ParameterOutOfRange(self.name, value, -INT_MAX, INT_MAX)
        self._check_range(value)
        return value


class FloatParameter(Parameter[float]):
    """A finite number; a whole one is taken as a float."""

    kind = "FLOAT"

    def __init__(self, default: float, *, min: float | None = None, max: float | None = None, doc: str = "") -> None:
        super().__init__(default, min=min, max=max, doc=doc)

    def check(self, value: object) -> float:
        """Return the value as float. Raises ParameterMistyped and ParameterOutOfRange."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ParameterMistyped(self.name, value, "a finite number")
        self._check_range(value)
        return float(value)


class StringParameter(Parameter[str]):
    """A text."""

    kind = "STRING"

    def __init__(self, default: str, *, choices: Sequence[str] = (), doc: str = "") -> None:
        super().__init__(default, choices=choices, doc=doc)

    def check(self, value: object) -> str:
        """Return the value. Raises ParameterMistyped and ParameterNotAChoice."""
        if not isinstance(value, str):
            raise ParameterMistyped(self.name, value, "a text")
        self._check_choice(value)
        return value


class StringListParameter(Parameter[tuple[str, ...]]):
    """A list of texts."""

    kind = "STRING_LIST"

    def __init__(self, default: Sequence[str], *, choices: Sequence[str] = (), doc: str = "") -> None:
        super().__init__(tuple(default), choices=choices, doc=doc)

    def check(self, value: object) -> tuple[str, ...]:
        """Return the value as a tuple. Raises ParameterMistyped and ParameterNotAChoice."""
        if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(v, str) for v in value):
            raise ParameterMistyped(self.name, value, "a list of texts")
        for text in value:
            self._check_choice(text)
        return tuple(value)


def declared(owner: type) -> dict[str, Parameter[object]]:
    """Return the parameters of a strategy class by name, base classes first, in the order of declaration."""
    found: dict[str, Parameter[object]] = {}
    for cls in reversed(owner.__mro__):
        found.update({name: value for name, value in vars(cls).items() if isinstance(value, Parameter)})
    return found


def bind(strategy: object, values: Mapping[str, object]) -> dict[str, object]:
    """Put checked values, defaults filled in, on the strategy and return them. Raises a leaf of ParameterError."""
    schema = declared(type(strategy))
    for name in values:
        if name not in schema:
            raise ParameterUnknown(name, schema)
    bound = {name: schema[name].check(values.get(name, schema[name].default)) for name in schema}
    vars(strategy).update(bound)
    return bound
