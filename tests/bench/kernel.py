"""Measure the kernel beside a bare loop over arrays of the same rules; prints one JSON object.

    python tests/bench/kernel.py [--bars 1000000] [--rounds 5]

One instrument, bars with bid and ask, targets by market and limit with brackets, slippage and fee in bps, margin, the
pessimistic path. The bare loop below knows nothing else: no queue, no other instruments, no ticks, no outcomes. Both
are compiled, run in turn in one process, and must make the same trades and the same equity to the last bit.
"""

from __future__ import annotations

import argparse
import json
import time
from fractions import Fraction
from typing import Any

import numpy as np
from numba import njit

from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.records import QUOTE, Quotes
from boxgate_engine.rules import AccountRules, TradingCosts
from boxgate_engine.signal_intake import BUY, FLAT, RAW_SIGNAL, SELL, take_signals
from boxgate_engine.simulation import Simulation

MINUTE_NS = 60_000_000_000
TICKS = 100_000.0
LOT = 1_000.0
SPREAD = 8
CASH, LEVERAGE, FEE_BPS, SLIPPAGE_BPS = 500_000.0, 30.0, 0.3, 0.2
CHUNK = 65_536

# Columns of the bare loop's outputs.
TRADE = ("qty", "entry_price", "exit_price", "gross_pnl", "fees", "slippage_cost", "mae", "mfe", "path_dependent")
EQUITY = ("equity", "cash", "unrealised_pnl", "margin_used", "exposure_gross", "exposure_net")

# State of the bare loop.
LOTS, ENTRY, FEES, SLIPS, SL, TP, LOW, HIGH, PATH, CASH_NOW, LIVE, ASKED, PRICE, ASKED_SL, ASKED_TP = range(15)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the kernel beside a bare loop of the same rules.")
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    shapes = {"quiet": 2_000, "busy": 50}
    print(json.dumps({name: _measure(arguments.bars, arguments.rounds, every) for name, every in shapes.items()}))


def _measure(bars: int, rounds: int, every: int) -> dict[str, Any]:
    """Return the seconds of both on bars with a signal each `every` bars on average."""
    prices, signals = _tape(bars, every)
    bare_s, kernel_s = [], []
    _bare(prices[:64], signals[:64])
    _kernel(prices[:64], signals[:64])
    for _ in range(rounds):
        started = time.perf_counter()
        trades, count, equity, path_dependent = _bare(prices, signals)
        bare_s.append(time.perf_counter() - started)
        simulation, seconds = _kernel(prices, signals)
        kernel_s.append(seconds)
    account = simulation.sim.account[0]
    assert int(account["trades"]) == count > 0
    assert int(account["path_dependent_bars"]) == path_dependent
    for k, name in enumerate(TRADE):
        assert np.array_equal(simulation.sim.trades[name][:count], trades[:count, k]), name
    for k, name in enumerate(EQUITY):
        assert np.array_equal(simulation.curve[name][1 : bars + 1], equity[:, k]), name
    bare, kernel = min(bare_s), min(kernel_s)
    return {
        "bars": bars,
        "signals": int((signals[:, 0] > -2).sum()),
        "trades": count,
        "bare_s": round(bare, 4),
        "kernel_s": round(kernel, 4),
        "bare_ns_per_bar": round(bare / bars * 1e9, 1),
        "kernel_ns_per_bar": round(kernel / bars * 1e9, 1),
        "ratio": round(kernel / bare, 2),
        "speed_ratios": [round(b / k, 3) for b, k in zip(bare_s, kernel_s, strict=True)],
    }


def _tape(bars: int, every: int) -> tuple[np.ndarray, np.ndarray]:
    """Return bars (bid then ask of open, high, low, close) and per bar a signal: side or -2, lots, price, sl, tp."""
    rng = np.random.Generator(np.random.Philox(1))
    close = 110_000 + np.cumsum(rng.integers(-12, 13, bars)) % 20_000
    opened = np.concatenate([close[:1], close[:-1]]) + rng.integers(-2, 3, bars)
    high = np.maximum(opened, close) + rng.integers(0, 9, bars)
    low = np.minimum(opened, close) - rng.integers(0, 9, bars)
    bid = np.stack([opened, high, low, close], axis=1)
    side = np.where(rng.random(bars) < 1 / every, rng.integers(-1, 2, bars), -2)
    lots = rng.integers(1, 300, bars)
    limit = rng.random(bars) < 0.4
    reference = close - side * rng.integers(0, 30, bars) * limit
    sl = reference - side * rng.integers(20, 150, bars)
    tp = reference + side * rng.integers(20, 150, bars)
    traded = (side == 1) | (side == -1)
    signals = np.stack(
        [
            side,
            np.where(traded, lots, 0),
            np.where(traded & limit, reference / TICKS, 0.0),
            np.where(traded, sl / TICKS, 0.0),
            np.where(traded, tp / TICKS, 0.0),
        ],
        axis=1,
    ).astype(np.float64)
    return np.concatenate([bid, bid + SPREAD], axis=1) / TICKS, signals


def _kernel(prices: np.ndarray, signals: np.ndarray) -> tuple[Simulation, float]:
    """Return the simulation after the tape, and the seconds that stepping over it took."""
    instrument = Instrument(
        symbol="EURUSD",
        asset_class="forex",
        quote_currency="USD",
        tick_size=Fraction(1, int(TICKS)),
        lot_size=Fraction(int(LOT)),
    )
    rules = AccountRules(
        cash=CASH,
        leverage=LEVERAGE,
        costs=TradingCosts(maker_bps=FEE_BPS, taker_bps=FEE_BPS, slippage=SLIPPAGE_BPS),
    )
    bars = len(prices)
    events = np.zeros(bars, QUOTE)
    events["seq"] = np.arange(bars)
    events["open_ns"] = np.arange(bars) * MINUTE_NS
    events["time_ns"] = events["open_ns"] + MINUTE_NS
    events["execution"] = 1
    for k, name in enumerate(
        f"{basis}_{point}" for basis in ("bid", "ask") for point in ("open", "high", "low", "close")
    ):
        events[name] = prices[:, k]
    at = np.flatnonzero(signals[:, 0] > -2)
    raw = np.zeros(len(at), RAW_SIGNAL)
    raw["event"] = at
    raw["side"] = np.choose(signals[at, 0].astype(int) + 1, (SELL, FLAT, BUY))
    raw["has_qty"] = raw["has_sl"] = raw["has_tp"] = signals[at, 0] != 0
    raw["qty"] = signals[at, 1] * LOT
    raw["has_price"] = signals[at, 2] > 0
    for k, name in enumerate(("price", "sl", "tp"), start=2):
        raw[name] = signals[at, k]
    simulation = Simulation([instrument], rules, start_ns=0, moments=bars)
    taken, _, _ = take_signals(
        raw, simulation.specs, [instrument], seq=np.arange(bars), moment=np.arange(bars, dtype=np.int64)
    )
    seconds = 0.0
    for first in range(0, bars, CHUNK):
        end = min(first + CHUNK, bars)
        quotes = Quotes(events[first:end], np.arange(end - first + 1), np.ones(end - first, np.uint8))
        answers = taken[(taken["event"] >= first) & (taken["event"] < end)]
        answers["event"] -= first
        started = time.perf_counter()
        simulation.advance(quotes, answers, 0, end - first)
        seconds += time.perf_counter() - started
    return simulation, seconds


@njit(cache=True)
def _bare(prices: np.ndarray, signals: np.ndarray) -> tuple[np.ndarray, int, np.ndarray, int]:
    bars = prices.shape[0]
    equity = np.empty((bars, 6))
    trades = np.empty((3 * bars + 8, 9))
    fills = np.empty((16, 4))
    kept = np.empty((16, 4))
    now = np.zeros(15)
    before = np.zeros(15)
    now[CASH_NOW] = CASH
    made = 0
    path_dependent = 0
    for b in range(bars):
        bar = prices[b]
        if b > 0 and signals[b - 1, 0] > -2:
            signal = signals[b - 1]
            now[LIVE] = 1.0
            now[ASKED] = signal[0] * signal[1]
            now[PRICE], now[ASKED_SL], now[ASKED_TP] = signal[2], signal[3], signal[4]
            if now[LOTS] * now[ASKED] > 0.0:
                now[SL], now[TP] = signal[3], signal[4]
        bid = bar[0]
        ask = bar[4]
        _touch(now, bid, ask)
        rest = now[ASKED] - now[LOTS] if now[LIVE] else 0.0
        if rest != 0.0 and now[PRICE] == 0.0:
            made, _ = _reduce(now, ask if rest > 0.0 else bid, bid, ask, True, trades, made, fills, 0)
        if now[LOTS] != 0.0:
            raw = bid if now[LOTS] > 0.0 else ask
            kind = _hit(now, bid, ask)
            if 0 < kind < 3:
                made, _ = _exit(now, kind, raw, bid, ask, trades, made, fills, 0)
        rest = now[ASKED] - now[LOTS] if now[LIVE] else 0.0
        if rest != 0.0:
            raw = ask if rest > 0.0 else bid
            market = now[PRICE] == 0.0
            if market or (raw <= now[PRICE] if rest > 0.0 else raw >= now[PRICE]):
                made, _ = _reduce(now, raw, bid, ask, market, trades, made, fills, 0)
                _increase(now, raw, bid, ask, market, fills, 0)
        if _in_range(now, bar):
            before[:] = now
            first = made
            made, count = _walk(now, bar, False, trades, made, fills)
            low_value = now[CASH_NOW] + _profit(now, bar[3], bar[7])
            low_count = count
            kept[:count] = fills[:count]
            now[:] = before
            made, count = _walk(now, bar, True, trades, first, fills)
            differ = count != low_count or not np.array_equal(kept[:count], fills[:count])
            if not now[CASH_NOW] + _profit(now, bar[3], bar[7]) < low_value:
                now[:] = before
                made, count = _walk(now, bar, False, trades, first, fills)
            if differ:
                path_dependent += 1
                for row in range(first, made):
                    trades[row, 8] = 1.0
                for row in range(count):
                    if fills[row, 3] == 0.0 and now[LOTS] != 0.0:
                        now[PATH] = 1.0
        else:
            _touch(now, bar[2], bar[6])
            _touch(now, bar[1], bar[5])
        profit = _profit(now, bar[3], bar[7])
        notional = (abs(now[LOTS]) * LOT) * (bar[3] if now[LOTS] > 0.0 else bar[7])
        equity[b, 0] = now[CASH_NOW] + profit
        equity[b, 1] = now[CASH_NOW]
        equity[b, 2] = profit
        equity[b, 3] = notional / LEVERAGE
        equity[b, 4] = notional
        equity[b, 5] = notional if now[LOTS] > 0.0 else -notional
    return trades, made, equity, path_dependent


@njit(cache=True)
def _walk(
    now: np.ndarray, bar: np.ndarray, high_first: bool, trades: np.ndarray, made: int, fills: np.ndarray
) -> tuple[int, int]:
    """Lead the current point along one path; returns (trades made, fills of this walk)."""
    count = 0
    point = 0
    s = 0.0
    bid = bar[0]
    ask = bar[4]
    while True:
        kind = _hit(now, bid, ask)
        if kind:
            made, count = _fire(now, kind, 0.0, bid, ask, trades, made, fills, count)
            continue
        if point == 3:
            return made, count
        start = 0 if point == 0 else (point if high_first else 3 - point)
        end = 3 if point == 2 else (point + 1 if high_first else 2 - point)
        best = 2.0
        level = 0.0
        for candidate in (1, 2, 3):
            goal, buys, falling = _level(now, candidate)
            side = 4 if buys else 0
            if goal > 0.0 and (bar[end + side] <= goal if falling else bar[end + side] >= goal):
                at = max((goal - bar[start + side]) / (bar[end + side] - bar[start + side]), s)
                if at < best:
                    best = at
                    kind = candidate
                    level = goal
        if kind:
            s = best
            bid = bar[start] + (bar[end] - bar[start]) * s
            ask = bar[start + 4] + (bar[end + 4] - bar[start + 4]) * s
            if _level(now, kind)[1]:
                ask = level
            else:
                bid = level
            made, count = _fire(now, kind, level, bid, ask, trades, made, fills, count)
            continue
        point += 1
        s = 0.0
        bid = bar[end]
        ask = bar[end + 4]
        _touch(now, bid, ask)


@njit(cache=True)
def _fire(
    now: np.ndarray,
    kind: int,
    level: float,
    bid: float,
    ask: float,
    trades: np.ndarray,
    made: int,
    fills: np.ndarray,
    count: int,
) -> tuple[int, int]:
    raw = level if level > 0.0 else (ask if _level(now, kind)[1] else bid)
    if kind < 3:
        return _exit(now, kind, raw, bid, ask, trades, made, fills, count)
    made, count = _reduce(now, raw, bid, ask, False, trades, made, fills, count)
    return made, _increase(now, raw, bid, ask, False, fills, count)


@njit(cache=True)
def _level(now: np.ndarray, kind: int) -> tuple[float, bool, bool]:
    """Return level or 0.0, whether it buys and whether it waits for a fall; 1 stop loss, 2 take profit, 3 limit."""
    if kind == 3:
        rest = now[ASKED] - now[LOTS] if now[LIVE] else 0.0
        return (now[PRICE] if rest != 0.0 else 0.0), rest > 0.0, rest > 0.0
    long = now[LOTS] > 0.0
    return (now[SL if kind == 1 else TP] if now[LOTS] != 0.0 else 0.0), not long, long == (kind == 1)


@njit(cache=True)
def _hit(now: np.ndarray, bid: float, ask: float) -> int:
    """Return the first order that the current point has reached, 0 for none."""
    for kind in (1, 2, 3):
        level, buys, falling = _level(now, kind)
        price = ask if buys else bid
        if level > 0.0 and (price <= level if falling else price >= level):
            return kind
    return 0


@njit(cache=True)
def _in_range(now: np.ndarray, bar: np.ndarray) -> bool:
    for kind in (1, 2, 3):
        level, buys, falling = _level(now, kind)
        side = 4 if buys else 0
        if level > 0.0 and (bar[2 + side] <= level if falling else bar[1 + side] >= level):
            return True
    return False


@njit(cache=True)
def _exit(
    now: np.ndarray,
    kind: int,
    raw: float,
    bid: float,
    ask: float,
    trades: np.ndarray,
    made: int,
    fills: np.ndarray,
    count: int,
) -> tuple[int, int]:
    held = now[LOTS]
    _close(now, abs(held), raw, bid, ask, kind == 1, trades, made, fills, count, float(kind))
    if now[LIVE] and now[ASKED] * held >= 0.0:
        now[LIVE] = 0.0
    return made + 1, count + 1


@njit(cache=True)
def _reduce(
    now: np.ndarray,
    raw: float,
    bid: float,
    ask: float,
    slips: bool,
    trades: np.ndarray,
    made: int,
    fills: np.ndarray,
    count: int,
) -> tuple[int, int]:
    rest = now[ASKED] - now[LOTS] if now[LIVE] else 0.0
    if rest * now[LOTS] >= 0.0:
        return made, count
    _close(now, min(abs(rest), abs(now[LOTS])), raw, bid, ask, slips, trades, made, fills, count, 3.0)
    return made + 1, count + 1


@njit(cache=True)
def _close(
    now: np.ndarray,
    lots: float,
    raw: float,
    bid: float,
    ask: float,
    slips: bool,
    trades: np.ndarray,
    made: int,
    fills: np.ndarray,
    count: int,
    reason: float,
) -> None:
    long = now[LOTS] > 0.0
    qty = lots * LOT
    held = abs(now[LOTS]) * LOT
    price = _price(raw, not long, slips)
    gross = (price - now[ENTRY] if long else now[ENTRY] - price) * qty
    fee = (price * qty) * FEE_BPS / 10000.0
    slippage = abs(price - raw) * qty
    whole = lots == abs(now[LOTS])
    fee_share = now[FEES] if whole else now[FEES] * qty / held
    slip_share = now[SLIPS] if whole else now[SLIPS] * qty / held
    _touch(now, bid, ask)
    now[CASH_NOW] = (now[CASH_NOW] + gross) - fee
    worst = now[LOW] - now[ENTRY] if long else now[ENTRY] - now[HIGH]
    best = now[HIGH] - now[ENTRY] if long else now[ENTRY] - now[LOW]
    row = trades[made]
    row[0], row[1], row[2], row[3] = qty, now[ENTRY], price, gross
    row[4], row[5] = fee_share + fee, slip_share + slippage
    row[6], row[7], row[8] = min(0.0, worst * qty), max(0.0, best * qty), now[PATH]
    fills[count, 0], fills[count, 1], fills[count, 2], fills[count, 3] = long, lots, price, reason
    if whole:
        now[:CASH_NOW] = 0.0
    else:
        now[LOTS] += -lots if long else lots
        now[FEES] -= fee_share
        now[SLIPS] -= slip_share


@njit(cache=True)
def _increase(now: np.ndarray, raw: float, bid: float, ask: float, slips: bool, fills: np.ndarray, count: int) -> int:
    rest = now[ASKED] - now[LOTS] if now[LIVE] else 0.0
    if rest == 0.0:
        return count
    buys = rest > 0.0
    qty = abs(rest) * LOT
    price = _price(raw, buys, slips)
    fee = (price * qty) * FEE_BPS / 10000.0
    after = abs(now[LOTS] + rest) * LOT
    entry = price
    if now[LOTS] != 0.0:
        entry = (now[ENTRY] * (abs(now[LOTS]) * LOT) + price * qty) / after
    profit = (price - entry if buys else entry - price) * after
    if (after * price) / LEVERAGE > (now[CASH_NOW] - fee) + profit:
        now[LIVE] = 0.0
        return count
    now[CASH_NOW] -= fee
    if now[LOTS] == 0.0:
        now[LOW] = now[HIGH] = bid if buys else ask
    now[LOTS] += rest
    now[ENTRY] = entry
    now[FEES] += fee
    now[SLIPS] += abs(price - raw) * qty
    now[SL], now[TP] = now[ASKED_SL], now[ASKED_TP]
    _touch(now, bid, ask)
    fills[count, 0], fills[count, 1], fills[count, 2], fills[count, 3] = buys, abs(rest), price, 0.0
    return count + 1


@njit(cache=True)
def _price(raw: float, buys: bool, slips: bool) -> float:
    """Return the raw price with slippage, on the grid against the trader."""
    price = raw
    if slips:
        price = raw * (1.0 + SLIPPAGE_BPS / 10000.0) if buys else raw * (1.0 - SLIPPAGE_BPS / 10000.0)
    n = np.rint(price * TICKS)
    if buys:
        while n / TICKS < price:
            n += 1.0
        while (n - 1.0) / TICKS >= price:
            n -= 1.0
    else:
        while n / TICKS > price:
            n -= 1.0
        while (n + 1.0) / TICKS <= price:
            n += 1.0
    return float(n / TICKS)


@njit(cache=True)
def _touch(now: np.ndarray, bid: float, ask: float) -> None:
    if now[LOTS] != 0.0:
        price = bid if now[LOTS] > 0.0 else ask
        now[LOW] = min(now[LOW], price)
        now[HIGH] = max(now[HIGH], price)


@njit(cache=True)
def _profit(now: np.ndarray, bid: float, ask: float) -> float:
    if now[LOTS] == 0.0:
        return 0.0
    qty = abs(now[LOTS]) * LOT
    return float((bid - now[ENTRY]) * qty if now[LOTS] > 0.0 else (now[ENTRY] - ask) * qty)


if __name__ == "__main__":
    main()
