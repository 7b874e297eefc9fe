"""The pieces of `make bench`: data without ties, statistics of pairs, the table, and Boxgate's side of a comparison."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from duel import Duel, Spread, System, check_equal, fight, ratios
from market import prepare_bars, prepare_ticks, walk
from pipe import Failed, Player
from play_boxgate import play, run_config_of
from rows import DUELS, SCRIPTS, Row, rows_of_duel
from table import BEGIN, END, markdown, text, write_between_markers

from boxgate_server.runner import Runner

QTY, CASH, FEES = 1_000.0, 1_000_000.0, 0.1e-4
BARS = 3_000
DUEL = Duel(
    "key", "cross", "bars", System("ours", "Ours", "x", "", ()), (System("p", "Peer", "x", "y", ()),), {"p": 2.0}
)


@pytest.fixture(scope="module")
def suite(repository: Path) -> ModuleType:
    """The program itself."""
    file = repository / "tests" / "bench" / "suite" / "__main__.py"
    spec = importlib.util.spec_from_file_location("bench_program", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_two_means_of_the_walk_are_equal_and_nothing_is_decided_at_its_end() -> None:
    ticks = np.rint(np.asarray(walk(20_000)["close"]) * 100_000).astype(int)
    sums = {length: np.convolve(ticks, np.ones(length, dtype=int), "valid")[-19_000:] for length in (10, 30)}
    difference = 3 * sums[10] - sums[30]
    assert (difference != 0).all()
    assert (np.diff(np.sign(difference)) != 0).sum() > 300
    assert (difference[-5:] > 0).all()


def test_the_walk_is_the_same_each_time_and_its_bars_are_sound() -> None:
    columns = {name: np.asarray(column) for name, column in walk(5_000).items()}
    assert all(np.array_equal(np.asarray(column), columns[name]) for name, column in walk(5_000).items())
    assert (columns["low"] <= np.minimum(columns["open"], columns["close"])).all()
    assert (columns["high"] >= np.maximum(columns["open"], columns["close"])).all()
    assert columns["low"].min() > 0.0


@pytest.mark.parametrize("form", ["vector", "bar"])
def test_a_run_on_the_walk_makes_what_a_plain_loop_makes(tmp_path: Path, form: str) -> None:
    folder, store = prepare_bars(tmp_path, BARS), tmp_path / "store"
    store.mkdir()
    with Runner(folder=folder) as runner:
        outcome = play(run_config_of(folder, form), runner, store)
    fills, equity = crossing(folder)
    assert (outcome["events"], outcome["fills"]) == (BARS, fills)
    assert fills > 50
    assert math.isclose(outcome["equity_final"], equity, rel_tol=1e-9)
    assert outcome["seconds"] > 0.0
    assert len(list(store.glob("*/r_*/manifest.json"))) == 1


def crossing(folder: Path) -> tuple[int, float]:
    """Return fills and final equity of the cross, in ticks but for the fees; a decision fills at the next open."""
    arrays = np.load(folder / "arrays.npz")
    opens, closes = (np.rint(arrays[name] * 100_000).astype(int).tolist() for name in ("open", "close"))
    held = fills = before = 0
    cash = CASH
    wanted = 0
    for k in range(len(closes)):
        if wanted != held:
            price = opens[k] / 100_000
            cash -= (wanted - held) * QTY * price + QTY * price * FEES
            held = wanted
            fills += 1
        if k >= 29:
            side = 1 if 3 * sum(closes[k - 9 : k + 1]) > sum(closes[k - 29 : k + 1]) else -1
            if before and side != before:
                wanted = 1 if side > 0 else 0
            before = side
    return fills, cash + held * QTY * closes[-1] / 100_000


@pytest.mark.slow
def test_a_run_on_the_ticks_makes_as_many_fills_as_a_plain_loop(tmp_path: Path, shared_data: Path) -> None:
    folder, store = prepare_ticks(tmp_path, shared_data), tmp_path / "store"
    store.mkdir()
    with Runner(folder=folder) as runner:
        outcome = play(run_config_of(folder, "ticks"), runner, store)
    arrays = np.load(folder / "arrays.npz")
    middles: deque[int] = deque(maxlen=21)
    fills = 0
    for bid, ask in zip(
        *(np.rint(arrays[name] * 100_000).astype(int).tolist() for name in ("bid", "ask")), strict=True
    ):
        middles.append(bid + ask)
        move = middles[-1] - middles[0]
        if len(middles) == 21 and (move < -10.5 if fills % 2 else move > 10.5):
            fills += 1
    assert (outcome["events"], outcome["fills"]) == (532_903, fills)


def test_a_ratio_is_taken_within_each_round() -> None:
    outcomes = {"ours": [{"seconds": s} for s in (1.0, 2.0, 4.0)], "p": [{"seconds": s} for s in (3.0, 4.0, 4.0)]}
    assert ratios(outcomes, "ours", "p") == Spread(2.0, 1.0, 3.0, 3)
    (row,) = rows_of_duel(DUEL, outcomes)
    assert (row.value.median, row.target, row.verdict) == (2.0, 2.0, "met")


def test_systems_that_trade_differently_are_not_compared() -> None:
    ours: dict[str, Any] = {"seconds": 1.0, "fills": 10, "equity_final": 1_000.0}
    check_equal(DUEL, {"ours": [ours], "p": [{"seconds": 1.0, "fills": 10}]})
    with pytest.raises(Failed, match="p made 11 fills, not 10"):
        check_equal(DUEL, {"ours": [ours], "p": [ours, {**ours, "fills": 11}]})
    with pytest.raises(Failed, match=r"p ended with 1000\.1, not 1000\.0"):
        check_equal(DUEL, {"ours": [ours], "p": [{**ours, "equity_final": 1_000.1}]})


def test_the_verdict_follows_the_median_and_the_direction_of_the_target() -> None:
    value = Spread(2.0, 1.0, 3.0, 9)
    assert Row("a", "a", value, "×", 2.0).verdict == "met"
    assert Row("a", "a", value, "×", 2.1).verdict == "missed"
    assert Row("a", "a", value, "s", 2.1, at_least=False).verdict == "met"
    assert Row("a", "a", value, "s", 1.9, at_least=False).verdict == "missed"
    assert Row("a", "a", value, "s", None).verdict == ""


def test_the_table_tells_ratio_range_target_and_verdict() -> None:
    rows = [
        Row("a", "one ÷ other", Spread(1.62, 1.4, 12.34, 9), "×", 1.5),
        Row("b", "start", Spread(41.0, 41.0, 41.0, 1), "ms", None),
    ]
    assert text(rows).splitlines() == [
        "what          median    from – to  of   target  verdict",
        "one ÷ other   1.62 ×  1.40 – 12.3   9  ≥ 1.5 ×      met",
        "start        41.0 ms                1",
    ]
    assert markdown(rows).splitlines()[2] == "| one ÷ other | 1.62 × | 1.40 – 12.3 | 9 | ≥ 1.5 × | met |"


def test_only_what_stands_between_the_markers_of_a_document_is_written(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_between_markers(document, "new\n")
    assert document.read_text(encoding="utf-8") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    document.write_text("no markers", encoding="utf-8")
    with pytest.raises(SystemExit, match="has no markers"):
        write_between_markers(document, "new")


def test_the_document_has_the_markers(repository: Path) -> None:
    document = (repository / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert document.index(BEGIN) < document.index(END)


def test_the_options_choose_parts_files_and_pairs(
    suite: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = suite.parse([])
    assert plain.only == [part.key for part in (*DUELS, *SCRIPTS)]
    assert (plain.pairs, plain.json.name, plain.plot.name) == (9, "result.json", "result.png")
    chosen = suite.parse(["--only", "vector", "kernel", "--pairs", "3", "--json", str(tmp_path / "x.json")])
    assert (chosen.only, chosen.pairs, chosen.plot) == (["vector", "kernel"], 3, tmp_path / "x.png")
    for wrong, told in ((["--only", "nothing"], "invalid choice"), (["--pairs", "0"], "at least 1")):
        with pytest.raises(SystemExit):
            suite.parse(wrong)
        assert told in capsys.readouterr().err


def test_every_script_that_is_composed_exists_and_every_peer_has_requirements(repository: Path) -> None:
    for script in SCRIPTS:
        assert (repository / "tests" / "bench" / script.file).is_file()
    for duel in DUELS:
        assert set(duel.targets) <= {peer.key for peer in duel.peers}
        for peer in duel.peers:
            assert (repository / f"tests/peers/requirements/{peer.environment}.txt").is_file()


def test_a_player_answers_each_request_and_its_end_is_told(repository: Path, tmp_path: Path) -> None:
    script = tmp_path / "player.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(repository / 'tests/bench/suite')!r})\nimport pipe\n"
        "left = [2.0, 1.0, 0.5]\n"
        "def repeat():\n    print('noise')\n    return {'seconds': left.pop(), 'fills': 0}\n"
        "pipe.serve(repeat, {'python': '3'})\n"
    )
    player = Player([sys.executable, str(script)], tmp_path / "log")
    assert player.versions == {"python": "3"}
    assert [player.repeat()["seconds"] for _ in range(2)] == [1.0, 2.0]
    with pytest.raises(Failed, match="pop from empty list"):
        player.repeat()
    player.close()


def test_the_order_within_a_round_rotates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []

    class Recorded:
        def __init__(self, command: list[str], log: Path) -> None:
            self.name = command[-1]
            self.versions: dict[str, str] = {}

        def repeat(self) -> dict[str, Any]:
            asked.append(self.name)
            return {"seconds": 1.0, "fills": 3}

        def close(self) -> None:
            asked.append("closed")

    monkeypatch.setattr("duel.Player", Recorded)
    duel = Duel("k", "t", "bars", System("a", "A", "x", "", ("a",)), (System("b", "B", "x", "e", ("b",)),), {})
    found = fight(duel, tmp_path, rounds=3, log=tmp_path / "log")
    assert asked == ["a", "b", "b", "a", "a", "b", "closed", "closed"]
    assert [len(outcomes) for outcomes in found["outcomes"].values()] == [3, 3]
