"""Make the reference tapes and the engine's runner importable by their names; both are folders of files."""

import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[2]
for folder in (Path(__file__).parent, _TESTS / "engine" / "kernel", _TESTS / "reference"):
    sys.path.insert(0, str(folder))
