"""`boxgate data`: import, make, list, show, check and serve datasets, and their cache."""

from __future__ import annotations

import typer

from boxgate_server.cli.app import PlainFlags
from boxgate_server.cli.data.cache import cache_command
from boxgate_server.cli.data.check import check_command
from boxgate_server.cli.data.import_files import import_command
from boxgate_server.cli.data.listing import list_command
from boxgate_server.cli.data.serve import serve_command
from boxgate_server.cli.data.show import show_command
from boxgate_server.cli.data.synth import demo_command, synth_command

data_app = typer.Typer(
    name="data", cls=PlainFlags, help="Import, make, list, show and check datasets.", no_args_is_help=True
)
data_app.command("import")(import_command)
data_app.command("synth")(synth_command)
data_app.command("list")(list_command)
data_app.command("show")(show_command)
data_app.command("check")(check_command)
data_app.command("demo")(demo_command)
data_app.command("serve")(serve_command)
data_app.command("cache")(cache_command)
