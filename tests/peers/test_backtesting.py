"""The same decisions in Boxgate and in `backtesting`: equal trades and equity, or a rule that says why not.

docs/comparison.md tells the rules BT-01 to BT-03. The fixture is what the peer made; it is not installed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from boxgate_side import Played, Runs
from peer_cases import CASH, EQUITY_STEP, SERIES, load

PEER: dict[str, Any] = load("backtesting")["cases"]
each_case = pytest.mark.parametrize("case", PEER)
each_bracket = pytest.mark.parametrize("case", [case for case in PEER if not case.endswith("/sizes")])
Trade = tuple[int, int, float, float, float, float, float]
"""Bar of entry, bar of exit, signed size, both prices, profit before fees, fees."""


@pytest.fixture(scope="module")
def runs(shared_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(shared_data, tmp_path_factory.mktemp("backtesting"))


@each_case
def test_every_trade_is_that_of_the_peer_when_lots_are_closed_oldest_first(runs: Runs, case: str) -> None:
    found = oldest_first(runs.play(*case.split("/")))
    assert unexplained(found, PEER[case]["trades"]) == []
    assert len(found) >= 90


@each_bracket
def test_trades_of_one_size_are_that_of_the_peer_as_they_stand(runs: Runs, case: str) -> None:
    assert unexplained(as_published(runs.play(*case.split("/"))), PEER[case]["trades"]) == []


@each_case
def test_equity_is_that_of_the_peer_bar_by_bar(runs: Runs, case: str) -> None:
    equity, peer = runs.play(*case.split("/")).equity, PEER[case]
    assert equity[::EQUITY_STEP] == pytest.approx(peer["equity"], rel=1e-12)
    assert equity[-1] == pytest.approx(peer["equity_final"], rel=1e-12)
    assert [value - CASH for value in equity[::EQUITY_STEP]] == pytest.approx(
        [value - CASH for value in peer["equity"]], rel=1e-9, abs=1e-6
    )


@each_bracket
def test_bt_01_another_path_differs_only_where_a_bar_reaches_the_stop_and_the_target(runs: Runs, case: str) -> None:
    name, rule = case.split("/")
    optimistic = runs.play(name, rule, path="optimistic")
    theirs = {trade[0]: trade for trade in PEER[case]["trades"]}
    ours = {trade[0]: trade for trade in as_published(optimistic)}
    differing = [bar for bar in theirs if not same(ours[bar], theirs[bar])]
    assert theirs.keys() == ours.keys()
    assert len(differing) >= 1
    for bar in differing:
        decision = next(d for d in reversed(optimistic.decisions) if d.bar < theirs[bar][1])
        _, high, low, _ = optimistic.rows[theirs[bar][1]].bid
        assert ours[bar][1] == theirs[bar][1], "the bar of the exit is the same"
        assert low <= min(decision.sl, decision.tp)
        assert high >= max(decision.sl, decision.tp)
        assert (theirs[bar][4], ours[bar][4]) == (decision.sl, decision.tp)


def test_the_figures_of_bt_01_and_bt_02_are_those_of_the_page(runs: Runs) -> None:
    exits = rows = 0
    for case in PEER:
        name, rule = case.split("/")
        if rule == "sizes":
            rows += len(as_published(runs.play(name, rule)))
        else:
            exits += len(unexplained(as_published(runs.play(name, rule, path="optimistic")), PEER[case]["trades"]))
    assert (exits, rows) == (41, 272), "docs/comparison.md says so"


@each_case
def test_nothing_was_refused(runs: Runs, case: str) -> None:
    assert runs.play(*case.split("/")).metrics["counts"]["rejected"] == 0


@pytest.mark.parametrize("case", [case for case in PEER if case.endswith("/sizes")])
def test_bt_02_the_average_price_gives_other_trades_and_the_same_money(runs: Runs, case: str) -> None:
    played = runs.play(*case.split("/"))
    average, peer = as_published(played), PEER[case]["trades"]
    assert unexplained(average, peer) != []
    assert sum(t[2] * (t[3] < t[4]) for t in average) != sum(t[2] * (t[3] < t[4]) for t in peer)
    # Whenever the account is flat, both have closed the same and earned the same.
    flat = flat_bars(played)
    assert len(flat) >= 5
    for bar in flat:
        closed = [sum(trade[5] - trade[6] for trade in trades if trade[1] <= bar) for trades in (average, peer)]
        assert closed[0] == pytest.approx(closed[1], rel=1e-9, abs=1e-6)


@each_bracket
def test_bt_03_a_fill_inside_a_bar_is_stamped_when_it_is_known(runs: Runs, case: str) -> None:
    name, rule = case.split("/")
    played, frame_ns = runs.play(name, rule), SERIES[name].frame_ns
    stamps = {"open": 0, "close": 0}
    for seq, time_ns, *_ in played.fills:
        # The peer's rule is the open of the bar for every fill.
        late = time_ns - played.rows[seq].time_ns
        assert late in (0, frame_ns)
        stamps["close" if late else "open"] += 1
    assert min(stamps.values()) >= 50


def as_published(played: Played) -> list[Trade]:
    """Return the trades of trades.csv, bars by their number."""
    return [
        (
            int(row["entry_seq"]),
            int(row["exit_seq"]),
            float(row["qty"]) * (1 if row["side"] == "LONG" else -1),
            float(row["entry_price"]),
            float(row["exit_price"]),
            float(row["gross_pnl"]),
            float(row["fees"]),
        )
        for row in played.trades
    ]


def oldest_first(played: Played) -> list[Trade]:
    """Return the trades that the fills make when a reduction closes the oldest lots (rule BT-02)."""
    open_lots: list[list[float]] = []
    trades: list[Trade] = []
    for seq, _, _, side, qty, price, _, fee, *_ in played.fills:
        left = qty if side == "BUY" else -qty
        while left and open_lots and open_lots[0][1] * left < 0:
            bar, size, paid, fee_each = open_lots[0]
            closed = min(abs(size), abs(left)) * (1 if size > 0 else -1)
            fees = abs(closed) * (fee_each + fee / qty)
            trades.append((int(bar), seq, closed, paid, price, closed * (price - paid), fees))
            open_lots[0][1] -= closed
            left += closed
            if not open_lots[0][1]:
                del open_lots[0]
        if left:
            open_lots.append([seq, left, price, fee / qty])
    return sorted(trades)


def unexplained(ours: Sequence[Trade], theirs: Sequence[Sequence[float]]) -> list[Any]:
    """Return the trades that are not the same, beginning with how many there are if that differs."""
    counts = [] if len(ours) == len(theirs) else [(len(ours), len(theirs))]
    pairs = zip(sorted(ours), sorted(tuple(trade) for trade in theirs), strict=False)
    return [*counts, *((a, b) for a, b in pairs if not same(a, b))]


def same(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Tell whether bars, sizes, prices, profit and fees are equal, money to 1e-9."""
    return list(ours[:3]) == list(theirs[:3]) and ours[3:] == pytest.approx(tuple(theirs[3:]), rel=1e-9, abs=1e-9)


def flat_bars(played: Played) -> list[int]:
    """Return the bars in which a position was closed or reversed."""
    position, bars = 0.0, []
    for seq, _, _, side, qty, *_ in played.fills:
        before = position
        position += qty if side == "BUY" else -qty
        if before and not position:
            bars.append(seq)
    return bars


def test_every_fixture_case_is_long_enough_to_say_something() -> None:
    assert sum(len(case["trades"]) for case in PEER.values()) >= 1_000
    for case in PEER.values():
        assert all(a[0] <= b[0] for a, b in pairwise(case["trades"]))
