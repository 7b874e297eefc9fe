"""What a run config may say, and what a person reads when it says something else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.config import (
    FundingMissing,
    RunConfig,
    SpreadTicks,
    load_config,
    parse_config,
    resolve_config,
    semantic_keys,
)
from boxgate_engine.errors import ConfigInvalid, Problem

_GOOD = """\
strategy: {command: [python, examples/envelope_trend/strategy.py], params: {env_len: 20, env_dev: 1.5}}
dataset: demo
instruments: [EURUSD]
frames: [M1]
window: {start: 2024-01-01, end: 2024-07-01}
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 1.5, slippage_bps: 2.0, spread: data}
execution: {path: pessimistic, delivery: window, window_events: 4096}
warmup: {policy: auto, min_bars: 2000, safety_margin: 0.10}
mode: debug
determinism: {master_seed: 1337}
data_provider: {root: datasets, memory_map: true, cache: {local_dir: .cache/datasets}}
artifacts: artifacts/runs
report: {html: true, assets: inline}
"""

_SHORT = """\
strategy: {command: [python, s.py]}
dataset: demo
instruments: [EURUSD]
frames: [M1]
window: {start: first, end: last}
account: {currency: USD, cash: 1000}
"""


def _problems(text: str, overrides: list[str] | None = None) -> dict[str, Problem]:
    with pytest.raises(ConfigInvalid) as refused:
        parse_config(text, overrides or [], name="run.yaml")
    assert refused.value.error_code == "CONFIG"
    assert refused.value.exit_code == 2
    for problem in refused.value.problems:
        assert problem.what
        assert problem.expected
        assert problem.remedy
    return {problem.path: problem for problem in refused.value.problems}


def _only(text: str, overrides: list[str] | None = None) -> Problem:
    (problem,) = _problems(text, overrides).values()
    return problem


def test_a_whole_config_is_read_as_it_is_written() -> None:
    config = parse_config(_GOOD)
    assert config.strategy.command == ("python", "examples/envelope_trend/strategy.py")
    assert config.strategy.params == {"env_len": 20, "env_dev": 1.5}
    assert config.instruments == ("EURUSD",)
    assert config.window.start_ns == 1704067200 * 10**9
    assert config.window.end_ns == 1719792000 * 10**9
    assert config.account.cash == 100000.0
    assert config.determinism.master_seed == 1337


def test_what_is_left_out_has_the_documented_default() -> None:
    config = parse_config(_SHORT)
    assert config.window.start_ns is None
    assert config.window.end_ns is None
    assert (config.account.leverage, config.account.type) == (1.0, "margin")
    assert (config.costs.fees_bps, config.costs.slippage_bps, config.costs.spread) == (0.0, 0.0, "data")
    assert config.execution.model_dump() == {
        "path": "pessimistic",
        "series": None,
        "close_at_end": False,
        "bands": False,
        "volume_limit": None,
        "latency": None,
        "hours": "data",
        "calendars": {},
        "delivery": "window",
        "window_events": 4096,
    }
    assert config.warmup.model_dump() == {"policy": "auto", "min_bars": 0, "safety_margin": 0.10}
    assert config.mode == "debug"
    assert config.data_provider.root == "datasets"
    assert config.data_provider.cache.local_dir == ".cache/datasets"
    assert config.artifacts == "artifacts/runs"
    assert config.report.model_dump() == {"html": True, "equity": "auto", "ledger": False, "assets": "inline"}


def test_a_config_is_frozen() -> None:
    config = parse_config(_SHORT)
    with pytest.raises(ValueError, match="frozen"):
        config.mode = "prod"


@pytest.mark.parametrize(
    ("override", "path", "remedy"),
    [
        ("costs.fee_bps=1", "costs.fee_bps", "did you mean costs.fees_bps?"),
        ("acount={}", "acount", "did you mean account?"),
        ("master_seed=1", "master_seed", "did you mean determinism.master_seed?"),
        (
            "data_provider.cache.localdir=x",
            "data_provider.cache.localdir",
            "did you mean data_provider.cache.local_dir?",
        ),
        ("costs.spread={tick: 3}", "costs.spread.tick", "did you mean costs.spread.ticks?"),
        ("execution.path=pesimistic", "execution.path", "did you mean pessimistic?"),
        ("nonsense=1", "nonsense", "remove it or correct its name"),
    ],
)
def test_c01_an_unknown_key_is_refused_with_its_path_and_a_suggestion(override: str, path: str, remedy: str) -> None:
    assert _problems(_GOOD, [override])[path].remedy == remedy


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("account.cash='16'", "account.cash"),
        ("account.cash=true", "account.cash"),
        ("account.cash=.nan", "account.cash"),
        ("account.cash=.inf", "account.cash"),
        ("account.cash=0", "account.cash"),
        ("account.cash=", "account.cash"),
        ("account.leverage=0.5", "account.leverage"),
        ("account.currency=usd", "account.currency"),
        ("account={currency: USD, cash: 1, leverage: 2, type: cash}", "account"),
        ("costs.fees_bps=-1", "costs.fees_bps"),
        ("costs.spread=wide", "costs.spread"),
        ("costs.spread={price: -1}", "costs.spread.price"),
        ("costs.spread={ticks: 1.5}", "costs.spread.ticks"),
        ("execution.window_events=0", "execution.window_events"),
        ("execution.window_events=16385", "execution.window_events"),
        ("execution.window_events=16.0", "execution.window_events"),
        ("execution.close_at_end=yes", "execution.close_at_end"),
        ("execution.series=M7", "execution.series"),
        ("execution.series={GBPUSD: M1}", "execution.series.GBPUSD"),
        ("data_provider.memory_map=on", "data_provider.memory_map"),
        ("report.html=1", "report.html"),
        ("determinism.master_seed=-1", "determinism.master_seed"),
        ("determinism.master_seed=18446744073709551616", "determinism.master_seed"),
        ("instruments=[]", "instruments"),
        ("instruments=EURUSD", "instruments"),
        ("instruments=[EURUSD, EURUSD]", "instruments"),
        ("instruments=[../x]", "instruments[0]"),
        ("frames=[M1, M2]", "frames[1]"),
        ("window.start=2024-13-01", "window.start"),
        ("window.start=last", "window.start"),
        ("window.start=2300-01-01", "window.start"),
        ("window.start=20240101", "window.start"),
        ("window={start: 2024-01-01, end: 2024-01-01}", "window"),
        ("window={start: 2024-01-01, end: 2023-12-31}", "window"),
        ("strategy.params.a={b: 1}", "strategy.params.a"),
        ("strategy.params.a=.nan", "strategy.params.a"),
        ("strategy.params.a=", "strategy.params.a"),
        ("strategy.command=[]", "strategy.command"),
        ("strategy.command=python", "strategy.command"),
        ("mode=live", "mode"),
        ("warmup.safety_margin=true", "warmup.safety_margin"),
    ],
)
def test_c02_c03_a_wrong_value_is_refused_with_its_path(override: str, path: str) -> None:
    problem = _problems(_GOOD, [override])[path]
    assert problem.where == f"{path}, --set {override}"


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "Yes", "'true'"])
def test_c03_words_that_other_yaml_readers_take_for_true_are_text(word: str) -> None:
    problem = _only(_GOOD.replace("memory_map: true", f"memory_map: {word}"))
    assert problem.where == "data_provider.memory_map, run.yaml:12"
    assert "true or false" in problem.remedy


def test_c03_a_number_in_quotes_says_so() -> None:
    assert _only(_GOOD, ["account.cash='16'"]).remedy == "write the number without quotes"


def test_c03_a_key_that_stands_twice_is_refused_with_both_lines() -> None:
    problem = _only(_GOOD + "mode: prod\n")
    assert problem.where == "mode, run.yaml:15"
    assert "first in line 10" in problem.what


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x [1]\nb: *x\n", "alias *x"),
        ("a: &a [*a]\n", "alias *a"),
        ("mode: !!python/object/apply:os.system [ls]\n", "tag !!python/object/apply:os.system"),
        ("mode: !!str debug\n", "tag !!str"),
        ("mode: !local x\n", "tag !local"),
        ("a: " + "[" * 2000, "nested deeper than 32"),
        ("a: [" + "1, " * 6000 + "]", "more than 5000 keys and values"),
        ("a: {b: 1\n", "not valid YAML"),
        ("a: 1\n---\nb: 2\n", "single document"),
        ("a: \x07\n", "not valid YAML"),
        ("<<: {mode: prod}\n", "a key that is not a plain word"),
        ("? [a, b]\n: 1\n", "a key that is not a plain word"),
        ("- a\n", "not a mapping"),
        ("", "empty"),
        ("just text", "not a mapping"),
    ],
)
def test_c04_yaml_that_could_grow_or_act_is_refused(text: str, says: str) -> None:
    assert any(says in problem.what for problem in _problems(text).values())


def test_c04_a_config_larger_than_a_mebibyte_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"# " + b"x" * (1 << 20) + b"\n" + _GOOD.encode())
    with pytest.raises(ConfigInvalid) as refused:
        load_config(path)
    assert "more than 1048576 bytes" in refused.value.what


def test_c06_all_problems_are_listed_at_once_each_with_its_line() -> None:
    text = _GOOD.replace("leverage: 30", "leverage: 0").replace("fees_bps: 1.5", "fees_bp: 1.5")
    text = text.replace("end: 2024-07-01", "end: 2023-07-01").replace("mode: debug", "mode: live\nmode: prod")
    found = _problems(text)
    assert {path: p.source for path, p in found.items()} == {
        "window": "run.yaml:5",
        "account.leverage": "run.yaml:6",
        "costs.fees_bp": "run.yaml:7",
        "mode": "run.yaml:11",
    }


def test_a_list_whose_one_entry_is_wrong_is_not_called_too_short() -> None:
    assert _only(_GOOD, ["frames=[M2]"]).path == "frames[0]"
    assert _only(_GOOD, ["frames=[]"]).expected == "at least 1 of them"


def test_a_bound_reads_as_a_person_writes_it() -> None:
    assert _only(_GOOD, ["account.cash=0"]).expected == "above 0"
    assert _only(_GOOD, ["costs.fees_bps=10000"]).expected == "below 10000"


def test_an_error_of_several_problems_names_each_place() -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse_config(_GOOD, ["mode=live", "dataset="])
    fields = refused.value.as_dict()
    assert fields["code"] == "CONFIG"
    assert str(fields["what"]).startswith("2 problems: ")
    assert "mode, --set mode=live" in str(fields["where"])
    assert "dataset, --set dataset=" in str(fields["where"])


def test_missing_keys_are_named() -> None:
    assert set(_problems("mode: debug\n")) == {"strategy", "dataset", "instruments", "frames", "window", "account"}
    assert _only(_SHORT.replace("cash: 1000", "")).path == "account.cash"


def test_overrides_apply_in_order_and_may_add_sections() -> None:
    config = parse_config(
        _SHORT,
        [
            "costs.spread={ticks: 3}",
            "strategy.params.length=5",
            "strategy.params.length=7",
            "determinism.master_seed=18446744073709551615",
            "data_provider.cache.local_dir=here",
            "instruments=[GBPUSD, EURUSD]",
            "window.start=2024-01-01T12:00:00.000000001+02:00",
        ],
    )
    assert config.costs.spread == SpreadTicks(ticks=3)
    assert config.strategy.params == {"length": 7}
    assert config.determinism.master_seed == 2**64 - 1
    assert config.data_provider.cache.local_dir == "here"
    assert config.instruments == ("GBPUSD", "EURUSD")
    assert config.window.start_ns == 1704103200 * 10**9 + 1


@pytest.mark.parametrize("override", ["mode", "=1", ".a=1", "a..b=1", ""])
def test_an_override_without_a_key_or_a_value_is_refused(override: str) -> None:
    assert _only(_GOOD, [override]).source == f"--set {override}"


def test_an_error_repeats_the_beginning_of_a_long_override() -> None:
    source = _only(_GOOD, [f"mode={'x' * 500}"]).source
    assert source == f"--set mode={'x' * 74}…"


def test_an_override_below_a_plain_value_says_how_to_set_the_whole() -> None:
    problem = _only(_GOOD, ["costs.spread.price=0.1"])
    assert problem.remedy == "set the whole value: --set 'costs.spread={price: …}'"


def test_an_override_mends_what_the_file_has_wrong() -> None:
    assert parse_config(_GOOD.replace("mode: debug", "mode: live"), ["mode=prod"]).mode == "prod"


def test_numbers_and_words_follow_yaml_1_2() -> None:
    params = parse_config(
        _SHORT, ["strategy.params={a: 1e3, b: 010, c: 0x10, d: NO, e: 12:30, f: 2024-01-01, g: '1', h: -.5, i: 1_000}"]
    ).strategy.params
    assert params == {
        "a": 1000.0,
        "b": 10,
        "c": 16,
        "d": "NO",
        "e": "12:30",
        "f": "2024-01-01",
        "g": "1",
        "h": -0.5,
        "i": "1_000",
    }


def test_the_command_may_be_missing_only_for_an_attached_strategy() -> None:
    text = _SHORT.replace("{command: [python, s.py]}", "{}")
    assert parse_config(text, attached=True).strategy.command == ()
    assert _only(text).path == "strategy.command"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no such config file"),
        (lambda path: path.mkdir(), "not a file"),
        (os.mkfifo, "not a file"),
        (lambda path: path.write_bytes(b"mode: \xff\n"), "not UTF-8: byte 6"),
        (lambda path: path.write_bytes(b""), "empty"),
    ],
)
def test_a_file_that_cannot_be_a_config_is_refused_by_name(tmp_path: Path, make: Any, says: str) -> None:
    path = tmp_path / "run.yaml"
    make(path)
    with pytest.raises(ConfigInvalid) as refused:
        load_config(path)
    assert says in refused.value.what
    assert str(path) in refused.value.where


def test_a_file_name_that_no_system_knows_is_refused() -> None:
    with pytest.raises(ConfigInvalid):
        load_config("a\0b")
    with pytest.raises(ConfigInvalid):
        load_config("x" * 5000)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_bytes(b"\xef\xbb\xbf" + _GOOD.encode())
    assert load_config(tmp_path / "run.yaml") == parse_config(_GOOD)


def test_execution_series_name_a_frame_for_all_or_for_some() -> None:
    assert parse_config(_SHORT).execution_frame("EURUSD") is None
    assert parse_config(_SHORT, ["execution.series=tick"]).execution_frame("EURUSD") == "tick"
    some = parse_config(_SHORT, ["instruments=[EURUSD, GBPUSD]", "execution.series={GBPUSD: M5}"])
    assert (some.execution_frame("EURUSD"), some.execution_frame("GBPUSD")) == (None, "M5")


def _resolved(config: RunConfig, folder: Path) -> RunConfig:
    return resolve_config(
        config, dataset="ab" * 32, params={"n": 2}, start_ns=0, end_ns=10**9 + 500_000_000, folder=folder
    )


def test_a_resolved_config_has_no_absolute_path_and_no_open_word(tmp_path: Path) -> None:
    config = parse_config(_SHORT, [f"strategy.command=[python, {tmp_path}/strategies/s.py]", "strategy.params={}"])
    resolved = _resolved(config, tmp_path)
    assert resolved.strategy.command == ("python", "strategies/s.py")
    assert resolved.strategy.params == {"n": 2}
    assert (resolved.window.start, resolved.window.end) == ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z")
    assert resolved.dataset == "ab" * 32


def test_semantic_keys_are_read_back_as_the_same_run(tmp_path: Path) -> None:
    keys = semantic_keys(_resolved(parse_config(_GOOD, ["costs.spread={price: 0.0001}"]), tmp_path))
    assert semantic_keys(RunConfig.model_validate(keys)) == keys


def test_operational_keys_are_not_semantic() -> None:
    changed = parse_config(
        _GOOD,
        [
            "execution.delivery=lockstep",
            "execution.window_events=7",
            "data_provider.root=elsewhere",
            "artifacts=other",
            "report.html=false",
            "limits.handshake_s=3",
        ],
    )
    assert semantic_keys(changed) == semantic_keys(parse_config(_GOOD))


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("costs.fees={maker_bps: -0.5, taker_bps: 5.0, minimum: 1.0}", "costs.fees"),
        ("costs.fees={taker: 5.0}", "costs.fees.taker"),
        ("costs.slippage={model: wild, value: 1.0}", "costs.slippage.model"),
        ("costs.slippage={model: ticks, value: 1.5}", "costs.slippage"),
        ("costs.spread={hours: [1.0, 2.0]}", "costs.spread.hours"),
        ("costs.instruments={EURUSD: {fees_bps: -1.0}}", "costs.instruments.EURUSD.fees_bps"),
    ],
)
def test_tariffs_and_models_that_cannot_be_are_named(override: str, path: str) -> None:
    assert path in _problems(_SHORT, [override])


def test_one_thing_is_said_in_one_form() -> None:
    assert "costs" in _problems(_GOOD, ["costs.fees={taker_bps: 2.0}"])
    assert "costs" in _problems(_GOOD, ["costs.slippage={model: ticks, value: 1.0}"])


def test_costs_of_an_instrument_stand_before_those_of_all() -> None:
    costs = parse_config(
        _GOOD,
        [
            "costs.fees_bps=0.0",
            "costs.fees={maker_bps: -0.2, taker_bps: 4.0, per_lot: 7.0}",
            "costs.instruments={GBPUSD: {fees_bps: 1.0, spread: {ticks: 2}}}",
        ],
    ).costs
    assert (costs.fees_of("EURUSD").maker_bps, costs.fees_of("EURUSD").per_lot) == (-0.2, 7.0)
    assert (costs.fees_of("GBPUSD").maker_bps, costs.fees_of("GBPUSD").per_lot) == (1.0, 0.0)
    assert costs.spread_of("GBPUSD") == SpreadTicks(ticks=2)
    assert costs.slippage_of("GBPUSD").value == costs.slippage_of("EURUSD").value == 2.0


def test_keys_of_accounts_enter_the_identity_only_where_they_say_something() -> None:
    plain = semantic_keys(parse_config(_GOOD))
    assert plain["account"] == {"currency": "USD", "cash": 100000.0, "leverage": 30.0, "type": "margin"}
    assert not {"funding", "swap"} & plain["costs"].keys()
    silent = [
        "account.margin={mode: cross, maintenance: 0.0, call: 0.0, fee_bps: 0.0}",
        "account.equivalents=[]",
        "costs.funding=auto",
        "costs.swap=none",
        "report.ledger=true",
    ]
    assert semantic_keys(parse_config(_GOOD, silent)) == plain
    for said in (
        "account.margin={maintenance: 0.5}",
        "account.equivalents=[[USD, USDT]]",
        "account.leverage={default: 30, EURUSD: 20}",
        "costs.funding=none",
        "costs.swap={model: points, long: -1.0, short: 0.5}",
        "costs.instruments={EURUSD: {swap: {model: points, long: -1.0, short: 0.5}}}",
        "costs.instruments={EURUSD: {funding: none}}",
    ):
        keys = semantic_keys(parse_config(_GOOD, [said]))
        assert keys != plain
        assert semantic_keys(RunConfig.model_validate(keys)) == keys
    own = semantic_keys(parse_config(_GOOD, ["costs.instruments={EURUSD: {fees_bps: 1.0}}"]))
    assert not {"funding", "swap"} & own["costs"]["instruments"]["EURUSD"].keys()


def test_leverage_funding_and_swap_of_an_instrument_stand_before_those_of_all() -> None:
    config = parse_config(
        _GOOD,
        [
            "account.leverage={default: 30, XAUUSD: 20}",
            "costs.funding=none",
            "costs.swap={model: annual_rate, long: -0.02, short: 0.01}",
            "costs.instruments={XAUUSD: {swap: none, funding: {missing: skip}}}",
        ],
    )
    assert [config.account.leverage_of(symbol) for symbol in ("EURUSD", "XAUUSD")] == [30.0, 20.0]
    assert config.costs.funding_of("EURUSD") == "none"
    assert config.costs.funding_of("XAUUSD") == FundingMissing(missing="skip")
    assert config.costs.swap_of("XAUUSD") is None
    swap = config.costs.swap_of("EURUSD")
    assert swap is not None
    assert (swap.triple, swap.triple_day, swap.lot_qty) == ("wednesday", 3, 100_000.0)
