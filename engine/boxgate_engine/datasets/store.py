"""The store of frozen datasets: `{root}/{hash}/{class}/{symbol}/{frame}/*.parquet` beside `manifest.json`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from boxgate_engine.datasets.canonical import dataset_hash
from boxgate_engine.datasets.catalogue import register, resolve
from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.durable import publish_folder, unfinished_folder
from boxgate_engine.datasets.manifest import (
    FILE_NAME,
    JsonObject,
    Manifest,
    StoredSeries,
    read_manifest,
    to_text,
)
from boxgate_engine.datasets.names import check_name
from boxgate_engine.datasets.parquet import verify_file
from boxgate_engine.datasets.series_writer import Heading, SeriesWriter
from boxgate_engine.errors import DataRefused
from boxgate_engine.instruments import Instrument

_PART: Final = "part-0.parquet"
_SIDE_FOLDER: Final = ".side-files"
_THREADS: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What the manifest says about a series beside its content."""

    source: str
    licence: str
    quality: JsonObject = field(default_factory=dict)
    inputs: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class NewSeries(Origin):
    """One series in memory, on its way into a dataset."""

    content: SeriesContent


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """What freezing did. created: False if the very same dataset was there before."""

    manifest: Manifest
    created: bool


class Draft:
    """A dataset that is being written: it is published complete, or vanishes when `draft` is left.

    folder: of the future dataset. pool: two threads for hashing and compression, which need no interpreter.
    """

    def __init__(self, root: Path, folder: Path, pool: Executor) -> None:
        self.root: Final = root
        self.folder: Final = folder
        self.pool: Final = pool
        self._side_files = 0

    def writer(
        self, heading: Heading, asset_class: str, observers: Sequence[Callable[[SeriesContent], None]] = ()
    ) -> SeriesWriter:
        """Return a writer of one series to its place in the dataset; what was written there before is replaced."""
        target = self.folder / _path(asset_class, heading.symbol, heading.frame)
        target.unlink(missing_ok=True)
        return SeriesWriter(target, heading, self.pool, observers)

    def side_file(self) -> Path:
        """Return a fresh path for rows that are written again in another order; it is never published."""
        self._side_files += 1
        path = self.folder / _SIDE_FOLDER / f"{self._side_files}.parquet"
        path.parent.mkdir(exist_ok=True)
        return path

    def stored(self, writer: SeriesWriter, origin: Origin) -> StoredSeries:
        """Return the manifest's entry of a series whose writer was closed."""
        written = writer.written(writer.path.relative_to(self.folder).as_posix())
        heading = written.heading
        return StoredSeries(
            symbol=heading.symbol,
            frame=heading.frame,
            price_basis=heading.price_basis,
            columns=heading.names,
            rows=written.rows,
            first_ns=written.first_ns,
            last_ns=written.last_ns,
            digest=written.digest,
            files=(written.file,),
            source=origin.source,
            licence=origin.licence,
            quality=origin.quality,
            inputs=origin.inputs,
        )

    def publish(
        self,
        instruments: Iterable[Instrument],
        series: Sequence[StoredSeries],
        *,
        base: Manifest | None = None,
        name: str | None = None,
        inferred: dict[str, tuple[str, ...]] | None = None,
    ) -> Frozen:
        """Publish the series that were written and, if given, those of the dataset `base`; see `freeze`."""
        shutil.rmtree(self.folder / _SIDE_FOLDER, ignore_errors=True)
        listed = tuple(sorted(instruments, key=lambda instrument: instrument.symbol))
        classes = {instrument.symbol: instrument.asset_class for instrument in listed}
        fresh = {(new.symbol, new.frame) for new in series}
        stored = list(series)
        for old in base.series if base else ():
            if (old.symbol, old.frame) not in fresh:
                assert base is not None
                stored.append(_adopt(dataset_folder(self.root, base.hash), self.folder, classes[old.symbol], old))
        stored.sort(key=lambda one: (one.symbol, one.frame))
        digest = dataset_hash(listed, ((one.symbol, one.frame, one.digest) for one in stored))
        manifest = Manifest(hash=digest, instruments=listed, series=tuple(stored), inferred=inferred or {})
        (self.folder / FILE_NAME).write_text(to_text(manifest), encoding="utf-8")
        target = dataset_folder(self.root, digest)
        self.folder.chmod(0o755)
        created = publish_folder(self.folder, target)
        if not created:
            manifest = read_manifest(target, digest)
        if name is not None:
            register(self.root, name, digest)
        return Frozen(manifest=manifest, created=created)


@contextmanager
def draft(root: Path) -> Iterator[Draft]:
    """Yield a dataset to be written. Raises RunFailed (DATA_STORE) for a folder that cannot be written, a full disk."""
    with unfinished_folder(root) as folder, ThreadPoolExecutor(_THREADS) as pool:
        yield Draft(root, folder, pool)


def freeze(
    root: Path,
    instruments: Iterable[Instrument],
    series: Sequence[NewSeries],
    *,
    base: Manifest | None = None,
    name: str | None = None,
    inferred: dict[str, tuple[str, ...]] | None = None,
) -> Frozen:
    """Write a dataset that holds `series` and, if given, the series of the dataset `base`; return its manifest.

    instruments: all instruments of the new dataset. name: catalogue entry that shall stand for it. The dataset
    appears under its hash complete or not at all; one that exists already is left as it is. A series that `base`
    has under the same symbol and frame is replaced by the new one.
    Raises DataDamaged if a file of `base` is not what its manifest says.
    """
    listed = tuple(instruments)
    classes = {instrument.symbol: instrument.asset_class for instrument in listed}
    with draft(root) as dataset:
        stored = []
        for new in series:
            content = new.content
            heading = Heading(
                symbol=content.symbol,
                frame=content.frame,
                price_basis=content.price_basis,
                names=tuple(content.columns),
            )
            with dataset.writer(heading, classes[content.symbol]) as writer:
                writer.add(content.columns)
            stored.append(dataset.stored(writer, new))
        return dataset.publish(listed, stored, base=base, name=name, inferred=inferred)


def find(root: Path, name_or_hash: str) -> tuple[str, Manifest]:
    """Return (name, manifest) of a dataset. Raises DataRefused for a bad or unknown name, DataDamaged."""
    name, digest = resolve(root, name_or_hash)
    folder = dataset_folder(root, digest)
    if folder.is_symlink() or not folder.is_dir():
        raise DataRefused(
            f"dataset {digest} is not in the store",
            code="DATASET_UNKNOWN",
            where=str(folder),
            expected="a folder with the dataset's manifest and files, no link",
            remedy="import the data again, or point to the datasets root that holds it",
        )
    return name, read_manifest(folder, digest)


def dataset_folder(root: Path, digest: str) -> Path:
    """Return the folder of a dataset."""
    return root / digest


def stored_hashes(root: Path) -> list[str]:
    """Return the hashes of all datasets in the store, sorted."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if len(entry.name) == 64 and (entry / FILE_NAME).is_file())


def _adopt(source: Path, folder: Path, asset_class: str, old: StoredSeries) -> StoredSeries:
    """Link the verified files of an existing series into a new dataset; copy where links are not to be had."""
    files = []
    for file in old.files:
        verify_file(source, file)
        path = f"{asset_class}/{check_name(old.symbol, where='symbol')}/{old.frame}/{file.path.rsplit('/', 1)[1]}"
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source / file.path, target)
        except OSError:
            shutil.copyfile(source / file.path, target)
            target.chmod(0o444)
        files.append(replace(file, path=path))
    return replace(old, files=tuple(files))


def _path(asset_class: str, symbol: str, frame: str) -> str:
    return f"{asset_class}/{check_name(symbol, where='symbol')}/{frame}/{_PART}"
