"""Opening a dataset: series as read-only arrays that are views into mapped files."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets import aggregation
from boxgate_engine.datasets.cache import CachedFile, cached_derived, cached_series
from boxgate_engine.datasets.content import FUNDING, Column, PriceBasis, SeriesContent, knows_ask, time_column
from boxgate_engine.datasets.eviction import SIZE_MAX_DEFAULT, keep_within
from boxgate_engine.datasets.manifest import Manifest, StoredSeries
from boxgate_engine.datasets.store import dataset_folder, find
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS, TICK, frame_duration_ns
from boxgate_engine.instruments import Instrument

_LOG: Final = logging.getLogger(__name__)
_FRAMES_FINEST_FIRST: Final = (TICK, *FRAME_NS)


def open_dataset(
    root: Path,
    name_or_hash: str,
    *,
    cache_dir: Path,
    memory_map: bool = True,
    cache_size_max: int = SIZE_MAX_DEFAULT,
) -> Dataset:
    """Open a dataset by its name in the catalogue or by its hash.

    root: folder of the datasets. cache_dir: folder of the mapped files, made if need be; it may be shared by
    processes and datasets. memory_map: False reads each series into memory of its own, for a cache on a file system
    that cannot be mapped or that may vanish during the run. cache_size_max: bytes; when the cache grows beyond them,
    the files that were used least recently are removed, but none that a process of this host uses.
    The manifest is verified against the hash; files are verified when they are first used.
    Raises DataRefused (NAME_INVALID, DATASET_NOT_FROZEN, DATASET_UNKNOWN, DATA_CATALOGUE), DataDamaged (DATA_HASH).
    """
    name, manifest = find(root, name_or_hash)
    folder = dataset_folder(root, manifest.hash)
    return Dataset(
        name, manifest, folder, cache_dir / manifest.hash, memory_map=memory_map, cache_size_max=cache_size_max
    )


class Dataset:
    """Immutable market data. Made by `open_dataset`."""

    def __init__(
        self,
        name: str,
        manifest: Manifest,
        folder: Path,
        cache: Path,
        *,
        memory_map: bool = True,
        cache_size_max: int = SIZE_MAX_DEFAULT,
    ) -> None:
        self.name: Final = name
        """Catalogue name it was opened by, or the hash."""
        self.hash: Final = manifest.hash
        """64 lower-case hex digits."""
        self.manifest: Final = manifest
        self.instruments: Final[dict[str, Instrument]] = {one.symbol: one for one in manifest.instruments}
        """Instrument by symbol, sorted by symbol."""
        self._folder = folder
        self._cache = cache
        self._memory_map = memory_map
        self._cache_size_max = cache_size_max
        self._crowded = False
        self._stored = {(one.symbol, one.frame): one for one in manifest.series}
        self._open: dict[tuple[str, str], Series] = {}

    def frames(self, symbol: str) -> list[str]:
        """Return the frames that are stored for a symbol, finest first. Raises DataRefused (SERIES_UNKNOWN).

        Funding rates are stored beside them and are no frame: `is_stored` and `series` know them as FUNDING.
        """
        self._check_symbol(symbol)
        return [frame for frame in _FRAMES_FINEST_FIRST if (symbol, frame) in self._stored]

    def is_stored(self, symbol: str, frame: str) -> bool:
        """True if a series is stored as it is: bars, ticks or FUNDING."""
        return (symbol, frame) in self._stored

    def available_frames(self, symbol: str) -> list[str]:
        """Return the frames that `series` can give for a symbol, stored or aggregated, finest first."""
        stored = self.frames(symbol)
        return [
            frame
            for frame in _FRAMES_FINEST_FIRST
            if frame in stored or any(aggregation.can_make(frame, source) for source in stored)
        ]

    def series(self, symbol: str, frame: str) -> Series:
        """Return one series, mapped.

        A frame that is not stored is aggregated from the largest stored frame it can be made of, and cached.
        frame: FUNDING gives the funding rates, which are stored or refused.
        Raises DataRefused (SERIES_UNKNOWN, FRAME_UNAVAILABLE), UserMistake (FRAME_UNKNOWN), DataDamaged (DATA_HASH).
        """
        self._check_symbol(symbol)
        if frame != FUNDING:
            frame_duration_ns(frame)
        if (symbol, frame) not in self._open:
            stored = self._stored.get((symbol, frame))
            self._open[symbol, frame] = self._map(stored) if stored else self._aggregate(symbol, frame)
        return self._open[symbol, frame]

    def check_unchanged(self) -> None:
        """Raise DataDamaged (SNAPSHOT_MUTATED) if a file that was mapped for this dataset has changed since."""
        for series in self._open.values():
            series.check_unchanged()

    def _map(self, stored: StoredSeries) -> Series:
        file = cached_series(self._folder, stored, self._cache)
        return Series(stored.symbol, stored.frame, stored.price_basis, stored.digest, self._held(file))

    def _aggregate(self, symbol: str, frame: str) -> Series:
        stored = self.frames(symbol)
        if frame == FUNDING:
            raise _no_funding(self.name, symbol)
        refusal = _no_source(symbol, frame, stored)
        for source_frame in reversed([source for source in stored if aggregation.can_make(frame, source)]):
            try:
                return self._aggregate_from(self.series(symbol, source_frame), frame)
            except DataRefused as error:
                refusal = error
        raise refusal

    def _aggregate_from(self, source: Series, frame: str) -> Series:
        key = f"{aggregation.VERSION} {frame} {source.digest}"
        file = cached_derived(
            self._cache, source.symbol, frame, key, lambda: aggregation.aggregate(source.content(), frame)
        )
        return Series(source.symbol, frame, source.price_basis, key, self._held(file))

    def _held(self, file: CachedFile) -> CachedFile:
        """Return the file with its columns mapped or, without memory_map, copied; make room for what was written."""
        held = file if self._memory_map else file.copied()
        if file.written:
            over = keep_within(self._cache.parent, self._cache_size_max)
            if over and not self._crowded:
                self._crowded = True
                _LOG.warning(
                    "the cache %s is %s bytes larger than its limit of %s, and all that is left in it is in use; "
                    "raise data_provider.cache.size_max",
                    self._cache.parent,
                    f"{over:,}",
                    f"{self._cache_size_max:,}",
                )
        return held

    def _check_symbol(self, symbol: str) -> None:
        if symbol not in self.instruments:
            raise unknown_symbol(self.name, symbol, list(self.instruments))


class Series:
    """One instrument at one frame, mapped read-only.

    columns: name -> array in stored order; bars `open_ns` (int64), `open high low close volume` and, with the ask
    side, `ask_open ask_high ask_low ask_close` (float64), strictly rising by `open_ns`; ticks `time_ns`, `bid ask`
    and where the source has them `last volume`, never falling by `time_ns`, in the order of their source; funding
    `time_ns`, `rate` (a fraction, positive where longs pay) and where the source has it `mark_price`, strictly rising.
    The arrays are views into the map and keep it alive.
    """

    def __init__(self, symbol: str, frame: str, price_basis: PriceBasis, digest: str, file: CachedFile) -> None:
        self.symbol: Final = symbol
        self.frame: Final = frame
        self.price_basis: Final[PriceBasis] = price_basis
        """Whose prices the price columns are: BID, LAST or MID; NONE of funding."""
        self.digest: Final = digest
        """What identifies the content: the digest of the manifest, or the rule and digest it was aggregated by."""
        self.columns: Final[dict[str, Column]] = file.mapped.columns
        self._file = file

    @property
    def rows(self) -> int:
        """Number of bars, ticks or rates."""
        return len(self.times_ns)

    @property
    def has_ask(self) -> bool:
        """True if the ask side is there; in ticks of trades it is not, for their one price stands on both sides."""
        return knows_ask(self.columns, self.price_basis)

    @property
    def times_ns(self) -> NDArray[np.int64]:
        """The time column: opens of bars or times of ticks and rates, int64 ns UTC."""
        return self.columns[time_column(self.frame)].view(np.int64)

    @property
    def duration_ns(self) -> int:
        """Nanoseconds from the open of a bar to its availability; 0 for ticks and rates."""
        return 0 if self.frame == FUNDING else frame_duration_ns(self.frame)

    @property
    def map_address(self) -> tuple[int, int]:
        """(address, bytes) of the map that holds all columns."""
        return self._file.mapped.address, self._file.mapped.bytes

    @property
    def path(self) -> Path:
        """The mapped file. It holds the whole series: never hand it to a sidecar, but a slice of it."""
        return self._file.path

    def content(self) -> SeriesContent:
        """Return the series as content, on the same arrays."""
        return SeriesContent(
            symbol=self.symbol, frame=self.frame, price_basis=self.price_basis, columns=dict(self.columns)
        )

    def check_unchanged(self) -> None:
        """Raise DataDamaged (SNAPSHOT_MUTATED) if the mapped file has changed since it was mapped."""
        self._file.check_unchanged()


def unknown_symbol(dataset: str, symbol: str, known: Sequence[str]) -> DataRefused:
    """Return the refusal of a symbol that a dataset does not have. known: the symbols that it has."""
    by_capitals = {name.upper(): name for name in known}
    close = difflib.get_close_matches(symbol.upper(), by_capitals, n=1)
    hint = f"did you mean {by_capitals[close[0]]}? " if close else ""
    return DataRefused(
        f"dataset {dataset} has no instrument {symbol!r}",
        code="SERIES_UNKNOWN",
        where="instruments",
        expected=f"one of {', '.join(known)}",
        remedy=f"{hint}correct the symbol, or import its data into the dataset",
    )


def _no_funding(dataset: str, symbol: str) -> DataRefused:
    return DataRefused(
        f"dataset {dataset} has no funding rates of {symbol}",
        code="FRAME_UNAVAILABLE",
        where=f"{symbol} {FUNDING}",
        expected="funding rates that were imported under the name of the dataset",
        remedy="import the venue's file of funding rates with --name",
    )


def _no_source(symbol: str, frame: str, stored: list[str]) -> DataRefused:
    return DataRefused(
        f"{frame} of {symbol} is neither stored nor can it be made",
        code="FRAME_UNAVAILABLE",
        where=f"{symbol} {frame}",
        expected=f"a frame that is stored ({', '.join(stored) or 'none'}) or a whole multiple of one",
        remedy="choose another frame, or import a finer one",
    )
