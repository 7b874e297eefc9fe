"""Datasets roots behind an address: the same datasets, fetched once, published with the manifest last."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from boxgate_engine.datasets import (
    SynthRequest,
    is_remote,
    list_datasets,
    listed_root,
    local_root,
    make_synthetic,
    open_dataset,
    publisher,
)
from boxgate_engine.errors import DataDamaged, DataRefused
from boxgate_engine.timestamps import parse_utc_ns

ROOT = "memory://bucket/datasets"


@pytest.fixture(autouse=True)
def empty_memory() -> Iterator[None]:
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield
    MemoryFileSystem.store.clear()


def publish(cache: Path, *, seed: int = 5, name: str = "small", symbol: str = "EURUSD") -> str:
    publish_to = publisher(ROOT, cache, name)
    request = SynthRequest(
        seed=seed,
        symbols=(symbol,),
        frame="M1",
        start_ns=parse_utc_ns("2024-01-02"),
        end_ns=parse_utc_ns("2024-01-03"),
        name=name,
    )
    digest = make_synthetic(publish_to.folder, request).manifest.hash
    publish_to(digest)
    return digest


def stored() -> list[str]:
    return sorted(path.removeprefix("/bucket/datasets/") for path in MemoryFileSystem.store)


def test_what_is_published_is_opened_elsewhere_with_the_same_content(tmp_path: Path) -> None:
    digest = publish(tmp_path / "here")
    assert stored() == sorted(["datasets.yaml", f"{digest}/forex/EURUSD/M1/part-0.parquet", f"{digest}/manifest.json"])
    here = open_dataset(local_root(ROOT, tmp_path / "here", "small"), "small", cache_dir=tmp_path / "here")
    there = open_dataset(local_root(ROOT, tmp_path / "there", "small"), "small", cache_dir=tmp_path / "there")
    assert there.hash == here.hash == digest
    for name, values in there.series("EURUSD", "M1").columns.items():
        assert (values == here.series("EURUSD", "M1").columns[name]).all()


def test_a_dataset_is_fetched_once_and_by_its_hash_without_the_root(tmp_path: Path) -> None:
    digest = publish(tmp_path / "here")
    local_root(ROOT, tmp_path / "there", digest)
    MemoryFileSystem.store.clear()
    mirror = local_root(ROOT, tmp_path / "there", digest)
    assert open_dataset(mirror, digest, cache_dir=tmp_path / "there").series("EURUSD", "M1").rows > 1000
    with pytest.raises(DataRefused) as unknown:
        local_root(ROOT, tmp_path / "there", "small")
    assert unknown.value.error_code == "DATASET_UNKNOWN"


def test_a_list_fetches_manifests_alone(tmp_path: Path) -> None:
    digest = publish(tmp_path / "here")
    (listed,) = list_datasets(listed_root(ROOT, tmp_path / "there"))
    assert (listed.hash, listed.names, listed.problem) == (digest, ("small",), None)
    assert not list((tmp_path / "there").rglob("*.parquet"))


def test_a_second_series_is_added_to_what_the_name_stands_for(tmp_path: Path) -> None:
    first = publish(tmp_path / "one")
    second = publish(tmp_path / "two", name="other", symbol="GBPUSD")
    names = fsspec.open(f"{ROOT}/datasets.yaml").open().read().decode()
    assert first in names, "the names of others stay"
    assert second in names
    assert publish(tmp_path / "three") == first, "publishing again changes nothing"


def test_a_dataset_without_its_manifest_is_not_there(tmp_path: Path) -> None:
    digest = publish(tmp_path / "here")
    del MemoryFileSystem.store[f"/bucket/datasets/{digest}/manifest.json"]
    with pytest.raises(DataRefused) as refused:
        local_root(ROOT, tmp_path / "there", "small")
    assert refused.value.error_code == "DATASET_UNKNOWN"
    assert not list((tmp_path / "there").rglob("*.parquet"))


def test_an_upload_that_breaks_shows_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = MemoryFileSystem._open

    def breaks(self: Any, path: str, mode: str = "rb", **options: Any) -> Any:
        if "w" in mode and path.endswith("manifest.json"):
            raise OSError("connection reset by peer")
        return opened(self, path, mode=mode, **options)

    with monkeypatch.context() as patched:
        patched.setattr(MemoryFileSystem, "_open", breaks)
        with pytest.raises(DataRefused) as refused:
            publish(tmp_path / "here")
    assert refused.value.error_code == "ROOT_UNREACHABLE"
    assert not any(path.endswith(("manifest.json", "datasets.yaml")) for path in stored())
    publish(tmp_path / "here")
    assert any(path.endswith("manifest.json") for path in stored())


def test_a_file_that_was_changed_in_the_root_is_found(tmp_path: Path) -> None:
    digest = publish(tmp_path / "here")
    path = f"/bucket/datasets/{digest}/forex/EURUSD/M1/part-0.parquet"
    with fsspec.filesystem("memory").open(path, "rb") as file:
        data = bytearray(file.read())
    data[1000] ^= 1
    with fsspec.filesystem("memory").open(path, "wb") as file:
        file.write(bytes(data))
    with pytest.raises(DataDamaged):
        open_dataset(local_root(ROOT, tmp_path / "there", "small"), "small", cache_dir=tmp_path / "there").series(
            "EURUSD", "M1"
        )


@pytest.mark.parametrize(
    ("root", "code"),
    [
        ("nosuch://bucket/x", "ROOT_UNKNOWN"),
        ("sftp://127.0.0.1:1/x", "ROOT_UNKNOWN"),
        ("ftp://user:secret@127.0.0.1:1/x", "ROOT_UNREACHABLE"),
    ],
)
def test_a_root_that_is_not_to_be_had_is_named_without_its_credentials(tmp_path: Path, root: str, code: str) -> None:
    with pytest.raises(DataRefused) as refused:
        local_root(root, tmp_path, "small")
    assert refused.value.error_code == code
    assert "secret" not in str(refused.value.as_dict())
    assert refused.value.remedy


def test_what_is_refused_access_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Any, path: str, **options: Any) -> Any:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(MemoryFileSystem, "info", denied)
    with pytest.raises(DataRefused) as refused:
        local_root(ROOT, tmp_path, "small")
    assert refused.value.error_code == "ROOT_DENIED"


def test_folders_stay_folders(tmp_path: Path) -> None:
    assert local_root(tmp_path, tmp_path) == tmp_path
    assert local_root(f"file://{tmp_path}", tmp_path) == tmp_path
    assert not is_remote("datasets")
    assert not is_remote("C:/data")
    assert is_remote("s3://bucket/x")


@pytest.mark.parametrize("name", ["../x", "latest", "a/b", "x" * 5000, "%2e%2e"])
def test_d14_d20_bad_names_are_refused_of_remote_roots_too(tmp_path: Path, name: str) -> None:
    publish(tmp_path / "here")
    with pytest.raises(DataRefused) as refused:
        local_root(ROOT, tmp_path / "there", name)
    assert refused.value.error_code in ("NAME_INVALID", "DATASET_NOT_FROZEN", "DATASET_UNKNOWN")
