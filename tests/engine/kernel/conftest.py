"""Make the reference loop and the engine's runner importable by their names; both are folders of files."""

import sys
from pathlib import Path

_HERE = Path(__file__).parent
for folder in (_HERE, _HERE.parents[1] / "reference"):
    sys.path.insert(0, str(folder))
