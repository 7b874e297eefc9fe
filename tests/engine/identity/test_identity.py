"""Run id, scenario, seed and strategy digest, against a few lines of hashlib and json each."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.config import RunConfig, parse_config
from boxgate_engine.errors import ConfigInvalid
from boxgate_engine.identity import build_identity, canonical_json, run_id, scenario_id, seed, strategy_digest

_CONFIG = """\
strategy: {command: [python, s.py], params: {n: 1}}
dataset: demo
instruments: [EURUSD, XAUUSD]
frames: [M1, H1]
window: {start: 2024-01-01, end: 2024-07-01}
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 1.5, slippage_bps: 2, spread: {ticks: 3}}
determinism: {master_seed: 1337}
"""
_START_NS, _END_NS = 1704067200 * 10**9, 1719792000 * 10**9


def _identity(config: RunConfig, **changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "contract": "boxgate.strategy.v1",
        "engine": "0.1.0",
        "strategy_digest": "sha256:" + "ab" * 32,
        "dataset": "cd" * 32,
        "params": {"n": 1, "x": 2.0, "name": "é"},
        "start_ns": _START_NS,
        "end_ns": _END_NS,
    }
    return build_identity(config, **{**facts, **changes})


def _plain_json(value: Any) -> bytes:
    """Canonical JSON for values without exponents: whole floats lose their point, keys are ASCII and sorted."""

    def whole(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: whole(entry) for key, entry in item.items()}
        if isinstance(item, list):
            return [whole(entry) for entry in item]
        return int(item) if isinstance(item, float) and item.is_integer() else item

    return json.dumps(whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_the_identity_has_the_semantic_keys_and_no_other() -> None:
    assert _identity(parse_config(_CONFIG)) == {
        "contract": "boxgate.strategy.v1",
        "engine": "0.1.0",
        "strategy": {"digest": "sha256:" + "ab" * 32, "params": {"n": 1, "x": 2.0, "name": "é"}},
        "dataset": "cd" * 32,
        "instruments": ["EURUSD", "XAUUSD"],
        "frames": ["M1", "H1"],
        "window": {"start_ns": "1704067200000000000", "end_ns": "1719792000000000000"},
        "account": {"currency": "USD", "cash": 100000.0, "leverage": 30.0, "type": "margin"},
        "costs": {"fees_bps": 1.5, "slippage_bps": 2.0, "spread": {"ticks": 3}},
        "execution": {"path": "pessimistic", "series": None, "close_at_end": False},
        "warmup": {"policy": "auto", "min_bars": 0, "safety_margin": 0.1},
        "master_seed": 1337,
        "mode": "debug",
    }


def test_the_run_id_is_the_hash_of_the_canonical_identity() -> None:
    identity = _identity(parse_config(_CONFIG))
    assert run_id(identity) == "r_" + hashlib.sha256(_plain_json(identity)).hexdigest()[:32]
    assert run_id(identity) == "r_84a4162e26ad74738e78ab470482486b"


def test_the_run_id_is_equal_after_the_identity_went_through_json() -> None:
    identity = _identity(parse_config(_CONFIG))
    assert run_id(json.loads(json.dumps(identity))) == run_id(identity)


def test_two_and_two_point_zero_are_one_value() -> None:
    config = parse_config(_CONFIG)
    assert run_id(_identity(config, params={"x": 2})) == run_id(_identity(config, params={"x": 2.0}))
    assert run_id(_identity(config)) == run_id(_identity(parse_config(_CONFIG, ["account.cash=1.0e5"])))


@pytest.mark.parametrize(
    "override",
    ["execution.delivery=lockstep", "execution.window_events=1", "report.html=false", "artifacts=x",
     "limits.stop_grace_s=9", "data_provider.root=x", "strategy.command=[python, moved/s.py]"],
)  # fmt: skip
def test_operational_keys_do_not_change_the_run_id(override: str) -> None:
    assert run_id(_identity(parse_config(_CONFIG, [override]))) == run_id(_identity(parse_config(_CONFIG)))


@pytest.mark.parametrize(
    "override",
    ["instruments=[XAUUSD, EURUSD]", "frames=[M1]", "account.cash=1", "account.currency=EUR", "account.leverage=1",
     "costs.fees_bps=0", "costs.spread=none", "execution.path=ohlc", "execution.close_at_end=true",
     "execution.series=M1", "warmup.min_bars=1", "determinism.master_seed=1", "mode=prod"],
)  # fmt: skip
def test_semantic_keys_change_the_run_id(override: str) -> None:
    assert run_id(_identity(parse_config(_CONFIG, [override]))) != run_id(_identity(parse_config(_CONFIG)))


@pytest.mark.parametrize(
    "change",
    [{"contract": "2"}, {"engine": "2"}, {"strategy_digest": "2"}, {"dataset": "2"}, {"params": {}}, {"start_ns": 1},
     {"end_ns": _END_NS + 1}],
)  # fmt: skip
def test_facts_beside_the_config_change_the_run_id(change: dict[str, Any]) -> None:
    config = parse_config(_CONFIG)
    assert run_id(_identity(config, **change)) != run_id(_identity(config))


def test_a_whole_number_beyond_the_exact_range_is_decimal_text() -> None:
    config = parse_config(_CONFIG, ["determinism.master_seed=18446744073709551615"])
    identity = _identity(config, params={"a": 2**53, "b": 2**53 - 1, "c": [-(2**60)]})
    assert identity["master_seed"] == "18446744073709551615"
    assert identity["strategy"]["params"] == {"a": "9007199254740992", "b": 9007199254740991, "c": [str(-(2**60))]}
    assert run_id(identity).startswith("r_")


def test_the_scenario_is_params_instruments_frames_and_window_alone() -> None:
    expected = hashlib.sha256(
        b'{"frames":["M1"],"instruments":["EURUSD"],"params":{"n":1,"x":2.5},'
        b'"window":{"end_ns":"1719792000000000000","start_ns":"1704067200000000000"}}'
    ).hexdigest()
    assert (
        scenario_id(
            params={"x": 2.5, "n": 1}, instruments=("EURUSD",), frames=("M1",), start_ns=_START_NS, end_ns=_END_NS
        )
        == expected
    )


@pytest.mark.parametrize("master", [0, 1, 1337, 2**53, 2**64 - 1])
def test_the_seed_is_the_pinned_hash_of_master_seed_and_scenario(master: int) -> None:
    scenario = hashlib.sha256(b"x").digest()
    message = b"\x00\x00\x00\x08" + master.to_bytes(8, "big") + b"\x00\x00\x00\x20" + scenario
    expected = int.from_bytes(hashlib.blake2b(message, digest_size=64).digest()[:8], "big") >> 11
    assert seed(master, scenario.hex()) == expected
    assert 0 <= expected < 2**53


def test_the_seed_of_a_known_run_is_known() -> None:
    assert seed(1337, "00" * 32) == 8461981518299041


def test_canonical_json_is_rfc_8785() -> None:
    value = {"b": [1.0, 1e21, 1e-7, -0.0, True, None], "a": "é\n\u2028", "\u20ac": 1, "\U0001f600": 2, "\ufb33": 3}
    assert canonical_json(value).decode() == (
        '{"a":"é\\n\u2028","b":[1,1e+21,1e-7,0,true,null],"\u20ac":1,"\U0001f600":2,"\ufb33":3}'
    )


def _write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def _expected(files: dict[str, str]) -> str:
    stream = b""
    for name in sorted(files, key=str.encode):
        content = files[name].encode()
        stream += len(name.encode()).to_bytes(4, "little") + name.encode()
        stream += len(content).to_bytes(8, "little") + content
    return "sha256:" + hashlib.sha256(stream).hexdigest()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | st.just(-0.0)
    | st.floats(allow_nan=False, allow_infinity=False) | st.decimals(-1000, 1000, places=5).map(float),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.text("abcXYZ_ \u00e9\ue000\U0001f600"), inner),
)  # fmt: skip


@given(JSON)
def test_canonical_json_is_that_of_an_independent_writer(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {1: 2}, {"a": object()}])
def test_canonical_json_refuses_what_has_none(value: Any) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical_json(value)


def test_the_strategy_digest_covers_every_file_of_the_script_s_folder_but_caches(tmp_path: Path) -> None:
    own = {"s.py": "1", "lib/b.py": "2", "lib/a-b.py": "3", "lib.txt": "4", "z/é.csv": "5", "empty": ""}
    caches = {
        "__pycache__/s.pyc": "x",
        "lib/__pycache__/b.txt": "x",
        ".git/HEAD": "x",
        "lib/.cache/a": "x",
        "s.pyc": "x",
    }
    _write(tmp_path / "strategies", {**own, **caches})
    _write(tmp_path, {"other.py": "x"})
    digest = strategy_digest(["python", "-u", "strategies/s.py", "--fast"], folder=tmp_path)
    assert digest == _expected(own)


def test_the_strategy_digest_does_not_depend_on_where_the_folder_lies(tmp_path: Path) -> None:
    _write(tmp_path / "a", {"s.py": "1"})
    _write(tmp_path / "b/c", {"s.py": "1"})
    there = strategy_digest(["python", str(tmp_path / "b/c/s.py")], folder=tmp_path)
    assert strategy_digest(["python", "a/s.py"], folder=tmp_path) == there


def test_sources_replace_the_folder(tmp_path: Path) -> None:
    _write(tmp_path, {"s/s.py": "1", "s/notes.txt": "x", "shared/a.py": "2", "shared/deep/b.py": "3"})
    _write(tmp_path, {"shared/__pycache__/a.py": "x"})
    digest = strategy_digest(["python", "s/s.py"], ["s/*.py", "shared/**/*.py"], folder=tmp_path)
    assert digest == _expected({"s/s.py": "1", "shared/a.py": "2", "shared/deep/b.py": "3"})


def test_a_program_of_its_own_is_the_strategy(tmp_path: Path) -> None:
    _write(tmp_path, {"bin/strategy": "elf", "conf/settings.ini": "x"})
    assert strategy_digest(["bin/strategy", "conf/settings.ini"], folder=tmp_path) == _expected({"strategy": "elf"})


def test_artefacts_beside_the_script_are_not_the_strategy(tmp_path: Path) -> None:
    _write(tmp_path, {"s.py": "1", "artifacts/runs/r_1/metrics.json": "x", "datasets/a/b": "x"})
    exclude = [tmp_path / "artifacts/runs", tmp_path / "datasets"]
    assert strategy_digest(["python", "s.py"], folder=tmp_path, exclude=exclude) == _expected({"s.py": "1"})


@pytest.mark.parametrize(
    ("command", "sources"),
    [
        (["python", "-m", "package"], []),
        ([], []),
        (["python", "s.py"], ["nothing/*.py"]),
    ],
)
def test_a_strategy_without_a_file_is_refused(tmp_path: Path, command: list[str], sources: list[str]) -> None:
    _write(tmp_path, {"s.py": "1"})
    with pytest.raises(ConfigInvalid) as refused:
        strategy_digest(command, sources, folder=tmp_path)
    assert refused.value.where == "strategy.sources"


@pytest.mark.parametrize("sources", [[], ["s.py"]])
@pytest.mark.parametrize("program", ["python", "/usr/bin/python3"])
def test_a_missing_script_is_refused_by_its_place(tmp_path: Path, program: str, sources: list[str]) -> None:
    _write(tmp_path, {"s.py": "1"})
    with pytest.raises(ConfigInvalid) as refused:
        strategy_digest([program, "my/nothere.py"], sources, folder=tmp_path)
    assert refused.value.what == "there is no file my/nothere.py"
    assert refused.value.where == "strategy.command[1]"


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxgate_engine.identity.SOURCE_FILES_MAX", 3)
    _write(tmp_path, {f"{n}.py": "" for n in range(4)})
    with pytest.raises(ConfigInvalid, match="more than 3 files"):
        strategy_digest(["python", "0.py"], folder=tmp_path)


def test_files_that_together_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxgate_engine.identity.SOURCE_BYTES_MAX", 3)
    _write(tmp_path, {"a.py": "12", "b.py": "34"})
    with pytest.raises(ConfigInvalid, match="exceed 3 bytes"):
        strategy_digest(["python", "a.py"], folder=tmp_path)


def test_a_link_that_leads_nowhere_is_refused_by_name(tmp_path: Path) -> None:
    _write(tmp_path, {"s.py": "1"})
    (tmp_path / "lost.py").symlink_to("gone")
    with pytest.raises(ConfigInvalid, match=r"lost\.py cannot be read"):
        strategy_digest(["python", "s.py"], folder=tmp_path)


def test_a_file_behind_the_sdks_runner_is_the_script_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    script = tmp_path / "mine" / "my.py"
    script.write_text("one")
    by_runner = strategy_digest(["python", "-m", "boxgate_sdk", "mine/my.py"], folder=tmp_path)
    assert by_runner == strategy_digest(["python", "mine/my.py"], folder=tmp_path)
    (tmp_path / "mine" / "helper.py").write_text("two")
    assert strategy_digest(["python", "-m", "boxgate_sdk", "mine/my.py"], folder=tmp_path) != by_runner
    # An absolute interpreter is a file too, and must not be taken for the strategy.
    with pytest.raises(ConfigInvalid, match=r"there is no file gone\.py"):
        strategy_digest([sys.executable, "-m", "boxgate_sdk", "gone.py"], folder=tmp_path)
