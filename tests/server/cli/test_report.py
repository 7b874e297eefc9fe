"""`boxgate report`: the page once more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.artefacts import read_run

Call = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def folder(boxgate: Call) -> Path:
    return Path(boxgate("run", "run.yaml", "--json").json["artifacts"])


def test_the_page_is_built_again_byte_by_byte(boxgate: Call, folder: Path) -> None:
    page, manifest = (folder / "report.html").read_bytes(), (folder / "manifest.json").read_bytes()
    (folder / "report.html").write_text("spoilt")
    damaged = boxgate("report", str(folder), "--json")
    assert damaged.error["code"] == "RUN_DAMAGED"
    (folder / "report.html").write_bytes(page)
    answered = boxgate("report", folder.name, "--json")
    assert answered.code == 0, answered.err
    told = answered.json
    assert (told["schema"], told["status"], told["prices"]) == ("boxgate.report/1", "complete", True)
    assert told["report"] == str(folder / "report.html")
    assert (folder / "report.html").read_bytes() == page
    assert (folder / "manifest.json").read_bytes() == manifest


def test_a_run_without_a_page_gets_one(boxgate: Call) -> None:
    first = boxgate("run", "run.yaml", "--json", "--set", "report.html=false").json
    folder = Path(first["artifacts"])
    assert not (folder / "report.html").exists()
    assert boxgate("report", str(folder)).out.strip() == str(folder / "report.html")
    assert "report.html" in read_run(folder).files


def test_shared_assets_make_a_small_page(boxgate: Call, folder: Path) -> None:
    inline_bytes = (folder / "report.html").stat().st_size
    answered = boxgate("report", str(folder), "--assets", "shared", "--json")
    assert answered.json["bytes"] < inline_bytes / 4
    assert len(list((folder.parent / "_assets").iterdir())) == 1
    assert "_assets" in (folder / "report.html").read_text()
    read_run(folder)


def test_without_the_dataset_the_page_has_no_prices_and_says_so(boxgate: Call, folder: Path) -> None:
    answered = boxgate("report", str(folder), "--data-root", "elsewhere", "--json")
    assert answered.code == 0, answered.err
    assert answered.json["prices"] is False
    assert "shows no prices" in answered.err
    page = (folder / "report.html").read_text()
    assert "The dataset of this run was not at hand" in page
    read_run(folder)


def test_charts_and_tables_are_exported(boxgate: Call, folder: Path, tmp_path: Path) -> None:
    places = {name: tmp_path / "out" / name for name in ("png", "csv", "page.json")}
    answered = boxgate(
        "report", str(folder), "--png", str(places["png"]), "--csv", str(places["csv"]),
        "--figures", str(places["page.json"]), "--json",
    )  # fmt: skip
    assert answered.code == 0, answered.err
    exported = [Path(path) for path in answered.json["exports"]]
    assert all(path.is_file() for path in exported)
    assert {places["png"] / "equity.png", places["csv"] / "equity.csv", places["page.json"]} <= set(exported)
    assert json.loads(places["page.json"].read_text())["run_id"] == folder.name


def test_an_export_that_cannot_be_written_is_refused(boxgate: Call, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    answered = boxgate("report", str(folder), "--csv", str(tmp_path / "taken" / "below"), "--json")
    assert (answered.code, answered.error["code"]) == (2, "EXPORT_UNWRITABLE")
