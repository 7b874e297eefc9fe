"""Generate the Python stubs of the contract into proto/python/boxgate_proto.

Run by `make generate`. protoc emits absolute imports of `boxgate.…`; the stubs live in `boxgate_proto.…`, so that
no namespace package is shared with anything else that calls itself `boxgate`.
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


def generate(target: Path) -> None:
    """Write the stubs of every proto file below PROTO_ROOT/boxgate to `target`, replacing what is there."""
    sources = sorted(str(path.relative_to(PROTO_ROOT)) for path in (PROTO_ROOT / "boxgate").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        outputs = [f"--{kind}_out={scratch}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO_ROOT}", *outputs, *sources]
        # The mypy plugins stand beside the interpreter that runs this file.
        search_path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        subprocess.run(command, check=True, env={**os.environ, "PATH": search_path})
        for area in sorted((Path(scratch) / "boxgate").iterdir()):
            shutil.rmtree(target / area.name, ignore_errors=True)
            shutil.copytree(area, target / area.name)
    for area in sorted(path for path in target.iterdir() if path.is_dir() and path.name != "__pycache__"):
        for folder in [area, *sorted(path for path in area.rglob("*") if path.is_dir())]:
            (folder / "__init__.py").touch()
        for stub in sorted([*area.rglob("*.py"), *area.rglob("*.pyi")]):
            text = _IMPORT.sub(r"\1 boxgate_proto.", stub.read_text(encoding="utf-8"))
            if stub.suffix == ".pyi":
                text = _QUALIFIED.sub(r"boxgate_proto.\1.v1.", text)
            stub.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else STUBS_ROOT)
