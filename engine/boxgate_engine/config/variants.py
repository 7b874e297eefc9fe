"""The configs of a band: the same run under every path assumption, and under lower and higher costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from boxgate_engine.config.costs import (
    CostsConfig,
    FeesConfig,
    InstrumentCostsConfig,
    SlippageConfig,
    Spread,
    SpreadHours,
    SpreadPrice,
    SpreadTicks,
)
from boxgate_engine.config.model import RunConfig

PATHS: Final[tuple[Literal["ohlc", "olhc", "adaptive", "pessimistic", "optimistic"], ...]] = (
    "ohlc",
    "olhc",
    "adaptive",
    "pessimistic",
    "optimistic",
)
"""Path assumptions of a band."""

COST_FACTORS: Final = (0.5, 2.0)
"""Factors of the costs of a band, besides 1."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One assumption of a band. cost_factor: of fees, slippage and assumed spreads; spreads of the data stay."""

    path: str
    cost_factor: float
    config: RunConfig


def band_variants(config: RunConfig) -> list[Variant]:
    """Return the variants of a run besides itself: every other path at its costs, its path at other costs."""
    own = config.execution.path
    paths = [path for path in PATHS if path != own]
    execution = config.execution.model_copy(update={"bands": False})
    variants = [
        Variant(
            path=path,
            cost_factor=1.0,
            config=config.model_copy(update={"execution": execution.model_copy(update={"path": path})}),
        )
        for path in paths
    ]
    variants += [
        Variant(
            path=own,
            cost_factor=factor,
            config=config.model_copy(update={"execution": execution, "costs": scaled_costs(config.costs, factor)}),
        )
        for factor in COST_FACTORS
        if scaled_costs(config.costs, factor) != config.costs
    ]
    return variants


def scaled_costs(costs: CostsConfig, factor: float) -> CostsConfig:
    """Return costs with fees, slippage and assumed spreads times the factor, whole ticks rounded up."""
    return costs.model_copy(
        update={
            **_scaled(costs, factor),
            "instruments": {
                symbol: own.model_copy(update=_scaled(own, factor)) for symbol, own in costs.instruments.items()
            },
        }
    )


def _scaled(costs: CostsConfig | InstrumentCostsConfig, factor: float) -> dict[str, object]:
    return {
        "fees_bps": None if costs.fees_bps is None else costs.fees_bps * factor,
        "fees": None if costs.fees is None else _fees(costs.fees, factor),
        "slippage_bps": None if costs.slippage_bps is None else costs.slippage_bps * factor,
        "slippage": None if costs.slippage is None else _slippage(costs.slippage, factor),
        "spread": None if costs.spread is None else _spread(costs.spread, factor),
    }


def _fees(fees: FeesConfig, factor: float) -> FeesConfig:
    names = ("maker_bps", "taker_bps", "per_lot", "per_fill")
    scaled: dict[str, object] = {name: getattr(fees, name) * factor for name in names}
    if fees.minimum is not None:
        scaled["minimum"] = fees.minimum * factor
    return fees.model_copy(update=scaled)


def _slippage(slippage: SlippageConfig, factor: float) -> SlippageConfig:
    value = slippage.value * factor
    return slippage.model_copy(update={"value": float(math.ceil(value)) if slippage.model == "ticks" else value})


def _spread(spread: Spread, factor: float) -> Spread:
    if isinstance(spread, SpreadPrice):
        return SpreadPrice(price=spread.price * factor)
    if isinstance(spread, SpreadTicks):
        return SpreadTicks(ticks=math.ceil(spread.ticks * factor))
    if isinstance(spread, SpreadHours):
        return SpreadHours(hours=tuple(ticks * factor for ticks in spread.hours))
    return spread
