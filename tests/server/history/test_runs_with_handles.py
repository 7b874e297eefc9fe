"""Runs whose strategy looks back by itself: the same by every way to its history, and nothing after the start."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running_strategy import running_strategy

from boxgate_server.__main__ import main

HERE = Path(__file__).parent / "strategies"
CONFIG = """\
strategy: {command: [python, strategies/looker.py], params: {}}
dataset: small
instruments: [EURUSD, XAUUSD]
frames: [M1]
window: {start: 2024-01-04T10:00:00, end: 2024-01-04T16:00:00}
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 0.2, slippage_bps: 0.1, spread: data}
execution: {window_events: 64}
data_provider: {root: datasets, cache: {local_dir: cache}}
mode: debug
determinism: {master_seed: 7}
limits: {handshake_s: 30, reply_base_s: 20, stop_grace_s: 1}
"""

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, dataset: Any, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run with overrides; gives the answer and, under `report`, what the strategy reported at its end."""
    shutil.copytree(HERE, tmp_path / "strategies", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "run.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)

    def go(*overrides: str, arguments: tuple[str, ...] = ()) -> dict[str, Any]:
        capfd.readouterr()
        settings = [part for override in overrides for part in ("--set", override)]
        main(["run", "run.yaml", "--json", *settings, *arguments])
        told: dict[str, Any] = json.loads(capfd.readouterr().out)
        if told["status"] == "complete":
            log = (Path(told["artifacts"]) / "logs.ndjson").read_text().splitlines()
            told["log"] = [json.loads(line) for line in log]
            reports = [line["fields"]["report"] for line in told["log"] if line["event"] == "stop_report"]
            told["report"] = reports[0] if reports else None
            shutil.rmtree(told["artifacts"])
        return told

    return go


def test_every_way_to_the_history_gives_the_same_run(run: Run, tmp_path: Path) -> None:
    mapped = run()
    assert mapped["status"] == "complete", mapped
    assert mapped["report"]["mapped"] is True
    assert mapped["metrics"]["counts"]["signals"] > 20
    lockstep = run("execution.delivery=lockstep")
    fetched = run("data_provider.memory_map=false")
    assert fetched["report"]["mapped"] is False
    prod = run("mode=prod")
    for other in (lockstep, fetched):
        assert other["report"]["seen"] == mapped["report"]["seen"]
    for other in (lockstep, fetched, prod):
        assert other["result_digest"] == mapped["result_digest"]
    slices = sorted((tmp_path / "cache").rglob("slices/*.arrow"))
    assert len(slices) == 2
    assert {path.stat().st_mode & 0o777 for path in slices} == {0o444}


def test_a_sidecar_that_does_not_see_the_cache_gets_the_same_by_flight(
    run: Run, tmp_path: Path, require_program: Callable[[str], Path]
) -> None:
    mapped = run()
    unshare = [str(require_program("unshare")), "--mount", *(["--map-root-user"] if os.getuid() else [])]
    hidden = f'mount -t tmpfs none "{tmp_path}/cache" && mount -t tmpfs none "{tmp_path}/datasets" && exec "$0" "$1"'
    program = [*unshare, "/bin/sh", "-c", hidden, sys.executable, "strategies/looker.py"]
    fetched = run(f"strategy.command={json.dumps(program)}", 'strategy.sources=["strategies/looker.py"]')
    assert fetched["status"] == "complete", fetched
    assert fetched["report"] == {"seen": mapped["report"]["seen"], "mapped": False}
    assert fetched["result_digest"] == mapped["result_digest"]


def test_asking_for_more_warm_up_starts_over_and_shows_the_same_history(run: Run) -> None:
    plain = run("strategy.params.need=700", "warmup.safety_margin=0")
    extended = run("strategy.params.more=700", "warmup.safety_margin=0")
    assert extended["metrics"]["counts"]["history_restarts"] == 1
    assert [line["event"] for line in extended["log"]].count("history_extended") == 2  # one for each series
    assert extended["report"]["seen"] == plain["report"]["seen"]
    assert extended["result_digest"] == plain["result_digest"]


def test_an_attached_strategy_gets_it_by_its_address(run: Run, tmp_path: Path) -> None:
    mapped = run()
    with running_strategy(tmp_path / "strategies" / "looker.py") as attachment:
        attached = run(arguments=("--attach", attachment.address, "--cookie", attachment.cookie))
    assert attached["status"] == "complete", attached
    assert attached["report"]["seen"] == mapped["report"]["seen"]


def test_a_hostile_sidecar_finds_nothing_after_the_start(run: Run, tmp_path: Path) -> None:
    told = run('strategy.command=["python", "strategies/hostile.py"]', 'strategy.sources=["strategies/hostile.py"]')
    assert told["status"] == "complete", told
    found = json.loads((tmp_path / "found.json").read_text())
    assert max(found["latest"]) == found["start_ns"]
    # The open of the last bar lies 60 s before the start and is not counted; no later number is in any file.
    assert found["raw"] == [0, 0]
    answers = found["answers"]
    written = {"read-only", "written"} if os.getuid() == 0 else {"read-only"}
    per_handle = len(answers[:-2]) // 2
    for tried in (answers[:per_handle], answers[per_handle:-2]):
        assert tried[0] in written
        assert tried[1:] == [
            *["TICKET_FORGED"] * 4,
            "TOKEN_REFUSED",
            *["OWNER_ONLY", "OWNER_ONLY", "NOT_OFFERED"],
            *["rows", "TICKET_REPLAYED"],
        ]
    assert all(answer not in ("rows",) for answer in answers[-2:])  # nothing is served once OnInit is over
