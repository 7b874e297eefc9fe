"""The trades as the page lists and draws them: columns of plain numbers, with the stops and targets they carried."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any, Final

import numpy as np

from boxgate_engine.report.run_files import RunFiles
from boxgate_engine.tables import EXIT_REASONS, SIDES

TRADES_MAX: Final = 10_000
"""Most trades inside the page; of more, those with the largest absolute result. All are in trades.csv."""

_WHOLE: Final = ("trade_id", "bars_held")
_NUMBERS: Final = (
    "qty", "entry_price", "exit_price", "gross_pnl", "fees", "net_pnl", "slippage_cost", "mae", "mfe",
)  # fmt: skip
_RARE: Final = ("funding", "swap")
Levels = dict[str, list[float | None]]


def trade_list(files: RunFiles) -> dict[str, Any]:
    """Return the trades, by exit.

    {total, listed, instruments, sides, exit_reasons, columns}; every column has `listed` entries. instrument, side and
    exit_reason are indices into the lists of names, times are milliseconds, path_dependent is 0 or 1. funding and swap
    are absent where all are zero; sl and tp (when the position was opened), sl_exit and tp_exit (when it was closed)
    where no trade had one.
    """
    total = files.trades.num_rows
    chosen = np.arange(total)
    if total > TRADES_MAX:
        by_size = np.argsort(-np.abs(files.trade_column("net_pnl")), kind="stable")
        chosen = np.sort(by_size[:TRADES_MAX])
    trades = files.trades.take(chosen)
    instruments = sorted(set(trades["instrument"].to_pylist()))
    columns: dict[str, Any] = {name: trades[name].to_pylist() for name in (*_WHOLE, *_NUMBERS)}
    columns |= {name: trades[name].to_pylist() for name in _RARE if np.any(trades[name].to_numpy() != 0)}
    for name, names in (("instrument", instruments), ("side", SIDES), ("exit_reason", EXIT_REASONS)):
        codes = {text: code for code, text in enumerate(names)}
        columns[name] = [codes[text] for text in trades[name].to_pylist()]
    for name in ("entry", "exit"):
        columns[f"{name}_time_ms"] = (trades[f"{name}_time_ns"].to_numpy() // 1_000_000).tolist()
    columns["path_dependent"] = [int(flag) for flag in trades["path_dependent"].to_pylist()]
    columns |= _levels(files, trades)
    return {
        "total": total,
        "listed": len(chosen),
        "instruments": instruments,
        "sides": list(SIDES),
        "exit_reasons": list(EXIT_REASONS),
        "columns": columns,
    }


def _levels(files: RunFiles, trades: Any) -> Levels:
    """Return stop and target of each trade: of the signal that opened it and of the last one before its exit."""
    accepted = _brackets(files)
    opened_by = _opening_signals(files)
    levels: Levels = {"sl": [], "tp": [], "sl_exit": [], "tp_exit": []}
    keys = zip(
        trades["instrument"].to_pylist(),
        trades["side"].to_pylist(),
        trades["entry_seq"].to_pylist(),
        trades["exit_seq"].to_pylist(),
        strict=True,
    )
    for instrument, side, entry_seq, exit_seq in keys:
        seqs, stops, targets = accepted.get((instrument, side), _NO_BRACKETS)
        opened_seq = opened_by.get((instrument, entry_seq), entry_seq)
        first = bisect_right(seqs, opened_seq) - 1
        # A signal in the moment of the exit came after it: the bracket that closed is an older one.
        last = max(first, bisect_left(seqs, exit_seq) - 1)
        known = first >= 0 and seqs[first] == opened_seq
        levels["sl"].append(stops[first] if known else None)
        levels["tp"].append(targets[first] if known else None)
        levels["sl_exit"].append(stops[last] if known else None)
        levels["tp_exit"].append(targets[last] if known else None)
    return {name: column for name, column in levels.items() if any(level is not None for level in column)}


_Bracket = tuple[list[int], list[float | None], list[float | None]]
_NO_BRACKETS: Final[_Bracket] = ([], [], [])


def _brackets(files: RunFiles) -> dict[tuple[str, str], _Bracket]:
    """Return per instrument and side of the position the accepted signals: seq ascending, sl, tp."""
    signals = files.signals
    outcome = signals["outcome"].to_numpy(zero_copy_only=False)
    signals = signals.filter(np.isin(outcome, ["EXECUTED", "RESTING"]))
    found: dict[tuple[str, str], _Bracket] = {}
    rows = zip(*(signals[name].to_pylist() for name in ("seq", "instrument", "side", "sl", "tp")), strict=True)
    for seq, instrument, side, sl, tp in rows:
        if side != "FLAT":
            seqs, stops, targets = found.setdefault((instrument, "LONG" if side == "BUY" else "SHORT"), ([], [], []))
            seqs.append(seq)
            stops.append(sl)
            targets.append(tp)
    return found


def _opening_signals(files: RunFiles) -> dict[tuple[str, int], int]:
    """Return the seq of the signal behind each entry fill, by instrument and the seq of the fill."""
    fills = files.fills
    fills = fills.filter(fills["reason"].to_numpy(zero_copy_only=False) == "ENTRY")
    rows = zip(*(fills[name].to_pylist() for name in ("instrument", "seq", "signal_seq")), strict=True)
    return {(instrument, seq): signal for instrument, seq, signal in rows if signal is not None}
