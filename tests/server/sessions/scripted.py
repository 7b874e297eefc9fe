"""A session whose other side answers by a script: what a sidecar could say, said exactly."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from boxgate_engine.digest import result_digest
from boxgate_engine.errors import BoxgateError, RunFailed
from boxgate_engine.instruments import Instrument
from boxgate_engine.results import Results, finish
from boxgate_engine.rules import AccountRules
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Source, Tape
from boxgate_proto.strategy.v1.signal_pb2 import Signal, SignalWindow
from boxgate_proto.strategy.v1.strategy_pb2 import OnEventRequest, OnEventResponse
from boxgate_proto.strategy.v1.window_pb2 import EventWindow
from boxgate_server.sessions.delivery import Delivery, Stream

MINUTE_NS = 60_000_000_000
START_NS = 1_704_067_200_000_000_000
BARS = 12
"""Bars of each of the two instruments; both have one at the same time, so that each moment has two events."""

Answer = Callable[[EventWindow], SignalWindow | bytes]

INSTRUMENTS = tuple(
    Instrument(
        symbol=symbol,
        asset_class="forex",
        quote_currency="USD",
        tick_size=Fraction(1, 1000),
        lot_size=Fraction(1, 100),
        contract_size=Fraction(1),
    )
    for symbol in ("AAA", "BBB")
)


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way of delivery."""

    lockstep: bool
    feedback: bool
    window_events: int = 6

    def __str__(self) -> str:
        return f"{'lockstep' if self.lockstep else 'windows'}, {'feedback' if self.feedback else 'plain'}"


WAYS = tuple(Way(lockstep=lockstep, feedback=feedback) for lockstep in (True, False) for feedback in (False, True))


class ScriptedStream(Stream):
    """Hands each window to the script and keeps it in `windows`."""

    def __init__(self, script: Answer) -> None:
        self.windows: list[EventWindow] = []
        self._script = script
        self._answers: deque[bytes] = deque()

    def send(self, payload: bytes) -> None:
        window = OnEventRequest.FromString(payload).window
        self.windows.append(window)
        answer = self._script(window)
        self._answers.append(
            answer if isinstance(answer, bytes) else OnEventResponse(signals=answer).SerializeToString()
        )

    def receive(self, deadline_s: float, *, seq: int) -> bytes:
        return self._answers.popleft()

    def unsolicited(self) -> BoxgateError | None:
        return None

    def undecodable(self, answer: bytes) -> BoxgateError:
        return RunFailed(
            "no message", code="PROTO_DECODE", where="stream", expected="a message", remedy="send one", seq=None
        )


@dataclass(frozen=True)
class Played:
    """What a session led to."""

    results: Results
    delivery: Delivery
    windows: list[EventWindow]

    @property
    def digest(self) -> str:
        return result_digest(self.results.tables)


def play(script: Answer, way: Way, *, tape: Tape | None = None, warmup: Tape | None = None) -> Played:
    """Run a session against a script, on two instruments with `BARS` bars each."""
    stream = ScriptedStream(script)
    simulation = Simulation(INSTRUMENTS, AccountRules(cash=100_000.0, leverage=30.0), start_ns=START_NS)
    delivery = Delivery(
        stream=stream,
        reply_deadline_s=lambda count: 1.0,
        simulation=simulation,
        window_events=way.window_events,
        lockstep=way.lockstep,
        feedback=way.feedback,
        keep_meta=True,
    )
    if warmup is not None:
        delivery.warm_up(warmup)
    delivery.run(two_instruments() if tape is None else tape)
    return Played(finish(simulation), delivery, stream.windows)


def two_instruments(*, first_seq: int = 0, bars: int = BARS) -> Tape:
    """A tape of two instruments around the price 100, which rises by a tick a bar."""
    return Tape([bars_of(k, bars) for k in range(2)], first_seq=first_seq)


def bars_of(instrument: int, bars: int) -> Source:
    close = 100.0 + np.arange(bars) / 1000
    columns: dict[str, np.ndarray] = dict.fromkeys(("open", "close"), close)
    columns |= {"open_ns": START_NS + np.arange(bars) * MINUTE_NS, "high": close + 0.01, "low": close - 0.01}
    return Source(
        instrument=instrument,
        frame="M1",
        columns=columns | {"volume": np.ones(bars)},
        rows=slice(0, bars),
        executes=True,
        spread=0.0,
        tick_size=Fraction(1, 1000),
        delivered=instrument,
    )


def saying(signals: Mapping[int, Sequence[Signal]], *, no_ops: Sequence[int] = ()) -> Answer:
    """Return a script that keeps to the contract and says these signals, by the number of the event they answer.

    no_ops: numbers of events whose signals are not effective, so that a window with FEEDBACK goes on behind them.
    """

    def answer(window: EventWindow) -> SignalWindow:
        stops = [seq for seq in signals if seq not in no_ops and 0 <= seq - window.first_seq < window.count]
        consumed = window.count
        if window.HasField("account") and stops:
            # Moments are pairs of events: the first one with an effective signal is answered to its end.
            consumed = (min(stops) - window.first_seq) // 2 * 2 + 2
        said = SignalWindow(first_seq=window.first_seq, consumed=consumed)
        for index in range(consumed):
            for signal in signals.get(window.first_seq + index, ()):
                said.signals.add().CopyFrom(signal)
                said.signals[-1].event_index = index
        return said

    return answer


def spoiling(seq: int, spoil: Callable[[SignalWindow], SignalWindow | bytes | None]) -> Answer:
    """Return a script that says nothing, but spoils the answer to the window with event `seq`.

    spoil: changes the answer, or returns another.
    """
    quiet = saying({})

    def answer(window: EventWindow) -> SignalWindow | bytes:
        said = quiet(window)
        assert isinstance(said, SignalWindow)
        if 0 <= seq - window.first_seq < window.count:
            changed = spoil(said)
            return said if changed is None else changed
        return said

    return answer
