"""Parameters of a strategy: checked against its schema, defaults filled in."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from boxgate_engine.config.model import ParamValue
from boxgate_engine.errors import ConfigInvalid, Problem
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.errors import DescriptionInvalid

_TYPES: Final = {
    pb.PARAMETER_TYPE_BOOL: ("true or false", "bool_value"),
    pb.PARAMETER_TYPE_INT: ("a whole number", "int_value"),
    pb.PARAMETER_TYPE_FLOAT: ("a number", "float_value"),
    pb.PARAMETER_TYPE_STRING: ("text", "string_value"),
    pb.PARAMETER_TYPE_STRING_LIST: ("a list of texts", "string_list_value"),
}
_INT_MAX: Final = 2**53


def complete_parameters(
    given: Mapping[str, Any], schema: Sequence[pb.ParameterSchema], *, debug: bool = True
) -> dict[str, ParamValue]:
    """Return every parameter of the schema with its value, normalised by its type: `2` of a float is 2.0.

    debug: errors may show names and choices of the schema, which are texts of the sidecar.
    Raises ConfigInvalid with everything that is wrong, DescriptionInvalid for a schema that breaks the contract.
    """
    known = {declared.name: declared for declared in schema}
    if len(known) != len(schema):
        raise _bad_schema("a parameter name stands twice")
    problems = [_unknown(name, known if debug else None) for name in given if name not in known]
    values: dict[str, ParamValue] = {}
    for name, declared in known.items():
        if declared.type not in _TYPES:
            raise _bad_schema(f"parameter {name!r} has no known type" if debug else "a parameter has no known type")
        default = _default(declared)
        if name not in given:
            values[name] = default
            continue
        fault = _fault(given[name], declared, debug=debug)
        if fault is not None:
            problems.append(
                Problem(
                    path=f"strategy.params.{name}",
                    source="",
                    what=f"{given[name]!r} is not allowed",
                    expected=fault,
                    remedy="correct the value, or leave it out to get the default",
                )
            )
        else:
            values[name] = _normal(given[name], declared.type)
    if problems:
        raise ConfigInvalid(problems)
    return values


def parameter_messages(values: Mapping[str, ParamValue], schema: Sequence[pb.ParameterSchema]) -> list[pb.Parameter]:
    """Return the contract's messages of complete parameters, in the order of the schema."""
    messages = []
    for declared in schema:
        value = values[declared.name]
        message = pb.Parameter(name=declared.name)
        if isinstance(value, list):
            message.value.string_list_value.values.extend(str(entry) for entry in value)
        else:
            setattr(message.value, _TYPES[declared.type][1], value)
        messages.append(message)
    return messages


def _fault(value: Any, declared: pb.ParameterSchema, *, debug: bool) -> str | None:
    """Return what was expected of a value, or None if it is right."""
    expected = _TYPES[declared.type][0]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if declared.type == pb.PARAMETER_TYPE_BOOL:
        right = isinstance(value, bool)
    elif declared.type == pb.PARAMETER_TYPE_INT:
        right = number and float(value).is_integer() and abs(value) <= _INT_MAX
    elif declared.type == pb.PARAMETER_TYPE_FLOAT:
        right = number and math.isfinite(value)
    elif declared.type == pb.PARAMETER_TYPE_STRING:
        right = isinstance(value, str)
    else:
        right = isinstance(value, list) and all(isinstance(entry, str) for entry in value)
    if not right:
        return expected
    if number:
        if declared.HasField("min") and value < declared.min:
            return f"{expected} of at least {declared.min:g}"
        if declared.HasField("max") and value > declared.max:
            return f"{expected} of at most {declared.max:g}"
    entries = value if isinstance(value, list) else [value]
    if declared.choices and not all(entry in declared.choices for entry in entries):
        return f"one of {', '.join(declared.choices)}" if debug else "one of the values that the strategy allows"
    return None


def _normal(value: Any, kind: int) -> ParamValue:
    if kind == pb.PARAMETER_TYPE_INT:
        return int(value)
    if kind == pb.PARAMETER_TYPE_FLOAT:
        return float(value)
    return list(value) if isinstance(value, list) else value


def _default(declared: pb.ParameterSchema) -> ParamValue:
    """Return the default of a parameter, which must be right by its own schema."""
    kind = declared.default_value.WhichOneof("value")
    if kind is None:
        raise _bad_schema("a parameter has no default")
    if kind != _TYPES[declared.type][1]:
        raise _bad_schema("a default has another type than its parameter")
    stored = getattr(declared.default_value, kind)
    value: ParamValue = list(stored.values) if kind == "string_list_value" else stored
    if _fault(value, declared, debug=False) is not None:
        raise _bad_schema("a default is not finite, or outside its own bounds or choices")
    return value


def _unknown(name: str, known: Mapping[str, Any] | None) -> Problem:
    """Return the problem of a name that is none of `known`, which is None where it may not be shown."""
    close = difflib.get_close_matches(name, known or (), n=1)
    return Problem(
        path=f"strategy.params.{name}",
        source="",
        what=f"the strategy has no parameter {name!r}",
        expected="a parameter of the strategy" if known is None else f"one of {', '.join(known) or 'none'}",
        remedy=f"did you mean {close[0]!r}?" if close else "remove it",
    )


def _bad_schema(fault: str) -> DescriptionInvalid:
    return DescriptionInvalid(
        f"the strategy's parameter schema is wrong: {fault}",
        where="Describe: parameters",
        expected="unique names, each with a type and a default that the schema itself allows",
        remedy="correct the strategy's declaration",
    )
