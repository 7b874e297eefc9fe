"""Generate the Python stubs of the contract into proto/python/boxgate_proto; `--check` only compares.

Run by `make generate` and `make check`. protoc emits absolute imports of `boxgate.…`; the stubs live in
`boxgate_proto.…`, so that no namespace package is shared with anything else that calls itself `boxgate`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROTO_ROOT = Path(__file__).resolve().parent
STUBS_ROOT = PROTO_ROOT / "python" / "boxgate_proto"
_IMPORT = re.compile(r"^(from|import) boxgate\.", re.MULTILINE)
_QUALIFIED = re.compile(r"(?<![\w./'\"])boxgate\.(strategy|host)\.v1\.")


def main(arguments: list[str]) -> int:
    """Write the stubs, or with `--check` name each file that differs and return 1."""
    if arguments == ["--check"]:
        differing = stale_stubs()
        for name in differing:
            print(f"proto/python/boxgate_proto/{name} is not what the contract gives; run make generate")
        return 1 if differing else 0
    if arguments:
        print("usage: generate.py [--check]")
        return 2
    generate(PROTO_ROOT, STUBS_ROOT)
    return 0


def stale_stubs(proto_root: Path = PROTO_ROOT, stubs_root: Path = STUBS_ROOT) -> list[str]:
    """Return the names, relative to `stubs_root`, of stubs that differ from, or are not in, what would be generated."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(proto_root, Path(scratch))
        fresh = _contents(Path(scratch))
    # What stands beside the areas is written by hand.
    present = {name: content for name, content in _contents(stubs_root).items() if "/" in name}
    return sorted(name for name in fresh | present if fresh.get(name) != present.get(name))


def generate(proto_root: Path, target: Path) -> None:
    """Write the stubs of every proto file below `proto_root`/boxgate to `target`, replacing the areas there."""
    sources = sorted(str(path.relative_to(proto_root)) for path in (proto_root / "boxgate").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [f"--{kind}_out={scratch}" for kind in ("python", "grpc_python")]
        outputs += [f"--{kind}_out=quiet:{scratch}" for kind in ("mypy", "mypy_grpc")]
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{proto_root}", *outputs, *sources]
        # The mypy plugins stand beside the interpreter that runs this file.
        search_path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        subprocess.run(command, check=True, env={**os.environ, "PATH": search_path})
        for area in sorted((Path(scratch) / "boxgate").iterdir()):
            _finish(area)
            shutil.rmtree(target / area.name, ignore_errors=True)
            shutil.copytree(area, target / area.name)


def _finish(area: Path) -> None:
    """Make an importable, typed package below `boxgate_proto` of what protoc wrote."""
    for folder in [area, *(path for path in area.rglob("*") if path.is_dir())]:
        (folder / "__init__.py").touch()
    for stub in sorted([*area.rglob("*.py"), *area.rglob("*.pyi")]):
        text = _IMPORT.sub(r"\1 boxgate_proto.", stub.read_text(encoding="utf-8"))
        if stub.suffix == ".pyi":
            text = _QUALIFIED.sub(r"boxgate_proto.\1.v1.", text)
        stub.write_text(text, encoding="utf-8")


def _contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.suffix in {".py", ".pyi"})
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
