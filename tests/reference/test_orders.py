"""Hand-computed cases of docs/spec/execution.md, section 15: orders, their intents and ends. Bars last a minute of 60.

Each row of a table has what happens in words, the bars, the intents by the number of the bar that they answer, the
rules, and what comes of it: fills (side, lots, price, reason) and the ends of the intents.
"""

from __future__ import annotations

from typing import Any

import pytest
from cases import MINUTE, bar, fills, flat_bar
from order_cases import (
    Answers,
    again,
    cancel,
    ends,
    limit,
    market,
    protect,
    stop,
    stop_limit,
    trade,
    trailing,
)
from terms import Event

Row = tuple[str, list[Event], Answers, dict[str, Any], list[tuple[str, int, float, str]], list[str]]

CALM = [flat_bar(place, 100.0) for place in range(5)]
SWING = [flat_bar(0, 100.0), bar(1, 100, 104, 96, 101), flat_bar(2, 101.0)]
UP_DOWN = {"path": "ohlc"}
DOWN_UP = {"path": "olhc"}


def loud(event: Event, volume: float) -> Event:
    return Event("bar", event.instrument, event.time_ns, event.open_ns, event.bid, frame_ns=MINUTE, volume=volume)


QUIET_MARKET = [loud(event, 4.0) for event in CALM]
HALF = {"volume_limit": 0.5}
"""Two lots of each bar of the quiet market."""


# ---------------------------------------------------------------------------------------------------------------------
# Where and at what price orders fill

FILLING: list[Row] = [
    (
        "a market order fills at the next open",
        [flat_bar(0, 100.0), bar(1, 103, 104, 96, 101)],
        {0: market("m", "BUY")},
        {},
        [("BUY", 1, 103.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "a market order of the last bar meets none",
        CALM[:1],
        {0: market("m", "BUY")},
        {},
        [],
        ["UNEXECUTED"],
    ),
    (
        "a limit buy fills at its price inside the bar",
        SWING,
        {0: limit("l", "BUY", 97)},
        {},
        [("BUY", 1, 97.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "a limit sell is filled by a touch of the high",
        SWING,
        {0: limit("l", "SELL", 104)},
        {},
        [("SELL", 1, 104.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "a limit that the open has passed fills at the better open",
        [flat_bar(0, 100.0), flat_bar(1, 95.0)],
        {0: limit("l", "BUY", 97)},
        {},
        [("BUY", 1, 95.0, "ENTRY")],
        ["FILLED"],
    ),
    ("a limit that is not touched works on", SWING, {0: limit("l", "BUY", 95)}, {}, [], ["WORKING"]),
    (
        "a stop buy fills at its level",
        SWING,
        {0: stop("s", "BUY", 102)},
        {},
        [("BUY", 1, 102.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "a stop sell that the open has passed fills at the worse open",
        [flat_bar(0, 100.0), flat_bar(1, 94.0)],
        {0: stop("s", "SELL", 97)},
        {},
        [("SELL", 1, 94.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "a stop limit is triggered on the way up and fills on the way down",
        SWING,
        {0: stop_limit("x", "BUY", 103, 102)},
        UP_DOWN,
        [("BUY", 1, 102.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "a stop limit that is triggered at the high on the last way up has not met its limit",
        [flat_bar(0, 100.0), bar(1, 100, 104, 96, 104), flat_bar(2, 104.0)],
        {0: stop_limit("x", "BUY", 103, 102)},
        DOWN_UP,
        [],
        ["WORKING"],
    ),
    (
        "a stop limit triggered in one bar is a limit in the next",
        [flat_bar(0, 100.0), bar(1, 100, 104, 100, 104), bar(2, 104, 104, 99, 99)],
        {0: stop_limit("x", "BUY", 103, 102)},
        {},
        [("BUY", 1, 102.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "a stop limit whose limit is beyond its stop fills where it is triggered",
        SWING,
        {0: stop_limit("x", "BUY", 102, 105)},
        {},
        [("BUY", 1, 102.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "an open beyond the stop triggers a stop limit, which fills at that open if it is good enough",
        [flat_bar(0, 100.0), flat_bar(1, 103.0)],
        {0: stop_limit("x", "BUY", 102, 105)},
        {},
        [("BUY", 1, 103.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "an open beyond stop and limit triggers a stop limit, which waits",
        [flat_bar(0, 100.0), flat_bar(1, 106.0), flat_bar(2, 105.0)],
        {0: stop_limit("x", "BUY", 102, 105)},
        {},
        [("BUY", 1, 105.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        # Promoted at 100: level 98. The high lifts it to 102; on the way down 102 is met.
        "a trailing sell follows the high and fills on the way down",
        SWING,
        {0: trailing("t", "SELL", 2)},
        UP_DOWN,
        [("SELL", 1, 102.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        # Low first: 98 is met on the way to 96.
        "a trailing sell starts from the open of the bar it meets",
        SWING,
        {0: trailing("t", "SELL", 2)},
        DOWN_UP,
        [("SELL", 1, 98.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        # 100 + 5 = 105; the low 96 gives 101, which is the close.
        "a trailing buy follows the low",
        SWING,
        {0: trailing("t", "BUY", 5)},
        {},
        [("BUY", 1, 101.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        # 2 - 3 < 0: no level until the price is 4; then 1, which 1 meets.
        "a trailing sell has no level at or below zero",
        [flat_bar(0, 2.0), flat_bar(1, 2.0), flat_bar(2, 1.0), flat_bar(3, 4.0), flat_bar(4, 1.0)],
        {0: trailing("t", "SELL", 3)},
        {},
        [("SELL", 1, 1.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "an order of the other side reduces, then increases",
        CALM,
        {0: market("a", "BUY", 2), 1: market("b", "SELL", 5)},
        {},
        [("BUY", 2, 100.0, "ENTRY"), ("SELL", 2, 100.0, "SIGNAL"), ("SELL", 3, 100.0, "ENTRY")],
        ["FILLED", "FILLED"],
    ),
]


# ---------------------------------------------------------------------------------------------------------------------
# The order of events at an open and of ties inside a bar

ORDERING: list[Row] = [
    (
        "a market order reduces before the stop loss that the open has passed",
        [flat_bar(0, 100.0), flat_bar(1, 100.0), flat_bar(2, 90.0)],
        {0: market("a", "BUY", sl=95.0), 1: market("b", "SELL")},
        {},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 90.0, "SIGNAL")],
        ["FILLED", "FILLED"],
    ),
    (
        "the stop loss goes before what a market order adds",
        [flat_bar(0, 100.0), flat_bar(1, 100.0), flat_bar(2, 90.0)],
        {0: market("a", "BUY", sl=95.0), 1: market("b", "BUY", 2)},
        {},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 90.0, "STOP_LOSS"), ("BUY", 2, 90.0, "ENTRY")],
        ["FILLED", "FILLED"],
    ),
    (
        "limits that the open has reached go before what a market order adds, whatever their place",
        CALM,
        {0: market("a", "BUY"), 1: [market("b", "BUY"), limit("c", "SELL", 99)]},
        {},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 100.0, "SIGNAL"), ("BUY", 1, 100.0, "ENTRY")],
        ["FILLED", "FILLED", "FILLED"],
    ),
    (
        "stops that the open has reached go before limits, whatever their place",
        [flat_bar(0, 100.0), flat_bar(1, 95.0)],
        {0: [limit("l", "BUY", 98, 2), stop("s", "SELL", 98)]},
        {},
        [("SELL", 1, 95.0, "ENTRY"), ("BUY", 1, 95.0, "SIGNAL"), ("BUY", 1, 95.0, "ENTRY")],
        ["FILLED", "FILLED"],
    ),
    (
        "at a tie inside the bar the stop goes before the limit, whatever their place",
        SWING,
        {0: [limit("l", "BUY", 98, 2), stop("s", "SELL", 98)]},
        {},
        [("SELL", 1, 98.0, "ENTRY"), ("BUY", 1, 98.0, "SIGNAL"), ("BUY", 1, 98.0, "ENTRY")],
        ["FILLED", "FILLED"],
    ),
    (
        "at a tie inside the bar the stop loss goes before all orders",
        [flat_bar(0, 100.0), *SWING[1:]],
        {0: [market("a", "BUY", sl=98.0), limit("l", "BUY", 98), stop("s", "SELL", 98)]},
        {},
        [
            ("BUY", 1, 100.0, "ENTRY"),
            ("SELL", 1, 98.0, "STOP_LOSS"),
            ("SELL", 1, 98.0, "ENTRY"),
            ("BUY", 1, 98.0, "SIGNAL"),
        ],
        ["FILLED", "FILLED", "FILLED"],
    ),
    (
        "market orders of one open reduce one after the other",
        CALM,
        {0: market("a", "BUY", 3), 1: [market("b", "SELL", 2), market("c", "SELL", 2)]},
        {},
        [
            ("BUY", 3, 100.0, "ENTRY"),
            ("SELL", 2, 100.0, "SIGNAL"),
            ("SELL", 1, 100.0, "SIGNAL"),
            ("SELL", 1, 100.0, "ENTRY"),
        ],
        ["FILLED", "FILLED", "FILLED"],
    ),
]


# ---------------------------------------------------------------------------------------------------------------------
# Brackets of orders and PROTECT

BRACKETS: list[Row] = [
    (
        "an increase gives the position the order's bracket",
        [*CALM[:2], *(bar(2, 100, 104, 96, 101),)],
        {0: market("a", "BUY", tp=103.0)},
        {},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 103.0, "TAKE_PROFIT")],
        ["FILLED"],
    ),
    (
        "an increase without a bracket removes it",
        [*CALM[:3], bar(3, 100, 104, 96, 101)],
        {0: market("a", "BUY", tp=103.0), 1: market("b", "BUY")},
        {},
        [("BUY", 1, 100.0, "ENTRY"), ("BUY", 1, 100.0, "ENTRY")],
        ["FILLED", "FILLED"],
    ),
    (
        "a reduction leaves the bracket",
        [*CALM[:3], bar(3, 100, 104, 96, 101)],
        {0: market("a", "BUY", 3, tp=103.0), 1: market("b", "SELL")},
        {},
        [("BUY", 3, 100.0, "ENTRY"), ("SELL", 1, 100.0, "SIGNAL"), ("SELL", 2, 103.0, "TAKE_PROFIT")],
        ["FILLED", "FILLED"],
    ),
    (
        "PROTECT states the whole bracket",
        [*CALM[:3], bar(3, 100, 104, 96, 101)],
        {0: market("a", "BUY", tp=103.0), 1: protect(sl=97.0)},
        {},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 97.0, "STOP_LOSS")],
        ["FILLED", "DONE"],
    ),
    ("PROTECT without a position is rejected", CALM, {0: protect(sl=97.0)}, {}, [], ["REJECTED NO_POSITION"]),
    (
        # Promotion of both comes before the order closes the position; afterwards there is none.
        "PROTECT takes effect before the orders of its open fill",
        [*CALM[:2], flat_bar(2, 90.0), *CALM[3:]],
        {0: market("a", "BUY"), 1: [market("b", "SELL"), protect(sl=97.0)], 2: protect(sl=80.0)},
        {},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 90.0, "SIGNAL")],
        ["FILLED", "FILLED", "DONE", "REJECTED NO_POSITION"],
    ),
    (
        "the levels of PROTECT are held against the last mark",
        CALM,
        {0: market("a", "SELL"), 1: [protect(sl=100.0), protect(tp=100.0), protect(sl=101.0, tp=99.0)]},
        {},
        [("SELL", 1, 100.0, "ENTRY")],
        ["FILLED", "REJECTED STOP_LOSS_SIDE", "REJECTED TAKE_PROFIT_SIDE", "DONE"],
    ),
    (
        # From 100: 97; the high 104 lifts it to 101, the close.
        "PROTECT with a trail follows the price",
        [*CALM[:2], bar(2, 100, 104, 96, 101)],
        {0: market("a", "BUY"), 1: protect(risk_trail=3.0)},
        UP_DOWN,
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 101.0, "STOP_LOSS")],
        ["FILLED", "DONE"],
    ),
    (
        "a bracket leaves orders, but ends working reduce_only ones",
        [*CALM[:2], flat_bar(2, 90.0), flat_bar(3, 90.0)],
        {0: market("a", "BUY", sl=95.0), 1: [limit("b", "SELL", 110), limit("c", "SELL", 110, reduce_only=True)]},
        {},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 90.0, "STOP_LOSS")],
        ["FILLED", "WORKING", "CANCELLED REDUCE_ONLY"],
    ),
]


# ---------------------------------------------------------------------------------------------------------------------
# Time in force, reduce_only, oco, post_only

FLAGS: list[Row] = [
    (
        "GTD takes part in the bar that is available at its end",
        [*CALM[:1], *SWING[1:2]],
        {0: limit("l", "BUY", 97, tif="GTD", valid_until_ns=2 * MINUTE)},
        {},
        [("BUY", 1, 97.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "GTD expires before a bar that is available later, also in the queue",
        [*CALM[:1], *SWING[1:2]],
        {0: limit("l", "BUY", 97, tif="GTD", valid_until_ns=2 * MINUTE - 1)},
        {},
        [],
        ["EXPIRED"],
    ),
    (
        "DAY ends with the first day boundary after its moment",
        [*CALM[:2], bar(2, 100, 104, 96, 101)],
        {0: [limit("l", "BUY", 97, tif="DAY")], 1: [limit("k", "BUY", 98, tif="DAY")]},
        {"day_ends": ((MINUTE, 2 * MINUTE, 5 * MINUTE),)},
        [("BUY", 1, 98.0, "ENTRY")],
        ["EXPIRED", "FILLED"],
    ),
    (
        "IOC that its first open does not reach is cancelled",
        SWING,
        {0: limit("l", "BUY", 97, tif="IOC")},
        {},
        [],
        ["CANCELLED IOC"],
    ),
    (
        "IOC takes what the volume gives, the rest is cancelled",
        QUIET_MARKET,
        {0: market("m", "BUY", 3, tif="IOC")},
        HALF,
        [("BUY", 2, 100.0, "ENTRY")],
        ["CANCELLED IOC"],
    ),
    (
        "FOK takes all or nothing of the volume",
        QUIET_MARKET,
        {0: [market("m", "BUY", 3, tif="FOK")], 1: [market("n", "BUY", 2, tif="FOK")]},
        HALF,
        [("BUY", 2, 100.0, "ENTRY")],
        ["CANCELLED FOK", "FILLED"],
    ),
    (
        "FOK that the margin does not allow reduces nothing either",
        CALM,
        {0: market("a", "BUY"), 1: [market("b", "SELL", 4, tif="FOK"), limit("c", "SELL", 100, 3, tif="FOK")]},
        {"cash": 250.0},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 100.0, "SIGNAL"), ("SELL", 2, 100.0, "ENTRY")],
        ["FILLED", "CANCELLED FOK", "FILLED"],
    ),
    (
        "FOK limits fill or end at their first open",
        SWING,
        {0: [limit("l", "BUY", 97, tif="FOK"), limit("m", "BUY", 101, tif="FOK")]},
        {},
        [("BUY", 1, 100.0, "ENTRY")],
        ["CANCELLED FOK", "FILLED"],
    ),
    (
        "reduce_only fills what there is to reduce and ends",
        CALM,
        {0: market("a", "BUY", 2), 1: market("b", "SELL", 5, reduce_only=True)},
        {},
        [("BUY", 2, 100.0, "ENTRY"), ("SELL", 2, 100.0, "SIGNAL")],
        ["FILLED", "CANCELLED REDUCE_ONLY"],
    ),
    (
        "reduce_only without a position ends when it is reached, not before",
        SWING,
        {0: [market("m", "BUY", reduce_only=True), limit("l", "BUY", 97, reduce_only=True), limit("k", "BUY", 90)]},
        {},
        [],
        ["CANCELLED REDUCE_ONLY", "CANCELLED REDUCE_ONLY", "WORKING"],
    ),
    (
        "the first fill ends the others of the group, those that wait too",
        SWING,
        {0: [limit("l", "BUY", 97, oco="g"), stop("s", "BUY", 103, oco="g"), limit("k", "BUY", 95, oco="other")]},
        DOWN_UP,
        [("BUY", 1, 97.0, "ENTRY")],
        ["FILLED", "CANCELLED OCO", "WORKING"],
    ),
    (
        "post_only is rejected where the last mark has reached its price",
        CALM,
        {0: [limit("l", "BUY", 100, post_only=True), limit("k", "SELL", 100, post_only=True)]},
        {},
        [],
        ["REJECTED POST_ONLY", "REJECTED POST_ONLY"],
    ),
    (
        "post_only is rejected where the open at which it begins has reached its price, and stays a maker afterwards",
        [flat_bar(0, 100.0), flat_bar(1, 96.0), flat_bar(2, 94.0)],
        {0: [limit("l", "BUY", 97, post_only=True), limit("k", "BUY", 95, post_only=True)]},
        {},
        [("BUY", 1, 94.0, "ENTRY")],
        ["REJECTED POST_ONLY", "FILLED"],
    ),
]


# ---------------------------------------------------------------------------------------------------------------------
# Rejections, REPLACE and CANCEL

INTENTS: list[Row] = [
    (
        "a stop that the last mark has reached is rejected",
        CALM,
        {0: [stop("a", "BUY", 100), stop_limit("b", "SELL", 100, 90), stop("c", "SELL", 99)]},
        {},
        [],
        ["REJECTED STOP_PRICE_SIDE", "REJECTED STOP_PRICE_SIDE", "WORKING"],
    ),
    (
        "brackets are held against price, else stop price, else the last mark",
        CALM,
        {
            0: [
                limit("a", "BUY", 90, sl=90.0),
                stop("b", "BUY", 110, tp=110.0),
                market("c", "SELL", sl=100.0),
                limit("d", "BUY", 90, sl=89.0, tp=91.0),
            ]
        },
        {},
        [],
        ["REJECTED STOP_LOSS_SIDE", "REJECTED TAKE_PROFIT_SIDE", "REJECTED STOP_LOSS_SIDE", "WORKING"],
    ),
    (
        "less than a lot is rejected, more is rounded down",
        CALM,
        {0: [market("a", "BUY", 0.9), market("b", "BUY", 1.9)]},
        {},
        [("BUY", 1, 100.0, "ENTRY")],
        ["REJECTED QTY_BELOW_MINIMUM", "FILLED"],
    ),
    (
        "an instrument has 64 orders that work or wait",
        CALM,
        {0: [limit(f"a{n}", "BUY", 50) for n in range(40)], 1: [limit(f"b{n}", "BUY", 50) for n in range(25)]},
        {},
        [],
        ["WORKING"] * 64 + ["REJECTED TOO_MANY_ORDERS"],
    ),
    (
        "a replaced order has the new values",
        [*CALM[:2], bar(2, 100, 104, 96, 101)],
        {0: limit("a", "BUY", 90), 1: again("a", qty=2.0, price=97.0)},
        {},
        [("BUY", 2, 97.0, "ENTRY")],
        ["FILLED", "DONE"],
    ),
    (
        "a replaced order goes to the end of the list",
        [loud(event, 4.0) for event in (*CALM[:2], bar(2, 100, 104, 96, 101))],
        {0: [limit("a", "BUY", 97, 2), limit("b", "BUY", 97, 2)], 1: again("a", qty=2.0, price=97.0)},
        HALF,
        [("BUY", 2, 97.0, "ENTRY")],
        ["WORKING", "FILLED", "DONE"],
    ),
    (
        # a fills 2 in bar 1. Asked for 2 in all it is refused, for 3 it fills one more.
        "the quantity of a replaced order counts what it has filled",
        QUIET_MARKET,
        {0: market("a", "BUY", 9), 1: [again("a", qty=2.0), again("a", qty=3.0)]},
        HALF,
        [("BUY", 2, 100.0, "ENTRY"), ("BUY", 1, 100.0, "ENTRY")],
        ["FILLED", "REJECTED QTY_BELOW_MINIMUM", "DONE"],
    ),
    (
        "an order can be replaced and cancelled before it has begun",
        CALM,
        {0: [market("a", "BUY"), again("a", qty=3.0), market("b", "BUY"), cancel("b")]},
        {},
        [("BUY", 3, 100.0, "ENTRY")],
        ["FILLED", "DONE", "CANCELLED INTENT", "DONE"],
    ),
    (
        "what has ended can be neither replaced nor cancelled",
        CALM,
        {0: market("a", "BUY"), 1: [cancel("a"), again("a", qty=2.0)]},
        {},
        [("BUY", 1, 100.0, "ENTRY")],
        ["FILLED", "REJECTED ORDER_NOT_WORKING", "REJECTED ORDER_NOT_WORKING"],
    ),
    (
        "a second CANCEL that was accepted comes too late",
        CALM,
        {0: limit("a", "BUY", 90), 1: [cancel("a"), cancel("a")]},
        {},
        [],
        ["CANCELLED INTENT", "DONE", "REJECTED ORDER_NOT_WORKING"],
    ),
    (
        "a stop cannot be moved to where the market is, a post_only order neither",
        CALM,
        {
            0: [stop("s", "BUY", 105), limit("l", "SELL", 105, post_only=True)],
            1: [again("s", qty=1.0, stop_price=99.0), again("l", qty=1.0, price=99.0)],
        },
        {},
        [],
        ["WORKING", "WORKING", "REJECTED STOP_PRICE_SIDE", "REJECTED POST_ONLY"],
    ),
    (
        # Up to 110 the level is 107; a trail of 3 again keeps it, so that 106 meets it.
        "an equal trail keeps its level",
        [flat_bar(0, 100.0), flat_bar(1, 110.0), flat_bar(2, 108.0), flat_bar(3, 106.0)],
        {0: trailing("t", "SELL", 3), 1: again("t", qty=2.0, trail=3.0)},
        {},
        [("SELL", 2, 106.0, "ENTRY")],
        ["FILLED", "DONE"],
    ),
    (
        # A trail of 4 begins anew at 108: level 104.
        "another trail begins anew",
        [flat_bar(0, 100.0), flat_bar(1, 110.0), flat_bar(2, 108.0), flat_bar(3, 106.0)],
        {0: trailing("t", "SELL", 3), 1: again("t", qty=1.0, trail=4.0)},
        {},
        [],
        ["WORKING", "DONE"],
    ),
    (
        # One can be paid with 150; the reversal to short 2 cannot, its reduction stays.
        "a refused increase ends the order, what was reduced stays",
        CALM,
        {0: market("a", "BUY"), 1: market("b", "SELL", 3)},
        {"cash": 150.0},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 100.0, "SIGNAL")],
        ["FILLED", "REJECTED INSUFFICIENT_MARGIN"],
    ),
    (
        "a cash account cannot be short",
        CALM,
        {0: market("a", "SELL")},
        {"cash_account": True},
        [],
        ["REJECTED SHORT_NOT_ALLOWED"],
    ),
]


# ---------------------------------------------------------------------------------------------------------------------
# Volume limit

VOLUME: list[Row] = [
    (
        "a market order takes its share of each open until it is filled",
        QUIET_MARKET,
        {0: market("m", "BUY", 5)},
        HALF,
        [("BUY", 2, 100.0, "ENTRY"), ("BUY", 2, 100.0, "ENTRY"), ("BUY", 1, 100.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "the reducing part comes first, and no increase before it is whole",
        QUIET_MARKET,
        {0: market("a", "BUY", 2), 1: market("b", "SELL", 3)},
        {"volume_limit": 0.25},
        [
            ("BUY", 1, 100.0, "ENTRY"),
            ("SELL", 1, 100.0, "SIGNAL"),
            ("BUY", 1, 100.0, "ENTRY"),
            ("SELL", 1, 100.0, "SIGNAL"),
        ],
        ["FILLED", "WORKING"],
    ),
    (
        "orders of one event share its volume, in the order of filling",
        QUIET_MARKET[:2],
        {0: [market("a", "BUY"), market("b", "BUY", 2)]},
        HALF,
        [("BUY", 1, 100.0, "ENTRY"), ("BUY", 1, 100.0, "ENTRY")],
        ["FILLED", "WORKING"],
    ),
    (
        "a limit works on where it stands",
        [loud(event, 4.0) for event in (CALM[0], bar(1, 100, 104, 96, 101), bar(2, 101, 104, 96, 101))],
        {0: limit("l", "BUY", 97, 3)},
        HALF,
        [("BUY", 2, 97.0, "ENTRY"), ("BUY", 1, 97.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "a stop that was met works on as a market order",
        [loud(event, 4.0) for event in (CALM[0], bar(1, 100, 104, 100, 104), flat_bar(2, 90.0))],
        {0: stop("s", "BUY", 102, 3)},
        HALF,
        [("BUY", 2, 102.0, "ENTRY"), ("BUY", 1, 90.0, "ENTRY")],
        ["FILLED"],
    ),
    (
        "a bar without volume fills no order, but brackets wholly",
        [loud(CALM[0], 8.0), loud(CALM[1], 8.0), loud(flat_bar(2, 90.0), 0.0), loud(flat_bar(3, 90.0), 2.0)],
        {0: market("a", "BUY", 4, sl=95.0), 1: market("b", "BUY", 1)},
        HALF,
        [("BUY", 4, 100.0, "ENTRY"), ("SELL", 4, 90.0, "STOP_LOSS"), ("BUY", 1, 90.0, "ENTRY")],
        ["FILLED", "FILLED"],
    ),
    (
        # 3 cannot be paid with 250, the 2 that the volume leaves can.
        "the increase that is checked for margin is the cut one",
        QUIET_MARKET[:2],
        {0: market("a", "BUY", 3)},
        {**HALF, "cash": 250.0},
        [("BUY", 2, 100.0, "ENTRY")],
        ["WORKING"],
    ),
    (
        "the limit is a whole number of lots",
        [loud(event, 3.0) for event in CALM[:2]],
        {0: market("a", "BUY", 3)},
        {"volume_limit": 0.9},
        [("BUY", 2, 100.0, "ENTRY")],
        ["WORKING"],
    ),
]


# ---------------------------------------------------------------------------------------------------------------------
# Market hours: the market opens for bars that open in the intervals

HOURS: list[Row] = [
    (
        "while the market is closed orders neither begin nor fill",
        [flat_bar(0, 100.0), flat_bar(1, 90.0), flat_bar(2, 95.0)],
        {0: [market("m", "BUY"), limit("l", "BUY", 92)]},
        {"hours": (((0, MINUTE), (2 * MINUTE, 9 * MINUTE)),)},
        [("BUY", 1, 95.0, "ENTRY")],
        ["FILLED", "WORKING"],
    ),
    (
        "brackets neither",
        [*CALM[:2], bar(2, 100, 100, 90, 100), flat_bar(3, 100.0), flat_bar(4, 94.0)],
        {0: market("m", "BUY", sl=95.0)},
        {"hours": (((0, 2 * MINUTE), (3 * MINUTE, 9 * MINUTE)),)},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 94.0, "STOP_LOSS")],
        ["FILLED"],
    ),
    (
        "the trail moves on",
        [*CALM[:2], bar(2, 100, 110, 100, 110), flat_bar(3, 104.0)],
        {0: market("m", "BUY", risk_trail=5.0)},
        {"hours": (((0, 2 * MINUTE), (3 * MINUTE, 9 * MINUTE)),)},
        [("BUY", 1, 100.0, "ENTRY"), ("SELL", 1, 104.0, "STOP_LOSS")],
        ["FILLED"],
    ),
    (
        "orders that do not wait are rejected while it is closed, the others wait",
        CALM,
        {
            0: [
                market("d", "BUY", tif="DAY"),
                market("i", "BUY", tif="IOC"),
                market("f", "BUY", tif="FOK"),
                market("g", "BUY"),
                limit("t", "BUY", 101, tif="GTD", valid_until_ns=9 * MINUTE),
            ]
        },
        {"hours": (((0, MINUTE), (2 * MINUTE, 9 * MINUTE)),)},
        [("BUY", 1, 100.0, "ENTRY"), ("BUY", 1, 100.0, "ENTRY")],
        ["REJECTED MARKET_CLOSED"] * 3 + ["FILLED", "FILLED"],
    ),
]


def named(tables: list[list[Row]]) -> list[Any]:
    return [pytest.param(*row[1:], id=row[0].replace(" ", "_")) for table in tables for row in table]


@pytest.mark.parametrize(
    ("events", "answers", "rules", "expected", "ended"),
    named([FILLING, ORDERING, BRACKETS, FLAGS, INTENTS, VOLUME, HOURS]),
)
def test_orders(
    events: list[Event],
    answers: Answers,
    rules: dict[str, Any],
    expected: list[tuple[str, int, float, str]],
    ended: list[str],
) -> None:
    result = trade(events, answers, **rules)
    assert fills(result) == expected
    assert ends(result) == ended
