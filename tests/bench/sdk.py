"""The sidecar without its transport: what one event costs between the bytes of a window and those of its answer.

Four sessions of seeded data: `sma_cross` bar by bar and by windows, `tick_momentum`, and a strategy that reads its
account at every bar and changes its target about once in 50. Windows are serialised beforehand, so what is measured is
decoding, the events, the strategy and the encoding of its answers. CPU time, the least of `--repeats`. Prints JSON.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from boxgate_proto.strategy.v1 import account_pb2, instrument_pb2, signal_pb2, strategy_pb2, window_pb2
from boxgate_sdk import Bar, Signal, Strategy, _contract
from boxgate_sdk._session import Session
from boxgate_sdk._wire import Window, decode_request

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MINUTE_NS = 60_000_000_000
START_NS = 1_577_836_800_000_000_000
FEEDBACK_BARS = 50
"""Bars that a window of the feedback session has, and bars between two changes of its target."""


class Holder(Strategy):
    """Reads the account at every bar, and holds or does not hold for 50 bars each."""

    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",)

    def on_event(self, event: Bar) -> Signal | None:
        held = event.symbol in self.ctx.account.positions
        if event.seq % FEEDBACK_BARS != FEEDBACK_BARS - 1:
            return None
        return Signal.flat() if held else Signal.buy(1000.0)


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500_000)
    parser.add_argument("--window-events", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--case", choices=("bar", "vector", "ticks", "feedback"), action="append")
    arguments = parser.parse_args()
    cases: dict[str, Callable[[int, int], Callable[[], int]]] = {
        "bar": lambda events, window: _crossing("bar", events, window),
        "vector": lambda events, window: _crossing("vector", events, window),
        "ticks": _ticks,
        "feedback": lambda events, _: _feedback(events),
    }
    found: dict[str, object] = {"events": arguments.events, "window_events": arguments.window_events}
    for name in arguments.case or cases:
        run = cases[name](arguments.events, arguments.window_events)
        seconds = []
        for _ in range(arguments.repeats):
            gc.collect()
            begin = time.process_time()
            answered = run()
            seconds.append(time.process_time() - begin)
        found[name] = {"ns_per_event": round(min(seconds) / arguments.events * 1e9, 1), "answer_bytes": answered}
    print(json.dumps({**found, "python": sys.version.split()[0]}, indent=2))


def _crossing(form: str, events: int, window_events: int) -> Callable[[], int]:
    strategy_class = _example("sma_cross", "SmaCross")
    granted = ("VECTOR",) if form == "vector" else ()
    windows = list(_bar_windows(events, window_events))
    return lambda: _answer(_open(strategy_class, granted, {"form": form}, "M1"), windows)


def _ticks(events: int, window_events: int) -> Callable[[], int]:
    strategy_class = _example("tick_momentum", "TickMomentum")
    windows = list(_tick_windows(events, window_events))
    return lambda: _answer(_open(strategy_class, ("TICKS",), {}, "tick"), windows)


def _feedback(events: int) -> Callable[[], int]:
    """Return a session in which windows end where the account changes, each with a signal at its last bar."""
    windows = [_with_account(message) for message in _bar_messages(events, FEEDBACK_BARS)]
    return lambda: _answer(_open(Holder, ("FEEDBACK",), {}, "M1"), windows)


def _answer(session: Session, windows: list[bytes]) -> int:
    said = 0
    for data in windows:
        window = decode_request(data)
        assert isinstance(window, Window)
        said += len(session.answer(window))
    return said


def _open(strategy_class: type[Strategy], granted: tuple[str, ...], parameters: dict[str, str], frame: str) -> Session:
    request = strategy_pb2.OnInitRequest(
        session_id="bench",
        seed=1,
        mode=strategy_pb2.MODE_PROD,
        capabilities=granted,
        parameters=[
            strategy_pb2.Parameter(name=name, value=strategy_pb2.ParameterValue(string_value=value))
            for name, value in parameters.items()
        ],
        instruments=[
            instrument_pb2.Instrument(
                symbol="EURUSD",
                tick_size=instrument_pb2.Ratio(numerator=1, denominator=100_000),
                lot_size=instrument_pb2.Ratio(numerator=1, denominator=1),
                contract_size=instrument_pb2.Ratio(numerator=1, denominator=1),
                quote_currency="USD",
            )
        ],
        series=[instrument_pb2.Series(instrument=0, frame=frame, price_basis=instrument_pb2.PRICE_BASIS_BID)],
        start_ns=START_NS,
        account=account_pb2.Account(cash=100_000.0),
        account_currency="USD",
        contract_version=_contract.CONTRACT_VERSION,
    )
    session = _contract.open_session(strategy_class, request).session
    assert session is not None
    return session


def _bar_windows(events: int, window_events: int) -> Iterator[bytes]:
    return (_bytes(message) for message in _bar_messages(events, window_events))


def _bar_messages(events: int, window_events: int) -> Iterator[window_pb2.EventWindow]:
    """Yield windows of a walk on the grid of ticks, opens at the close before."""
    random = np.random.Generator(np.random.Philox(key=7))
    close = (120_000 + np.cumsum(random.integers(-6, 7, size=events))) / 100_000.0
    opens = np.concatenate(([1.2], close[:-1]))
    high, low = np.maximum(opens, close) + 2e-5, np.minimum(opens, close) - 2e-5
    open_ns = START_NS + np.arange(events) * MINUTE_NS
    for at in range(0, events, window_events):
        rows = slice(at, min(at + window_events, events))
        yield window_pb2.EventWindow(
            first_seq=at,
            count=rows.stop - at,
            time_ns=(open_ns[rows] + MINUTE_NS).tolist(),
            bars=window_pb2.BarColumns(
                open_ns=open_ns[rows].tolist(),
                open=opens[rows].tolist(),
                high=high[rows].tolist(),
                low=low[rows].tolist(),
                close=close[rows].tolist(),
                volume=np.ones(rows.stop - at).tolist(),
            ),
        )


def _tick_windows(events: int, window_events: int) -> Iterator[bytes]:
    """Yield windows of quotes that come about twice a second and move by a few points."""
    random = np.random.Generator(np.random.Philox(key=8))
    bid = (1_200_000 + np.cumsum(random.integers(-4, 5, size=events))) / 1_000_000.0
    ask = bid + random.integers(1, 9, size=events) / 1_000_000.0
    time_ns = START_NS + 1 + np.cumsum(random.integers(0, 1_000_000_000, size=events))
    for at in range(0, events, window_events):
        rows = slice(at, min(at + window_events, events))
        yield _bytes(
            window_pb2.EventWindow(
                first_seq=at,
                count=rows.stop - at,
                time_ns=time_ns[rows].tolist(),
                ticks=window_pb2.TickColumns(bid=bid[rows].tolist(), ask=ask[rows].tolist()),
            )
        )


def _with_account(message: window_pb2.EventWindow) -> bytes:
    """Return a window with the account of a session that holds every other time."""
    number = message.first_seq // FEEDBACK_BARS
    holds = number % 2 == 1
    side = signal_pb2.SIDE_BUY if holds else signal_pb2.SIDE_FLAT
    qty = 1000.0 if holds else 0.0
    account = message.account
    account.version, account.cash = number, 100_000.0 - number
    account.targets.add(instrument=0, side=side, qty_requested=qty, qty_granted=qty)
    if holds:
        account.positions.add(position_id=number, instrument=0, side=side, qty=qty, entry_price=1.2)
        message.marks.instruments.add(instrument=0, unrealised_pnl=[1.0] * message.count)
    account.updates.add(
        kind=account_pb2.ACCOUNT_UPDATE_KIND_FILL,
        seq=message.first_seq,
        time_ns=message.time_ns[0],
        side=signal_pb2.SIDE_BUY if holds else signal_pb2.SIDE_SELL,
        qty=1000.0,
        price=1.2,
        fee=0.1,
        fill_reason=account_pb2.FILL_REASON_SIGNAL,
    )
    message.marks.equity.extend([account.cash] * message.count)
    message.marks.free_margin.extend([account.cash] * message.count)
    return _bytes(message)


def _bytes(message: window_pb2.EventWindow) -> bytes:
    return strategy_pb2.OnEventRequest(window=message).SerializeToString()


def _example(name: str, class_name: str) -> type[Strategy]:
    spec = importlib.util.spec_from_file_location(f"bench_{name}", EXAMPLES / name / "strategy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Any = getattr(module, class_name)
    strategy_class: type[Strategy] = found
    return strategy_class


if __name__ == "__main__":
    main()
