"""The index: one row for each run of a matrix, as Parquet that any reader of tables takes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from boxgate_engine.config.model import ParamValue
from boxgate_server.matrix.keeping.folder import MatrixFolder, store_failed
from boxgate_server.matrix.keeping.ledger import Entry, Ledger
from boxgate_server.matrix.planning.plan import Plan

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS: Final = 5_000
"""Rows that are in memory at once, and in one row group."""
_PART_ROWS: Final = 200_000
_ASIDE: Final = "index-"


def write_index(folder: MatrixFolder, ledger: Ledger, plan: Plan) -> Path:
    """Write the index as the ledger is now and return its folder.

    The folder `index` is a link to a folder beside it, so that it is replaced as a whole by one rename. Raises
    StoreFailed for what the disk refuses; then the old index stays.
    """
    import pyarrow.parquet as pq

    schema = _schema(plan, ledger.metric_names())
    with new_index(folder) as new:
        number, rows = 0, _tables(ledger.entries(), schema, plan)
        first: pa.Table | None = next(rows, None)
        while first is not None or number == 0:
            with pq.ParquetWriter(new / f"part-{number:05d}.parquet", schema, compression="zstd") as writer:
                if first is not None:
                    writer.write_table(first)
                    for table in islice(rows, _PART_ROWS // _ROWS - 1):
                        writer.write_table(table)
            number, first = number + 1, next(rows, None)
    return folder.index


@contextmanager
def new_index(folder: MatrixFolder) -> Iterator[Path]:
    """Give a folder for the parts of a new index, which on leaving takes the place of the old one by one rename.

    Raises StoreFailed for what the disk refuses; then the old index stays.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=folder.path))
        try:
            new.chmod(0o755)
            yield new
            for part in new.iterdir():
                _sync(part)
            _sync(new)
            _point(folder.index, new)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
    except OSError as error:
        raise store_failed(error, folder.index) from error
    for old in folder.path.glob(f"{_ASIDE}*"):
        if old != new:
            shutil.rmtree(old, ignore_errors=True)
    for left_over in folder.path.glob(f".{_ASIDE}*"):
        left_over.unlink(missing_ok=True)


def matrix_digest(ledger: Ledger) -> str:
    """Return "sha256:" + hex over the lines `run_id result_digest` of the complete runs, by run id, each with LF."""
    state = hashlib.sha256()
    for run_id, digest in ledger.digests():
        state.update(f"{run_id} {digest}\n".encode())
    return f"sha256:{state.hexdigest()}"


def _schema(plan: Plan, metrics: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    fixed: list[tuple[str, Any]] = [
        ("run_id", pa.string()),
        ("status", pa.string()),
        ("error_code", pa.string()),
        ("attempts", pa.int32()),
        ("instrument", pa.string()),
        ("frame", pa.string()),
        ("window", pa.int32()),
        ("window_start_ns", pa.int64()),
        ("window_end_ns", pa.int64()),
        ("fold", pa.int32()),
        ("segment", pa.string()),
        ("also_folds", pa.string()),
        ("strategy_digest", pa.string()),
        ("dataset", pa.string()),
        ("params", pa.string()),
    ]
    params = [(f"p_{name}", _param_type(value)) for name, value in plan.space.params(0).items()]
    end: list[tuple[str, Any]] = [("cost_set", pa.int32()), ("seed", pa.uint64()), ("result_digest", pa.string())]
    return pa.schema([*fixed, *params, *end, *((f"m_{name}", pa.float64()) for name in metrics)])


def _param_type(value: ParamValue) -> Any:
    import pyarrow as pa

    if isinstance(value, list):
        return pa.list_(pa.string())
    types = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string()}
    return types[type(value)]


def _tables(entries: Iterator[Entry], schema: pa.Schema, plan: Plan) -> Iterator[pa.Table]:
    import pyarrow as pa

    names = [name.removeprefix("m_") for name in schema.names if name.startswith("m_")]
    while batch := list(islice(entries, _ROWS)):
        columns: dict[str, list[Any]] = {name: [] for name in schema.names}
        for entry in batch:
            for name, value in _row(entry, plan).items():
                columns[name].append(value)
            metrics = entry.metrics or {}
            for name in names:
                columns[f"m_{name}"].append(metrics.get(name))
        yield pa.table(columns, schema=schema)


def _row(entry: Entry, plan: Plan) -> dict[str, Any]:
    setting = plan.settings[entry.setting]
    text = plan.space.text(entry.params)
    role, *others = setting.roles
    return {
        "run_id": entry.run_id,
        "status": entry.state,
        "error_code": None if entry.failure is None else entry.failure.code,
        "attempts": entry.attempts,
        "instrument": "+".join(setting.instruments),
        "frame": "+".join(setting.config.frames),
        "window": role.window,
        "window_start_ns": setting.start_ns,
        "window_end_ns": setting.end_ns,
        "fold": role.fold,
        "segment": role.segment,
        "also_folds": ",".join(f"{one.segment}:{one.fold}" for one in others) or None,
        "strategy_digest": plan.versions.strategy,
        "dataset": plan.versions.dataset,
        "params": text.decode(),
        **{f"p_{name}": value for name, value in plan.space.params(entry.params).items()},
        "cost_set": setting.cost_set,
        "seed": setting.seed(text),
        "result_digest": entry.result_digest,
    }


def _point(link: Path, target: Path) -> None:
    """Let a link point to a folder beside it, by one rename."""
    aside = link.with_name(f".{target.name}")
    aside.symlink_to(target.name)
    try:
        aside.replace(link)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    _sync(link.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
