"""`boxgate matrix status --watch`: a line each time it looks, with the rate since it began, until nobody computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from boxgate_server.matrix.keeping.lease import this_process
from boxgate_server.matrix.keeping.ledger import Counts, Ledger

CONFIG = """\
strategy: {command: [python, strategies/trader.py]}
dataset: small
frames: [M1]
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 0.2, slippage_bps: 0.1, spread: {ticks: 2}}
matrix:
  instruments: [EURUSD]
  windows: [{start: 2024-01-03T08:00:00, end: 2024-01-03T09:00:00}]
  params: {every: [10]}
"""


def test_each_look_is_a_line_with_the_rate_and_what_is_left(
    workspace: Path, boxgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "matrix.yaml").write_text(CONFIG)
    assert boxgate("matrix", "run", "matrix.yaml").code == 0
    looks = iter([Counts(8, 2, 0), Counts(8, 2, 0), Counts(5, 4, 1), Counts(0, 9, 1)])
    drivers = iter([this_process(), this_process(), None, None])
    clock = iter([0.0, 0.0, 6.0])
    monkeypatch.setattr(Ledger, "counts", lambda _: next(looks))
    monkeypatch.setattr(Ledger, "driver", lambda _: next(drivers))
    # The module's own clock: what starts the strategy for its parameters needs a real one.
    stub = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    monkeypatch.setattr("boxgate_server.cli.matrix.progress.time", stub)
    watched = boxgate("matrix", "status", "matrix.yaml", "--watch")
    assert watched.code == 0, watched.err
    lines = [line for line in watched.err.splitlines() if " of 10 runs" in line]
    assert lines == ["2 of 10 runs", "5 of 10 runs, 1 failed, 0.5/s, 10.0 s left"]
    assert "9 complete" in watched.out
