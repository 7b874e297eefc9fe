"""What a node of a cluster keeps: strategies and datasets, each brought there once, whichever worker needs it first."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import is_remote
from boxgate_engine.datasets.durable import locked, publish_folder, unfinished_folder
from boxgate_engine.datasets.manifest import FILE_NAME, Manifest, read_manifest
from boxgate_engine.datasets.series_writer import Heading
from boxgate_engine.datasets.store import Origin, draft
from boxgate_engine.errors import DataDamaged, UserMistake
from boxgate_server.cluster.messages import Shipment, Source
from boxgate_server.matrix.config.places import address_key
from boxgate_server.matrix.keeping.run_store import RunStore

PLACE: Final = "BOXGATE_NODE_CACHE"
"""Environment of a node's raylet: the folder where it keeps what it is given."""
_PLACE: Final = "~/.cache/boxgate/node"


@dataclass(frozen=True, kw_only=True)
class Supplied:
    """Where a worker finds what it needs. folder: relative paths start there. fetched_bytes: by this worker."""

    place: Path
    folder: Path
    root: str
    dataset: str
    fetched_bytes: int

    def store(self, address: str) -> RunStore:
        """Return a store behind an address, with a folder of this node where its runs wait for their upload."""
        return RunStore(self.place / "uploads" / address_key(address), address)

    def localised(self, config: RunConfig) -> RunConfig:
        """Return a config with this node's places in it: none of them is part of what a run is."""
        provider = config.data_provider
        cache = provider.cache.model_copy(update={"local_dir": str(self.place / "cache")})
        data = provider.model_copy(update={"root": self.root, "cache": cache})
        return config.model_copy(update={"dataset": self.dataset, "data_provider": data})


def receive(shipment: Shipment) -> Supplied:
    """Bring to this node what is not there yet.

    Raises UserMistake (STORE_NOT_SHARED), RunFailed (SERVE_UNREACHABLE, SERVE_REFUSED), DataDamaged (DATA_HASH).
    """
    if shipment.probe and not Path(shipment.probe).exists():
        raise UserMistake(
            "the store of the driver is not on this node",
            code="STORE_NOT_SHARED",
            where=str(Path(shipment.probe).parent),
            expected="one folder for the runs, mounted at the same path on every node",
            remedy="mount it there, or name a folder that is shared in io.artifacts_store",
        )
    place = Path(os.environ.get(PLACE) or _PLACE).expanduser()
    place.mkdir(parents=True, exist_ok=True)
    root, fetched = _dataset_root(shipment, place)
    folder = _strategy_folder(shipment.files, place / "strategies")
    return Supplied(place=place, folder=folder, root=root, dataset=shipment.dataset, fetched_bytes=fetched)


def _strategy_folder(files: dict[str, bytes], parent: Path) -> Path:
    """Return a folder that holds the files, made if it is not there."""
    state = hashlib.sha256()
    for name, content in sorted(files.items()):
        state.update(f"{len(name.encode())} {name} {len(content)} ".encode() + content)
    target = parent / state.hexdigest()
    if not target.is_dir():
        parent.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(parent) as folder:
            for name, content in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            publish_folder(folder, target)
    return target


def _dataset_root(shipment: Shipment, place: Path) -> tuple[str, int]:
    """Return the datasets root of this node, and how many bytes were fetched for it."""
    shared = shipment.root
    if shared is not None and (is_remote(shared) or (Path(shared) / shipment.dataset / FILE_NAME).is_file()):
        return shared, 0
    root = place / "datasets"
    root.mkdir(exist_ok=True)
    with locked(root / f".{shipment.dataset}.lock"):  # the other workers of this node wait, and find it
        if (root / shipment.dataset / FILE_NAME).is_file():
            return str(root), 0
        assert shipment.source is not None
        return str(root), _fetch(shipment.source, shipment.dataset, root)


def _fetch(source: Source, digest: str, root: Path) -> int:
    """Fetch a dataset series by series, and publish it under its hash; return the bytes of its columns."""
    from boxgate_server.history.client import fetch_series

    manifest = _manifest(source.manifest, digest)
    classes = {one.symbol: one.asset_class for one in manifest.instruments}
    fetched = 0
    with draft(root) as dataset:
        stored = []
        for one in manifest.series:
            content = fetch_series(
                source.location, digest, one.symbol, one.frame,
                token=source.token, root_certificate=source.root_certificate,
            )  # fmt: skip
            fetched += sum(column.nbytes for column in content.columns.values())
            heading = Heading(
                symbol=one.symbol, frame=one.frame, price_basis=content.price_basis, names=tuple(content.columns)
            )
            with dataset.writer(heading, classes[one.symbol]) as writer:
                writer.add(content.columns)
            origin = Origin(source=one.source, licence=one.licence, quality=one.quality, inputs=one.inputs)
            stored.append(dataset.stored(writer, origin))
        frozen = dataset.publish(manifest.instruments, stored, inferred=manifest.inferred)
    if frozen.manifest.hash != digest:
        raise DataDamaged(
            "what was fetched is another dataset than the driver's",
            code="DATA_HASH",
            where=source.location,
            expected=f"dataset {digest}",
            remedy="run boxgate data check where the driver is",
        )
    return fetched


def _manifest(text: str, digest: str) -> Manifest:
    with tempfile.TemporaryDirectory(prefix="boxgate-manifest-") as folder:
        (Path(folder) / FILE_NAME).write_text(text, encoding="utf-8")
        return read_manifest(Path(folder), digest)
