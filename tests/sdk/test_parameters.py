"""Parameters: what a declaration becomes, and how wrong values are named."""

from __future__ import annotations

from typing import Any

import pytest

from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_sdk import (
    Bar,
    BoolParameter,
    FloatParameter,
    IntParameter,
    Strategy,
    StringListParameter,
    StringParameter,
    errors,
)
from boxgate_sdk._contract import describe
from boxgate_sdk.parameters import bind
from boxgate_sdk.testing import InProcess, bars


class _All(Strategy):
    version = "1.2"
    flag = BoolParameter(True, doc="A switch.")
    count = IntParameter(10, min=1, max=500, doc="How many.")
    rate = FloatParameter(0.5, min=0.0, doc="How much.")
    form = StringParameter("a", choices=("a", "b"))
    names = StringListParameter(["x"], choices=("x", "y"))

    def history_events(self) -> int:
        return self.count

    def on_event(self, event: Bar) -> None:
        return None


class _More(_All):
    count = IntParameter(20, max=99)


def test_declarations_become_the_schema() -> None:
    described = describe(_All, strategy_pb2.DescribeRequest())
    assert (described.name, described.version, list(described.contract_versions)) == ("_All", "1.2", [1])
    by_name = {parameter.name: parameter for parameter in described.parameters}
    assert list(by_name) == ["flag", "count", "rate", "form", "names"]
    assert by_name["flag"].default_value.bool_value is True
    assert (by_name["count"].min, by_name["count"].max, by_name["count"].default_value.int_value) == (1, 500, 10)
    assert not by_name["rate"].HasField("max")
    assert list(by_name["form"].choices) == ["a", "b"]
    assert list(by_name["names"].default_value.string_list_value.values) == ["x"]
    types = [strategy_pb2.ParameterType.Name(p.type).removeprefix("PARAMETER_TYPE_") for p in described.parameters]
    assert types == ["BOOL", "INT", "FLOAT", "STRING", "STRING_LIST"]
    assert [s.history_events for s in described.series] == [10]


def test_needs_follow_the_values_and_a_subclass_may_declare_anew() -> None:
    value = strategy_pb2.ParameterValue(int_value=7)
    request = strategy_pb2.DescribeRequest(parameters=[strategy_pb2.Parameter(name="count", value=value)])
    assert describe(_All, request).series[0].history_events == 7
    assert describe(_More, strategy_pb2.DescribeRequest()).series[0].history_events == 20


def test_values_are_plain_attributes_and_a_whole_number_is_a_float_where_one_is_wanted() -> None:
    strategy = _All()
    assert bind(strategy, {"rate": 2, "names": ["y", "x"]})["rate"] == 2.0
    assert isinstance(strategy.rate, float)
    assert (strategy.count, strategy.names) == (10, ("y", "x"))


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("cuont", 3, "PARAMETER_UNKNOWN"),
        ("flag", 1, "PARAMETER_TYPE"),
        ("count", 2.0, "PARAMETER_TYPE"),
        ("count", True, "PARAMETER_TYPE"),
        ("count", "7", "PARAMETER_TYPE"),
        ("count", 0, "PARAMETER_RANGE"),
        ("count", 501, "PARAMETER_RANGE"),
        ("rate", -0.1, "PARAMETER_RANGE"),
        ("rate", float("nan"), "PARAMETER_TYPE"),
        ("rate", None, "PARAMETER_TYPE"),
        ("form", "c", "PARAMETER_CHOICE"),
        ("names", "x", "PARAMETER_TYPE"),
        ("names", ["z"], "PARAMETER_CHOICE"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: Any, code: str) -> None:
    with pytest.raises(errors.ParameterError) as refused:
        bind(_All(), {name: value})
    assert refused.value.code == code
    assert refused.value.where == f"strategy.params.{name}"


def test_a_typing_mistake_gets_a_suggestion() -> None:
    with pytest.raises(errors.ParameterUnknown, match="did you mean 'count'"):
        bind(_All(), {"cuont": 3})


def test_a_whole_number_has_at_most_53_bits() -> None:
    class Wide(Strategy):
        n = IntParameter(0)

    assert bind(Wide(), {"n": 2**53}) == {"n": 2**53}
    with pytest.raises(errors.ParameterOutOfRange):
        bind(Wide(), {"n": 2**53 + 1})


def test_a_default_that_breaks_its_own_bounds_is_refused_where_it_is_declared() -> None:
    with pytest.raises((errors.ParameterOutOfRange, RuntimeError)):

        class Broken(Strategy):
            n = IntParameter(0, min=1)


def test_values_that_conflict_are_refused_by_the_author() -> None:
    class Pair(Strategy):
        low = IntParameter(1)
        high = IntParameter(2)

        def check_parameters(self) -> None:
            if self.low >= self.high:
                raise errors.ParameterConflict("low is not below high", where="low", expected="low < high")

        def on_event(self, event: Bar) -> None:
            return None

    with pytest.raises(errors.ParameterConflict) as refused:
        InProcess(Pair, {"low": 5}).run(bars([1.0]))
    assert refused.value.where == "strategy.params.low"
