"""The metrics against plain Python written from docs/spec/metrics.md, and cases made by hand."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxgate_engine.metrics import Counts, compute_metrics, drawdown
from boxgate_engine.tables import SCHEMAS, Tables, build_table, empty_table

_DAY = 86_400 * 10**9
_HOUR = 3600 * 10**9


def _equity(times: list[int], values: list[float], exposure: list[float] | None = None) -> Any:
    zeros = np.zeros(len(times))
    columns = dict.fromkeys(SCHEMAS["equity"].names, zeros)
    columns |= {"time": np.array(times, np.int64), "equity": np.array(values)}
    columns["exposure_gross"] = zeros if exposure is None else np.array(exposure)
    return build_table("equity", columns)


def _trades(rows: list[dict[str, Any]]) -> Any:
    base: dict[str, Any] = {"side": "LONG", "instrument": "EURUSD", "exit_reason": "SIGNAL", "path_dependent": False}
    names = SCHEMAS["trades"].names
    return build_table("trades", {name: [row.get(name, base.get(name, 0)) for row in rows] for name in names})


def _fills(fees: list[float], slippage: list[float]) -> Any:
    base: dict[str, Any] = {"side": "BUY", "instrument": "EURUSD", "reason": "ENTRY", "liquidity": "TAKER"}
    base |= {"path_dependent": False, "signal_seq": None}
    rows = [{**base, "fee": fee, "slippage": slip} for fee, slip in zip(fees, slippage, strict=True)]
    return build_table("fills", {name: [row.get(name, 0) for row in rows] for name in SCHEMAS["fills"].names})


def _metrics(times: list[int], values: list[float], **given_: Any) -> dict[str, Any]:
    tables = Tables(
        signals=empty_table("signals"),
        fills=given_.pop("fills", empty_table("fills")),
        trades=given_.pop("trades", empty_table("trades")),
        equity=_equity(times, values, given_.pop("exposure", None)),
    )
    facts = {"currency": "USD", "initial_cash": values[0], "all_weekend": False, "counts": Counts(), **given_}
    found = compute_metrics(tables, **facts)
    json.dumps(found, allow_nan=False)
    return found


def _close(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12)


def _plain_days(times: list[int], values: list[float]) -> list[float]:
    days: dict[int, float] = {}
    for time, value in zip(times, values, strict=True):
        days[time // _DAY] = value
    return list(days.values())


def _plain_drawdown(values: list[float]) -> float:
    return max(min(1.0, (max(values[: i + 1]) - v) / max(values[: i + 1])) for i, v in enumerate(values))


def _plain_length(times: list[int], values: list[float]) -> int:
    longest = 0
    for i, value in enumerate(values):
        if value < max(values[: i + 1]):
            continue
        later = range(i + 1, len(values))
        end = next((j for j in later if values[j] >= value), len(values) - 1)
        if any(values[j] < value for j in range(i + 1, end + 1)):
            longest = max(longest, times[end] - times[i])
    return longest


@st.composite
def _curves(draw: st.DrawFn) -> tuple[list[int], list[float]]:
    steps = draw(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 200)), min_size=1, max_size=60))
    times, values = [draw(st.integers(0, 48)) * _HOUR], [100.0]
    for hours, value in steps:
        times.append(times[-1] + hours * _HOUR)
        values.append(float(value))
    return times, values


@settings(max_examples=300, deadline=None)
@given(_curves(), st.booleans())
def test_the_curve_s_metrics_equal_plain_formulas(curve: tuple[list[int], list[float]], all_weekend: bool) -> None:
    times, values = curve
    found = _metrics(times, values, all_weekend=all_weekend)
    periods = 365 if all_weekend else 252
    days = _plain_days(times, values)
    returns = [b / a - 1 for a, b in itertools.pairwise(days)]
    n = len(returns)
    fall = _plain_drawdown(days)
    try:
        cagr = math.prod(1 + r for r in returns) ** (periods / n) - 1 if n else None
    except OverflowError:
        cagr = None
    spread = statistics.stdev(returns) if n > 1 else None
    downside = math.sqrt(sum(min(r, 0) ** 2 for r in returns) / n) if n else None
    assert found["periods_per_year"] == periods
    assert _close(found["return"]["total"], values[-1] / values[0] - 1)
    assert found["return"]["net_profit"] == values[-1] - values[0]
    assert _close(found["return"]["cagr"], cagr)
    assert _close(found["risk"]["volatility"], None if spread is None else spread * math.sqrt(periods))
    assert _close(found["risk"]["max_drawdown"], _plain_drawdown(values))
    assert _close(found["risk"]["max_drawdown_daily"], fall)
    assert found["risk"]["max_drawdown_length_ns"] == _plain_length(times, values)
    sharpe = statistics.mean(returns) / spread * math.sqrt(periods) if spread else None
    assert _close(found["ratio"]["sharpe"], sharpe)
    sortino = statistics.mean(returns) / downside * math.sqrt(periods) if downside else None
    assert _close(found["ratio"]["sortino"], sortino)
    assert _close(found["ratio"]["mar"], cagr / fall if cagr is not None and fall else None)
    assert found["equity"] == {"initial": values[0], "final": values[-1]}


def test_a_curve_computed_by_hand() -> None:
    # Marks of four days: 100, 110, 99, 108.9; inside the second day the curve dips to 90.
    times = [0, _DAY, _DAY + _HOUR, 2 * _DAY, 3 * _DAY]
    found = _metrics(times, [100.0, 90.0, 110.0, 99.0, 108.9], all_weekend=True)
    assert _close(found["risk"]["max_drawdown"], 0.1)
    assert _close(found["risk"]["max_drawdown_daily"], 0.1)
    assert found["risk"]["max_drawdown_length_ns"] == 2 * _DAY - _HOUR
    # Returns 0.1, -0.1, 0.1: mean 1/30, deviation sqrt(1/75), downside sqrt(0.01 / 3).
    assert _close(found["ratio"]["sharpe"], (1 / 30) / math.sqrt(1 / 75) * math.sqrt(365))
    assert _close(found["ratio"]["sortino"], (1 / 30) / math.sqrt(0.01 / 3) * math.sqrt(365))
    assert _close(found["return"]["cagr"], 1.089 ** (365 / 3) - 1)
    assert _close(found["ratio"]["mar"], (1.089 ** (365 / 3) - 1) / 0.1)


def test_the_first_day_gives_a_mark_and_no_return() -> None:
    found = _metrics([0, _HOUR, _DAY, 2 * _DAY], [100.0, 200.0, 200.0, 200.0])
    assert found["return"]["total"] == 1.0
    assert found["return"]["cagr"] == 0.0
    assert found["risk"]["volatility"] == 0.0
    assert found["ratio"]["sharpe"] is None


def test_a_mark_at_midnight_belongs_to_the_day_that_begins() -> None:
    split = _metrics([_DAY - 1, _DAY], [100.0, 110.0])
    joined = _metrics([_DAY, _DAY + 1], [100.0, 110.0])
    assert split["return"]["cagr"] is not None
    assert joined["return"]["cagr"] is None


def test_a_run_of_one_day_has_no_yearly_figures() -> None:
    found = _metrics([0, _HOUR], [100.0, 50.0])
    defined = {name: value for name, value in found["risk"].items() if value is not None}
    assert defined == {
        "max_drawdown": 0.5,
        "max_drawdown_daily": 0.0,
        "max_drawdown_length_ns": _HOUR,
        "average_drawdown": 0.5,
        "average_drawdown_length_ns": _HOUR,
        "drawdowns": 1,
        "ulcer_index": 0.0,
    }
    assert {name for name, value in found["ratio"].items() if value is not None} == {"recovery_factor", "trials"}
    assert found["return"]["cagr"] is None


def test_two_days_have_one_return_and_no_deviation() -> None:
    found = _metrics([0, _DAY], [100.0, 101.0])
    assert found["risk"]["volatility"] is None
    assert found["ratio"]["sharpe"] is None
    assert found["return"]["cagr"] is not None


def test_a_run_that_is_only_its_start_has_no_rates() -> None:
    found = _metrics([0], [100.0])
    assert {name for name, value in found["return"].items() if value is not None} == {"total", "net_profit"}
    assert set(found["exposure"].values()) == {None}
    assert found["risk"]["max_drawdown"] == 0.0


@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_equal_returns_have_no_deviation_and_no_sharpe(factor: float) -> None:
    found = _metrics([_DAY * i for i in range(4)], [64.0, 32.0, 16.0, 8.0] if factor < 1 else [8.0, 16.0, 32.0, 64.0])
    assert found["risk"]["volatility"] == 0.0
    assert found["ratio"]["sharpe"] is None
    assert (found["ratio"]["sortino"] is None) == (factor > 1)


def test_an_account_that_ends_below_zero_has_a_drawdown_of_one_and_no_growth_rate() -> None:
    found = _metrics([0, _DAY, 2 * _DAY], [100.0, 110.0, -10.0])
    assert found["risk"]["max_drawdown"] == 1.0
    assert found["risk"]["max_drawdown_daily"] == 1.0
    assert found["return"]["cagr"] is None
    assert found["ratio"]["mar"] is None
    assert found["ratio"]["sharpe"] is not None


def test_returns_on_an_account_of_nothing_do_not_exist() -> None:
    found = _metrics([0, _DAY, 2 * _DAY, 3 * _DAY], [100.0, 0.0, 50.0, 60.0])
    assert found["risk"]["volatility"] is None
    assert found["ratio"]["sharpe"] is found["ratio"]["sortino"] is found["ratio"]["mar"] is None
    assert found["return"]["cagr"] is None
    assert found["return"]["total"] == -0.4


def test_a_growth_rate_beyond_the_numbers_is_null() -> None:
    assert _metrics([0, _DAY], [1.0, 1000.0])["return"]["cagr"] is None


def test_drawdown_is_the_fall_from_the_peak_so_far() -> None:
    assert drawdown(np.array([100.0, 50.0, 200.0, 150.0, -5.0])).tolist() == [0.0, 0.5, 0.0, 0.25, 1.0]


def test_trade_metrics_computed_by_hand() -> None:
    nets = [10.0, 20.0, -5.0, 0.0]
    rows = [
        {"trade_id": i, "net_pnl": net, "mae": -float(i), "mfe": 2.0 * i, "entry_time_ns": 0, "exit_time_ns": 10 * i}
        for i, net in enumerate(nets, start=1)
    ]
    assert _metrics([0, 1], [1.0, 1.0], trades=_trades(rows))["trades"] == {
        "count": 4,
        "win_rate": 0.5,
        "payoff": 3.0,
        "profit_factor": 6.0,
        "expectancy": 6.25,
        "best": 20.0,
        "worst": -5.0,
        "winner_mean": 15.0,
        "loser_mean": -5.0,
        "sqn": math.sqrt(4) * 6.25 / statistics.stdev(nets),
        "mae_mean": -2.5,
        "mfe_mean": 5.0,
        "mae_net_correlation": pytest.approx(statistics.correlation([-1, -2, -3, -4], nets), rel=1e-12),
        "mfe_net_correlation": pytest.approx(statistics.correlation([2, 4, 6, 8], nets), rel=1e-12),
        "holding_mean_ns": 25,
        "holding_median_ns": 20,
        "holding_max_ns": 40,
        "wins_in_a_row": 2,
        "losses_in_a_row": 1,
        "long_count": 4,
        "short_count": 0,
    }


@pytest.mark.parametrize(("nets", "win_rate"), [([1.0, 2.0], 1.0), ([-1.0], 0.0), ([0.0], 0.0)])
def test_without_a_winner_or_a_loser_there_is_no_payoff(nets: list[float], win_rate: float) -> None:
    found = _metrics([0, 1], [1.0, 1.0], trades=_trades([{"net_pnl": net} for net in nets]))["trades"]
    assert found["win_rate"] == win_rate
    assert found["payoff"] is None
    assert found["profit_factor"] == (0.0 if nets[0] < 0 else None)


def test_without_trades_there_is_a_count_and_nothing_else() -> None:
    found = _metrics([0, 1], [1.0, 1.0])["trades"]
    assert found.pop("count") == 0
    assert set(found.values()) == {None}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(-(10**8), 10**8).map(lambda cents: cents / 100), min_size=1, max_size=40))
def test_trade_metrics_equal_plain_formulas(nets: list[float]) -> None:
    found = _metrics([0, 1], [1.0, 1.0], trades=_trades([{"net_pnl": net} for net in nets]))["trades"]
    wins, losses = [n for n in nets if n > 0], [n for n in nets if n < 0]
    assert _close(found["expectancy"], statistics.mean(nets))
    assert found["win_rate"] == len(wins) / len(nets)
    lost = -math.fsum(losses)
    assert _close(found["profit_factor"], math.fsum(wins) / lost if lost else None)
    payoff = statistics.mean(wins) / -statistics.mean(losses) if wins and losses else None
    assert _close(found["payoff"], payoff)


def test_exposure_is_the_time_after_marks_with_a_position() -> None:
    found = _metrics([0, 1, 3, 10, 20], [1.0] * 5, exposure=[0.0, 5.0, 5.0, 0.0, 5.0])
    assert found["exposure"]["time_fraction"] == 9 / 20


def test_costs_are_the_sums_of_the_fills_and_what_the_engine_adds() -> None:
    found = _metrics(
        [0, 1], [1.0, 1.0], fills=_fills([0.1] * 10, [0.2, 0.0] * 5), spread_cost=3.5, funding_cost=-1.0, swap_cost=0.5
    )
    assert found["costs"] == {"fees": 1.0, "slippage": 1.0, "spread": 3.5, "funding": -1.0, "swap": 0.5}


def test_counts_and_open_positions_are_passed_on() -> None:
    position = {"instrument": "EURUSD", "side": "LONG", "qty": 1.0, "entry_price": 1.1, "mark_price": 1.2}
    found = _metrics([0, 1], [1.0, 1.0], counts=Counts(events=7, no_ops=2), open_positions=[position])
    assert found["open_positions"] == [position]
    assert found["counts"] == {
        "events": 7,
        "bars": 0,
        "ticks": 0,
        "warmup_events": 0,
        "signals": 0,
        "no_ops": 2,
        "rounded": 0,
        "rejected": 0,
        "unexecuted": 0,
        "path_dependent_bars": 0,
        "history_restarts": 0,
        "liquidations": 0,
        "margin_calls": 0,
        "funding_stamps": 0,
        "orders": 0,
        "orders_filled": 0,
        "orders_cancelled": 0,
        "orders_expired": 0,
        "orders_rejected": 0,
        "changes_refused": 0,
    }


def test_the_metrics_have_the_pinned_names() -> None:
    found = _metrics([0, _DAY], [1.0, 1.0])
    assert found["schema"] == "boxgate.metrics/1"
    assert {key: sorted(value) if isinstance(value, dict) else None for key, value in found.items()} == {
        "schema": None,
        "currency": None,
        "periods_per_year": None,
        "return": [
            "best_day", "best_month", "cagr", "net_profit", "positive_days", "positive_months", "total", "worst_day",
            "worst_month",
        ],
        "risk": [
            "average_drawdown", "average_drawdown_length_ns", "cvar_95", "downside_deviation", "drawdowns", "kurtosis",
            "max_drawdown", "max_drawdown_daily", "max_drawdown_length_ns", "skew", "ulcer_index", "var_95",
            "volatility",
        ],
        "ratio": [
            "deflated_sharpe", "mar", "martin", "omega", "probabilistic_sharpe", "recovery_factor", "sharpe", "sortino",
            "tail_ratio", "trials",
        ],
        "trades": [
            "best", "count", "expectancy", "holding_max_ns", "holding_mean_ns", "holding_median_ns", "long_count",
            "loser_mean", "losses_in_a_row", "mae_mean", "mae_net_correlation", "mfe_mean", "mfe_net_correlation",
            "payoff", "profit_factor", "short_count", "sqn", "win_rate", "winner_mean", "wins_in_a_row", "worst",
        ],
        "exposure": ["gross_max", "gross_mean", "net_mean", "time_fraction", "turnover"],
        "costs": ["fees", "funding", "slippage", "spread", "swap"],
        "counts": sorted(found["counts"]),
        "open_positions": None,
        "equity": ["final", "initial"],
    }  # fmt: skip
