"""The same decisions in Boxgate and in `nautilus_trader` on bid and ask: equal, or a rule that says why not.

docs/comparison.md tells the rules NT-01 to NT-03. The fixture is what the peer made; it is not installed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from boxgate_side import Played, Runs
from loop import run_with_signals
from peer_cases import CASH, EQUITY_STEP, SERIES, decisions_of, load
from terms import Event, Rules, SignalIn, Spec

PEER: dict[str, Any] = load("nautilus")["cases"]
each_case = pytest.mark.parametrize("case", [case for case in PEER if not case.endswith("/bars")])
each_bar_case = pytest.mark.parametrize("case", [case for case in PEER if case.endswith("/bars")])
KIND = {"STOP_LOSS": "stop", "TAKE_PROFIT": "target"}


class Fill(NamedTuple):
    """bar: its number. change: signed size. kind: market, stop or target."""

    bar: int
    change: int
    price: float
    fee: float
    kind: str


@pytest.fixture(scope="module")
def runs(shared_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(shared_data, tmp_path_factory.mktemp("nautilus"))


@each_case
def test_every_fill_is_that_of_the_peer_when_brackets_fill_at_their_level(runs: Runs, case: str) -> None:
    played = play(runs, case)
    assert len(PEER[case]["fills"]) >= 100
    assert unexplained(at_the_level(played, fees_bps_of(case)), theirs(case)) == []


@each_case
def test_equity_is_that_of_the_peer_bar_by_bar_when_brackets_fill_at_their_level(runs: Runs, case: str) -> None:
    played, peer = play(runs, case), PEER[case]
    saved = saved_by_bar(played, fees_bps_of(case))
    equity = [value - CASH - gap for value, gap in zip(played.equity, saved, strict=True)]
    # The peer keeps money in eight decimals and rounds each fee and profit to them.
    assert equity[::EQUITY_STEP] == pytest.approx([value - CASH for value in peer["equity"]], rel=1e-9, abs=2e-6)
    assert equity[-1] == pytest.approx(peer["equity_final"] - CASH, rel=1e-9, abs=2e-6)


@each_case
def test_nt_02_only_a_bracket_that_the_open_has_passed_fills_elsewhere(runs: Runs, case: str) -> None:
    played = play(runs, case)
    for ours, peer in zip(fills_of(played), theirs(case), strict=True):
        if same(ours, peer):
            continue
        row = played.rows[ours.bar]
        assert row.ask is not None
        opened = row.bid[0] if ours.change < 0 else row.ask[0]
        assert ours.kind in KIND.values()
        assert ours.price == opened, "we fill at the price that the market had"
        passed = (peer.price - ours.price) * ours.change
        assert passed < 0.0 if ours.kind == "stop" else passed > 0.0


def test_nt_02_explains_ten_fills(runs: Runs) -> None:
    quoted = [case for case in PEER if not case.endswith("/bars")]
    differing = [unexplained(fills_of(play(runs, case)), theirs(case)) for case in quoted]
    assert sum(map(len, differing)) == 10, "docs/comparison.md says so"


@each_case
def test_nothing_was_refused(runs: Runs, case: str) -> None:
    assert play(runs, case).metrics["counts"]["rejected"] == 0


@pytest.mark.parametrize("name", ["usdjpy_m1"])
def test_nt_03_the_order_of_high_and_low_is_an_assumption_that_changes_results(runs: Runs, name: str) -> None:
    fixed, adaptive = theirs(f"{name}/flips/ohlc"), theirs(f"{name}/flips/adaptive")
    assert unexplained(fixed, adaptive) != []
    # Another path of ours gives the difference that the peer's gives.
    assert unexplained(fills_of(play(runs, f"{name}/flips/ohlc")), fixed) == []
    assert unexplained(fills_of(play(runs, f"{name}/flips/adaptive")), adaptive) == []


@each_bar_case
def test_nt_01_an_order_of_the_peer_meets_the_close_that_it_was_decided_at(runs: Runs, case: str) -> None:
    name, rule, _ = case.split("/")
    series, rows = SERIES[name], runs.rows(name)
    ours = fills_of(runs.play(name, rule, path="ohlc", spread="data"))
    assert unexplained(ours, theirs(case)) != []
    # The peer's rule: quotes are the closes alone, and what is decided at one is known before it.
    ticks = []
    for row in rows:
        assert row.ask is not None
        time_ns = row.time_ns + series.frame_ns
        ticks.append(Event("tick", 0, time_ns, time_ns, (row.bid[3],) * 4, (row.ask[3],) * 4))
    signals = {
        bar - 1: [SignalIn(0, "BUY" if side > 0 else "SELL", float(qty))]
        for bar, side, qty, _, _ in decisions_of(name, rule, rows)
    }
    rules = Rules(fees_bps=series.fees_bps, leverage=series.leverage, cash=CASH)
    result = run_with_signals([Spec(series.symbol, (1, 10**series.digits))], rules, ticks, rows[0].time_ns, signals)
    by_their_rule = [
        Fill(fill.seq, int(fill.qty) * (1 if fill.side == "BUY" else -1), fill.price, fill.fee, "market")
        for fill in result.fills
    ]
    assert unexplained(by_their_rule, theirs(case)) == []
    equity = [row.equity - CASH for row in result.equity[1:]]
    # The peer notes its equity before the order of the same close is filled: the bars of a decision are left out.
    decided = {decision.bar for decision in decisions_of(name, rule, rows)}
    pairs = zip(range(0, len(equity), EQUITY_STEP), PEER[case]["equity"], strict=True)
    compared = [(equity[bar], value - CASH) for bar, value in pairs if bar not in decided]
    assert len(compared) >= 45
    assert [a for a, _ in compared] == pytest.approx([b for _, b in compared], rel=1e-9, abs=2e-6)


def play(runs: Runs, case: str) -> Played:
    name, rule, path = case.split("/")
    return runs.play(name, rule, path=path, spread="data")


def theirs(case: str) -> list[Fill]:
    return [Fill(*fill) for fill in PEER[case]["fills"]]


def fees_bps_of(case: str) -> float:
    return SERIES[case.partition("/")[0]].fees_bps


def fills_of(played: Played) -> list[Fill]:
    return [
        Fill(seq, int(qty) * (1 if side == "BUY" else -1), price, fee, KIND.get(reason, "market"))
        for seq, _, _, side, qty, price, _, fee, _, _, reason, *_ in played.fills
    ]


def at_the_level(played: Played, fees_bps: float) -> list[Fill]:
    """Return our fills by the peer's rule NT-02: a stop loss or take profit fills at its level, also after a gap."""
    fills = []
    for fill in fills_of(played):
        if fill.kind == "market":
            fills.append(fill)
            continue
        decision = next(d for d in reversed(played.decisions) if d.bar < fill.bar)
        level = decision.sl if fill.kind == "stop" else decision.tp
        fills.append(fill._replace(price=level, fee=abs(fill.change) * level * fees_bps / 10_000))
    return fills


def saved_by_bar(played: Played, fees_bps: float) -> list[float]:
    """Return the money, bar by bar, that we have more than by the peer's rule NT-02."""
    at_bar = [0.0] * len(played.rows)
    for fill, peer in zip(fills_of(played), at_the_level(played, fees_bps), strict=True):
        if fill.price != peer.price:
            at_bar[fill.bar] += (peer.price - fill.price) * fill.change + (peer.fee - fill.fee)
    total, sums = 0.0, []
    for value in at_bar:
        total += value
        sums.append(total)
    return sums


def unexplained(ours: Sequence[Fill], peer: Sequence[Fill]) -> list[Any]:
    """Return the fills that are not the same, beginning with how many there are if that differs."""
    counts = [] if len(ours) == len(peer) else [(len(ours), len(peer))]
    return [*counts, *((a, b) for a, b in zip(ours, peer, strict=False) if not same(a, b))]


def same(ours: Fill, peer: Fill) -> bool:
    """Tell whether bar, size, price and fee are equal. The kind is not: an open may be met for two reasons."""
    return ours[:3] == peer[:3] and ours.fee == pytest.approx(peer.fee, rel=1e-9, abs=1e-8)
