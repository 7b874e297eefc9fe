"""What every command shares: errors that nobody foresaw, tracebacks, control characters."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from boxgate_engine.errors import ConfigInvalid, Problem, RunFailed
from boxgate_server.cli import answer
from boxgate_server.cli import run as run_module

STRATEGY_ERROR = """the sidecar failed; its stderr ends:
started
Traceback (most recent call last):
  File "strategy.py", line 3, in on_init
    load()
  File "strategy.py", line 9, in load
    raise ValueError("no file")
ValueError: no file

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "strategy.py", line 12, in on_init
RuntimeError: cannot start
"""


@pytest.mark.parametrize("error", [RuntimeError("wires crossed"), AssertionError(), MemoryError()])
def test_an_unforeseen_error_is_one_line_and_its_traceback_only_in_debug(
    boxgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run_module, "run_config", broken)
    answered = boxgate("run", "run.yaml", "--json")
    assert answered.code == 1
    assert answered.error["code"] == "INTERNAL"
    assert type(error).__name__ in answered.error["what"]
    assert "run again with --debug" in answered.error["remedy"]
    answered = boxgate("run", "run.yaml", "--debug", "--json")
    assert answered.code == 1
    assert "Traceback (most recent call last)" in answered.err
    assert answered.json["error"]["code"] == "INTERNAL"


def test_the_frames_of_a_traceback_are_left_out_without_debug(capsys: pytest.CaptureFixture[str]) -> None:
    error = RunFailed(STRATEGY_ERROR, where="OnInit", expected="an answer", remedy="mend it", code="SIDECAR_FAILED")
    code = answer.report_failure("boxgate.run/1", error, {}, as_json=True, debug=False)
    out, err = capsys.readouterr()
    assert code == 1
    told = json.loads(out)["error"]["what"]
    assert told == (
        "the sidecar failed; its stderr ends:\nstarted\nValueError: no file\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "RuntimeError: cannot start (raised at strategy.py:12; --debug shows the traceback)"
    )
    assert told in err
    answer.report_failure("boxgate.run/1", error, {}, as_json=True, debug=True)
    assert json.loads(capsys.readouterr().out)["error"]["what"] == STRATEGY_ERROR


@pytest.mark.parametrize(("printed", "rest"), [("", ""), ("loaded\n", "; its stderr ends:\nloaded")])
@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("STRATEGY_RAISED: on_event seq=51: ValueError: boom", "ValueError: boom"),
        ("STRATEGY_RAISED: on_event seq=51: KeyboardInterrupt", "KeyboardInterrupt"),
        (
            "ORDER_INVALID: qty is -1; expected > 0",
            "boxgate_sdk.errors.OrderInvalid: qty is -1; expected > 0",
        ),
    ],
)
def test_what_was_raised_is_told_once(printed: str, rest: str, code: str, raised: str) -> None:
    said = f"the sidecar answered with status UNKNOWN; it said: {code}"
    traceback = (
        'Traceback (most recent call last):\n  File "own.py", line 6, in on_event\n    raise it\n' + raised + "\n"
    )
    told = answer.without_frames(f"{said}; its stderr ends:\n{printed}{traceback}", debug=False)
    assert told == f"{said}{rest} (raised at own.py:6; --debug shows the traceback)"


def test_each_problem_has_its_own_line(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [
        Problem(path=f"costs.{name}", source=f"run.yaml:{k}", what="got 'x'", expected="a number", remedy="mend it")
        for k, name in enumerate(("fees_bps", "slippage_bps"))
    ]
    code = answer.report_failure("boxgate.run/1", ConfigInvalid(problems), {}, as_json=False, debug=False)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.splitlines()[1:] == [
        "  costs.fees_bps, run.yaml:0: got 'x'; expected a number; mend it",
        "  costs.slippage_bps, run.yaml:1: got 'x'; expected a number; mend it",
    ]


def test_long_lines_are_not_broken_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    error = RunFailed("x" * 300, where="y" * 300, expected="z", remedy="w")
    answer.print_error(error)
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_an_interrupt_before_the_work_begins_has_its_exit_code(
    boxgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module, "run", interrupted)
    answered = boxgate("run", "run.yaml", "--json")
    assert answered.code == 130
    assert answered.error["code"] == "INTERRUPTED"
