"""The four result tables of a run: columns, types, order, and which of them are public.

Times are nanoseconds since 1970-01-01 UTC, money is in account currency, prices in quote currency, quantities in
base units. Public columns enter the result digest; the others exist in debug mode only.
Source: docs/spec/artefacts.md, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_TIME: Final = pa.timestamp("ns", tz="UTC")

SIDES: Final = ("LONG", "SHORT")
"""Direction of a closed or open position."""
ORDER_SIDES: Final = ("BUY", "SELL")
"""Direction of a fill."""
SIGNAL_SIDES: Final = ("BUY", "SELL", "FLAT")
"""What a signal asks for."""
EXIT_REASONS: Final = ("SIGNAL", "STOP_LOSS", "TAKE_PROFIT", "LIQUIDATION", "EXPIRY", "END")
"""Why a quantity was closed."""
FILL_REASONS: Final = ("ENTRY", *EXIT_REASONS)
"""Why a fill happened."""
LIQUIDITIES: Final = ("MAKER", "TAKER")
"""Whether a fill gave or took liquidity."""
OUTCOMES: Final = ("EXECUTED", "NO_OP", "RESTING", "REJECTED", "UNEXECUTED")
"""What became of a signal."""

META: Final = "meta"
"""The debug column of signals: canonical JSON of the strategy's own notes; never in prod, never in the digest."""


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _optional(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=True)


SIGNALS: Final = pa.schema(
    [
        _required("seq", pa.int64()),
        _required("time", _TIME),
        _required("instrument", pa.string()),
        _required("side", pa.string()),
        _optional("qty", pa.float64()),
        _optional("price", pa.float64()),
        _optional("sl", pa.float64()),
        _optional("tp", pa.float64()),
        _optional("valid_until_ns", pa.int64()),
        _required("adjust_only", pa.bool_()),
        _required("outcome", pa.string()),
        _optional("reject_reason", pa.string()),
    ]
)
"""One row per signal, by seq, then instrument. Values are on the tick and lot grid."""

SIGNALS_DEBUG: Final = SIGNALS.append(_optional(META, pa.string()))
"""Signals with the strategy's notes, as stored in debug mode."""

FILLS: Final = pa.schema(
    [
        _required("seq", pa.int64()),
        _required("time", _TIME),
        _required("instrument", pa.string()),
        _required("side", pa.string()),
        _required("qty", pa.float64()),
        _required("price", pa.float64()),
        _required("reference_price", pa.float64()),
        _required("fee", pa.float64()),
        _required("slippage", pa.float64()),
        _required("liquidity", pa.string()),
        _required("reason", pa.string()),
        _optional("signal_seq", pa.int64()),
        _required("path_dependent", pa.bool_()),
    ]
)
"""One row per fill, in the order in which they happened. fee and slippage are costs, >= 0, in account currency."""

TRADES: Final = pa.schema(
    [
        _required("trade_id", pa.int64()),
        _required("instrument", pa.string()),
        _required("side", pa.string()),
        _required("qty", pa.float64()),
        _required("entry_seq", pa.int64()),
        _required("entry_time_ns", pa.int64()),
        _required("entry_price", pa.float64()),
        _required("exit_seq", pa.int64()),
        _required("exit_time_ns", pa.int64()),
        _required("exit_price", pa.float64()),
        _required("exit_reason", pa.string()),
        _required("gross_pnl", pa.float64()),
        _required("fees", pa.float64()),
        _required("funding", pa.float64()),
        _required("swap", pa.float64()),
        _required("net_pnl", pa.float64()),
        _required("slippage_cost", pa.float64()),
        _required("mae", pa.float64()),
        _required("mfe", pa.float64()),
        _required("bars_held", pa.int64()),
        _required("path_dependent", pa.bool_()),
    ]
)
"""One row per closed quantity, by exit, then seq. net_pnl = gross_pnl - fees + funding + swap."""

EQUITY: Final = pa.schema(
    [
        _required("time", _TIME),
        _required("equity", pa.float64()),
        _required("cash", pa.float64()),
        _required("unrealised_pnl", pa.float64()),
        _required("margin_used", pa.float64()),
        _required("exposure_gross", pa.float64()),
        _required("exposure_net", pa.float64()),
        _required("drawdown", pa.float64()),
    ]
)
"""One row per moment, after all its bars; the first row is the start with the initial cash."""

SCHEMAS: Final[dict[str, pa.Schema]] = {"signals": SIGNALS, "fills": FILLS, "trades": TRADES, "equity": EQUITY}
"""Public schema of each table, in the order in which the digest reads them."""

_ALLOWED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "signals": {"side": SIGNAL_SIDES, "outcome": OUTCOMES},
    "fills": {"side": ORDER_SIDES, "liquidity": LIQUIDITIES, "reason": FILL_REASONS},
    "trades": {"side": SIDES, "exit_reason": EXIT_REASONS},
    "equity": {},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """The complete result of a run. Each table has its schema above; signals may carry `meta` in debug mode."""

    signals: pa.Table
    fills: pa.Table
    trades: pa.Table
    equity: pa.Table

    def __post_init__(self) -> None:
        for name, schema in SCHEMAS.items():
            table = self.table(name)
            assert tuple(table.column_names[: len(schema)]) == tuple(schema.names), name
            assert set(table.column_names[len(schema) :]) <= ({META} if name == "signals" else set()), name
            assert [table.schema.field(column).type for column in schema.names] == schema.types, name

    def table(self, name: str) -> pa.Table:
        """Return one table by the name that the digest uses."""
        assert name in SCHEMAS, name
        table: pa.Table = getattr(self, name)
        return table

    def public(self, name: str) -> pa.Table:
        """Return one table without its debug columns."""
        return self.table(name).select(SCHEMAS[name].names)


def build_table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """Return a result table from its columns.

    name: a key of SCHEMAS. columns: one entry per column of the schema, each a NumPy array, a list (None = null) or
    an Arrow array, all of one length; times are int64 nanoseconds; `meta` is optional for signals. NaN is a value
    here, not null: pass a masked or Arrow array, or use `nullable`.
    """
    schema = SIGNALS_DEBUG if name == "signals" and META in columns else SCHEMAS[name]
    assert set(columns) == set(schema.names), (name, sorted(set(columns) ^ set(schema.names)))
    arrays = [_as_array(columns[field.name], field.type) for field in schema]
    for field, array in zip(schema, arrays, strict=True):
        assert field.nullable or array.null_count == 0, f"{name}.{field.name} must not be null"
    for column, allowed in _ALLOWED[name].items():
        found = set(arrays[schema.get_field_index(column)].unique().to_pylist())
        assert found <= set(allowed), f"{name}.{column}: {sorted(found - set(allowed))}"
    return pa.Table.from_arrays(arrays, schema=schema)


def empty_table(name: str) -> pa.Table:
    """Return a result table without rows."""
    return SCHEMAS[name].empty_table()


def nullable(values: npt.NDArray[Any], present: npt.NDArray[np.bool_]) -> pa.Array:
    """Return an Arrow array of shape (n,) that is null wherever `present` is false."""
    return pa.array(values, mask=~present)


def coded(codes: npt.NDArray[Any], names: Sequence[str]) -> pa.Array:
    """Return strings of shape (n,) from integer codes; a negative code is null. Fast for long columns of few names."""
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string())).cast(pa.string())


def _as_array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values if values.type == kind else values.cast(kind)
    if isinstance(values, np.ndarray) and values.dtype == np.int64 and pa.types.is_timestamp(kind):
        # A view of the same bytes: Arrow keeps timestamps as int64, so nothing is converted or copied.
        return pa.array(values).view(kind)
    return pa.array(values, kind)
