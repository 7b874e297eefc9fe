"""The rules of an account, from the config and the data: costs, leverage, rates, funding and overnight swap."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from boxgate_engine.calendars.fx_week import FxWeek
from boxgate_engine.config import FundingMissing, LatencyConfig, RunConfig
from boxgate_engine.datasets import Dataset
from boxgate_engine.datasets.content import FUNDING
from boxgate_engine.datasets.funding_quality import missing_rates
from boxgate_engine.errors import ConfigInvalid, Problem
from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.records import Floats, Integers
from boxgate_engine.rules import AccountRules, Latency, MarginRules, RateLegs, SwapTerms, TradingCosts
from boxgate_engine.timestamps import format_utc

_PERPETUAL: Final = re.compile(r"[-_.]?(PERP|SWAP)$", re.ASCII | re.IGNORECASE)
_DAY_NS: Final = 86_400_000_000_000
_NONE: Final = (np.zeros(0, np.int64), np.zeros(0, np.float64))
_NO_NIGHTS: Final = (np.zeros(0, np.int64), np.zeros(0, np.int64))


def account_rules(
    config: RunConfig, dataset: Dataset, instruments: Sequence[Instrument], *, start_ns: int, end_ns: int, seed: int = 0
) -> AccountRules:
    """Return the rules of the account of a run in the window (start_ns, end_ns]. seed: of the run, for its latency.

    Raises ConfigInvalid (FUNDING_MISSING) with every instrument that lacks a rate in the window; what can be told
    without a window is told by rate_problems and funding_problems.
    """
    problems: list[Problem] = []
    funding = []
    for instrument in instruments:
        stamps = _NONE
        if is_funded(config, dataset, instrument.symbol):
            stamps = _funding(config, dataset, instrument.symbol, start_ns, end_ns, problems.append)
        funding.append(stamps)
    if problems:
        raise ConfigInvalid(problems)
    swaps = [config.costs.swap_of(one.symbol) for one in instruments]
    margin, latency = config.account.margin, config.execution.latency or LatencyConfig()
    return AccountRules(
        cash=config.account.cash,
        leverage=[config.account.leverage_of(one.symbol) for one in instruments],
        cash_account=config.account.type == "cash",
        costs=[_trading_costs(config, one.symbol) for one in instruments],
        path=config.execution.path,
        margin=MarginRules(mode=margin.mode, maintenance=margin.maintenance, call=margin.call, fee_bps=margin.fee_bps),
        rates=[_legs(config, instruments, one) or None for one in instruments],
        funding=funding,
        swap=[
            None if one is None else SwapTerms(model=one.model, long=one.long, short=one.short, lot_qty=one.lot_qty)
            for one in swaps
        ],
        swap_stamps=[_NO_NIGHTS if one is None else swap_stamps(one.triple_day, start_ns, end_ns) for one in swaps],
        volume_limit=config.execution.volume_limit,
        latency=Latency(fixed_ns=latency.fixed_ns, jitter_ns=latency.jitter_ns, seed=seed),
    )


def rate_problems(config: RunConfig, instruments: Sequence[Instrument]) -> list[Problem]:
    """Return a problem for each instrument whose profit no instrument of the run converts."""
    problems = []
    for one in instruments:
        if _legs(config, instruments, one) is None:
            quote, own = one.quote_currency, config.account.currency
            problems.append(
                Problem(
                    path="account.currency",
                    source="",
                    code="RATE_MISSING",
                    what=f"{one.symbol} is quoted in {quote}, the account is in {own}, and no instrument of the run "
                    f"gives the rate {quote}/{own}",
                    expected=f"an instrument such as {quote}{own} or {own}{quote}, or two that lead from {quote} to "
                    f"{own}",
                    remedy=f"add one to instruments; or, where both are worth the same, set account.equivalents: "
                    f"[[{own}, {quote}]]; or change account.currency",
                )
            )
    return problems


def funding_problems(config: RunConfig, dataset: Dataset) -> list[Problem]:
    """Return a problem for each instrument whose funding the dataset lacks, where the config demands it.

    `auto` demands it of what is a perpetual by its symbol, such as BTC-PERP.
    """
    return [
        Problem(
            path="costs.funding",
            source="",
            code="FUNDING_MISSING",
            what=f"the dataset has no funding rates of {symbol}",
            expected="funding rates that were imported under the name of the dataset",
            remedy="import the venue's file of funding rates with --name, or set costs.funding: none (nothing is paid)",
        )
        for symbol in config.instruments
        if not dataset.is_stored(symbol, FUNDING)
        and (choice := config.costs.funding_of(symbol)) != "none"
        and (choice != "auto" or _PERPETUAL.search(symbol))
    ]


def swap_stamps(triple_day: int | None, start_ns: int, end_ns: int) -> tuple[Integers, Integers]:
    """Return (times, nights) of the rollovers in (start_ns, end_ns]: 17:00 in New York, Monday to Friday.

    triple_day: on which three nights are booked, 1 for Monday to 5 for Friday, or None.
    """
    times = FxWeek().day_boundaries(start_ns + 1, end_ns + 1)
    # 17:00 in New York is 21:00 or 22:00 UTC of the same day.
    weekdays = (times // _DAY_NS + 3) % 7 + 1
    nights = np.ones(len(times), np.int64)
    nights[weekdays == (triple_day or 0)] = 3
    return times, nights


def _legs(config: RunConfig, instruments: Sequence[Instrument], of: Instrument) -> RateLegs | tuple[()] | None:
    """Return what leads from an instrument's quote currency to the account's: () for nothing needed, None for no way.

    docs/spec/execution.md, conversion: one instrument, direct before inverse, else two.
    """
    same = config.account.representative
    target, quote = same(config.account.currency), same(of.quote_currency)
    if quote == target:
        return ()
    pairs = []
    for one in instruments:
        base = one.symbol.removesuffix(one.quote_currency)
        pairs.append((same(base) if base != one.symbol else "", same(one.quote_currency)))

    def one_leg(origin: str, goal: str) -> tuple[int, bool] | None:
        for wanted, inverse in (((origin, goal), False), ((goal, origin), True)):
            if wanted in pairs:
                return pairs.index(wanted), inverse
        return None

    direct = one_leg(quote, target)
    if direct is not None:
        return RateLegs(first=direct[0], first_inverse=direct[1])
    for number, (base, other) in enumerate(pairs):
        for origin, goal, inverse in ((base, other, False), (other, base, True)):
            second = one_leg(goal, target) if origin == quote and goal else None
            if second is not None:
                return RateLegs(first=number, first_inverse=inverse, second=second[0], second_inverse=second[1])
    return None


def is_funded(config: RunConfig, dataset: Dataset, symbol: str) -> bool:
    """Return whether positions of an instrument pay and receive funding."""
    return config.costs.funding_of(symbol) != "none" and dataset.is_stored(symbol, FUNDING)


def _funding(
    config: RunConfig, dataset: Dataset, symbol: str, start_ns: int, end_ns: int, refuse: Callable[[Problem], None]
) -> tuple[Integers, Floats]:
    """Return (times, rates) in (start_ns, end_ns]; rates that are missing there are refused unless they are skipped."""
    series = dataset.series(symbol, FUNDING)
    times = series.times_ns
    rates = np.asarray(series.columns["rate"], dtype=np.float64)
    inside = slice(int(np.searchsorted(times, start_ns, side="right")), int(np.searchsorted(times, end_ns, "right")))
    choice = config.costs.funding_of(symbol)
    if not (isinstance(choice, FundingMissing) and choice.missing == "skip"):
        holes = missing_rates(times, start_ns, end_ns)
        if holes:
            first = holes[0]
            refuse(
                Problem(
                    path="costs.funding",
                    source="",
                    code="FUNDING_MISSING",
                    what=f"{len(holes)} funding rate{'s' * (len(holes) > 1)} of {symbol} "
                    f"{'are' if len(holes) > 1 else 'is'} missing, the first at {format_utc(first)}",
                    expected=f"a rate at every stamp from {format_utc(start_ns)} to {format_utc(end_ns)}",
                    remedy="import the missing rates, choose another window, or set costs.funding: {missing: skip} "
                    "(nothing is paid at those stamps)",
                )
            )
    return times[inside].copy(), rates[inside].copy()


def _trading_costs(config: RunConfig, symbol: str) -> TradingCosts:
    fees, slippage = config.costs.fees_of(symbol), config.costs.slippage_of(symbol)
    return TradingCosts(
        maker_bps=fees.maker_bps,
        taker_bps=fees.taker_bps,
        per_lot=fees.per_lot,
        lot_qty=fees.lot_qty,
        per_fill=fees.per_fill,
        minimum=-math.inf if fees.minimum is None else fees.minimum,
        slippage_model=slippage.model,
        slippage=slippage.value,
    )
