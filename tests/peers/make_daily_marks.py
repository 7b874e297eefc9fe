"""Make fixtures/daily_marks.json with Boxgate itself: equity of real runs, one mark a day. `make peers` runs it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from boxgate_side import Runs
from fixture_files import data_folder, finish

CURVES = (("eurusd_h1", "sizes"), ("eurusd_h1", "flips"), ("btcusdt_h1", "sizes"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(data_folder(), Path(folder))
        curves = {f"{name}/{rule}": runs.play(name, rule).daily_marks() for name, rule in CURVES}
    finish("daily_marks", {}, {"curves": curves})


if __name__ == "__main__":
    main()
