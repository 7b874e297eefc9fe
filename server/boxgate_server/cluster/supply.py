"""What the driver gives the nodes of a cluster: the files of the strategy, and the dataset where they lack it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from boxgate_engine.artefacts import prepare_store
from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import Dataset, is_remote
from boxgate_engine.datasets.manifest import to_text
from boxgate_engine.errors import ConfigInvalid, UserMistake
from boxgate_server.cluster.messages import Shipment, Source
from boxgate_server.outcome import Watcher
from boxgate_server.run_dataset import run_dataset
from boxgate_server.strategy_files import StrategyFiles


@dataclass(frozen=True, kw_only=True)
class DataServer:
    """Where the driver serves datasets to nodes. host: by which they reach it; beyond 127.0.0.1 with TLS, PEM files."""

    host: str = "127.0.0.1"
    port: int = 0
    tls_cert: Path | None = None
    tls_key: Path | None = None


@contextmanager
def supply(
    config: RunConfig,
    *,
    folder: Path,
    store: Path,
    dataset: Literal["auto", "flight"],
    server: DataServer,
    is_shared: bool = True,
) -> Iterator[Shipment]:
    """Yield what the nodes are given; the dataset is served as long as this lasts.

    dataset: auto lets a node that reaches the datasets root of the config use it, flight lets every node fetch.
    is_shared: every node must see the folder `store`.
    Raises UserMistake (SOURCES_OUTSIDE, SERVE_ADDRESS, SERVE_UNPROTECTED), and what opening the dataset raises.
    """
    prepare_store(store)
    probe = store / f".reached-{uuid.uuid4().hex}"
    with ExitStack() as closing:
        if is_shared:
            probe.touch()
            closing.callback(lambda: _remove(probe))
        opened = run_dataset(config, folder, Watcher())
        root, source = config.data_provider.root, None
        if not is_remote(root):
            root = str((folder / root).resolve())
            source = closing.enter_context(_served(opened, server))
        yield Shipment(
            files=_strategy_files(config, folder, store),
            dataset=opened.hash,
            root=root if dataset == "auto" or source is None else None,
            source=source,
            probe=str(probe.resolve()) if is_shared else "",
        )


def _strategy_files(config: RunConfig, folder: Path, store: Path) -> dict[str, bytes]:
    """Return the files of the strategy by their paths: those that identify it, and those beside its script."""
    files = StrategyFiles(folder)
    found: list[Path] = []
    for strategy in (config.strategy, config.strategy.model_copy(update={"sources": ()})):
        with suppress(ConfigInvalid):  # a program has no script; what is wrong with the sources was told before
            found += files.files(config.model_copy(update={"strategy": strategy}), store).values()
    given: dict[str, bytes] = {}
    for path in found:
        name = Path(os.path.normpath(folder.absolute() / path))
        if not name.is_relative_to(folder.absolute()):
            raise UserMistake(
                f"{name.name} lies outside of the folder that the matrix is computed in",
                code="SOURCES_OUTSIDE",
                where="strategy",
                expected="a strategy whose files lie below the working directory, so that nodes can be given them",
                remedy="start the command in a folder above the strategy, and name the script by a relative path",
            )
        given[name.relative_to(folder.absolute()).as_posix()] = path.read_bytes()
    return given


@contextmanager
def _served(dataset: Dataset, server: DataServer) -> Iterator[Source]:
    # Imported here: only a cluster needs Flight.
    from boxgate_server.history.datasets import DatasetShelf
    from boxgate_server.history.flight import Tls, new_token, start_history_server
    from boxgate_server.history.tickets import TicketOffice

    tls = None
    if server.tls_cert is not None and server.tls_key is not None:
        tls = Tls(certificate=server.tls_cert.read_bytes(), key=server.tls_key.read_bytes())
    token = new_token()
    running = start_history_server(
        DatasetShelf([dataset], token),
        TicketOffice(clock_ns=time.time_ns),
        host=server.host,
        port=server.port,
        tls=tls,
    )
    try:
        yield Source(
            manifest=to_text(dataset.manifest),
            location=running.location,
            token=token,
            root_certificate=None if tls is None else tls.certificate,
        )
    finally:
        running.close()


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
