"""Strategies with orders of their own, through `boxgate run`: what becomes of each order on a tape written by hand."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from order_desk import DELIVERIES, STRATEGIES, OrderDesk, PlayedOrders
from running_strategy import running_strategy

from boxgate_engine.artefacts import read_run
from boxgate_sdk import Strategy
from boxgate_sdk.replay import replay
from boxgate_server.cli.comparison import differences
from boxgate_server.outcome import Attachment

MINUTE_NS = 60_000_000_000
START_NS = 1_704_239_400_000_000_000  # 2024-01-02T23:50:00Z

Entry = dict[str, Any]


def submit(name: str, side: str, kind: str, *, at: int = 0, qty: float = 1.0, **more: Any) -> Entry:
    return {"at": at, "kind": "SUBMIT", "client_id": name, "side": side, "type": kind, "qty": qty, **more}


BY_TYPE: list[tuple[Entry, tuple[str, str | None, float | None, int | None]]] = [
    (submit("market", "BUY", "MARKET"), ("FILLED", None, 100.0, 1)),
    (submit("limit", "BUY", "LIMIT", price=99.5), ("FILLED", None, 99.5, 1)),
    (submit("limit, better open", "SELL", "LIMIT", price=99.0, at=1), ("FILLED", None, 100.0, 2)),
    (submit("limit above", "SELL", "LIMIT", price=102.5), ("FILLED", None, 102.5, 3)),
    (submit("limit at the last low", "BUY", "LIMIT", price=97.0, at=4), ("FILLED", None, 97.0, 5)),
    (submit("stop", "BUY", "STOP", stop_price=101.5), ("FILLED", None, 101.5, 2)),
    (submit("stop, reached", "BUY", "STOP", stop_price=99.0), ("REJECTED", "STOP_PRICE_SIDE", None, 0)),
    # Bar 4 falls to 97 and triggers it, bar 5 is the first that comes back up to 98.8.
    (submit("stop limit", "SELL", "STOP_LIMIT", stop_price=98.5, price=98.8), ("FILLED", None, 98.8, 5)),
    # It begins at 100 - 3 and follows the highs 101, 102 and 103; bar 4 falls through 100.
    (submit("trailing", "SELL", "TRAILING_STOP", trail=3.0), ("FILLED", None, 100.0, 4)),
    (submit("good till", "BUY", "LIMIT", price=90.0, tif="GTD", valid_until_ns=START_NS + 4 * MINUTE_NS),
     ("EXPIRED", None, None, 4)),
    (submit("of the day", "BUY", "LIMIT", price=90.0, tif="DAY"), ("EXPIRED", None, None, 10)),
    (submit("ioc, missed", "BUY", "LIMIT", price=99.9, tif="IOC"), ("CANCELLED", "IOC", None, 1)),
    (submit("ioc", "BUY", "MARKET", tif="IOC"), ("FILLED", None, 100.0, 1)),
    (submit("fok", "SELL", "LIMIT", price=99.0, tif="FOK"), ("FILLED", None, 100.0, 1)),
    (submit("fok, missed", "SELL", "LIMIT", price=100.1, tif="FOK"), ("CANCELLED", "FOK", None, 1)),
    (submit("fok, too large", "BUY", "MARKET", qty=1e5, tif="FOK"), ("CANCELLED", "FOK", None, 1)),
    (submit("post only", "BUY", "LIMIT", price=99.4, post_only=True), ("FILLED", None, 99.4, 1)),
    (submit("post only, takes", "BUY", "LIMIT", price=100.5, post_only=True), ("REJECTED", "POST_ONLY", None, 0)),
    (submit("less than a lot", "BUY", "MARKET", qty=0.001), ("REJECTED", "QTY_BELOW_MINIMUM", None, 0)),
    (submit("too large", "BUY", "MARKET", qty=1e5), ("REJECTED", "INSUFFICIENT_MARGIN", None, 1)),
    (submit("one", "SELL", "STOP", stop_price=96.5, oco="pair"), ("FILLED", None, 96.5, 5)),
    (submit("other", "BUY", "STOP", stop_price=103.5, oco="pair"), ("CANCELLED", "OCO", None, 5)),
    (submit("cancelled", "BUY", "LIMIT", price=91.0), ("CANCELLED", "INTENT", None, 3)),
    (submit("replaced", "BUY", "LIMIT", price=92.0), ("FILLED", None, 97.5, 4)),
    (submit("works", "SELL", "LIMIT", price=200.0), ("WORKING", None, None, None)),
    (submit("waits", "BUY", "MARKET", at=12), ("UNEXECUTED", None, None, None)),
]  # fmt: skip
CHANGES: list[Entry] = [
    {"at": 2, "kind": "CANCEL", "client_id": "cancelled"},
    {"at": 2, "kind": "REPLACE", "client_id": "replaced", "price": 97.5, "qty": 2.0},
    {"at": 5, "kind": "CANCEL", "client_id": "market"},
]


def named(entry: Entry) -> Entry:
    """The same with a name as the contract has them."""
    return {**entry, "client_id": entry["client_id"].replace(", ", ".").replace(" ", "-")}


PLAN = [named(entry) for entry in (*(entry for entry, _ in BY_TYPE), *CHANGES)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> OrderDesk:
    return OrderDesk(tmp_path_factory.mktemp("orders"))


@pytest.fixture(scope="module")
def played(desk: OrderDesk) -> PlayedOrders:
    return desk.plan(PLAN, execution=DELIVERIES["windows"])


@pytest.mark.parametrize(("entry", "expected"), BY_TYPE, ids=[entry["client_id"] for entry, _ in BY_TYPE])
def test_an_order_ends_as_its_rule_says(
    played: PlayedOrders, entry: Entry, expected: tuple[str, str | None, float | None, int | None]
) -> None:
    order = played.orders()[named(entry)["client_id"]]
    outcome, reason, price, ended = expected
    assert (order["outcome"], order["reason"]) == (outcome, reason)
    assert (order["average_price"], order["ended_seq"]) == (price, ended)
    assert order["seq"] == entry["at"]
    assert order["time"].value == START_NS + (entry["at"] + 1) * MINUTE_NS
    assert order["filled_qty"] == (order["qty"] if outcome == "FILLED" else 0.0)
    assert (order["side"], order["type"], order["tif"]) == (entry["side"], entry["type"], entry.get("tif", "GTC"))


def test_the_table_has_the_orders_by_number_with_the_values_they_had_last(played: PlayedOrders) -> None:
    rows = played.rows("orders")
    assert [row["number"] for row in rows] == list(range(1, len(BY_TYPE) + 1))
    submitted = sorted((entry for entry, _ in BY_TYPE), key=lambda entry: int(entry["at"]))
    assert [row["client_id"] for row in rows] == [named(entry)["client_id"] for entry in submitted]
    orders = played.orders()
    assert (orders["replaced"]["price"], orders["replaced"]["qty"]) == (97.5, 2.0)
    assert orders["of-the-day"]["valid_until_ns"] == START_NS + 10 * MINUTE_NS
    assert orders["one"]["oco"] == orders["other"]["oco"] == 1
    assert orders["market"]["oco"] is None
    assert played.rows("signals") == []


def test_fills_and_counts_are_those_of_the_orders(played: PlayedOrders) -> None:
    orders = played.rows("orders")
    outcomes = [row["outcome"] for row in orders]
    counts = played.counts
    assert counts["orders"] == len(BY_TYPE)
    for name in ("filled", "cancelled", "expired", "rejected"):
        assert counts[f"orders_{name}"] == outcomes.count(name.upper()), name
    assert counts["changes_refused"] == 1
    assert (counts["signals"], counts["rejected"], counts["unexecuted"]) == (0, 0, 0)
    filled: dict[str, float] = {}
    for fill in played.rows("fills"):
        filled[fill["side"]] = filled.get(fill["side"], 0.0) + fill["qty"]
    wanted = {side: sum(row["filled_qty"] for row in orders if row["side"] == side) for side in ("BUY", "SELL")}
    assert filled == pytest.approx(wanted)


def test_every_delivery_and_mode_and_view_of_the_account_gives_one_digest(
    desk: OrderDesk, played: PlayedOrders
) -> None:
    for reads, (name, execution) in itertools.product((False, True), DELIVERIES.items()):
        assert desk.plan(PLAN, reads=reads, execution=execution).digest == played.digest, (reads, name)
    prod = desk.plan(PLAN, mode="prod", execution=DELIVERIES["lockstep"])
    assert prod.digest == played.digest
    assert {"client_id", "meta"}.isdisjoint(prod.rows("orders")[0])


def test_the_same_run_again_finds_the_same_result(desk: OrderDesk, played: PlayedOrders) -> None:
    assert desk.plan(PLAN, execution=DELIVERIES["windows"]).told["published"] == "kept"


def test_orders_that_reduce_never_open_and_brackets_follow_them(desk: OrderDesk) -> None:
    plan = [
        submit("in", "BUY", "MARKET", qty=2.0),
        submit("out", "SELL", "LIMIT", at=1, qty=5.0, price=102.5, reduce_only=True),
        submit("nothing", "SELL", "MARKET", at=3, reduce_only=True),
        submit("target", "BUY", "MARKET", at=4, tp=99.5),
        submit("stopped", "BUY", "MARKET", at=6),
        {"at": 7, "kind": "PROTECT", "sl": 102.5},
        submit("follows", "BUY", "MARKET", at=10, risk_trail=0.5),
        {"at": 9, "kind": "PROTECT", "sl": 90.0},
    ]
    runs = [
        desk.plan(plan, reads=reads, execution=execution)
        for reads, execution in itertools.product((False, True), DELIVERIES.values())
    ]
    assert len({run.digest for run in runs}) == 1
    orders = runs[0].orders()
    told = {name: (row["outcome"], row["reason"], row["filled_qty"]) for name, row in orders.items()}
    assert told["out"] == ("CANCELLED", "REDUCE_ONLY", 2.0)
    assert told["nothing"] == ("CANCELLED", "REDUCE_ONLY", 0.0)
    fills = [(row["seq"], row["side"], row["qty"], row["price"], row["reason"]) for row in runs[0].rows("fills")]
    assert fills == [
        (1, "BUY", 2.0, 100.0, "ENTRY"),
        (3, "SELL", 2.0, 102.5, "SIGNAL"),
        (5, "BUY", 1.0, 98.0, "ENTRY"),
        (6, "SELL", 1.0, 99.5, "TAKE_PROFIT"),
        (7, "BUY", 1.0, 100.0, "ENTRY"),
        (9, "SELL", 1.0, 102.5, "STOP_LOSS"),
        (11, "BUY", 1.0, 101.0, "ENTRY"),
        # It rises to 102 and the stop to 101.5, through which the close of 101 falls.
        (11, "SELL", 1.0, 101.5, "STOP_LOSS"),
    ]
    assert runs[0].counts["changes_refused"] == 1


def test_a_position_takes_64_orders_and_a_closed_market_none_that_cannot_wait(desk: OrderDesk) -> None:
    many = [submit(f"n{k}", "BUY", "LIMIT", price=90.0) for k in range(66)]
    crowd = [desk.plan(many, execution=DELIVERIES[name]) for name in ("lockstep", "windows")]
    assert crowd[0].digest == crowd[1].digest
    refused = [name for name, row in crowd[0].orders().items() if row["outcome"] == "REJECTED"]
    assert refused == ["n64", "n65"]
    assert crowd[0].orders()["n64"]["reason"] == "TOO_MANY_ORDERS"
    early = [submit(tif, "BUY", "LIMIT", price=90.0, tif=tif) for tif in ("GTC", "DAY", "IOC", "FOK")]
    hours = {"hours": "calendar", "calendars": {"BTCUSDT": "XNYS"}}
    morning: dict[str, Any] = {
        "dataset": "demo",
        "window": {"start": "2024-01-03T14:00:00", "end": "2024-01-03T15:00:00"},
    }
    closed = desk.plan(early, execution={**DELIVERIES["windows"], **hours}, **morning).orders()
    assert {name: (row["outcome"], row["reason"]) for name, row in closed.items()} == {
        "GTC": ("WORKING", None),
        "DAY": ("REJECTED", "MARKET_CLOSED"),
        "IOC": ("REJECTED", "MARKET_CLOSED"),
        "FOK": ("REJECTED", "MARKET_CLOSED"),
    }


BAD: dict[str, tuple[Entry, str]] = {
    "S10 qty is NaN": (submit("a", "BUY", "MARKET", qty=float("nan")), "SIGNAL_NOT_FINITE"),
    "S10 qty is infinite": (submit("a", "BUY", "MARKET", qty=float("inf")), "SIGNAL_NOT_FINITE"),
    "S10 stop_price is NaN": (submit("a", "BUY", "STOP", stop_price="nan"), "SIGNAL_NOT_FINITE"),
    "S10 trail is NaN": (submit("a", "SELL", "TRAILING_STOP", trail="nan"), "SIGNAL_NOT_FINITE"),
    "S10 qty is -0.0": (submit("a", "BUY", "MARKET", qty=-0.0), "SIGNAL_RANGE"),
    "S11 qty is negative": (submit("a", "BUY", "MARKET", qty=-1.0), "SIGNAL_RANGE"),
    "S11 qty is huge": (submit("a", "BUY", "MARKET", qty=1e308), "SIGNAL_RANGE"),
    "S12 price is 0": (submit("a", "BUY", "LIMIT", price=0.0), "SIGNAL_RANGE"),
    "S12 trail rounds to 0": (submit("a", "SELL", "TRAILING_STOP", trail=0.04), "SIGNAL_RANGE"),
    "S12 sl above tp": (submit("a", "BUY", "MARKET", sl=101.0, tp=99.0), "SIGNAL_RISK_SIDE"),
    "S13 event outside": (submit("a", "BUY", "MARKET", event_index=4_000_000_000), "PROTO_SEQ"),
    "S14 unknown instrument": (submit("a", "BUY", "MARKET", instrument_index=7), "PROTO_SCOPE"),
    "S15 unknown kind": ({**submit("a", "BUY", "MARKET"), "kind": 99}, "SIGNAL_ENUM"),
    "S15 no kind": ({**submit("a", "BUY", "MARKET"), "kind": 0}, "SIGNAL_ENUM"),
    "S15 unknown type": ({**submit("a", "BUY", "MARKET"), "type": 99}, "SIGNAL_ENUM"),
    "S15 unknown tif": (submit("a", "BUY", "MARKET", tif=99), "SIGNAL_ENUM"),
    "S15 unknown side": ({**submit("a", "BUY", "MARKET"), "side": 99}, "SIGNAL_ENUM"),
    "S15 a side that is no order": (submit("a", "FLAT", "MARKET"), "SIGNAL_ENUM"),
    "no name": (submit("", "BUY", "MARKET"), "ORDER_ID"),
    "a name that is none": (submit("a b", "BUY", "MARKET"), "ORDER_ID"),
    "a name that was used": (submit("used", "BUY", "MARKET"), "ORDER_ID"),
    "a group that is none": (submit("a", "BUY", "LIMIT", price=90.0, oco="a b"), "ORDER_ID"),
    "cancel of nothing": ({"at": 0, "kind": "CANCEL", "client_id": "a"}, "ORDER_ID"),
    "a limit without price": (submit("a", "BUY", "LIMIT"), "ORDER_FIELDS"),
    "a market with price": (submit("a", "BUY", "MARKET", price=1.0), "ORDER_FIELDS"),
    "post_only on a stop": (submit("a", "BUY", "STOP", stop_price=110.0, post_only=True), "ORDER_FIELDS"),
    "IOC on a stop": (submit("a", "BUY", "STOP", stop_price=110.0, tif="IOC"), "ORDER_FIELDS"),
    "GTD without a time": (submit("a", "BUY", "MARKET", tif="GTD"), "ORDER_FIELDS"),
}


@pytest.fixture(scope="module")
def planned() -> Iterator[Attachment]:
    """The strategy that answers as planned, for all runs that fail: it outlives them."""
    with running_strategy(STRATEGIES / "planned_orders.py") as attachment:
        yield attachment


@pytest.mark.parametrize("case", BAD)
def test_an_impossible_intent_ends_the_run_alike_in_every_delivery(
    desk: OrderDesk, planned: Attachment, case: str
) -> None:
    entry, code = BAD[case]
    plan = [submit("used", "BUY", "LIMIT", price=90.0), {**entry, "at": 4}]
    errors = [
        desk.refused(plan, planned, reads=reads, execution=DELIVERIES[name])
        for name, reads in (("lockstep", False), ("windows", False), ("lockstep", True), ("windows", True))
    ]
    assert all((error["code"], error["exit"]) == (code, 1) for error in errors), errors
    if code != "PROTO_SEQ":
        assert all(error["seq"] == 4 for error in errors)
        assert all(error == errors[0] for error in errors)


def test_results_that_differ_in_an_order_alone_are_told_apart_by_their_orders(desk: OrderDesk) -> None:
    runs = [
        read_run(desk.plan([submit("a", "BUY", "LIMIT", price=price)], execution=DELIVERIES["windows"]).folder).tables()
        for price in (90.0, 91.0)
    ]
    (found,) = differences(*runs)
    assert (found.table, found.row, found.seq, found.column) == ("orders", 0, 0, "price")
    assert (found.before, found.now) == (90.0, 91.0)
    targets = desk.run("trailing_target.py", {"side": "BUY"}, execution=DELIVERIES["windows"])
    between = differences(read_run(targets.folder).tables(), runs[0])
    assert [one.table for one in between][-1] == "orders"


TICKS: dict[str, Any] = {
    "dataset": "demo",
    "instruments": ["EURUSD"],
    "frames": ["tick"],
    "window": {"start": "2024-01-03", "end": "2024-01-03T01:00:00"},
    "account": {"currency": "USD", "cash": 100_000.0, "leverage": 30.0},
    "costs": {"spread": "data", "fees_bps": 0.2},
}


def test_a_market_order_that_is_waited_for_meets_the_tick_that_is_handled(desk: OrderDesk) -> None:
    runs = [
        desk.run("waits_for_orders.py", {"every": 10}, "--record", "waits.boxgate", execution=execution, **TICKS)
        for execution in DELIVERIES.values()
    ]
    assert len({run.digest for run in runs}) == 1
    told = runs[0].report()["told"]
    entries, exits = told[::2], told[1::2]
    assert len(entries) > 20
    assert all(entry["status"] == "FILLED" and entry["price"] == entry["expected"] for entry in entries)
    assert all(entry["held"] == 1000.0 for entry in entries)
    assert {order["status"] for order in exits} <= {"WORKING", "FILLED"}
    orders = runs[0].orders()
    assert all(orders[entry["order"]]["ended_seq"] == orders[entry["order"]]["seq"] for entry in entries)
    replayed = replay(load("waits_for_orders"), desk.folder / "waits.boxgate", meta=True)
    assert replayed.signals > 100
    assert not replayed.unanswered


def test_an_order_that_is_waited_for_on_bars_is_accepted_and_fills_at_the_next_open(desk: OrderDesk) -> None:
    runs = [desk.run("waits_for_orders.py", {"every": 4}, execution=execution) for execution in DELIVERIES.values()]
    assert len({run.digest for run in runs}) == 1
    told = runs[0].report()["told"]
    assert {order["status"] for order in told} == {"QUEUED"}
    assert [order["held"] for order in told] == [0.0, 0.0, *[1000.0] * 6]
    fills = [(row["seq"], row["side"], row["price"]) for row in runs[0].rows("fills")]
    assert fills[:3] == [(1, "BUY", 100.0), (5, "SELL", 98.0), (5, "BUY", 98.0)]


def test_waiting_is_refused_where_decisions_take_their_time(desk: OrderDesk) -> None:
    for execution in (DELIVERIES["lockstep"], DELIVERIES["windows"]):
        code, told = desk.start(
            "waits_for_orders.py",
            {},
            execution={**execution, "latency": {"fixed": "5ms", "jitter": "0ms"}},
            artifacts="refused",
            **TICKS,
        )
        error = told["error"]
        assert (code, error["code"]) == (2, "CONFIG")
        assert "execution.latency" in str(error)
        assert "remove execution.latency" in str(error)


def load(name: str) -> type[Strategy]:
    """The one strategy of a script."""
    spec = importlib.util.spec_from_file_location(f"replayed_{name}", STRATEGIES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == spec.name
    ]
    return found


TRAILS = {
    # At each bar's close: what the stop stands at, three below the highest price since the open of bar 1.
    "BUY": ([97.0 + rise for rise in (1.0, 2.0, 3.0)], (4, 100.0, 0.0)),
    # Three above the lowest price: 99 from bar 1 on, which puts it at 102, the high of bar 2.
    "SELL": ([102.0], (2, 102.0, -2.0)),
}


@pytest.mark.parametrize("side", TRAILS)
def test_the_stop_of_a_target_follows_the_market_in_every_delivery(desk: OrderDesk, side: str) -> None:
    levels, (seq, price, profit) = TRAILS[side]
    runs = {
        (reads, name): desk.run("trailing_target.py", {"side": side, "trail": 3.0, "reads": reads}, execution=execution)
        for reads, (name, execution) in itertools.product((False, True), DELIVERIES.items())
    }
    assert len({run.digest for run in runs.values()}) == 1
    for (reads, _), run in runs.items():
        fills = [(row["seq"], row["price"], row["reason"]) for row in run.rows("fills")]
        assert fills == [(1, 100.0, "ENTRY"), (seq, price, "STOP_LOSS")]
        if reads:
            seen = {at: (trail, level) for at, trail, level in run.report()["seen"]}
            held = range(1, 1 + len(levels))
            assert [seen[at] for at in held] == [(3.0, level) for level in levels]
            assert all(seen[at] == (None, None) for at in range(13) if at not in held)
    assert runs[True, "windows"].told["metrics"]["return"]["net_profit"] == pytest.approx(profit)


def test_a_run_of_orders_has_its_page_and_compares_with_others(desk: OrderDesk, tmp_path: Path) -> None:
    run = desk.plan(PLAN, execution=DELIVERIES["windows"], report={"html": True})
    page = (run.folder / "report.html").read_text()
    assert "Orders and events" in page
    assert "Rejected orders" in page
    other = desk.run("trailing_target.py", {"side": "BUY"}, execution=DELIVERIES["windows"])
    code, told = desk.call("compare", run.folder.name, other.folder.name)
    assert code == 0, told
    code, told = desk.call("report", run.folder.name)
    assert code == 0, told
    code, told = desk.call("rerun", run.folder.name)
    assert code == 0, told
    assert told["equal"] is True
