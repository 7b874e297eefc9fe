"""The comparison with the reference loop can fail: it catches every seeded slip in the kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from mutants import MUTANTS


def test_every_seeded_mutant_of_the_kernel_is_caught() -> None:
    script = Path(__file__).parent / "mutants.py"
    finished = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    caught = json.loads(finished.stdout.splitlines()[-1])
    assert caught.pop("(no mutation)") is None
    assert len(caught) == len(MUTANTS) >= 60
    assert [name for name, seed in caught.items() if seed is None] == []
