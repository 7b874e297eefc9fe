"""The result tables of a run: columns, types, order, and which of them are public.

Times are nanoseconds since 1970-01-01 UTC, money is in account currency, prices in quote currency, quantities in
base units. Public columns enter the result digest; the others exist in debug mode only.
Source: docs/spec/artefacts.md, section 2.
"""

from __future__ import annotations

import functools
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

ORDER_TYPES: Final = ("MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP")
"""When an order fills and at what price."""
TIMES_IN_FORCE: Final = ("GTC", "DAY", "GTD", "IOC", "FOK")
"""How long an order works."""
ORDER_OUTCOMES: Final = ("FILLED", "CANCELLED", "EXPIRED", "REJECTED", "WORKING", "UNEXECUTED")
"""What became of an order."""

META: Final = "meta"
"""A debug column: canonical JSON of the strategy's own notes; never in prod, never in the digest."""
CLIENT_ID: Final = "client_id"
"""A debug column of orders: the name that the strategy gave; never in prod, never in the digest."""


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

ORDERS: Final = pa.schema(
    [
        _required("number", pa.int64()),
        _required("seq", pa.int64()),
        _required("time", _TIME),
        _required("instrument", pa.string()),
        _optional("position", pa.int64()),
        _required("side", pa.string()),
        _required("type", pa.string()),
        _required("qty", pa.float64()),
        _optional("price", pa.float64()),
        _optional("stop_price", pa.float64()),
        _optional("trail", pa.float64()),
        _required("tif", pa.string()),
        _optional("valid_until_ns", pa.int64()),
        _required("reduce_only", pa.bool_()),
        _required("post_only", pa.bool_()),
        _optional("oco", pa.int64()),
        _optional("sl", pa.float64()),
        _optional("tp", pa.float64()),
        _optional("risk_trail", pa.float64()),
        _required("outcome", pa.string()),
        _optional("reason", pa.string()),
        _required("filled_qty", pa.float64()),
        _optional("average_price", pa.float64()),
        _optional("ended_seq", pa.int64()),
        _optional("ended_time_ns", pa.int64()),
    ]
)
"""One row per order by its number, with the values that it had last; seq and time are those of its submission."""

ORDERS_DEBUG: Final = ORDERS.append(_required(CLIENT_ID, pa.string())).append(_optional(META, pa.string()))
"""Orders with the strategy's names and notes, as stored in debug mode."""

SCHEMAS: Final[dict[str, pa.Schema]] = {"signals": SIGNALS, "fills": FILLS, "trades": TRADES, "equity": EQUITY}
"""Public schema of each table that every run has, in the order in which the digest reads them."""

ALL_SCHEMAS: Final[dict[str, pa.Schema]] = {**SCHEMAS, "orders": ORDERS}
"""SCHEMAS and, behind them, the table of runs whose strategy has orders of its own."""

_FEW_ROWS: Final = 200
"""Rows up to which texts are looked at one by one."""
_DEBUG: Final[dict[str, pa.Schema]] = {"signals": SIGNALS_DEBUG, "orders": ORDERS_DEBUG}
_ALLOWED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "signals": {"side": SIGNAL_SIDES, "outcome": OUTCOMES},
    "fills": {"side": ORDER_SIDES, "liquidity": LIQUIDITIES, "reason": FILL_REASONS},
    "trades": {"side": SIDES, "exit_reason": EXIT_REASONS},
    "equity": {},
    "orders": {"side": ORDER_SIDES, "type": ORDER_TYPES, "tif": TIMES_IN_FORCE, "outcome": ORDER_OUTCOMES},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """The complete result of a run. Each table has its schema above; signals and orders may carry debug columns.

    orders: None in a run without orders of the strategy's own.
    """

    signals: pa.Table
    fills: pa.Table
    trades: pa.Table
    equity: pa.Table
    orders: pa.Table | None = None

    def __post_init__(self) -> None:
        for name in self.names:
            table, schema = getattr(self, name), ALL_SCHEMAS[name]
            if table.schema.equals(schema) or table.schema.equals(_DEBUG.get(name, schema)):
                continue
            assert tuple(table.column_names[: len(schema)]) == tuple(schema.names), name
            assert set(table.column_names) <= set(_DEBUG.get(name, schema).names), name
            assert table.schema.types[: len(schema)] == schema.types, name

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tables that are there, in the order in which the digest reads them."""
        return tuple(name for name in ALL_SCHEMAS if getattr(self, name) is not None)

    def table(self, name: str) -> pa.Table:
        """Return one table by the name that the digest uses."""
        assert name in self.names, name
        table: pa.Table = getattr(self, name)
        return table

    def public(self, name: str) -> pa.Table:
        """Return one table without its debug columns."""
        return self.table(name).select(ALL_SCHEMAS[name].names)


def build_table(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """Return a result table from its columns.

    name: a key of ALL_SCHEMAS. columns: one entry per column of the schema, each a NumPy array, a list (None = null) or
    an Arrow array, all of one length; times are int64 nanoseconds; with `meta` those of debug are there. NaN is a value
    here, not null: pass a masked or Arrow array, or use `nullable`.
    """
    schema, fields = _layout(name, name in _DEBUG and META in columns)
    assert columns.keys() == fields.keys(), (name, sorted(columns.keys() ^ fields.keys()))
    arrays = {column: _as_array(columns[column], kind) for column, (kind, _) in fields.items()}
    for column, (_, may_be_null) in fields.items():
        assert may_be_null or arrays[column].null_count == 0, f"{name}.{column} must not be null"
    for column, allowed in _ALLOWED[name].items():
        texts = arrays[column] if len(arrays[column]) <= _FEW_ROWS else arrays[column].unique()
        found = set(texts.to_pylist())
        assert found <= set(allowed), f"{name}.{column}: {sorted(found - set(allowed))}"
    return pa.Table.from_arrays(list(arrays.values()), schema=schema)


@functools.cache
def _layout(name: str, debug: bool) -> tuple[pa.Schema, dict[str, tuple[pa.DataType, bool]]]:
    """Return the schema of a table, and of each column its type and whether it may hold nulls. debug: with those."""
    schema = _DEBUG[name] if debug else ALL_SCHEMAS[name]
    return schema, {field.name: (field.type, field.nullable) for field in schema}


def empty_table(name: str) -> pa.Table:
    """Return a result table without rows."""
    return ALL_SCHEMAS[name].empty_table()


def stored_table(name: str, table: pa.Table) -> pa.Table:
    """Return a table as it was read from a file with the types of its schema, that of debug if it has such columns."""
    return table.cast(_DEBUG[name] if name in _DEBUG and META in table.column_names else ALL_SCHEMAS[name])


def nullable(values: npt.NDArray[Any], present: npt.NDArray[np.bool_]) -> pa.Array:
    """Return an Arrow array of shape (n,) that is null wherever `present` is false."""
    return pa.array(values, mask=~present)


def coded(codes: npt.NDArray[Any], names: Sequence[str]) -> pa.Array:
    """Return strings of shape (n,) from integer codes; a negative code is null. Fast for long columns of few names."""
    if len(codes) <= _FEW_ROWS:
        return pa.array([names[code] if code >= 0 else None for code in codes.tolist()], pa.string())
    if (code := int(codes[0])) >= 0 and (codes == code).all():
        return pa.repeat(names[code], len(codes))
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string())).cast(pa.string())


def named(codes: npt.NDArray[Any], names: Mapping[int, str]) -> pa.Array:
    """Return the names of integer codes of shape (n,); a code without a name is null."""
    positions = np.full(max(names) + 1, -1)
    for position, code in enumerate(names):
        positions[code] = position
    return coded(positions[codes], tuple(names.values()))


def _as_array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values if values.type == kind else values.cast(kind)
    if isinstance(values, np.ndarray) and values.dtype == np.int64 and pa.types.is_timestamp(kind):
        # A view of the same bytes: Arrow keeps timestamps as int64, so nothing is converted or copied.
        return pa.array(values).view(kind)
    return pa.array(values, kind)
