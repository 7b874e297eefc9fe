"""Make the reference modules importable by their names; they are a folder of files, not a package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
