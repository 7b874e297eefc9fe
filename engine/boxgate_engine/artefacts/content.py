"""The files of a run as bytes: equal input, equal bytes.

Source: docs/spec/artefacts.md, section 4.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from boxgate_engine.artefacts.stored import ORDERS_FILE
from boxgate_engine.errors import RunFailed
from boxgate_engine.metrics.benchmark import BENCHMARK_FILE
from boxgate_engine.tables import CLIENT_ID, META, TRADES, Tables

BANDS_FILE: Final = "bands.json"
"""The run under other assumptions, if `execution.bands` asks for it."""

LEDGER_FILE: Final = "ledger.parquet"
"""All bookings, if `report.ledger` asks for them."""

ROW_GROUP_ROWS: Final = 1 << 17
"""Rows in one row group of a Parquet file."""

_SAFE_TEXT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._#/-]*", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunArtefacts:
    """Everything that a finished run leaves behind.

    identity: as `build_identity` gives it, run_id its hash. resolved: as `semantic_keys` gives it for the resolved
    config. params: normalised. metrics: as `compute_metrics` gives them. tables: complete, equity at full resolution.
    result_digest: of these tables. log: content of logs.ndjson. environment: host, versions, sandbox level, delivery
    and times, outside every digest. ledger: as `build_ledger` gives it, outside the digest, or None. render: gets the
    folder with all other files and returns the page, or None.
    """

    run_id: str
    identity: Mapping[str, Any]
    resolved: Mapping[str, Any]
    params: Mapping[str, Any]
    metrics: Mapping[str, Any]
    tables: Tables
    result_digest: str
    log: bytes
    environment: Mapping[str, Any]
    ledger: pa.Table | None = None
    benchmark: pa.Table | None = None
    bands: Mapping[str, Any] | None = None
    render: Callable[[Path], str] | None = None

    @property
    def mode(self) -> str:
        """`debug` or `prod`."""
        return str(self.identity["mode"])

    def files(self) -> dict[str, bytes]:
        """Return name → content of all files but report.html and manifest.json.

        In prod there is no column of debug. Raises RunFailed for text that a spreadsheet could take for a formula.
        """
        assert self.mode != "prod" or b'"source": "sidecar"' not in self.log, "the log was made for debug"
        shown = self.tables.public if self.mode == "prod" else self.tables.table
        tables = {
            "equity_curve.parquet": self.tables.equity,
            "fills.parquet": self.tables.fills,
            "signals.parquet": shown("signals"),
        }
        if self.tables.orders is not None:
            tables[ORDERS_FILE] = shown("orders")
        if self.benchmark is not None:
            tables[BENCHMARK_FILE] = self.benchmark
        if self.ledger is not None:
            tables[LEDGER_FILE] = self.ledger
        # The encoder leaves the interpreter alone, so the tables and the text beside them are encoded at once.
        with ThreadPoolExecutor(max_workers=len(tables)) as pool:
            encoded = {name: pool.submit(table_bytes, table) for name, table in tables.items()}
            trades = trades_csv(self.tables.trades)
        return {
            "config.json": json_bytes(
                {"schema": "boxgate.config/1", "identity": self.identity, "resolved": self.resolved}
            ),
            "params.json": json_bytes(self.params),
            "metrics.json": json_bytes(self.metrics),
            "trades.csv": trades,
            **{name: future.result() for name, future in encoded.items()},
            **({} if self.bands is None else {BANDS_FILE: json_bytes(self.bands)}),
            "logs.ndjson": self.log,
            "environment.json": json_bytes(self.environment),
        }


def json_bytes(value: Any) -> bytes:
    """Return JSON text: sorted keys, floats as shortest round-trip, NaN and infinity as null, LF at the end."""
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=2).encode() + b"\n"


def plain(value: Any) -> Any:
    """Return a value made of JSON types alone. Numbers of NumPy become Python's, tuples lists, NaN None, -0.0 0.0."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return value + 0.0 if math.isfinite(value) else None
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(entry) for entry in value]
    assert value is None or isinstance(value, (bool, int, str)), type(value)
    return value


def table_bytes(table: pa.Table) -> bytes:
    """Return a Parquet file. Its bytes depend on the content and the version of the writer, on nothing else."""
    table = table.combine_chunks()
    alone = (META, CLIENT_ID)  # texts that do not repeat
    words = [field.name for field in table.schema if pa.types.is_string(field.type) and field.name not in alone]
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        version="2.6",
        data_page_version="1.0",
        compression="snappy",
        # Words repeat, numbers do not: a dictionary of doubles is built only to be thrown away.
        use_dictionary=words or False,
        row_group_size=ROW_GROUP_ROWS,
        write_page_checksum=True,
    )
    return bytes(sink.getvalue())


def trades_csv(trades: pa.Table) -> bytes:
    """Return trades.csv: a header, LF, no quotes, floats as shortest round-trip.

    Raises RunFailed NAME_INVALID for a text that is not a plain name, such as one that begins with `=`.
    """
    columns = []
    for field in TRADES:
        column = trades[field.name]
        if pa.types.is_string(field.type):
            _check_names(column, field.name)
        elif pa.types.is_floating(field.type):
            column = pa.chunked_array([pa.array(column.to_numpy() + 0.0)])  # -0.0 + 0.0 is 0.0
        columns.append(column)
    sink = pa.BufferOutputStream()
    sink.write((",".join(TRADES.names) + "\n").encode())
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none")
    pa.csv.write_csv(pa.table(columns, names=TRADES.names), sink, options)
    return bytes(sink.getvalue())


def _check_names(column: pa.ChunkedArray, name: str) -> None:
    for text in column.unique().to_pylist():
        if not _SAFE_TEXT.fullmatch(text):
            raise RunFailed(
                f"the name {text!r} cannot stand in a table",
                code="NAME_INVALID",
                where=f"trades.csv, column {name}",
                expected="letters, digits and . _ # / -, beginning with a letter or digit",
                remedy="import the data under a plain symbol",
            )
