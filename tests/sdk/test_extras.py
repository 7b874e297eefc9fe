"""What a strategy author is told whose installation lacks the library of an extra."""

from __future__ import annotations

import subprocess
import sys

import pytest

ON_WINDOW = """
from boxgate_sdk import Strategy
from boxgate_sdk.testing import InProcess, bars

class Vector(Strategy):
    def on_window(self, columns):
        return None

InProcess(Vector).run(bars([1.10, 1.11]))
"""


@pytest.mark.parametrize(
    ("library", "program", "extra"),
    [
        ("numpy", "import boxgate_sdk.vector", "vector"),
        ("numpy", "import boxgate_sdk.indicators.vector", "indicators"),
        ("numpy", ON_WINDOW, "vector"),
        (
            "polars",
            "from boxgate_sdk.history_view import *; HistoryView.to_polars(None)",
            "history-polars",
        ),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(library: str, program: str, extra: str) -> None:
    blocked = f"import sys; sys.modules[{library!r}] = None\n{program}"
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = done.stderr.strip().splitlines()[-1]
    assert f"{library} is not installed" in told, done.stderr
    assert f"pip install 'boxgate-sdk[{extra}]'" in told
