"""`boxgate matrix`: plan, run, resume, watch and cancel many runs, and take over the best."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from boxgate_engine.config import locate_problems
from boxgate_engine.errors import ConfigInvalid, UserMistake
from boxgate_server.cli.answer import INTERRUPTED, JsonObject, answer, line, visible, without_frames
from boxgate_server.cli.app import AsJson, Debug, PlainFlags
from boxgate_server.cli.matrix_outcome import deflation_words, outcome_fields, outcome_rows
from boxgate_server.cli.matrix_page import page_figures, page_path, write_page
from boxgate_server.cli.numerals import count, duration, rate
from boxgate_server.cli.progress import watching
from boxgate_server.cli.summary import show_rows
from boxgate_server.matrix.best import Chosen, best_config, best_runs, config_text
from boxgate_server.matrix.config.load import MatrixFile, load_matrix
from boxgate_server.matrix.driver import Driven, Progress, drive
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.index import matrix_digest
from boxgate_server.matrix.keeping.ledger import Entry, Ledger
from boxgate_server.matrix.planning.estimate import estimate
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.planner import make_plan
from boxgate_server.matrix.search.generations import sets_to_come
from boxgate_server.matrix.trials.deflation import deflation

SCHEMA: Final = "boxgate.matrix/1"
_WATCH_S: Final = 1.0
_LINE_S: Final = 5.0
_FAILURES_SHOWN: Final = 10

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The matrix config, a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Set one key of the config; may be repeated."),
]

RayAddress = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Head of a Ray cluster that computes; without it this host does."),
]

matrix_app = typer.Typer(name="matrix", cls=PlainFlags, no_args_is_help=True, help="Plan and compute many runs.")


@matrix_app.command("plan")
def plan_command(config: Config, overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Tell how many runs there are and what they will take, from three that are computed and thrown away."""

    def work() -> JsonObject:
        _, plan, _ = _planned(config, overrides)
        with watching({}) as watcher:
            expected = estimate(plan, folder=Path.cwd(), stage=watcher.stage)
        return {
            "matrix_id": plan.matrix_id,
            "runs": plan.count,
            "product": plan.product,
            "capped": plan.capped,
            "parameter_sets": plan.space.size,
            "settings": len(plan.settings),
            "folds": len(
                {(role.window, role.fold) for one in plan.settings for role in one.roles if role.fold is not None}
            ),
            "seconds_est": expected.seconds,
            "artifact_bytes_est": expected.artifact_bytes,
            "per_instrument": _per_instrument(plan),
        }

    answer(SCHEMA, work, _show_plan, as_json=as_json, debug=debug)


@matrix_app.command("run")
def run_command(
    config: Config,
    overrides: Overrides = None,
    ray_address: RayAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compute what the store does not have yet, and write the index.

    Runs that fail do not stop the others. Exit code 1 if one failed, 130 if it was cancelled; the command goes on.
    """
    _drive(config, _with_address(overrides, ray_address), resume=False, as_json=as_json, debug=debug)


@matrix_app.command("resume")
def resume_command(
    config: Config,
    overrides: Overrides = None,
    ray_address: RayAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Go on with a matrix that was begun; what failed and may be mended is tried again."""
    _drive(config, _with_address(overrides, ray_address), resume=True, as_json=as_json, debug=debug)


@matrix_app.command("status")
def status_command(
    config: Config,
    overrides: Overrides = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show a line each second until nobody computes.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Tell how far a matrix is: runs complete, failed and pending, and who computes."""

    def work() -> JsonObject:
        _, plan, folder = _planned(config, overrides)
        folder.must_exist()
        with Ledger(folder.ledger) as ledger:
            if watch:
                _watch(ledger, plan)
            return _status(folder, ledger, plan)

    answer(SCHEMA, work, _show_status, as_json=as_json, debug=debug)


@matrix_app.command("cancel")
def cancel_command(config: Config, overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Let the driver of a matrix stop after what it is computing. Nothing is lost; resume goes on."""

    def work() -> JsonObject:
        _, plan, folder = _planned(config, overrides)
        folder.must_exist()
        with Ledger(folder.ledger) as ledger:
            was_driven = ledger.driver() is not None
            if was_driven:
                ledger.request_cancel()
            return {**_status(folder, ledger, plan), "cancelled": was_driven}

    def show(fields: JsonObject, console: Console) -> None:
        told = "the driver was asked to stop" if fields["cancelled"] else "nobody computes this matrix"
        line(console, told)
        _show_status(fields, console)

    answer(SCHEMA, work, show, as_json=as_json, debug=debug)


@matrix_app.command("best")
def best_command(
    config: Config,
    overrides: Overrides = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write its run config to this file.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show the best run by the objective of the search, with walk-forward the best of each fold and its test.

    With walk-forward the configuration that is written is the choice of the last fold, on its train window.
    """

    def work() -> JsonObject:
        file, plan, folder = _planned(config, overrides)
        folder.must_exist()
        with Ledger(folder.ledger) as ledger:
            chosen = best_runs(plan, ledger, file.matrix.search)
            last = chosen[-1]
            luck = deflation(folder, ledger, plan, last.run_id)
        if write is not None:
            _write(write, config_text(best_config(plan, last), _remark(file, last)))
        return {
            "matrix_id": plan.matrix_id,
            "objective": str(file.matrix.search.objectives[0]),
            "best": {**asdict(last), "artifacts": str((folder.runs / last.run_id).resolve())},
            "folds": [asdict(one) for one in chosen] if last.fold is not None else [],
            "trials": asdict(luck),
            "written": None if write is None else str(write),
        }

    answer(SCHEMA, work, _show_best, as_json=as_json, debug=debug)


@matrix_app.command("report")
def report_command(
    config: Config,
    overrides: Overrides = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", dir_okay=False, help="Write the page to this file.")
    ] = None,
    png: Annotated[Path | None, typer.Option(help="Folder for a picture of every chart; needs the extra png.")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", dir_okay=False, help="The index as one CSV file.")] = None,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="The index as one Parquet file.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Build the page of a matrix from its index: all runs, maps, fronts, folds, costs, failures; and export them."""
    from boxgate_server.cli.matrix_report import Outputs, report_matrix

    def planned() -> tuple[MatrixFile, MatrixFolder]:
        file, _, folder = _planned(config, overrides)
        return file, folder

    outputs = Outputs(page=output, png=png, csv=csv, parquet=parquet)
    report_matrix(planned, outputs, as_json=as_json, debug=debug)


def _planned(config: Path, overrides: list[str] | None) -> tuple[MatrixFile, Plan, MatrixFolder]:
    """Return the file, its plan and its folder; problems name their line."""
    file = load_matrix(config, overrides or [])
    with watching({}) as watcher:
        try:
            plan = make_plan(file, folder=Path.cwd(), watcher=watcher)
        except ConfigInvalid as error:
            raise locate_problems(error, file.document) from None
    return file, plan, MatrixFolder(Path.cwd() / file.store, plan.matrix_id)


def _with_address(overrides: list[str] | None, address: str | None) -> list[str] | None:
    """Return the overrides with those that an address stands for."""
    if address is None:
        return overrides
    return [*(overrides or []), "runner.concurrency.strategy=distributed", f"runner.ray.address={address}"]


def _drive(config: Path, overrides: list[str] | None, *, resume: bool, as_json: bool, debug: bool) -> None:
    known: JsonObject = {}
    ended: list[Driven] = []

    def work() -> JsonObject:
        file, plan, folder = _planned(config, overrides)
        known["matrix_id"] = plan.matrix_id
        if resume:
            folder.must_exist()
        # Imported here: the other commands of the matrix compute nothing.
        from boxgate_server.cluster.choice import execution_of

        with execution_of(file, plan, folder=Path.cwd(), store=folder.runs) as execution:
            with _progress() as tell:
                driven = drive(plan, file, folder, execution, retry_failed=resume, tell=tell)
            startup_s = getattr(execution, "startup_s", 0.0)
        ended.append(driven)
        with Ledger(folder.ledger) as ledger:
            failures = _failures(ledger)
            to_come = sets_to_come(plan, ledger) * len(plan.settings)
        page = write_page(page_figures(file, folder, page_path(folder)), page_path(folder))
        fields = _driven_fields(plan, folder, driven, failures, startup_s, to_come)
        return {**fields, "report": str(page.resolve()), **outcome_fields(folder)}

    answer(SCHEMA, work, _show_driven, as_json=as_json, debug=debug, known=known)
    if ended[0].cancelled:
        raise typer.Exit(INTERRUPTED)
    if ended[0].counts.failed:
        raise typer.Exit(1)


def _driven_fields(
    plan: Plan, folder: MatrixFolder, driven: Driven, failures: list[JsonObject], startup_s: float, to_come: int
) -> JsonObject:
    counts = driven.counts
    status = "cancelled" if driven.cancelled else "failed" if counts.failed else "complete"
    return {
        "status": status,
        "matrix_id": plan.matrix_id,
        "planned": counts.planned + to_come,
        "complete": counts.complete,
        "failed": counts.failed,
        "pending": counts.pending + to_come,
        "reused": driven.reused,
        "computed": driven.computed,
        "store": str(folder.store.resolve()),
        "index": str(driven.index.absolute()),
        "wall_s": driven.seconds,
        "ray_startup_s": startup_s,
        "matrix_digest": driven.matrix_digest,
        "failures": failures,
    }


def _status(folder: MatrixFolder, ledger: Ledger, plan: Plan) -> JsonObject:
    counts, driver = ledger.counts(), ledger.driver()
    to_come = sets_to_come(plan, ledger) * len(plan.settings)
    pending = counts.pending + to_come
    state = "running" if driver else "failed" if counts.failed else "pending" if pending else "complete"
    return {
        "status": state,
        "matrix_id": folder.matrix_id,
        "planned": counts.planned + to_come,
        "complete": counts.complete,
        "failed": counts.failed,
        "pending": pending,
        "driver": None if driver is None else {"host": driver.host, "pid": driver.pid},
        "store": str(folder.store.resolve()),
        "index": str(folder.index.absolute()) if folder.index.exists() else None,
        "matrix_digest": matrix_digest(ledger),
        "failures": _failures(ledger),
    }


def _failures(ledger: Ledger) -> list[JsonObject]:
    """Return the first failed runs with their reasons."""
    failures = []
    for entry in ledger.entries("failed"):
        failures.append(_failure(entry))
        if len(failures) == _FAILURES_SHOWN:
            break
    return failures


def _failure(entry: Entry) -> JsonObject:
    assert entry.failure is not None
    told = {name: getattr(entry.failure, name) for name in ("code", "where", "expected", "remedy")}
    what = without_frames(entry.failure.what, debug=False)
    return {"run_id": entry.run_id, "attempts": entry.attempts, **told, "what": what}


def _per_instrument(plan: Plan) -> dict[str, int]:
    runs: dict[str, int] = {}
    for block, number in zip(plan.blocks, plan.runs_of_blocks, strict=True):
        name = "+".join(block[0].instruments)
        runs[name] = runs.get(name, 0) + number
    return runs


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserMistake(
            f"the config cannot be written: {error.strerror or error}",
            code="USAGE",
            where=str(path),
            expected="a file in a folder that exists",
            remedy="name another file with --write",
        ) from None


def _remark(file: MatrixFile, chosen: Chosen) -> str:
    fold = "" if chosen.fold is None else f" on the train window of fold {chosen.fold}"
    return f"The {file.matrix.search.objectives[0]}{fold}: {chosen.value!r}, run {chosen.run_id}."


@contextmanager
def _progress() -> Iterator[Callable[[Progress], None]]:
    """Show one line of progress on a terminal, a line now and then elsewhere."""
    console = _people()
    live = console.is_terminal and not console.is_dumb_terminal
    next_at = 0.0

    def tell(progress: Progress) -> None:
        nonlocal next_at
        now = time.monotonic()
        if now >= next_at or progress.done == progress.planned:
            next_at = now + (0.1 if live else _LINE_S)
            text = _progress_line(progress)
            if live:
                # Not by the console, which takes the return of the carriage out of a text.
                console.file.write(f"\r\x1b[K{text[: console.width - 1]}")
                console.file.flush()
            else:
                line(console, text)

    try:
        yield tell
    finally:
        if live:
            console.print()


def _progress_line(progress: Progress) -> str:
    text = f"{count(progress.done)} of {count(progress.planned)} runs"
    if progress.reused:
        text += f", {count(progress.reused)} were there"
    if progress.failed:
        text += f", {count(progress.failed)} failed"
    if progress.computed and progress.seconds > 0:
        speed = progress.computed / progress.seconds
        shown = f"{speed:.1f}/s" if speed < 100 else rate(speed)
        text += f", {shown}, {duration((progress.planned - progress.done) / speed)} left"
    return text


def _watch(ledger: Ledger, plan: Plan) -> None:
    """Show a line each second until nobody computes; the rate is that since the first of them."""
    began, first, console = time.monotonic(), ledger.counts(), _people()
    while ledger.driver() is not None:
        counts = ledger.counts()
        done = counts.complete + counts.failed
        progress = Progress(
            planned=counts.planned + sets_to_come(plan, ledger) * len(plan.settings),
            done=done,
            reused=0,
            computed=max(0, done - first.complete - first.failed),
            failed=counts.failed,
            seconds=time.monotonic() - began,
        )
        line(console, _progress_line(progress))
        time.sleep(_WATCH_S)


def _people() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def _show_plan(fields: JsonObject, console: Console) -> None:
    product = f" of {count(fields['product'])}" if fields["capped"] else ""
    rows = [
        ("matrix", fields["matrix_id"]),
        ("runs", f"{count(fields['runs'])}{product}"),
        ("parameter sets", count(fields["parameter_sets"])),
        *((name, f"{count(number)} runs") for name, number in fields["per_instrument"].items()),
        ("time", f"about {duration(fields['seconds_est'])} by one worker"),
        ("on disk", f"about {_size(fields['artifact_bytes_est'])}"),
    ]
    if fields["folds"]:
        rows.insert(3, ("folds", count(fields["folds"])))
    show_rows(console, rows)


def _show_driven(fields: JsonObject, console: Console) -> None:
    show_rows(
        console,
        [
            ("matrix", fields["matrix_id"]),
            ("runs", _run_counts(fields)),
            ("computed", f"{count(fields['computed'])} in {duration(fields['wall_s'])}"),
            ("were there", count(fields["reused"])),
            ("digest", fields["matrix_digest"]),
            ("index", fields["index"]),
            ("page", fields["report"]),
            *outcome_rows(fields),
        ],
    )
    _show_failures(fields, console)
    if fields["status"] == "cancelled":
        line(console, "cancelled; boxgate matrix resume goes on")


def _show_status(fields: JsonObject, console: Console) -> None:
    driver = fields["driver"]
    rows = [
        ("matrix", fields["matrix_id"]),
        ("runs", _run_counts(fields)),
        ("driver", "nobody computes" if driver is None else f"process {driver['pid']} of {driver['host']}"),
        ("digest", fields["matrix_digest"]),
        ("index", fields["index"] or "not written yet"),
    ]
    show_rows(console, rows)
    _show_failures(fields, console)


def _show_best(fields: JsonObject, console: Console) -> None:
    best: dict[str, Any] = fields["best"]
    rows = [
        ("run", best["run_id"]),
        (fields["objective"], f"{best['value']:.6g}"),
        *((name, visible(str(value))) for name, value in best["params"].items()),
        ("folder", best["artifacts"]),
        ("trials", deflation_words(fields["trials"]["trials"], fields["trials"])),
    ]
    if best["aggregate"] is not None:
        rows.insert(1, (f"trial {best['trial']}", f"{best['aggregate']:.6g} over all instruments, windows and costs"))
    if fields["written"]:
        rows.append(("config", visible(fields["written"])))
    show_rows(console, rows)
    for one in fields["folds"]:
        tested = "not computed" if one["test_value"] is None else f"{one['test_value']:.6g}"
        params = ", ".join(f"{name} {value}" for name, value in one["params"].items())
        line(console, visible(f"  fold {one['fold']}: train {one['value']:.6g}, test {tested} with {params}"))


def _run_counts(fields: JsonObject) -> str:
    parts = [f"{count(fields[name])} {name}" for name in ("complete", "failed", "pending") if fields[name]]
    return f"{count(fields['planned'])}: {', '.join(parts) or 'none'}"


def _show_failures(fields: JsonObject, console: Console) -> None:
    for one in fields["failures"]:
        line(console, visible(f"  {one['run_id']} {one['code']}: {one['what']}; {one['remedy']}"))
    if fields["failed"] > len(fields["failures"]):
        line(console, f"  and {count(fields['failed'] - len(fields['failures']))} more, told in the index")


def _size(size: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
