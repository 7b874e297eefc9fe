"""docs/indicators.md: what it shows works, and its table is true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from boxgate_sdk import Bar, indicators
from boxgate_sdk.testing import InProcess


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    return (repository / "docs" / "indicators.md").read_text(encoding="utf-8")


def test_both_strategies_that_it_shows_signal_equally_in_every_cut(text: str, two_symbols: list[Bar]) -> None:
    names: dict[str, Any] = {"__name__": "shown"}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)
    expected = InProcess(names["Touch"], warmup=60).run(two_symbols, windows=1).signals
    assert {signal.side.name for signal in expected} == {"BUY", "FLAT"}
    windows: list[Any] = [1, 13, 4096, [2, 90, 5]]
    for cut in windows:
        assert InProcess(names["TouchVector"], warmup=60).run(two_symbols, windows=cut).signals == expected


def test_it_has_every_indicator_with_its_warm_up(text: str) -> None:
    rows = re.findall(r"^\| [\w -]+ \| `(\w+)\((.*?)\)` \|.*?\|.*?\| (.*?) \|", text, re.MULTILINE)
    listed = {name for name in indicators.__all__ if hasattr(getattr(indicators, name), "push")}
    assert {name for name, _, _ in rows} == listed
    for name, arguments, formula in rows:
        values = {part.split("=")[0].strip(): part.split("=")[-1] for part in arguments.split(",")}
        lengths = {key: 5 if value.strip() == key else float(value) for key, value in values.items()}
        args = [value if key == "deviations" else int(value) for key, value in lengths.items()]
        expected = eval(formula.replace("−", "-").replace("2 n", "2 * n"), {}, lengths)
        assert getattr(indicators, name)(*args).warmup_events == expected, name
