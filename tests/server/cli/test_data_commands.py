"""`boxgate data`: answers for people and for programs, and exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from boxgate_server.cli.data import data_app

Run = Callable[..., Result]

_LINES = ["time,open,high,low,close,volume", *(f"{1709294400 + 60 * i},1.1,1.3,1.0,1.25,5" for i in range(20))]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(data_app, list(arguments))

    return invoke


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "eurusd.csv").write_text("\n".join(_LINES) + "\n", encoding="utf-8")
    return "eurusd.csv"


def _answer(result: Result) -> dict[str, Any]:
    """The one object on the last line of stdout; everything for people went to stderr."""
    (line,) = result.stdout.splitlines()
    answer: dict[str, Any] = json.loads(line)
    assert answer["schema"] == "boxgate.data/1"
    return answer


def test_import_answers_with_hash_instruments_and_quality(run: Run, file: str, tmp_path: Path) -> None:
    arguments = ("import", file, "--symbol", "EURUSD", "--frame", "M1", "--name", "euro", "--json")
    result = run(*arguments, "--source", "a broker", "--licence", "CC-BY-4.0", "--side", "mid")
    assert result.exit_code == 0
    answer = _answer(result)
    assert (answer["status"], answer["name"], answer["created"]) == ("ok", "euro", True)
    assert (tmp_path / "datasets" / answer["hash"] / "manifest.json").is_file()
    (series,) = answer["series"]
    assert (series["rows"], series["price_basis"], series["source"]) == (20, "MID", "a broker")
    assert series["quality"]["repairs"] == {}
    (instrument,) = answer["instruments"]
    assert instrument["tick_size"] == "1/100"
    assert set(instrument["guessed"]) == {"asset_class", "tick_size", "lot_size", "quote_currency", "contract_size"}
    assert "euro" in result.stderr
    again = _answer(run(*arguments, "--side", "mid"))
    assert (again["created"], again["hash"]) == (False, answer["hash"])


def test_without_json_people_read_stdout(run: Run, file: str) -> None:
    result = run("import", file, "--symbol", "EURUSD", "--frame", "M1", "--name", "euro")
    assert result.exit_code == 0
    assert "EURUSD M1: nothing to remark" in result.stdout
    assert "{" not in result.stdout


def test_a_refusal_is_exit_2_with_every_part_of_the_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("\n".join([*_LINES, "1709299999,1.1,1.3,1.0,nan,5"]), encoding="utf-8")
    result = run("import", "bad.csv", "--symbol", "EURUSD", "--frame", "M1", "--name", "euro", "--json")
    assert result.exit_code == 2
    answer = _answer(result)
    assert answer["status"] == "refused"
    assert set(answer["error"]) == {"code", "what", "where", "expected", "remedy"}
    assert (answer["error"]["code"], answer["error"]["where"]) == ("DATA_VALUE", "bad.csv, row 22, column close")
    for part in answer["error"].values():
        assert part in result.stderr
    assert "Traceback" not in result.output
    assert _answer(run("list", "--json"))["datasets"] == []


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("import", "none.csv", "--symbol", "EURUSD", "--frame", "M1"), "DATA_FORMAT"),
        (("import", "eurusd.csv", "--frame", "M1"), "DATA_SCHEMA"),
        (("import", "eurusd.csv", "--symbol", "EURUSD"), "DATA_SCHEMA"),
        (("import", "eurusd.csv", "--symbol", "EURUSD", "--frame", "M2"), "FRAME_UNKNOWN"),
        (("import", "eurusd.csv", "--symbol", "EURUSD", "--frame", "M1", "--tz", "Mars/Base"), "DATA_TZ"),
        (("import", "eurusd.csv", "--symbol", "EURUSD", "--frame", "M1", "--tick-size", "x"), "DATA_INSTRUMENT"),
        (("import", "eurusd.csv", "--symbol", "EURUSD", "--frame", "M1", "--tick-size", "1/0"), "DATA_INSTRUMENT"),
        (("import", "eurusd.csv", "--symbol", "EURUSD", "--frame", "M1", "--lot-size", "-1"), "DATA_INSTRUMENT"),
        (("import", "eurusd.csv", "--symbol", "EURUSD", "--frame", "M1", "--name", "../x"), "NAME_INVALID"),
        (("import", "eurusd.csv", "--symbol", "EURUSD", "--frame", "M1", "--format", "lean"), "DATA_SCHEMA"),
        (("show", "latest"), "DATASET_NOT_FROZEN"),
        (("show", "none"), "DATASET_UNKNOWN"),
        (("check", "none"), "DATASET_UNKNOWN"),
        (("synth", "--seed", "-1"), "SEED_RANGE"),
        (("synth", "--seed", "1", "--start", "soon"), "DATE_INVALID"),
        (("synth", "--seed", "1", "--start", "2024-02-01", "--end", "2024-01-01"), "DATA_SCHEMA"),
        (("synth", "--seed", "1", "--frame", "H1"), "FRAME_UNKNOWN"),
    ],
)
def test_mistakes_of_the_user_are_exit_2(run: Run, file: str, arguments: tuple[str, ...], code: str) -> None:
    result = run(*arguments, "--json")
    assert (result.exit_code, _answer(result)["error"]["code"]) == (2, code)
    assert run(*arguments).exit_code == 2


def test_synth_list_show_and_check_work_together(run: Run) -> None:
    made = _answer(
        run("synth", "--seed", "5", "--symbol", "EURUSD", "--symbol", "BTCUSDT", "--end", "2024-01-04", "--json")
    )
    assert made["name"] == "synth-5"
    assert [series["symbol"] for series in made["series"]] == ["BTCUSDT", "EURUSD"]
    (listed,) = _answer(run("list", "--json"))["datasets"]
    assert (listed["names"], listed["hash"]) == (["synth-5"], made["hash"])
    shown = _answer(run("show", "synth-5", "--json"))
    assert shown["series"] == made["series"]
    checked = _answer(run("check", "synth-5", "--json"))
    assert (checked["status"], checked["files"]) == ("ok", 4), "two of the store, and two that were mapped to be shown"
    for arguments in (("list",), ("show", "synth-5"), ("check", made["hash"])):
        assert run(*arguments).exit_code == 0


def test_a_listing_in_a_pipe_is_not_cut(run: Run) -> None:
    digest = _answer(run("synth", "--seed", "7", "--end", "2024-01-10", "--json"))["hash"]
    assert digest in run("list").stdout


def test_a_name_whose_dataset_was_deleted_is_given_to_the_next_import(run: Run, file: str, tmp_path: Path) -> None:
    options = ("import", file, "--symbol", "EURUSD", "--frame", "M1", "--name", "coins")
    digest = _answer(run(*options, "--json"))["hash"]
    shutil.rmtree(tmp_path / "datasets" / digest)
    assert f"The name coins stood for {digest}, which is no longer there." in run(*options).stdout


def test_synth_takes_ticks_and_stated_facts(run: Run) -> None:
    made = _answer(
        run("synth", "--seed", "5", "--name", "t", "--symbol", "NAS100", "--asset-class", "index", "--quote-currency",
            "USD", "--frame", "tick", "--start", "2024-01-02T10:00:00", "--end", "2024-01-02T11:00:00+00:00", "--json")
    )  # fmt: skip
    (series,) = made["series"]
    assert series["frame"] == "tick"
    assert 1_704_189_600 * 10**9 <= series["first_ns"] < series["last_ns"] < 1_704_193_200 * 10**9


def test_damage_is_exit_1_and_every_problem_is_listed(run: Run, file: str, tmp_path: Path) -> None:
    run("import", file, "--symbol", "EURUSD", "--frame", "M1", "--name", "euro")
    (path,) = (tmp_path / "datasets").rglob("*.parquet")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-9])
    (path.parent / "stray").write_text("x")
    result = run("check", "euro", "--json")
    answer = _answer(result)
    assert (result.exit_code, answer["status"]) == (1, "failed")
    assert (answer["error"]["code"], len(answer["problems"])) == ("DATA_HASH", 2)
    assert run("check", "euro").exit_code == 1


def test_an_unforeseen_error_shows_no_traceback_unless_asked(
    run: Run, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("boxgate_server.cli.data.listing.list_datasets", broken)
    result = run("list", "--json")
    assert (result.exit_code, _answer(result)["error"]["code"]) == (1, "INTERNAL")
    assert "Traceback" not in result.output
    told = run("list", "--debug")
    assert told.exit_code == 1
    assert "RuntimeError: boom" in told.stderr
    assert "Traceback" in told.stderr


def test_an_interrupt_is_exit_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("boxgate_server.cli.data.listing.list_datasets", interrupted)
    result = run("list", "--json")
    assert (result.exit_code, _answer(result)["error"]["code"]) == (130, "INTERRUPTED")


def test_the_demo_is_made_by_its_command(run: Run) -> None:
    answer = _answer(run("demo", "--json"))
    assert (answer["name"], len(answer["series"])) == ("demo", 8)
