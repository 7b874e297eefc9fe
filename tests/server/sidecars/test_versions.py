"""S18: what gateway and sidecar agree on, and what is a refusal by name."""

from __future__ import annotations

import pytest

from boxgate_engine.errors import BoxgateError
from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_server.sidecars import CAPABILITIES, negotiate

OFFERED = {"FEEDBACK", "TICKS", "VECTOR"}


def described(
    *, name: str = "a", version: str = "1", versions: tuple[int, ...] = (1,), requires: str = "", supports: str = ""
) -> strategy_pb2.DescribeResponse:
    return strategy_pb2.DescribeResponse(
        name=name,
        version=version,
        contract_versions=versions,
        requires=requires.split(),
        supports=supports.split(),
    )


def refused(response: strategy_pb2.DescribeResponse, mode: str = "debug") -> BoxgateError:
    with pytest.raises(BoxgateError) as caught:
        negotiate(response, OFFERED, mode=mode)
    return caught.value


def test_granted_is_what_is_offered_and_required_or_supported() -> None:
    assert negotiate(described(requires="FEEDBACK", supports="TICKS RESET"), OFFERED, mode="debug") == {
        "FEEDBACK",
        "TICKS",
    }


def test_an_unknown_name_in_supports_is_ignored() -> None:
    assert negotiate(described(supports="NEW_IN_V2"), OFFERED, mode="prod") == frozenset()


@pytest.mark.parametrize("name", ["NEW_IN_V2", "RESET", "ORDERS", "feedback"])
def test_a_required_capability_that_is_not_offered_is_refused_by_name(name: str) -> None:
    error = refused(described(requires=f"FEEDBACK {name}"))
    assert (error.error_code, error.exit_code) == ("CAPABILITY_NOT_OFFERED", 2)
    assert repr(name) in error.what
    assert "FEEDBACK, TICKS, VECTOR" in error.expected


def test_in_prod_only_names_of_the_contract_are_repeated() -> None:
    error = refused(described(requires="CANARY RESET"), mode="prod")
    assert "'RESET'" in error.what
    assert "CANARY" not in str(error)
    assert "CANARY" not in str(refused(described(requires="CANARY"), mode="prod"))


@pytest.mark.parametrize(("versions", "shown"), [((), "none"), ((2, 3), "2, 3"), ((0,), "0")])
def test_without_a_common_version_both_sides_are_named(versions: tuple[int, ...], shown: str) -> None:
    error = refused(described(versions=versions))
    assert (error.error_code, error.exit_code) == ("PROTO_VERSION", 2)
    assert f"ours=1 theirs={shown}" in error.what


def test_a_sidecar_may_speak_other_versions_besides() -> None:
    assert negotiate(described(versions=(1, 2)), OFFERED, mode="debug") == frozenset()


@pytest.mark.parametrize(
    "response",
    [
        described(name=""),
        described(name="canary text"),
        described(name="canary" * 20),
        described(name="canary\n"),
        described(version=""),
        described(version="canary/2"),
        described(version="1" * 33),
    ],
)
def test_name_and_version_are_words_of_bounded_length(response: strategy_pb2.DescribeResponse) -> None:
    assert refused(response).error_code == "DESCRIPTION_INVALID"
    assert "canary" not in str(refused(response, mode="prod"))


def test_every_capability_of_the_contract_is_known() -> None:
    assert {
        "FEEDBACK",
        "TICKS",
        "ORDERS",
        "HEDGING",
        "HOST_HISTORY",
        "VECTOR",
        "RESET",
        "HISTORY_HANDLES",
    } == CAPABILITIES
