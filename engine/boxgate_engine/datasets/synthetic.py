"""Synthetic datasets: the series of one or several symbols, frozen like imported ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from boxgate_engine.datasets.adding import Account, ImportResult, IncomingSeries, add_series
from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.instrument_defaults import InstrumentOptions
from boxgate_engine.datasets.names import check_dataset_name, check_name
from boxgate_engine.datasets.synth import SyntheticMarket, synthesise
from boxgate_engine.errors import UserMistake
from boxgate_engine.frames import TICK

SOURCE: Final = "synthetic, made by boxgate"
"""`source` of synthetic series in manifests."""

LICENCE: Final = "CC0-1.0"
"""`licence` of synthetic series in manifests: they are nobody's."""

_SEED_MAX: Final = (1 << 64) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthRequest:
    """What to make. seed: in [0, 2^64). frame: M1 or tick. start_ns, end_ns: int64 ns UTC, end exclusive.

    instrument: facts that differ from the usual ones of each symbol.
    """

    seed: int
    symbols: tuple[str, ...]
    frame: str
    start_ns: int
    end_ns: int
    name: str
    instrument: InstrumentOptions = field(default_factory=InstrumentOptions)


def make_synthetic(root: Path, request: SynthRequest) -> ImportResult:
    """Freeze synthetic series under a name; a name that is taken gets them added, as an import would.

    Raises DataRefused, UserMistake (FRAME_UNKNOWN, SEED_RANGE).
    """
    check_dataset_name(request.name)
    for symbol in request.symbols:
        check_name(symbol, where="--symbol")
    if request.frame not in ("M1", TICK):
        raise UserMistake(
            f"synthetic data are not made as {request.frame}",
            code="FRAME_UNKNOWN",
            where="--frame",
            expected=f"M1 or {TICK}",
            remedy="make M1; larger frames are aggregated from it when they are used",
        )
    if not 0 <= request.seed <= _SEED_MAX:
        raise UserMistake(
            f"{request.seed} is no seed",
            code="SEED_RANGE",
            where="--seed",
            expected=f"0 to {_SEED_MAX}",
            remedy="choose another seed",
        )
    incoming = []
    for symbol in request.symbols:
        market = synthesise(request.seed, symbol, request.start_ns, request.end_ns, options=request.instrument)
        content = market.ticks() if request.frame == TICK else market.bars()
        incoming.append(synthetic_series(market, content, request.seed))
    return add_series(root, incoming, name=request.name)


def synthetic_series(market: SyntheticMarket, content: SeriesContent, seed: int) -> IncomingSeries:
    """Return bars or ticks of a synthetic market, with every fact of their instrument stated."""
    instrument = market.instrument
    return IncomingSeries(
        content=content,
        account=Account(
            source=SOURCE,
            licence=LICENCE,
            rows_read=content.rows,
            reading={"generator": "boxgate.synth/1", "seed": seed},
        ),
        options=InstrumentOptions(
            asset_class=instrument.asset_class,
            tick_size=instrument.tick_size,
            lot_size=instrument.lot_size,
            quote_currency=instrument.quote_currency,
            contract_size=instrument.contract_size,
        ),
    )
