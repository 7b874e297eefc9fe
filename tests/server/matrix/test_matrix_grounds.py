"""Entries of matrix.instruments with frames and windows of their own: what they mean, and how wrong ones are told."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from boxgate_engine.datasets import Dataset, SeriesContent, open_dataset
from boxgate_engine.datasets.store import NewSeries, freeze
from boxgate_engine.errors import ConfigInvalid
from boxgate_engine.instruments import Instrument
from boxgate_engine.market import Market
from boxgate_engine.timestamps import parse_utc_ns
from boxgate_server.matrix.config.load import MatrixFile, load_matrix
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.setting import Versions
from boxgate_server.matrix.planning.settings import matrix_settings
from boxgate_server.matrix.planning.space import param_space

BASE = """\
strategy: {command: [python, strategy.py]}
dataset: two
account: {currency: USD, cash: 100000, leverage: 30}
costs: {spread: none}
"""
SIXTY = 60_000_000_000
VERSIONS = Versions(contract="1", engine="0", strategy="sha256:0", dataset="d")

Load = Callable[[str], MatrixFile]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Read a matrix file that has these lines after the base."""

    def call(lines: str) -> MatrixFile:
        path = tmp_path / "matrix.yaml"
        path.write_text(BASE + lines)
        return load_matrix(path)

    return call


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """EURUSD by the hour and the minute and GBPUSD by the minute, 2,000 bars each, in different years."""
    root = tmp_path_factory.mktemp("two")
    given = [("EURUSD", "H1", "2014-01-06", 60), ("EURUSD", "M1", "2014-01-06", 1), ("GBPUSD", "M1", "2020-01-06", 1)]
    series = []
    for symbol, frame, start, minutes in given:
        prices = {name: np.ones(2_000) for name in ("open", "high", "low", "close", "volume")}
        open_ns = parse_utc_ns(start) + np.arange(2_000) * minutes * SIXTY
        content = SeriesContent(symbol=symbol, frame=frame, price_basis="BID", columns={"open_ns": open_ns, **prices})
        series.append(NewSeries(content=content, source="made", licence="CC0-1.0"))
    instruments = [
        Instrument(
            symbol=symbol,
            asset_class="crypto",  # open all days
            quote_currency="USD",
            tick_size=Fraction(1, 100_000),
            lot_size=Fraction(1),
        )
        for symbol in ("EURUSD", "GBPUSD")
    ]
    freeze(root, instruments, series, name="two")
    return open_dataset(root, "two", cache_dir=root / "cache")


def _plan(file: MatrixFile, dataset: Dataset) -> Plan:
    blocks = matrix_settings(file, dataset, VERSIONS, Market)
    return Plan(versions=VERSIONS, blocks=blocks, space=param_space({}, {}, [], debug=True), seed=1)


def _problems(load: Load, lines: str) -> dict[str, str]:
    with pytest.raises(ConfigInvalid) as caught:
        load(lines)
    return {one.path: f"{one.what}; {one.remedy}" for one in caught.value.problems}


OWN = """\
matrix:
  instruments:
    - {instruments: [EURUSD], frames: [H1], windows: [{start: 2014-01-08, end: 2014-01-20}]}
    - instruments: GBPUSD
      frames: [M1]
      windows: [{start: 2020-01-06T10:00:00, end: 2020-01-06T20:00:00}, {start: 2020-01-06T20:00:00, end: last}]
"""


def test_the_runs_are_those_of_a_matrix_for_each_entry(load: Load, dataset: Dataset) -> None:
    plan = _plan(load(OWN), dataset)
    alone = [
        "frames: [H1]\nmatrix: {instruments: [EURUSD], windows: [{start: 2014-01-08, end: 2014-01-20}]}\n",
        "frames: [M1]\nmatrix: {instruments: [GBPUSD], windows: [{start: 2020-01-06T10:00:00, end: "
        "2020-01-06T20:00:00}, {start: 2020-01-06T20:00:00, end: last}]}\n",
    ]
    assert [one.run_id for one in plan] == [one.run_id for lines in alone for one in _plan(load(lines), dataset)]
    assert [(one.instruments, one.config.frames, one.events, one.roles[0].window) for one in plan.settings] == [
        (("EURUSD",), ("H1",), 12 * 24, 0),
        (("GBPUSD",), ("M1",), 600, 1),
        (("GBPUSD",), ("M1",), 800, 2),
    ]


def test_what_an_entry_leaves_out_is_as_beside_it(load: Load, dataset: Dataset) -> None:
    plain = "frames: [M1]\nmatrix: {instruments: [EURUSD], windows: [{start: 2014-01-06T10:00:00, end: last}]}\n"
    long = plain.replace("[EURUSD]", "[{instruments: EURUSD}]")
    assert _plan(load(long), dataset).matrix_id == _plan(load(plain), dataset).matrix_id
    mixed = load(
        "frames: [M1]\nwindow: {start: 2014-01-07, end: last}\nmatrix: {instruments: [EURUSD, "
        "{instruments: EURUSD, frames: [H1]}, {instruments: GBPUSD, windows: [{start: 2020-01-07, end: last}]}]}\n"
    )
    told = [(ground.instruments[0], ground.frames, [one.path for one in ground.windows]) for ground in mixed.grounds]
    assert told == [
        ("EURUSD", ("M1",), ["window"]),
        ("EURUSD", ("H1",), ["window"]),
        ("GBPUSD", ("M1",), ["matrix.instruments[2].windows[0]"]),
    ]
    assert len(_plan(mixed, dataset).settings) == 3


def test_equal_windows_have_one_number_and_those_for_all_come_first(load: Load) -> None:
    file = load(
        "frames: [M1]\nmatrix:\n"
        "  instruments: [{instruments: A, windows: [{start: 2014-02-01, end: last}, {start: 2014-01-01, end: last}]},"
        " B, {instruments: C, windows: [{start: 2014-02-01, end: last}, {start: 2014-03-01, end: last}]}]\n"
        "  windows: [{start: 2015-01-01, end: last}, {start: 2014-01-01, end: last}]\n"
    )
    assert [[one.number for one in ground.windows] for ground in file.grounds] == [[2, 1], [0, 1], [2, 3]]


def test_folds_are_those_of_the_windows_of_each_entry(load: Load, dataset: Dataset) -> None:
    plan = _plan(load(OWN + "  walk_forward: {train: 4h, test: 2h}\n"), dataset)
    assert [len(block) for block in plan.blocks] == [
        len({(one.start_ns, one.end_ns) for one in block}) for block in plan.blocks
    ]
    assert {role.window for one in plan.blocks[1] for role in one.roles} == {1, 2}
    assert {one.instruments for one in plan.blocks[0]} == {("EURUSD",)}


def test_everything_that_is_wrong_with_the_windows_is_told_at_once_at_its_key(load: Load) -> None:
    found = _problems(
        load,
        "frames: [M1]\nmatrix:\n  instruments:\n"
        "    - {instruments: A, windows: [{start: 2014-02-01, end: 2014-01-01}]}\n"
        "    - {instruments: B, windows: [{start: 2014-01-01, end: last}, {start: 2014-02-01, end: 2014-01-31}]}\n"
        "    - {instruments: C, windws: [{start: 2014-01-01, end: last}]}\n"
        "    - {frames: [M2]}\n"
        "  windows: [{start: 2014-02-01, end: 2013-02-01}]\n",
    )
    assert {path: text.split(";")[0].split(":")[0] for path, text in found.items()} == {
        "matrix.instruments[0].windows[0]": "the window is empty",
        "matrix.instruments[1].windows[1]": "the window is empty",
        "matrix.instruments[2].windws": "unknown key 'windws'",
        "matrix.instruments[3].instruments": "the key is missing",
        "matrix.instruments[3].frames[0]": "got 'M2' (text)",
        "matrix.windows[0]": "the window is empty",
    }
    assert found["matrix.instruments[2].windws"].endswith("did you mean matrix.instruments[2].windows?")


@pytest.mark.parametrize(
    ("entries", "path", "words"),
    [
        ("{instruments: A, windows: [{start: first, end: last}]}", "matrix.instruments[0].windows[0].start", "first"),
        (
            "{instruments: A, windows: [{start: 2014-01-01, end: last}, {start: 2014-01-01, end: last}]}",
            "matrix.instruments[0].windows[1]",
            "number 1",
        ),
        ("A, {instruments: [A]}", "matrix.instruments[1]", "same as number 1 of the list;"),
        (
            "{instruments: A, windows: [{start: 2014-01-01, end: last}]}, B,"
            " {instruments: A, frames: [M1], windows: [{start: 2015-01-01, end: last}]}",
            "matrix.instruments[2]",
            "into one entry",
        ),
        ("B, {instruments: [A, A]}", "matrix.instruments[1].instruments", "more than once: A"),
        ("{instruments: A, frames: [M1, H1, M1]}", "matrix.instruments[0].frames", "more than once: M1"),
        ("{instruments: A, frames: []}", "matrix.instruments[0].frames", "got []"),
        ("{instruments: A, windows: []}", "matrix.instruments[0].windows", "got []"),
        ("{instruments: A, windows: [{start: 2014-01-01, end: last}]}", "matrix.windows", "nothing uses"),
    ],
)
def test_what_stands_twice_or_for_nothing_is_refused(load: Load, entries: str, path: str, words: str) -> None:
    windows = "  windows: [{start: 2016-01-01, end: last}]\n"
    found = _problems(load, f"frames: [M1]\nmatrix:\n  instruments: [{entries}]\n{windows}")
    assert words in found[path]


def test_frames_and_window_are_missing_only_where_an_entry_needs_them(load: Load) -> None:
    assert load(OWN).base.frames == ("H1", "M1")
    assert load(OWN).base.window.start == "2014-01-08"
    assert set(_problems(load, OWN.replace("      frames: [M1]\n", ""))) == {"frames"}
    assert set(_problems(load, OWN + "    - {instruments: USDJPY, frames: [M1]}\n")) == {"window"}


def test_what_the_data_lack_is_told_at_the_entry_and_its_window(load: Load, dataset: Dataset) -> None:
    file = load(
        OWN.replace("frames: [M1]", "frames: [S1]").replace("start: 2014-01-08, end: 2014-01-20", "start: 2013-01-01, "
        "end: 2013-02-01")
    )  # fmt: skip
    with pytest.raises(ConfigInvalid) as caught:
        matrix_settings(file, dataset, VERSIONS, Market)
    assert {one.path for one in caught.value.problems} == {
        "matrix.instruments[0].windows[0]",
        "matrix.instruments[1]",
    }
