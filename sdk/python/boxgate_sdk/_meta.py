"""The meta of a signal and the report of on_stop, as a protobuf Struct."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from boxgate_sdk.errors import MetaInvalid


def to_struct(values: Mapping[str, Any]) -> Struct:
    """Return the values as a Struct; numbers that are not finite become null, as JSON has none.

    Raises MetaInvalid, with the path of the first value that has no JSON form.
    """
    struct = Struct()
    _fill(struct, values, "meta")
    return struct


def encode_meta(values: Mapping[str, Any]) -> bytes:
    """Return the serialised Struct, keys sorted."""
    return to_struct(values).SerializeToString(deterministic=True)


def _fill(struct: Struct, values: Mapping[str, Any], where: str) -> None:
    if not isinstance(values, Mapping):
        raise MetaInvalid(where, values)
    for key, value in values.items():
        if not isinstance(key, str):
            raise MetaInvalid(f"{where}.{key}", key)
        _set(struct.fields[key], value, f"{where}.{key}")


def _set(target: Value, value: Any, where: str) -> None:
    if value is None:
        target.null_value = 0  # type: ignore[assignment]  # NULL_VALUE
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        _fill(target.struct_value, value, where)
    elif isinstance(value, (list, tuple)):
        target.list_value.SetInParent()
        for i, item in enumerate(value):
            _set(target.list_value.values.add(), item, f"{where}[{i}]")
    elif hasattr(value, "__float__"):
        number = float(value)
        if math.isfinite(number):
            target.number_value = number
        else:
            target.null_value = 0  # type: ignore[assignment]  # NULL_VALUE
    elif hasattr(value, "tolist"):
        _set(target, value.tolist(), where)
    else:
        raise MetaInvalid(where, value)
