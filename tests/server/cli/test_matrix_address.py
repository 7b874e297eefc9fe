"""`boxgate matrix` with a store behind an address: what a command tells, here and on another host."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

pytestmark = pytest.mark.usefixtures("nothing_left")

CONFIG = """\
strategy: {command: [python, strategies/trader.py]}
dataset: small
instruments: [EURUSD]
window: {start: 2024-01-03T08:00:00, end: 2024-01-03T10:00:00}
frames: [M1]
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 0.2, slippage_bps: 0.1, spread: {ticks: 2}}
limits: {handshake_s: 30, reply_base_s: 20, stop_grace_s: 1}
matrix:
  params: {every: [10, 20], qty: [1000, 2000]}
  search: {objective: return.total}
report: {html: true}
io: {artifacts_store: "memory://user:secret@bucket/store"}
"""
STORE = "memory://bucket/store"


@pytest.fixture
def matrix(workspace: Path) -> Iterator[Path]:
    """The file of a matrix of four runs in the workspace."""
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]
    path = workspace / "matrix.yaml"
    path.write_text(CONFIG)
    yield path
    MemoryFileSystem.store.clear()


def _stored() -> set[str]:
    return {path.partition("/store/")[2] for path in MemoryFileSystem.store}


def _page(path: str) -> Any:
    text = Path(path).read_text()
    begin = text.index('id="boxgate-data"')
    return json.loads(text[text.index(">", begin) + 1 : text.index("</script>", begin)])


def test_every_command_works_here_and_on_a_host_that_has_only_the_address(
    matrix: Path, boxgate: Callable[..., Any], workspace: Path, tmp_path: Path
) -> None:
    done = boxgate("matrix", "run", str(matrix), "--json")
    assert done.code == 0, done.err
    at = f"matrices/{done.json['matrix_id']}"
    assert (done.json["store"], done.json["index"]) == (STORE, f"{STORE}/{at}/index")
    assert {"index.json", "ledger.sqlite", "matrix.json", "report.html", "trials.json"} <= {
        name.removeprefix(f"{at}/") for name in _stored()
    }
    assert "matrices/trials.sqlite" in _stored()
    assert Path(done.json["report"]).is_file()
    assert not (workspace / "artifacts").exists()
    shutil.rmtree(workspace / ".boxgate")

    status = boxgate("matrix", "status", str(matrix), "--json").json
    assert (status["status"], status["complete"], status["driver"]) == ("complete", 4, None)
    assert (status["matrix_digest"], status["index"]) == (done.json["matrix_digest"], done.json["index"])
    best = boxgate("matrix", "best", str(matrix), "--json", "--write", str(tmp_path / "run.yaml")).json
    assert best["trials"]["trials"] == 4
    assert best["best"]["artifacts"] == f"{STORE}/runs/{best['best']['run_id']}"
    alone = boxgate("run", str(tmp_path / "run.yaml"), "--json").json
    assert alone["run_id"] == best["best"]["run_id"]
    assert Path(alone["artifacts"]).parent == workspace / "artifacts" / "runs"
    report = boxgate("matrix", "report", str(matrix), "--json").json
    assert (report["complete"], report["not_in_index"]) == (4, 0)
    again = boxgate("matrix", "resume", str(matrix), "--json").json
    assert (again["reused"], again["computed"], again["matrix_digest"]) == (4, 0, done.json["matrix_digest"])
    assert "secret" not in json.dumps([done.json, status, best, report, again])


def test_the_page_leads_to_the_pages_of_runs_only_where_it_stands_beside_them(
    matrix: Path, boxgate: Callable[..., Any], tmp_path: Path
) -> None:
    done = boxgate("matrix", "run", str(matrix), "--json").json
    assert '"../../runs"' in json.dumps(_page(done["report"]))
    boxgate("matrix", "report", str(matrix), "-o", str(tmp_path / "page.html"), "--json")
    inside, outside = (json.dumps(_page(str(path))) for path in (done["report"], tmp_path / "page.html"))
    assert inside != outside


def test_a_matrix_that_nobody_began_is_told_with_its_address(matrix: Path, boxgate: Callable[..., Any]) -> None:
    for command in ("resume", "status", "best", "report", "cancel"):
        told = boxgate("matrix", command, str(matrix), "--json")
        assert told.code == 2
        assert (told.error["code"], told.error["where"]) == ("MATRIX_UNKNOWN", f"{STORE}/matrices")


@pytest.mark.parametrize(
    ("address", "code", "exit_code"),
    [("nosuch://bucket/x", "STORE_UNSUPPORTED", 2), ("ftp://u:secret@127.0.0.1:1/x", "STORE_UNREACHABLE", 1)],
)
def test_a_store_that_is_not_to_be_had_is_told_before_the_first_run(
    matrix: Path, boxgate: Callable[..., Any], address: str, code: str, exit_code: int
) -> None:
    told = boxgate("matrix", "run", str(matrix), "--json", "--set", f"io.artifacts_store={address}")
    assert (told.code, told.error["code"]) == (exit_code, code)
    assert "secret" not in told.out + told.err


def test_without_the_store_this_host_tells_what_it_knows(
    matrix: Path, boxgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = boxgate("matrix", "run", str(matrix), "--json").json

    def gone(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError("Connection refused")

    monkeypatch.setattr(MemoryFileSystem, "_open", gone)
    monkeypatch.setattr(MemoryFileSystem, "info", gone)
    status = boxgate("matrix", "status", str(matrix), "--json").json
    assert (status["complete"], status["matrix_digest"]) == (4, done["matrix_digest"])
    told = boxgate("matrix", "resume", str(matrix), "--json")
    assert (told.code, told.error["code"]) == (1, "STORE_UNREACHABLE")
