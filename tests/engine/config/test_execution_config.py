"""Volume limit, latency and market hours in a run config: what is refused, and what enters the identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.config import RunConfig, parse_config, resolve_config, semantic_keys
from boxgate_engine.config.execution import duration_ns
from boxgate_engine.errors import ConfigInvalid, Problem
from boxgate_engine.identity import build_identity, run_id

_CONFIG = """\
strategy: {command: [python, s.py]}
dataset: demo
instruments: [EURUSD, GBPUSD]
frames: [tick]
window: {start: 2024-01-01, end: 2024-02-01}
account: {currency: USD, cash: 1000}
"""


@pytest.mark.parametrize(
    ("text", "expected_ns", "written"),
    [
        ("30ms", 30_000_000, "30ms"),
        ("0.03s", 30_000_000, "30ms"),
        ("30000 us", 30_000_000, "30ms"),
        ("1500ms", 1_500_000_000, "1500ms"),
        ("60s", 60_000_000_000, "60s"),
        ("1.5us", 1_500, "1500ns"),
        ("7ns", 7, "7ns"),
        ("0s", 0, "0ns"),
    ],
)
def test_a_duration_has_one_text_whatever_its_unit(text: str, expected_ns: int, written: str) -> None:
    latency = parse_config(_CONFIG, [f"execution.latency={{fixed: 1ns, jitter: {text}}}"]).execution.latency
    assert latency is not None
    assert (latency.fixed_ns, latency.jitter_ns, latency.jitter) == (1, expected_ns, written)
    assert duration_ns(written) == expected_ns


@pytest.mark.parametrize(
    "value", ["30", "30 minutes", "-5ms", "1e3ns", ".5ms", "0.5ns", "3601s", "true", "[1ms]", "''"]
)
def test_what_is_no_duration_is_refused_with_path_and_remedy(value: str) -> None:
    problem = _only([f"execution.latency={{fixed: {value}}}"])
    assert problem.path == "execution.latency.fixed"
    assert problem.remedy == "write for example 30ms"


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("execution.volume_limit=0.0", "execution.volume_limit"),
        ("execution.volume_limit=1.5", "execution.volume_limit"),
        ("execution.volume_limit=ten", "execution.volume_limit"),
        ("execution.latency=30ms", "execution.latency"),
        ("execution.latency={fixed_ms: 30}", "execution.latency.fixed_ms"),
        ("execution.hours=always", "execution.hours"),
        ("execution.calendars={EURUSD: fx}", "execution.calendars"),
        ("execution={hours: calendar, calendars: fx}", "execution.calendars"),
        ("execution={hours: calendar, calendars: {USDJPY: fx}}", "execution.calendars.USDJPY"),
    ],
)
def test_what_cannot_be_is_refused_with_its_path(override: str, path: str) -> None:
    problem = _only([override])
    assert problem.path == path
    assert problem.remedy


def test_options_enter_the_identity_only_where_they_say_something() -> None:
    plain = semantic_keys(parse_config(_CONFIG))
    assert not {"volume_limit", "latency", "hours", "calendars"} & plain["execution"].keys()
    silent = ["execution.volume_limit=null", "execution.latency={fixed: 0ms}", "execution.hours=data"]
    assert semantic_keys(parse_config(_CONFIG, [*silent, "execution.calendars={}"])) == plain
    seen = {run_id(_identity(parse_config(_CONFIG)))}
    for said in (
        "execution.volume_limit=1.0",
        "execution.latency={fixed: 1ms}",
        "execution.latency={jitter: 1ms}",
        "execution.hours=calendar",
        "execution={hours: calendar, calendars: {EURUSD: fx}}",
    ):
        config = parse_config(_CONFIG, [said])
        keys = semantic_keys(config)
        assert semantic_keys(RunConfig.model_validate(keys)) == keys
        seen.add(run_id(_identity(config)))
    assert len(seen) == 6


def test_one_latency_in_two_units_is_one_run() -> None:
    ids = {
        run_id(_identity(parse_config(_CONFIG, [f"execution.latency={{fixed: {text}}}"])))
        for text in ("30ms", "0.030s", "30000us")
    }
    assert len(ids) == 1


def test_a_table_is_identified_by_its_content_and_found_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "tables" / "hours.json"
    config = parse_config(_CONFIG, [f"execution={{hours: calendar, calendars: {{EURUSD: 'lean:{file}#Forex-x-[*]'}}}}"])
    stands_for = {"EURUSD": "lean:hours.json#Forex-x-[*] sha256:ab"}
    assert _identity(config, stands_for)["execution"]["calendars"] == stands_for
    resolved = resolve_config(config, dataset="x", params={}, start_ns=0, end_ns=1, folder=tmp_path)
    assert resolved.execution.calendars == {"EURUSD": "lean:tables/hours.json#Forex-x-[*]"}


def _identity(config: RunConfig, calendars: dict[str, str] | None = None) -> dict[str, Any]:
    facts = {"contract": "1", "engine": "1", "strategy_digest": "1", "dataset": "1"}
    return build_identity(config, **facts, params={}, start_ns=0, end_ns=1, calendars=calendars)


def _only(overrides: list[str]) -> Problem:
    with pytest.raises(ConfigInvalid) as refused:
        parse_config(_CONFIG, overrides)
    (problem,) = refused.value.problems
    return problem
