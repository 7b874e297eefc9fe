"""A strategy behind a real socket in the same process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from boxgate_sdk._server import check_strategy, start_server
from boxgate_sdk.strategy import Strategy

COOKIE = "test-cookie"
"""The cookie of servers made for tests."""


@contextmanager
def serve_in_thread(strategy_class: type[Strategy]) -> Iterator[str]:
    """Serve on a private Unix socket, yield the endpoint, and stop. The cookie is COOKIE."""
    check_strategy(strategy_class)
    with tempfile.TemporaryDirectory(prefix="boxgate-") as folder:
        endpoint = f"unix:{folder}/s"
        server = start_server(strategy_class, endpoint, COOKIE)
        try:
            yield endpoint
        finally:
            server.stop(None).wait()
