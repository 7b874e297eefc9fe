"""Columns are plain arrays on the wire, and open-ended values stand only where prod mode never looks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from boxgate_proto.strategy.v1 import strategy_pb2, visibility_pb2, window_pb2

_FIXED_WIDTH = {FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_SFIXED64, FieldDescriptor.TYPE_FIXED32}
_METHODS = list(strategy_pb2.DESCRIPTOR.services_by_name["Strategy"].methods)


def test_the_columns_of_a_window_have_a_fixed_width_and_are_packed() -> None:
    columns = [field for field in _fields_below(window_pb2.EventWindow.DESCRIPTOR) if _is_column(field)]
    assert len(columns) >= 20
    assert {field.full_name for field in columns if field.type not in _FIXED_WIDTH or not field.is_packed} == set()


@pytest.mark.parametrize("method", _METHODS, ids=lambda method: str(method.name))
def test_maps_and_structs_stand_in_meta_fields_only(method: MethodDescriptor) -> None:
    open_ended = {
        field.full_name
        for message in (method.input_type, method.output_type)
        for field in _fields_below(message)
        if _is_open_ended(field)
        and field.GetOptions().Extensions[visibility_pb2.visibility] != visibility_pb2.VISIBILITY_META
    }
    assert open_ended == set()


def test_the_open_ended_fields_are_the_known_three() -> None:
    open_ended = {
        field.full_name for method in _METHODS for field in _fields_below(method.output_type) if _is_open_ended(field)
    }
    assert {name.removeprefix("boxgate.strategy.v1.") for name in open_ended} == {
        "Signal.meta",
        "OrderIntent.meta",
        "OnStopResponse.report",
    }


def _fields_below(message: Descriptor, seen: frozenset[str] = frozenset()) -> Iterator[FieldDescriptor]:
    for field in message.fields:
        yield field
        inner = field.message_type
        if inner and not _is_open_ended(field) and inner.full_name not in seen:
            yield from _fields_below(inner, seen | {inner.full_name})


def _is_column(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated) and field.message_type is None


def _is_open_ended(field: FieldDescriptor) -> bool:
    inner = field.message_type
    if inner is None:
        return False
    return inner.full_name.startswith("google.protobuf.") or inner.GetOptions().map_entry
