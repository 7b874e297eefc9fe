"""Describe and OnInit: what is granted, what is wanted, how a session opens."""

from __future__ import annotations

from typing import Any

import pytest

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import ConfigInvalid
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.errors import CapabilityNotOffered, DescriptionInvalid, ProtocolVersion, StrategyRefused
from boxgate_server.sessions.opening import describe, open_session, requirements


class Series:
    def __init__(self, symbol: str, frame: str) -> None:
        self.symbol = symbol
        self.frame = frame


class Feed:
    def __init__(self, index: int, symbol: str, frame: str) -> None:
        self.index = index
        self.instrument = 0
        self.series = Series(symbol, frame)


FEEDS: Any = [Feed(0, "EURUSD", "M1"), Feed(1, "EURUSD", "H1"), Feed(2, "XAUUSD", "M1"), Feed(3, "XAUUSD", "H1")]


class Connection:
    """Answers as the test says and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def describe(self, request: pb.DescribeRequest) -> Any:
        self.asked.append(request)
        return self.answer

    def on_init(self, request: pb.OnInitRequest) -> Any:
        self.asked.append(request)
        return self.answer


def config(**changes: Any) -> RunConfig:
    keys: dict[str, Any] = {
        "strategy": {"command": ["python", "x.py"], "params": {}},
        "dataset": "demo",
        "instruments": ["EURUSD"],
        "frames": ["M1"],
        "window": {"start": "first", "end": "last"},
        "account": {"currency": "USD", "cash": 1000.0},
    }
    return RunConfig.model_validate({**keys, **changes})


def description(**fields: Any) -> pb.DescribeResponse:
    return pb.DescribeResponse(**{"name": "s", "version": "1", "contract_versions": [1], **fields})


def test_a_strategy_is_asked_for_its_schema_first_and_then_with_all_parameters() -> None:
    schema = pb.ParameterSchema(name="n", type=pb.PARAMETER_TYPE_INT, default_value=pb.ParameterValue(int_value=3))
    asked: Any = Connection(description(parameters=[schema]))
    described = describe(asked, config())
    first, second = asked.asked
    assert not first.parameters
    assert [(p.name, p.value.int_value) for p in second.parameters] == [("n", 3)]
    assert list(first.contract_versions) == [1]
    assert described.params == {"n": 3}


def test_what_is_offered_and_named_is_granted() -> None:
    asked: Any = Connection(description(requires=["FEEDBACK"], supports=["VECTOR", "ORDERS", "FUTURE"]))
    assert describe(asked, config()).granted == {"FEEDBACK", "VECTOR", "ORDERS"}


def test_positions_by_name_need_orders() -> None:
    asked: Any = Connection(description(supports=["HEDGING"]))
    assert describe(asked, config()).granted == set()
    asked = Connection(description(requires=["HEDGING"]))
    with pytest.raises(CapabilityNotOffered, match="HEDGING"):
        describe(asked, config())


def test_a_capability_that_is_required_and_not_offered_is_refused_by_name() -> None:
    asked: Any = Connection(description(requires=["HOST_HISTORY"]))
    with pytest.raises(CapabilityNotOffered, match="HOST_HISTORY"):
        describe(asked, config())


def test_no_version_in_common_names_both_sides() -> None:
    asked: Any = Connection(description(contract_versions=[4, 9]))
    with pytest.raises(ProtocolVersion, match="ours=1 theirs=4, 9"):
        describe(asked, config())


def test_ticks_need_a_strategy_that_takes_them() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        describe(Connection(description()), config(frames=["tick"]))  # type: ignore[arg-type]
    assert caught.value.problems[0].path == "frames"
    asked: Any = Connection(description(supports=["TICKS"]))
    assert "TICKS" in describe(asked, config(frames=["tick"])).granted


@pytest.mark.parametrize(
    ("wanted", "needs"),
    [
        ([], [0, 0, 0, 0]),
        ([("", "", 10)], [10, 0, 10, 0]),
        ([("", "H1", 10)], [0, 10, 0, 10]),
        ([("XAUUSD", "", 10), ("XAUUSD", "M1", 7)], [0, 0, 10, 0]),
        ([("", "M1", 5), ("EURUSD", "M1", 20), ("XAUUSD", "H1", 1)], [20, 0, 5, 1]),
    ],
)
def test_the_history_of_each_series_is_the_largest_that_is_wanted(
    wanted: list[tuple[str, str, int]], needs: list[int]
) -> None:
    """An empty symbol is every instrument, an empty frame the first of the run."""
    asked = [pb.SeriesRequirement(symbol=s, frame=f, history_events=n) for s, f, n in wanted]
    assert requirements(asked, FEEDS) == needs


def test_all_series_that_the_run_lacks_are_told_at_once() -> None:
    asked = [pb.SeriesRequirement(symbol="BTCUSDT"), pb.SeriesRequirement(frame="D1")]
    with pytest.raises(ConfigInvalid) as caught:
        requirements(asked, FEEDS)
    assert [problem.path for problem in caught.value.problems] == ["instruments", "frames"]
    assert "BTCUSDT M1" in caught.value.problems[0].what
    assert "every instrument D1" in caught.value.problems[1].what


def test_an_absurd_need_is_the_strategys_fault() -> None:
    with pytest.raises(DescriptionInvalid):
        requirements([pb.SeriesRequirement(history_events=2**50)], FEEDS)


def opened(answer: pb.OnInitResponse, *, debug: bool = True) -> list[int]:
    asked: Any = Connection(answer)
    return open_session(asked, pb.OnInitRequest(), FEEDS, debug=debug)


def test_an_accepted_session_needs_no_more() -> None:
    assert opened(pb.OnInitResponse(accepted=pb.Accepted())) == []


def test_a_need_of_history_is_told_per_feed() -> None:
    need = pb.NeedHistory(series=[pb.SeriesRequirement(symbol="EURUSD", frame="H1", history_events=99)])
    assert opened(pb.OnInitResponse(need_history=need)) == [0, 99, 0, 0]


@pytest.mark.parametrize("answer", [pb.OnInitResponse(), pb.OnInitResponse(need_history=pb.NeedHistory())])
def test_an_answer_without_an_outcome_breaks_the_contract(answer: pb.OnInitResponse) -> None:
    with pytest.raises(DescriptionInvalid):
        opened(answer)


def test_a_reason_is_shown_in_debug_alone() -> None:
    answer = pb.OnInitResponse(refused=pb.Refused(reason="canary"))
    with pytest.raises(StrategyRefused, match="canary"):
        opened(answer)
    with pytest.raises(StrategyRefused) as caught:
        opened(answer, debug=False)
    assert "canary" not in str(caught.value)


def test_a_run_with_a_frame_that_the_strategy_is_not_made_for_is_refused_by_name() -> None:
    asked: Any = Connection(description(frames=["H1", "H4"]))
    with pytest.raises(ConfigInvalid) as refused:
        describe(asked, config(frames=["H1", "M1"]))
    (problem,) = refused.value.problems
    assert problem.path == "frames"
    assert "M1" in problem.what
    assert "H1 H4" in problem.expected
    describe(asked, config(frames=["H4"]))


def test_prod_refuses_a_frame_without_telling_those_that_the_strategy_is_made_for() -> None:
    asked: Any = Connection(description(frames=["H4", "W1"]))
    with pytest.raises(ConfigInvalid) as refused:
        describe(asked, config(frames=["M1"], mode="prod"))
    said = str(refused.value.as_dict()) + str(refused.value)
    assert "M1" in said
    assert "H4" not in said
    assert "W1" not in said


@pytest.mark.parametrize("mode", ["debug", "prod"])
def test_a_frame_that_is_none_is_the_strategys_mistake_and_prod_does_not_repeat_it(mode: str) -> None:
    asked: Any = Connection(description(frames=["canary"]))
    with pytest.raises(DescriptionInvalid) as refused:
        describe(asked, config(frames=["M1"], mode=mode))
    assert ("canary" in str(refused.value)) == (mode == "debug")
