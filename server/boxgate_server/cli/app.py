"""The command line as a whole: which commands there are and what each takes.

This module imports no engine: `boxgate --help` and every mistake in the options are answered at once.
"""

from __future__ import annotations

import importlib.metadata
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

DEFAULT_STORE: Final = Path("artifacts/runs")
DEFAULT_ROOT: Final = "datasets"
DEFAULT_CACHE: Final = Path(".cache/datasets")


class PlainFlags(TyperGroup):
    """Commands whose help shows no type beside a flag, which takes no value."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options of the group itself."""
        return _without_type(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command of the group, None for an unknown one."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _without_type(command.get_params(ctx))
        return command


def _without_type(parameters: Any) -> Any:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


app = typer.Typer(
    name="boxgate",
    cls=PlainFlags,
    help="Run any trading strategy as a sealed black box and test it honestly.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 done · 1 failed, or a difference was found · 2 a mistake in the input · 130 interrupted.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def no_file(root: str) -> str:
    """Return the value of an option that names a folder or an address; refuse a file."""
    if Path(root).is_file():
        raise typer.BadParameter(f"{root!r} is a file.")
    return root


AsJson = Annotated[
    bool,
    typer.Option("--json", help="Answer with one JSON object, the last line of stdout; the rest goes to stderr."),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks, the strategy's and our own.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, its id, or the beginning of its id.")]
Store = Annotated[
    Path,
    typer.Option("--artifacts", metavar="DIR", file_okay=False, help="Folder of the runs, to find a run by its id."),
]
Root = Annotated[
    str,
    typer.Option(
        "--data-root",
        metavar="DIR",
        callback=no_file,
        help="Folder of the datasets, or an address such as s3://bucket/datasets.",
    ),
]
Cache = Annotated[Path, typer.Option("--cache", metavar="DIR", file_okay=False, help="Folder of the mapped files.")]
Attach = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Use a strategy that is running already, for example under a debugger: unix:/path or localhost:port.",
    ),
]
Cookie = Annotated[
    str | None,
    typer.Option(metavar="COOKIE", envvar="BOXGATE_COOKIE", help="The BOXGATE_COOKIE that it was started with."),
]


class Assets(StrEnum):
    """Where the script of a page lies."""

    INLINE = "inline"
    SHARED = "shared"


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"boxgate {importlib.metadata.version('boxgate')}\n")
        raise typer.Exit


@app.callback()
def boxgate(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Run any trading strategy as a sealed black box and test it honestly."""


@app.command("run")
def run_command(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The run config, a YAML file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="Set one key of the config; may be repeated."),
    ] = None,
    attach: Attach = None,
    cookie: Cookie = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="Tag the run, for `boxgate runs list --tag`; may be repeated."),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Record the session, for boxgate_sdk.replay in a unit test."),
    ] = None,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="Take the stored result of an equal run, if there is one; compute nothing.")
    ] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Run a strategy on frozen data and publish what came of it.

    Relative paths in the config start at the working directory. A run is published complete or not at all: its
    folder holds the tables, the metrics, the log and the page report.html.
    """
    from boxgate_server.cli.run import run

    run(
        config,
        overrides or [],
        attach=attach,
        cookie=cookie,
        tags=tags or [],
        record=record,
        reuse=reuse,
        as_json=as_json,
        debug=debug,
    )


@app.command("rerun")
def rerun_command(
    run: Run,
    store: Store = DEFAULT_STORE,
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    attach: Attach = None,
    cookie: Cookie = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compute a published run once more from its config.json and compare the results.

    Exit code 1 if they differ; then the first difference of each table is shown. Nothing is published. Relative
    paths of the strategy start at the working directory.
    """
    from boxgate_server.cli.rerun import rerun

    rerun(run, store=store, root=root, cache=cache, attach=attach, cookie=cookie, as_json=as_json, debug=debug)


@app.command("report")
def report_command(
    run: Run,
    assets: Annotated[
        Assets, typer.Option(help="The page's script: inside the page, or one file beside the runs.")
    ] = Assets.INLINE,
    png: Annotated[Path | None, typer.Option(help="Folder for a picture of every chart; needs the extra png.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Folder for the data of every chart and table as CSV.")] = None,
    figures: Annotated[Path | None, typer.Option(help="File for the data of the page as JSON.")] = None,
    store: Store = DEFAULT_STORE,
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Build report.html of a published run again, from its files and the prices of its dataset."""
    from boxgate_server.cli.report import Exports, report

    exports = Exports(png=png, csv=csv, figures=figures)
    report(run, assets=assets.value, store=store, root=root, cache=cache, as_json=as_json, debug=debug, exports=exports)


@app.command("compare")
def compare_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Two or more: folders, ids, or beginnings of ids.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", dir_okay=False, help="The page that is written.")
    ] = Path("compare.html"),
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Put published runs side by side on one page: where their assumptions differ first, then metrics and curves."""
    from boxgate_server.cli.compare import compare

    compare(runs, output, store=store, as_json=as_json, debug=debug)


@app.command("new")
def new_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the strategy and of the folder that is made.")],
    language: Annotated[str, typer.Option(metavar="LANGUAGE", help="What it is written in.")] = "python",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Begin a strategy: a folder with the strategy, a config that runs at once, and a test that passes."""
    from boxgate_server.cli.new import new

    new(name, language=language, as_json=as_json, debug=debug)


@app.command("strategies")
def strategies_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Each .py file in it, and each folder's strategy.py.")],
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="For the start of each strategy.")] = 10.0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the strategies of a folder: what each is, its parameters, what it needs.

    Each is asked in a process of its own. A broken one is listed with its error; names that begin with _ are left out.
    """
    from boxgate_server.cli.strategies import strategies

    strategies(folder, timeout_s=timeout, as_json=as_json, debug=debug)


@app.command("doctor")
def doctor_command(
    warm: Annotated[bool, typer.Option("--warm", help="Compile the engine now, so that no run has to.")] = False,
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Find out what this machine can do, what is missing and how to get it.

    Everything is tried: folders are written, a file is mapped, a strategy is started. Exit code 1 if runs are
    impossible here.
    """
    from boxgate_server.cli.doctor import doctor

    doctor(root=root, cache=cache, store=store, warm=warm, as_json=as_json, debug=debug)


runs_app = typer.Typer(cls=PlainFlags, no_args_is_help=True, help="Find published runs again: list, show and tag them.")
app.add_typer(runs_app, name="runs")


@runs_app.command("list")
def runs_list_command(
    search: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORD", help="Words that all occur in id, strategy, data, parameters or tags."),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="With this tag; may be repeated.")] = None,
    instrument: Annotated[
        list[str] | None, typer.Option(metavar="SYMBOL", help="On this instrument; may be repeated.")
    ] = None,
    frame: Annotated[list[str] | None, typer.Option(metavar="FRAME", help="On this frame; may be repeated.")] = None,
    strategy: Annotated[str | None, typer.Option(metavar="NAME", help="Of a strategy whose name has this.")] = None,
    mode: Annotated[str | None, typer.Option(metavar="MODE", help="debug or prod.")] = None,
    dataset: Annotated[str | None, typer.Option(metavar="HASH", help="On the dataset whose hash begins so.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="On a metric or parameter: 'sharpe>1', 'length=50'; may be repeated."),
    ] = None,
    sort: Annotated[str, typer.Option(metavar="KEY", help="published, or a metric; largest first.")] = "published",
    ascending: Annotated[bool, typer.Option("--ascending", help="Smallest, or oldest, first.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Most runs to list; 0 lists all.")] = 50,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the published runs, the newest first, with what they made."""
    from boxgate_server.cli.run_filter import RunFilter
    from boxgate_server.cli.runs import list_command

    wanted = RunFilter(
        search=tuple(search or ()),
        tags=tuple(tag or ()),
        instruments=tuple(instrument or ()),
        frames=tuple(frame or ()),
        strategy=strategy,
        mode=mode,
        dataset=dataset,
        where=tuple(where or ()),
    )
    list_command(store, wanted, sort=sort, ascending=ascending, limit=limit, as_json=as_json, debug=debug)


@runs_app.command("show")
def runs_show_command(run: Run, store: Store = DEFAULT_STORE, as_json: AsJson = False, debug: Debug = False) -> None:
    """Show one run whole, after checking its files: strategy, assumptions, every metric."""
    from boxgate_server.cli.runs import show_command

    show_command(run, store, as_json=as_json, debug=debug)


@runs_app.command("tag")
def runs_tag_command(
    run: Run,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG", help="Tags to add.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag to remove; may be repeated.")] = None,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Add tags to a run, or remove some; without any, show them."""
    from boxgate_server.cli.runs import tag_command

    tag_command(run, tags or (), remove or (), store, as_json=as_json, debug=debug)


class _Later(PlainFlags):
    """A group of commands that is imported when one of them is called: they need libraries that others do not."""

    def list_commands(self, ctx: Any) -> list[str]:
        return self._group().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return self._group().get_command(ctx, cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self.commands = self._group().commands
        return super().resolve_command(ctx, args)

    def _group(self) -> TyperGroup:
        group = typer.main.get_command(self._imported())
        assert isinstance(group, TyperGroup)
        return group

    def _imported(self) -> typer.Typer:
        raise AssertionError("each group says what it imports")


class _DataCommands(_Later):
    """The commands of `boxgate data`."""

    def _imported(self) -> typer.Typer:
        from boxgate_server.cli.data import data_app

        return data_app


class _MatrixCommands(_Later):
    """The commands of `boxgate matrix`."""

    def _imported(self) -> typer.Typer:
        from boxgate_server.cli.matrix.commands import matrix_app

        return matrix_app


app.add_typer(
    typer.Typer(cls=_DataCommands, no_args_is_help=True),
    name="data",
    help="Import, make, list, show and check datasets.",
)
app.add_typer(
    typer.Typer(cls=_MatrixCommands, no_args_is_help=True),
    name="matrix",
    help="Plan and compute many runs: instruments, windows, parameters, costs.",
)
