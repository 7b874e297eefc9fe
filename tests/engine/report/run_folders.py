"""Plausible run folders for tests of the page: seeded prices, a crossing of two averages, honest bookkeeping.

Not the engine: a vectorised stand-in that writes the files of a run with their pinned columns.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from boxgate_engine.instruments import Instrument
from boxgate_engine.metrics import Counts, compute_metrics
from boxgate_engine.report import PricePanel
from boxgate_engine.tables import TRADES, Tables, build_table, empty_table

MINUTE_NS = 60_000_000_000
DAY_NS = 1440 * MINUTE_NS
START_NS = 1_704_067_200_000_000_000  # 2024-01-01
RUN_ID = "r_" + "0123456789abcdef" * 2
DIGEST = "sha256:" + "ab" * 32
INITIAL = 100_000.0

Floats = npt.NDArray[np.float64]


@dataclass(kw_only=True)
class Case:
    """A run folder and what else the page is given."""

    folder: Path
    prices: list[PricePanel]
    quality: dict[str, Any]
    instruments: list[Instrument]
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `render_report`."""
        return {
            "run_id": RUN_ID,
            "result_digest": DIGEST,
            "prices": self.prices,
            "quality": self.quality,
            "instruments": self.instruments,
        }


def write_run_folder(
    folder: Path,
    *,
    bars: int,
    symbols: tuple[str, ...] = ("EURUSD",),
    frame_minutes: int = 1,
    fast: int = 60,
    slow: int = 480,
    mode: str = "debug",
    keep_open: bool = False,
    edge: float = 0.0,
    strategy: tuple[str, ...] = ("python", "examples/sma_cross/strategy.py"),
    params: dict[str, Any] | None = None,
) -> Case:
    """Write a run folder. bars: per symbol. fast, slow: averages that cross; edge: drift in favour of the trend."""
    folder.mkdir(parents=True, exist_ok=True)
    frame = {1: "M1", 60: "H1", 1440: "D1"}[frame_minutes]
    panels = [_panel(symbol, frame, frame_minutes, bars, number, edge) for number, symbol in enumerate(symbols)]
    parts = [_trade(panel, frame_minutes, fast, slow, keep_open) for panel in panels]
    trades = sorted(
        (row for part in parts for row in part.trades), key=lambda row: (row["exit_time_ns"], row["exit_seq"])
    )
    for number, row in enumerate(trades, start=1):
        row["trade_id"] = number
    fills = sorted((row for part in parts for row in part.fills), key=lambda row: (row["time"], row["seq"]))
    signals = sorted((row for part in parts for row in part.signals), key=lambda row: (row["seq"], row["instrument"]))
    open_positions = [row for part in parts for row in part.open_positions]

    profit = np.sum([part.profit for part in parts], axis=0)
    equity = np.concatenate([[INITIAL], INITIAL + profit])
    times = np.concatenate([[START_NS], panels[0].time_ns + frame_minutes * MINUTE_NS])
    peak = np.maximum.accumulate(equity)
    drawdown = np.clip(1 - equity / peak, 0.0, 1.0)
    zeros = np.zeros(len(equity))
    exposure = np.concatenate([[0.0], np.sum([part.exposure for part in parts], axis=0)])
    curve = build_table(
        "equity",
        {
            "time": times,
            "equity": equity,
            "cash": equity,
            "unrealised_pnl": zeros,
            "margin_used": exposure / 30,
            "exposure_gross": exposure,
            "exposure_net": exposure,
            "drawdown": drawdown,
        },
    )
    pq.write_table(curve, folder / "equity_curve.parquet", compression="zstd")
    tables = Tables(
        **{
            name: build_table(name, _columns(rows)) if rows else empty_table(name)
            for name, rows in (("fills", fills), ("signals", signals), ("trades", trades))
        },
        equity=curve,
    )
    for name in ("fills", "signals"):
        pq.write_table(tables.table(name), folder / f"{name}.parquet", compression="zstd")
    with (folder / "trades.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(TRADES.names)
        for row in trades:
            writer.writerow([_text(row[name]) for name in TRADES.names])

    params = {"fast": fast, "slow": slow, "qty": 10_000, "exits": True} if params is None else params
    metrics = compute_metrics(
        tables,
        currency="USD",
        initial_cash=INITIAL,
        all_weekend=False,
        counts=Counts(
            events=bars * len(symbols),
            bars=bars * len(symbols),
            warmup_events=528,
            signals=len(signals),
            rounded=3 if trades else 0,
            rejected=sum(row["outcome"] == "REJECTED" for row in signals),
            path_dependent_bars=sum(row["path_dependent"] for row in fills),
            history_restarts=1,
        ),
        spread_cost=sum(row["qty"] * 0.00003 for row in fills),
        open_positions=open_positions,
    )
    config = _config(symbols, frame, times, mode, strategy, params)
    for name, content in (("config", config), ("params", params), ("metrics", metrics)):
        (folder / f"{name}.json").write_text(json.dumps(content, sort_keys=True, indent=2) + "\n", encoding="utf-8")
    quality = {f"{symbol} {frame}": _quality(bars) for symbol in symbols}
    instruments = [
        Instrument(
            symbol=symbol,
            asset_class="forex",
            quote_currency="USD",
            tick_size=Fraction(1, 100_000),
            lot_size=Fraction(1, 100),
        )
        for symbol in symbols
    ]
    return Case(folder=folder, prices=panels, quality=quality, instruments=instruments, metrics=metrics)


@dataclass(kw_only=True)
class _Part:
    """One instrument's share of a run. profit, exposure: shape (bars,), marked at every close."""

    trades: list[dict[str, Any]]
    fills: list[dict[str, Any]]
    signals: list[dict[str, Any]]
    open_positions: list[dict[str, Any]]
    profit: Floats
    exposure: Floats


def _panel(symbol: str, frame: str, frame_minutes: int, bars: int, number: int, edge: float) -> PricePanel:
    rng = np.random.Generator(np.random.Philox(key=20 + number))
    regime = np.repeat(rng.normal(size=bars // 700 + 1), 700)[:bars]
    scale = 0.00006 * math.sqrt(frame_minutes)
    moves = rng.standard_t(5, size=bars) * scale + edge * scale * regime
    level = np.round((1.1 + 0.2 * number) * np.exp(np.cumsum(moves)), 5)
    opens = np.concatenate([[np.round(1.1 + 0.2 * number, 5)], level[:-1]])
    reach = np.abs(rng.normal(size=(2, bars))) * scale * 0.7
    # A market that closes: two days without bars after every five of bars.
    minutes = np.arange(bars, dtype=np.int64) * frame_minutes
    week = 5 * 1440
    time_ns = START_NS + (minutes + minutes // week * 2 * 1440) * MINUTE_NS
    return PricePanel(
        symbol=symbol,
        frame=frame,
        time_ns=time_ns,
        open=opens,
        high=np.round(np.maximum(opens, level) + reach[0], 5),
        low=np.round(np.minimum(opens, level) - reach[1], 5),
        close=level,
    )


def _mean(values: Floats, length: int) -> Floats:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means = np.full(len(values), np.nan)
    if len(values) >= length:
        means[length - 1 :] = (sums[length:] - sums[:-length]) / length
    return means


def _trade(panel: PricePanel, frame_minutes: int, fast: int, slow: int, keep_open: bool) -> _Part:
    qty, half_spread, fee_rate = 60_000.0, 0.00003, 0.00002
    count = len(panel.close)
    difference = _mean(panel.close, fast) - _mean(panel.close, slow)
    side = np.where(np.isnan(difference), 0, np.where(difference > 0, 1, -1))
    turns = np.flatnonzero(np.diff(side) != 0) + 1
    part = _Part(trades=[], fills=[], signals=[], open_positions=[], profit=np.zeros(count), exposure=np.zeros(count))
    entry: tuple[int, int, float] | None = None
    realised = np.zeros(count)
    marked = np.zeros(count)
    for turn in turns.tolist():
        at = turn + 1
        if at >= count or (entry is not None and keep_open and at > count * 0.97):
            break
        direction = int(side[turn])
        stop = round(float(panel.close[turn]) * (1 - direction * 0.004), 5)
        target = round(float(panel.close[turn]) * (1 + direction * 0.009), 5)
        rejected = turn % 17 == 0
        part.signals.append(_signal(panel, turn, frame_minutes, direction, qty, stop, target, rejected))
        if rejected:
            continue
        if entry is not None:
            _close(part, panel, entry, at, qty, half_spread, fee_rate, realised, marked)
        price = round(float(panel.open[at]) + direction * half_spread, 5)
        entry = (at, direction, price)
        realised[at:] -= price * qty * fee_rate
        part.fills.append(_fill(panel, at, direction, qty, price, fee_rate, "ENTRY", turn))
    if entry is not None and keep_open:
        at, direction, price = entry
        marked[at:] = direction * (panel.close[at:] - price) * qty
        part.open_positions.append(
            {
                "instrument": panel.symbol,
                "side": "LONG" if direction > 0 else "SHORT",
                "qty": qty,
                "entry_price": price,
                "mark_price": float(panel.close[-1]),
                "unrealised_pnl": float(marked[-1]),
            }
        )
    elif entry is not None and entry[0] < count - 1:
        _close(part, panel, entry, count - 1, qty, half_spread, fee_rate, realised, marked)
    part.profit = realised + marked
    part.exposure = np.where(marked != 0, panel.close * qty, 0.0)
    return part


def _close(
    part: _Part,
    panel: PricePanel,
    entry: tuple[int, int, float],
    at: int,
    qty: float,
    half_spread: float,
    fee_rate: float,
    realised: Floats,
    marked: Floats,
) -> None:
    start, direction, price = entry
    level_sl, level_tp = price * (1 - direction * 0.004), price * (1 + direction * 0.009)
    inside = slice(start, at)
    worst = panel.low[inside] if direction > 0 else panel.high[inside]
    best = panel.high[inside] if direction > 0 else panel.low[inside]
    hits_sl = np.flatnonzero(direction * (worst - level_sl) <= 0)
    hits_tp = np.flatnonzero(direction * (best - level_tp) >= 0)
    stopped = int(hits_sl[0]) if len(hits_sl) else at - start
    reached = int(hits_tp[0]) if len(hits_tp) else at - start
    end = min(at, start + min(stopped, reached))
    reason = "SIGNAL" if end == at else "STOP_LOSS" if stopped <= reached else "TAKE_PROFIT"
    exits = {"SIGNAL": float(panel.open[end]) - direction * half_spread, "STOP_LOSS": level_sl, "TAKE_PROFIT": level_tp}
    leave = round(exits[reason], 5)
    gross = direction * (leave - price) * qty
    fee = (price + leave) * qty * fee_rate
    depends = stopped == reached and reason != "SIGNAL"
    marked[start:end] = direction * (panel.close[start:end] - price) * qty
    realised[end:] += gross - leave * qty * fee_rate
    held = slice(start, end + 1)
    part.fills.append(_fill(panel, end, -direction, qty, leave, fee_rate, reason, None, depends))
    part.trades.append(
        {
            "trade_id": 0,
            "instrument": panel.symbol,
            "side": "LONG" if direction > 0 else "SHORT",
            "qty": qty,
            "entry_seq": start,
            "entry_time_ns": int(panel.time_ns[start]),
            "entry_price": price,
            "exit_seq": end,
            "exit_time_ns": int(panel.time_ns[end]),
            "exit_price": leave,
            "exit_reason": reason,
            "gross_pnl": gross,
            "fees": fee,
            "funding": 0.0,
            "swap": 0.0,
            "net_pnl": gross - fee,
            "slippage_cost": qty * 0.00001,
            "mae": min(0.0, float((direction * (worst_of(panel, held, direction) - price)) * qty)),
            "mfe": max(0.0, float((direction * (best_of(panel, held, direction) - price)) * qty)),
            "bars_held": end - start,
            "path_dependent": depends,
        }
    )


def worst_of(panel: PricePanel, held: slice, direction: int) -> float:
    """Return the price that was worst for a position."""
    return float(panel.low[held].min() if direction > 0 else panel.high[held].max())


def best_of(panel: PricePanel, held: slice, direction: int) -> float:
    """Return the price that was best for a position."""
    return float(panel.high[held].max() if direction > 0 else panel.low[held].min())


def _fill(
    panel: PricePanel,
    at: int,
    direction: int,
    qty: float,
    price: float,
    fee_rate: float,
    reason: str,
    signal_seq: int | None,
    depends: bool = False,
) -> dict[str, Any]:
    return {
        "seq": at,
        "time": int(panel.time_ns[at]),
        "instrument": panel.symbol,
        "side": "BUY" if direction > 0 else "SELL",
        "qty": qty,
        "price": price,
        "reference_price": price,
        "fee": price * qty * fee_rate,
        "slippage": qty * 0.00001,
        "liquidity": "TAKER",
        "reason": reason,
        "signal_seq": signal_seq,
        "path_dependent": depends,
    }


def _signal(
    panel: PricePanel,
    at: int,
    frame_minutes: int,
    direction: int,
    qty: float,
    stop: float,
    target: float,
    rejected: bool,
) -> dict[str, Any]:
    return {
        "seq": at,
        "time": int(panel.time_ns[at]) + frame_minutes * MINUTE_NS,
        "instrument": panel.symbol,
        "side": "BUY" if direction > 0 else "SELL",
        "qty": qty,
        "price": None,
        "sl": stop,
        "tp": target,
        "valid_until_ns": None,
        "adjust_only": False,
        "outcome": "REJECTED" if rejected else "EXECUTED",
        "reject_reason": "INSUFFICIENT_MARGIN" if rejected else None,
    }


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    for name in {"time", "entry_time_ns", "exit_time_ns"} & set(columns):
        columns[name] = np.array(columns[name], dtype=np.int64)
    return columns


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)


def _config(
    symbols: tuple[str, ...],
    frame: str,
    times: npt.NDArray[np.int64],
    mode: str,
    strategy: tuple[str, ...],
    params: dict[str, Any],
) -> dict[str, Any]:
    start_ns, end_ns = int(times[0]), int(times[-1])
    execution = {"path": "pessimistic", "series": None, "close_at_end": False}
    account = {"currency": "USD", "cash": INITIAL, "leverage": 30, "type": "margin"}
    costs = {"fees_bps": 0.2, "slippage_bps": 0.1, "spread": "data"}
    warmup = {"policy": "auto", "min_bars": 0, "safety_margin": 0.10}
    return {
        "schema": "boxgate.config/1",
        "identity": {
            "contract": "1",
            "engine": "0.1.0",
            "strategy": {"digest": "sha256:" + "cd" * 32, "params": params},
            "dataset": "9f" * 32,
            "instruments": list(symbols),
            "frames": [frame],
            "window": {"start_ns": str(start_ns), "end_ns": str(end_ns)},
            "account": account,
            "costs": costs,
            "execution": execution,
            "warmup": warmup,
            "master_seed": 1337,
            "mode": mode,
        },
        "resolved": {
            "strategy": {"command": list(strategy), "params": params, "sources": []},
            "dataset": "9f" * 32,
            "instruments": list(symbols),
            "frames": [frame],
            "window": {"start": "2024-01-01T00:00:00Z", "end": "2024-12-31T00:00:00Z"},
            "account": account,
            "costs": costs,
            "execution": execution,
            "warmup": warmup,
            "mode": mode,
            "determinism": {"master_seed": 1337},
        },
    }


def _quality(bars: int) -> dict[str, Any]:
    return {
        "price_basis": "BID",
        "rows": bars,
        "first_ns": START_NS,
        "source": "synthetic, seed 7",
        "licence": "CC0-1.0",
        "digest": "ef" * 32,
        "quality": {
            "counts": {"duplicates_dropped": 0, "out_of_order": 0, "crossed_quotes": 2},
            "complete": True,
            "gap_share": 0.0021,
            "gaps": [
                {"from_ns": START_NS + 5 * DAY_NS, "to_ns": START_NS + 7 * DAY_NS, "kind": "weekend"},
                {"from_ns": START_NS + 9 * DAY_NS, "to_ns": START_NS + 9 * DAY_NS + 900 * MINUTE_NS, "kind": "hole"},
            ],
        },
    }
