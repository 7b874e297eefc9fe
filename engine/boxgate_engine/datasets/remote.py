"""Datasets roots that are not folders of this host: mirrored into the cache, published to by uploads.

A remote root has the layout of a local one. What is read is mirrored whole and verified as always: the catalogue each
time, a dataset once, for it never changes. What is written appears when its manifest, the last file, is there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from boxgate_engine.datasets import catalogue
from boxgate_engine.datasets.durable import locked, publish_folder, unfinished_file, unfinished_folder
from boxgate_engine.datasets.manifest import FILE_NAME as MANIFEST
from boxgate_engine.datasets.names import hash_in
from boxgate_engine.errors import DataRefused
from boxgate_engine.remote_folder import RemoteFolder, RemoteRefused, shown_address

MIRRORS: Final = "roots"
"""Folder of the mirrors in the cache folder."""

_REMOTE: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://.*", re.IGNORECASE)


def is_remote(root: str | Path) -> bool:
    """Return whether a root is an address, such as s3://bucket/datasets, and no folder of this host."""
    match = _REMOTE.fullmatch(str(root))
    return match is not None and match["scheme"].lower() != "file"


def local_root(root: str | Path, cache_dir: Path, dataset: str | None = None) -> Path:
    """Return the folder that stands for a root: itself, or the mirror of a remote one.

    dataset: name or hash of one that is to be opened; it is fetched whole if the mirror does not have it. One that is
    named by its hash and fetched already needs no network.
    Raises DataRefused: ROOT_UNKNOWN (a scheme or driver that is not there), ROOT_DENIED, ROOT_UNREACHABLE, and what a
    bad name or catalogue raises.
    """
    if not is_remote(root):
        return Path(str(root).removeprefix("file://"))
    mirror = _mirror(str(root), cache_dir)
    digest = None if dataset is None else hash_in(dataset)
    if digest is not None and (mirror / digest / MANIFEST).is_file():
        return mirror
    remote = _Remote(str(root))
    with locked(mirror / ".mirror.lock"):
        remote.fetch_catalogue(mirror)
        if dataset is not None:
            _, digest = catalogue.resolve(mirror, dataset)
            if not (mirror / digest / MANIFEST).is_file():
                remote.fetch_dataset(mirror, digest)
    return mirror


def listed_root(root: str | Path, cache_dir: Path) -> Path:
    """Return a folder that holds catalogue and manifests of a root, which is all that a list needs.

    Raises as local_root.
    """
    if not is_remote(root):
        return local_root(root, cache_dir)
    folder = _mirror(str(root), cache_dir).with_suffix(".list")
    remote = _Remote(str(root))
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".mirror.lock"):
        remote.fetch_catalogue(folder)
        for digest in set(catalogue.read_catalogue(folder).values()):
            if not (folder / digest / MANIFEST).is_file() and remote.has(digest):
                (folder / digest).mkdir(exist_ok=True)
                remote.fetch_manifest(folder, digest)
    return folder


def publisher(root: str | Path, cache_dir: Path, name: str | None) -> Publisher:
    """Return what publishes a dataset to a root: it is written to `.folder` first, and then called with its hash.

    name: entry of the catalogue that shall stand for it; the dataset that it stands for is fetched, to be added to.
    Raises as local_root.
    """
    if not is_remote(root):
        return Publisher(local_root(root, cache_dir), None, name)
    known = name is not None and name in catalogue.read_catalogue(local_root(root, cache_dir))
    return Publisher(local_root(root, cache_dir, name if known else None), _Remote(str(root)), name)


class Publisher:
    """Uploads a dataset from the folder it was written to. Called with its hash; a local root needs nothing more."""

    def __init__(self, folder: Path, remote: _Remote | None, name: str | None) -> None:
        self.folder = folder
        self._remote = remote
        self._name = name

    def __call__(self, digest: str) -> None:
        """Upload the dataset, if the root is remote."""
        if self._remote is not None:
            self._remote.push(self.folder, digest, self._name)


class _Remote:
    """A root behind an address."""

    def __init__(self, address: str) -> None:
        self.shown = shown_address(address)
        with self._naming_failures():
            self._folder = RemoteFolder(address)

    def fetch_catalogue(self, mirror: Path) -> None:
        """Make the mirror's catalogue that of the root; a root without one is empty."""
        mirror.mkdir(parents=True, exist_ok=True)
        target = mirror / catalogue.FILE_NAME
        if not self._exists(catalogue.FILE_NAME):
            target.unlink(missing_ok=True)
            return
        with unfinished_file(target) as path:
            self._download(catalogue.FILE_NAME, path)

    def has(self, digest: str) -> bool:
        """Return whether a dataset is there: whether its manifest is."""
        return self._exists(f"{digest}/{MANIFEST}")

    def fetch_manifest(self, folder: Path, digest: str) -> None:
        """Fetch the manifest of a dataset alone."""
        with unfinished_file(folder / digest / MANIFEST) as path:
            self._download(f"{digest}/{MANIFEST}", path)

    def fetch_dataset(self, mirror: Path, digest: str) -> None:
        """Fetch a dataset whole; it appears in the mirror complete or not at all."""
        if not self.has(digest):
            raise DataRefused(
                f"dataset {digest} is not in the store",
                code="DATASET_UNKNOWN",
                where=self.shown,
                expected="a dataset with its manifest",
                remedy="import the data again, or name the root that holds it",
            )
        with unfinished_folder(mirror) as folder:
            for relative in self._list(digest):
                path = folder / _inside(relative)
                path.parent.mkdir(parents=True, exist_ok=True)
                self._download(f"{digest}/{relative}", path)
                path.chmod(0o444)
            folder.chmod(0o755)
            publish_folder(folder, mirror / digest)

    def push(self, folder: Path, digest: str, name: str | None) -> None:
        """Upload a dataset, its manifest last, and then let the name stand for it."""
        source = folder / digest
        if not self.has(digest):
            files = sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
            for relative in [*(one for one in files if one != MANIFEST), MANIFEST]:
                self._upload(source / relative, f"{digest}/{relative}")
        if name is not None:
            # Read again just before: whoever registered another name meanwhile keeps it.
            self.fetch_catalogue(folder)
            catalogue.register(folder, name, digest)
            self._upload(folder / catalogue.FILE_NAME, catalogue.FILE_NAME)

    def _exists(self, relative: str) -> bool:
        with self._naming_failures():
            return self._folder.has(relative)

    def _list(self, digest: str) -> list[str]:
        with self._naming_failures():
            return self._folder.files(digest)

    def _download(self, relative: str, target: Path) -> None:
        with self._naming_failures():
            self._folder.download(relative, target)

    def _upload(self, source: Path, relative: str) -> None:
        with self._naming_failures():
            self._folder.upload(source, relative)

    @contextmanager
    def _naming_failures(self) -> Iterator[None]:
        """Turn what the root refuses into a DataRefused."""
        try:
            yield
        except RemoteRefused as refused:
            if refused.kind == "unknown":
                raise DataRefused(
                    f"no file system for this address: {refused}",
                    code="ROOT_UNKNOWN",
                    where=self.shown,
                    expected="a scheme of pyarrow or fsspec, such as s3, gs, abfs, sftp, with its driver installed",
                    remedy="correct the scheme, or install the package that the message names",
                ) from refused
            denied = refused.kind == "denied"
            raise DataRefused(
                f"the root {'does not let us in' if denied else 'cannot be reached'}: {refused}",
                code="ROOT_DENIED" if denied else "ROOT_UNREACHABLE",
                where=self.shown,
                expected="a root that can be read, and written by imports",
                remedy="check address, network and credentials; a dataset that was fetched before opens by its hash",
            ) from refused


def _mirror(address: str, cache_dir: Path) -> Path:
    return cache_dir / MIRRORS / hashlib.sha256(address.rstrip("/").encode()).hexdigest()[:16]


def _inside(relative: str) -> str:
    """Return a path of the root that stays inside the dataset. Raises DataRefused (NAME_INVALID)."""
    parts = relative.split("/")
    if any(part in ("", ".", "..") or part.startswith("/") for part in parts):
        raise DataRefused(
            f"{relative[:60]!r} leaves the dataset",
            code="NAME_INVALID",
            where=relative[:60],
            expected="a path inside the dataset",
            remedy="remove the file from the root",
        )
    return relative
