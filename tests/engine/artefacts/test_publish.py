"""The folder of a run: complete or absent, kept or in conflict, never silently replaced."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pyarrow.parquet as pq
import pytest

import boxgate_engine.artefacts.publish as publish_module
from boxgate_engine.artefacts import (
    RunArtefacts,
    find_run,
    prepare_store,
    publish_run,
    put_report,
    read_run,
    sync_store,
)
from boxgate_engine.digest import result_digest
from boxgate_engine.errors import NotDeterministic, RunAmbiguous, RunDamaged, RunNotFound, StoreFailed
from boxgate_engine.ledger import LEDGER
from boxgate_engine.tables import Tables

MakeRun = Callable[..., RunArtefacts]
MakeTables = Callable[..., Tables]

_FILES = {
    "config.json",
    "params.json",
    "metrics.json",
    "equity_curve.parquet",
    "trades.csv",
    "fills.parquet",
    "signals.parquet",
    "logs.ndjson",
    "environment.json",
    "manifest.json",
}


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_published_run_has_exactly_the_pinned_files(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run()
    published = publish_run(run, tmp_path / "runs")
    assert published.published == "new"
    assert published.folder == tmp_path / "runs" / run.run_id
    assert set(_content(published.folder)) == _FILES
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.run_id]


def test_the_manifest_lists_the_files_that_depend_on_the_run_alone(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(render=lambda folder: f"<p>{len(list(folder.iterdir()))} files</p>")
    folder = publish_run(run, tmp_path).folder
    content = _content(folder)
    manifest = json.loads(content["manifest.json"])
    listed = _FILES - {"logs.ndjson", "environment.json", "manifest.json"} | {"report.html"}
    assert manifest == {
        "schema": "boxgate.manifest/1",
        "run_id": run.run_id,
        "result_digest": run.result_digest,
        "status": "complete",
        "mode": "debug",
        "dataset": "ab" * 32,
        "strategy_digest": "sha256:" + "cd" * 32,
        "files": {
            name: {"sha256": hashlib.sha256(content[name]).hexdigest(), "bytes": len(content[name])} for name in listed
        },
    }
    assert content["report.html"] == b"<p>9 files</p>"


def test_equal_runs_have_equal_bytes(tmp_path: Path, make_run: MakeRun) -> None:
    one = publish_run(make_run(environment={"host": "a"}, log=b""), tmp_path / "a").folder
    two = publish_run(make_run(environment={"host": "b"}, log=b"{}\n"), tmp_path / "b").folder
    differ = {name for name, content in _content(one).items() if content != _content(two)[name]}
    assert differ == {"logs.ndjson", "environment.json"}


def test_an_equal_result_is_kept(tmp_path: Path, make_run: MakeRun) -> None:
    first = publish_run(make_run(environment={"host": "a"}), tmp_path)
    before = _content(first.folder)
    second = publish_run(make_run(environment={"host": "b"}), tmp_path)
    assert (second.folder, second.published) == (first.folder, "kept")
    assert _content(first.folder) == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_kept_run_without_a_page_gets_one(tmp_path: Path, make_run: MakeRun) -> None:
    publish_run(make_run(), tmp_path)
    kept = publish_run(make_run(render=lambda folder: "<p>page</p>"), tmp_path)
    assert kept.published == "kept"
    assert (kept.folder / "report.html").read_text() == "<p>page</p>"
    assert "report.html" in read_run(kept.folder).files


def test_a_kept_run_without_a_ledger_gets_one_beside_its_page(tmp_path: Path, make_run: MakeRun) -> None:
    ledger = LEDGER.empty_table()
    publish_run(make_run(), tmp_path)
    kept = publish_run(make_run(render=lambda folder: "<p>page</p>", ledger=ledger), tmp_path)
    assert kept.published == "kept"
    assert {"report.html", "ledger.parquet"} <= read_run(kept.folder).files.keys()
    again = publish_run(make_run(), tmp_path)
    assert again.published == "kept"
    assert pq.read_table(again.folder / "ledger.parquet").schema == LEDGER


def test_an_unequal_result_is_an_error_and_both_are_kept(
    tmp_path: Path, make_run: MakeRun, make_tables: MakeTables
) -> None:
    first = make_run()
    second = make_run(tables=make_tables(equity_end=1006.0))
    folder = publish_run(first, tmp_path).folder
    before = _content(folder)
    for _ in range(2):
        with pytest.raises(NotDeterministic) as failed:
            publish_run(second, tmp_path)
    assert failed.value.error_code == "NONDETERMINISM"
    assert failed.value.exit_code == 1
    assert first.result_digest in failed.value.expected
    assert second.result_digest in failed.value.what
    assert _content(folder) == before
    other = tmp_path / f"{first.run_id}.conflict-{second.result_digest[7:15]}"
    assert read_run(other).result_digest == second.result_digest
    assert {path.name for path in tmp_path.iterdir()} == {folder.name, other.name}


@pytest.mark.parametrize("harm", ["flip", "remove", "no manifest", "file"])
def test_a_damaged_run_is_set_aside_and_published_again(tmp_path: Path, make_run: MakeRun, harm: str) -> None:
    run = make_run()
    folder = tmp_path / run.run_id
    if harm == "file":
        folder.write_text("not a folder")
    else:
        publish_run(run, tmp_path)
        if harm == "flip":
            (folder / "metrics.json").write_text("{}")
        else:
            (folder / ("fills.parquet" if harm == "remove" else "manifest.json")).unlink()
    again = publish_run(run, tmp_path)
    assert again.published == "new"
    assert read_run(again.folder).result_digest == run.result_digest
    assert {path.name for path in tmp_path.iterdir()} == {run.run_id, f"{run.run_id}.damaged-1"}


def test_prod_has_no_notes_and_no_lines_of_the_sidecar(tmp_path: Path, make_run: MakeRun) -> None:
    folder = publish_run(make_run(mode="prod"), tmp_path / "prod").folder
    assert not any(b"secret" in content for content in _content(folder).values())
    assert "meta" not in read_run(folder).tables().signals.column_names
    debug = publish_run(make_run(), tmp_path / "debug").folder
    assert read_run(debug).tables().signals["meta"].to_pylist() == ['{"why":"secret"}', None]
    with pytest.raises(AssertionError):
        make_run(mode="prod", log=b'{"source": "sidecar"}\n').files()


def test_debug_and_prod_have_one_result_digest(make_run: MakeRun, make_tables: MakeTables) -> None:
    assert make_run(mode="prod").result_digest == result_digest(make_tables(meta=False))


def test_the_tables_are_read_back_with_the_digest_of_the_manifest(
    tmp_path: Path, make_run: MakeRun, make_tables: MakeTables
) -> None:
    run = make_run()
    stored = read_run(publish_run(run, tmp_path).folder)
    assert stored.run_id == run.run_id
    assert result_digest(stored.tables()) == stored.result_digest == run.result_digest
    assert stored.tables().fills.equals(make_tables().fills)
    assert stored.json("params.json") == {"n": 3, "x": 0.1, "on": True}
    assert stored.json("config.json")["schema"] == "boxgate.config/1"
    assert stored.log() == [{"event": "run_started"}]


def test_a_page_can_be_built_again(tmp_path: Path, make_run: MakeRun) -> None:
    stored = read_run(publish_run(make_run(render=lambda folder: "old"), tmp_path).folder)
    path = put_report(stored, lambda folder: f"new {folder.name}")
    assert path.read_text() == f"new {stored.run_id}"
    renewed = read_run(stored.folder)
    assert renewed.files["report.html"]["bytes"] == len(path.read_bytes())
    assert {n: f for n, f in renewed.files.items() if n != "report.html"} == {
        n: f for n, f in stored.files.items() if n != "report.html"
    }
    assert set(_content(stored.folder)) == _FILES | {"report.html"}


@pytest.mark.parametrize(
    ("harm", "where"),
    [
        (lambda folder: (folder / "trades.csv").write_text("trade_id\n"), "trades.csv"),
        (lambda folder: (folder / "signals.parquet").unlink(), "signals.parquet"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text('{"schema": "boxgate.manifest/1"}'), "manifest.json"),
    ],
)
def test_a_run_that_was_altered_is_refused_with_the_file(
    tmp_path: Path, make_run: MakeRun, harm: Callable[[Path], Any], where: str
) -> None:
    folder = publish_run(make_run(), tmp_path).folder
    harm(folder)
    with pytest.raises(RunDamaged) as failed:
        read_run(folder)
    assert failed.value.where == str(folder / where)
    assert failed.value.error_code == "RUN_DAMAGED"


@pytest.mark.parametrize("name", ["../config.json", "/etc/passwd", "a/b.json"])
def test_a_manifest_names_files_of_its_own_folder_only(tmp_path: Path, make_run: MakeRun, name: str) -> None:
    folder = publish_run(make_run(), tmp_path).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": "0" * 64, "bytes": 0}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunDamaged, match="the manifest lists"):
        read_run(folder)


def test_a_run_is_found_by_folder_id_or_beginning(tmp_path: Path, make_run: MakeRun) -> None:
    one = publish_run(make_run(), tmp_path).folder
    two = publish_run(make_run(run_id="r_" + "01f" + "0" * 29), tmp_path).folder
    assert find_run(str(one), tmp_path / "elsewhere") == one
    assert find_run(one.name, tmp_path) == one
    assert find_run("r_01f", tmp_path) == two
    with pytest.raises(RunAmbiguous) as several:
        find_run("r_01", tmp_path)
    assert several.value.runs == (one.name, two.name)
    for run in ("r_ff", "missing", "../x", str(tmp_path)):
        with pytest.raises(RunNotFound) as refused:
            find_run(run, tmp_path)
        assert refused.value.exit_code == 2
    with pytest.raises(RunNotFound):
        read_run(tmp_path / "missing")


_KILLED_BETWEEN_STEPS = """
import importlib.util, os, sys
from pathlib import Path
from boxgate_engine.artefacts import publish_run

spec = importlib.util.spec_from_file_location("runs", sys.argv[1])
runs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runs)
store = Path(sys.argv[2])
run = runs.small_run(render=lambda folder: "<p>page</p>")
steps = []
durable = sys.argv[3] == "durable"
publish_run(run, store / "all", durable=durable, between_steps=steps.append)
print(*steps)
for number, step in enumerate(steps):
    child = os.fork()
    if child == 0:
        die = lambda name: os._exit(9) if name == step else None
        publish_run(run, store / str(number), durable=durable, between_steps=die)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr)
"""


@pytest.mark.parametrize("how", ["durable", "together"])
def test_k05_a_writer_killed_between_any_two_steps_shows_nothing_or_all(
    tmp_path: Path, make_run: MakeRun, how: str
) -> None:
    script = Path(__file__).with_name("conftest.py")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_KILLED_BETWEEN_STEPS), str(script), str(tmp_path), how],
        capture_output=True,
        text=True,
        check=True,
    )
    steps = done.stdout.split()
    assert done.stderr.split() == ["9"] * len(steps)
    assert steps[0] == "folder"
    assert steps[-3:] == ["manifest.json", "sync", "rename"]
    assert set(steps[1:-2]) == _FILES | {"report.html"}
    run = make_run(render=lambda folder: "<p>page</p>")
    for number, step in enumerate(steps):
        store = tmp_path / str(number)
        visible = [path.name for path in store.iterdir() if not path.name.startswith(".")]
        assert visible == ([run.run_id] if step == "rename" else []), step
        again = publish_run(run, store)
        assert again.published == ("kept" if step == "rename" else "new")
        assert read_run(again.folder).result_digest == run.result_digest
        assert [path.name for path in store.iterdir()] == [run.run_id], "the next writer sweeps what was left"


def test_the_folder_of_a_living_writer_is_not_swept(tmp_path: Path, make_run: MakeRun) -> None:
    living = tmp_path / ".tmp-living"
    living.mkdir()
    descriptor = os.open(living, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    publish_run(make_run(), tmp_path)
    assert living.exists()
    os.close(descriptor)
    publish_module._swept.clear()  # as another process begins
    publish_run(make_run(), tmp_path)
    assert not living.exists()


def test_many_writers_of_one_run_leave_one_folder(tmp_path: Path, make_run: MakeRun) -> None:
    found: list[str] = []
    writers = [
        threading.Thread(target=lambda: found.append(publish_run(make_run(), tmp_path).published)) for _ in range(8)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(found) == ["kept"] * 7 + ["new"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "STORE_FULL"),
        (errno.EDQUOT, "STORE_FULL"),
        (errno.EACCES, "STORE_DENIED"),
        (errno.EROFS, "STORE_DENIED"),
        (errno.EIO, "STORE_IO"),
    ],
)
@pytest.mark.parametrize("call", ["pathlib.Path.write_bytes", "os.fsync", "tempfile.mkdtemp"])
def test_k06_what_the_disk_refuses_is_named_and_nothing_is_left(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, number: int, code: str, call: str
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number), "/somewhere/tmp_random")

    with monkeypatch.context() as patched:
        patched.setattr(call, refuse)
        with pytest.raises(StoreFailed) as failed:
            publish_run(make_run(), tmp_path)
    assert failed.value.error_code == code
    assert failed.value.exit_code == 1
    assert failed.value.where == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_runs_of_a_matrix_are_synced_together(
    tmp_path: Path, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    one = publish_run(make_run(), tmp_path / "one")
    assert len(synced) == len(list(one.folder.iterdir())) + 2  # and the folder and the store
    synced.clear()
    other = publish_run(make_run(), tmp_path / "other", durable=False)
    assert synced == []
    assert read_run(other.folder).files == read_run(one.folder).files
    sync_store(tmp_path / "other")
    with pytest.raises(StoreFailed):
        sync_store(tmp_path / "nowhere")


def test_a_store_that_is_a_file_is_refused_before_the_run(tmp_path: Path) -> None:
    prepare_store(tmp_path / "new" / "store")
    assert list((tmp_path / "new" / "store").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed):
        prepare_store(tmp_path / "file" / "store")


def test_a_page_that_cannot_be_made_publishes_nothing(tmp_path: Path, make_run: MakeRun) -> None:
    def render(folder: Path) -> str:
        raise ValueError(folder.name)

    with pytest.raises(ValueError, match=re.escape(".tmp-")):
        publish_run(make_run(render=render), tmp_path)
    assert list(tmp_path.iterdir()) == []
