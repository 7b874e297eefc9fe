"""Boxgate's side of a comparison: the decisions played through the public door, a run of a config."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from engine_run import rows_of
from peer_cases import CASH, SERIES, Decision, Series, decisions_of
from real_markets import HOUR_NS, Row

from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import ImportRequest, import_files
from boxgate_server.outcome import Finished
from boxgate_server.run import run_config

DAY_NS = 24 * HOUR_NS
_PLAYER = Path(__file__).parent / "strategies" / "player.py"


@dataclass(frozen=True)
class Played:
    """A run: its fills, closed trades and equity row by row, bars by number, and what it was made from."""

    rows: Sequence[Row]
    decisions: Sequence[Decision]
    fills: list[tuple[Any, ...]]
    trades: list[dict[str, str]]
    equity: list[float]
    times_ns: list[int]
    metrics: Any

    def daily_marks(self) -> dict[str, Any]:
        """Return the last equity of each UTC day, the start included, as fixtures/daily_marks.json has it."""
        start_ns = self.rows[0].time_ns
        marks = dict(
            zip([time_ns // DAY_NS for time_ns in [start_ns, *self.times_ns]], [CASH, *self.equity], strict=True)
        )
        return {"days": [*marks], "marks": [*marks.values()], "periods": self.metrics["periods_per_year"]}


class Runs:
    """Datasets and runs, each made when it is first asked for."""

    def __init__(self, data: Path, folder: Path) -> None:
        self._data = data
        self._folder = folder
        self._rows: dict[str, Sequence[Row]] = {}
        self._played: dict[tuple[str, ...], Played] = {}

    def rows(self, name: str) -> Sequence[Row]:
        if name not in self._rows:
            series = SERIES[name]
            self._rows[name] = series.rows(self._data)
            self._import(name, series)
        return self._rows[name]

    def play(self, name: str, rule: str, *, path: str = "pessimistic", spread: str = "none") -> Played:
        key = (name, rule, path, spread)
        if key not in self._played:
            rows = self.rows(name)
            self._played[key] = self._play(SERIES[name], name, rows, decisions_of(name, rule, rows), path, spread)
        return self._played[key]

    def _import(self, name: str, series: Series) -> None:
        files = series.files(self._data)
        if len(files) == 2:
            for side, file in zip(("bid", "ask"), files, strict=True):
                self._import_csv(name, series, file, side)
        elif files[0].suffix == ".csv":
            self._import_csv(name, series, files[0], "last")
        else:
            import_files(self._folder / "datasets", ImportRequest(files=tuple(files), zone="UTC", name=name))

    def _import_csv(self, name: str, series: Series, file: Path, side: Any) -> None:
        request = ImportRequest(
            files=(file,), zone="UTC", name=name, symbol=series.symbol, frame=series.frame, side=side
        )
        import_files(self._folder / "datasets", request)

    def _play(
        self, series: Series, name: str, rows: Sequence[Row], decisions: Sequence[Decision], path: str, spread: str
    ) -> Played:
        given = self._folder / f"{name}-{len(self._played)}.json"
        given.write_text(json.dumps([(rows[bar].time_ns, *rest) for bar, *rest in decisions]))
        config = RunConfig.model_validate(
            {
                "strategy": {"command": ["python", str(_PLAYER)], "params": {"decisions": str(given)}},
                "dataset": name,
                "instruments": [series.symbol],
                "frames": [series.frame],
                "window": {"start": _stamp(rows[0].time_ns), "end": "last"},
                "account": {"currency": _currency(series), "cash": CASH, "leverage": series.leverage},
                "costs": {"fees_bps": series.fees_bps, "spread": spread},
                "execution": {"path": path},
                "report": {"html": False, "equity": "bar"},
                "data_provider": {
                    "root": str(self._folder / "datasets"),
                    "cache": {"local_dir": str(self._folder / "cache")},
                },
            }
        )
        finished = run_config(config, folder=_PLAYER.parent, store=self._folder / "runs")
        equity = _table(finished, "equity_curve")
        assert len(equity) == len(rows) + 1
        return Played(
            rows=rows,
            decisions=decisions,
            fills=_table(finished, "fills"),
            trades=_trades(finished),
            equity=[row[1] for row in equity[1:]],
            times_ns=[row[0] for row in equity[1:]],
            metrics=finished.metrics,
        )


def _table(finished: Finished, name: str) -> list[tuple[Any, ...]]:
    return rows_of(pq.read_table(finished.folder / f"{name}.parquet"))


def _trades(finished: Finished) -> list[dict[str, str]]:
    with (finished.folder / "trades.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _stamp(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).isoformat()


def _currency(series: Series) -> str:
    return {"BTCUSDT": "USDT", "USDJPY": "JPY"}.get(series.symbol, "USD")
