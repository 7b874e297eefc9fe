"""The cross in backtesting.py: `play_backtesting.py FOLDER`. Runs in an environment of its own.

The documented form: indicators in `init` by `self.I`, `crossover` in `next`. Orders fill at the next open.
"""

from __future__ import annotations

import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import crossover
from pipe import Outcome, serve

QTY, CASH, FEES = 1_000, 1_000_000.0, 0.1e-4


def mean(values: Any, length: int) -> Any:
    return pd.Series(values).rolling(length).mean()


class Cross(Strategy):  # type: ignore[misc] # no types
    def init(self) -> None:
        self.fast = self.I(mean, self.data.Close, 10)
        self.slow = self.I(mean, self.data.Close, 30)

    def next(self) -> None:
        if crossover(self.fast, self.slow):
            self.buy(size=QTY)
        elif crossover(self.slow, self.fast):
            self.position.close()


def main() -> None:
    arrays = np.load(Path(sys.argv[1]) / "arrays.npz")
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name.title(): arrays[name] for name in names}, index=pd.to_datetime(arrays["open_ns"]))
    warnings.filterwarnings("ignore")

    def repeat() -> Outcome:
        started = time.perf_counter()
        stats = Backtest(frame, Cross, cash=CASH, commission=FEES).run()
        seconds = time.perf_counter() - started
        still_open = len(stats["_strategy"].trades)
        return {
            "seconds": seconds,
            "fills": 2 * len(stats["_trades"]) + still_open,
            "trades": len(stats["_trades"]),
            "equity_final": float(stats["Equity Final [$]"]),
        }

    serve(repeat, {"python": sys.version.split()[0], **{n: version(n) for n in ("backtesting", "numpy", "pandas")}})


if __name__ == "__main__":
    main()
