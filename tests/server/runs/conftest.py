"""A folder with a dataset and a strategy, and configs of runs there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from boxgate_engine.config import RunConfig, parse_config
from boxgate_engine.datasets import SynthRequest, make_synthetic
from boxgate_engine.timestamps import parse_utc_ns

CONFIG = """\
strategy: {command: [python, strategies/crossing.py], params: {}}
dataset: small
instruments: [EURUSD]
frames: [M1]
window: {start: 2024-01-03T10:00:00, end: 2024-01-03T14:00:00}
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 0.2, slippage_bps: 0.1, spread: data}
report: {html: false}
limits: {handshake_s: 30, reply_base_s: 20, stop_grace_s: 1}
"""

STRATEGY = """\
from boxgate_sdk import IntParameter, Signal, Strategy, errors, serve


class Crossing(Strategy):
    name = "crossing"

    every = IntParameter(20, min=1, max=1000)

    def supports(self):
        return ("RESET",)

    def history_events(self):
        return 5

    def on_init(self, ctx):
        if self.every == 13:
            raise errors.Refusal("thirteen")
        self.seen = 0

    def on_event(self, event):
        self.seen += 1
        if self.seen % self.every:
            return None
        return Signal.buy(10_000) if self.seen // self.every % 2 else Signal.flat()


serve(Crossing)
"""


@pytest.fixture(scope="session")
def datasets_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with two days of minutes of EURUSD, called `small`."""
    root = tmp_path_factory.mktemp("data") / "datasets"
    start_ns, end_ns = parse_utc_ns("2024-01-02"), parse_utc_ns("2024-01-04")
    request = SynthRequest(seed=5, symbols=("EURUSD",), frame="M1", start_ns=start_ns, end_ns=end_ns, name="small")
    make_synthetic(root, request)
    return root


@pytest.fixture
def folder(tmp_path: Path, datasets_root: Path) -> Path:
    """Where relative paths start."""
    (tmp_path / "datasets").symlink_to(datasets_root)
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "crossing.py").write_text(STRATEGY)
    return tmp_path


@pytest.fixture
def config_of() -> Callable[..., RunConfig]:
    """Return the config of a run, with overrides as on the command line."""

    def make(*overrides: str) -> RunConfig:
        return parse_config(CONFIG, overrides)

    return make
