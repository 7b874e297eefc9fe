"""The files of a run folder as the page needs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from boxgate_engine.artefacts.curve import CURVE_FILE, FullCurve, full_curve
from boxgate_engine.artefacts.stored import ORDERS_FILE
from boxgate_engine.errors import UserMistake
from boxgate_engine.metrics.benchmark import BENCHMARK, BENCHMARK_FILE
from boxgate_engine.report.extremes import Floats, Integers
from boxgate_engine.tables import EQUITY, FILLS, ORDERS, SIGNALS, TRADES

_CURVE_COLUMNS: Final = ["time", "equity", "drawdown", "exposure_gross", "exposure_net"]
_SIGNAL_COLUMNS: Final = ["seq", "instrument", "side", "sl", "tp", "outcome", "reject_reason"]
_ORDER_COLUMNS: Final = ["outcome", "reason"]
_FILL_COLUMNS: Final = ["seq", "instrument", "reason", "signal_seq", "path_dependent"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFiles:
    """What a run folder holds. Tables have the columns of interfaces section 4, as far as the page reads them.

    time_ns, equity, drawdown, exposure_gross, exposure_net: shape (m,), the stored marks of the equity curve, m >= 1 in
    a complete run. full_curve: what is known of the full one where these are not all. benchmark: None in a run without
    one. orders: None in a run without orders of the strategy's own.
    """

    config: dict[str, Any]
    params: dict[str, Any]
    metrics: dict[str, Any]
    time_ns: Integers
    equity: Floats
    drawdown: Floats
    exposure_gross: Floats
    exposure_net: Floats
    trades: pa.Table
    fills: pa.Table
    signals: pa.Table
    benchmark: pa.Table | None = None
    orders: pa.Table | None = None
    full_curve: FullCurve | None = None

    @property
    def currency(self) -> str:
        """The account currency."""
        return str(self.metrics["currency"])

    def trade_column(self, name: str) -> Any:
        """Return one column of the trades as a NumPy array of shape (trades,)."""
        return self.trades[name].to_numpy()


def read_run_files(folder: Path) -> RunFiles:
    """Return the files of a run folder. Raises UserMistake RUN_UNREADABLE with the file that is missing or damaged."""
    curve = _read(folder / CURVE_FILE, lambda path: _parquet(path, EQUITY, _CURVE_COLUMNS))
    benchmark = folder / BENCHMARK_FILE
    orders = folder / ORDERS_FILE
    return RunFiles(
        config=_read(folder / "config.json", _config),
        params=_read(folder / "params.json", _json),
        metrics=_read(folder / "metrics.json", _metrics),
        time_ns=curve["time"].cast(pa.int64()).to_numpy(),
        **{name: curve[name].to_numpy() for name in _CURVE_COLUMNS[1:]},
        trades=_read(folder / "trades.csv", _trades),
        fills=_read(folder / "fills.parquet", lambda path: _parquet(path, FILLS, _FILL_COLUMNS)),
        signals=_read(folder / "signals.parquet", lambda path: _parquet(path, SIGNALS, _SIGNAL_COLUMNS)),
        benchmark=_read(benchmark, _benchmark) if benchmark.exists() else None,
        orders=_read(orders, lambda path: _parquet(path, ORDERS, _ORDER_COLUMNS)) if orders.exists() else None,
        full_curve=_read(folder / CURVE_FILE, lambda path: full_curve(pyarrow.parquet.read_schema(path).metadata)),
    )


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({type(error).__name__})"
        raise UserMistake(
            f"{path.name} of the run {what}",
            code="RUN_UNREADABLE",
            where=str(path),
            expected="the folder of a complete run",
            remedy="name the folder of a complete run, or run it again",
        ) from error


def _json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


def _config(path: Path) -> dict[str, Any]:
    config = _json(path)
    _sections(config, ("identity", "resolved"))
    identity, resolved = config["identity"], config["resolved"]
    _sections(resolved, ("account", "costs", "execution"))
    _sections(identity, ("strategy", "window"))
    for value in (identity["window"]["start_ns"], identity["window"]["end_ns"], identity["master_seed"]):
        int(value)
    for names in (identity["instruments"], identity["frames"]):
        if not isinstance(names, list):
            raise ValueError("not a list of names")
    resolved["account"]["cash"] + 0
    resolved["account"]["currency"]
    return config


def _metrics(path: Path) -> dict[str, Any]:
    metrics = _json(path)
    _sections(metrics, ("return", "risk", "ratio", "trades", "exposure", "costs", "counts", "equity"))
    metrics["currency"]
    return metrics


def _sections(content: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        if not isinstance(content[name], dict):
            raise ValueError(f"{name} is not an object")


def _parquet(path: Path, schema: pa.Schema, columns: list[str]) -> pa.Table:
    with path.open("rb") as file:
        table = pyarrow.parquet.ParquetFile(file).read(columns)  # read_table would load the library of datasets
    return table.select(columns).cast(pa.schema([schema.field(name) for name in columns])).combine_chunks()


def _trades(path: Path) -> pa.Table:
    with path.open("rb") as file:
        table = pyarrow.csv.read_csv(
            file,
            read_options=pyarrow.csv.ReadOptions(use_threads=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=TRADES, include_columns=TRADES.names, strings_can_be_null=False, null_values=[]
            ),
        )
    numbers = [name for name in TRADES.names if pa.types.is_floating(TRADES.field(name).type)]
    if any(not np.isfinite(table[name].to_numpy()).all() for name in numbers):
        raise ValueError("a number that is not finite")
    return table.combine_chunks()


def _benchmark(path: Path) -> pa.Table:
    return _parquet(path, BENCHMARK, BENCHMARK.names)
