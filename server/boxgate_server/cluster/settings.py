"""How Ray is started and what it finds in its environment: quiet, on this host alone, with a token."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any, Final

from boxgate_engine.errors import UserMistake

TOKEN_FILE: Final = "~/.config/boxgate/ray-token"
"""Where the token of a cluster lies, unless the file of the matrix or the environment says otherwise."""

LOOPBACK: Final = "127.0.0.2"
"""Ray takes 127.0.0.1 for a wish to be reached from elsewhere and puts an outer address in its place."""

_FOLDER: Final = "bgr-"
_FOLDER_BYTES_MAX: Final = 32
"""The paths of Ray's sockets are 68 bytes longer, and a path of a socket holds 107."""
_OBJECT_STORE_BYTES: Final = 80 << 20
"""The least that Ray takes, about: nothing bulky goes through it."""
_ALWAYS: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_COLOR_PREFIX": "0",
    "RAY_AUTH_MODE": "token",
    # A worker that ends would kill the guard of its sidecars, which then cannot remove what it made; it ends by itself.
    "RAY_kill_child_processes_on_worker_exit": "0",
    "RAY_grpc_enable_http_proxy": "0",
}


def make_folder() -> Path:
    """Return a new private folder for one start of Ray, and remove those whose owner is gone."""
    parent = Path(tempfile.gettempdir())
    if len(os.fsencode(parent)) > _FOLDER_BYTES_MAX - len(_FOLDER) - 8:
        parent = Path("/tmp")
    for left in parent.glob(f"{_FOLDER}*"):
        _sweep(left)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=parent))
    (folder / "owner").write_text(str(os.getpid()))
    return folder


def embedded_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a host that starts Ray itself: none of the user's own settings of Ray."""
    token = folder / "token"
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        **_ALWAYS,
        "RAY_AUTH_TOKEN_PATH": str(token),
        "POLARS_MAX_THREADS": "1",
    }


def attached_environment(token_file: str | None) -> dict[str, str]:
    """Return the environment of a host that joins a cluster.

    token_file: of the matrix; else RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH of the environment, else TOKEN_FILE.
    Raises UserMistake (RAY_TOKEN) where there is none.
    """
    environment = {**os.environ, **_ALWAYS}
    if token_file is None and environment.get("RAY_AUTH_TOKEN"):
        return environment
    path = Path(token_file or environment.get("RAY_AUTH_TOKEN_PATH") or TOKEN_FILE).expanduser()
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    if not found:
        raise UserMistake(
            "there is no token for the cluster",
            code="RAY_TOKEN",
            where=str(path),
            expected="a file with the token that every node of the cluster was started with",
            remedy="copy it there, or name its place in runner.ray.token_file; docs/cluster.md shows how one is made",
        )
    environment.pop("RAY_AUTH_TOKEN", None)
    return {**environment, "RAY_AUTH_TOKEN_PATH": str(path)}


def embedded_arguments(folder: str, workers: int) -> dict[str, Any]:
    """Return what ray.init is given to start Ray on this host."""
    return {
        "address": "local",
        "num_cpus": workers,
        "num_gpus": 0,
        "object_store_memory": _OBJECT_STORE_BYTES,
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "_temp_dir": folder,
        "_node_ip_address": LOOPBACK,
        "_system_config": {
            # On a host that is busy its own helpers start slowly, and Ray would give up.
            "agent_register_timeout_ms": 120_000,
            "worker_register_timeout_seconds": 120,
            # Nobody asks for what the workers did.
            "task_events_report_interval_ms": 0,
            "metrics_report_interval_ms": 3_600_000,
            # The limit of memory is kept by the workers for their sidecars.
            "memory_monitor_refresh_ms": 0,
        },
    }


def _sweep(folder: Path) -> None:
    """Remove a folder if the process that made it is gone."""
    try:
        owner = int((folder / "owner").read_text())
        os.kill(owner, 0)
    except ProcessLookupError:
        shutil.rmtree(folder, ignore_errors=True)
    except (OSError, ValueError):
        return
