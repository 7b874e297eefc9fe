"""Sizes against plain formulas in fractions, on random input; and what has no size."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from boxgate_sdk import errors, sizing
from boxgate_sdk.context import Instrument

LOTS = ((1, 100), (1, 1), (1000, 1), (1, 3), (1, 1_000_000))
CONTRACTS = ((1, 1), (100, 1), (1, 10))


def context(**changes: Any) -> Any:
    facts: dict[str, Any] = {
        "index": 0,
        "symbol": "AAA",
        "tick_ratio": (1, 100),
        "lot_ratio": (1, 100),
        "quote_currency": "USD",
    }
    facts |= {name: changes.pop(name) for name in [*changes] if name not in ("equity", "leverage", "account_currency")}
    shared: dict[str, Any] = {"equity": 10_000.0, "leverage": 30.0, "account_currency": "USD", **changes}
    return SimpleNamespace(instruments={"AAA": Instrument(**facts)}, **shared)


def assert_on_grid_below(qty: float, exact: Fraction, lot: tuple[int, int]) -> None:
    """Assert that qty is the largest grid value that is not above the exact quantity, but for the noise of floats."""
    step = Fraction(*lot)
    lots = round(Fraction(qty) / step)
    assert qty == lots * lot[0] / lot[1], "a double of the grid"
    slack = exact / 2**39
    assert lots * step <= exact + slack
    assert (lots + 1) * step > exact - slack


def test_a_position_by_risk_loses_what_was_risked_at_its_stop() -> None:
    random = Random(1)
    for _ in range(2_000):
        lot, contract = random.choice(LOTS), random.choice(CONTRACTS)
        risk, equity = random.uniform(0.0001, 1.0), random.uniform(1.0, 1e7)
        entry = random.uniform(0.01, 5000.0)
        stop = entry * random.choice((random.uniform(0.5, 0.9999), random.uniform(1.0001, 1.5)))
        rate = random.choice((None, random.uniform(0.005, 200.0)))
        ctx = context(
            lot_ratio=lot, contract_ratio=contract, equity=equity, quote_currency="USD" if rate is None else "JPY"
        )
        qty = sizing.by_risk(ctx, "AAA", risk=risk, entry=entry, stop=stop, rate=rate)
        loss = abs(Fraction(entry) - Fraction(stop)) * Fraction(*contract) * Fraction(1 if rate is None else rate)
        assert_on_grid_below(qty, Fraction(equity) * Fraction(risk) / loss, lot)
        assert Fraction(qty) * loss <= Fraction(equity) * Fraction(risk) * (1 + Fraction(1, 2**39))


def test_a_position_by_equity_is_worth_its_fraction_of_it() -> None:
    random = Random(2)
    for _ in range(2_000):
        lot, contract = random.choice(LOTS), random.choice(CONTRACTS)
        fraction, leverage, equity = random.uniform(0.01, 2.0), random.uniform(0.1, 30.0), random.uniform(1.0, 1e7)
        price = random.uniform(0.01, 5000.0)
        ctx = context(lot_ratio=lot, contract_ratio=contract)
        qty = sizing.by_equity(ctx, "AAA", fraction=fraction, price=price, leverage=leverage, equity=equity)
        value = Fraction(price) * Fraction(*contract)
        assert_on_grid_below(qty, Fraction(equity) * Fraction(fraction) * Fraction(leverage) / value, lot)


def test_lots_and_units_are_put_on_the_grid_toward_zero() -> None:
    ctx = context(lot_ratio=(1000, 1))
    assert sizing.by_lots(ctx, "AAA", 0.37, units_per_lot=100_000) == 37_000.0
    assert sizing.by_lots(ctx, "AAA", 0.29, units_per_lot=100_000) == 29_000.0, "0.29 × 100,000 is a bit less"
    assert sizing.by_lots(ctx, "AAA", 0.379, units_per_lot=100_000) == 37_000.0
    assert sizing.by_units(ctx, "AAA", 999.9) == 0.0
    assert sizing.by_units(ctx, "AAA", 2_000.0) == 2_000.0


def test_a_known_case_by_hand() -> None:
    # 1 % of 10,000 USD is 100 USD; a stop 50 pips away costs 0.0050 USD a unit: 20,000 units.
    ctx = context(lot_ratio=(1000, 1))
    assert sizing.by_risk(ctx, "AAA", risk=0.01, entry=1.1000, stop=1.0950) == 20_000.0
    # Half of the equity at leverage 2 is 10,000 USD, at a price of 0.1 that is 100,000 units.
    assert sizing.by_equity(ctx, "AAA", fraction=0.5, leverage=2.0, price=0.1) == 100_000.0
    # USDJPY in a dollar account: one yen is worth 1/150 dollar.
    yen = context(lot_ratio=(1000, 1), quote_currency="JPY")
    assert sizing.by_risk(yen, "AAA", risk=0.01, entry=150.0, stop=149.0, rate=1 / 150.0) == 15_000.0


def test_nothing_is_bought_with_no_equity_left() -> None:
    assert sizing.by_risk(context(equity=-5.0), "AAA", risk=0.01, entry=2.0, stop=1.0) == 0.0
    assert sizing.by_equity(context(equity=0.0), "AAA", fraction=1.0, price=2.0) == 0.0


REFUSED: list[tuple[Callable[[Any], float], Any, str]] = [
    (lambda c: sizing.by_risk(c, "AAA", risk=0.01, entry=2.0, stop=1.0), context(quote_currency="JPY"), "rate"),
    (lambda c: sizing.by_equity(c, "AAA", fraction=0.1, price=2.0), context(quote_currency=""), "rate"),
    (lambda c: sizing.by_risk(c, "AAA", risk=0.01, entry=2.0, stop=1.0, rate=1.1), context(), "rate"),
    (lambda c: sizing.by_risk(c, "AAA", risk=0.01, entry=2.0, stop=1.0), context(inverse=True), "AAA"),
    (lambda c: sizing.by_risk(c, "AAA", risk=1.5, entry=2.0, stop=1.0), context(), "risk"),
    (lambda c: sizing.by_risk(c, "AAA", risk=0.01, entry=2.0, stop=2.0), context(), "stop"),
    (lambda c: sizing.by_risk(c, "AAA", risk=0.01, entry=float("nan"), stop=2.0), context(), "entry"),
    (lambda c: sizing.by_equity(c, "AAA", fraction=0.1, price=-1.0), context(), "price"),
    (lambda c: sizing.by_equity(c, "AAA", fraction=0.1, price=1.0, leverage=31.0), context(), "leverage"),
    (lambda c: sizing.by_units(c, "AAA", -1.0), context(), "units"),
]


@pytest.mark.parametrize(("size", "ctx", "where"), REFUSED)
def test_what_has_no_size_is_an_error_that_names_the_argument(size: Any, ctx: Any, where: str) -> None:
    with pytest.raises(errors.SizingInvalid) as refused:
        size(ctx)
    assert refused.value.where == where


def test_an_unknown_symbol_is_named() -> None:
    with pytest.raises(errors.InstrumentUnknown, match="BBB"):
        sizing.by_units(context(), "BBB", 1.0)
