"""From the kernel's outputs to the tables and counts of a finished run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from boxgate_engine.digest import DigestBeside
from boxgate_engine.kernel import records
from boxgate_engine.kernel.fills import unrealised
from boxgate_engine.kernel.grid import grid_value
from boxgate_engine.kernel.records import NO_EXPIRY, UNEXECUTED, Floats, Integers, Records
from boxgate_engine.ledger import build_ledger
from boxgate_engine.metrics.drawdowns import drawdown
from boxgate_engine.order_table import REJECT_REASONS, order_counts, orders_table
from boxgate_engine.simulation import Simulation, raw
from boxgate_engine.tables import Tables, build_table, coded, named, nullable

__all__ = ["REJECT_REASONS", "Results", "finish"]

_OUTCOMES: Final = {
    records.EXECUTED: "EXECUTED",
    records.NO_OP: "NO_OP",
    records.RESTING: "RESTING",
    records.REJECTED: "REJECTED",
    records.UNEXECUTED: "UNEXECUTED",
}
_FILL_REASONS: Final = {
    records.ENTRY: "ENTRY",
    records.SIGNAL: "SIGNAL",
    records.STOP_LOSS: "STOP_LOSS",
    records.TAKE_PROFIT: "TAKE_PROFIT",
    records.LIQUIDATION: "LIQUIDATION",
    records.END: "END",
}
_BLOCK: Final = 1 << 13
"""Records that are taken apart together: few enough to stay in the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """A finished run: its tables, what is still open, and what only the kernel knows. Costs are positive where paid.

    fill_units: contract size times rate at each fill. ledger: as `build_ledger` gives it, if it was asked for. digest:
    its `value()` is the result digest of the tables.
    """

    tables: Tables
    open_positions: list[dict[str, Any]]
    counts: dict[str, int]
    spread_cost: float
    funding_cost: float
    swap_cost: float
    fill_units: Floats
    ledger: pa.Table | None
    digest: DigestBeside


def finish(
    simulation: Simulation,
    *,
    meta: list[str | None] | None = None,
    client_ids: Sequence[str] = (),
    ledger: bool = False,
) -> Results:
    """Decide the outcomes that are still open and return the results.

    meta: in debug, the canonical JSON of each signal or intent in table order. client_ids: in debug the name of each
    order by its number. ledger: with the table of all bookings. Asserts the ledger identity.
    """
    sim = simulation.sim
    account = sim.account[0]
    signals = sim.signals[: int(account["signals"])]
    simulation.decide_outcomes()
    fills = sim.fills[: int(account["fills"])]
    trades = sim.trades[: int(account["trades"])]
    intents = sim.intents[: int(account["intents"])]
    curve = simulation.curve
    _assert_ledger(simulation)
    names = [instrument.symbol for instrument in simulation.instruments]
    digest = DigestBeside(len(curve["time_ns"]))
    made: dict[str, pa.Table] = {}
    steps: list[tuple[str, Callable[[], pa.Table]]] = [
        ("signals", lambda: _signals(signals, names, sim.specs, None if simulation.orders else meta)),
        ("fills", lambda: _fills(fills, names, intents if simulation.orders else signals)),
        ("trades", lambda: _trades(trades, names)),
        ("equity", lambda: _equity(curve)),
        *([("orders", lambda: orders_table(simulation, names, meta, client_ids))] if simulation.orders else []),
    ]
    for name, make in steps:
        made[name] = make()
        digest.add(name, made[name])
    digest.finish()
    tables = Tables(**made)
    counts = {
        "signals": len(signals),
        "no_ops": int(account["no_ops"]),
        "rounded": simulation.rounded,
        "rejected": int((signals["outcome"] == records.REJECTED).sum()),
        "unexecuted": int((signals["outcome"] == UNEXECUTED).sum()),
        **{name: int(account[name]) for name in ("path_dependent_bars", "liquidations", "margin_calls")},
        "funding_stamps": int(account["funding_stamps"]),
        **(order_counts(tables.orders, intents) if tables.orders is not None else {}),
    }
    return Results(
        tables=tables,
        open_positions=_open_positions(simulation),
        counts=counts,
        spread_cost=float(account["spread_sum"]),
        funding_cost=-float(account["funding_sum"]) + 0.0,
        swap_cost=-float(account["swap_sum"]) + 0.0,
        fill_units=fills["unit"].copy(),
        ledger=build_ledger(simulation) if ledger else None,
        digest=digest,
    )


def _assert_ledger(simulation: Simulation) -> None:
    account = simulation.sim.account[0]
    sums = {name: float(account[f"{name}_sum"]) for name in ("gross", "fee", "funding", "swap")}
    expected = simulation.initial_cash + sums["gross"] - sums["fee"] + sums["funding"] + sums["swap"]
    scale = max(abs(expected), simulation.initial_cash, *map(abs, sums.values()))
    difference = abs(float(account["cash"]) - expected)
    assert difference <= 1e-9 * scale, f"ledger identity: cash differs by {difference} from the sum of its movements"


def _signals(rows: Records, names: list[str], specs: Records, meta: list[str | None] | None) -> pa.Table:
    # The kernel takes a moment's signals by instrument; readers find them by event.
    order = np.lexsort((rows["instrument"], rows["seq"]))
    row = _columns(_in_order(rows, order))
    instrument, side = row["instrument"], row["side"]
    columns: dict[str, Any] = {
        "seq": row["seq"],
        "time": row["time_ns"],
        "instrument": coded(instrument, names),
        "side": coded(np.where(side > 0, 0, np.where(side < 0, 1, 2)), ("BUY", "SELL", "FLAT")),
        "qty": nullable((row["lots"] * specs["lot_num"][instrument]) / specs["lot_den"][instrument], side != 0),
        "price": nullable(row["price"], row["price"] > 0),
        "sl": nullable(row["sl"], row["sl"] > 0),
        "tp": nullable(row["tp"], row["tp"] > 0),
        "valid_until_ns": nullable(row["valid_until_ns"], row["valid_until_ns"] != NO_EXPIRY),
        "adjust_only": row["adjust_only"] != 0,
        "outcome": named(row["outcome"], _OUTCOMES),
        "reject_reason": named(row["reason"], REJECT_REASONS),
    }
    if meta is not None:
        columns["meta"] = pa.array([meta[k] for k in order], pa.string())
    return build_table("signals", columns)


def _fills(rows: Records, names: list[str], signals: Records) -> pa.Table:
    row = _columns(rows)
    caused = row["signal"] >= 0
    seq = signals["seq"][np.where(caused, row["signal"], 0)] if len(signals) else np.zeros(len(rows), np.int64)
    return build_table(
        "fills",
        {
            "seq": row["seq"],
            "time": row["time_ns"],
            "instrument": coded(row["instrument"], names),
            "side": coded(np.where(row["direction"] > 0, 0, 1), ("BUY", "SELL")),
            **{name: row[name] for name in ("qty", "price", "reference_price", "fee", "slippage")},
            "liquidity": coded(np.where(row["maker"] > 0, 0, 1), ("MAKER", "TAKER")),
            "reason": named(row["reason"], _FILL_REASONS),
            "signal_seq": nullable(seq, caused),
            "path_dependent": row["path_dependent"] != 0,
        },
    )


def _trades(rows: Records, names: list[str]) -> pa.Table:
    row = _columns(_in_order(rows, np.lexsort((rows["exit_seq"], rows["exit_time_ns"]))))
    same = ("qty", "entry_seq", "entry_time_ns", "entry_price", "exit_seq", "exit_time_ns", "exit_price")
    rest = ("gross_pnl", "fees", "funding", "swap", "slippage_cost", "mae", "mfe", "bars_held")
    return build_table(
        "trades",
        {
            "trade_id": np.arange(1, len(rows) + 1),
            "instrument": coded(row["instrument"], names),
            "side": coded(np.where(row["side"] > 0, 0, 1), ("LONG", "SHORT")),
            **{name: row[name] for name in (*same, *rest)},
            "exit_reason": named(row["reason"], _FILL_REASONS),
            "net_pnl": ((row["gross_pnl"] - row["fees"]) + row["funding"]) + row["swap"],
            "path_dependent": row["path_dependent"] != 0,
        },
    )


def _equity(curve: Mapping[str, npt.NDArray[Any]]) -> pa.Table:
    columns = {"time" if name == "time_ns" else name: column for name, column in curve.items()}
    return build_table("equity", {**columns, "drawdown": drawdown(curve["equity"])})


def _in_order(rows: Records, order: Integers) -> Records:
    ordered: Records = raw(rows)[order].view(rows.dtype)
    return ordered


def _columns(rows: Records) -> dict[str, npt.NDArray[Any]]:
    """Return the fields of records as arrays of shape (n,); all fields have 8 bytes.

    They lie in one piece of memory: the system gives a large one in large pages, and each small page costs a moment.
    """
    fields = rows.dtype.names or ()
    room = np.empty((len(fields), len(rows)), np.int64)
    matrix = rows.view(np.int64).reshape(len(rows), len(fields))
    for start in range(0, len(rows), _BLOCK):
        room[:, start : start + _BLOCK] = matrix[start : start + _BLOCK].T
    return {name: room[k].view(rows.dtype[name]) for k, name in enumerate(fields)}


def _open_positions(simulation: Simulation) -> list[dict[str, Any]]:
    positions = []
    for i, book in enumerate(simulation.sim.book):
        lots = int(book["lots"])
        if lots:
            instrument = simulation.instruments[int(book["instrument"])]
            spec = simulation.sim.specs[i]
            positions.append(
                {
                    "instrument": instrument.symbol,
                    "side": "LONG" if lots > 0 else "SHORT",
                    "qty": grid_value(abs(lots), spec["lot_num"], spec["lot_den"]),
                    "entry_price": float(book["entry_price"]),
                    "mark_price": float(book["mark_bid"] if lots > 0 else book["mark_ask"]),
                    "unrealised_pnl": float(unrealised(simulation.sim.book[i], simulation.sim.specs[i])),
                }
            )
    return positions
