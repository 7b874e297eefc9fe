"""The store of frozen datasets: `{root}/{hash}/{class}/{symbol}/{frame}/*.parquet` beside `manifest.json`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from boxgate_engine.datasets.canonical import dataset_hash, series_digest
from boxgate_engine.datasets.catalogue import register, resolve
from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.durable import publish_folder, unfinished_folder
from boxgate_engine.datasets.manifest import (
    FILE_NAME,
    JsonObject,
    Manifest,
    StoredFile,
    StoredSeries,
    read_manifest,
    to_text,
)
from boxgate_engine.datasets.names import check_name
from boxgate_engine.datasets.parquet import file_sha256, verify_file, write_parquet
from boxgate_engine.errors import DataRefused
from boxgate_engine.instruments import Instrument

_PART: Final = "part-0.parquet"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewSeries:
    """One series on its way into a dataset, with what the manifest says about its origin."""

    content: SeriesContent
    source: str
    licence: str
    quality: JsonObject = field(default_factory=dict)
    inputs: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """What freezing did. created: False if the very same dataset was there before."""

    manifest: Manifest
    created: bool


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
    listed = tuple(sorted(instruments, key=lambda instrument: instrument.symbol))
    classes = {instrument.symbol: instrument.asset_class for instrument in listed}
    fresh = {(new.content.symbol, new.content.frame): new for new in series}
    kept = [old for old in (base.series if base else ()) if (old.symbol, old.frame) not in fresh]
    with unfinished_folder(root) as folder:
        stored = [_write(folder, classes[symbol], new) for (symbol, _), new in fresh.items()]
        for old in kept:
            assert base is not None
            stored.append(_adopt(dataset_folder(root, base.hash), folder, classes[old.symbol], old))
        stored.sort(key=lambda one: (one.symbol, one.frame))
        digest = dataset_hash(listed, ((one.symbol, one.frame, one.digest) for one in stored))
        manifest = Manifest(hash=digest, instruments=listed, series=tuple(stored), inferred=inferred or {})
        (folder / FILE_NAME).write_text(to_text(manifest), encoding="utf-8")
        target = dataset_folder(root, digest)
        folder.chmod(0o755)
        created = publish_folder(folder, target)
    if not created:
        manifest = read_manifest(target, digest)
    if name is not None:
        register(root, name, digest)
    return Frozen(manifest=manifest, created=created)


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


def _write(folder: Path, asset_class: str, new: NewSeries) -> StoredSeries:
    content = new.content
    path = _path(asset_class, content.symbol, content.frame)
    target = folder / path
    target.parent.mkdir(parents=True)
    write_parquet(content, target)
    file = StoredFile(path=path, sha256=file_sha256(target), bytes=target.stat().st_size, rows=content.rows)
    return StoredSeries(
        symbol=content.symbol,
        frame=content.frame,
        price_basis=content.price_basis,
        columns=tuple(content.columns),
        rows=content.rows,
        first_ns=int(content.times_ns[0]),
        last_ns=int(content.times_ns[-1]),
        digest=series_digest(content),
        files=(file,),
        source=new.source,
        licence=new.licence,
        quality=new.quality,
        inputs=new.inputs,
    )


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
