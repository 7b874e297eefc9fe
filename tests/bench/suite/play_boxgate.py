"""The strategies in Boxgate: `play_boxgate.py FOLDER vector|bar|ticks`.

A repeat is a whole run: from opening the dataset to the renamed artefacts, in a session of its own with a sidecar that
served the repeat before. Nothing is taken off. The first run, which starts that process, is not counted. As in a
matrix, nobody waits until the disk has what was written: the other systems do not either.
"""

from __future__ import annotations

import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
from pipe import Outcome, serve
from scratch import scratch

from boxgate_engine.config import RunConfig
from boxgate_server.runner import Runner

STRATEGIES = Path(__file__).parent / "strategies"
WINDOW_EVENTS = 16_384


def main() -> None:
    folder, form = sys.argv[1:]
    place = Path(folder).resolve()
    config = run_config_of(place, form)
    with Runner(folder=place) as runner, scratch(place) as store:

        def repeat() -> Outcome:
            return play(config, runner, store)

        names = ("boxgate", "numba", "numpy", "grpcio")
        serve(repeat, {"python": sys.version.split()[0], **{name: version(name) for name in names}})


def play(config: RunConfig, runner: Runner, store: Path) -> dict[str, Any]:
    """Run once, in a part of the store that nothing else is in."""
    store = Path(tempfile.mkdtemp(dir=store))
    runner._stock = None  # it would keep the dataset open, which is part of a run
    started = time.perf_counter()
    finished = runner.run(config, store=store, durable=False)
    return {
        "seconds": time.perf_counter() - started,
        "phases_s": dict(finished.timing_s),
        "events": finished.metrics["counts"]["events"],
        "fills": finished.fills,
        "trades": finished.metrics["trades"]["count"],
        "equity_final": finished.metrics["equity"]["final"],
        "result_digest": finished.result_digest,
    }


def run_config_of(folder: Path, form: str, **execution: Any) -> RunConfig:
    """Return the config of a run on a prepared folder: no spread and no slippage, fees of a tenth of a basis point."""
    ticks = form == "ticks"
    strategy = STRATEGIES / ("swing.py" if ticks else "cross.py")
    return RunConfig.model_validate(
        {
            "strategy": {
                "command": ["python", str(strategy)],
                "params": {} if ticks else {"form": form},
            },
            "dataset": "bench",
            "instruments": ["EURUSD" if ticks else "BENCH"],
            "frames": ["tick" if ticks else "M1"],
            "window": {"start": "first", "end": "last"},
            "account": {"currency": "USD", "cash": 1_000_000, "leverage": 30},
            "costs": {"fees_bps": 0.1, "spread": "data" if ticks else "none"},
            "execution": {"window_events": WINDOW_EVENTS, **execution},
            "report": {"html": False},
            "data_provider": {
                "root": str(folder / "datasets"),
                "cache": {"local_dir": str(folder / "cache")},
            },
        }
    )


if __name__ == "__main__":
    main()
