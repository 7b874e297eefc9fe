"""`boxgate rerun`: compute a published run once more and say whether the result is the same."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from boxgate_engine.artefacts import StoredRun, read_run
from boxgate_engine.errors import RunFailed
from boxgate_server.cli.answer import JsonObject, answer, fail_with, line, people, visible
from boxgate_server.cli.comparison import differences
from boxgate_server.cli.numerals import duration
from boxgate_server.cli.progress import watching
from boxgate_server.cli.published import config_of, open_published
from boxgate_server.cli.run import attachment_of
from boxgate_server.cli.summary import show_rows
from boxgate_server.own_process import leave_pandas_out
from boxgate_server.run import run_config

SCHEMA: Final = "boxgate.rerun/1"


def rerun(
    run: str,
    *,
    store: Path,
    root: str,
    cache: Path,
    attach: str | None,
    cookie: str | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Compute and compare. run: as `open_published` takes it. Exit code 1 if the results differ."""
    known: JsonObject = {}

    def work() -> JsonObject:
        leave_pandas_out()
        stored = open_published(run, store)
        known["run_id"] = stored.run_id
        config = config_of(stored, root=root, cache=cache)
        attachment = attachment_of(attach, cookie)
        if attachment is None and not config.strategy.command:
            raise _needs_attachment(stored)
        with tempfile.TemporaryDirectory(prefix="boxgate-rerun-") as folder:
            with watching({}) as watcher:
                done = run_config(config, folder=Path.cwd(), attachment=attachment, watcher=watcher, store=Path(folder))
            again = read_run(done.folder)
            fields = {**_compared(stored, again), "timing_s": done.timing_s["total"]}
        if not fields["equal"]:
            _show(fields, people(as_json=True))
            fail_with(SCHEMA, _differs(stored, fields), fields, as_json=as_json, debug=debug)
        return fields

    answer(SCHEMA, work, _show, as_json=as_json, debug=debug, known=known)


def _compared(stored: StoredRun, again: StoredRun) -> JsonObject:
    """Return digests, the parts of the identity that changed, and the first difference of each table and file."""
    equal = stored.result_digest == again.result_digest
    found_tables = [] if equal else differences(stored.tables(), again.tables())
    listed = {**stored.files, **again.files}.keys() - {"config.json", "report.html"}
    files = [name for name in sorted(listed) if stored.files.get(name) != again.files.get(name)]
    return {
        "status": "complete",
        "run_id": stored.run_id,
        "equal": equal,
        "result_digest": stored.result_digest,
        "recomputed_digest": again.result_digest,
        "identity": _changed(stored.json("config.json")["identity"], again.json("config.json")["identity"]),
        "tables": [found.as_dict() for found in found_tables],
        "files": files,
    }


def _changed(before: Mapping[str, Any], now: Mapping[str, Any], at: str = "") -> list[JsonObject]:
    """Return the keys of two identities whose values differ."""
    changes = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            changes += _changed(old, new, f"{at}{key}.")
        elif old != new:
            changes.append({"key": f"{at}{key}", "before": old, "now": new})
    return changes


def _show(fields: JsonObject, console: Console) -> None:
    rows = [("run", fields["run_id"]), ("result", fields["result_digest"])]
    if fields["equal"]:
        rows.append(("computed again", "the same result"))
    else:
        rows.append(("computed again", f"{fields['recomputed_digest']}: ANOTHER RESULT"))
    rows.append(("time", duration(fields["timing_s"])))
    show_rows(console, rows)
    for change in fields["identity"]:
        line(console, visible(f"  changed since: {change['key']} was {change['before']} and is {change['now']}"))
    for table in fields["tables"]:
        line(console, visible(f"  {table['told']}"))
    if fields["files"]:
        line(console, visible(f"  files that differ: {', '.join(fields['files'])}"))


def _differs(stored: StoredRun, fields: JsonObject) -> RunFailed:
    changed = ", ".join(change["key"] for change in fields["identity"])
    return RunFailed(
        f"computed again, the run has another result: {fields['recomputed_digest']}",
        code="RESULT_DIFFERS",
        where="; ".join([str(stored.folder), *(table["told"] for table in fields["tables"][:1])]),
        expected=stored.result_digest,
        remedy=f"these have changed since: {changed}; restore them and repeat"
        if changed
        else "look for wall clock, unseeded randomness or state kept between runs in the strategy",
        seq=next((table["seq"] for table in fields["tables"] if table["seq"] is not None), None),
    )


def _needs_attachment(stored: StoredRun) -> RunFailed:
    return RunFailed(
        "the run was computed by a strategy that was attached, so that there is no command to start it",
        code="STRATEGY_ATTACHED",
        where=str(stored.folder / "config.json"),
        expected="the address of the running strategy",
        remedy="start the strategy, then add --attach and --cookie",
    )
