"""The summary of a finished run: a table on a terminal, aligned lines elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from boxgate_server.cli.answer import line, visible
from boxgate_server.cli.numerals import count, duration, money, percent, rate, ratio
from boxgate_server.outcome import Finished

_PUBLISHED: Final = {
    "new": "new",
    "kept": "kept: the same result was there already",
    "reused": "reused: nothing was computed",
}

_REMARKS: Final = {
    "rejected": "rejected",
    "orders_rejected": "rejected",
    "unexecuted": "unexecuted",
    "orders_filled": "filled",
    "orders_cancelled": "cancelled",
    "orders_expired": "expired",
    "changes_refused": "changes refused",
    "rounded": "rounded",
}
"""Counts that the line of the signals or orders tells, those of rejections first."""

Rows = Sequence[tuple[str, str]]


def summary_rows(finished: Finished) -> Rows:
    """Return (name, value) of everything that a person wants to know first."""
    metrics, timing = finished.metrics, finished.timing_s
    currency, counts = metrics["currency"], metrics["counts"]
    gained, held = metrics["return"], metrics["open_positions"]
    profit = f"{money(gained['net_profit'], currency, signed=True)} ({percent(gained['total'], signed=True)})"
    speed = "" if finished.events_per_s is None else f" ({rate(finished.events_per_s)})"
    phases = (("start", "start"), ("engine", "engine"), ("sidecar_wait", "strategy"), ("artefacts", "artefacts"))
    parts = ", ".join(f"{title} {duration(timing[name])}" for name, title in phases)
    rows = [
        ("run", finished.run_id),
        ("result", finished.result_digest),
        ("published", _PUBLISHED[finished.published]),
        ("events", f"{count(counts['events'])}{speed}"),
        _decisions(finished),
        ("trades", ", ".join([count(metrics["trades"]["count"]), *_force(counts)])),
        ("net profit", profit),
        ("CAGR", percent(gained["cagr"], signed=True)),
        ("Sharpe", ratio(metrics["ratio"]["sharpe"])),
        ("max drawdown", percent(metrics["risk"]["max_drawdown"])),
        ("fees", money(metrics["costs"]["fees"], currency)),
        *((name, money(paid, currency)) for name in ("funding", "swap") if (paid := metrics["costs"].get(name))),
        ("round trips", f"{count(finished.delivery['round_trips'])} ({finished.delivery['mode']})"),
        ("time", f"{duration(timing['total'])} ({parts})"),
        ("folder", str(finished.folder)),
    ]
    bands = finished.bands
    if bands is not None:
        low, high = (money(value, currency, signed=True) for value in bands["all"]["net_profit"])
        deciding = f"{count(bands['deciding_bars'])} of {count(bands['bars'])} bars hang on the path"
        rows.insert(7, ("band", f"{low} to {high}: {len(bands['variants'])} assumptions, {deciding}"))
    if held:
        rows.insert(6, ("open at the end", ", ".join(_open(held))))
    if finished.report is not None:
        rows.append(("report", str(finished.report)))
    return rows


def _open(positions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is open by instrument and side; a strategy may hold many positions of each."""
    found: dict[tuple[str, str], list[float]] = {}
    for one in positions:
        found.setdefault((one["instrument"], one["side"].lower()), []).append(one["qty"])
    return [
        f"{side} {math.fsum(qty):,g} {symbol}{f' in {len(qty)} positions' if len(qty) > 1 else ''}"
        for (symbol, side), qty in found.items()
    ]


def nothing_traded(finished: Finished) -> str | None:
    """Return a warning if there were signals or orders but not one fill, else None."""
    counts = finished.metrics["counts"]
    made = counts["signals"] or counts.get("orders", 0)
    if not made or finished.fills:
        return None
    remarks = _remarks(finished) or ["none of them asked for a trade, or no order was filled"]
    return f"warning: nothing was traded: {count(made)} {_decisions(finished)[0]}, {', '.join(remarks)}"


def _decisions(finished: Finished) -> tuple[str, str]:
    """Return the line of the signals, or of the orders of a strategy that has its own."""
    counts = finished.metrics["counts"]
    name = "orders" if counts.get("orders") else "signals"
    return name, ", ".join([count(counts[name]), *_remarks(finished)])


def _force(counts: Mapping[str, int]) -> list[str]:
    """Return how often positions were liquidated and the account called."""
    return [
        f"{count(counts[name])} {one if counts[name] == 1 else f'{one}s'}"
        for name, one in (("liquidations", "liquidation"), ("margin_calls", "margin call"))
        if counts.get(name)
    ]


def _remarks(finished: Finished) -> list[str]:
    """Return what became of signals or orders: how many were rejected and why, not executed, rounded and so on."""
    counts = finished.metrics["counts"]
    remarks = [f"{count(counts[name])} {told}" for name, told in _REMARKS.items() if counts.get(name)]
    if finished.rejections:
        remarks[0] += f" ({', '.join(f'{reason} {count(n)}' for reason, n in finished.rejections.items())})"
    return remarks


def show_rows(console: Console, rows: Rows) -> None:
    """Print names and values side by side."""
    if console.is_terminal:
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(name), Text(visible(value)))
        console.print(table)
        return
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        line(console, f"{name:<{width}}  {visible(value)}")
