"""Where two results of one run differ: table by table, with the first row that is not equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from boxgate_engine.digest import result_digest
from boxgate_engine.tables import ALL_SCHEMAS, SCHEMAS, Tables, empty_table

_SEQ: Final = {"signals": "seq", "fills": "seq", "trades": "exit_seq", "orders": "seq"}
"""Column that tells the event of a row; the equity table has its time alone."""


@dataclass(frozen=True, kw_only=True)
class TableDifference:
    """One table that differs. row: the first row that is not equal, counted from 0; seq: its event, if it has one.

    column: the first that differs in this row, None where one side has no such row. before, now: what stands there.
    """

    table: str
    digest_before: str
    digest_now: str
    rows_before: int
    rows_now: int
    row: int
    seq: int | None
    column: str | None
    before: Any
    now: Any

    def as_dict(self) -> dict[str, Any]:
        """Return it as a JSON object; `told` is the sentence for people."""
        return {**{name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}, "told": str(self)}

    def __str__(self) -> str:
        event = "" if self.seq is None else f", seq {self.seq}"
        if self.column is None:
            return f"{self.table}: {self.rows_before:,} rows before, {self.rows_now:,} now; from row {self.row}{event}"
        told = f"{self.column} was {_plain(self.before)!r} and is {_plain(self.now)!r}"
        return f"{self.table}: row {self.row}{event}: {told}"


def differences(before: Tables, now: Tables) -> list[TableDifference]:
    """Return the tables whose public content differs, in the order of the result digest.

    Where one side alone has orders, the other one counts as having none.
    """
    found = []
    names = [name for name in ALL_SCHEMAS if name in before.names or name in now.names]
    before, now = (_with_all(tables, names) for tables in (before, now))
    for name in names:
        digests = table_digest(before, name), table_digest(now, name)
        if digests[0] != digests[1]:
            found.append(_first_difference(name, (before.public(name), now.public(name)), digests))
    return found


def table_digest(tables: Tables, name: str) -> str:
    """Return the result digest of one table: of a result in which the others are empty."""
    alone = {other: empty_table(other) for other in SCHEMAS}
    return result_digest(Tables(**{**alone, name: tables.public(name)}))


def _with_all(tables: Tables, names: Sequence[str]) -> Tables:
    return Tables(**{name: tables.public(name) if name in tables.names else empty_table(name) for name in names})


def _first_difference(name: str, tables: tuple[pa.Table, pa.Table], digests: tuple[str, str]) -> TableDifference:
    before, now = tables
    common = min(before.num_rows, now.num_rows)
    row, column = common, None
    for field in before.schema:
        unequal = _unequal(before[field.name].slice(0, common), now[field.name].slice(0, common))
        if len(unequal) and unequal[0] < row:
            row, column = int(unequal[0]), field.name
    longer = before if before.num_rows > now.num_rows else now
    seq = longer[_SEQ[name]][row].as_py() if name in _SEQ else None
    return TableDifference(
        table=name,
        digest_before=digests[0],
        digest_now=digests[1],
        rows_before=before.num_rows,
        rows_now=now.num_rows,
        row=row,
        seq=seq,
        column=column,
        before=_value(before, column, row),
        now=_value(now, column, row),
    )


def _unequal(before: pa.ChunkedArray, now: pa.ChunkedArray) -> np.ndarray:
    """Return the rows that differ, ascending. Two nulls are equal; 0.0 equals -0.0."""
    absent = [np.asarray(column.is_null()) for column in (before, now)]
    if pa.types.is_timestamp(before.type):
        before, now = before.cast(pa.int64()), now.cast(pa.int64())
    values = [column.to_numpy() for column in (before, now)]
    both = ~absent[0] & ~absent[1]
    return np.flatnonzero((absent[0] != absent[1]) | (both & (values[0] != values[1])))


def _value(table: pa.Table, column: str | None, row: int) -> Any:
    return None if column is None else table[column].slice(row, 1).to_pylist()[0]


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
