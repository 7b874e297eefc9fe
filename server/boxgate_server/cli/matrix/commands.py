"""`boxgate matrix`: plan, run, resume, watch and cancel many runs, and take over the best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from boxgate_server.cli.answer import JsonObject, answer, line
from boxgate_server.cli.app import AsJson, Debug, PlainFlags
from boxgate_server.cli.matrix.choice import best_fields, show_best
from boxgate_server.cli.matrix.driving import drive_matrix, with_address
from boxgate_server.cli.matrix.planned import begun, planned
from boxgate_server.cli.matrix.planning import plan_fields, show_plan
from boxgate_server.cli.matrix.progress import watch_progress
from boxgate_server.cli.matrix.state import SCHEMA, show_status, status_fields
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.ledger import Ledger

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
        _, plan, _ = planned(config, overrides)
        return plan_fields(plan)

    answer(SCHEMA, work, show_plan, as_json=as_json, debug=debug)


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
    drive_matrix(config, with_address(overrides, ray_address), resume=False, as_json=as_json, debug=debug)


@matrix_app.command("resume")
def resume_command(
    config: Config,
    overrides: Overrides = None,
    ray_address: RayAddress = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Go on with a matrix that was begun; what failed and may be mended is tried again."""
    drive_matrix(config, with_address(overrides, ray_address), resume=True, as_json=as_json, debug=debug)


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
        _, plan, folder = planned(config, overrides)
        begun(folder)
        with Ledger(folder.ledger) as ledger:
            if watch:
                watch_progress(ledger, plan)
            return status_fields(folder, ledger, plan)

    answer(SCHEMA, work, show_status, as_json=as_json, debug=debug)


@matrix_app.command("cancel")
def cancel_command(config: Config, overrides: Overrides = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Let the driver of a matrix stop after what it is computing. Nothing is lost; resume goes on."""

    def work() -> JsonObject:
        _, plan, folder = planned(config, overrides)
        begun(folder)
        with Ledger(folder.ledger) as ledger:
            was_driven = ledger.driver() is not None
            if was_driven:
                ledger.request_cancel()
            return {**status_fields(folder, ledger, plan), "cancelled": was_driven}

    def show(fields: JsonObject, console: Console) -> None:
        told = "the driver was asked to stop" if fields["cancelled"] else "nobody computes this matrix"
        line(console, told)
        show_status(fields, console)

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
        file, plan, folder = planned(config, overrides)
        begun(folder)
        return best_fields(file, plan, folder, write)

    answer(SCHEMA, work, show_best, as_json=as_json, debug=debug)


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
    from boxgate_server.cli.matrix.report import Outputs, report_matrix

    def known() -> tuple[MatrixFile, MatrixFolder]:
        file, _, folder = planned(config, overrides)
        return file, folder

    outputs = Outputs(page=output, png=png, csv=csv, parquet=parquet)
    report_matrix(known, outputs, as_json=as_json, debug=debug)
