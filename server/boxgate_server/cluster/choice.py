"""Which execution computes a matrix: this process, workers on this host, or a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from boxgate_server.cluster.build import this_build
from boxgate_server.cluster.execution import RayExecution
from boxgate_server.cluster.messages import Job, Limits, Shipment
from boxgate_server.cluster.supply import DataServer, supply
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.execution.in_process import InProcess
from boxgate_server.matrix.planning.plan import Plan

SMALL_EVENTS: Final = 2_000_000
"""Below so many events of all runs together Ray would start for longer than one process computes."""


@contextmanager
def execution_of(file: MatrixFile, plan: Plan, *, folder: Path, store: Path) -> Iterator[InProcess | RayExecution]:
    """Yield the execution that a matrix asks for. folder: where relative paths start. store: of the runs.

    Raises UserMistake: RAY_ADDRESS, RAY_UNREACHABLE, RAY_TOKEN, and what `supply` raises.
    """
    runner = file.runner
    runtime_ns, address = runner.limits.runtime_per_run, runner.ray.address
    limits = Limits(
        memory_bytes=runner.limits.memory_per_run, runtime_s=None if runtime_ns is None else runtime_ns / 1e9
    )
    workers = runner.concurrency.max_workers
    if address is None and workers is None:
        workers = 1 if _events(plan) < SMALL_EVENTS else os.cpu_count() or 1
    with ExitStack() as closing:
        execution: InProcess | RayExecution
        if address is None and workers == 1:
            execution = InProcess(
                folder=folder,
                store=store,
                address=file.io.address,
                memory_bytes=limits.memory_bytes,
                runtime_s=limits.runtime_s,
            )
        else:
            job = Job(
                folder=str(folder.absolute()),
                store=str(store.absolute()),
                build=this_build(),
                workers=workers,
                group_by=runner.locality.group_by,
                limits=limits,
                address=address,
                store_address=file.io.address,
            )
            execution = RayExecution(
                job,
                token_file=runner.ray.token_file,
                shipment=None if address is None else lambda: closing.enter_context(_shipment(file, folder, store)),
            )
        closing.callback(execution.close)
        yield execution


@contextmanager
def _shipment(file: MatrixFile, folder: Path, store: Path) -> Iterator[Shipment]:
    ray = file.runner.ray
    server = ray.data_server
    certificate, key = (None if one is None else folder / one for one in (server.tls_cert, server.tls_key))
    given = DataServer(host=server.host, port=server.port, tls_cert=certificate, tls_key=key)
    is_shared = file.io.address is None
    with supply(
        file.base, folder=folder, store=store, dataset=ray.dataset, server=given, is_shared=is_shared
    ) as shipment:
        yield shipment


def _events(plan: Plan) -> int:
    """Return the events of all runs."""
    shares = (runs / len(block) for runs, block in zip(plan.runs_of_blocks, plan.blocks, strict=True))
    return round(
        sum(share * sum(one.events for one in block) for share, block in zip(shares, plan.blocks, strict=True))
    )
