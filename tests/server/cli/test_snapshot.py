"""D13: data that change during a run make it void."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

VANDAL = """\
import os
from pathlib import Path

from boxgate_sdk import Strategy, serve


class Vandal(Strategy):
    def on_event(self, event):
        if event.seq == 100:
            for path in Path(".cache").resolve().rglob("EURUSD/M1*.arrow"):
                os.chmod(path, 0o644)
                with path.open("r+b") as file:
                    file.seek(2000)
                    file.write(b"\\\\0" * 8)


if __name__ == "__main__":
    serve(Vandal)
"""


def test_d13_a_file_that_changes_during_the_run_voids_it(
    boxgate: Callable[..., Any], workspace: Path, runs: Callable[[], list[str]]
) -> None:
    private = workspace / "cache"
    sets = [
        "strategy.command=[python, vandal.py]",
        "strategy.sources=[vandal.py]",
        f"data_provider.cache.local_dir={private}",
        "report.html=false",
    ]
    (workspace / "vandal.py").write_text(VANDAL.replace('Path(".cache")', f'Path("{private}")'))
    options = [part for one in sets for part in ("--set", one)]
    voided = boxgate("run", "run.yaml", "--json", *options)
    assert voided.error["code"] == "SNAPSHOT_MUTATED"
    assert voided.code == 1
    assert runs() == []
    again = boxgate("data", "check", "small", "--cache", str(private), "--json")
    assert again.code == 1, "the damage is found afterwards"
