"""The bytes of the files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.artefacts import RunArtefacts, json_bytes, table_bytes, trades_csv
from boxgate_engine.errors import RunFailed
from boxgate_engine.tables import TRADES, Tables

MakeRun = Callable[..., RunArtefacts]
MakeTables = Callable[..., Tables]


def test_json_has_sorted_keys_null_for_undefined_and_a_line_end() -> None:
    value = {"b": math.nan, "a": [math.inf, -0.0, 0.1, 1e22, 2**60], "c": {"z": None, "é": np.float32(0.5)}}
    assert (
        json_bytes(value)
        == (
            '{\n  "a": [\n    null,\n    0.0,\n    0.1,\n    1e+22,\n    1152921504606846976\n  ],\n  "b": null,\n'
            '  "c": {\n    "z": null,\n    "é": 0.5\n  }\n}\n'
        ).encode()
    )


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_json_floats_are_read_back_exactly(number: float) -> None:
    assert json.loads(json_bytes(number)) == number


def test_trades_csv_is_plain_and_exact(make_tables: MakeTables) -> None:
    data = trades_csv(make_tables().trades)
    assert b"\r" not in data
    assert b'"' not in data
    assert data.endswith(b"\n")
    (row,) = csv.DictReader(io.StringIO(data.decode()))
    assert list(row) == TRADES.names
    assert float(row["mae"]) == -1 / 3
    assert float(row["mfe"]) == 123456789012.25
    assert float(row["slippage_cost"]) == 1e-7
    assert row["funding"] == "0"
    assert row["path_dependent"] == "true"
    assert (row["side"], row["exit_reason"], row["entry_time_ns"]) == ("LONG", "SIGNAL", "86400000000000")


def test_many_trades_are_written_as_few_are(make_tables: MakeTables) -> None:
    random = np.random.Generator(np.random.Philox(key=3))
    numbers = random.standard_normal(5000) * 10.0 ** random.integers(-12, 12, 5000)
    trades = pa.concat_tables([make_tables().trades] * 5000).combine_chunks()
    for name, values in (("mae", numbers), ("mfe", np.round(numbers)), ("swap", -np.zeros(5000))):
        trades = trades.set_column(trades.schema.get_field_index(name), trades.field(name), pa.array(values))
    head, *lines = trades_csv(trades).splitlines(keepends=True)
    for start in range(0, 5000, 1000):
        alone = trades_csv(trades.slice(start, 1000)).splitlines(keepends=True)
        assert alone == [head, *lines[start : start + 1000]]
    assert [float(line.split(b",")[TRADES.names.index("mae")]) for line in lines] == numbers.tolist()


def test_trades_csv_without_trades_is_its_header(make_tables: MakeTables) -> None:
    assert trades_csv(make_tables().trades.slice(0, 0)) == (",".join(TRADES.names) + "\n").encode()


@pytest.mark.parametrize("name", ["=cmd|'/C calc'!A0", "+1", "-1", "@x", "\tx", "a,b", 'a"b', "a\nb", "", "<b>", "é"])
def test_a10_a_name_that_a_spreadsheet_could_run_is_refused(make_tables: MakeTables, name: str) -> None:
    trades = make_tables().trades
    trades = trades.set_column(1, TRADES.field("instrument"), pa.array([name]))
    with pytest.raises(RunFailed) as refused:
        trades_csv(trades)
    assert refused.value.error_code == "NAME_INVALID"
    assert "instrument" in refused.value.where


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_csv_floats_are_read_back_exactly(numbers: list[float]) -> None:
    columns: dict[str, Any] = {
        field.name: ["x"] * len(numbers) if pa.types.is_string(field.type) else [0] * len(numbers) for field in TRADES
    }
    columns["path_dependent"] = [False] * len(numbers)
    columns["net_pnl"] = numbers
    data = trades_csv(pa.table({name: pa.array(v, TRADES.field(name).type) for name, v in columns.items()}))
    assert [float(row["net_pnl"]) for row in csv.DictReader(io.StringIO(data.decode()))] == numbers


def test_parquet_bytes_do_not_depend_on_chunks(make_tables: MakeTables) -> None:
    equity = make_tables().equity
    chunks = pa.concat_tables([equity.slice(0, 1), equity.slice(1)])
    assert table_bytes(chunks) == table_bytes(equity)


def test_parquet_files_have_page_checksums_and_exact_types(make_tables: MakeTables) -> None:
    tables = make_tables()
    for table in (tables.equity, tables.fills, tables.signals):
        data = pa.BufferReader(table_bytes(table))
        found = pq.read_table(data, page_checksum_verification=True)
        assert found.schema.equals(table.schema)
        assert found.equals(table)


def test_no_flipped_byte_of_a_page_is_read_as_another_value(make_tables: MakeTables) -> None:
    equity = make_tables().equity
    whole = table_bytes(equity)
    pages_end = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    noticed = 0
    for position in range(4, pages_end):
        data = bytearray(whole)
        data[position] ^= 1
        try:
            found = pq.read_table(pa.BufferReader(bytes(data)), page_checksum_verification=True)
        except (OSError, ValueError):
            noticed += 1
        else:
            assert found.equals(equity), position
    assert noticed > pages_end / 2
