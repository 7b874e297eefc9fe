"""The result digest: one number for the public content of a run, equal on every machine.

Source: docs/spec/artefacts.md, section 3.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from boxgate_engine.beside import Beside
from boxgate_engine.errors import RunFailed
from boxgate_engine.tables import ALL_SCHEMAS, Tables

_ROW: Final = {
    name: np.dtype([("present", "u1"), ("value", kind)])
    for name, kind in (("int64", "<i8"), ("float64", "<f8"), ("bool", "u1"))
}
"""One row of a column of fixed width that is not null."""
_BLOCK: Final = 1 << 16
"""Rows that are laid out together: few enough to stay in the processor's cache."""
FEW_ROWS: Final = 20_000
"""Rows of the equity curve up to which a thread costs more than it saves."""
_FEW_TEXTS: Final = 400
"""Rows up to which texts are joined one by one."""


def result_digest(tables: Tables) -> str:
    """Return "sha256:" + 64 hex digits over the public columns of signals, fills, trades, equity and orders.

    Without orders of its own a run has no such table, and its digest is that of the others.

    Independent of chunking, of columns that are not public and of the bit pattern of zero.
    Raises RunFailed RESULT_NOT_FINITE, with table, column and row, for NaN or infinity.
    """
    return _digest((name, tables.table(name)) for name in tables.names)


class DigestBeside:
    """The digest of a result, computed on a thread of its own while the later tables and all else are made.

    Hashing needs no interpreter; it is the longest single piece of work behind a session.
    """

    def __init__(self, rows: int) -> None:
        """Begin. rows: of the equity curve; few of them are not worth a thread."""
        self._tables: SimpleQueue[tuple[str, pa.Table] | None] = SimpleQueue()
        self._digest = Beside(
            lambda: _digest(iter(self._tables.get, None)), name="boxgate-digest", threaded=rows > FEW_ROWS
        )

    def add(self, name: str, table: pa.Table) -> None:
        """Give the next table, in the order of ALL_SCHEMAS."""
        self._tables.put((name, table))

    def finish(self) -> None:
        """Say that all tables were given."""
        self._tables.put(None)

    def value(self) -> str:
        """Return what `result_digest` returns, once it is known. Raises as that does."""
        return self._digest.value()


def _digest(tables: Iterable[tuple[str, pa.Table]]) -> str:
    """Return the digest of the public columns of tables."""
    state = hashlib.sha256()
    for name, table in tables:
        state.update(_text(name))
        state.update(np.int64(table.num_rows).astype("<i8").tobytes())
        for column, kind, head in _columns(name):
            state.update(head)
            array = _one_chunk(table.column(column))
            encoded = _strings(array) if kind == "string" else _numbers(array, kind, f"{name}.{column}")
            for octets in encoded:
                state.update(octets)
    return f"sha256:{state.hexdigest()}"


@functools.cache
def _columns(table: str) -> list[tuple[str, str, bytes]]:
    """Return name, type and octets of both for each public column of a table."""
    kinds = [(field.name, _type_name(field.type)) for field in ALL_SCHEMAS[table]]
    return [(name, kind, _text(name) + _text(kind)) for name, kind in kinds]


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind) or pa.types.is_int64(kind):
        return "int64"
    if pa.types.is_float64(kind):
        return "float64"
    if pa.types.is_boolean(kind):
        return "bool"
    assert pa.types.is_string(kind), kind
    return "string"


def _entry(text: str | None) -> bytes:
    return b"\x00" if text is None else b"\x01" + _text(text)


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(4, "little") + data


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    if column.num_chunks == 1:
        return column.chunk(0)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _numbers(array: pa.Array, kind: str, where: str) -> Iterator[memoryview]:
    """Yield the octets 0x01 + value per present row and 0x00 per null, values little-endian."""
    if array.null_count == len(array):
        yield memoryview(bytes(len(array)))
        return
    present = None if array.null_count == 0 else array.is_valid().to_numpy(zero_copy_only=False)
    values = _plain_values(array, kind)
    block = np.empty(min(len(values), _BLOCK), _ROW[kind])
    block["present"] = 1
    for start in range(0, len(values), _BLOCK):
        part = values[start : start + _BLOCK]
        rows = block[: len(part)]
        if kind == "float64":
            _check_finite(part, where, start)
            np.add(part, 0.0, out=rows["value"])  # -0.0 + 0.0 is 0.0, every other double is unchanged
        else:
            rows["value"] = part
        if present is None:
            yield rows.view(np.uint8).data
        else:
            yield _without_nulls(rows, present[start : start + _BLOCK])


def _without_nulls(rows: npt.NDArray[Any], present: npt.NDArray[np.bool_]) -> memoryview:
    """Return the octets of a block in which a null is a single one."""
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


def _check_finite(values: npt.NDArray[Any], where: str, first_row: int) -> None:
    finite = np.isfinite(values)
    if finite.all():
        return
    row = int(np.argmin(finite))
    raise RunFailed(
        f"the result holds {values[row]} in row {first_row + row}",
        code="RESULT_NOT_FINITE",
        where=where,
        expected="a finite number or null",
        remedy="check quantities, prices and leverage: the account left the range of numbers",
    )


def _strings(array: pa.Array) -> Iterator[memoryview | bytes]:
    """Yield 0x01 + uint32 length + UTF-8 per present row and 0x00 per null."""
    if len(array) <= _FEW_TEXTS:
        texts = array.to_pylist()
        octets = {text: _entry(text) for text in set(texts)}
        yield b"".join([octets[text] for text in texts])
        return
    coded = array.dictionary_encode()
    # The null is one more entry of the dictionary, so that taking the entries lays the whole column side by side.
    entries = [_entry(text) for text in [*coded.dictionary.to_pylist(), None]]
    if len(entries) == 1 or (len(entries) == 2 and not array.null_count):
        yield entries[0] * len(array)
        return
    indices = coded.indices.fill_null(len(entries) - 1)
    joined = pc.take(pa.array(entries, pa.large_binary()), indices)
    _, offsets, data = joined.buffers()
    yield memoryview(data)[: np.frombuffer(offsets, np.int64, count=len(joined) + 1)[-1]]
