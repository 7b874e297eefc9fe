"""gRPC as both ends of the contract run it: `from boxgate_proto.transport import grpc`, in place of `import grpc`."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

_VARIABLE = "GRPC_EXPERIMENTS"
_WAITERS_READ_SOCKETS = "-event_engine_client,-event_engine_listener"
_VERSIONS = re.compile(r"grpcio-1\.8[0-5]\.")
"""Those that know these names; others would say on stderr that they do not."""


def _choose_reader() -> bool:
    """Let the thread that waits for a message read it from its socket, unless somebody else has decided.

    gRPC's own choice is to read in threads of an engine and to hand each message on, which nearly doubles the time of
    a round trip on a Unix socket (docs/adr/0015). It looks at the variable once, while it is imported.
    """
    package = importlib.util.find_spec("grpc")
    if _VARIABLE in os.environ or package is None or package.origin is None:
        return False
    site = Path(package.origin).parents[1]
    if not any(_VERSIONS.match(name) for name in os.listdir(site)):  # noqa: PTH208  # importlib.metadata takes 30 ms
        return False
    os.environ[_VARIABLE] = _WAITERS_READ_SOCKETS
    return True


_chosen = _choose_reader()
import grpc  # noqa: E402

if _chosen:
    del os.environ[_VARIABLE]  # no business of what this process starts

__all__ = ["grpc"]
