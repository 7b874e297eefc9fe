"""The log of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

import pytest

from boxgate_engine.artefacts import RunLog


def _log(**changes: Any) -> RunLog:
    seconds = count()
    facts: dict[str, Any] = {"clock_ns": lambda: next(seconds) * 10**9, "mode": "debug", "run_id": "r_1"}
    return RunLog(**{**facts, **changes})


def test_a_line_has_the_pinned_keys() -> None:
    log = _log()
    log.write("rejected", "not enough margin", level="warning", source="engine", seq=7, fields={"instrument": "EURUSD"})
    assert [json.loads(line) for line in log.ndjson().splitlines()] == [
        {
            "ts": "1970-01-01T00:00:00Z",
            "level": "warning",
            "event": "rejected",
            "source": "engine",
            "run_id": "r_1",
            "seq": 7,
            "message": "not enough margin",
            "fields": {"instrument": "EURUSD"},
        }
    ]


def test_the_run_id_may_become_known_later() -> None:
    log = _log(run_id=None)
    log.write("run_started", "begins")
    log.run_id = "r_2"
    assert [line["run_id"] for line in log.lines()] == ["r_2"]


def test_prod_keeps_no_line_of_the_sidecar() -> None:
    seen: list[Mapping[str, Any]] = []
    log = _log(mode="prod", echo=seen.append)
    log.write("stdout", "canary", source="sidecar")
    log.write("run_completed", "done")
    assert [line["event"] for line in log.lines()] == ["run_completed"]
    assert len(seen) == 1
    assert b"canary" not in log.ndjson()


def test_whatever_a_message_holds_a_line_stays_one_line() -> None:
    log = _log()
    text = 'a\nb\r\u2028"\x00\ud800 é'
    log.write("stdout", text, source="sidecar")
    data = log.ndjson()
    assert data.count(b"\n") == 1
    assert data.isascii()
    assert json.loads(data)["message"] == text


def test_extended_history_says_which_and_how_far() -> None:
    log = _log()
    log.write("history_extended", "more", fields={"series": "EURUSD M1", "from": 10, "to": 20, "attempt": 1})
    with pytest.raises(AssertionError):
        log.write("history_extended", "more", fields={"series": "EURUSD M1"})


def test_an_event_is_a_snake_case_word() -> None:
    with pytest.raises(AssertionError):
        _log().write("Run Started", "x")


def test_a_flood_is_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boxgate_engine.artefacts.run_log.LINES_MAX", 3)
    log = _log()
    for _ in range(10):
        log.write("stdout", "x", source="sidecar")
    lines = list(log.lines())
    assert len(lines) == 4
    assert lines[-1]["fields"] == {"dropped": 7}
