"""Joining a cluster: an address that answers, with the right token and the same software on every node."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from boxgate_engine.errors import BoxgateError, RunFailed, UserMistake
from boxgate_server.cluster.build import Build, check_build, this_build
from boxgate_server.cluster.messages import Job

CONNECT_S: Final = 5.0
_ANSWER_S: Final = 8.0
"""For the head to greet us: what listens there may be anything, or may hang, and Ray itself would wait for minutes."""
_JOIN_S: Final = 60.0
_NODES_S: Final = 120.0


def check_address(address: str) -> None:
    """Raise UserMistake (RAY_ADDRESS, RAY_UNREACHABLE) unless a server of gRPC answers there, within seconds."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536 or "/" in host:
        raise UserMistake(
            f"{address!r} is no address of a Ray cluster",
            code="RAY_ADDRESS",
            where="runner.ray.address",
            expected="host:port of its head, as ray start --head printed it",
            remedy="correct it, or leave it out to compute on this host",
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from error
    if os.environ.get("RAY_USE_TLS", "0") != "1" and not _greets(address):
        raise _unreachable(address, "what listens there is no head of Ray, or hangs")


def _greets(address: str) -> bool:
    import grpc

    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=_ANSWER_S)
        except grpc.FutureTimeoutError:
            return False
    return True


def _unreachable(address: str, reason: str) -> UserMistake:
    return UserMistake(
        f"no Ray cluster answers at {address}: {reason}",
        code="RAY_UNREACHABLE",
        where="runner.ray.address",
        expected="the head of a running cluster",
        remedy="start it (ray start --head), correct the address, or open its port",
    )


def attach(job: Job, give_up: Callable[[BoxgateError], None]) -> int:
    """Join the cluster of a job, and return how many workers there are to be.

    give_up: is called from another thread where the cluster neither lets us in nor refuses; this never returns then.
    Raises UserMistake (VERSION_MIXED, RAY_REFUSED), RunFailed (RAY_NODES).
    """
    assert job.address is not None
    import ray

    late = _unreachable(job.address, f"it did not let us in within {_JOIN_S:g} s")
    watch = threading.Timer(_JOIN_S, give_up, [late])
    watch.daemon = True
    watch.start()
    try:
        ray.init(address=job.address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        raise _refused(job.address, error) from error
    finally:
        watch.cancel()
    _check_nodes(job, [node for node in ray.nodes() if node["Alive"]])  # type: ignore[no-untyped-call]
    return min(job.workers or cpus(), cpus()) or job.workers or 1


def cpus() -> int:
    """Return how many CPUs Ray has to give, on all nodes together."""
    import ray

    return int(ray.cluster_resources().get("CPU", 0.0))  # type: ignore[no-untyped-call]


def _check_nodes(job: Job, nodes: list[dict[str, Any]]) -> None:
    """Ask every node what it runs, before the first run."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask = ray.remote(_tell_build)
    asked = {
        ask.options(
            num_cpus=0,
            max_retries=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
        ).remote(): node
        for node in nodes
    }
    deadline = time.monotonic() + _NODES_S
    for ref, node in asked.items():
        name = f"{node['NodeManagerAddress']} ({node['NodeID'][:12]})"
        try:
            theirs: Build = ray.get(ref, timeout=max(0.0, deadline - time.monotonic()))
        except Exception as error:
            raise RunFailed(
                f"a node does not answer: {type(error).__name__}",
                code="RAY_NODES",
                where=name,
                expected="a node that can load Boxgate",
                remedy="install the same Boxgate there, or take the node out of the cluster",
            ) from error
        check_build(job.build, theirs, node=name)


def _tell_build() -> Build:
    """Return what a node runs; Ray sends functions, and nothing that is cached."""
    return this_build()


def _refused(address: str, error: Exception) -> UserMistake:
    text = " ".join(str(error).split())
    if "mismatch" in text.lower():
        return UserMistake(
            f"the cluster runs other software: {text[:300]}",
            code="VERSION_MIXED",
            where=address,
            expected="the same Ray and Python as here",
            remedy="start the cluster with the versions of this environment",
        )
    return UserMistake(
        f"the cluster does not let us in: {text[:300] or type(error).__name__}",
        code="RAY_REFUSED",
        where=address,
        expected="a cluster that was started with RAY_AUTH_MODE=token and the token of this host",
        remedy="compare the tokens; docs/cluster.md tells where each is looked for",
    )
