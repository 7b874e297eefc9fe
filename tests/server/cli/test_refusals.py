"""What a user gets wrong in a config or on the command line: refused by name and place, exit code 2."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def refused(boxgate: Call, workspace: Path, runs: Call) -> Call:
    """Replace lines of the config, run, check that it is refused with a code; return the error."""

    def check(code: str, *lines: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
        config = workspace / "run.yaml"
        kept = config.read_text().splitlines()
        for line in lines:
            key = line.split(":")[0]
            kept = [old for old in kept if old.split(":")[0] != key] + [line]
        config.write_text("\n".join(kept) + "\n")
        answered = boxgate("run", "run.yaml", "--json", *options)
        assert (answered.error["code"], answered.code) == (code, 2), answered.err
        assert runs() == []
        return {**answered.error, "err": answered.err}

    return check


def test_an_unknown_key_is_refused_with_a_suggestion_and_its_line(refused: Call) -> None:
    """C01."""
    error = refused("CONFIG", "costs: {fee_bps: 1.0}")
    assert "did you mean costs.fees_bps?" in error["remedy"]
    assert error["where"] == "costs.fee_bps, run.yaml:13"


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('account: {currency: USD, cash: "16"}', "account.cash"),  # C02
        ("costs: {fees_bps: [1]}", "costs.fees_bps"),  # C02
        ("report: {html: yes}", "report.html"),  # C03
        ("costs: {fees_bps: .nan}", "costs.fees_bps"),  # C03
        ("costs: {fees_bps: 1, fees_bps: 2}", "costs.fees_bps"),  # C03
        ("costs: !!python/object/apply:os.system [id]", ""),  # C04
        ("costs: &a {fees_bps: 1}\nexecution: *a", ""),  # C04
        ("window: {start: 2024-01-03, end: 2024-01-02}", "window"),  # C06
        ("window: {start: 2024-01-03, end: 2024-01-03}", "window"),  # C06
        ("window: {start: 2024-02-31, end: last}", "window.start"),  # C06
        ("frames: [M2]", "frames[0]"),
        ("instruments: []", "instruments"),
        ("execution: {series: {GBPUSD: M1}}", "execution.series.GBPUSD"),
    ],
)
def test_a_wrong_value_is_refused_by_path_and_line(refused: Call, line: str, path: str) -> None:
    error = refused("CONFIG", line)
    assert path in error["where"]
    assert "run.yaml:" in error["where"]


def test_a_huge_config_is_refused(refused: Call, workspace: Path) -> None:
    """C04."""
    with (workspace / "run.yaml").open("a") as file:
        file.write("# filler\n" * 200_000)
    assert "bytes" in refused("CONFIG")["expected"]


def test_everything_wrong_is_told_at_once_each_on_its_own_line(refused: Call) -> None:
    """C06: what is wrong by itself and what the data say."""
    lines = ("window: {start: 2024-01-03, end: 2024-01-02}", "instruments: [EURUSD, DOGE]", "costs: {fees: 1}")
    error = refused("CONFIG", *lines)
    assert {problem["path"] for problem in error["problems"]} == {"window", "instruments[1]", "costs.fees"}
    told = error["err"].splitlines()
    for path in ("window, run.yaml:", "instruments[1], run.yaml:", "costs.fees, run.yaml:"):
        (line,) = [line for line in told if path in line]
        assert "; expected " in line


def test_everything_that_the_data_lack_is_told_at_once(refused: Call) -> None:
    """C06."""
    lines = ("window: {start: 2025-01-01, end: 2025-02-01}", "instruments: [EURUSD, DOGE, BTCUSDT]")
    error = refused("CONFIG", *lines)
    assert [problem["code"] for problem in error["problems"]] == [
        "SERIES_UNKNOWN",
        "RATE_MISSING",
        "SPREAD_MISSING",
        "WINDOW_EMPTY",
    ]
    for code in ("SERIES_UNKNOWN", "SPREAD_MISSING"):
        assert f"{code}: " in error["err"]


@pytest.mark.parametrize(
    ("code", "lines", "path"),
    [
        ("SERIES_UNKNOWN", ["instruments: [EURUSD, EURJPY]"], "instruments[1]"),
        ("WINDOW_EMPTY", ["window: {start: 2031-01-01, end: last}"], "window"),
        ("WINDOW_EMPTY", ["window: {start: first, end: 2020-01-01}"], "window"),
        ("RATE_MISSING", ["account: {currency: CHF, cash: 1000}"], "account.currency"),
        (
            "SPREAD_MISSING",
            ["instruments: [BTCUSDT]", "account: {currency: USDT, cash: 1000}"],
            "costs.spread",
        ),
    ],
)
def test_what_the_data_do_not_have_is_refused_by_its_code(
    refused: Call, code: str, lines: list[str], path: str
) -> None:
    error = refused(code, *lines)
    assert path in error["where"]
    assert "run.yaml:" in error["where"]


def test_a_symbol_in_other_letters_gets_a_suggestion(refused: Call) -> None:
    assert "did you mean EURUSD?" in refused("SERIES_UNKNOWN", "instruments: [eurusd]")["remedy"]
    both = refused("CONFIG", "instruments: [btcusd]", "mode: live")
    assert "did you mean BTCUSDT?" in both["remedy"]


def test_a_warm_up_that_the_data_do_not_have_tells_need_and_have(refused: Call) -> None:
    error = refused("WARMUP_SHORT", "window: {start: 2024-01-02T00:03:00, end: last}")
    assert "need 5 events of EURUSD M1, have 3" in error["what"]


def test_prod_does_not_tell_the_exact_need(refused: Call) -> None:
    error = refused("WARMUP_SHORT", "window: {start: 2024-01-02T00:03:00, end: last}", "mode: prod")
    assert "need 8 events of EURUSD M1, have 3" in error["what"]


def test_a_start_at_first_leaves_the_warm_up(boxgate: Call) -> None:
    answered = boxgate("run", "run.yaml", "--json", "--set", "window={start: first, end: last}")
    assert answered.code == 0, answered.err
    assert answered.json["metrics"]["counts"]["warmup_events"] == 6


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("DATASET_UNKNOWN", "smal"),
        ("DATASET_UNKNOWN", "0" * 64),
        ("DATASET_NOT_FROZEN", "latest"),  # D20
        ("NAME_INVALID", "../../etc/passwd"),  # D14
    ],
)
def test_a_dataset_that_is_not_there_is_refused(refused: Call, code: str, name: str) -> None:
    error = refused(code, f'dataset: "{name}"')
    assert error["where"] == "dataset, run.yaml:13"
    if name == "smal":
        assert "did you mean 'small'" in error["remedy"]


def test_a_dataset_is_taken_by_its_hash(boxgate: Call, datasets: Path) -> None:
    digest = next(entry.name for entry in datasets.iterdir() if len(entry.name) == 64)
    by_name = boxgate("run", "run.yaml", "--json").json
    by_hash = boxgate("run", "run.yaml", "--json", "--set", f'dataset="{digest}"').json
    assert by_hash["run_id"] == by_name["run_id"]


def test_the_folder_of_an_id_with_another_run_is_a_conflict(boxgate: Call, workspace: Path) -> None:
    """C07."""
    store = workspace / "artifacts" / "runs"
    first = boxgate("run", "run.yaml", "--json").json
    other = boxgate("run", "run.yaml", "--json", "--set", "strategy.params.every=31").json
    shutil.rmtree(store / first["run_id"])
    shutil.copytree(store / other["run_id"], store / first["run_id"])
    for command in (("run", "run.yaml", "--reuse"), ("run", "run.yaml")):
        answered = boxgate(*command, "--json")
        assert (answered.error["code"], answered.code) == ("RUN_ID_CONFLICT", 1)
    stored = json.loads((store / first["run_id"] / "manifest.json").read_text())
    assert stored["run_id"] == other["run_id"], "what stood there was left alone"


def test_a_store_that_cannot_be_written_is_known_before_anything_is_computed(boxgate: Call, workspace: Path) -> None:
    (workspace / "artifacts").write_text("a file")
    answered = boxgate("run", "run.yaml", "--json")
    assert (answered.error["code"], answered.code) == ("CONFIG", 2)
    assert answered.error["what"] == "artifacts is a file, not a folder"
    assert answered.error["where"].startswith("artifacts, run.yaml")
    assert "starting the strategy" not in answered.err


def test_a_file_where_a_folder_must_be_is_told_by_key_and_line(refused: Call, workspace: Path) -> None:
    (workspace / "afile").write_text("")
    error = refused("CONFIG", "data_provider: {root: afile, cache: {local_dir: afile/cache}}", "artifacts: afile")
    assert {(problem["path"], problem["source"]) for problem in error["problems"]} == {
        ("artifacts", "run.yaml:15"),
        ("data_provider.root", "run.yaml:14"),
        ("data_provider.cache.local_dir", "run.yaml:14"),
    }
    assert {problem["what"] for problem in error["problems"]} == {"afile is a file, not a folder"}


@pytest.mark.parametrize(
    "arguments", [["data", "list", "--root"], ["rerun", "r_0", "--artifacts"], ["report", "r_0", "--data-root"]]
)
def test_a_file_is_no_folder_for_an_option(boxgate: Call, arguments: list[str]) -> None:
    answered = boxgate(*arguments, "run.yaml", "--json")
    assert answered.code == 2
    assert "is a file" in answered.error["what"]


@pytest.mark.parametrize(
    ("arguments", "schema", "told"),
    [
        (["run", "--jsn", "--json"], "boxgate.run/1", "--jsn"),
        (["run", "--json"], "boxgate.run/1", "CONFIG"),
        (["rerun", "--json"], "boxgate.rerun/1", "RUN"),
        (["report", "x", "--assets", "both", "--json"], "boxgate.report/1", "both"),
        (["rnu", "--json"], "boxgate.command/1", "rnu"),
        (["data", "lst", "--json"], "boxgate.data/1", "lst"),
    ],
)
def test_a_mistake_on_the_command_line_is_answered_like_every_other(
    boxgate: Call, arguments: list[str], schema: str, told: str
) -> None:
    answered = boxgate(*arguments)
    assert answered.code == 2
    assert answered.json["schema"] == schema
    assert answered.error["code"] == "USAGE"
    assert told in answered.error["what"]
    assert "--help" in answered.error["remedy"]


@pytest.mark.parametrize(
    ("options", "code", "path"),
    [
        (["--set", "costs"], "CONFIG", "--set costs"),
        (["--set", "frames.x=1"], "CONFIG", "frames"),
        (["--attach", "localhost:1"], "USAGE", "--cookie"),
        (["--attach", "example.org:80", "--cookie", "c"], "ATTACH_ADDRESS", "--attach"),
        (["--attach", "unix:/nowhere/x", "--cookie", "c"], "ATTACH_ADDRESS", "--attach"),
    ],
)
def test_wrong_options_are_refused(refused: Call, options: list[str], code: str, path: str) -> None:
    assert path in refused(code, options=tuple(options))["where"]


@pytest.mark.parametrize("name", ["nosuch.yaml", "strategies", "run.yaml/x"])
def test_a_config_that_is_no_file_is_refused(boxgate: Call, name: str) -> None:
    answered = boxgate("run", name, "--json")
    assert (answered.code, answered.error["code"]) == (2, "CONFIG")
    assert name in answered.error["where"]


def test_a_name_cannot_write_to_the_terminal(boxgate: Call) -> None:
    answered = boxgate("run", "\x1b]0;owned\x07.yaml")
    assert answered.code == 2
    assert "\x1b" not in answered.err
    assert "\\x1b]0;owned\\x07.yaml" in answered.err
