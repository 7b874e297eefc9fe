"""What a config makes of an account: rates by the names of the instruments, stamps of funding and swap."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from random import Random
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from rates import legs_of

from boxgate_engine.account_rules import account_rules, funding_problems, rate_problems, swap_stamps
from boxgate_engine.config import CostsConfig, RunConfig
from boxgate_engine.datasets.funding_quality import missing_rates
from boxgate_engine.instruments import Instrument

HOUR_NS = 3_600_000_000_000
CURRENCIES = ("USD", "EUR", "GBP", "JPY", "USDT")


class Stored:
    """A dataset of which only funding is asked: times and rates by symbol."""

    def __init__(self, **funding: tuple[list[int], list[float]]) -> None:
        self._funding = funding

    def is_stored(self, symbol: str, frame: str) -> bool:
        return frame == "funding" and symbol in self._funding

    def series(self, symbol: str, frame: str) -> Any:
        times, rates = self._funding[symbol]
        return SimpleNamespace(times_ns=np.array(times), columns={"rate": np.array(rates)})


def config_of(symbols: list[str], **keys: Any) -> RunConfig:
    return RunConfig.model_validate(
        {
            "strategy": {"command": ["s"]},
            "dataset": "d",
            "instruments": symbols,
            "frames": ["H1"],
            "window": {"start": "first", "end": "last"},
            "account": {"currency": "USD", "cash": 1000.0},
            **keys,
        }
    )


def instruments_of(pairs: list[tuple[str, str]]) -> list[Instrument]:
    one = Fraction(1)
    return [
        Instrument(symbol=base + quote, asset_class="forex", quote_currency=quote, tick_size=one, lot_size=one)
        for base, quote in pairs
    ]


def test_the_legs_of_a_rate_are_those_of_the_reference() -> None:
    random = Random(3)
    kinds: Counter[str] = Counter()
    for _ in range(3_000):
        pairs: list[tuple[str, str]] = []
        for _ in range(random.randint(1, 5)):
            base, quote = random.sample(CURRENCIES, 2)
            if (base, quote) not in pairs:
                pairs.append((base, quote))
        equivalents = [["USD", "USDT"]] if random.random() < 0.3 else []
        account = random.choice(CURRENCIES)
        found = instruments_of(pairs)
        config = config_of(
            [one.symbol for one in found], account={"currency": account, "cash": 1.0, "equivalents": equivalents}
        )
        specs = [SimpleNamespace(symbol=one.symbol, quote=one.quote_currency) for one in found]
        state: Any = SimpleNamespace(specs=specs, rules=SimpleNamespace(currency=account, equivalents=equivalents))
        expected = [legs_of(state, i) for i in range(len(found))]
        refused = [problem.what.split()[0] for problem in rate_problems(config, found)]
        assert refused == [one.symbol for one, legs in zip(found, expected, strict=True) if legs is None]
        if refused:
            kinds["none"] += 1
            continue
        rules = account_rules(config, Stored(), found, start_ns=0, end_ns=HOUR_NS)  # type: ignore[arg-type]
        for legs, wanted in zip(rules.rates, expected, strict=True):
            made = []
            if legs is not None:
                made.append((legs.first, not legs.first_inverse))
                if legs.second is not None:
                    made.append((legs.second, not legs.second_inverse))
            assert made == wanted
            kinds[str([direct for _, direct in made])] += 1
    assert len(kinds) == 8
    assert min(kinds.values()) > 10


def test_the_nights_of_years_are_those_of_the_calendar_of_new_york() -> None:
    start, end = datetime(2006, 12, 30, tzinfo=UTC), datetime(2012, 1, 5, tzinfo=UTC)
    expected = []
    for number in range((end - start).days + 1):
        day = start.date() + timedelta(days=number)
        close = datetime.combine(day, time(17), ZoneInfo("America/New_York"))
        if day.weekday() < 5 and start < close <= end:
            expected.append((int(close.timestamp()) * 10**9, 3 if day.weekday() == 4 else 1))
    bounds = (int(start.timestamp()) * 10**9, int(end.timestamp()) * 10**9)
    times, nights = swap_stamps(5, *bounds)
    assert list(zip(times.tolist(), nights.tolist(), strict=True)) == expected
    assert swap_stamps(None, *bounds)[1].max() == 1
    exact = expected[7][0]
    assert swap_stamps(None, exact - 1, exact)[0].tolist() == [exact]
    assert swap_stamps(None, exact, exact + 1)[0].tolist() == []


def test_an_instrument_without_swap_has_no_nights() -> None:
    week = 7 * 24 * HOUR_NS
    found = instruments_of([("EUR", "USD"), ("GBP", "USD")])
    swap = {"instruments": {"GBPUSD": {"swap": {"model": "points", "long": -1.0, "short": 0.5}}}}
    config = config_of(["EURUSD", "GBPUSD"]).model_copy(update={"costs": CostsConfig.model_validate(swap)})
    rules = account_rules(config, Stored(), found, start_ns=0, end_ns=week)  # type: ignore[arg-type]
    assert [len(times) for times, _ in rules.swap_stamps] == [0, 5]


def test_rates_that_are_missing_are_found_between_before_and_behind() -> None:
    every = 8 * HOUR_NS
    times = np.array([every * k for k in range(10, 40) if k not in (17, 18, 30)])
    missing = missing_rates(times, 0, 50 * every)
    assert missing == [every * k for k in (*range(1, 10), 17, 18, 30, *range(40, 51))]
    assert missing_rates(times, 10 * every, 39 * every + 1) == [every * k for k in (17, 18, 30)]
    assert missing_rates(times, 17 * every, 18 * every) == [18 * every]
    assert missing_rates(times[:1], 0, 50 * every) == []


def test_only_the_rates_of_the_window_are_paid() -> None:
    every = 8 * HOUR_NS
    stored: Any = Stored(EURUSD=([every * k for k in range(20)], [k / 1000 for k in range(20)]))
    found = instruments_of([("EUR", "USD"), ("GBP", "USD")])
    config = config_of(["EURUSD", "GBPUSD"])
    rules = account_rules(config, stored, found, start_ns=3 * every, end_ns=6 * every)
    assert [column.tolist() for column in rules.funding[0]] == [
        [4 * every, 5 * every, 6 * every],
        [0.004, 0.005, 0.006],
    ]
    assert len(rules.funding[1][0]) == 0
    none = config_of(["EURUSD", "GBPUSD"], costs={"instruments": {"EURUSD": {"funding": "none"}}})
    assert len(account_rules(none, stored, found, start_ns=0, end_ns=every).funding[0][0]) == 0


@pytest.mark.parametrize(
    ("funding", "symbol", "refused"),
    [
        ("auto", "BTCUSDT", False),
        ("auto", "BTC-PERP", True),
        ("auto", "ETHUSDT.SWAP", True),
        ("none", "BTC-PERP", False),
        ("data", "BTCUSDT", True),
        ({"missing": "skip"}, "BTCUSDT", True),
    ],
)
def test_a_perpetual_without_rates_is_refused_unless_nothing_is_to_be_paid(
    funding: Any, symbol: str, refused: bool
) -> None:
    stored: Any = Stored()
    problems = funding_problems(config_of([symbol], costs={"funding": funding}), stored)
    assert [problem.code for problem in problems] == ["FUNDING_MISSING"] * refused
