"""The manifest of a dataset: what is in it, where it came from, what its quality is, and the hash of every file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, cast, get_args

from boxgate_engine.datasets.canonical import dataset_hash, ratio_text
from boxgate_engine.datasets.content import FUNDING, PriceBasis, is_complete
from boxgate_engine.datasets.names import check_name
from boxgate_engine.errors import BoxgateError, DataDamaged
from boxgate_engine.frames import FRAME_NS, TICK
from boxgate_engine.instruments import Instrument

SCHEMA: Final = "boxgate.dataset/1"
"""The `schema` of manifest.json."""

FILE_NAME: Final = "manifest.json"
"""Its file name inside the dataset's folder."""

JsonObject = dict[str, Any]
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """One Parquet file. path: relative to the dataset's folder, with `/`. sha256: of its bytes."""

    path: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSeries:
    """One series of a dataset.

    first_ns, last_ns: first and last value of the time column (bars: opens). digest: canonical content, 64 hex.
    quality: the quality report of the import, as JSON values. inputs: {name, sha256, bytes} of the files read.
    """

    symbol: str
    frame: str
    price_basis: PriceBasis
    columns: tuple[str, ...]
    rows: int
    first_ns: int
    last_ns: int
    digest: str
    files: tuple[StoredFile, ...]
    source: str
    licence: str
    quality: JsonObject = field(default_factory=dict)
    inputs: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """A dataset's description; `hash` is its name. inferred: per symbol the facts that were guessed, not stated."""

    hash: str
    instruments: tuple[Instrument, ...]
    series: tuple[StoredSeries, ...]
    inferred: dict[str, tuple[str, ...]] = field(default_factory=dict)


def to_json(manifest: Manifest) -> JsonObject:
    """Return the manifest as JSON values; equal manifests give equal text under sorted keys."""
    return {
        "schema": SCHEMA,
        "hash": manifest.hash,
        "rows": sum(series.rows for series in manifest.series),
        "first_ns": min(series.first_ns for series in manifest.series),
        "last_ns": max(series.last_ns for series in manifest.series),
        "source": sorted({series.source for series in manifest.series}),
        "licence": sorted({series.licence for series in manifest.series}),
        "instruments": [
            {
                "symbol": instrument.symbol,
                "asset_class": instrument.asset_class,
                "quote_currency": instrument.quote_currency,
                "kind": instrument.kind,
                "tick_size": ratio_text(instrument.tick_size),
                "lot_size": ratio_text(instrument.lot_size),
                "contract_size": ratio_text(instrument.contract_size),
                "inferred": list(manifest.inferred.get(instrument.symbol, ())),
            }
            for instrument in manifest.instruments
        ],
        "series": [_series_to_json(series) for series in manifest.series],
    }


def to_text(manifest: Manifest) -> str:
    """Return the text of manifest.json: sorted keys, two spaces, LF."""
    return json.dumps(to_json(manifest), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_manifest(folder: Path, expected_hash: str) -> Manifest:
    """Return the manifest in a dataset's folder, verified against the dataset's name.

    Verified are its form and that instruments and series digests give `expected_hash`; the files are verified when
    they are read. Raises DataDamaged (DATA_HASH).
    """
    path = folder / FILE_NAME
    try:
        manifest = _from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError, BoxgateError) as error:
        raise _damaged(path, f"the manifest cannot be read ({type(error).__name__})", f"a {SCHEMA} manifest") from error
    found = dataset_hash(manifest.instruments, ((s.symbol, s.frame, s.digest) for s in manifest.series))
    if not found == manifest.hash == expected_hash:
        raise _damaged(path, f"the manifest describes dataset {found}", f"dataset {expected_hash}")
    return manifest


def _series_to_json(series: StoredSeries) -> JsonObject:
    return {
        "symbol": series.symbol,
        "frame": series.frame,
        "price_basis": series.price_basis,
        "columns": list(series.columns),
        "rows": series.rows,
        "first_ns": series.first_ns,
        "last_ns": series.last_ns,
        "digest": series.digest,
        "files": [{"path": f.path, "sha256": f.sha256, "bytes": f.bytes, "rows": f.rows} for f in series.files],
        "source": series.source,
        "licence": series.licence,
        "quality": series.quality,
        "inputs": list(series.inputs),
    }


def _from_json(raw: JsonObject) -> Manifest:
    if raw["schema"] != SCHEMA:
        raise ValueError(f"schema {raw['schema']!r}")
    instruments = tuple(
        Instrument(
            symbol=check_name(entry["symbol"], where=FILE_NAME),
            asset_class=check_name(entry["asset_class"], where=FILE_NAME),  # type: ignore[arg-type]
            quote_currency=entry["quote_currency"],
            kind=entry["kind"],
            tick_size=Fraction(entry["tick_size"]),
            lot_size=Fraction(entry["lot_size"]),
            contract_size=Fraction(entry["contract_size"]),
        )
        for entry in raw["instruments"]
    )
    inferred = {entry["symbol"]: tuple(entry["inferred"]) for entry in raw["instruments"] if entry["inferred"]}
    series = tuple(_series_from_json(entry) for entry in raw["series"])
    if not series or {s.symbol for s in series} != {i.symbol for i in instruments}:
        raise ValueError("instruments and series do not match")
    return Manifest(hash=raw["hash"], instruments=instruments, series=series, inferred=inferred)


def _series_from_json(raw: JsonObject) -> StoredSeries:
    frame, columns = raw["frame"], tuple(raw["columns"])
    files = tuple(
        StoredFile(path=f["path"], sha256=f["sha256"], bytes=f["bytes"], rows=f["rows"]) for f in raw["files"]
    )
    sound = (
        (frame in FRAME_NS or frame in (TICK, FUNDING))
        and is_complete(frame, columns)
        and raw["price_basis"] in get_args(PriceBasis)
        and raw["rows"] == sum(file.rows for file in files) > 0
        and _DIGEST.fullmatch(raw["digest"])
        and all(_is_inside(file.path) for file in files)
    )
    if not sound:
        raise ValueError(f"series {raw['symbol']} {frame}")
    return StoredSeries(
        symbol=check_name(raw["symbol"], where=FILE_NAME),
        frame=frame,
        price_basis=cast(PriceBasis, raw["price_basis"]),
        columns=columns,
        rows=raw["rows"],
        first_ns=raw["first_ns"],
        last_ns=raw["last_ns"],
        digest=raw["digest"],
        files=files,
        source=raw["source"],
        licence=raw["licence"],
        quality=raw["quality"],
        inputs=tuple(raw["inputs"]),
    )


def _is_inside(path: str) -> bool:
    """True if a relative path of the manifest stays inside the dataset's folder, by the same allow-list as names."""
    parts = path.split("/")
    return len(parts) == 4 and all(check_name(part, where=FILE_NAME) for part in parts)


def _damaged(path: Path, what: str, expected: str) -> DataDamaged:
    return DataDamaged(
        what,
        code="DATA_HASH",
        where=str(path),
        expected=expected,
        remedy="restore the dataset's folder from a copy, or delete it and import the data again",
    )
