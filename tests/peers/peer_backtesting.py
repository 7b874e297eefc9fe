"""Make fixtures/backtesting.json: what `backtesting` does with the decisions. Run in its own environment.

`make peers` makes the environment; `make peers-check` runs this with --check, which writes nothing and compares.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import backtesting
import numpy
import pandas
from backtesting import Backtest, Strategy
from fixture_files import data_folder, finish
from peer_cases import CASH, EQUITY_STEP, SERIES, Decision, decisions_of
from real_markets import Row

CASES = [(name, rule) for name in ("eurusd_h1", "btcusdt_h1", "xauusd_m1") for rule in ("cross", "flips", "sizes")]


def main() -> None:
    data = data_folder()
    cases = {}
    for name, rule in CASES:
        rows = SERIES[name].rows(data)
        cases[f"{name}/{rule}"] = outcome(name, rows, decisions_of(name, rule, rows))
    versions = {
        "python": sys.version.split()[0],
        "backtesting": backtesting.__version__,
        "numpy": numpy.__version__,
        "pandas": pandas.__version__,
    }
    finish("backtesting", versions, {"cases": cases})


def outcome(name: str, rows: list[Row], decisions: list[Decision]) -> dict[str, Any]:
    """Return trades, sampled and final equity. A trade: entry bar, exit bar, size, prices, profit before fees, fees."""
    series = SERIES[name]
    due = {decision.bar: decision for decision in decisions}

    class Player(Strategy):  # type: ignore[misc] # no types
        def init(self) -> None:
            pass

        def next(self) -> None:
            decision = due.get(len(self.data) - 1)
            if decision is not None:
                self.reach(decision)

        def reach(self, decision: Decision) -> None:
            held = int(self.position.size)
            wanted = decision.side * decision.qty
            bracket = {"sl": decision.sl or None, "tp": decision.tp or None}
            if held * wanted <= 0:
                self.position.close()
                if wanted:
                    (self.buy if wanted > 0 else self.sell)(size=abs(wanted), **bracket)
                return
            if wanted != held:
                (self.buy if wanted > held else self.sell)(size=abs(wanted - held))
            for trade in self.trades:
                trade.sl, trade.tp = bracket["sl"], bracket["tp"]

    frame = pandas.DataFrame(
        [row.bid for row in rows],
        columns=["Open", "High", "Low", "Close"],
        index=pandas.to_datetime([row.time_ns for row in rows]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # an order that was refused for want of margin
        warnings.filterwarnings("ignore", message="Some trades remain open")
        warnings.simplefilter("ignore", DeprecationWarning)
        test = Backtest(
            frame,
            Player,
            cash=CASH,
            commission=series.fees_bps / 10_000,
            margin=1.0 / series.leverage,
            trade_on_close=False,
        )
        stats = test.run()
    table = stats["_trades"]
    columns = ["EntryBar", "ExitBar", "Size", "EntryPrice", "ExitPrice"]
    trades = []
    for trade, fees in zip(table[columns].itertuples(index=False), table["Commission"], strict=True):
        entry, left, size, bought, sold = trade
        gross = size * (sold - bought)
        trades.append([int(entry), int(left), int(size), float(bought), float(sold), float(gross), float(fees)])
    equity = stats["_equity_curve"]["Equity"].to_numpy()
    return {
        "trades": sorted(trades),
        "equity": [float(value) for value in equity[::EQUITY_STEP]],
        "equity_final": float(stats["Equity Final [$]"]),
    }


if __name__ == "__main__":
    main()
