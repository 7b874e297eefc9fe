"""Windows with FEEDBACK against the generated code, byte for byte, over random accounts."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_tape import plain_moments, tapes
from test_wire import expected_marks, expected_window

from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.records import (
    ACCOUNT,
    BOOK,
    FILL_ROW,
    NO_EXPIRY,
    SIGNAL_ROW,
    SPEC,
    UPDATE_FILL,
    UPDATE_LIQUIDATION,
    UPDATE_REJECTION,
    UPDATE_ROW,
    Marks,
    Sim,
)
from boxgate_engine.kernel.state import state_of
from boxgate_engine.rules import AccountRules
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Source, Tape
from boxgate_proto.strategy.v1 import account_pb2, signal_pb2
from boxgate_proto.strategy.v1.strategy_pb2 import OnEventRequest
from boxgate_server.sessions._feedback_windows import FeedbackWindows
from boxgate_server.sessions._wire import Held

INSTRUMENTS = 3
BUY, SELL, FLAT = signal_pb2.SIDE_BUY, signal_pb2.SIDE_SELL, signal_pb2.SIDE_FLAT


@given(st.integers(0, 2**32), tapes(), st.integers(-300, 300), st.integers(1, 12))
def test_a_window_with_feedback_has_the_bytes_of_the_generated_code(
    seed: int, sources: list[Source], first_seq: int, events_max: int
) -> None:
    chance = random.Random(seed)  # which account is tried, no secret
    tape = Tape(sources, first_seq=first_seq)
    rows = FeedbackWindows()
    start = 0
    while start < tape.merged_events:  # one writer for all chunks and states, which it tells apart
        chunk = tape.chunk(start, events_max)
        first = chance.randint(0, chunk.moments - 1)
        end = chance.randint(first, chunk.moments)
        sim = random_state(chance)
        sent = chance.randint(0, int(sim.account[0]["updates"]))
        marks = random_marks(chance, len(chunk.quotes.events))
        written = rows.message(chunk, first, end, state_of(sim), sent, marks)

        moments = plain_moments(sources)
        done = sum(len(moment) for moment in _before(moments, start))
        assert done == start
        here = moments[len(_before(moments, start)) :]
        events = [event for moment in here[first:end] for event in moment]
        delivered_before = sum(e.delivered for moment in _before(moments, start) for e in moment)
        window = expected_window(sources, events)
        window.first_seq = first_seq + delivered_before + sum(e.delivered for m in here[:first] for e in m)
        window.account.CopyFrom(expected_account(sim, sent))
        shift = int(chunk.quotes.moment_start[first])
        quotes = [shift + k for k, event in enumerate(events) if event.delivered]
        held = [Held(i, i) for i in range(INSTRUMENTS) if sim.book[i]["lots"]]
        window.marks.CopyFrom(expected_marks(marks, quotes, held))
        for message, (row, *_) in zip(window.marks.instruments, held, strict=True):
            if sim.book[row]["trail"] > 0:
                message.trail_level.extend(float(marks.level[row][k]) for k in quotes)
        assert written == OnEventRequest(window=window).SerializeToString()
        start += len(chunk.quotes.events)


@pytest.mark.parametrize("count", [1, 15, 16, 2_047, 2_048, 16_384])
def test_columns_of_every_length_are_written(count: int) -> None:
    columns: dict[str, np.ndarray] = {
        name: np.arange(count, dtype=np.float64) + 1 for name in ("open", "high", "low", "close", "volume")
    }
    columns["open_ns"] = np.arange(count) * 60_000_000_000
    source = Source(
        instrument=0, frame="M1", columns=columns, rows=slice(0, count), executes=False, spread=0.0,
        tick_size=Fraction(1, 100), delivered=0,
    )  # fmt: skip
    chunk = Tape([source]).chunk(0, count)
    book = np.zeros(1, BOOK)
    book["lots"], book["trail"], book["stand_until_ns"] = 5, 0.5, NO_EXPIRY
    spec = np.zeros(1, SPEC)
    spec["lot_num"] = spec["lot_den"] = 1
    sim = plain_sim()._replace(book=book, specs=spec, signals=np.zeros(1, SIGNAL_ROW))
    marks = Marks.for_chunk(count, 1)
    marks.equity[:] = np.arange(count)
    marks.level[:] = -np.arange(count)
    request = OnEventRequest.FromString(FeedbackWindows().message(chunk, 0, count, state_of(sim), 0, marks))
    assert request.window.bars.close == columns["close"].tolist()
    assert request.window.marks.equity == marks.equity.tolist()
    assert request.window.marks.instruments[0].trail_level == marks.level[0].tolist()


def expected_account(sim: Sim, sent: int) -> account_pb2.Account:
    """The account as the contract tells it, one field at a time."""
    message = account_pb2.Account(version=sim.account[0]["version"], cash=sim.account[0]["cash"])
    for i, (book, spec) in enumerate(zip(sim.book, sim.specs, strict=True)):
        held, wanted = int(book["lots"]), int(book["stand_side"] * book["stand_lots"])
        if held:
            position = message.positions.add(
                position_id=book["position_id"], instrument=i, side=_side(held), qty=_qty(held, spec),
                entry_price=book["entry_price"],
            )  # fmt: skip
            _set(position, {name: book[name] for name in ("sl", "tp", "trail")})
        until = {} if book["stand_until_ns"] == NO_EXPIRY else {"valid_until_ns": int(book["stand_until_ns"])}
        if wanted != held:
            seq = sim.signals[book["stand_signal"]]["seq"]
            order = message.orders.add(
                client_id=f"{i}-{seq}", instrument=i, side=_side(wanted - held), qty=_qty(wanted - held, spec), **until
            )
            _set(order, {"price": book["stand_price"]})
        granted = min(abs(held), abs(wanted)) if (held > 0) == (wanted > 0) else 0
        target = message.targets.add(
            instrument=i, side=_side(int(book["stand_side"])), qty_requested=_qty(wanted, spec),
            qty_granted=_qty(granted, spec), **until,
        )  # fmt: skip
        _set(target, {name: book[f"stand_{name}"] for name in ("price", "sl", "tp", "trail")})
    for update in sim.updates[sent : sim.account[0]["updates"]]:
        added = message.updates.add(**{name: int(update[name]) for name in ("kind", "instrument", "seq", "time_ns")})
        added.amount = update["amount"]
        if update["kind"] in (UPDATE_FILL, UPDATE_LIQUIDATION):
            fill = sim.fills[update["fill"]]
            added.side = _side(int(fill["direction"]))
            added.qty, added.price, added.fee = fill["qty"], fill["price"], fill["fee"]
            added.fill_reason = int(fill["reason"])  # type: ignore[assignment]
        elif update["kind"] == UPDATE_REJECTION:
            added.reject_reason = int(update["reason"])  # type: ignore[assignment]
    return message


def random_state(chance: random.Random) -> Sim:
    """What of a state an account is written from, with values at which fields are left out or grow."""

    def price() -> float:
        return chance.choice([0.0, 1.25, 1e-300, 99_999.99, chance.uniform(0.0, 1e8)])

    def amount() -> float:
        return chance.choice([0.0, -0.0, -1.5, float("inf"), chance.gauss(0.0, 1e6)])

    def count() -> int:
        return chance.choice([0, 1, 9, 10, 127, 128, 1_000, 2**40])

    book, specs = np.zeros(INSTRUMENTS, BOOK), np.zeros(INSTRUMENTS, SPEC)
    signals, fills = np.zeros(4, SIGNAL_ROW), np.zeros(3, FILL_ROW)
    updates = np.zeros(chance.choice([0, 1, 5, 300]), UPDATE_ROW)
    for signal in signals:
        signal["seq"] = count()
    for one, spec in zip(book, specs, strict=True):
        for name in ("sl", "tp", "trail", "stand_price", "stand_sl", "stand_tp", "stand_trail", "entry_price"):
            one[name] = price()
        one["lots"], one["position_id"] = chance.choice([0, 1, -1, 1_000, -1_000, 2**40]), count()
        one["stand_side"], one["stand_lots"] = chance.randint(-1, 1), count()
        one["stand_until_ns"] = chance.choice([NO_EXPIRY, 0, 1, 2**60])
        one["stand_signal"] = chance.randint(0, 3)
        spec["lot_num"], spec["lot_den"] = chance.choice([(1, 1), (1, 100), (1_000, 1), (3, 7)])
    for update in updates:
        update["kind"], update["reason"] = chance.randint(1, 8), chance.randint(0, 16)
        update["instrument"], update["fill"] = chance.randint(0, INSTRUMENTS - 1), chance.randint(0, 2)
        update["seq"], update["time_ns"], update["amount"] = count() - 5, count(), amount()
    for fill in fills:
        fill["direction"], fill["reason"] = chance.choice([1, -1]), chance.randint(0, 7)
        fill["qty"], fill["price"], fill["fee"] = price(), price(), amount()
    account = np.zeros(1, ACCOUNT)
    account["version"], account["cash"], account["updates"] = count(), amount(), len(updates)
    return plain_sim()._replace(account=account, book=book, specs=specs, signals=signals, updates=updates, fills=fills)


def plain_sim() -> Sim:
    """A state of the types that the kernel takes."""
    instrument = Instrument(
        symbol="X", asset_class="forex", quote_currency="X", tick_size=Fraction(1), lot_size=Fraction(1)
    )
    return Simulation([instrument], AccountRules(cash=1.0), start_ns=0).sim


def random_marks(chance: random.Random, count: int) -> Marks:
    values = np.random.Generator(np.random.Philox(key=chance.getrandbits(60)))
    equity, free_margin = values.normal(size=(2, count))
    return Marks(equity, free_margin, *values.normal(size=(2, INSTRUMENTS, count)))


def _before(moments: list[Any], start: int) -> list[Any]:
    """Return the moments of the events before number `start`."""
    count = done = 0
    while done < start:
        done += len(moments[count])
        count += 1
    return moments[:count]


def _side(sign: int) -> signal_pb2.Side.ValueType:
    return BUY if sign > 0 else SELL if sign < 0 else FLAT


def _qty(steps: int, spec: Any) -> float:
    return float(Fraction(abs(steps) * int(spec["lot_num"]), int(spec["lot_den"])))


def _set(message: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if value > 0:
            setattr(message, name, value)
