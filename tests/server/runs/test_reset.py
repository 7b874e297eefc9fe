"""One config gives one digest, in whatever process; a strategy that remembers earlier runs is told by name."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import BoxgateError
from boxgate_proto.strategy.v1 import instrument_pb2, window_pb2
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.errors import StateBleed
from boxgate_server.reset import verify_reset
from boxgate_server.runner import Runner
from boxgate_server.sidecars import Fresh, Lease, SidecarPool

Configs = Callable[..., RunConfig]

RATIO = instrument_pb2.Ratio(numerator=1, denominator=100)
PRICES = ("open", "high", "low", "close", "volume")
FAULTS = {
    "module": ("total = 0\n", "        global total; total += 1\n        self.seen = total - 1\n"),
    "class": ("", "        self.kept.append(self.every)\n        self.seen = len(self.kept) - 1\n"),
    "random": ("import random\nrandom.seed(1)\n", "        self.seen = random.randrange(self.every)\n"),
    "process": (
        "from pathlib import Path\ncount = Path('count')\nstarts = len(count.read_text()) if count.exists() else 0\n"
        "count.write_text('x' * (starts + 1))\n",
        "        self.seen = starts\n",
    ),
    "first": ("first = None\n", "        global first; first = first or self.every\n        self.every = first\n"),
}
"""What each strategy has before its class, and does in on_init instead of `self.seen = 0`."""


def player(runner: Runner, folder: Path) -> Callable[[RunConfig, Fresh | None], str]:
    """Return what computes a run and publishes it where no other is."""
    numbers = itertools.count()

    def play(config: RunConfig, fresh: Fresh | None) -> str:
        return runner.run(config, fresh=fresh, store=folder / f"store{next(numbers)}").result_digest

    return play


def plant(folder: Path, fault: str) -> None:
    script = folder / "strategies" / "crossing.py"
    before, instead = FAULTS[fault]
    text = script.read_text().replace("class Crossing", f"{before}\nclass Crossing")
    text = text.replace("    every = ", "    kept = []\n    every = ").replace("        self.seen = 0\n", instead)
    if fault == "first":
        text = text.replace(instead, f"{instead}        self.seen = 0\n")
    script.write_text(text)


def test_one_config_gives_one_digest_in_fresh_forked_and_reused_processes(folder: Path, config_of: Configs) -> None:
    config, other = config_of("strategy.params.every=7"), config_of("strategy.params.every=9")
    with Runner(folder=folder) as runner:
        play = player(runner, folder)
        digests = [play(config, "process"), play(config, "forked"), play(config, None), play(config, None)]
        different = play(other, None)
        digests.append(play(config, None))
        with pytest.raises(BoxgateError):  # refused: the process is thrown away
            play(config_of("strategy.params.every=13"), None)
        digests += [play(config, None), play(config, None), play(config, "process")]
        verify_reset([config, other], play)
    assert len({*digests}) == 1
    assert different not in digests


def test_a_session_after_an_aborted_one_gives_the_same_digest(
    folder: Path, config_of: Configs, monkeypatch: pytest.MonkeyPatch
) -> None:
    reused = []
    lease = SidecarPool.lease

    def after_an_abort(*arguments: Any, **named: Any) -> Lease:
        """Lease a process in which a session was broken off while a window was with the strategy."""
        leased = lease(*arguments, **named)
        reused.append(leased.reused)
        connection = leased.connection
        series = instrument_pb2.Series(instrument=0, frame="M1")
        instrument = instrument_pb2.Instrument(symbol="X", tick_size=RATIO, lot_size=RATIO, contract_size=RATIO)
        connection.on_init(
            pb.OnInitRequest(
                session_id="broken",
                contract_version=1,
                instruments=[instrument],
                series=[series],
                capabilities=["RESET"],
            )
        )
        times = [60_000_000_000 * number for number in range(1, 1001)]
        bars = window_pb2.BarColumns(
            open_ns=[each - 60_000_000_000 for each in times], **dict.fromkeys(PRICES, [1.0] * 1000)
        )
        window = window_pb2.EventWindow(first_seq=0, count=1000, time_ns=times, bars=bars)
        connection.open_stream("broken").send(pb.OnEventRequest(window=window).SerializeToString())
        connection.abort_streams()
        connection.on_stop(pb.OnStopRequest(session_id="broken", reason=pb.STOP_REASON_ABORTED))
        assert connection.stop_fault is None
        return leased

    config = config_of("strategy.params.every=7")
    with Runner(folder=folder) as runner:
        play = player(runner, folder)
        expected = play(config, "process")
        monkeypatch.setattr(SidecarPool, "lease", after_an_abort)
        assert [play(config, fresh) for fresh in ("process", "forked", None, None, None)] == [expected] * 5
    assert reused == [False, False, False, True, True]


@pytest.mark.parametrize("fault", ["module", "class", "random"])
def test_a_strategy_that_remembers_earlier_runs_is_told_by_name(folder: Path, config_of: Configs, fault: str) -> None:
    plant(folder, fault)
    config = config_of("strategy.params.every=7")
    with Runner(folder=folder) as runner:
        play = player(runner, folder)
        fresh = {play(config, "process"), play(config, "forked"), play(config, "process")}
        reused = [play(config, None) for _ in range(3)]
        assert len(fresh) == 1  # it is the reuse that differs
        assert len({*reused, *fresh}) > 1
        with pytest.raises(StateBleed) as caught:
            verify_reset([config], play)
    error = caught.value
    assert (error.error_code, error.exit_code) == ("STATE_BLEED", 1)
    assert "RESET" in error.remedy


def test_what_only_another_run_leaves_behind_is_seen_by_two_configs(folder: Path, config_of: Configs) -> None:
    plant(folder, "first")
    configs = [config_of("strategy.params.every=7"), config_of("strategy.params.every=9")]
    with Runner(folder=folder) as runner, pytest.raises(StateBleed):
        verify_reset(configs, player(runner, folder))
    with Runner(folder=folder) as runner:
        verify_reset(configs[:1], player(runner, folder))


def test_a_strategy_without_reset_may_remember_what_it_likes(folder: Path, config_of: Configs) -> None:
    plant(folder, "module")
    script = folder / "strategies" / "crossing.py"
    script.write_text(script.read_text().replace('("RESET",)', "()"))
    with Runner(folder=folder) as runner:
        verify_reset([config_of(), config_of("strategy.params.every=9")], player(runner, folder))


NOTING = """
    def on_stop(self):
        return {"late": sorted(set(sys.modules) - before)}
"""
ON_WINDOW = """
    def on_window(self, columns):
        return Signals(event_index=np.array([0]), side=np.array([Side.BUY]), qty=np.array([10_000.0]))


serve(Crossing)
"""


@pytest.mark.parametrize("form", ["event", "window"])
def test_a_forked_process_imports_nothing_more_during_a_session(folder: Path, config_of: Configs, form: str) -> None:
    script = folder / "strategies" / "crossing.py"
    text = f"import sys\nbefore = set(sys.modules)\n{script.read_text()}".replace("\n    every", f"{NOTING}\n    every")
    if form == "window":
        text = text[: text.index("    def on_event")].replace('("RESET",)', '("RESET", "VECTOR")') + ON_WINDOW
        text = text.replace(
            "from boxgate_sdk", "import numpy as np\nfrom boxgate_sdk import Side, Signals, vector\nfrom boxgate_sdk", 1
        )
    script.write_text(text)
    with Runner(folder=folder) as runner:
        run = runner.run(config_of(), fresh="forked")
    logged = [json.loads(line) for line in (run.folder / "logs.ndjson").read_text().splitlines()]
    (report,) = [line for line in logged if line["event"] == "stop_report"]
    assert report["fields"]["report"] == {"late": []}


def test_results_that_differ_between_fresh_processes_are_not_blamed_on_the_reuse(
    folder: Path, config_of: Configs
) -> None:
    plant(folder, "process")
    with Runner(folder=folder) as runner, pytest.raises(BoxgateError) as caught:
        verify_reset([config_of("strategy.params.every=7")], player(runner, folder))
    assert caught.value.error_code == "NONDETERMINISM"
