"""What goes wrong in or with a strategy: each fault has its code, and nothing of the run is published."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("nothing_left")

MISBEHAVING = Path(__file__).parent.parent / "sidecars" / "misbehaving.py"


@pytest.fixture
def fails(boxgate: Call, runs: Call) -> Call:
    """Run with overrides, check code and exit code, and that nothing is published; return the error."""

    def check(code: str, exit_code: int, *overrides: str) -> dict[str, Any]:
        options = [word for override in overrides for word in ("--set", override)]
        answered = boxgate("run", "run.yaml", "--json", *options)
        error = answered.error
        assert (error["code"], answered.code) == (code, exit_code), answered.err
        assert answered.json["schema"] == "boxgate.run/1"
        assert runs() == []
        return {**error, "run_id": answered.json.get("run_id"), "err": answered.err}

    return check


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        ("qty_nan", "SIGNAL_NOT_FINITE", "qty"),  # S10
        ("qty_infinite", "SIGNAL_NOT_FINITE", "qty"),  # S10
        ("price_nan", "SIGNAL_NOT_FINITE", "price"),  # S10
        ("qty_negative", "SIGNAL_RANGE", "qty is negative"),  # S11
        ("qty_zero", "SIGNAL_RANGE", "qty is missing or 0"),  # S11
        ("qty_huge", "SIGNAL_RANGE", "beyond 2^53"),  # S11
        ("price_negative", "SIGNAL_RANGE", "price is not positive"),  # S12
        ("sl_zero", "SIGNAL_RANGE", "sl is not positive"),  # S12
        ("sl_above_tp", "SIGNAL_RISK_SIDE", "contradictory"),  # S12
        ("side_unknown", "SIGNAL_ENUM", "side"),  # S15
        ("side_missing", "SIGNAL_ENUM", "side"),  # S15
    ],
)
def test_a_signal_that_can_never_be_right_fails_the_run(fails: Call, fault: str, code: str, told: str) -> None:
    error = fails(code, 1, f"strategy.params.fault={fault}")
    assert error["seq"] == 100
    assert told in error["what"]
    assert "100" in error["where"]
    assert re.fullmatch(r"r_[0-9a-f]{32}", error["run_id"])


def test_a_missing_program_is_refused_by_name(fails: Call) -> None:
    """S01."""
    error = fails("BUNDLE_EXEC", 2, "strategy.command=[./no_such_program]", "strategy.sources=[strategies/trader.py]")
    assert "./no_such_program" in error["what"]


def test_a_missing_script_is_refused_by_name(fails: Call) -> None:
    """S01."""
    error = fails("CONFIG", 2, "strategy.command=[python, my/no_such.py]")
    assert error["what"] == "there is no file my/no_such.py"
    assert error["where"].startswith("strategy.command[1], --set strategy.command=")


def test_a_command_that_cannot_be_started_is_refused_by_its_line(fails: Call, workspace: Path) -> None:
    config = workspace / "run.yaml"
    config.write_text(config.read_text().replace("[python, strategies/trader.py]", "[no_such_interpreter, run.yaml]"))
    error = fails("BUNDLE_EXEC", 2)
    assert error["where"] == "strategy.command[0], run.yaml:2"
    assert "not on the PATH" in error["what"]


def test_a_program_that_is_not_executable_is_refused(fails: Call, workspace: Path) -> None:
    """S01."""
    (workspace / "plain.txt").write_text("no program")
    assert "not executable" in fails("BUNDLE_EXEC", 2, "strategy.command=[./plain.txt]")["what"]


def test_a_program_for_another_machine_is_refused(fails: Call, workspace: Path) -> None:
    """S01."""
    binary = workspace / "foreign"
    binary.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(200))
    binary.chmod(0o755)
    fails("BUNDLE_EXEC", 2, "strategy.command=[./foreign]")


def test_an_exit_in_on_init_tells_phase_and_code(fails: Call) -> None:
    """S02: what was raised is shown, the frames of the traceback with --debug alone."""
    error = fails("SIDECAR_EXIT", 1, "strategy.params.fault=exit_in_init")
    assert "phase=init" in error["where"]
    assert "code 3" in error["what"] or "code=3" in error["what"]
    assert "RuntimeError: gave up" in error["what"]
    assert "--debug" in error["what"]


def test_an_end_by_a_signal_tells_the_signal(fails: Call) -> None:
    """S02."""
    error = fails("SIDECAR_EXIT", 1, f"strategy.command=[python, {MISBEHAVING}, InInit, '11']")
    assert "SIGSEGV" in error["what"]


def test_an_exception_in_on_init_is_shown_and_its_traceback_in_debug(boxgate: Call, fails: Call, runs: Call) -> None:
    error = fails("SIDECAR_FAILED", 1, "strategy.params.fault=raise_in_init")
    assert "no such model file" in error["what"]
    answered = boxgate("run", "run.yaml", "--debug", "--set", "strategy.params.fault=raise_in_init")
    assert answered.code == 1
    assert 'raise ValueError("no such model file")' in answered.err
    assert runs() == []


def test_a_script_that_never_serves_is_told_so(fails: Call, workspace: Path) -> None:
    (workspace / "own").mkdir()
    (workspace / "own" / "idle.py").write_text("class Idle: ...\n")
    error = fails("SIDECAR_EXIT", 1, "strategy.command=[python, own/idle.py]")
    assert error["what"] == "the sidecar's process ended before serving"
    assert "does the script call serve()?" in error["remedy"]


def test_no_handshake_in_time(fails: Call) -> None:
    """S03."""
    command = f"strategy.command=[python, {MISBEHAVING}, never_bind]"
    fails("HANDSHAKE_TIMEOUT", 1, command, "limits.handshake_s=0.5")


def test_a_crash_in_the_middle_tells_the_last_answered_window(fails: Call) -> None:
    """S04."""
    error = fails("SIDECAR_EXIT", 1, "strategy.params.fault=crash", "execution.delivery=lockstep")
    assert "phase=event" in error["where"]
    assert error["seq"] == 100
    assert "last answered window=99" in error["where"]


def test_an_exception_in_on_event_is_shown(fails: Call) -> None:
    """S04."""
    error = fails("SIDECAR_FAILED", 1, "strategy.params.fault=raise", "execution.window_events=10")
    assert "lost the plot" in error["what"]
    assert re.search(r"raised at strategies/trader\.py:\d+; --debug", error["what"]), error["what"]
    assert error["seq"] == 100


def test_a_hang_meets_the_deadline(fails: Call) -> None:
    """S06."""
    limits = ("limits.reply_base_s=0.4", "limits.reply_per_event_s=0.001")
    error = fails("REPLY_TIMEOUT", 1, "strategy.params.fault=hang", "execution.window_events=10", *limits)
    assert "limits.reply_base_s" in error["remedy"]
    assert error["seq"] == 100


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Flood", "PROTO_UNSOLICITED"),  # S08
        ("FiveMebibytes", "MSG_TOO_LARGE"),  # S09
        ("AnswerTheOpening", "PROTO_UNSOLICITED"),  # S13
        ("EndStream", "STREAM_BROKEN"),
    ],
)
def test_a_stream_that_breaks_the_contract(fails: Call, name: str, code: str) -> None:
    command = f"strategy.command=[python, {MISBEHAVING}, {name}]"
    fails(code, 1, command, "execution.window_events=1")


@pytest.mark.parametrize(
    ("name", "code"), [("wrong_seq", "PROTO_SEQ"), ("foreign_instrument", "PROTO_SCOPE"), ("garbage", "PROTO_DECODE")]
)
def test_an_answer_that_breaks_the_contract(fails: Call, name: str, code: str) -> None:
    """S13, S14, S16."""
    error = fails(code, 1, f"strategy.command=[python, strategies/bad_answers.py, {name}]", "execution.window_events=5")
    assert error["seq"] == 10


@pytest.mark.parametrize(("versions", "theirs"), [("7", "7"), ("0", "none"), ("2,3", "2, 3")])
def test_no_contract_version_in_common(fails: Call, versions: str, theirs: str) -> None:
    """S18."""
    error = fails("PROTO_VERSION", 2, f"strategy.command=[python, strategies/bad_answers.py, versions, '{versions}']")
    assert "ours=1" in error["what"]
    assert f"theirs={theirs}" in error["what"]


def test_a_capability_that_is_not_offered(fails: Call) -> None:
    """S18."""
    error = fails(
        "CAPABILITY_NOT_OFFERED", 2, "strategy.command=[python, strategies/bad_answers.py, requires, HEDGING]"
    )
    assert "HEDGING" in error["what"]


def test_an_unknown_parameter_is_refused_with_a_suggestion_and_its_line(fails: Call, workspace: Path) -> None:
    config = workspace / "run.yaml"
    config.write_text(config.read_text().replace("params: {}", "params: {evry: 10}"))
    error = fails("CONFIG", 2)
    assert "evry" in error["what"]
    assert "'every'" in error["remedy"]
    assert error["where"] == "strategy.params.evry, run.yaml:3"


def test_all_wrong_parameters_are_told_at_once(fails: Call) -> None:
    error = fails("CONFIG", 2, "strategy.params.every=0", "strategy.params.qty=much", "strategy.params.at=1.5")
    assert {problem["path"] for problem in error["problems"]} == {
        "strategy.params.every",
        "strategy.params.qty",
        "strategy.params.at",
    }
    assert "at least 1" in error["expected"]


def test_parameters_that_do_not_fit_together_are_the_users_mistake(fails: Call) -> None:
    assert "do not fit" in fails("STRATEGY_REFUSED", 2, "strategy.params.fault=conflict")["what"]


def test_a_refusal_in_on_init_is_the_users_mistake(fails: Call) -> None:
    assert "gold only" in fails("STRATEGY_REFUSED", 2, "strategy.params.fault=refuse")["what"]


def test_prod_shows_no_text_of_the_strategy(boxgate: Call) -> None:
    for fault in ("raise_in_init", "exit_in_init", "raise", "refuse", "conflict"):
        answered = boxgate("run", "run.yaml", "--json", "--set", "mode=prod", "--set", f"strategy.params.fault={fault}")
        assert answered.code in (1, 2)
        for text in ("no such model file", "gave up", "lost the plot", "gold only", "do not fit"):
            assert text not in answered.out + answered.err


def test_an_unequal_second_result_is_an_error_and_both_are_kept(boxgate: Call, runs: Call) -> None:
    first = boxgate("run", "run.yaml", "--json", "--set", "strategy.params.fault=clock")
    assert first.code == 0
    second = boxgate("run", "run.yaml", "--json", "--set", "strategy.params.fault=clock")
    assert second.code == 1
    assert second.error["code"] == "NONDETERMINISM"
    run_id = first.json["run_id"]
    assert second.json["run_id"] == run_id
    kept = runs()
    assert len(kept) == 2
    assert kept[0] == run_id
    assert kept[1].startswith(f"{run_id}.conflict-")


def test_nothing_is_left_in_the_folder_of_temporary_files(fails: Call) -> None:
    # Its own folder, for others use /tmp too; a short one, for the path of a socket has 107 bytes.
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        fails("SIDECAR_EXIT", 1, "strategy.params.fault=crash")
        assert os.listdir(folder) == []
