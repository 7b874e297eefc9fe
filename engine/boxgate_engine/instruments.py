"""Static facts of an instrument: grids, contract, currencies."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """One tradable symbol.

    tick_size: smallest price step in quote currency. lot_size: smallest quantity step in base units, also the
    smallest quantity. contract_size: base units per unit of quantity. All three are exact and > 0.
    """

    symbol: str
    asset_class: Literal["forex", "cfd", "crypto", "index", "equity"]
    quote_currency: str
    tick_size: Fraction
    lot_size: Fraction
    contract_size: Fraction = Fraction(1)
    kind: Literal["linear", "inverse"] = "linear"

    @property
    def trades_on_weekends(self) -> bool:
        """True if the market has no weekend, so that a year has 365 daily marks."""
        return self.asset_class == "crypto"
