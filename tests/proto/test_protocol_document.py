"""The normative document leaves no call and no value of the contract without a word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import EnumDescriptor

from boxgate_proto.strategy.v1 import (
    account_pb2,
    instrument_pb2,
    order_pb2,
    signal_pb2,
    strategy_pb2,
    visibility_pb2,
    window_pb2,
)

_MODULES = (account_pb2, instrument_pb2, order_pb2, signal_pb2, strategy_pb2, visibility_pb2, window_pb2)
_FILES = [module.DESCRIPTOR for module in _MODULES]
_ENUMS = [enum for file in _FILES for enum in file.enum_types_by_name.values()]
_RPCS = [method.name for method in strategy_pb2.DESCRIPTOR.services_by_name["Strategy"].methods]


@pytest.fixture(scope="module")
def document(repository: Path) -> str:
    return (repository / "docs" / "spec" / "strategy-protocol.md").read_text(encoding="utf-8")


def test_it_is_normative(document: str) -> None:
    assert re.search(r"\bMUST\b", document)
    assert re.search(r"\bMUST NOT\b", document)
    assert re.search(r"\bSHOULD\b", document)


@pytest.mark.parametrize("rpc", _RPCS)
def test_each_call_has_a_section_with_an_error_table(document: str, rpc: str) -> None:
    section = re.search(rf"^(#+) [^\n]*\b{rpc}\b[^\n]*\n(.*?)(?=^#{{1,2}} |\Z)", document, re.M | re.S)
    assert section, f"no heading names {rpc}"
    table = re.search(r"^\|(.*)\|\n\|[ |:-]+\|\n", section[2], re.M)
    assert table, f"{rpc} has no table"


@pytest.mark.parametrize("enum", _ENUMS, ids=lambda enum: str(enum.name))
def test_each_enum_value_is_named(document: str, enum: EnumDescriptor) -> None:
    assert [value.name for value in enum.values if not re.search(rf"\b{value.name}\b", document)] == []
