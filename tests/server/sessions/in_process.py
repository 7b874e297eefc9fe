"""A session without sockets: the gateway's delivery on one side, the SDK's session on the other, bytes between."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from boxgate_engine.errors import RunFailed
from boxgate_engine.instruments import Instrument
from boxgate_engine.rules import AccountRules
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Source, Tape
from boxgate_proto.strategy.v1 import instrument_pb2
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_sdk import Strategy
from boxgate_sdk._contract import open_session
from boxgate_sdk._session import Session
from boxgate_sdk._wire import Window, decode_request
from boxgate_server.sessions.delivery import Delivery, Stream


class InProcessStream(Stream):
    """Answers each window by the SDK's session as soon as it is sent."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._answers: deque[bytes] = deque()

    def send(self, payload: bytes) -> None:
        window = decode_request(payload)
        assert isinstance(window, Window)
        self._answers.append(self._session.answer(window))

    def receive(self, deadline_s: float, *, seq: int) -> bytes:
        return self._answers.popleft()

    def unsolicited(self) -> None:
        return None

    def undecodable(self, answer: bytes) -> RunFailed:
        raise AssertionError(f"{len(answer)} bytes are no answer")


def deliver(
    strategy: type[Strategy],
    instruments: Sequence[Instrument],
    sources: Sequence[Source],
    rules: AccountRules,
    *,
    start_ns: int,
    seed: int,
    lockstep: bool,
    window_events: int,
    feedback: bool,
) -> tuple[Simulation, Delivery, Any]:
    """Run a tape and return the simulation, the delivery and the strategy's instance."""
    delivered = sorted((s for s in sources if s.delivered >= 0), key=lambda s: s.delivered)
    request = pb.OnInitRequest(
        session_id="test",
        seed=seed,
        mode=pb.MODE_DEBUG,
        capabilities=["FEEDBACK", "TICKS"] if feedback else ["TICKS"],
        instruments=[
            instrument_pb2.Instrument(
                symbol=i.symbol,
                tick_size=instrument_pb2.Ratio(numerator=i.tick_size.numerator, denominator=i.tick_size.denominator),
                lot_size=instrument_pb2.Ratio(numerator=i.lot_size.numerator, denominator=i.lot_size.denominator),
                contract_size=instrument_pb2.Ratio(numerator=1, denominator=1),
                contract_kind=instrument_pb2.CONTRACT_KIND_LINEAR,
            )
            for i in instruments
        ],
        series=[
            instrument_pb2.Series(
                instrument=s.instrument,
                frame=s.frame,
                price_basis=instrument_pb2.PRICE_BASIS_BID,
                has_ask="ask_open" in s.columns or "ask" in s.columns,
            )
            for s in delivered
        ],
        start_ns=start_ns,
        account_currency="USD",
        leverage=rules.leverage if isinstance(rules.leverage, int | float) else max(rules.leverage),
        contract_version=1,
    )
    request.account.cash = rules.cash
    opening = open_session(strategy, request)
    assert opening.session is not None
    simulation = Simulation(instruments, rules, start_ns=start_ns)
    delivery = Delivery(
        stream=InProcessStream(opening.session),
        reply_deadline_s=lambda count: 1.0,
        simulation=simulation,
        window_events=window_events,
        lockstep=lockstep,
        feedback=feedback,
        keep_meta=True,
    )
    delivery.run(Tape(sources))
    return simulation, delivery, opening.session.strategy
