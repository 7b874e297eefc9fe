"""What a strategy says of itself: name, version, author, description, frames."""

from __future__ import annotations

from typing import Any

import pytest

from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_sdk import Strategy, errors
from boxgate_sdk._contract import describe
from boxgate_sdk._server import check_strategy


class Told(Strategy):
    name = "told"
    version = "1.2"
    description = "Says what it is."
    author = "A. Author"
    frames = ("H1", "tick")

    def on_event(self, event: Any) -> None:
        return None


def test_the_attributes_of_the_class_are_what_describe_answers() -> None:
    answer = describe(Told, strategy_pb2.DescribeRequest())
    assert (answer.name, answer.version, answer.description, answer.author) == (
        "told",
        "1.2",
        "Says what it is.",
        "A. Author",
    )
    assert list(answer.frames) == ["H1", "tick"]
    check_strategy(Told)


@pytest.mark.parametrize("frames", [("H1", "H2"), ("h1",), "H1", ("",)])
def test_a_frame_that_is_none_is_a_mistake_of_the_class(frames: Any) -> None:
    wrong = type("Wrong", (Told,), {"frames": frames})
    with pytest.raises(errors.StrategyMistake, match="frames"):
        check_strategy(wrong)
    with pytest.raises(errors.StrategyMistake, match="frames"):
        describe(wrong, strategy_pb2.DescribeRequest())
