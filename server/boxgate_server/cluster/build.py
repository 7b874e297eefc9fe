"""What two nodes must have in common, so that a run is the same wherever it is computed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import platform
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from boxgate_engine.errors import UserMistake

_PACKAGES = ("boxgate_engine", "boxgate_proto", "boxgate_sdk", "boxgate_server")


@dataclass(frozen=True, kw_only=True)
class Build:
    """What is installed. code: SHA-256 over the source files of Boxgate, for a version number alone may lie."""

    boxgate: str
    code: str
    python: str
    ray: str
    numpy: str


@cache
def this_build() -> Build:
    """Return what this process runs."""
    return Build(
        boxgate=importlib.metadata.version("boxgate"),
        code=_code_digest(),
        python=platform.python_version(),
        ray=importlib.metadata.version("ray"),
        numpy=importlib.metadata.version("numpy"),
    )


def check_build(drivers: Build, nodes: Build, *, node: str) -> None:
    """Raise UserMistake (VERSION_MIXED) if a node does not run what the driver runs."""
    ours, theirs = asdict(drivers), asdict(nodes)
    differing = [name for name in ours if theirs[name] != ours[name]]
    if differing:
        told = ", ".join(f"{name} {theirs[name][:12]} instead of {ours[name][:12]}" for name in differing)
        raise UserMistake(
            f"a node runs other software than the driver: {told}",
            code="VERSION_MIXED",
            where=node,
            expected="the same Boxgate, Python, Ray and NumPy on every node, or results could differ",
            remedy="install the same versions there, for example by one container image, and start Ray again",
        )


def _code_digest() -> str:
    state = hashlib.sha256()
    for package in _PACKAGES:
        found = importlib.util.find_spec(package)
        assert found is not None
        for folder in sorted(found.submodule_search_locations or ()):
            for path in sorted(Path(folder).rglob("*.py")):
                state.update(f"{package}/{path.relative_to(folder).as_posix()}\0".encode())
                state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()
