"""What trading costs, for all instruments and for single ones."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from boxgate_engine.config.fields import Section, Symbol, refusal

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday")


class SpreadPrice(Section):
    """A constant spread in quote currency."""

    price: Annotated[float, Field(ge=0, le=1e12)]


class SpreadTicks(Section):
    """A constant spread in ticks of the instrument."""

    ticks: Annotated[int, Field(ge=0, le=1_000_000)]


class SpreadHours(Section):
    """A spread in ticks for each hour of the week, Monday 00:00 UTC first; parts of ticks are allowed."""

    hours: Annotated[
        tuple[Annotated[float, Field(ge=0, le=1_000_000)], ...], Field(strict=False, min_length=168, max_length=168)
    ]


def _spread_form(value: Any) -> str:
    if isinstance(value, SpreadHours) or (isinstance(value, dict) and "hours" in value):
        return "hours"
    if isinstance(value, SpreadPrice) or (isinstance(value, dict) and "ticks" not in value):
        return "price"
    return "ticks" if isinstance(value, (SpreadTicks, dict)) else "word"


Spread = Annotated[
    Annotated[Literal["data", "none"], Tag("word")]
    | Annotated[SpreadPrice, Tag("price")]
    | Annotated[SpreadTicks, Tag("ticks")]
    | Annotated[SpreadHours, Tag("hours")],
    Discriminator(_spread_form),
]


def _one_form(section: Any) -> Any:
    """Refuse a section that says one thing in two forms."""
    for short, long in (("fees_bps", "fees"), ("slippage_bps", "slippage")):
        if getattr(section, short) and getattr(section, long) is not None:
            raise refusal(
                f"{short} and {long} both say it", expected=f"{short} or {long}", remedy="leave one of the two out"
            )
    return section


class FeesConfig(Section):
    """A tariff. A fill pays max(minimum, notional * bps / 10000 + per_lot * qty / lot_qty + per_fill).

    maker_bps: of limits and take profits, below 0 for a rebate; taker_bps: of the rest. per_lot, per_fill, minimum: in
    account currency. lot_qty: base units of one lot.
    """

    maker_bps: Annotated[float, Field(gt=-10_000, lt=10_000)] = 0.0
    taker_bps: Annotated[float, Field(ge=0, lt=10_000)] = 0.0
    per_lot: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    lot_qty: Annotated[float, Field(gt=0, le=1e15)] = 100_000.0
    per_fill: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    minimum: Annotated[float | None, Field(ge=0, le=1e9)] = None

    @model_validator(mode="after")
    def _rebates_have_no_minimum(self) -> Self:
        if self.maker_bps < 0 and self.minimum is not None:
            raise refusal(
                "a rebate and a minimum fee contradict each other",
                expected="maker_bps of 0 or more, or no minimum",
                remedy="leave one of the two out",
            )
        return self


class SlippageConfig(Section):
    """A model of slippage. value: basis points, whole ticks, or the factor of share or impact."""

    model: Literal["bps", "ticks", "volume_share", "impact"]
    value: Annotated[float, Field(ge=0, lt=10_000)]

    @model_validator(mode="after")
    def _ticks_are_whole(self) -> Self:
        if self.model == "ticks" and not self.value.is_integer():
            raise refusal(
                f"{self.value:g} is no whole number of ticks", expected="whole ticks", remedy="round the value"
            )
        return self


class SwapConfig(Section):
    """What a night costs or brings, by side; positive is received. Booked at 17:00 in New York, Monday to Friday.

    model: points = ticks of the instrument, money_per_lot = account currency for each lot_qty, annual_rate = a fraction
    of the notional for 360 days. triple: the day on which three nights are booked.
    """

    model: Literal["points", "money_per_lot", "annual_rate"]
    long: Annotated[float, Field(ge=-1e9, le=1e9)]
    short: Annotated[float, Field(ge=-1e9, le=1e9)]
    lot_qty: Annotated[float, Field(gt=0, le=1e15)] = 100_000.0
    triple: Literal["monday", "tuesday", "wednesday", "thursday", "friday", "none"] = "wednesday"

    @property
    def triple_day(self) -> int | None:
        """Day of three nights, 1 for Monday to 5 for Friday."""
        return None if self.triple == "none" else _WEEKDAYS.index(self.triple) + 1

    @model_validator(mode="after")
    def _rates_are_fractions(self) -> Self:
        if self.model == "annual_rate" and max(abs(self.long), abs(self.short)) >= 10:
            raise refusal(
                f"an annual rate of {max(abs(self.long), abs(self.short)):g} is a thousand percent or more",
                expected="fractions, such as -0.03 for three percent a year",
                remedy="divide percent by 100",
            )
        return self


class FundingMissing(Section):
    """Funding from the data, and what happens where a rate is missing between two others."""

    missing: Literal["refuse", "skip"]


def _funding_form(value: Any) -> str:
    return "policy" if isinstance(value, (FundingMissing, dict)) else "word"


Funding = Annotated[
    Annotated[Literal["auto", "data", "none"], Tag("word")] | Annotated[FundingMissing, Tag("policy")],
    Discriminator(_funding_form),
]


def _swap_form(value: Any) -> str:
    return "word" if isinstance(value, str) else "terms"


Swap = Annotated[
    Annotated[Literal["none"], Tag("word")] | Annotated[SwapConfig, Tag("terms")],
    Discriminator(_swap_form),
]


class InstrumentCostsConfig(Section):
    """What is different for one instrument; what is left out is as for all."""

    fees_bps: Annotated[float | None, Field(ge=0, lt=10_000)] = None
    fees: FeesConfig | None = None
    slippage_bps: Annotated[float | None, Field(ge=0, lt=10_000)] = None
    slippage: SlippageConfig | None = None
    spread: Spread | None = None
    funding: Funding | None = None
    swap: Swap | None = None

    _one_form_each = model_validator(mode="after")(_one_form)


class CostsConfig(Section):
    """What trading costs. fees_bps: per fill, on notional; or fees: a whole tariff. slippage_bps: on market and stop
    fills; or slippage: another model.

    spread: `data` takes the ask or spread column, `none` has no spread, else a constant by price or by ticks, or one
    for each hour of the week. funding: `auto` pays the rates that the dataset has of an instrument, `data` demands
    them, `none` pays nothing; {missing: skip} goes on where a rate is missing. swap: overnight interest.
    instruments: what differs, by symbol.
    """

    fees_bps: Annotated[float, Field(ge=0, lt=10_000)] = 0.0
    fees: FeesConfig | None = None
    slippage_bps: Annotated[float, Field(ge=0, lt=10_000)] = 0.0
    slippage: SlippageConfig | None = None
    spread: Spread = "data"
    funding: Funding = "auto"
    swap: Swap = "none"
    instruments: dict[Symbol, InstrumentCostsConfig] = Field(default_factory=dict)

    _one_form_each = model_validator(mode="after")(_one_form)

    def fees_of(self, symbol: str) -> FeesConfig:
        """Return the tariff of an instrument."""
        own = self.instruments.get(symbol)
        if own is not None and own.fees is not None:
            return own.fees
        if own is not None and own.fees_bps is not None:
            return FeesConfig(maker_bps=own.fees_bps, taker_bps=own.fees_bps)
        return self.fees or FeesConfig(maker_bps=self.fees_bps, taker_bps=self.fees_bps)

    def slippage_of(self, symbol: str) -> SlippageConfig:
        """Return the slippage of an instrument."""
        own = self.instruments.get(symbol)
        if own is not None and own.slippage is not None:
            return own.slippage
        if own is not None and own.slippage_bps is not None:
            return SlippageConfig(model="bps", value=own.slippage_bps)
        return self.slippage or SlippageConfig(model="bps", value=self.slippage_bps)

    def spread_of(self, symbol: str) -> Spread:
        """Return the spread of an instrument."""
        own = self.instruments.get(symbol)
        return self.spread if own is None or own.spread is None else own.spread

    def funding_of(self, symbol: str) -> Funding:
        """Return where the funding of an instrument comes from."""
        own = self.instruments.get(symbol)
        return self.funding if own is None or own.funding is None else own.funding

    def swap_of(self, symbol: str) -> SwapConfig | None:
        """Return the overnight swap of an instrument, None for none."""
        own = self.instruments.get(symbol)
        swap = self.swap if own is None or own.swap is None else own.swap
        return None if swap == "none" else swap
