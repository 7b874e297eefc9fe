"""docs/writing-a-strategy.md and configs/: what they show works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.config import load_config
from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_sdk import IntentStrategy, Side, Signals, Strategy
from boxgate_sdk._contract import describe
from boxgate_sdk._server import check_strategy
from boxgate_sdk.parameters import bind
from boxgate_sdk.testing import InProcess, bars

_CONFIGS = [
    "breakout_trailing",
    "demo",
    "envelope_trend",
    "hedged_grid",
    "mean_reversion_zscore",
    "order_breakout",
    "pairs",
    "portfolio_rotation",
    "random_targets",
    "sma_cross",
    "tick_momentum",
]


def _blocks(repository: Path, language: str) -> list[str]:
    text = (repository / "docs" / "writing-a-strategy.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def document(repository: Path) -> dict[str, Any]:
    """The names that the first strategy and the tests of the document define."""
    blocks = _blocks(repository, "python")
    names: dict[str, Any] = {"__name__": "document"}
    exec(blocks[0], names)
    exec(next(block for block in blocks if "def test_" in block), names)
    return names


def test_the_tests_that_the_document_shows_pass_on_its_first_strategy(document: dict[str, Any]) -> None:
    tests = [value for name, value in document.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_the_vector_form_that_the_document_shows_answers_equally_in_every_cut(
    repository: Path, document: dict[str, Any]
) -> None:
    block = next(block for block in _blocks(repository, "python") if "def on_window" in block)
    names: dict[str, Any] = {"Signals": Signals, "Side": Side}
    exec(block, names)
    methods = {name: names[name] for name in ("on_init", "on_window")}
    first: type[Strategy] = document["Breakout"]
    vector_form: Any = type("VectorBreakout", (first,), methods)
    tape = bars([1.0 + 0.01 * (i * 7 % 11) for i in range(200)])
    by_bar = [s for s in InProcess(first, {"length": 5}).run(tape).signals if s.side is Side.BUY]
    for windows in (1, 9, 4096):
        assert InProcess(vector_form, {"length": 5}).run(tape, windows=windows).signals == by_bar


def test_the_order_strategy_that_the_document_shows_trades(repository: Path) -> None:
    names: dict[str, Any] = {"__name__": "document"}
    exec(next(block for block in _blocks(repository, "python") if "OrderStrategy" in block), names)
    # 1 % of 100,000 is lost over half a percent of the price 1.0: 200,000 units.
    (signal,) = InProcess(names["Dip"]).run(bars([1.0, 1.1, 1.0, 1.0])).signals
    assert signal.side == Side.BUY
    assert signal.qty == pytest.approx(200_000, abs=0.01)


def test_the_strategy_with_orders_of_its_own_is_one_that_can_be_served(repository: Path) -> None:
    names: dict[str, Any] = {"__name__": "document"}
    exec(next(block for block in _blocks(repository, "python") if "class Range" in block), names)
    check_strategy(names["Range"])
    described = describe(names["Range"], strategy_pb2.DescribeRequest())
    assert set(described.requires) == {"ORDERS", "FEEDBACK"}
    # Both stops are sent at the first bar; the rise to 1.1 fills the one above, and the other goes with it.
    run = InProcess(names["Range"]).run(bars([1.0, 1.0, 1.1]))
    assert [(intent.side, intent.stop_price) for _, intent in run.intents] == [(Side.BUY, 1.0002), (Side.SELL, 0.9998)]
    assert [(u.kind, u.price) for u in run.updates] == [("CANCELLATION", 0.0), ("FILL", 1.0002)]


def test_the_strategy_with_several_positions_holds_a_long_and_a_short(repository: Path) -> None:
    names: dict[str, Any] = {"__name__": "document"}
    for name in ("class Range", "class Tickets"):
        exec(next(block for block in _blocks(repository, "python") if name in block), names)
    run = InProcess(names["Tickets"]).run(bars([1.0, 1.0, 1.0, 1.0018, 1.0018, 1.0018]))
    assert {p.side for p in InProcess(names["Tickets"]).run(bars([1.0, 1.0])).positions} == {Side.BUY, Side.SELL}
    # The longs have met their targets at 1.0010 by then.
    assert {u.fill_reason for u in run.updates if u.side is Side.SELL} == {"ENTRY", "TAKE_PROFIT"}


def test_the_config_that_the_document_shows_is_valid(repository: Path, tmp_path: Path) -> None:
    config = tmp_path / "breakout.yaml"
    config.write_text(next(block for block in _blocks(repository, "yaml") if "dataset" in block))
    assert load_config(config).strategy.params == {"length": 50}


@pytest.mark.parametrize("name", _CONFIGS)
def test_each_config_is_valid_and_its_parameters_fit_the_strategy(repository: Path, name: str, example: Any) -> None:
    config = load_config(repository / "configs" / f"{name}.yaml")
    folder = Path(config.strategy.command[1]).parent.name
    assert name in (folder, "demo")
    (strategy,) = [
        value
        for value in vars(example(folder)).values()
        if isinstance(value, type) and issubclass(value, Strategy) and value not in (Strategy, IntentStrategy)
    ]
    made = strategy()
    bind(made, config.strategy.params)
    made.check_parameters()


def test_there_is_a_config_for_each_example(repository: Path) -> None:
    assert sorted(path.stem for path in (repository / "configs").glob("*.yaml")) == _CONFIGS
    folders = {path.parent.name for path in (repository / "examples").glob("*/strategy.py")}
    assert folders == set(_CONFIGS) - {"demo"}
