"""The sections of the run config, their types, limits and defaults."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from boxgate_engine.frames import FRAME_NS
from boxgate_engine.timestamps import parse_utc_ns

WINDOW_EVENTS_MAX: Final = 16_384
"""Most events that one window may hold."""

FIRST: Final = "first"
"""Window start: the earliest instant that leaves the warm-up."""
LAST: Final = "last"
"""Window end: the availability of the last event of any series of the run."""

FrameName = Literal["S1", "M1", "M5", "M15", "M30", "H1", "H4", "D1", "W1", "tick"]
SYMBOL_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._#-]{0,31}$"
CURRENCY_PATTERN: Final = r"^[A-Z][A-Z0-9]{2,7}$"
TEXT_PATTERN: Final = r"^[^\x00-\x1f\x7f]+$"
TAG_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:=/+-]{0,63}$"

Scalar = bool | int | float | str
ParamValue = Scalar | list[Scalar]
Symbol = Annotated[str, Field(pattern=SYMBOL_PATTERN)]
RunTag = Annotated[str, Field(pattern=TAG_PATTERN)]
Text = Annotated[str, Field(max_length=4096, pattern=TEXT_PATTERN)]
_BYTE_SIZE: Final = TypeAdapter(ByteSize)


def refusal(what: str, *, expected: str, remedy: str) -> PydanticCustomError:
    """Return the error that a validator raises when the stock ones cannot say what is wrong."""
    return PydanticCustomError("refused", "{what}", {"what": what, "expected": expected, "remedy": remedy})


def _is_param(value: Any) -> Any:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, Scalar) for entry in entries):
        raise refusal(
            "a parameter is nothing or has keys of its own",
            expected="true or false, a number, text, or a list of these",
            remedy="correct the value, or leave the parameter out to get its default",
        )
    return value


def _bytes(value: Any) -> Any:
    try:
        return value if isinstance(value, bool) else int(_BYTE_SIZE.validate_python(value))
    except ValidationError as error:
        raise refusal(
            f"{value!r} is no size",
            expected="a number of bytes, or a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB",
            remedy="write for example 20GiB",
        ) from error


assert {*FRAME_NS, "tick"} == set(FrameName.__args__), "a frame without a name in the config"  # type: ignore[attr-defined]


class _Section(BaseModel):
    # Strict: the text "16" is not a number and 1 is not true; a config says what it means.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


# Strictness of the container alone is off: YAML gives lists and a frozen value holds tuples. Items stay strict.
def _entries(low: int = 0) -> Any:
    return Field(strict=False, min_length=low, max_length=1024)


class StrategyConfig(_Section):
    """The blackbox and its parameters.

    command: program and arguments; `python` is the gateway's interpreter, other relative paths start at the working
    directory. sources: globs of the files that make the strategy's digest; none = the script's folder but caches.
    """

    command: Annotated[tuple[Text, ...], _entries()] = ()
    params: dict[Text, Annotated[ParamValue, BeforeValidator(_is_param)]] = Field(default_factory=dict)
    sources: Annotated[tuple[Text, ...], _entries()] = ()


class WindowConfig(_Section):
    """The part of history that is traded: available after `start`, up to and including `end`.

    Each is `first`/`last`, a date (its 00:00 UTC) or a date with time; without a zone it is UTC.
    """

    start: str
    end: str

    @field_validator("start", "end")
    @classmethod
    def _is_an_instant(cls, text: str, info: ValidationInfo) -> str:
        word = FIRST if info.field_name == "start" else LAST
        if text != word:
            try:
                parse_utc_ns(text)
            except ValueError as error:
                raise refusal(
                    f"{text!r} is {error}",
                    expected=f"{word}, or a date such as 2024-01-31 or 2024-01-31T12:30:00Z",
                    remedy="correct the date",
                ) from None
        return text

    @model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.start_ns is not None and self.end_ns is not None and self.end_ns <= self.start_ns:
            raise refusal(
                f"the window is empty: its end {self.end} is not after its start {self.start}",
                expected="an end after the start",
                remedy="correct one of the two",
            )
        return self

    @property
    def start_ns(self) -> int | None:
        """Start in nanoseconds, None for `first`."""
        return None if self.start == FIRST else parse_utc_ns(self.start)

    @property
    def end_ns(self) -> int | None:
        """End in nanoseconds, None for `last`."""
        return None if self.end == LAST else parse_utc_ns(self.end)


class AccountConfig(_Section):
    """The account. cash: opening cash in `currency`. leverage: notional per unit of margin; 1 for a cash account."""

    currency: Annotated[str, Field(pattern=CURRENCY_PATTERN)]
    cash: Annotated[float, Field(gt=0, le=1e15)]
    leverage: Annotated[float, Field(ge=1, le=10_000)] = 1.0
    type: Literal["margin", "cash"] = "margin"

    @model_validator(mode="after")
    def _cash_is_not_levered(self) -> Self:
        if self.type == "cash" and self.leverage != 1:
            raise refusal(
                f"a cash account cannot have leverage {self.leverage:g}",
                expected="leverage 1, or type margin",
                remedy="correct one of the two",
            )
        return self


class SpreadPrice(_Section):
    """A constant spread in quote currency."""

    price: Annotated[float, Field(ge=0, le=1e12)]


class SpreadTicks(_Section):
    """A constant spread in ticks of the instrument."""

    ticks: Annotated[int, Field(ge=0, le=1_000_000)]


class SpreadHours(_Section):
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


class FeesConfig(_Section):
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


class SlippageConfig(_Section):
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


class InstrumentCostsConfig(_Section):
    """What is different for one instrument; what is left out is as for all."""

    fees_bps: Annotated[float | None, Field(ge=0, lt=10_000)] = None
    fees: FeesConfig | None = None
    slippage_bps: Annotated[float | None, Field(ge=0, lt=10_000)] = None
    slippage: SlippageConfig | None = None
    spread: Spread | None = None

    _one_form_each = model_validator(mode="after")(_one_form)


class CostsConfig(_Section):
    """What trading costs. fees_bps: per fill, on notional; or fees: a whole tariff. slippage_bps: on market and stop
    fills; or slippage: another model.

    spread: `data` takes the ask or spread column, `none` has no spread, else a constant by price or by ticks, or one
    for each hour of the week. instruments: what differs, by symbol.
    """

    fees_bps: Annotated[float, Field(ge=0, lt=10_000)] = 0.0
    fees: FeesConfig | None = None
    slippage_bps: Annotated[float, Field(ge=0, lt=10_000)] = 0.0
    slippage: SlippageConfig | None = None
    spread: Spread = "data"
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


class ExecutionConfig(_Section):
    """How orders meet prices, and how events are delivered.

    path: order of the prices inside a bar. series: frame that fills, for all instruments or per symbol; none = the
    finest frame of the run. delivery and window_events are operational: they never change a result.
    """

    path: Literal["ohlc", "olhc", "adaptive", "pessimistic", "optimistic", "real"] = "pessimistic"
    series: FrameName | dict[Symbol, FrameName] | None = None
    close_at_end: bool = False
    delivery: Literal["window", "lockstep"] = "window"
    window_events: Annotated[int, Field(ge=1, le=WINDOW_EVENTS_MAX)] = 4096


class WarmupConfig(_Section):
    """History before the start. auto: what the strategy declares plus safety_margin (a fraction); else min_bars."""

    policy: Literal["auto", "min_bars"] = "auto"
    min_bars: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    safety_margin: Annotated[float, Field(ge=0, le=10)] = 0.10


class DeterminismConfig(_Section):
    """Where chance comes from."""

    master_seed: Annotated[int, Field(ge=0, lt=2**64)] = 0


class CacheConfig(_Section):
    """Where mapped copies of the data lie, and how many bytes of them: a number, or text such as 20GiB."""

    local_dir: Text = ".cache/datasets"
    size_max: Annotated[int, BeforeValidator(_bytes), Field(gt=0)] = 20 << 30


class DataProviderConfig(_Section):
    """Where datasets lie and how they are read."""

    root: Text = "datasets"
    memory_map: bool = True
    cache: CacheConfig = CacheConfig()


class ReportConfig(_Section):
    """The page of the run. assets: its script inside the page, or one file beside the runs."""

    html: bool = True
    assets: Literal["inline", "shared"] = "inline"


class LimitsConfig(_Section):
    """Deadlines in seconds. A reply may take reply_base_s + events in the window * reply_per_event_s."""

    handshake_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    reply_base_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    reply_per_event_s: Annotated[float, Field(ge=0, le=3600)] = 0.01
    stop_grace_s: Annotated[float, Field(gt=0, le=3600)] = 2.0


class RunConfig(_Section):
    """A whole run config."""

    strategy: StrategyConfig
    dataset: Text
    instruments: Annotated[tuple[Symbol, ...], _entries(1)]
    frames: Annotated[tuple[FrameName, ...], _entries(1)]
    window: WindowConfig
    account: AccountConfig
    costs: CostsConfig = CostsConfig()
    execution: ExecutionConfig = ExecutionConfig()
    warmup: WarmupConfig = WarmupConfig()
    mode: Literal["debug", "prod"] = "debug"
    determinism: DeterminismConfig = DeterminismConfig()
    data_provider: DataProviderConfig = DataProviderConfig()
    artifacts: Text = "artifacts/runs"
    tags: Annotated[tuple[RunTag, ...], _entries()] = ()
    report: ReportConfig = ReportConfig()
    limits: LimitsConfig = LimitsConfig()

    @field_validator("instruments", "frames")
    @classmethod
    def _names_differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise refusal(
                f"named more than once: {', '.join(twice)}", expected="each name once", remedy="remove the repetition"
            )
        return names

    def execution_frame(self, symbol: str) -> str | None:
        """Return the frame that fills this symbol as the config says it, None = the finest frame of the run."""
        series = self.execution.series
        return series.get(symbol) if isinstance(series, dict) else series
