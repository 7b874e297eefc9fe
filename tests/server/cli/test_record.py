"""`run --record` and `boxgate_sdk.replay`: a recorded session is repeated in a unit test."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from boxgate_sdk import Signal, Strategy, errors
from boxgate_sdk.replay import read_recording, replay

STRATEGIES = Path(__file__).parent / "strategies"


def load(path: Path) -> type[Strategy]:
    """The one strategy of a file."""
    spec = util.spec_from_file_location(f"recorded_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == spec.name
    ]
    return found[-1]


@pytest.fixture
def trader() -> type[Strategy]:
    return load(STRATEGIES / "trader.py")


@pytest.fixture
def recorded(boxgate: Callable[..., Any], workspace: Path) -> Path:
    answered = boxgate("run", "run.yaml", "--record", "session.boxgate", "--set", "report.html=false", "--json")
    assert answered.code == 0
    return workspace / "session.boxgate"


def test_the_strategy_answers_a_recording_of_itself_as_it_was(recorded: Path, trader: type[Strategy]) -> None:
    replayed = replay(trader, recorded, meta=True)
    assert replayed.events == 6 * 60 + sum(
        e.request.window.count for e in read_recording(recorded) if e.request.window.warmup
    )
    assert replayed.signals > 0
    assert not replayed.unanswered


CAREFUL = """\
from boxgate_sdk import IntParameter, Signal, Strategy, serve


class Careful(Strategy):
    every = IntParameter(7)

    def requires(self):
        return ("FEEDBACK",)

    def on_event(self, bar):
        if bar.seq % self.every:
            return None
        if bar.symbol in self.ctx.account.positions and self.ctx.rng.random() < 0.5:
            return Signal.flat()
        qty = 1000.0 + 100.0 * int(self.ctx.equity % 7)
        return Signal.buy(qty, sl=bar.close - 0.0005, meta={"equity": self.ctx.equity})


if __name__ == "__main__":
    serve(Careful)
"""


@pytest.mark.parametrize("delivery", ["lockstep", "window"])
def test_a_session_with_feedback_repeats_in_every_delivery(
    boxgate: Callable[..., Any], workspace: Path, delivery: str
) -> None:
    (workspace / "careful.py").write_text(CAREFUL)
    options = (
        f"execution.delivery={delivery}",
        "report.html=false",
        "strategy.command=[python, careful.py]",
        "strategy.sources=[careful.py]",
    )
    sets = [part for option in options for part in ("--set", option)]
    recordings = []
    for name in ("a.boxgate", "b.boxgate"):
        answered = boxgate("run", "run.yaml", "--record", name, "--json", *sets)
        assert answered.json["metrics"]["trades"]["count"] > 5
        recordings.append((workspace / name).read_bytes())
        replay(load(workspace / "careful.py"), workspace / name, meta=True)
    assert recordings[0] == recordings[1], "equal sessions give equal files"


def test_a_difference_shows_the_first_event_with_both_answers(recorded: Path, trader: type[Strategy]) -> None:
    changed_at: list[int] = []

    class Changed(trader):  # type: ignore[misc, valid-type]  # a class made at run time
        def on_event(self, event: Any) -> Any:
            answer = super().on_event(event)
            if event.seq >= 200 and answer is not None and not changed_at:
                changed_at.append(event.seq)
                return Signal.buy(12_345.0)
            return answer

    with pytest.raises(errors.ReplayDifference) as difference:
        replay(Changed, recorded)
    assert difference.value.seq == changed_at[0]
    assert difference.value.now.startswith("BUY 12345.0 EURUSD")
    assert difference.value.recorded != difference.value.now
    assert f"event {changed_at[0]}, EURUSD M1, 2024-01-03T" in str(difference.value)


def test_a_signal_that_is_missing_now_is_a_difference(recorded: Path, trader: type[Strategy]) -> None:
    class Silent(trader):  # type: ignore[misc, valid-type]  # a class made at run time
        def on_event(self, event: Any) -> Any:
            super().on_event(event)

    with pytest.raises(errors.ReplayDifference, match="the strategy answers: no signal"):
        replay(Silent, recorded)


def test_a_session_that_failed_is_recorded_up_to_the_window_in_which_it_failed(
    boxgate: Callable[..., Any], workspace: Path
) -> None:
    (workspace / "failing.py").write_text(
        "from boxgate_sdk import Strategy, serve\n"
        "class Failing(Strategy):\n"
        "    def on_event(self, event):\n"
        "        if event.seq == 150:\n"
        "            raise ValueError('at 150')\n"
        "if __name__ == '__main__':\n"
        "    serve(Failing)\n"
    )
    command = "strategy.command=[python, failing.py]"
    sets = ["--set", command, "--set", "strategy.sources=[failing.py]"]
    assert boxgate("run", "run.yaml", "--record", "failed.boxgate", *sets).code == 1
    with pytest.raises(ValueError, match="at 150"):
        replay(load(workspace / "failing.py"), workspace / "failed.boxgate")


def test_prod_runs_and_reused_runs_are_not_recorded(boxgate: Callable[..., Any], workspace: Path) -> None:
    refused = boxgate("run", "run.yaml", "--record", "session.boxgate", "--set", "mode=prod", "--json")
    assert refused.error["code"] == "RECORD_PROD"
    refused = boxgate("run", "run.yaml", "--record", "session.boxgate", "--reuse", "--json")
    assert refused.error["code"] == "USAGE"
    assert sorted(path.name for path in workspace.iterdir() if "boxgate" in path.name) == []


def test_a_recording_is_replaced_and_another_file_is_not(
    boxgate: Callable[..., Any], recorded: Path, workspace: Path
) -> None:
    again = ("run", "run.yaml", "--set", "report.html=false", "--json", "--record")
    assert boxgate(*again, "session.boxgate").code == 0
    (workspace / "notes.txt").write_text("keep me")
    assert boxgate(*again, "notes.txt").error["code"] == "RECORD_EXISTS"
    assert (workspace / "notes.txt").read_text() == "keep me"
    assert boxgate(*again, "no/such/folder/x").error["code"] == "STORE_IO"


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other"])
def test_a_damaged_recording_is_named(recorded: Path, trader: type[Strategy], tmp_path: Path, damage: str) -> None:
    data = recorded.read_bytes()
    damaged = tmp_path / "damaged.boxgate"
    plain = gzip.decompress(data)
    content = {
        "cut": data[: len(data) // 2],
        "flipped": data[:200] + bytes([data[200] ^ 255]) + data[201:],
        "empty": gzip.compress(b""),
        "other": gzip.compress(plain[1000:]),
    }
    damaged.write_bytes(content[damage])
    with pytest.raises(errors.RecordingUnreadable, match=r"damaged\.boxgate"):
        replay(trader, damaged)
    with pytest.raises(errors.RecordingUnreadable):
        replay(trader, tmp_path / "absent.boxgate")
