"""The rules of an account as the engine knows them, and the records by which the kernel does.

What they mean is docs/spec/execution.md; `account_rules` makes them from a config and its data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.records import (
    PATH_ADAPTIVE,
    PATH_OHLC,
    PATH_OLHC,
    PATH_OPTIMISTIC,
    PATH_PESSIMISTIC,
    RULES,
    SLIP_BPS,
    SLIP_IMPACT,
    SLIP_TICKS,
    SLIP_VOLUME_SHARE,
    STAMP,
    SWAP_ANNUAL_RATE,
    SWAP_MONEY_PER_LOT,
    SWAP_POINTS,
    Floats,
    Integers,
    Records,
)
from boxgate_engine.signal_intake import kernel_specs

PATHS: Final = {
    "ohlc": PATH_OHLC,
    "olhc": PATH_OLHC,
    "adaptive": PATH_ADAPTIVE,
    "pessimistic": PATH_PESSIMISTIC,
    "optimistic": PATH_OPTIMISTIC,
    "real": PATH_PESSIMISTIC,
}
"""Path assumption by the name of `execution.path`; `real` replaces bars on the tape, what remains is pessimistic."""


SLIPPAGE_MODELS: Final = {
    "bps": SLIP_BPS,
    "ticks": SLIP_TICKS,
    "volume_share": SLIP_VOLUME_SHARE,
    "impact": SLIP_IMPACT,
}
"""Number of each model of `costs.slippage`."""

SWAP_MODELS: Final = {"points": SWAP_POINTS, "money_per_lot": SWAP_MONEY_PER_LOT, "annual_rate": SWAP_ANNUAL_RATE}
"""Number of each model of `costs.swap`."""


@dataclass(frozen=True, kw_only=True)
class TradingCosts:
    """What trading one instrument costs. maker_bps, taker_bps: of the notional of a fill, below 0 for a rebate.

    per_lot: account currency for each lot_qty traded. per_fill, minimum: account currency a fill. slippage_model: a key
    of SLIPPAGE_MODELS, slippage its value.
    """

    maker_bps: float = 0.0
    taker_bps: float = 0.0
    per_lot: float = 0.0
    lot_qty: float = 100_000.0
    per_fill: float = 0.0
    minimum: float = -math.inf
    slippage_model: str = "bps"
    slippage: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MarginRules:
    """When positions are closed by force. mode: cross or isolated.

    maintenance, call: shares of the margin below which positions are liquidated and the account is called; 0 for never
    (isolated positions are liquidated all the same). fee_bps: of the notional of a liquidation, beside the usual fee.
    """

    mode: str = "cross"
    maintenance: float = 0.0
    call: float = 0.0
    fee_bps: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RateLegs:
    """The rate from a quote currency to the account's: the mid of an instrument, or the product of two.

    first, second: index of the instrument, second None for one leg. first_inverse, second_inverse: 1 / mid is taken.
    """

    first: int
    first_inverse: bool = False
    second: int | None = None
    second_inverse: bool = False


@dataclass(frozen=True, kw_only=True)
class SwapTerms:
    """What one night gives a position; positive is received. model: a key of SWAP_MODELS.

    long, short: ticks (points), account currency per lot_qty (money_per_lot) or share of the notional (annual_rate).
    """

    model: str
    long: float
    short: float
    lot_qty: float = 100_000.0


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long a decision is on its way: fixed_ns, and up to jitter_ns more, drawn by the seed of the run."""

    fixed_ns: int = 0
    jitter_ns: int = 0
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class AccountRules:
    """Assumptions of a run. cash: account currency. path: a key of PATHS.

    leverage: notional per margin, one for each instrument or one for all.

    costs: one for each instrument, or one for all.

    The others have one entry for each instrument, or none at all. rates: None where the quote currency is the
    account's. funding: times and rates. swap_stamps: times and numbers of nights. Times are int64 ns, ascending; those
    at or before the start of the run do not count. volume_limit: share of the volume of an event that may fill.
    """

    cash: float
    leverage: float | Sequence[float] = 1.0
    cash_account: bool = False
    costs: TradingCosts | Sequence[TradingCosts] = TradingCosts()
    path: str = "pessimistic"
    margin: MarginRules = MarginRules()
    rates: Sequence[RateLegs | None] = ()
    funding: Sequence[tuple[Integers, Floats]] = ()
    swap: Sequence[SwapTerms | None] = ()
    swap_stamps: Sequence[tuple[Integers, Integers]] = ()
    volume_limit: float | None = None
    latency: Latency = Latency()


def account_specs(instruments: Sequence[Instrument], rules: AccountRules) -> Records:
    """Return the SPEC records of the instruments under these rules, but for where their stamps end."""
    specs = kernel_specs(instruments)
    costs = rules.costs
    specs["leverage"] = rules.leverage
    each = [costs] * len(instruments) if isinstance(costs, TradingCosts) else costs
    for spec, cost in zip(specs, each, strict=True):
        for name in ("maker_bps", "taker_bps", "per_lot", "lot_qty", "per_fill"):
            spec[name] = getattr(cost, name)
        spec["fee_min"] = cost.minimum
        spec["slip_model"] = SLIPPAGE_MODELS[cost.slippage_model]
        spec["slip_value"] = cost.slippage
    specs["rate_first"] = specs["rate_second"] = -1
    for spec, legs in zip(specs, rules.rates or [None] * len(instruments), strict=True):
        if legs is not None:
            spec["rate_first"], spec["rate_first_inverse"] = legs.first, legs.first_inverse
            spec["rate_second"] = -1 if legs.second is None else legs.second
            spec["rate_second_inverse"] = legs.second_inverse
    for spec, swap in zip(specs, rules.swap or [None] * len(instruments), strict=True):
        if swap is not None:
            spec["swap_model"] = SWAP_MODELS[swap.model]
            spec["swap_long"], spec["swap_short"], spec["swap_lot_qty"] = swap.long, swap.short, swap.lot_qty
    return specs


def rules_record(rules: AccountRules, *, stamped: bool, orders: bool, places: int) -> Records:
    """Return the RULES record, shape (1,). stamped: there are stamps. places: of named positions, per instrument."""
    margin = rules.margin
    record = np.zeros(1, RULES)
    record["path"] = PATHS[rules.path]
    record["cash_account"] = rules.cash_account
    record["orders"] = orders
    record["places"] = places
    record["volume_limit"] = rules.volume_limit or 0.0
    record["isolated"] = margin.mode == "isolated"
    record["maintenance"] = margin.maintenance
    record["margin_call"] = margin.call
    record["liquidation_fee_bps"] = margin.fee_bps
    record["liquidates"] = margin.mode == "isolated" or margin.maintenance > 0.0
    converts = any(legs is not None for legs in rules.rates)
    record["active"] = stamped or converts or margin.call > 0.0 or bool(record["liquidates"][0])
    return record


def stamp_records(
    series: Sequence[tuple[Integers, Floats | Integers]], count: int, start_ns: int
) -> tuple[Records, Integers]:
    """Return the STAMP records after the start, grouped by instrument, and where each instrument's end."""
    ends = np.zeros(count, np.int64)
    parts = [np.zeros(0, STAMP)]
    for i in range(count):
        if series:
            times, values = (np.asarray(column) for column in series[i])
            part = np.zeros(int((times > start_ns).sum()), STAMP)
            part["time_ns"] = times[times > start_ns]
            part["value"] = values[times > start_ns]
            parts.append(part)
        ends[i] = sum(map(len, parts))
    return np.concatenate(parts), ends
