"""All that a session may import later on, for a process whose forks serve: none of it makes a thread or a channel."""

from __future__ import annotations

import contextlib
import importlib

_NAMES = (
    "grpc._utilities",
    "grpc._interceptor",
    "grpc._server",
    "numpy",
    "numpy.random",
    "boxgate_sdk.columns",
    "boxgate_sdk.vector",
    "boxgate_sdk._vector_answer",
    "boxgate_sdk._wire_rows",
)


def preload() -> None:
    """Import what is installed of it: the SDK is there, numpy may be absent, gRPC may have changed inside."""
    importlib.import_module("boxgate_sdk")
    for name in _NAMES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
