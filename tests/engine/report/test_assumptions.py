"""Every assumption is named, whatever the config says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest

from boxgate_engine.config import ExecutionConfig
from boxgate_engine.identity import scenario_id, seed
from boxgate_engine.report.assumptions import PATHS, name_assumptions
from boxgate_engine.report.run_files import read_run_files


def named(case: Any, changes: dict[str, dict[str, Any]] | None = None, **top: Any) -> dict[str, str]:
    """Return name → value and note of each assumption, after changes to sections of the resolved config."""
    path = case.folder / "config.json"
    config = json.loads(path.read_text())
    for section, values in (changes or {}).items():
        config["resolved"][section] |= values
    config["resolved"] |= top
    path.write_text(json.dumps(config))
    given = {name: case.arguments[name] for name in ("run_id", "result_digest", "prices", "instruments")}
    groups = name_assumptions(read_run_files(case.folder), **given)
    return {line.name: f"{line.value} | {line.note}" for _, lines in groups for line in lines}


@pytest.fixture
def case(run_folder: Callable[..., Any]) -> Any:
    return run_folder(bars=3_000, keep_open=True)


def test_nothing_that_a_result_rests_on_is_left_out(case: Any) -> None:
    found = named(case)
    assert set(found) >= {
        "Fees", "Spread", "Slippage", "Account", "Who can fill", "Path inside a bar", "Gaps", "Rounding", "At the end",
        "Delivery", "Rejected signals", "Unexecuted signals", "Open positions", "Window", "Warm-up", "Mode",
        "Parameters", "Dataset", "Strategy digest", "Seed", "Run", "Result", "Versions",
    }  # fmt: skip
    assert "0.2 bps" in found["Fees"]
    assert "tick 0.00001, lot 0.01" in found["Rounding"]
    assert "fast = 60" in found["Parameters"]
    assert "extended 1 time on request" in found["Warm-up"]
    assert found["Open positions"].startswith("1 ")


def test_the_seed_is_the_one_that_the_strategy_got(case: Any) -> None:
    identity = json.loads((case.folder / "config.json").read_text())["identity"]
    window = identity["window"]
    scenario = scenario_id(
        params=identity["strategy"]["params"],
        instruments=identity["instruments"],
        frames=identity["frames"],
        start_ns=int(window["start_ns"]),
        end_ns=int(window["end_ns"]),
    )
    assert named(case)["Seed"].startswith(str(seed(1337, scenario)))


def test_every_path_setting_has_its_sentence() -> None:
    assert set(PATHS) == set(get_args(ExecutionConfig.model_fields["path"].annotation))


@pytest.mark.parametrize(
    ("spread", "text"),
    [
        ("data", "from the data"),
        ("none", "upper bound"),
        ({"price": 0.0002}, "constant, 0.0002 in price"),
        ({"ticks": 12}, "constant, 12 ticks"),
        ({"ticks": 1}, "constant, 1 tick |"),
    ],
)
def test_every_spread_policy_is_named(case: Any, spread: Any, text: str) -> None:
    assert text in named(case, {"costs": {"spread": spread}})["Spread"]


def test_a_cash_account_prod_mode_and_closing_at_the_end_are_named(case: Any) -> None:
    found = named(case, {"account": {"type": "cash", "leverage": 1}, "execution": {"close_at_end": True}}, mode="prod")
    assert "no short" in found["Account"]
    assert found["Mode"].startswith("prod")
    assert found["At the end"].startswith("closed with costs")


def test_free_trading_is_called_an_upper_bound(case: Any) -> None:
    assert "upper bound" in named(case, {"costs": {"fees_bps": 0.0}})["Fees"]


def test_a_real_path_says_that_finer_events_fill_and_are_counted(case: Any) -> None:
    assert "Only this series fills" in named(case)["Who can fill"]
    found = named(case, {"execution": {"path": "real"}})["Who can fill"]
    assert found.startswith("EURUSD M1, by the ticks or finer bars inside")
    assert "Only this series" not in found
    assert "bars_held of a trade counts these finer events" in found


def test_whole_parameters_have_no_decimals(case: Any) -> None:
    values = {"a": 50000.0, "b": 2.5, "c": True, "d": "1.0", "e": 1e300, "f": -3.0}
    (case.folder / "params.json").write_text(json.dumps(values))
    assert named(case)["Parameters"] == "a = 50000, b = 2.5, c = true, d = 1.0, e = 1e+300, f = -3 | "


def test_the_dataset_is_named_like_the_other_hashes(case: Any) -> None:
    assert named(case)["Dataset"].startswith("sha256:" + "9f" * 32)


@pytest.mark.parametrize(
    ("asset_class", "funding", "quality", "told"),
    [
        ("crypto", "auto", {"EURUSD M1": {}}, True),
        ("crypto", "auto", {"EURUSD M1": {}, "EURUSD funding": {}}, False),
        ("crypto", "none", {"EURUSD M1": {}}, False),
        ("crypto", "auto", {}, False),
        ("forex", "auto", {"EURUSD M1": {}}, False),
    ],
)
def test_a_coin_without_funding_rates_is_said_to_be_taken_as_spot(
    case: Any, asset_class: Any, funding: str, quality: dict[str, Any], told: bool
) -> None:
    config = json.loads((case.folder / "config.json").read_text())
    config["resolved"]["costs"]["funding"] = funding
    (case.folder / "config.json").write_text(json.dumps(config))
    given = {name: case.arguments[name] for name in ("run_id", "result_digest", "prices")}
    instruments = [replace(one, asset_class=asset_class) for one in case.arguments["instruments"]]
    groups = name_assumptions(read_run_files(case.folder), instruments=instruments, quality=quality, **given)
    found = {line.name: line.value for _, lines in groups for line in lines}
    assert found.get("No funding series") == ("EURUSD: taken as spot" if told else None)
