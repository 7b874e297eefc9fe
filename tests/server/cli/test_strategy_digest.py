"""The files that identify a strategy stay what they were while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]

WRITER = """\
from pathlib import Path

from boxgate_sdk import Strategy, serve


class Writer(Strategy):
    name = "writer"
    version = "1"

    def on_init(self, ctx):
        (Path(__file__).parent / "notes.txt").write_text("written during the run")

    def on_event(self, event):
        return None


if __name__ == "__main__":
    serve(Writer)
"""


def test_a_strategy_that_changes_its_own_files_is_not_published(boxgate: Call, runs: Call, workspace: Path) -> None:
    folder = workspace / "writer"
    folder.mkdir()
    (folder / "strategy.py").write_text(WRITER)
    command = "strategy.command=[python, writer/strategy.py]"
    answered = boxgate("run", "run.yaml", "--json", "--set", command)
    assert (answered.error["code"], answered.code) == ("STRATEGY_CHANGED", 1)
    assert runs() == []
    # With its sources named, what it writes beside them is its own affair.
    answered = boxgate("run", "run.yaml", "--json", "--set", command, "--set", "strategy.sources=[writer/*.py]")
    assert answered.code == 0
