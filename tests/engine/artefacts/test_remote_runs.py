"""Runs behind an address: there with their manifest or not at all, kept or in conflict, hashed again when fetched."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from boxgate_engine.artefacts import RunArtefacts, publish_run, read_run
from boxgate_engine.artefacts.remote import RemoteRuns, prove_store
from boxgate_engine.errors import NotDeterministic, RunDamaged, RunNotFound, StoreFailed, UserMistake
from boxgate_engine.tables import Tables

MakeRun = Callable[..., RunArtefacts]
MakeTables = Callable[..., Tables]
ADDRESS = "memory://bucket/runs"


@pytest.fixture(autouse=True)
def empty_memory() -> Iterator[None]:
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    yield
    MemoryFileSystem.store.clear()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> RemoteRuns:
    monkeypatch.setattr("boxgate_engine.artefacts.remote._PAUSES_S", (0.0, 0.0))
    return RemoteRuns(ADDRESS)


def stored() -> dict[str, bytes]:
    """Return what lies in the store, by its path below the address."""
    return {path.removeprefix("/bucket/runs/"): file.getvalue() for path, file in MemoryFileSystem.store.items()}


def harm(relative: str, content: bytes | None) -> None:
    """Replace or remove a file of the store behind everybody's back."""
    path = f"/bucket/runs/{relative}"
    if content is None:
        del MemoryFileSystem.store[path]
    else:
        MemoryFileSystem(skip_instance_cache=True).pipe_file(path, content)


def refusing(monkeypatch: pytest.MonkeyPatch, error: Exception, *, times: int = 1_000, name: str = "") -> list[str]:
    """Let the store refuse to write files of a name, so many times; return where they were refused."""
    opened = MemoryFileSystem._open
    refused: list[str] = []

    def refuses(self: Any, path: str, mode: str = "rb", **options: Any) -> Any:
        if "w" in mode and path.endswith(name) and len(refused) < times:
            refused.append(path)
            raise error
        return opened(self, path, mode=mode, **options)

    monkeypatch.setattr(MemoryFileSystem, "_open", refuses)
    return refused


def test_an_uploaded_run_has_the_files_of_its_folder(tmp_path: Path, runs: RemoteRuns, make_run: MakeRun) -> None:
    folder = publish_run(make_run(), tmp_path).folder
    steps: list[str] = []
    assert runs.publish(folder, between_steps=steps.append) == "new"
    assert steps == ["looked", "files", "manifest.json"]
    assert stored() == {f"{folder.name}/{path.name}": path.read_bytes() for path in folder.iterdir()}
    assert runs.run_ids() == [folder.name]
    assert runs.read(folder.name, "metrics.json") == (folder / "metrics.json").read_bytes()
    assert runs.read(folder.name, "report.html") is None
    with runs.fetched(folder.name) as there:
        assert read_run(there).result_digest == make_run().result_digest
    assert not there.exists()


def test_an_equal_result_is_kept_behind_the_address(tmp_path: Path, runs: RemoteRuns, make_run: MakeRun) -> None:
    runs.publish(publish_run(make_run(environment={"host": "a"}), tmp_path / "a").folder)
    before = stored()
    assert runs.publish(publish_run(make_run(environment={"host": "b"}), tmp_path / "b").folder) == "kept"
    assert stored() == before


def test_an_unequal_result_is_an_error_and_both_lie_behind_the_address(
    tmp_path: Path, runs: RemoteRuns, make_run: MakeRun, make_tables: MakeTables
) -> None:
    first, second = make_run(), make_run(tables=make_tables(equity_end=1006.0))
    runs.publish(publish_run(first, tmp_path / "a").folder)
    before = stored()
    for _ in range(2):
        with pytest.raises(NotDeterministic) as failed:
            runs.publish(publish_run(second, tmp_path / "b").folder)
    name = f"{first.run_id}.conflict-{second.result_digest[7:15]}"
    assert failed.value.second == f"memory://bucket/runs/{name}"
    assert {path: content for path, content in stored().items() if not path.startswith(name)} == before
    assert json.loads(stored()[f"{name}/manifest.json"])["result_digest"] == second.result_digest
    assert runs.run_ids() == [first.run_id]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", b"{}"),
        ("fills.parquet", None),
        ("manifest.json", b'{"files": {"../../escaped.json": {}, "config.json": 1}}'),
        ("manifest.json", b"[]"),
        ("manifest.json", b'{"schema": "boxgate.ma'),
    ],
)
def test_a_run_that_was_damaged_there_is_not_believed_and_set_aside(
    tmp_path: Path, runs: RemoteRuns, make_run: MakeRun, name: str, content: bytes | None
) -> None:
    folder = publish_run(make_run(), tmp_path).folder
    runs.publish(folder)
    harm(f"{folder.name}/{name}", content)
    with pytest.raises(RunDamaged), runs.fetched(folder.name) as there:
        read_run(there)
    assert not list(Path(there).parent.parent.glob("escaped.json"))
    assert runs.publish(folder) == "new"
    with runs.fetched(folder.name) as there:
        assert read_run(there).run_id == folder.name
    assert any(path.startswith(f"{folder.name}.damaged-1/") for path in stored())


def test_without_its_manifest_a_run_is_not_there(tmp_path: Path, runs: RemoteRuns, make_run: MakeRun) -> None:
    folder = publish_run(make_run(), tmp_path).folder
    runs.publish(folder)
    harm(f"{folder.name}/manifest.json", None)
    with pytest.raises(RunNotFound), runs.fetched(folder.name):
        pass
    assert runs.publish(folder) == "new"
    assert {path.split("/")[0] for path in stored()} == {folder.name}, "what was left is written over"


@pytest.mark.parametrize("name", ["metrics.json", "manifest.json"])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "STORE_FULL"),
        (OSError("XMinioStorageFull: Storage backend has reached its minimum free drive threshold"), "STORE_FULL"),
        (PermissionError("Forbidden"), "STORE_DENIED"),
        (OSError("AWS Error ACCESS_DENIED during PutObject operation"), "STORE_DENIED"),
        (ConnectionResetError("connection reset by peer"), "STORE_UNREACHABLE"),
        (RuntimeError("something of a driver"), "STORE_UNREACHABLE"),
    ],
)
def test_what_the_store_refuses_is_named_and_shows_no_run(
    tmp_path: Path,
    runs: RemoteRuns,
    make_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: Exception,
    code: str,
) -> None:
    folder = publish_run(make_run(), tmp_path).folder
    with monkeypatch.context() as patched:
        refusing(patched, error, name=name)
        with pytest.raises(StoreFailed) as failed:
            runs.publish(folder)
    assert failed.value.error_code == code
    assert failed.value.where == ADDRESS
    assert failed.value.remedy
    with pytest.raises(RunNotFound), runs.fetched(folder.name):
        pass
    assert runs.publish(folder) == "new"


def test_a_store_that_is_not_reached_for_a_moment_is_tried_again(
    tmp_path: Path, runs: RemoteRuns, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish_run(make_run(), tmp_path).folder
    refused = refusing(monkeypatch, TimeoutError("timed out"), times=2, name="manifest.json")
    assert runs.publish(folder) == "new"
    assert len(refused) == 2


def test_what_is_denied_is_not_tried_again(
    tmp_path: Path, runs: RemoteRuns, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = refusing(monkeypatch, PermissionError("Forbidden"), name="metrics.json")
    with pytest.raises(StoreFailed):
        runs.publish(publish_run(make_run(), tmp_path).folder)
    assert len(refused) == 1


@pytest.mark.parametrize("step", ["looked", "files", "manifest.json"])
def test_a_writer_that_is_killed_leaves_a_run_or_none(tmp_path: Path, make_run: MakeRun, step: str) -> None:
    folder, address = publish_run(make_run(), tmp_path / "here").folder, f"file://{tmp_path}/there/runs"
    script = f"""
        import os, signal
        from pathlib import Path
        from boxgate_engine.artefacts.remote import RemoteRuns
        die = lambda step: os.kill(os.getpid(), signal.SIGKILL) if step == {step!r} else None
        RemoteRuns({address!r}).publish(Path({str(folder)!r}), between_steps=die)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False).returncode == -9
    runs = RemoteRuns(address)
    if step == "manifest.json":
        with runs.fetched(folder.name) as there:
            read_run(there)
    else:
        with pytest.raises(RunNotFound), runs.fetched(folder.name):
            pass
    assert runs.publish(folder) == ("kept" if step == "manifest.json" else "new")
    names = {path.name for path in (tmp_path / "there" / "runs" / folder.name).iterdir()}
    assert names == {path.name for path in folder.iterdir()}


def test_a_store_is_proved_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    prove_store(ADDRESS)
    assert stored() == {}
    refusing(monkeypatch, PermissionError("Forbidden"))
    with pytest.raises(StoreFailed) as failed:
        prove_store(ADDRESS)
    assert failed.value.error_code == "STORE_DENIED"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("nosuch://bucket/x", "STORE_UNSUPPORTED"),
        ("sftp://user:secret@127.0.0.1:1/x", "STORE_UNSUPPORTED"),
        ("ftp://user:secret@127.0.0.1:1/x", "STORE_UNREACHABLE"),
    ],
)
def test_a_store_that_is_not_to_be_had_is_named_without_its_credentials(address: str, code: str) -> None:
    with pytest.raises((UserMistake, StoreFailed)) as refused:
        prove_store(address)
    assert refused.value.error_code == code
    assert "secret" not in str(refused.value.as_dict())
