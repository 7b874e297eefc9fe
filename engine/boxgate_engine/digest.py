"""The result digest: one number for the public content of a run, equal on every machine.

Source: docs/spec/artefacts.md, section 3.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from boxgate_engine.errors import RunFailed
from boxgate_engine.tables import Tables

_FIXED_WIDTH: Final = {"int64": np.dtype("<i8"), "float64": np.dtype("<f8"), "bool": np.dtype("u1")}


def result_digest(tables: Tables) -> str:
    """Return "sha256:" + 64 hex digits over the public columns of signals, fills, trades, equity and orders.

    Without orders of its own a run has no such table, and its digest is that of the others.

    Independent of chunking, of columns that are not public and of the bit pattern of zero.
    Raises RunFailed RESULT_NOT_FINITE, with table, column and row, for NaN or infinity.
    """
    state = hashlib.sha256()
    for name in tables.names:
        table = tables.public(name)
        state.update(_text(name))
        state.update(np.int64(table.num_rows).astype("<i8").tobytes())
        for field in table.schema:
            kind = _type_name(field.type)
            state.update(_text(field.name))
            state.update(_text(kind))
            array = _one_chunk(table.column(field.name))
            encoded = _strings(array) if kind == "string" else _numbers(array, kind, f"{name}.{field.name}")
            state.update(encoded)
    return f"sha256:{state.hexdigest()}"


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind) or pa.types.is_int64(kind):
        return "int64"
    if pa.types.is_float64(kind):
        return "float64"
    if pa.types.is_boolean(kind):
        return "bool"
    assert pa.types.is_string(kind), kind
    return "string"


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "little") + data


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _numbers(array: pa.Array, kind: str, where: str) -> memoryview:
    """Return the octets 0x01 + value per present row and 0x00 per null, values little-endian."""
    present = None if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
    values = _plain_values(array, kind)
    if kind == "float64":
        _check_finite(values, present, where)
        values = values + 0.0  # -0.0 + 0.0 is 0.0, every other double is unchanged
    value_type = _FIXED_WIDTH[kind]
    rows = np.empty(len(values), np.dtype([("present", "u1"), ("value", value_type)]))
    rows["present"] = 1
    rows["value"] = values
    if present is None:
        return rows.view(np.uint8).data
    rows["present"] = present
    keep = np.repeat(present[:, None], rows.itemsize, axis=1)
    keep[:, 0] = True
    octets: npt.NDArray[np.uint8] = rows.view(np.uint8)[keep.reshape(-1)]
    return octets.data


def _plain_values(array: pa.Array, kind: str) -> npt.NDArray[Any]:
    """Return the values of shape (n,); what stands under a null is 0."""
    if pa.types.is_timestamp(array.type):
        array = array.view(pa.int64())
    if array.null_count:
        array = array.fill_null(False if kind == "bool" else 0)
    values: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values


def _check_finite(values: npt.NDArray[Any], present: npt.NDArray[np.bool_] | None, where: str) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    row = int(np.argmin(finite))
    assert present is None or present[row], "nulls were filled with zero"
    raise RunFailed(
        f"the result holds {values[row]} in row {row}",
        code="RESULT_NOT_FINITE",
        where=where,
        expected="a finite number or null",
        remedy="check quantities, prices and leverage: the account left the range of numbers",
    )


def _strings(array: pa.Array) -> memoryview | bytes:
    """Return 0x01 + uint32 length + UTF-8 per present row and 0x00 per null."""
    coded = array.dictionary_encode()
    # The null is one more entry of the dictionary, so that taking the entries lays the whole column side by side.
    entries = [b"\x01" + _text(text) for text in coded.dictionary.to_pylist()] + [b"\x00"]
    indices = coded.indices.fill_null(len(entries) - 1)
    joined = pc.take(pa.array(entries, pa.large_binary()), indices)
    _, offsets, data = joined.buffers()
    size = np.frombuffer(offsets, np.int64, count=len(joined) + 1)[-1] if len(joined) else 0
    return memoryview(data)[:size] if size else b""
