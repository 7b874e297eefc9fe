"""`boxgate matrix`: from a file to an index, killed and gone on with, damaged and mended; never a result of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from boxgate_server.matrix.config.load import load_matrix
from boxgate_server.matrix.execution.compute import compute
from boxgate_server.matrix.execution.work import Task
from boxgate_server.matrix.planning.planner import make_plan

pytestmark = pytest.mark.usefixtures("nothing_left")

RUNS = 12


def _index(fields: dict[str, Any]) -> pl.DataFrame:
    return pl.read_parquet(Path(fields["index"]) / "part-*.parquet")


def test_a_matrix_is_computed_and_each_of_its_runs_is_the_run_computed_alone(
    matrix: Path, boxgate: Callable[..., Any], runs: Callable[[], list[str]]
) -> None:
    done = boxgate("matrix", "run", str(matrix), "--json")
    fields = done.json
    assert done.code == 0, done.err
    wanted = {"planned": RUNS, "complete": RUNS, "failed": 0, "pending": 0, "reused": 0, "computed": RUNS}
    assert {name: fields[name] for name in wanted} == wanted
    assert (fields["schema"], fields["status"]) == ("boxgate.matrix/1", "complete")
    index = _index(fields)
    assert index["run_id"].to_list() == runs()
    lines = "".join(f"{a} {b}\n" for a, b in zip(index["run_id"], index["result_digest"], strict=True))
    assert fields["matrix_digest"] == f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    assert "12 of 12 runs" in done.err
    picked = index.row(5, named=True)
    alone = boxgate(
        "run", str(_alone(matrix)), "--json",
        "--set", f"window.start={_utc(picked['window_start_ns'])}",
        "--set", f"window.end={_utc(picked['window_end_ns'])}",
        "--set", f"strategy.params.every={picked['p_every']}", "--set", f"strategy.params.qty={picked['p_qty']}",
    ).json  # fmt: skip
    assert alone["published"] == "kept"
    assert (alone["run_id"], alone["result_digest"], alone["seed"]) == (
        picked["run_id"],
        picked["result_digest"],
        picked["seed"],
    )
    metrics = alone["metrics"]
    for name in (name for name in index.columns if name.startswith("m_")):
        group, _, key = name.removeprefix("m_").partition("_")
        told = metrics[group][key] if isinstance(metrics.get(group), dict) else metrics[name.removeprefix("m_")]
        assert picked[name] == told, name


def test_a_second_run_computes_nothing_and_a_changed_parameter_only_what_it_touches(
    matrix: Path, boxgate: Callable[..., Any]
) -> None:
    first = boxgate("matrix", "run", str(matrix), "--json").json
    second = boxgate("matrix", "run", str(matrix), "--json").json
    assert (second["computed"], second["reused"], second["matrix_digest"]) == (0, RUNS, first["matrix_digest"])
    other = boxgate("matrix", "run", str(matrix), "--json", "--set", "matrix.params.every=[20, 30]").json
    assert other["matrix_id"] != first["matrix_id"]
    assert (other["computed"], other["reused"]) == (RUNS // 2, RUNS // 2)


def test_a_strategy_beside_the_store_is_the_same_strategy_before_and_after(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    (workspace / "alone.py").write_text((workspace / "strategies" / "trader.py").read_text())
    beside = ["--set", "strategy.command=[python, alone.py]", "--set", "matrix.params={every: [10]}"]
    first = boxgate("matrix", "run", str(matrix), "--json", *beside).json
    second = boxgate("matrix", "run", str(matrix), "--json", *beside).json
    assert first["complete"] == 2
    assert (second["matrix_id"], second["reused"]) == (first["matrix_id"], 2)


def test_k08_what_was_deleted_or_altered_is_computed_again(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    first = boxgate("matrix", "run", str(matrix), "--json").json
    store = workspace / "artifacts" / "runs"
    gone, altered, *_ = _index(first)["run_id"]
    shutil.rmtree(store / gone)
    (store / altered / "trades.csv").write_text("nothing\n")
    again = boxgate("matrix", "resume", str(matrix), "--json").json
    assert (again["computed"], again["reused"], again["complete"]) == (2, RUNS - 2, RUNS)
    assert again["matrix_digest"] == first["matrix_digest"]


def test_c07_another_run_in_the_folder_of_an_id_is_a_failed_run(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    first = boxgate("matrix", "run", str(matrix), "--json").json
    store = workspace / "artifacts" / "runs"
    one, other, *_ = _index(first)["run_id"]
    shutil.rmtree(store / one)
    shutil.copytree(store / other, store / one)
    again = boxgate("matrix", "run", str(matrix), "--json")
    assert again.code == 1
    assert (again.json["status"], again.json["failed"], again.json["complete"]) == ("failed", 1, RUNS - 1)
    assert [(fail["run_id"], fail["code"]) for fail in again.json["failures"]] == [(one, "RUN_ID_CONFLICT")]


def test_k10_a_worker_with_another_strategy_or_version_does_not_pass_its_run_off_as_the_one_that_was_planned(
    matrix: Path, workspace: Path
) -> None:
    plan = make_plan(load_matrix(matrix), folder=workspace)
    one = next(iter(plan))

    class Other:
        def run(self, config: object, store: Path, durable: bool) -> Any:
            return type("Done", (), {"run_id": "r_" + "0" * 32})

    task = Task(run_id=one.run_id, params=plan.space.varied(one.params), attempt=1)
    outcome = compute(Other(), plan.settings[0].config, task, workspace)  # type: ignore[arg-type]
    assert outcome.failure is not None
    assert outcome.failure.code == "VERSION_MIXED"


def test_a_run_that_fails_is_told_and_the_others_go_on(matrix: Path, boxgate: Callable[..., Any]) -> None:
    few = ["--set", "matrix.params={every: [10, 20], fault: [none, raise, conflict]}"]
    done = boxgate("matrix", "run", str(matrix), "--json", *few)
    fields = done.json
    assert done.code == 1
    assert (fields["status"], fields["planned"], fields["complete"], fields["failed"]) == ("failed", 12, 4, 8)
    index = _index(fields)
    found = Counter(zip(index["p_fault"], index["error_code"], index["attempts"], strict=True))
    assert found == {
        ("none", None, 1): 4,
        ("raise", "SIDECAR_FAILED", 1): 4,
        ("conflict", "STRATEGY_REFUSED", 1): 4,
    }
    assert "Traceback" not in done.out + done.err
    assert "lost the plot" in done.err
    status = boxgate("matrix", "status", str(matrix), "--json", *few)
    assert (status.json["status"], status.json["failed"], status.json["driver"]) == ("failed", 8, None)


def test_plan_counts_and_estimates_and_leaves_nothing(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    planned = boxgate("matrix", "plan", str(matrix), "--json").json
    assert (planned["runs"], planned["capped"], planned["per_instrument"]) == (RUNS, False, {"EURUSD": RUNS})
    assert planned["seconds_est"] > 0
    assert planned["artifact_bytes_est"] > 0
    assert not (workspace / "artifacts").exists()
    capped = boxgate("matrix", "plan", str(matrix), "--json", "--set", "matrix.target_runs=5").json
    assert (capped["runs"], capped["capped"]) == (5, True)


def test_settings_that_turn_out_to_be_the_same_are_computed_once(matrix: Path, workspace: Path) -> None:
    windows = "matrix.windows=[{start: 2024-01-03, end: last}, {start: 2024-01-03, end: '2024-01-04'}]"
    costs = "matrix.costs=[{fees_bps: 1}, {fees_bps: 1, instruments: {BTCUSDT: {fees_bps: 5}}}, {fees_bps: 2}]"
    file = load_matrix(
        matrix, [windows, costs, "matrix.instruments=[EURUSD, BTCUSDT]", "account.equivalents=[[USD, USDT]]"]
    )
    plan = make_plan(file, folder=workspace)
    ids = [one.run_id for one in plan]
    assert len(ids) == len(set(ids)) == plan.count
    assert [(one.instruments[0], one.cost_set, len(one.roles)) for one in plan.settings] == [
        ("EURUSD", 0, 2),
        ("EURUSD", 2, 2),
        ("BTCUSDT", 0, 2),
        ("BTCUSDT", 1, 2),
        ("BTCUSDT", 2, 2),
    ]


def test_c05_a_matrix_that_is_too_large_is_refused_with_its_count_before_anything_is_opened(
    matrix: Path, boxgate: Callable[..., Any]
) -> None:
    refused = boxgate(
        "matrix", "plan", str(matrix), "--json", "--set", "dataset=none",
        "--set", "matrix.params.qty={from: 1, to: 250000000, step: 1}",
    )  # fmt: skip
    assert refused.code == 2
    assert refused.error["code"] == "MATRIX_TOO_LARGE"
    assert "1,000,000,000 runs" in refused.error["what"]


def test_c06_instruments_without_data_and_windows_without_events_are_told_at_once_with_their_lines(
    matrix: Path, boxgate: Callable[..., Any]
) -> None:
    matrix.write_text(
        matrix.read_text()
        .replace("[EURUSD]", "[EURUSD, EURUDS]")
        .replace("start: 2024-01-03T08", "start: 2023-01-03T08")
        .replace("end: 2024-01-03T10", "end: 2023-01-03T10")
        .replace("every: [10, 20]", "evry: [10, 20]")
    )
    refused = boxgate("matrix", "run", str(matrix), "--json")
    assert refused.code == 2
    told = {one["path"]: (one["code"], one["source"]) for one in refused.error["problems"]}
    assert told == {
        "matrix.params.evry": ("CONFIG", f"{matrix}:14"),
        "matrix.windows[0]": ("WINDOW_EMPTY", f"{matrix}:12"),
        "matrix.instruments[1]": ("SERIES_UNKNOWN", f"{matrix}:10"),
    }


def test_walk_forward_is_computed_on_both_windows_and_best_writes_a_config_that_is_the_run(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    lines = [
        "--set", "matrix.windows=[{start: 2024-01-03T08:00:00, end: 2024-01-03T14:00:00}]",
        "--set", "matrix.walk_forward={train: 2h, test: 1h, purge: 10m, embargo: 5m}",
        "--set", "matrix.search={objective: return.net_profit}",
    ]  # fmt: skip
    fields = boxgate("matrix", "run", str(matrix), "--json", *lines).json
    index = _index(fields)
    assert Counter(zip(index["fold"], index["segment"], strict=True)) == {
        (fold, segment): 6 for fold in range(3) for segment in ("train", "test")
    }
    best = boxgate("matrix", "best", str(matrix), "--json", *lines, "--write", "run.yaml").json
    assert len(best["folds"]) == 3
    last = index.filter((pl.col("fold") == 2) & (pl.col("segment") == "train"))
    assert best["best"]["value"] == last["m_return_net_profit"].max()
    text = (workspace / "run.yaml").read_text()
    assert best["best"]["run_id"] in text.splitlines()[0]
    alone = boxgate("run", "run.yaml", "--json", "--reuse", "--set", "report.html=false").json
    assert (alone["run_id"], alone["reused"]) == (best["best"]["run_id"], True)


def test_status_best_and_resume_of_a_matrix_that_was_never_begun_say_so(
    matrix: Path, boxgate: Callable[..., Any]
) -> None:
    for command in ("status", "resume", "cancel", "best"):
        refused = boxgate("matrix", command, str(matrix), "--json")
        assert (refused.code, refused.error["code"]) == (2, "MATRIX_UNKNOWN")


def test_k04_a_driver_that_is_killed_loses_nothing_and_doubles_nothing(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path
) -> None:
    store = workspace / "artifacts" / "runs"
    command = [sys.executable, "-m", "boxgate_server", "matrix", "run", str(matrix)]
    driver = subprocess.Popen(command, cwd=workspace, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while driver.poll() is None and time.monotonic() < until and len(list(store.glob("r_*"))) < RUNS // 2:
        time.sleep(0.005)
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL, "it was killed before it was done"
    before = {path.name: path.stat().st_ino for path in store.glob("r_*")}
    resumed = boxgate("matrix", "resume", str(matrix), "--json").json
    assert (resumed["complete"], resumed["reused"], resumed["computed"]) == (RUNS, len(before), RUNS - len(before))
    assert {name: (store / name).stat().st_ino for name in before} == before
    shutil.rmtree(workspace / "artifacts")
    undisturbed = boxgate("matrix", "run", str(matrix), "--json").json
    assert undisturbed["matrix_digest"] == resumed["matrix_digest"]


def test_a_driver_that_is_cancelled_from_elsewhere_ends_as_interrupted(
    matrix: Path, boxgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxgate_server.matrix.keeping.ledger.Ledger.is_cancelled", True)
    cancelled = boxgate("matrix", "run", str(matrix), "--json")
    assert (cancelled.code, cancelled.json["status"], cancelled.json["pending"]) == (130, "cancelled", RUNS)


def test_a_single_run_imports_nothing_of_the_matrix() -> None:
    code = (
        "import sys, boxgate_server.cli.run, boxgate_server.__main__;"
        "sys.exit(any('matrix' in name for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ)).returncode == 0


def _alone(matrix: Path) -> Path:
    """Write the run config beside a matrix: the same keys with one instrument."""
    path = matrix.with_name("alone.yaml")
    text, _, _ = matrix.read_text().partition("matrix:\n")
    window = json.dumps({"start": "2024-01-03", "end": "last"})
    path.write_text(f"{text}instruments: [EURUSD]\nwindow: {window}\nreport: {{html: false}}\n")
    return path


def _utc(time_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns // 10**9))
