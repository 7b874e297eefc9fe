"""A band holds the figures that its variants have as runs of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

STRATEGY = """
from boxgate_sdk import Bar, Signal, Strategy, serve


class Bracketed(Strategy):
    name = "bracketed"

    def on_event(self, event: Bar) -> Signal | None:
        if event.seq % 5:
            return None
        return Signal.buy(10_000.0, sl=event.close - 0.00003, tp=event.close + 0.00003)


serve(Bracketed)
"""

FIGURES = {"net_profit": "return", "max_drawdown": "risk", "sharpe": "ratio", "profit_factor": "trades"}


def test_each_variant_equals_a_run_of_its_own(boxgate: Callable[..., Any], workspace: Path) -> None:
    (workspace / "own").mkdir()
    (workspace / "own" / "bracketed.py").write_text(STRATEGY)

    def run(*options: str) -> dict[str, Any]:
        sets = ("strategy.command=[python, own/bracketed.py]", *options)
        answered = boxgate("run", "run.yaml", "--json", *[part for one in sets for part in ("--set", one)]).json
        assert answered["status"] == "complete", answered
        return dict(answered)

    answered = run("execution.bands=true")
    bands = json.loads((Path(answered["artifacts"]) / "bands.json").read_text())
    assert answered["bands"] == bands
    assert len(bands["variants"]) == 7
    seen = []
    for variant in bands["variants"]:
        factor = variant["cost_factor"]
        alone = run(
            f"execution.path={variant['path']}",
            f"costs.fees_bps={0.2 * factor}",
            f"costs.slippage_bps={0.1 * factor}",
        )
        for name, group in FIGURES.items():
            assert variant[name] == alone["metrics"][group][name], (variant["path"], factor, name)
        assert variant["trades"] == alone["metrics"]["trades"]["count"]
        assert variant["deciding_bars"] == alone["metrics"]["counts"]["path_dependent_bars"]
        seen.append(variant["net_profit"])
    assert bands["all"]["net_profit"] == [min(seen), max(seen)]
    assert seen[0] == answered["metrics"]["return"]["net_profit"]
    assert len(set(seen)) > 3, "the path decides something"
    assert bands["deciding_bars"] == answered["metrics"]["counts"]["path_dependent_bars"] > 0


def test_a_band_does_not_change_the_result(boxgate: Callable[..., Any]) -> None:
    plain = boxgate("run", "run.yaml", "--json").json
    banded = boxgate("run", "run.yaml", "--json", "--set", "execution.bands=true").json
    assert banded["result_digest"] == plain["result_digest"]
    assert banded["run_id"] != plain["run_id"], "the identity says that more was asked for"
    assert "bands" not in plain
    again = boxgate("rerun", banded["run_id"], "--json")
    assert again.code == 0


@pytest.mark.usefixtures("nothing_left")
def test_a_run_killed_between_itself_and_its_band_is_completed_by_repeating_it(
    boxgate: Callable[..., Any], workspace: Path, runs: Callable[[], list[str]]
) -> None:
    command = ("run", "run.yaml", "--json", "--set", "execution.bands=true")
    told = workspace / "told.txt"
    with told.open("w") as stderr:
        running = subprocess.Popen(
            [sys.executable, "-m", "boxgate_server", *command], stdout=subprocess.DEVNULL, stderr=stderr
        )
    until = time.monotonic() + 60.0
    while "running the band" not in told.read_text() and running.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    running.kill()
    assert running.wait() == -signal.SIGKILL, told.read_text()
    assert runs() == [], "nothing is published without its band"
    first = boxgate(*command, "--reuse").json
    assert (first["published"], first["reused"], len(first["bands"]["variants"])) == ("new", False, 7)
    second = boxgate(*command, "--reuse").json
    assert (second["published"], second["reused"]) == ("kept", True)
    assert second["bands"] == first["bands"]
    (Path(first["artifacts"]) / "bands.json").unlink()
    third = boxgate(*command, "--reuse").json
    assert (third["reused"], third["bands"]) == (False, first["bands"]), "a band that is gone is computed again"
