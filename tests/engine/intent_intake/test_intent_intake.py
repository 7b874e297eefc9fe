"""Order intents on their way to the kernel: on the grid, in order, by number, and the first fault by its name.

The rules are those of the reference loop, which was written from the documents alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from grids import grid_value, lots_of, nearest_tick
from hypothesis import given, settings
from hypothesis import strategies as st
from intents import check_intent, check_scope
from terms import Intent, ReferenceError

from boxgate_engine.errors import SignalError
from boxgate_engine.instruments import Instrument
from boxgate_engine.intent_intake import RAW_INTENT, OrderNames, RawIntents, take_intents, utc_day_end
from boxgate_engine.kernel.intent_records import INTENT_ROW
from boxgate_engine.kernel.records import NO_EXPIRY
from boxgate_engine.signal_intake import STEPS_MAX, kernel_specs

EVENTS = 6
MOMENT = np.array([0, 0, 1, 2, 2, 3])
SEQ = np.arange(50, 50 + EVENTS)
DAY_NS = 86_400_000_000_000
TIME_NS = (19_000 + np.array([0, 0, 1, 2, 2, 3])) * DAY_NS - 1
TICK, LOT = Fraction(1, 8), Fraction(1, 3)
KINDS = {"SUBMIT": 1, "REPLACE": 2, "CANCEL": 3, "PROTECT": 4}
TYPES = {"": 0, "MARKET": 1, "LIMIT": 2, "STOP": 3, "STOP_LIMIT": 4, "TRAILING_STOP": 5}
TIFS = {"GTC": 1, "DAY": 2, "GTD": 3, "IOC": 4, "FOK": 5}
SIDES = {"": 0, "BUY": 1, "SELL": 2, "FLAT": 3}
PRICES = ("price", "stop_price", "trail", "sl", "tp", "risk_trail")
INSTRUMENTS = [
    Instrument(
        symbol=f"I{k}",
        asset_class="forex",
        quote_currency="USD",
        tick_size=TICK,
        lot_size=LOT,
        contract_size=Fraction(1),
    )
    for k in range(2)
]


def raw_of(intents: Sequence[Intent]) -> RawIntents:
    rows = np.zeros(len(intents), RAW_INTENT)
    for row, intent in zip(rows, intents, strict=True):
        row["event"], row["instrument"] = intent.event_index_in_moment, intent.instrument
        row["kind"] = KINDS.get(intent.kind, 9)
        row["side"], row["type"] = SIDES.get(intent.side, 9), TYPES.get(intent.type, 9)
        # What GTC is when it is not said stands beside what it is when it is.
        row["tif"] = 0 if intent.tif == "GTC" else TIFS.get(intent.tif, 9)
        row["reduce_only"], row["post_only"] = intent.reduce_only, intent.post_only
        for name in ("qty", *PRICES, "valid_until_ns"):
            value = getattr(intent, name)
            if value is not None:
                row[f"has_{name}"], row[name] = True, value
    return RawIntents(rows, [i.client_id for i in intents], [i.oco for i in intents])


def take(intents: Sequence[Intent], names: OrderNames | None = None) -> tuple[Any, int, np.ndarray]:
    return take_intents(
        raw_of(intents),
        OrderNames() if names is None else names,
        kernel_specs(INSTRUMENTS),
        INSTRUMENTS,
        seq=SEQ,
        moment=MOMENT,
        time_ns=TIME_NS,
    )


def code_of(intents: Sequence[Intent], names: OrderNames | None = None) -> str:
    with pytest.raises(SignalError) as caught:
        take(intents, names)
    error = caught.value
    assert all((error.what, error.where, error.expected, error.remedy))
    return error.error_code


def reference_fault(intents: Sequence[Intent]) -> tuple[str, int] | None:
    """Code and event of the first fault by event, then place."""
    state: Any = SimpleNamespace(submitted={}, intents=[], specs=INSTRUMENTS)
    for intent in sorted(intents, key=lambda i: i.event_index_in_moment):
        try:
            check_scope(state, intent, EVENTS)
            check_intent(state, intent)
        except ReferenceError as error:
            return error.code, intent.event_index_in_moment
        if intent.kind == "SUBMIT":
            state.submitted[intent.client_id] = len(state.intents)
        state.intents.append(SimpleNamespace(intent=intent))
    return None


values = st.none() | st.sampled_from([1.0, 1.01, 2.5, 100.0, 100.0625, 3.3])
odd_values = values | st.sampled_from([0.0, -1.0, math.nan, math.inf])


def submits(event: int, k: int, draw: st.DrawFn) -> Intent:
    """A SUBMIT without a fault."""
    kind = draw(st.sampled_from(["MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP"]))
    some = st.sampled_from([1.0, 1.01, 2.5, 100.0, 100.0625])
    post_only = kind == "LIMIT" and draw(st.booleans())
    oco = draw(st.sampled_from(["", "pair", "trio"]))
    tifs = ["GTC", "DAY", "GTD"] + (["IOC", "FOK"] if kind in ("MARKET", "LIMIT") and not post_only and not oco else [])
    tif = draw(st.sampled_from(tifs))
    buy = draw(st.booleans())
    return Intent(
        kind="SUBMIT",
        instrument=draw(st.integers(0, 1)),
        client_id=f"order-{k}",
        side="BUY" if buy else "SELL",
        type=kind,
        qty=draw(some),
        price=draw(some) if kind in ("LIMIT", "STOP_LIMIT") else None,
        stop_price=draw(some) if kind in ("STOP", "STOP_LIMIT") else None,
        trail=draw(some) if kind == "TRAILING_STOP" else None,
        tif=tif,
        valid_until_ns=draw(st.integers(0, 2**62)) if tif == "GTD" else None,
        reduce_only=draw(st.booleans()),
        post_only=post_only,
        oco=oco,
        sl=draw(st.none() | st.just(1.0 if buy else 300.0)),
        tp=draw(st.none() | st.just(200.5 if buy else 200.1)),
        risk_trail=draw(st.none() | some),
        event_index_in_moment=event,
    )


@st.composite
def right_answers(draw: st.DrawFn) -> list[Intent]:
    """Intents by event, each naming orders before it."""
    intents: list[Intent] = []
    for event in sorted(draw(st.lists(st.integers(0, EVENTS - 1), max_size=10))):
        known = [i for i in intents if i.kind == "SUBMIT"]
        kind = draw(st.sampled_from(["SUBMIT", "SUBMIT", "PROTECT", *(["REPLACE", "CANCEL"] if known else [])]))
        fresh = submits(event, len(intents), draw)
        if kind == "SUBMIT":
            intents.append(fresh)
        elif kind == "PROTECT":
            intents.append(
                Intent(
                    kind=kind,
                    instrument=fresh.instrument,
                    sl=fresh.sl,
                    tp=fresh.tp,
                    risk_trail=fresh.risk_trail,
                    event_index_in_moment=event,
                )
            )
        else:
            order = draw(st.sampled_from(known))
            terms = {} if kind == "CANCEL" else {n: getattr(order, n) for n in ("price", "stop_price", "trail")}
            intents.append(
                Intent(
                    kind=kind,
                    instrument=order.instrument,
                    client_id=order.client_id,
                    qty=None if kind == "CANCEL" else 7.5,
                    event_index_in_moment=event,
                    **terms,
                )
            )
    return intents


@given(right_answers())
def test_intents_are_put_on_the_grid_in_order_and_by_number(intents: list[Intent]) -> None:
    assert reference_fault(intents) is None
    names = OrderNames()
    rows, rounded, order = take(intents, names)
    assert rows.dtype == INTENT_ROW
    plain = sorted(
        range(len(intents)),
        key=lambda k: (
            MOMENT[intents[k].event_index_in_moment],
            intents[k].instrument,
            intents[k].event_index_in_moment,
            k,
        ),
    )
    assert order.tolist() == plain
    numbers = {i.client_id: n for n, i in enumerate((i for i in intents if i.kind == "SUBMIT"), 1)}
    types = {i.client_id: i.type for i in intents if i.kind == "SUBMIT"}
    tick, lot = TICK.as_integer_ratio(), LOT.as_integer_ratio()
    changed = 0
    for row, intent in zip(rows, (intents[k] for k in plain), strict=True):
        assert row["event"] == intent.event_index_in_moment
        assert (row["instrument"], row["kind"]) == (intent.instrument, KINDS[intent.kind])
        assert row["order"] == numbers.get(intent.client_id, 0)
        assert row["side"] == {"BUY": 1, "SELL": -1, "": 0}[intent.side]
        ordered = intent.kind in ("SUBMIT", "REPLACE")
        assert row["type"] == (TYPES[types[intent.client_id]] if ordered else 0)
        assert row["tif"] == (TIFS[intent.tif] if ordered else 0)
        expected = {n: getattr(intent, n) and nearest_tick(getattr(intent, n), tick) for n in PRICES}
        assert {n: row[n] or None for n in PRICES} == expected
        lots = lots_of(intent.qty, lot) if intent.qty else 0
        assert row["lots"] == lots
        until = {"DAY": (row["event"] and TIME_NS[row["event"]] + 1) or TIME_NS[0] + 1, "GTD": intent.valid_until_ns}
        assert row["valid_until_ns"] == until.get(intent.tif, NO_EXPIRY)
        assert (row["reduce_only"], row["post_only"]) == (intent.reduce_only, intent.post_only)
        assert names.oco(int(row["oco"])) == intent.oco
        assert names.client_id(int(row["order"])) == intent.client_id
        changed += any(expected[n] != getattr(intent, n) for n in PRICES) or (
            intent.qty is not None and grid_value(lots, lot) != intent.qty
        )
    assert rounded == changed


def test_a_group_is_one_of_its_instrument() -> None:
    same: dict[str, Any] = {"kind": "SUBMIT", "side": "BUY", "type": "MARKET", "qty": 1.0, "oco": "pair"}
    intents = [Intent(instrument=k, client_id=f"o{n}", **same) for n, k in enumerate((0, 1, 0, 1))]
    rows, _, _ = take(intents)
    groups = {(int(r["instrument"]), int(r["oco"])) for r in rows}
    assert groups == {(0, 1), (1, 2)}


def test_numbers_go_on_from_answer_to_answer() -> None:
    names = OrderNames()
    for k in range(3):
        (row,), _, _ = take([market(f"o{k}")], names)
        assert row["order"] == k + 1
    (row,), _, _ = take([Intent(kind="CANCEL", instrument=0, client_id="o1")], names)
    assert row["order"] == 2


def market(client_id: str, **changes: Any) -> Intent:
    plain: dict[str, Any] = {"kind": "SUBMIT", "instrument": 0, "side": "BUY", "type": "MARKET", "qty": 1.0}
    return Intent(client_id=client_id, **{**plain, **changes})


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "event": ({"event_index_in_moment": EVENTS}, "PROTO_SEQ"),
    "instrument": ({"instrument": 2}, "PROTO_SCOPE"),
    "kind": ({"kind": "BOOK"}, "SIGNAL_ENUM"),
    "type": ({"type": "PEGGED"}, "SIGNAL_ENUM"),
    "no type": ({"type": ""}, "SIGNAL_ENUM"),
    "time in force": ({"tif": "GTX"}, "SIGNAL_ENUM"),
    "side": ({"side": "FLAT"}, "SIGNAL_ENUM"),
    "not finite": ({"qty": math.nan}, "SIGNAL_NOT_FINITE"),
    "endless": ({"sl": math.inf}, "SIGNAL_NOT_FINITE"),
    "no name": ({"client_id": ""}, "ORDER_ID"),
    "long name": ({"client_id": "x" * 65}, "ORDER_ID"),
    "odd name": ({"client_id": "a b"}, "ORDER_ID"),
    "line feed": ({"client_id": "a\n"}, "ORDER_ID"),
    "no qty": ({"qty": None}, "ORDER_FIELDS"),
    "no price": ({"type": "LIMIT"}, "ORDER_FIELDS"),
    "a price too many": ({"price": 2.0}, "ORDER_FIELDS"),
    "post_only of a market order": ({"post_only": True}, "ORDER_FIELDS"),
    "GTD without a time": ({"tif": "GTD"}, "ORDER_FIELDS"),
    "a time without GTD": ({"valid_until_ns": 1}, "ORDER_FIELDS"),
    "IOC of a stop": ({"type": "STOP", "stop_price": 2.0, "tif": "IOC"}, "ORDER_FIELDS"),
    "FOK in a group": ({"tif": "FOK", "oco": "pair"}, "ORDER_FIELDS"),
    "zero": ({"qty": 0.0}, "SIGNAL_RANGE"),
    "negative": ({"type": "LIMIT", "price": -1.0}, "SIGNAL_RANGE"),
    "crossed": ({"sl": 3.0, "tp": 2.0}, "SIGNAL_RISK_SIDE"),
}


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_is_named_with_its_event(name: str) -> None:
    changes, code = FAULTS[name]
    intent = market(**{"client_id": "one", "event_index_in_moment": 2, **changes})
    assert code_of([intent]) == code
    with pytest.raises(SignalError) as caught:
        take([intent])
    assert caught.value.as_dict().get("seq") == (None if code == "PROTO_SEQ" else 52)
    if code != "PROTO_SEQ":
        found = reference_fault([intent])
        assert found is not None
        assert found[0] == code


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (market("one"), "ORDER_ID"),
        (Intent(kind="CANCEL", instrument=0, client_id="two"), "ORDER_ID"),
        (Intent(kind="CANCEL", instrument=0, client_id="one", qty=1.0), "ORDER_FIELDS"),
        (Intent(kind="CANCEL", instrument=0, client_id="one", tif="IOC"), "ORDER_FIELDS"),
        (Intent(kind="REPLACE", instrument=0, client_id="one"), "ORDER_FIELDS"),
        (Intent(kind="REPLACE", instrument=0, client_id="one", qty=1.0, price=5.0), "ORDER_FIELDS"),
        (Intent(kind="REPLACE", instrument=0, client_id="one", qty=1.0, side="BUY"), "ORDER_FIELDS"),
        (Intent(kind="REPLACE", instrument=0, client_id="one", qty=1.0, sl=5.0), "ORDER_FIELDS"),
        (Intent(kind="REPLACE", instrument=0, client_id="pair", qty=1.0, tif="IOC"), "ORDER_FIELDS"),
        (Intent(kind="PROTECT", instrument=0, client_id="one"), "ORDER_FIELDS"),
        (Intent(kind="PROTECT", instrument=0, qty=1.0), "ORDER_FIELDS"),
        (Intent(kind="PROTECT", instrument=0, sl=-1.0), "SIGNAL_RANGE"),
    ],
)
def test_what_an_intent_names_decides_what_it_may_have(intent: Intent, code: str) -> None:
    before = [market("one"), market("pair", oco="pair")]
    names = OrderNames()
    take(before, names)
    assert code_of([intent], names) == code
    found = reference_fault([*before, intent])
    assert found is not None
    assert found[0] == code


@pytest.mark.parametrize("said", [1, 7])
def test_a_change_is_of_the_instrument_of_its_order(said: int) -> None:
    names = OrderNames()
    take([market("one")], names)
    (row,), _, _ = take([Intent(kind="CANCEL", instrument=said, client_id="one")], names)
    assert (row["instrument"], row["order"]) == (0, 1)


def test_a_replaced_order_may_become_immediate_where_it_stands_alone() -> None:
    names = OrderNames()
    take([market("one")], names)
    (row,), _, _ = take([Intent(kind="REPLACE", instrument=0, client_id="one", qty=1.0, tif="IOC")], names)
    assert (row["tif"], row["type"], row["order"]) == (TIFS["IOC"], TYPES["MARKET"], 1)


@settings(max_examples=300)
@given(st.data())
def test_faults_are_those_of_the_rules(data: st.DataObject) -> None:
    """Any field of a right answer changed: the same code at the same event, or no fault in either."""
    intents = data.draw(right_answers().filter(bool))
    k = data.draw(st.integers(0, len(intents) - 1))
    changes: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("qty", *PRICES), odd_values),
        "valid_until_ns": st.none() | st.just(5),
        "tif": st.sampled_from([*TIFS, "GTX"]),
        "side": st.sampled_from(["", "BUY", "SELL", "FLAT"]),
        "type": st.sampled_from([*TYPES, "PEGGED"]),
        "client_id": st.sampled_from(["", "order-0", "order-1", "x" * 65, "other"]),
        "oco": st.sampled_from(["", "pair"]),
        "reduce_only": st.booleans(),
        "post_only": st.booleans(),
        "instrument": st.integers(0, 2),
    }
    for name in data.draw(st.lists(st.sampled_from(sorted(changes)), min_size=1, max_size=2)):
        intents[k] = Intent(**{**vars(intents[k]), name: data.draw(changes[name])})
    expected = reference_fault(intents)
    if expected is None:
        take(intents)
        return
    with pytest.raises(SignalError) as caught:
        take(intents)
    assert (caught.value.error_code, caught.value.as_dict()["seq"]) == (expected[0], SEQ[expected[1]])


@pytest.mark.parametrize("name", ["price", "stop_price", "sl", "tp", "risk_trail"])
def test_what_is_less_than_half_a_tick_is_refused(name: str) -> None:
    needed = {"type": "STOP_LIMIT", "price": 5.0, "stop_price": 5.0}
    assert code_of([market("one", **{**needed, name: 0.05})]) == "SIGNAL_RANGE"


def test_values_end_where_grid_values_stop_being_exact() -> None:
    for changes in ({"qty": STEPS_MAX / 3}, {"type": "STOP", "stop_price": STEPS_MAX / 8}, {"risk_trail": 1e300}):
        assert code_of([market("one", **changes)]) == "SIGNAL_RANGE"


def test_a_quantity_below_a_lot_is_left_to_the_market() -> None:
    (row,), _, _ = take([market("one", qty=0.2)])
    assert row["lots"] == 0


def test_errors_name_orders_only_where_they_may() -> None:
    raw = raw_of([market("secret", qty=0.0)])
    for shown in (False, True):
        with pytest.raises(SignalError) as caught:
            take_intents(
                raw,
                OrderNames(),
                kernel_specs(INSTRUMENTS),
                INSTRUMENTS,
                seq=SEQ,
                moment=MOMENT,
                time_ns=TIME_NS,
                show_names=shown,
            )
        assert ("secret" in str(caught.value.as_dict())) == shown


def test_a_day_ends_at_the_next_midnight() -> None:
    noon = int(datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp()) * 10**9
    midnight = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 10**9
    assert utc_day_end(0, noon) == midnight
    assert utc_day_end(0, midnight - 1) == midnight
    assert utc_day_end(0, midnight) == midnight + DAY_NS


def test_no_intent_is_no_work() -> None:
    rows, rounded, order = take([])
    assert (len(rows), rounded, len(order)) == (0, 0, 0)
    assert rows.dtype == INTENT_ROW
