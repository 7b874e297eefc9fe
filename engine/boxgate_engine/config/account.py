"""The account of a run: its cash, its leverage, and when it is called or liquidated."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from boxgate_engine.config.fields import CURRENCY_PATTERN, Section, Symbol, entries, refusal

DEFAULT = "default"
"""Key of the leverage of instruments that a table does not name."""

_Leverage = Annotated[float, Field(ge=1, le=10_000)]


def _leverage_form(value: Any) -> str:
    return "table" if isinstance(value, dict) else "number"


class MarginConfig(Section):
    """When an account is called and liquidated. Fractions of the margin used; 0 is never.

    mode: cross = all positions share the equity, isolated = each has the margin it was opened with. maintenance:
    liquidation below this. call: margin call below this. fee_bps: on the notional of a liquidation, besides its fees.
    """

    mode: Literal["cross", "isolated"] = "cross"
    maintenance: Annotated[float, Field(ge=0, lt=1)] = 0.0
    call: Annotated[float, Field(ge=0, le=100)] = 0.0
    fee_bps: Annotated[float, Field(ge=0, lt=10_000)] = 0.0

    @model_validator(mode="after")
    def _is_called_first(self) -> Self:
        if 0 < self.call < self.maintenance:
            raise refusal(
                f"the margin call at {self.call:g} comes after the liquidation at {self.maintenance:g}",
                expected="call 0, or call at least maintenance",
                remedy="raise call or lower maintenance",
            )
        return self


class AccountConfig(Section):
    """The account. cash: opening cash in `currency`. leverage: notional per unit of margin; 1 for a cash account.

    leverage: a number, or a table by symbol with a `default`. equivalents: groups of currencies that count as one,
    such as [USD, USDT].
    """

    currency: Annotated[str, Field(pattern=CURRENCY_PATTERN)]
    cash: Annotated[float, Field(gt=0, le=1e15)]
    leverage: Annotated[
        Annotated[_Leverage, Tag("number")] | Annotated[dict[Symbol, _Leverage], Tag("table")],
        Discriminator(_leverage_form),
    ] = 1.0
    type: Literal["margin", "cash"] = "margin"
    margin: MarginConfig = MarginConfig()
    equivalents: Annotated[
        tuple[Annotated[tuple[Annotated[str, Field(pattern=CURRENCY_PATTERN)], ...], entries(2)], ...], entries()
    ] = ()

    @model_validator(mode="after")
    def _leverage_has_a_default(self) -> Self:
        if isinstance(self.leverage, dict) and DEFAULT not in self.leverage:
            raise refusal(
                "the leverage of the other instruments is missing",
                expected="a table such as {default: 30, XAUUSD: 20}",
                remedy="add default to the table",
            )
        return self

    @model_validator(mode="after")
    def _cash_is_not_levered(self) -> Self:
        levers = self.leverage.values() if isinstance(self.leverage, dict) else (self.leverage,)
        if self.type == "cash" and (set(levers) != {1.0} or self.margin != MarginConfig()):
            raise refusal(
                f"a cash account cannot have leverage {max(levers):g}"
                if set(levers) != {1.0}
                else "a cash account has no margin",
                expected="leverage 1 and no margin, or type margin",
                remedy="correct one of the two",
            )
        return self

    @model_validator(mode="after")
    def _groups_are_apart(self) -> Self:
        named = [currency for group in self.equivalents for currency in group]
        twice = sorted({currency for currency in named if named.count(currency) > 1})
        if twice:
            raise refusal(
                f"in more than one place of equivalents: {', '.join(twice)}",
                expected="each currency once",
                remedy="join the groups or remove the repetition",
            )
        return self

    def leverage_of(self, symbol: str) -> float:
        """Return the leverage of an instrument."""
        if isinstance(self.leverage, dict):
            return self.leverage.get(symbol, self.leverage[DEFAULT])
        return self.leverage

    def settles(self, currency: str) -> bool:
        """Return whether amounts in this currency are those of the account."""
        return self.representative(currency) == self.representative(self.currency)

    def representative(self, currency: str) -> str:
        """Return one name for all currencies that count as one."""
        return next((group[0] for group in self.equivalents if currency in group), currency)
