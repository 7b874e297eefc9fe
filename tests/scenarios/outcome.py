# mypy: disable-error-code="import-not-found"
"""The outcome of a scenario as text: signals, fills, trades, account updates and how the run ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from terms import ReferenceError, Result, Spec, Update
from transcript import MINUTE_NS, MONDAY_NS, Scenario, time_text

Row = tuple[str, ...]

_NUMBERED = re.compile(r"([A-Za-z]+)(\d+)")

ALIKE = 4
"""As many rows that differ only in numbered words, each one more than before, are one row: `a1..a4`."""


def write_outcome(scenario: Scenario, outcome: tuple[Result, Sequence[Update]] | ReferenceError) -> str:
    """Return what stands below the line of dashes. Columns that would say nothing are left out."""
    if isinstance(outcome, ReferenceError):
        return f"error {outcome.code}\n"
    result, updates = outcome
    named = {fill.position_id: fill.position for fill in result.fills}
    specs = {spec.symbol: spec for spec in scenario.specs}
    days = any(event.time_ns >= MONDAY_NS + 1440 * MINUTE_NS for event in scenario.events)

    def at(time_ns: int) -> str:
        return str(time_text(time_ns, with_day=days))

    def level(value: float | None, symbol: str) -> str:
        return "" if value is None else price_text(value, specs[symbol])

    signals = [
        (
            at(row.time_ns),
            row.side,
            row.instrument,
            quantity_text(row.qty),
            level(row.price, row.instrument),
            level(row.sl, row.instrument),
            level(row.tp, row.instrument),
            row.outcome,
            row.reject_reason or "",
        )
        for row in result.signals
    ]
    orders = [
        (
            at(row.time_ns),
            row.client_id,
            row.type if row.kind == "SUBMIT" else row.kind,
            row.side if row.kind == "SUBMIT" else "",
            row.instrument,
            row.position,
            quantity_text(row.qty),
            level(row.price, row.instrument),
            level(row.stop_price, row.instrument),
            level(row.trail, row.instrument),
            "" if row.kind not in ("SUBMIT", "REPLACE") or row.tif == "GTC" else row.tif,
            level(row.sl, row.instrument),
            level(row.tp, row.instrument),
            quantity_text(row.filled_qty) if row.filled_qty else "",
            row.outcome,
            row.reason or "",
        )
        for row in result.orders
    ]
    fills = [
        (
            at(row.time_ns),
            row.client_id or "",
            row.side,
            row.instrument,
            row.position,
            quantity_text(row.qty),
            level(row.price, row.instrument),
            level(row.reference_price, row.instrument) if row.reference_price != row.price else "",
            money_text(row.slippage) if row.slippage else "",
            money_text(row.fee) if row.fee else "",
            row.liquidity,
            row.reason,
            money_text(row.spread_cost) if "costs" in scenario.shows else "",
            str(row.seq) if "seq" in scenario.shows else "",
            "*" if row.path_dependent else "",
        )
        for row in result.fills
    ]
    excursions = "excursions" in scenario.shows
    trades = [
        (
            row.side,
            row.instrument,
            named[position],
            quantity_text(row.qty),
            at(row.entry_time_ns),
            level(row.entry_price, row.instrument),
            at(row.exit_time_ns),
            level(row.exit_price, row.instrument),
            row.exit_reason,
            money_text(row.gross_pnl),
            money_text(row.fees) if row.fees else "",
            money_text(row.funding) if row.funding else "",
            money_text(row.swap) if row.swap else "",
            money_text(row.net_pnl),
            money_text(row.mae) if excursions else "",
            money_text(row.mfe) if excursions else "",
            str(row.bars_held) if excursions else "",
            money_text(row.slippage_cost) if "costs" in scenario.shows else "",
            "*" if row.path_dependent else "",
        )
        for row, position in zip(result.trades, result.trade_positions, strict=True)
    ]
    told = [
        (
            at(update.time_ns),
            update.kind,
            scenario.specs[update.instrument].symbol,
            update.position,
            update.client_id or "",
            update.reject_reason
            or update.cancel_reason
            or ("" if update.amount is None else money_text(update.amount)),
        )
        for update in updates
        if update.kind not in ("FILL", "LIQUIDATION")
    ]
    curve = [
        (
            at(row.time_ns),
            money_text(row.cash),
            money_text(row.equity),
            money_text(row.margin_used),
            money_text(row.exposure_gross),
            money_text(row.exposure_net),
            f"{row.drawdown:.6f}",
        )
        for row in (result.equity if "curve" in scenario.shows else [])
    ]
    held = [
        (
            row.side,
            row.instrument,
            named[position],
            quantity_text(row.qty),
            level(row.entry_price, row.instrument),
            level(row.mark_price, row.instrument),
            money_text(row.unrealised_pnl),
        )
        for row, position in zip(result.open_positions, result.open_position_ids, strict=True)
    ]
    blocks = [
        _table("signals", "time side instrument qty limit sl tp outcome reason", signals),
        _table(
            "orders",
            "time order type side instrument position qty limit stop trail tif sl tp filled outcome reason",
            orders,
        ),
        _table(
            "fills",
            "time order side instrument position qty price raw slippage fee liquidity reason spread seq path",
            fills,
        ),
        _table(
            "trades",
            "side instrument position qty opened entry closed exit reason gross fees funding swap net"
            " mae mfe bars slippage path",
            trades,
        ),
        _table("updates", "time kind instrument position order what", told),
        _table("curve", "time cash equity margin gross net drawdown", curve),
        _table("open", "side instrument position qty entry mark profit", held),
        _end(result),
    ]
    return "\n".join(block for block in blocks if block)


def price_text(price: float, spec: Spec) -> str:
    """Return a price with the decimals of the tick, and more where it is not on the grid."""
    return _decimals(price, places(Fraction(*spec.tick)), 8)


def places(size: Fraction) -> int:
    """Return the decimals of a size."""
    return next(count for count in range(16) if (size * 10**count).denominator == 1)


def quantity_text(qty: float | None) -> str:
    """Return a quantity without needless decimals; nothing for none."""
    return "" if qty is None else _decimals(qty, 0, 8)


def money_text(value: float) -> str:
    """Return money with two to six decimals."""
    return _decimals(value, 2, 6)


def _decimals(value: float, least: int, most: int) -> str:
    text = f"{round(value, most) + 0.0:.{most}f}"
    whole, _, part = text.partition(".")
    part = part[:least] + part[least:].rstrip("0")
    return f"{whole}.{part}" if part else whole


def _end(result: Result) -> str:
    last = result.equity[-1]
    parts = [f"cash {money_text(last.cash)}", f"equity {money_text(last.equity)}"]
    if last.margin_used:
        parts.append(f"margin {money_text(last.margin_used)}")
    counts = result.counts
    for count, words in (
        (counts.rounded, "rounded"),
        (counts.path_dependent_bars, "path dependent"),
        (counts.margin_calls, "margin calls"),
    ):
        if count:
            parts.append(f"{words} {count}")
    return "end\n  " + ", ".join(parts) + "\n"


def _table(title: str, heads: str, rows: Sequence[Row]) -> str:
    """Return a titled table in columns: words to the left, numbers to the right; empty columns are left out."""
    if not rows:
        return ""
    rows = _joined(rows)
    columns = [(head, *cells) for head, *cells in zip(heads.split(), *rows, strict=True) if any(cells)]
    lines = [""] * (len(rows) + 1)
    for column in columns:
        width = max(len(cell) for cell in column)
        number = all(cell[:1].isdigit() or cell[:1] in ("", "-") for cell in column[1:])
        for place, cell in enumerate(column):
            lines[place] += "  " + (cell.rjust(width) if number else cell.ljust(width))
    return "\n".join([title, *(line.rstrip() for line in lines), ""])


def _joined(rows: Sequence[Row]) -> list[Row]:
    """Make one row of several that count up."""
    runs: list[list[Row]] = []
    for row in rows:
        if runs and _counts_up(runs[-1][-1], row):
            runs[-1].append(row)
        else:
            runs.append([row])
    joined: list[Row] = []
    for run in runs:
        ends = zip(run[0], run[-1], strict=True)
        whole = tuple(first if first == last else f"{first}..{last}" for first, last in ends)
        joined += [whole] if len(run) >= ALIKE else run
    return joined


def _counts_up(row: Row, following: Row) -> bool:
    """Return whether two rows are equal but for words whose number is one more in the second."""
    differ = [pair for pair in zip(row, following, strict=True) if pair[0] != pair[1]]
    found = [(_NUMBERED.fullmatch(a), _NUMBERED.fullmatch(b)) for a, b in differ]
    return bool(found) and all(a and b and a[1] == b[1] and int(b[2]) == int(a[2]) + 1 for a, b in found)
