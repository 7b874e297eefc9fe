"""A run is the same whatever its runner did before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import BoxgateError
from boxgate_server.run import run_config
from boxgate_server.runner import Runner
from boxgate_server.sidecars import Fresh
from boxgate_server.starting import Starter

Configs = Callable[..., RunConfig]


def content(run: Path) -> dict[str, Any]:
    """What a run left, without what tells of the machine and the time."""
    files: dict[str, Any] = {
        path.name: path.read_bytes() for path in run.iterdir() if path.name not in ("environment.json", "manifest.json")
    }
    files["logs.ndjson"] = [
        {key: value for key, value in json.loads(line).items() if key != "ts"}
        for line in files["logs.ndjson"].splitlines()
    ]
    return files


@pytest.mark.parametrize("fresh", [None, "forked", "process"])
def test_runs_of_one_runner_equal_runs_alone(folder: Path, config_of: Configs, fresh: Fresh | None) -> None:
    variants = [
        config_of("strategy.params.every=7"),
        config_of("strategy.params.every=9", "mode=prod"),
        config_of("strategy.params.every=9", "window.end=2024-01-03T12:00:00"),
        config_of("strategy.params.every=7", "account.cash=50000"),
    ]
    with Runner(folder=folder) as runner:
        together = [runner.run(config, store=folder / "together", fresh=fresh) for config in [*variants, *variants]]
    for config, first, again in zip(variants, together[:4], together[4:], strict=True):
        alone = run_config(config, folder=folder, store=folder / "alone")
        assert alone.run_id == first.run_id == again.run_id
        assert alone.result_digest == first.result_digest == again.result_digest
        assert (first.published, again.published) == ("new", "kept")
        assert content(alone.folder) == content(first.folder)


def test_a_run_that_fails_leaves_the_runner_good(folder: Path, config_of: Configs) -> None:
    with Runner(folder=folder) as runner:
        before = runner.run(config_of("strategy.params.every=7"))
        for wrong in ("strategy.params.every=13", "strategy.params.every=0", "window.start=2030-01-01"):
            with pytest.raises(BoxgateError):
                runner.run(config_of(wrong))
        after = runner.run(config_of("strategy.params.every=7"), store=folder / "again")
    assert after.result_digest == before.result_digest
    assert content(after.folder) == content(before.folder)
    assert len(list((folder / "artifacts" / "runs").iterdir())) == 1


def test_a_finished_run_is_found_again(folder: Path, config_of: Configs) -> None:
    with Runner(folder=folder) as runner:
        first = runner.run(config_of())
        again = runner.run(config_of(), reuse=True)
    assert (again.published, again.result_digest) == ("reused", first.result_digest)


def test_what_was_changed_during_the_start_is_started_again(
    folder: Path, config_of: Configs, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = folder / "strategies" / "crossing.py"
    before = run_config(config_of(), folder=folder)
    begin = Starter.begin

    def begun_then_changed(self: Starter, digest: str) -> None:
        begin(self, digest)
        script.write_text(script.read_text().replace("IntParameter(20,", "IntParameter(25,"))

    monkeypatch.setattr(Starter, "begin", begun_then_changed)
    changed = run_config(config_of(), folder=folder)
    monkeypatch.undo()
    assert changed.run_id != before.run_id
    assert run_config(config_of(), folder=folder).result_digest == changed.result_digest
    assert changed.metrics["counts"] != before.metrics["counts"]
