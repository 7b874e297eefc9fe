"""What is traded in a matrix: names, portfolios, and entries that have frames and windows of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Tag, field_validator

from boxgate_engine.config import RunConfig, WindowConfig
from boxgate_engine.config.fields import FrameName, Section, Symbol, entries, refusal


def _portfolio(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Portfolio = Annotated[tuple[Symbol, ...], BeforeValidator(_portfolio), entries(1)]
"""Instruments that are traded together in one account."""


class GroundConfig(Section):
    """Instruments with frames or windows of their own; what is left out is as beside `instruments`."""

    instruments: Portfolio
    frames: Annotated[tuple[FrameName, ...] | None, entries(1)] = None
    windows: Annotated[tuple[WindowConfig, ...] | None, entries(1)] = None

    @field_validator("frames")
    @classmethod
    def _frames_differ(cls, frames: tuple[str, ...] | None) -> tuple[str, ...] | None:
        twice = sorted({name for name in frames or () if (frames or ()).count(name) > 1})
        if twice:
            raise refusal(
                f"named more than once: {', '.join(twice)}", expected="each name once", remedy="remove the repetition"
            )
        return frames


InstrumentsEntry = Annotated[
    Annotated[GroundConfig, Tag("ground")] | Annotated[Portfolio, Tag("portfolio")],
    Discriminator(lambda value: "ground" if isinstance(value, (dict, GroundConfig)) else "portfolio"),
]
"""A name, a list of names that are traded together, or a mapping."""


@dataclass(frozen=True, kw_only=True)
class NumberedWindow:
    """A window, its key in the file, and its number: equal windows have one number, wherever they stand."""

    number: int
    path: str
    window: WindowConfig


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What runs are made on: instruments that are traded together, their frames, their windows.

    path: the key of its entry in the file, None where the instruments stand beside the matrix.
    """

    instruments: tuple[str, ...]
    frames: tuple[FrameName, ...]
    windows: tuple[NumberedWindow, ...]
    path: str | None


def entry_of(entry: GroundConfig | tuple[str, ...]) -> GroundConfig:
    """Return an entry in its long form."""
    return entry if isinstance(entry, GroundConfig) else GroundConfig(instruments=entry)


def grounds(
    listed: Sequence[GroundConfig | tuple[str, ...]] | None, windows: Sequence[WindowConfig] | None, base: RunConfig
) -> list[Ground]:
    """Return the grounds of a matrix in the order of the file.

    listed, windows: `matrix.instruments` and `matrix.windows`, None where they are left out. base: the run config
    beside them. The windows for all are numbered first, those of single entries after them.
    """
    long = [entry_of(one) for one in listed or (base.instruments,)]
    numbers: dict[tuple[str, str], int] = {}

    def numbered(found: Sequence[WindowConfig], path: str | None) -> tuple[NumberedWindow, ...]:
        return tuple(
            NumberedWindow(
                number=numbers.setdefault((one.start, one.end), len(numbers)),
                path="window" if path is None else f"{path}[{place}]",
                window=one,
            )
            for place, one in enumerate(found)
        )

    shared: tuple[NumberedWindow, ...] = ()
    if any(one.windows is None for one in long):
        shared = numbered((base.window,), None) if windows is None else numbered(windows, "matrix.windows")
    made = []
    for place, entry in enumerate(long):
        at = f"matrix.instruments[{place}]"
        made.append(
            Ground(
                instruments=entry.instruments,
                frames=entry.frames or base.frames,
                windows=shared if entry.windows is None else numbered(entry.windows, f"{at}.windows"),
                path=None if listed is None else at,
            )
        )
    return made
