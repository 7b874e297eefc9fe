"""How long the phases of a run took."""

from __future__ import annotations

import time


class Stopwatch:
    """Measures the phases of a run; no result depends on it."""

    def __init__(self) -> None:
        """Begin."""
        self.seconds: dict[str, float] = {
            "start": 0.0,
            "session": 0.0,
            "results": 0.0,
            "bands": 0.0,
            "artefacts": 0.0,
            "sidecar_wait": 0.0,
        }
        self._began = time.perf_counter()

    def measure(self, name: str) -> _Phase:
        """Return a context that adds its duration to a phase."""
        return _Phase(self.seconds, name)

    def report(self) -> dict[str, float]:
        """Return seconds by phase: engine is the session less what it waited for the sidecar."""
        known = self.seconds
        return {
            "total": time.perf_counter() - self._began,
            "start": known["start"],
            "session": known["session"],
            "engine": known["session"] - known["sidecar_wait"] + known["results"],
            "sidecar_wait": known["sidecar_wait"],
            "artefacts": known["artefacts"],
            **({"bands": known["bands"]} if known["bands"] else {}),
        }


class _Phase:
    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds = seconds
        self._name = name

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._name] += time.perf_counter() - self._began
