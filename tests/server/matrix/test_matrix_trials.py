"""The trial ledger counts every run once, and the deflated Sharpe ratio is that of the paper for such a count."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.errors import StoreFailed
from boxgate_server.matrix.keeping.run_store import RunStore
from boxgate_server.matrix.trials.deflation import deflate
from boxgate_server.matrix.trials.ledger import FILE, TrialLedger, period_sharpe

ONE, OTHER = "sha256:one", "sha256:other"


def _run(number: int) -> str:
    return f"r_{number:032x}"


def test_the_example_of_the_paper_is_met() -> None:
    # Bailey and Lopez de Prado (2014), "A numerical example": 1250 daily returns with an annual Sharpe ratio of 2.5,
    # skewness -3 and kurtosis 10, the best of 100 trials whose annual ratios have the variance 1/2: 0.9004.
    # Only returns of two values have kurtosis = skewness^2 + 1; -3 and 10 are met by the lower one in 8.4 % of them.
    shape = np.concatenate([np.full(105, -1.0), np.full(1145, 0.0)])
    shape = (shape - shape.mean()) / shape.std(ddof=1)
    returns = ((shape + 2.5 / math.sqrt(250)) * 0.01).tolist()
    centred = shape - shape.mean()
    assert (centred**3).mean() / (centred**2).mean() ** 1.5 == pytest.approx(-3, abs=0.002)
    assert (centred**4).mean() / (centred**2).mean() ** 2 == pytest.approx(10, abs=0.01)
    # A hundred ratios with exactly that variance.
    spread = np.linspace(-1, 1, 100)
    ratios = spread / spread.std(ddof=1) * math.sqrt(0.5 / 250)
    found = deflate(100, ratios, returns=returns, periods=250)
    assert found.expected_best / math.sqrt(250) == pytest.approx(0.1132, abs=5e-5)
    assert found.sharpe == pytest.approx(2.5)
    assert found.deflated_sharpe == pytest.approx(0.9004, abs=2e-4)


@given(
    returns=st.lists(st.floats(-0.05, 0.05), min_size=5, max_size=60).filter(lambda r: statistics.stdev(r) > 1e-4),
    ratios=st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=40),
    more=st.integers(0, 1000),
)
def test_it_is_the_formula_written_out_in_pandas(returns: list[float], ratios: list[float], more: int) -> None:
    trials = len(ratios) + more
    found = deflate(trials, np.array(ratios), returns=returns, periods=252)
    series, normal = pd.Series(returns), statistics.NormalDist()
    sharpe = series.mean() / series.std()
    centred = series - series.mean()
    skew = (centred**3).mean() / (centred**2).mean() ** 1.5
    kurtosis = (centred**4).mean() / (centred**2).mean() ** 2
    euler = 0.57721566490153286
    luck = pd.Series(ratios).std() * (
        (1 - euler) * normal.inv_cdf(1 - 1 / trials) + euler * normal.inv_cdf(1 - 1 / (trials * math.e))
    )
    below = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    assert found.expected_best == pytest.approx(luck * math.sqrt(252), rel=1e-9, abs=1e-12)
    if below > 1e-9:
        wanted = normal.cdf((sharpe - luck) * math.sqrt(len(returns) - 1) / math.sqrt(below))
        assert found.deflated_sharpe == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_one_trial_deflates_nothing_and_a_run_that_is_gone_has_no_ratio() -> None:
    alone = deflate(1, np.array([0.1]), returns=[0.01, -0.005, 0.02, 0.003], periods=252)
    assert (alone.trials, alone.expected_best, alone.sharpe_deviation) == (1, 0.0, 0.0)
    assert alone.deflated_sharpe == alone.probabilistic_sharpe
    gone = deflate(10, np.array([0.1, 0.2]), returns=None, periods=252)
    assert gone.deflated_sharpe is None
    assert gone.expected_best > 0


def test_every_run_counts_once_by_strategy_and_family(tmp_path: Path) -> None:
    with TrialLedger(tmp_path) as counted:
        for dataset, family in (("d1", "eur"), ("d2", "eur"), ("d3", "usd")):
            counted.name_family(dataset, family)
        for _ in range(2):
            counted.count(ONE, "d1", [(_run(n), n / 100) for n in range(10)])
        counted.count(ONE, "d2", [(_run(n), None) for n in range(8, 14)])
        counted.count(ONE, "d3", [(_run(100), 0.5)])
        counted.count(OTHER, "d1", [(_run(200), 0.5)])
    with TrialLedger(tmp_path) as again:
        count, ratios = again.trials(ONE, "d2")
        assert count == 14
        assert ratios.tolist() == [n / 100 for n in range(10)]
        assert [again.trials(*one)[0] for one in ((ONE, "d1"), (ONE, "d3"), (OTHER, "d2"), (OTHER, "d9"))] == [
            14,
            1,
            1,
            0,
        ]


def test_a_dataset_that_was_used_by_its_hash_joins_the_family_of_its_name(tmp_path: Path) -> None:
    with TrialLedger(tmp_path) as counted:
        counted.name_family("d1", "d1")
        counted.count(ONE, "d1", [(_run(1), 0.1)])
        counted.name_family("d2", "eur")
        counted.count(ONE, "d2", [(_run(2), 0.1)])
        assert counted.trials(ONE, "d2")[0] == 1
        counted.name_family("d1", "eur")
        counted.name_family("d1", "d1")
        assert counted.trials(ONE, "d2")[0] == counted.trials(ONE, "d1")[0] == 2


def _publish(runs: Path, number: int, strategy: str = ONE, sharpe: float | None = 1.6) -> None:
    folder = runs / _run(number)
    folder.mkdir(parents=True)
    identity = {"strategy": {"digest": strategy, "params": {}}, "dataset": "d1"}
    (folder / "config.json").write_text(json.dumps({"identity": identity}))
    (folder / "metrics.json").write_text(json.dumps({"ratio": {"sharpe": sharpe}, "periods_per_year": 256}))
    (folder / "manifest.json").write_text("{}")


def test_runs_that_were_computed_alone_count_too_and_stay_counted_when_they_are_removed(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for number in range(5):
        _publish(runs, number)
    _publish(runs, 5, OTHER)
    _publish(runs, 6, sharpe=None)
    (runs / _run(7)).mkdir()
    (runs / ".aside").mkdir()
    with TrialLedger(tmp_path) as counted:
        counted.count(ONE, "d1", [(_run(0), 0.7)])
        counted.count_published(RunStore(runs))
        (runs / _run(1) / "config.json").unlink()
        counted.count_published(RunStore(runs))
        count, ratios = counted.trials(ONE, "d1")
    assert (count, ratios.tolist()) == (6, [0.7, 0.1, 0.1, 0.1, 0.1])


def test_what_two_hosts_counted_is_counted_once_whoever_takes_in_whom(tmp_path: Path) -> None:
    with TrialLedger(tmp_path / "a") as a, TrialLedger(tmp_path / "b") as b:
        a.name_family("d1", "eur")
        a.count(OTHER, "d9", [(_run(9), 0.9)])  # so that the numbers of the kinds differ
        a.count(ONE, "d1", [(_run(1), 0.1), (_run(2), 0.2)])
        b.name_family("d1", "d1")
        b.name_family("d2", "eur")
        b.count(ONE, "d1", [(_run(2), 0.7), (_run(3), None)])
        b.count(ONE, "d2", [(_run(4), 0.4)])
        b.copy_to(tmp_path / "of b")
        for _ in range(2):
            a.take_in(tmp_path / "of b")
        a.copy_to(tmp_path / "of a")
        b.take_in(tmp_path / "of a")
        for ledger, second in ((a, 0.2), (b, 0.7)):  # what was counted first stays
            count, ratios = ledger.trials(ONE, "d1")
            assert (count, ratios.tolist()) == (4, [0.1, second, 0.4])
            assert ledger.family("d1") == "eur"
            assert ledger.trials(OTHER, "d9")[0] == 1


def test_what_was_counted_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib; from boxgate_server.matrix.trials.ledger import TrialLedger;"
        "one = TrialLedger(pathlib.Path(sys.argv[1])); one.count('s', 'd', [('r_' + '0' * 32, 0.1)]);"
        "one._db.execute('BEGIN IMMEDIATE'); one._db.execute('DELETE FROM runs'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == -9
    with TrialLedger(tmp_path) as counted:
        assert counted.trials("s", "d")[0] == 1


def test_a_ledger_that_is_no_ledger_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("this is no database, and long enough for its header to be looked at" * 10)
    with pytest.raises(StoreFailed) as caught:
        TrialLedger(tmp_path)
    assert str(tmp_path / FILE) in caught.value.where


def test_two_drivers_count_at_the_same_time(tmp_path: Path) -> None:
    with TrialLedger(tmp_path) as one, TrialLedger(tmp_path) as other:
        for number in range(20):
            (one, other)[number % 2].count(ONE, "d", [(_run(number), 0.1), (_run(number // 2), 0.1)])
        assert one.trials(ONE, "d")[0] == other.trials(ONE, "d")[0] == 20


def test_the_ratio_of_a_period_is_that_of_a_year_over_the_root() -> None:
    assert period_sharpe(1.6, 256) == 0.1
    assert period_sharpe(None, 256) is None
    assert period_sharpe(1.0, None) is None
