"""Parameters of a run against the schema of the strategy."""

from __future__ import annotations

import math
from typing import Any

import pytest

from boxgate_engine.errors import ConfigInvalid
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.errors import DescriptionInvalid
from boxgate_server.sessions.parameters import complete_parameters, parameter_messages

FLOAT = pb.PARAMETER_TYPE_FLOAT
INT = pb.PARAMETER_TYPE_INT


def declared(name: str, kind: pb.ParameterType.ValueType, default: Any, **limits: Any) -> pb.ParameterSchema:
    value = pb.ParameterValue()
    if isinstance(default, bool):
        value.bool_value = default
    elif isinstance(default, int):
        value.int_value = default
    elif isinstance(default, float):
        value.float_value = default
    elif isinstance(default, str):
        value.string_value = default
    elif isinstance(default, list):
        value.string_list_value.values.extend(default)
    return pb.ParameterSchema(name=name, type=kind, default_value=value, **limits)


SCHEMA = [
    declared("length", INT, 20, min=1, max=500),
    declared("width", FLOAT, 1.5, min=0.0),
    declared("on", pb.PARAMETER_TYPE_BOOL, True),
    declared("kind", pb.PARAMETER_TYPE_STRING, "fast", choices=["fast", "slow"]),
    declared("tags", pb.PARAMETER_TYPE_STRING_LIST, ["a"]),
]


def test_defaults_are_filled_in() -> None:
    assert complete_parameters({}, SCHEMA) == {"length": 20, "width": 1.5, "on": True, "kind": "fast", "tags": ["a"]}


def test_numbers_become_what_their_type_says() -> None:
    """2 and 2.0 of one parameter are one value, so that they are one run."""
    params = complete_parameters({"length": 7.0, "width": 2}, SCHEMA)
    assert repr((params["length"], params["width"])) == "(7, 2.0)"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"length": 0}, "at least 1"),
        ({"length": 501}, "at most 500"),
        ({"length": 2.5}, "a whole number"),
        ({"length": True}, "a whole number"),
        ({"length": "20"}, "a whole number"),
        ({"length": 2.0**60}, "a whole number"),
        ({"width": -0.1}, "at least 0"),
        ({"width": math.nan}, "a number"),
        ({"width": math.inf}, "a number"),
        ({"on": 1}, "true or false"),
        ({"kind": "slwo"}, "one of fast, slow"),
        ({"kind": 3}, "text"),
        ({"tags": "a"}, "a list of texts"),
        ({"tags": ["a", 1]}, "a list of texts"),
    ],
)
def test_a_wrong_value_is_refused_by_name(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        complete_parameters(given, SCHEMA)
    (problem,) = caught.value.problems
    assert problem.path == f"strategy.params.{next(iter(given))}"
    assert expected in problem.expected


def test_all_problems_are_told_at_once_with_a_suggestion_for_an_unknown_name() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        complete_parameters({"lenght": 10, "width": -1.0, "zzz": 1}, SCHEMA)
    by_path = {problem.path: problem for problem in caught.value.problems}
    assert by_path.keys() == {"strategy.params.lenght", "strategy.params.width", "strategy.params.zzz"}
    assert "'length'" in by_path["strategy.params.lenght"].remedy
    assert by_path["strategy.params.zzz"].remedy == "remove it"


@pytest.mark.parametrize(
    "schema",
    [
        [declared("a", INT, 1), declared("a", INT, 2)],
        [declared("a", pb.PARAMETER_TYPE_UNSPECIFIED, 1)],
        [declared("a", INT, None)],
        [declared("a", FLOAT, math.nan)],
        [declared("a", INT, "text")],
        [declared("a", INT, 0, min=1)],
        [declared("a", pb.PARAMETER_TYPE_STRING, "x", choices=["y"])],
    ],
    ids=["twice", "no type", "no default", "not finite", "another type", "out of bounds", "not a choice"],
)
def test_a_schema_that_breaks_the_contract_is_the_strategys_fault(schema: list[pb.ParameterSchema]) -> None:
    with pytest.raises(DescriptionInvalid):
        complete_parameters({}, schema)


def test_messages_carry_every_parameter_in_the_order_of_the_schema() -> None:
    params = complete_parameters({"width": 3}, SCHEMA)
    messages = parameter_messages(params, SCHEMA)
    assert [message.name for message in messages] == list(params)
    kinds = [message.value.WhichOneof("value") for message in messages]
    assert kinds == ["int_value", "float_value", "bool_value", "string_value", "string_list_value"]
    assert list(messages[4].value.string_list_value.values) == ["a"]
    assert messages[1].value.float_value == 3.0
