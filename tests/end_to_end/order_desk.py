"""A working directory with a dozen minutes written by hand, in which plans of orders are run by the command line."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from boxgate_server.__main__ import main
from boxgate_server.outcome import Attachment

STRATEGIES = Path(__file__).parent / "strategies"
MINUTES = (
    "100 100 100 100", "100 101 99 100", "100 102 100 102", "102 103 101 101", "101 101 97 98", "98 99 96 97",
    "97 100 97 100", "100 104 100 104", "104 105 103 104", "104 104 100 101", "101 101 101 101", "101 102 101 101",
    "101 101 101 101",
)  # fmt: skip
"""Open, high, low and close of each bar; the tenth closes at midnight."""
START = "2024-01-02T23:50:00"

DELIVERIES: dict[str, dict[str, Any]] = {
    "lockstep": {"delivery": "lockstep"},
    "windows of 1": {"delivery": "window", "window_events": 1},
    "windows of 5": {"delivery": "window", "window_events": 5},
    "windows": {"delivery": "window", "window_events": 4096},
}


class OrderDesk:
    """Runs in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for script in ("planned_orders.py", "waits_for_orders.py", "trailing_target.py"):
            (folder / script).write_bytes((STRATEGIES / script).read_bytes())
        rows = [f"2024-01-02 23:{50 + k}:00" if k < 10 else f"2024-01-03 00:0{k - 10}:00" for k in range(len(MINUTES))]
        lines = ["time,open,high,low,close"]
        lines += [",".join([time, *bar.split()]) for time, bar in zip(rows, MINUTES, strict=True)]
        (folder / "bars.csv").write_text("\n".join(lines) + "\n")
        code, told = self.call(
            "data", "import", "bars.csv", "--name", "hand", "--symbol", "BTCUSDT", "--frame", "M1", "--tz", "UTC",
            "--side", "last", "--tick-size", "0.1", "--lot-size", "0.01",
        )  # fmt: skip
        assert code == 0, told

    def call(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        out = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out):
            code = main([*arguments, "--json"])
        return code, json.loads(out.getvalue().splitlines()[-1])

    def start(
        self, script: str, params: dict[str, Any], *options: str, execution: dict[str, Any], **keys: Any
    ) -> tuple[int, dict[str, Any]]:
        config = {
            "strategy": {"command": [sys.executable, script], "params": params, "sources": [script]},
            "dataset": "hand",
            "instruments": ["BTCUSDT"],
            "frames": ["M1"],
            "window": {"start": START, "end": "last"},
            "account": {"currency": "USDT", "cash": 100_000.0, "leverage": 10.0},
            "costs": {"spread": "none"},
            "execution": {"path": "pessimistic", **execution},
            "warmup": {"policy": "auto", "min_bars": 0},
            "report": {"html": False},
            **keys,
        }
        (self.folder / "run.yaml").write_text(yaml.safe_dump(config))
        return self.call("run", "run.yaml", *options)

    def run(self, *arguments: Any, **keys: Any) -> PlayedOrders:
        code, told = self.start(*arguments, **keys)
        assert code == 0, told
        return PlayedOrders(Path(self.folder, told["artifacts"]), told)

    def plan(self, plan: Sequence[dict[str, Any]], *options: str, reads: bool = False, **keys: Any) -> PlayedOrders:
        params = {"plan": [json.dumps(entry) for entry in plan], "reads": reads}
        return self.run("planned_orders.py", params, *options, **keys)

    def refused(
        self, plan: Sequence[dict[str, Any]], attachment: Attachment, *, reads: bool = False, **keys: Any
    ) -> dict[str, Any]:
        """Return the error of a run that the planned strategy, which runs already, makes impossible."""
        params = {"plan": [json.dumps(entry) for entry in plan], "reads": reads}
        options = ("--attach", attachment.address, "--cookie", attachment.cookie)
        code, told = self.start("planned_orders.py", params, *options, artifacts="refused", **keys)
        store = self.folder / "refused"
        assert not store.exists() or not list(store.iterdir())
        error = dict(told["error"])
        assert all(error[name] for name in ("code", "what", "where", "expected", "remedy"))
        return {**error, "exit": code}


class PlayedOrders:
    """A published run, read as a user reads it."""

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        self.folder = folder
        self.told = told
        self.digest = told["result_digest"]
        self.counts = told["metrics"]["counts"]

    def rows(self, name: str) -> list[dict[str, Any]]:
        return list(pq.read_table(self.folder / f"{name}.parquet").to_pylist())

    def orders(self) -> dict[str, dict[str, Any]]:
        return {row["client_id"]: row for row in self.rows("orders")}

    def report(self) -> dict[str, Any]:
        """What the strategy said at its stop."""
        lines = [json.loads(line) for line in (self.folder / "logs.ndjson").read_text().splitlines()]
        return dict(next(line["fields"]["report"] for line in lines if line["event"] == "stop_report"))
