"""The result digest against a slow encoder written from docs/spec/artefacts.md alone."""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxgate_engine.digest import DigestBeside, result_digest
from boxgate_engine.errors import RunFailed
from boxgate_engine.tables import ALL_SCHEMAS, SCHEMAS, SIGNALS_DEBUG, Tables, build_table, empty_table

_ENUMERATED = {
    ("signals", "side"): ["BUY", "SELL", "FLAT"],
    ("signals", "outcome"): ["EXECUTED", "NO_OP", "RESTING", "REJECTED", "UNEXECUTED"],
    ("fills", "side"): ["BUY", "SELL"],
    ("fills", "liquidity"): ["MAKER", "TAKER"],
    ("fills", "reason"): ["ENTRY", "SIGNAL", "STOP_LOSS", "END"],
    ("trades", "side"): ["LONG", "SHORT"],
    ("trades", "exit_reason"): ["SIGNAL", "EXPIRY", "LIQUIDATION"],
    ("orders", "side"): ["BUY", "SELL"],
    ("orders", "type"): ["MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP"],
    ("orders", "tif"): ["GTC", "DAY", "GTD", "IOC", "FOK"],
    ("orders", "outcome"): ["FILLED", "CANCELLED", "EXPIRED", "REJECTED", "WORKING", "UNEXECUTED"],
}


def _slow_text(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<I", len(data)) + data


def _slow_value(kind: str, value: Any) -> bytes:
    if value is None:
        return b"\x00"
    if kind == "float64":
        return b"\x01" + struct.pack("<d", 0.0 if value == 0 else value)
    if kind == "int64":
        return b"\x01" + struct.pack("<q", value)
    if kind == "bool":
        return b"\x01" + (b"\x01" if value else b"\x00")
    return b"\x01" + _slow_text(value)


def _slow_digest(columns: dict[str, dict[str, list[Any]]]) -> str:
    stream = b""
    for name, schema in ALL_SCHEMAS.items():
        if name not in columns:
            continue
        stream += _slow_text(name) + struct.pack("<q", len(columns[name][schema.names[0]]))
        for field in schema:
            kind = {"timestamp[ns, tz=UTC]": "int64", "double": "float64"}.get(str(field.type), str(field.type))
            stream += _slow_text(field.name) + _slow_text(kind)
            stream += b"".join(_slow_value(kind, value) for value in columns[name][field.name])
    return "sha256:" + hashlib.sha256(stream).hexdigest()


def _values(table: str, field: pa.Field) -> st.SearchStrategy[Any]:
    if (table, field.name) in _ENUMERATED:
        values: st.SearchStrategy[Any] = st.sampled_from(_ENUMERATED[table, field.name])
    elif pa.types.is_floating(field.type):
        values = st.floats(allow_nan=False, allow_infinity=False) | st.just(-0.0)
    elif pa.types.is_boolean(field.type):
        values = st.booleans()
    elif pa.types.is_string(field.type):
        values = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=6)
    else:
        values = st.integers(-(2**63), 2**63 - 1)
    return st.none() | values if field.nullable else values


@st.composite
def _columns(draw: st.DrawFn) -> dict[str, dict[str, list[Any]]]:
    drawn: dict[str, dict[str, list[Any]]] = {}
    with_orders = draw(st.booleans())
    for name, schema in (ALL_SCHEMAS if with_orders else SCHEMAS).items():
        rows = draw(st.integers(0, 7))
        drawn[name] = {f.name: draw(st.lists(_values(name, f), min_size=rows, max_size=rows)) for f in schema}
    return drawn


def _tables(columns: dict[str, dict[str, list[Any]]]) -> Tables:
    return Tables(**{name: build_table(name, columns[name]) for name in columns})


def _example() -> dict[str, dict[str, list[Any]]]:
    """One row per table, nulls where they are allowed."""
    filler = {"int64": 1, "double": 2.5, "bool": True, "string": "EURUSD", "timestamp[ns, tz=UTC]": 3}
    return {
        name: {
            f.name: [None if f.nullable else _ENUMERATED.get((name, f.name), [filler[str(f.type)]])[0]] for f in schema
        }
        for name, schema in SCHEMAS.items()
    }


@settings(max_examples=150, deadline=None)
@given(_columns())
def test_the_digest_equals_a_plain_encoder_on_random_tables(columns: dict[str, dict[str, list[Any]]]) -> None:
    assert result_digest(_tables(columns)) == _slow_digest(columns)


def test_a_run_without_orders_has_another_digest_than_one_whose_orders_are_none() -> None:
    tables = {name: empty_table(name) for name in ALL_SCHEMAS}
    assert result_digest(Tables(**tables)) != result_digest(Tables(**{**tables, "orders": None}))


def test_names_and_notes_of_orders_are_not_digested() -> None:
    row: dict[str, Any] = {f.name: [None if f.nullable else 1] for f in ALL_SCHEMAS["orders"]}
    row |= {name: [values[0]] for (table, name), values in _ENUMERATED.items() if table == "orders"}
    row |= {"instrument": ["EURUSD"], "reduce_only": [True], "post_only": [False]}
    others = {name: empty_table(name) for name in SCHEMAS}
    plain = Tables(**others, orders=build_table("orders", row))
    named = Tables(**others, orders=build_table("orders", {**row, "client_id": ["secret"], "meta": ["{}"]}))
    assert result_digest(named) == result_digest(plain)
    assert named.public("orders").equals(plain.orders)


def test_the_digest_of_four_empty_tables_is_known() -> None:
    tables = Tables(**{name: empty_table(name) for name in SCHEMAS})
    assert result_digest(tables) == _slow_digest({n: {c: [] for c in s.names} for n, s in SCHEMAS.items()})
    assert result_digest(tables) == "sha256:dc81500f23fe6784fa7222ce5f71aad1f366143be0a2e38f71be70333aa40eb5"


def test_the_digest_of_one_row_in_each_table_is_known() -> None:
    assert (
        result_digest(_tables(_example())) == "sha256:1366754808f036637df027a67287ecc01d6d2bccc1883ed7dd13b21f391c9d08"
    )


def test_negative_zero_is_zero() -> None:
    plus, minus = _example(), _example()
    plus["equity"]["cash"], minus["equity"]["cash"] = [0.0], [-0.0]
    assert result_digest(_tables(plus)) == result_digest(_tables(minus))


def test_null_is_not_zero() -> None:
    null, zero = _example(), _example()
    zero["signals"]["qty"] = [0.0]
    assert result_digest(_tables(null)) != result_digest(_tables(zero))


def test_chunks_and_slices_do_not_change_the_digest() -> None:
    columns = _example()
    for table in columns.values():
        for name, values in table.items():
            table[name] = values * 5
    columns["signals"]["qty"] = [None, 1.0, None, 2.0, -0.0]
    columns["signals"]["reject_reason"] = [None, "é", None, "", "MARGIN"]
    whole = _tables(columns)
    pieces = Tables(**{n: pa.concat_tables([whole.table(n).slice(0, 2), whole.table(n).slice(2, 3)]) for n in SCHEMAS})
    assert result_digest(pieces) == result_digest(whole) == _slow_digest(columns)


def test_notes_of_the_strategy_are_outside_the_digest() -> None:
    columns = _example()
    noted = build_table("signals", {**columns["signals"], "meta": ['{"env": 1}']})
    assert noted.schema.equals(SIGNALS_DEBUG)
    plain = _tables(columns)
    tables = Tables(signals=noted, fills=plain.fills, trades=plain.trades, equity=plain.equity)
    assert result_digest(tables) == result_digest(plain)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_with_its_row(value: float) -> None:
    columns = _example()
    columns["fills"] = {name: values * 3 for name, values in columns["fills"].items()}
    columns["fills"]["price"] = [1.0, 2.0, value]
    with pytest.raises(RunFailed) as refused:
        result_digest(_tables(columns))
    assert refused.value.error_code == "RESULT_NOT_FINITE"
    assert refused.value.where == "fills.price"
    assert "row 2" in refused.value.what


def test_every_public_column_and_every_row_counts() -> None:
    base = result_digest(_tables(_example()))
    for name, schema in SCHEMAS.items():
        for field in schema:
            changed = _example()
            old = changed[name][field.name][0]
            new: Any = {"bool": False, "double": 7.0}.get(str(field.type), 7)
            if pa.types.is_string(field.type):
                new = _ENUMERATED.get((name, field.name), ["", "other"])[1]
            assert new != old
            changed[name][field.name] = [new]
            assert result_digest(_tables(changed)) != base, f"{name}.{field.name}"


def test_long_columns_are_encoded_like_short_ones() -> None:
    rng = np.random.default_rng(7)
    columns: dict[str, dict[str, list[Any]]] = {name: {c: [] for c in schema.names} for name, schema in SCHEMAS.items()}
    numbers = {c: rng.normal(size=3000) for c in SCHEMAS["equity"].names[1:]}
    times = np.arange(3000, dtype=np.int64) * 60_000_000_000
    columns["equity"] = {"time": times.tolist(), **{c: v.tolist() for c, v in numbers.items()}}
    empty = {n: empty_table(n) for n in ("signals", "fills", "trades")}
    tables = Tables(equity=build_table("equity", {"time": times, **numbers}), **empty)
    assert result_digest(tables) == _slow_digest(columns)


def test_long_columns_are_laid_out_in_blocks_as_short_ones_are() -> None:
    random = np.random.Generator(np.random.Philox(key=4))
    rows = 70_000
    columns: dict[str, dict[str, list[Any]]] = {}
    for name, schema in SCHEMAS.items():
        count = rows if name in ("signals", "equity") else 200
        columns[name] = {}
        for field in schema:
            values: Any = random.integers(-1000, 1000, count).tolist()
            if pa.types.is_floating(field.type):
                values = [-0.0 if value == 0 else value / 7 for value in values]
            elif pa.types.is_boolean(field.type):
                values = [value > 0 for value in values]
            elif pa.types.is_string(field.type):
                names = _ENUMERATED.get((name, field.name), ["EURUSD", "ä", ""])
                values = [names[value % len(names)] for value in values]
            if field.nullable:
                values = [None if value is None or k % 3 == 0 else value for k, value in enumerate(values)]
            columns[name][field.name] = values
    tables = Tables(**{name: build_table(name, values) for name, values in columns.items()})
    assert result_digest(tables) == _slow_digest(columns)
    beside = DigestBeside(rows)
    for name in tables.names:
        beside.add(name, tables.table(name))
    beside.finish()
    assert beside.value() == beside.value() == _slow_digest(columns)


def test_the_digest_beside_raises_where_it_is_asked_for() -> None:
    for rows in (1, 100_000):
        equity = dict.fromkeys(SCHEMAS["equity"].names, np.zeros(rows)) | {"time": np.zeros(rows, np.int64)}
        equity["cash"] = np.append(np.zeros(rows - 1), math.nan)
        beside = DigestBeside(rows)
        for name in SCHEMAS:
            beside.add(name, build_table(name, equity) if name == "equity" else empty_table(name))
        beside.finish()
        with pytest.raises(RunFailed) as failed:
            beside.value()
        assert f"row {rows - 1}" in failed.value.what
        assert failed.value.where == "equity.cash"
