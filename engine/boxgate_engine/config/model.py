"""The sections of the run config, their types, limits and defaults."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    ByteSize,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from boxgate_engine.config.account import AccountConfig
from boxgate_engine.config.costs import CostsConfig
from boxgate_engine.config.execution import ExecutionConfig
from boxgate_engine.config.fields import TAG_PATTERN, FrameName, Section, Symbol, Text, entries, refusal
from boxgate_engine.frames import FRAME_NS
from boxgate_engine.timestamps import parse_utc_ns

FIRST: Final = "first"
"""Window start: the earliest instant that leaves the warm-up."""
LAST: Final = "last"
"""Window end: the availability of the last event of any series of the run."""

Scalar = bool | int | float | str
ParamValue = Scalar | list[Scalar]
RunTag = Annotated[str, Field(pattern=TAG_PATTERN)]
_BYTE_SIZE: Final = TypeAdapter(ByteSize)


def _is_param(value: Any) -> Any:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, Scalar) for entry in values):
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


class StrategyConfig(Section):
    """The blackbox and its parameters.

    command: program and arguments; `python` is the gateway's interpreter, other relative paths start at the working
    directory. sources: globs of the files that make the strategy's digest; none = the script's folder but caches.
    """

    command: Annotated[tuple[Text, ...], entries()] = ()
    params: dict[Text, Annotated[ParamValue, BeforeValidator(_is_param)]] = Field(default_factory=dict)
    sources: Annotated[tuple[Text, ...], entries()] = ()


class WindowConfig(Section):
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


class WarmupConfig(Section):
    """History before the start. auto: what the strategy declares plus safety_margin (a fraction); else min_bars."""

    policy: Literal["auto", "min_bars"] = "auto"
    min_bars: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    safety_margin: Annotated[float, Field(ge=0, le=10)] = 0.10


class DeterminismConfig(Section):
    """Where chance comes from."""

    master_seed: Annotated[int, Field(ge=0, lt=2**64)] = 0


class CacheConfig(Section):
    """Where mapped copies of the data lie, and how many bytes of them: a number, or text such as 20GiB."""

    local_dir: Text = ".cache/datasets"
    size_max: Annotated[int, BeforeValidator(_bytes), Field(gt=0)] = 20 << 30


class DataProviderConfig(Section):
    """Where datasets lie and how they are read."""

    root: Text = "datasets"
    memory_map: bool = True
    cache: CacheConfig = CacheConfig()


class ReportConfig(Section):
    """The page of the run. assets: its script inside the page, or one file beside the runs.

    ledger: ledger.parquet with both sides of every booking. equity: which marks of the equity curve are stored: each,
    or the last of each UTC hour or day; auto = each as long as they are not very many.
    """

    html: bool = True
    equity: Literal["auto", "bar", "hour", "day"] = "auto"
    ledger: bool = False
    assets: Literal["inline", "shared"] = "inline"


class LimitsConfig(Section):
    """Deadlines in seconds. A reply may take reply_base_s + events in the window * reply_per_event_s."""

    handshake_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    reply_base_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    reply_per_event_s: Annotated[float, Field(ge=0, le=3600)] = 0.01
    stop_grace_s: Annotated[float, Field(gt=0, le=3600)] = 2.0


class RunConfig(Section):
    """A whole run config."""

    strategy: StrategyConfig
    dataset: Text
    instruments: Annotated[tuple[Symbol, ...], entries(1)]
    frames: Annotated[tuple[FrameName, ...], entries(1)]
    window: WindowConfig
    account: AccountConfig
    costs: CostsConfig = CostsConfig()
    execution: ExecutionConfig = ExecutionConfig()
    warmup: WarmupConfig = WarmupConfig()
    mode: Literal["debug", "prod"] = "debug"
    determinism: DeterminismConfig = DeterminismConfig()
    data_provider: DataProviderConfig = DataProviderConfig()
    artifacts: Text = "artifacts/runs"
    tags: Annotated[tuple[RunTag, ...], entries()] = ()
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
