"""The cross in vectorbt: `play_vectorbt.py FOLDER numba|auto fast|stats|files`. Runs in an environment of its own.

Means by `MA.run`, entries and exits as arrays of truth values, `Portfolio.from_signals`: all on NumPy arrays, which is
quicker here than pandas and `ma_crossed_above`. A decision at a close is filled at the next open: the signals are
shifted by one bar and the price is the open. `fast` reads the records of the trades and the total return; `stats` makes
the table of metrics as well. `files` also writes what a run of Boxgate writes: metrics as JSON, trades as CSV, orders
and the curve of the value in NumPy's own format, the quickest that this environment has. Engine `auto` takes the
optional Rust extension wherever it can be taken.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import vectorbt as vbt
from pipe import Outcome, serve

QTY, CASH, FEES = 1_000.0, 1_000_000.0, 0.1e-4


def main() -> None:
    folder, engine, form = sys.argv[1:]
    vbt.settings["engine"] = engine
    arrays = np.load(Path(folder) / "arrays.npz")
    close, opened = arrays["close"], arrays["open"]

    def repeat() -> Outcome:
        started = time.perf_counter()
        fast, slow = (vbt.MA.run(close, length).ma.to_numpy() for length in (10, 30))
        above, below = fast > slow, fast < slow
        entries, exits = np.zeros((2, len(close)), dtype=bool)
        entries[2:] = above[1:-1] & below[:-2]
        exits[2:] = below[1:-1] & above[:-2]
        portfolio = vbt.Portfolio.from_signals(
            close, entries, exits, price=opened, size=QTY, fees=FEES, init_cash=CASH, freq="1min"
        )
        trades = portfolio.trades.records
        total_return = portfolio.total_return()
        if form != "fast":
            metrics = portfolio.stats()
        if form == "files":
            written = Path(folder) / f"vectorbt-{engine}"
            written.mkdir(exist_ok=True)
            metrics.to_json(written / "metrics.json", default_handler=str)
            pd.DataFrame(trades).to_csv(written / "trades.csv", index=False)
            np.save(written / "orders.npy", portfolio.orders.records_arr)
            np.save(written / "value.npy", portfolio.value().to_numpy())
        seconds = time.perf_counter() - started
        return {
            "seconds": seconds,
            "fills": int(portfolio.orders.count()),
            "trades": len(trades),
            "equity_final": float(CASH * (1.0 + total_return)),
        }

    names = ("vectorbt", "vectorbt-rust", "numba", "numpy", "pandas")
    serve(repeat, {"python": sys.version.split()[0], **{name: version(name) for name in names}})


if __name__ == "__main__":
    main()
