"""`boxgate data serve`."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from boxgate_engine.datasets import list_datasets, listed_root, local_root, open_dataset
from boxgate_engine.errors import UserMistake
from boxgate_server.cli.answer import INTERRUPTED, JsonObject, answer, line
from boxgate_server.cli.app import DEFAULT_CACHE, DEFAULT_ROOT, AsJson, Debug
from boxgate_server.cli.data.options import SCHEMA, Cache, Root
from boxgate_server.errors import ServerUnprotected

if TYPE_CHECKING:
    from boxgate_server.history.flight import HistoryServer, Tls

_TOKEN_CHARACTERS_MIN = 16


def serve_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Names or hashes; default every name.")
    ] = None,
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    host: Annotated[str, typer.Option(help="Address to listen at; beyond 127.0.0.1 only with TLS and token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key, PEM.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File with the token that clients send; else one is made.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Serve whole datasets by Arrow Flight, to clients that have the token, until interrupted.

    Exit code 0 after SIGTERM, 130 after Ctrl-C.
    """
    running: list[HistoryServer] = []
    stopped = threading.Event()
    received: list[int] = []

    def stop(number: int, _: object) -> None:
        received.append(number)
        stopped.set()

    def work() -> JsonObject:
        # Imported here: the other commands need no Flight.
        from boxgate_server.history.datasets import DatasetShelf
        from boxgate_server.history.flight import is_loopback, new_token, start_history_server
        from boxgate_server.history.tickets import TicketOffice

        if token_file is None and not is_loopback(host):
            raise ServerUnprotected(
                f"history would be served at {host} without a token of its own",
                where="--host",
                expected="--token-file, --tls-cert and --tls-key wherever it is not 127.0.0.1",
                remedy="write a random token into a file, and give a certificate and its key; or serve on 127.0.0.1",
            )
        tls = _tls(tls_cert, tls_key)
        token = new_token() if token_file is None else _token(token_file)
        chosen = names or [name for one in list_datasets(listed_root(root, cache)) for name in one.names]
        datasets = [open_dataset(local_root(root, cache, name), name, cache_dir=cache) for name in chosen]
        if not datasets:
            raise UserMistake(
                "there is no dataset to serve",
                code="DATASET_UNKNOWN",
                where=str(root),
                expected="a dataset with a name, or names and hashes on the command line",
                remedy="import one, or correct --root",
            )
        server = start_history_server(
            DatasetShelf(datasets, token), TicketOffice(clock_ns=time.time_ns), host=host, port=port, tls=tls
        )
        running.append(server)
        fields: JsonObject = {
            "location": server.location,
            "datasets": [{"name": one.name, "hash": one.hash} for one in datasets],
        }
        return fields if token_file else {**fields, "token": token}

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        answer(SCHEMA, work, _show, as_json=as_json, debug=debug)
        stopped.wait()
    finally:
        for server in running:
            server.close()
    raise typer.Exit(INTERRUPTED if received[0] == signal.SIGINT else 0)


def _show(fields: JsonObject, console: Console) -> None:
    line(console, f"serving   {', '.join(one['name'] for one in fields['datasets'])}")
    line(console, f"location  {fields['location']}")
    if "token" in fields:
        line(console, f"token     {fields['token']}")
    line(console, "Ctrl-C ends it.")


def _tls(certificate: Path | None, key: Path | None) -> Tls | None:
    from boxgate_server.history.flight import Tls

    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UserMistake(
            "TLS needs a certificate and its key",
            code="USAGE",
            where="--tls-cert, --tls-key",
            expected="both or none",
            remedy="give the other one too",
        )
    return Tls(certificate=_read(certificate, "--tls-cert"), key=_read(key, "--tls-key"))


def _token(path: Path) -> str:
    token = _read(path, "--token-file").decode("utf-8", "replace").strip()
    if len(token) < _TOKEN_CHARACTERS_MIN or not token.isascii() or not token.isprintable() or " " in token:
        raise UserMistake(
            "the token cannot be used",
            code="SERVE_TOKEN",
            where=f"--token-file {path}",
            expected=f"one line of at least {_TOKEN_CHARACTERS_MIN} printable ASCII characters without a space",
            remedy="write a random one, for example with `openssl rand -hex 32`",
        )
    return token


def _read(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserMistake(
            f"the file cannot be read ({error.strerror})",
            code="SERVE_FILE",
            where=f"{where} {path}",
            expected="a file that this user may read",
            remedy="correct the path or the rights of the file",
        ) from error
