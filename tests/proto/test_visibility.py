"""Every field that a sidecar sends says what prod mode does with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor

from boxgate_proto.strategy.v1 import signal_pb2, strategy_pb2, visibility_pb2

ANSWERS = [method.output_type for method in strategy_pb2.DESCRIPTOR.services_by_name["Strategy"].methods]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: str(answer.name))
def test_every_field_of_an_answer_is_marked(answer: Descriptor) -> None:
    assert list(unmarked(answer)) == []


def test_the_answers_are_those_of_the_four_calls() -> None:
    names = {answer.name for answer in ANSWERS}
    assert names == {"DescribeResponse", "OnInitResponse", "OnEventResponse", "OnStopResponse"}


def test_the_walk_reaches_nested_messages() -> None:
    reached = {message.name for answer in ANSWERS for message in messages(answer)}
    assert {
        "Signal",
        "Risk",
        "OrderIntent",
        "SignalWindow",
        "ParameterSchema",
        "ParameterValue",
        "SeriesRequirement",
    } <= reached


def test_what_names_the_inside_of_a_strategy_is_meta() -> None:
    meta = {
        field.full_name.removeprefix("boxgate.strategy.v1.")
        for answer in ANSWERS
        for message in messages(answer)
        for field in message.fields
        if visibility(field) == visibility_pb2.VISIBILITY_META
    }
    assert {
        "Signal.meta",
        "OrderIntent.client_id",
        "OrderIntent.oco",
        "OrderIntent.meta",
        "ParameterSchema.doc",
        "DescribeResponse.series",
        "OnInitResponse.need_history",
        "OnStopResponse.report",
        "Refused.reason",
    } <= meta


@pytest.mark.parametrize("mark", [None, visibility_pb2.VISIBILITY_UNSPECIFIED])
def test_a_planted_field_without_a_mark_is_found(mark: visibility_pb2.Visibility.ValueType | None) -> None:
    file = descriptor_pb2.FileDescriptorProto()
    signal_pb2.DESCRIPTOR.CopyToProto(file)
    (signal,) = (message for message in file.message_type if message.name == "Signal")
    planted = signal.field.add(name="planted", number=99, json_name="planted")
    planted.type = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    planted.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    if mark is not None:
        planted.options.Extensions[visibility_pb2.visibility] = mark
    assert list(unmarked(_load(file).message_types_by_name["SignalWindow"])) == ["boxgate.strategy.v1.Signal.planted"]


def unmarked(answer: Descriptor) -> Iterator[str]:
    """The full names of the fields below `answer` that are neither PUBLIC nor META."""
    for message in messages(answer):
        for field in message.fields:
            if visibility(field) not in {visibility_pb2.VISIBILITY_PUBLIC, visibility_pb2.VISIBILITY_META}:
                yield field.full_name


def messages(answer: Descriptor) -> list[Descriptor]:
    """The message and every one of the contract that it can contain; those of protobuf itself stay closed."""
    found = {answer.full_name: answer}
    open_ends = [answer]
    while open_ends:
        for field in open_ends.pop().fields:
            inner = field.message_type
            if inner and not inner.full_name.startswith("google.protobuf.") and inner.full_name not in found:
                found[inner.full_name] = inner
                open_ends.append(inner)
    return list(found.values())


def visibility(field: FieldDescriptor) -> int:
    return field.GetOptions().Extensions[visibility_pb2.visibility]


def _load(file: descriptor_pb2.FileDescriptorProto) -> FileDescriptor:
    pool = descriptor_pool.DescriptorPool()
    for dependency in signal_pb2.DESCRIPTOR.dependencies:
        _add(pool, dependency)
    pool.AddSerializedFile(file.SerializeToString())
    return pool.FindFileByName(file.name)


def _add(pool: descriptor_pool.DescriptorPool, file: FileDescriptor) -> None:
    for dependency in file.dependencies:
        _add(pool, dependency)
    pool.AddSerializedFile(file.serialized_pb)
