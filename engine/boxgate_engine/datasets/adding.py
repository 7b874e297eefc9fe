"""Adding series to a dataset: described, checked against what is there, frozen as a new dataset."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from boxgate_engine.calendars import Calendar, calendar_of
from boxgate_engine.datasets.catalogue import read_catalogue
from boxgate_engine.datasets.content import Column, SeriesContent
from boxgate_engine.datasets.durable import locked
from boxgate_engine.datasets.formats.source import Side
from boxgate_engine.datasets.grid import TickSizeInference
from boxgate_engine.datasets.instrument_defaults import INSTRUMENT_FACTS, InstrumentOptions, describe_instrument
from boxgate_engine.datasets.manifest import JsonObject, Manifest, StoredSeries
from boxgate_engine.datasets.parquet import stream_series
from boxgate_engine.datasets.quality import QualityReport, price_columns
from boxgate_engine.datasets.series_writer import Heading, SeriesWriter
from boxgate_engine.datasets.store import Draft, Frozen, Origin, dataset_folder, draft, find
from boxgate_engine.errors import DataRefused
from boxgate_engine.instruments import Instrument

OnGap: TypeAlias = Literal["report", "refuse"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportResult:
    """What an import made.

    series: those of this import. created: False if this very dataset was there before. replaced: hash that the name
    stood for although its dataset was no longer in the store, None otherwise.
    """

    manifest: Manifest
    name: str | None
    series: tuple[StoredSeries, ...]
    created: bool
    replaced: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Where a series comes from and what was done to get it, for the manifest.

    rows_read: of its files. repairs: name -> rows, only those that are not zero are kept. reading: how it was read.
    """

    source: str
    licence: str
    rows_read: int
    repairs: Mapping[str, int] = field(default_factory=dict)
    reading: JsonObject = field(default_factory=dict)
    inputs: tuple[JsonObject, ...] = ()
    policies: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingSeries:
    """A series in memory. options: facts of its instrument."""

    content: SeriesContent
    account: Account
    options: InstrumentOptions


def add_series(root: Path, incoming: Iterable[IncomingSeries], *, name: str | None) -> ImportResult:
    """Freeze series that are in memory as a new dataset, or as additions to the dataset that `name` stands for.

    Raises like `adding` and what it yields.
    """
    with adding(root, name) as addition:
        for one in incoming:
            content = one.content
            heading = Heading(
                symbol=content.symbol,
                frame=content.frame,
                price_basis=content.price_basis,
                names=tuple(content.columns),
            )
            with addition.open(heading, one.options) as series:
                series.writer.add(content.columns)
            series.finish(one.account)
        return addition.publish()


@contextmanager
def adding(root: Path, name: str | None, *, replace_series: bool = False) -> Iterator[Addition]:
    """Yield what takes the series of a new dataset, and publishes it; left without that, nothing is stored.

    name: if it stands for a dataset, the series are added to those; a name whose dataset is gone from the store is
    given to the new one. replace_series: those that are there with other content are replaced, not refused.
    """
    with locked(root / ".import.lock"):  # What a name stands for must not change between reading and renaming.
        before = read_catalogue(root).get(name) if name is not None else None
        gone = before is not None and not os.path.lexists(dataset_folder(root, before))
        base = find(root, name)[1] if name is not None and before is not None and not gone else None
        with draft(root) as dataset:
            yield Addition(dataset, base, name, before if gone else None, replace_series=replace_series)


class Addition:
    """A dataset that is being made of `base`, None for nothing, and of new series."""

    def __init__(
        self, dataset: Draft, base: Manifest | None, name: str | None, gone: str | None, *, replace_series: bool
    ) -> None:
        self.dataset: Final = dataset
        self.base: Final = base
        self.replace_series: Final = replace_series
        self.instruments: Final = {one.symbol: one for one in base.instruments} if base else {}
        self.inferred: Final = dict(base.inferred) if base else {}
        self.stored: Final[list[StoredSeries]] = []
        self._name = name
        self._gone = gone

    def open(
        self,
        heading: Heading,
        options: InstrumentOptions,
        calendar: Calendar | None = None,
        *,
        inverse: bool = False,
    ) -> SeriesInHand:
        """Return what takes the rows of a series.

        calendar: None: that of the series it replaces, else by asset class. inverse: the contract is settled in its
        base currency. Raises DataRefused (DATA_INSTRUMENT) for facts that can neither be guessed nor were stated.
        """
        return SeriesInHand(self, heading, options, calendar, inverse=inverse)

    def before(self, heading: Heading) -> StoredSeries | None:
        """Return the series of `base` with this symbol and frame."""
        return stored_series(self.base, heading.symbol, heading.frame)

    def bids(self, asks: Heading) -> Iterator[dict[str, Column]]:
        """Yield the stored bid bars that ask bars stand beside. Raises DataRefused (DATA_SCHEMA) if there are none."""
        stored = self.before(asks)
        if self.base is None or stored is None or stored.price_basis != "BID" or "open" not in stored.columns:
            raise DataRefused(
                "ask prices have no bid series to stand beside",
                code="DATA_SCHEMA",
                where=f"{asks.symbol} {asks.frame}",
                expected="bid bars of the same symbol and frame under the same name",
                remedy="import the bid file first, with --name N, then this one with --side ask and the same name",
            )
        return stream_series(dataset_folder(self.dataset.root, self.base.hash), stored)

    def publish(self) -> ImportResult:
        """Publish the dataset; what it adds is complete, or an error was raised before."""
        frozen: Frozen = self.dataset.publish(
            self.instruments.values(), self.stored, base=self.base, name=self._name, inferred=self.inferred
        )
        keys = {(one.symbol, one.frame) for one in self.stored}
        return ImportResult(
            manifest=frozen.manifest,
            name=self._name,
            series=tuple(one for one in frozen.manifest.series if (one.symbol, one.frame) in keys),
            created=frozen.created,
            replaced=self._gone,
        )


class SeriesInHand:
    """A series of an addition while its rows stream by, in a `with` statement around them.

    writer: takes the rows in stored order. What it writes is inspected on the way: quality, and the tick size if it is
    neither stated nor known.
    """

    def __init__(
        self,
        addition: Addition,
        heading: Heading,
        options: InstrumentOptions,
        calendar: Calendar | None,
        *,
        inverse: bool,
    ) -> None:
        known = addition.instruments.get(heading.symbol)
        guessed = addition.inferred.get(heading.symbol, ())
        # What cannot be described is said here, and not after all rows were read.
        asset_class = (
            options.asset_class or (known or describe_instrument(heading.symbol, Fraction(1), options)[0]).asset_class
        )
        tick_size = options.tick_size
        if tick_size is None and known is not None and "tick_size" not in guessed:
            tick_size = known.tick_size
        if calendar is None:
            stored = addition.before(heading)
            calendar = calendar_of(stored.quality if stored else {}, asset_class)
        self.heading: Final = heading
        self._addition = addition
        self._options = options
        self._kind: Final[Literal["linear", "inverse"]] = "inverse" if inverse else "linear"
        self._quality = QualityReport(calendar, tick_size)
        self._tick_size = TickSizeInference()
        observers = [self._quality.add]
        if tick_size is None:
            observers.append(lambda content: self._tick_size.add(price_columns(content).values()))
        self.writer: Final[SeriesWriter] = addition.dataset.writer(heading, asset_class, observers)

    def __enter__(self) -> SeriesInHand:
        self.writer.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.writer.__exit__(*error)

    def finish(self, account: Account, *, side: Side | None = None, on_gap: OnGap = "report") -> None:
        """Take the series into the addition, after its rows. side: of its prices, as stated.

        Raises DataRefused: DATA_DUPLICATE (the dataset has it with other content), DATA_INSTRUMENT, DATA_GAP.
        """
        addition, heading = self._addition, self.heading
        instrument, guessed = self._instrument()
        quality = {
            "rows_read": account.rows_read,
            "rows_kept": self.writer.rows,
            "repairs": {name: count for name, count in account.repairs.items() if count},
            "reading": account.reading,
            **({"policies": account.policies} if account.policies else {}),
            **self._quality.result(),
        }
        origin = Origin(source=account.source, licence=account.licence, quality=quality, inputs=account.inputs)
        stored = addition.dataset.stored(self.writer, origin)
        self._refuse_other_content(stored, side)
        if on_gap == "refuse":
            self._refuse_gaps()
        addition.instruments[heading.symbol], addition.inferred[heading.symbol] = instrument, guessed
        addition.stored.append(stored)

    def _instrument(self) -> tuple[Instrument, tuple[str, ...]]:
        """Return the instrument of the series, agreeing with what the dataset knows of it already."""
        options, symbol = self._options, self.heading.symbol
        where = f"{symbol} {self.heading.frame}"
        known = self._addition.instruments.get(symbol)
        guessed = self._addition.inferred.get(symbol, ())
        if options.tick_size is not None:
            tick_size = options.tick_size
        elif known is not None and "tick_size" not in guessed:
            tick_size = known.tick_size
        else:
            tick_size = self._tick_size.result(where)
        if known is None:
            described, inferred = describe_instrument(symbol, tick_size, options)
            return replace(described, kind=self._kind), inferred
        if known.kind != self._kind:
            raise DataRefused(
                f"the dataset has {symbol} as {known.kind} contract, the file as {self._kind}",
                code="DATA_INSTRUMENT",
                where=where,
                expected="one description of an instrument in a dataset",
                remedy="import under a new --name",
            )
        facts: dict[str, Any] = {name: getattr(known, name) for name in INSTRUMENT_FACTS}
        if "tick_size" in guessed:
            facts["tick_size"] = min(known.tick_size, tick_size)
        for name in INSTRUMENT_FACTS:
            stated = getattr(options, name)
            if stated is not None and stated != facts[name] and name not in guessed:
                raise DataRefused(
                    f"the dataset has {symbol} with {name} {facts[name]}, the import says {stated}",
                    code="DATA_INSTRUMENT",
                    where=where,
                    expected="one description of an instrument in a dataset",
                    remedy="leave the fact out, or import under a new --name",
                )
            facts[name] = stated if stated is not None else facts[name]
        instrument, _ = describe_instrument(symbol, tick_size, InstrumentOptions(**facts))
        return replace(instrument, kind=self._kind), tuple(name for name in guessed if getattr(options, name) is None)

    def _refuse_other_content(self, fresh: StoredSeries, side: Side | None) -> None:
        stored = self._addition.before(self.heading)
        if stored is None or stored.digest == fresh.digest or self._addition.replace_series:
            return
        if side == "ask" and "ask_open" not in stored.columns:
            return
        raise DataRefused(
            "the dataset has this series with other content",
            code="DATA_DUPLICATE",
            where=f"{fresh.symbol} {fresh.frame}",
            expected="a series that the dataset does not have yet",
            remedy="import all files of the series together under a new --name, or with --replace in its place",
        )

    def _refuse_gaps(self) -> None:
        quality = self._quality
        if quality.first_gap is not None:
            from_ns, to_ns = quality.first_gap
            raise DataRefused(
                f"{quality.gap_count} gaps with {quality.missing_bars} missing bars; the first is "
                f"from {_moment(from_ns)} to {_moment(to_ns)}",
                code="DATA_GAP",
                where=f"{self.heading.symbol} {self.heading.frame}",
                expected="no gap while the market is open, as --on-gap refuse asks",
                remedy="complete the data, or import with --on-gap report",
            )


def _moment(time_ns: int) -> str:
    return f"{np.datetime64(time_ns, 'ns').astype('datetime64[s]')}Z"


def stored_series(base: Manifest | None, symbol: str, frame: str) -> StoredSeries | None:
    """Return a series of a manifest, None if it or the manifest is not there."""
    return next((one for one in (base.series if base else ()) if (one.symbol, one.frame) == (symbol, frame)), None)
