"""The files of a run as bytes: equal input, equal bytes.

Source: docs/spec/artefacts.md, section 4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from boxgate_engine.artefacts.curve import CURVE_FILE, stored_curve
from boxgate_engine.artefacts.stored import ORDERS_FILE
from boxgate_engine.errors import RunFailed
from boxgate_engine.tables import CLIENT_ID, META, TRADES, Tables

BANDS_FILE: Final = "bands.json"
"""The run under other assumptions, if `execution.bands` asks for it."""

LEDGER_FILE: Final = "ledger.parquet"
"""All bookings, if `report.ledger` asks for them."""

ROW_GROUP_ROWS: Final = 1 << 17
"""Rows in one row group of a Parquet file."""

_CSV_ROWS: Final = 1 << 14
"""Rows that are made text together."""

_PLAIN: Final = frozenset({bool, int, str})
_MANY_ROWS: Final = 4_096
"""Trades from which on equal numbers are looked for."""

_SAFE_TEXT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._#/-]*", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunArtefacts:
    """Everything that a finished run leaves behind.

    identity: as `build_identity` gives it, run_id its hash. resolved: as `semantic_keys` gives it for the resolved
    config. params: normalised. metrics: as `compute_metrics` gives them. tables: as `table_files` gives them for this
    mode. result_digest: of the tables. log: content of logs.ndjson. environment: host, versions, sandbox level,
    delivery and times, outside every digest. render: gets the folder with all other files, returns the page; or None.
    """

    run_id: str
    identity: Mapping[str, Any]
    resolved: Mapping[str, Any]
    params: Mapping[str, Any]
    metrics: Mapping[str, Any]
    tables: Mapping[str, bytes]
    result_digest: str
    log: bytes
    environment: Mapping[str, Any]
    bands: Mapping[str, Any] | None = None
    render: Callable[[Path], str] | None = None

    @property
    def mode(self) -> str:
        """`debug` or `prod`."""
        return str(self.identity["mode"])

    def files(self) -> dict[str, bytes]:
        """Return name → content of all files but report.html and manifest.json."""
        assert self.mode != "prod" or b'"source": "sidecar"' not in self.log, "the log was made for debug"
        return {
            "config.json": json_bytes(
                {"schema": "boxgate.config/1", "identity": self.identity, "resolved": self.resolved}
            ),
            "params.json": json_bytes(self.params),
            "metrics.json": json_bytes(self.metrics),
            **self.tables,
            **({} if self.bands is None else {BANDS_FILE: json_bytes(self.bands)}),
            "logs.ndjson": self.log,
            "environment.json": json_bytes(self.environment),
        }


def table_files(
    tables: Tables,
    *,
    mode: str,
    equity: str = "auto",
    ledger: pa.Table | None = None,
) -> dict[str, bytes]:
    """Return name → content of the files of the tables; in prod without the columns of debug.

    tables: complete, equity at full resolution. equity: the resolution that is stored, see `stored_curve`. ledger: as
    `build_ledger` gives it, outside the digest.
    Raises RunFailed for text that a spreadsheet could take for a formula.
    """
    shown = tables.public if mode == "prod" else tables.table
    files = {
        "trades.csv": trades_csv(tables.trades),
        CURVE_FILE: table_bytes(stored_curve(tables.equity, equity)),
        "fills.parquet": table_bytes(tables.fills),
        "signals.parquet": table_bytes(shown("signals")),
    }
    if tables.orders is not None:
        files[ORDERS_FILE] = table_bytes(shown("orders"))
    if ledger is not None:
        files[LEDGER_FILE] = table_bytes(ledger)
    return files


def json_bytes(value: Any) -> bytes:
    """Return JSON text: sorted keys, floats as shortest round-trip, NaN and infinity as null, LF at the end."""
    return orjson.dumps(plain(value), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def plain(value: Any) -> Any:
    """Return a value made of JSON types alone. Numbers of NumPy become Python's, tuples lists, NaN None, -0.0 0.0."""
    if value is None or type(value) in _PLAIN:  # most are; asking for an abstract class takes long
        return value
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
    assert isinstance(value, (bool, int, str)), type(value)
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
            values = pa.array(column.to_numpy() + 0.0)  # -0.0 + 0.0 is 0.0
            column = values if len(values) < _MANY_ROWS else _as_text(values)
        columns.append(column)
    sink = pa.BufferOutputStream()
    sink.write((",".join(TRADES.names) + "\n").encode())
    options = pa.csv.WriteOptions(include_header=False, quoting_style="none", batch_size=_CSV_ROWS)
    pa.csv.write_csv(pa.table(columns, names=TRADES.names), sink, options)
    return bytes(sink.getvalue())


def _as_text(values: pa.Array) -> pa.Array:
    """Return numbers as text, each different one made once: many columns of trades hold few."""
    coded = values.dictionary_encode()
    texts = coded.dictionary.cast(pa.string())
    return pa.DictionaryArray.from_arrays(coded.indices, texts).cast(pa.string())


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
