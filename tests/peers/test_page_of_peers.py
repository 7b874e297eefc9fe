"""docs/comparison.md tells the figures that the fixtures have, and every rule that a test names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from peer_cases import load


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "comparison.md").read_text(encoding="utf-8")


def test_the_page_tells_how_many_trades_fills_and_figures_were_compared(page: str) -> None:
    trades = {name: len(case["trades"]) for name, case in load("backtesting")["cases"].items()}
    sizes = sum(count for name, count in trades.items() if name.endswith("/sizes"))
    bracketed = sum(trades.values()) - sizes
    assert f"| {sum(trades.values()):,} trades | {bracketed:,} as they stand | {sizes} by BT-02 |" in page
    fills = {name: len(case["fills"]) for name, case in load("nautilus")["cases"].items()}
    at_closes = sum(count for name, count in fills.items() if name.endswith("/bars"))
    assert f"| {sum(fills.values()) - at_closes:,} fills |" in page
    assert f"| {at_closes} fills | 0 | {at_closes} by NT-01 |" in page
    for curve in load("metrics")["curves"].values():
        assert f"| {len(curve['empyrical'])} figures each |" in page
        assert f"| {len(curve['quantstats'])} figures each |" in page


def test_the_page_tells_the_versions_of_the_fixtures(page: str) -> None:
    for fixture in ("backtesting", "nautilus", "metrics"):
        for name, version in load(fixture)["versions"].items():
            if name not in ("python", "numpy", "pandas", "scipy"):
                assert f"| `{name}` | {version} |" in page


def test_every_rule_of_the_page_is_named_by_a_test_and_the_other_way_round(page: str) -> None:
    tests = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    shown = {f"{peer.upper()}-{number}" for peer, number in re.findall(r"\b(?:test_)?(bt|nt|qs)_(\d\d)_", tests)}
    assert set(re.findall(r"\b(?:BT|NT|QS)-\d\d\b", page)) == shown
