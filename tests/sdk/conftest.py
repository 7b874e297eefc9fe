"""What the tests of the SDK share: walks of prices and the examples as modules."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from boxgate_sdk import Bar
from boxgate_sdk.testing import bars

_EXAMPLES = Path(__file__).parents[2] / "examples"

Walk = Callable[..., list[Bar]]


@pytest.fixture
def walk() -> Walk:
    """Return a maker of bars whose closes walk at random on a grid of 0.00001, the same for the same seed."""

    def make(
        n: int, *, seed: int = 1, symbol: str = "EURUSD", frame: str = "M1", price: float = 1.1, step: float = 2e-4
    ) -> list[Bar]:
        generator = random.Random(seed)
        closes = []
        for _ in range(n):
            price = round(price + generator.gauss(0.0, step), 5)
            closes.append(price)
        return bars(closes, symbol=symbol, frame=frame)

    return make


@pytest.fixture
def two_symbols(walk: Walk) -> list[Bar]:
    """Return 1,200 minutes of two instruments, two bars in each moment but for some that are missing."""
    generator = random.Random(7)
    both = walk(1200, seed=2) + walk(1200, seed=3, symbol="GBPUSD", price=1.3)
    kept = [bar for bar in both if generator.random() < 0.9]
    return sorted(kept, key=lambda bar: (bar.time_ns, bar.symbol))


@pytest.fixture
def example() -> Callable[[str], ModuleType]:
    """Return a loader of examples/<name>/strategy.py."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"example_{name}", _EXAMPLES / name / "strategy.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
