"""`boxgate run`: one run, from a config file to published artefacts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from boxgate_engine.config import config_document, load_config, locate_problems
from boxgate_engine.errors import ConfigInvalid, DataRefused, Problem, UserMistake
from boxgate_server.cli.answer import JsonObject, answer, line
from boxgate_server.cli.progress import watching
from boxgate_server.cli.summary import nothing_traded, show_rows, summary_rows
from boxgate_server.errors import BundleExec
from boxgate_server.outcome import Attachment, Finished
from boxgate_server.own_process import leave_pandas_out
from boxgate_server.run import run_config

SCHEMA: Final = "boxgate.run/1"
_OF_DATASET: Final = frozenset({"DATASET_UNKNOWN", "DATASET_NOT_FROZEN", "NAME_INVALID"})
_TIMES: Final = ("total", "start", "engine", "sidecar_wait", "artefacts")


def run(
    config: Path,
    overrides: Sequence[str],
    *,
    attach: str | None,
    cookie: str | None,
    tags: Sequence[str],
    record: Path | None,
    reuse: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Run and answer. overrides: `key.path=value` each. attach: address of a running strategy, with its cookie.

    tags: besides those of the config. record: file for a recording of the session.
    """
    known: JsonObject = {}
    finished: list[Finished] = []

    def work() -> JsonObject:
        attachment = attachment_of(attach, cookie)
        if reuse and record is not None:
            raise UserMistake(
                "a run that is not computed cannot be recorded",
                code="USAGE",
                where="--record",
                expected="--record or --reuse",
                remedy="leave --reuse out",
            )
        try:
            loaded = load_config(config, overrides, attached=attachment is not None)
        except ConfigInvalid as error:
            from boxgate_server.cli.data_problems import with_data_problems

            raise with_data_problems(error, config, overrides) from None
        if tags:
            from boxgate_engine.artefacts.tags import check_tag

            loaded = loaded.model_copy(update={"tags": (*loaded.tags, *map(check_tag, tags))})
        leave_pandas_out()
        try:
            with watching(known) as watcher:
                done = run_config(
                    loaded,
                    folder=Path.cwd(),
                    attachment=attachment,
                    reuse=reuse,
                    watcher=watcher,
                    record=record,
                )
        except (BundleExec, ConfigInvalid, DataRefused) as error:
            raise locate_problems(_of_config(error), config_document(config, overrides)) from None
        finished.append(done)
        return json_fields(done)

    def show(_: JsonObject, console: Console) -> None:
        show_rows(console, summary_rows(finished[0]))
        if warning := nothing_traded(finished[0]):
            line(console, warning)

    answer(SCHEMA, work, show, as_json=as_json, debug=debug, known=known)


def _of_config(error: BundleExec | ConfigInvalid | DataRefused) -> ConfigInvalid:
    """Return the error as a problem of the config's key that it comes from. Raises one that comes from elsewhere."""
    if isinstance(error, ConfigInvalid):
        return error
    if isinstance(error, DataRefused) and error.error_code not in _OF_DATASET:
        raise error
    return ConfigInvalid(
        [
            Problem(
                path=error.where if isinstance(error, BundleExec) else "dataset",
                source="",
                what=error.what,
                expected=error.expected,
                remedy=error.remedy,
                code=error.error_code,
            )
        ]
    )


def json_fields(finished: Finished) -> dict[str, Any]:
    """Return what `run --json` says of a finished run."""
    return {
        "status": "complete",
        "run_id": finished.run_id,
        "result_digest": finished.result_digest,
        "seed": finished.seed,
        "mode": finished.mode,
        "artifacts": str(finished.folder),
        "published": "new" if finished.published == "new" else "kept",
        "reused": finished.published == "reused",
        "metrics": dict(finished.metrics),
        **({} if finished.bands is None else {"bands": finished.bands}),
        "delivery": dict(finished.delivery),
        "timing_s": {name: finished.timing_s[name] for name in _TIMES},
        "events_per_s": finished.events_per_s,
    }


def attachment_of(address: str | None, cookie: str | None) -> Attachment | None:
    """Return the attachment that the options name, None without an address. Raises UserMistake if one is missing."""
    if address is None:
        return None
    if not cookie:
        raise UserMistake(
            "no cookie is given for the strategy to attach to",
            code="USAGE",
            where="--cookie",
            expected="the BOXGATE_COOKIE that the strategy was started with",
            remedy="add --cookie, or set BOXGATE_COOKIE",
        )
    return Attachment(address=address, cookie=cookie)
