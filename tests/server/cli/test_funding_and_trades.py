"""Funding rates, ticks of trades and bars of seconds, as a user meets them on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Boxgate = Callable[..., Any]

DAY_MS = 1_704_153_600_000
"""2024-01-02 00:00 UTC."""


@pytest.fixture
def imported(boxgate: Boxgate, workspace: Path) -> Callable[..., dict[str, Any]]:
    """Import text as a file into a root of this test; return what was answered."""

    def take(name: str, lines: list[str], *options: str) -> dict[str, Any]:
        path = workspace / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        answered = boxgate("data", "import", str(path), "--root", "own", "--name", "own", "--json", *options)
        assert answered.code == 0, answered.err
        return dict(answered.json)

    return take


def hours(count: int) -> list[str]:
    rows = ["timestamp,open,high,low,close,volume,quote_volume,trades,close_time"]
    for number in range(count):
        open_ms, price = DAY_MS + number * 3_600_000, 42_000 + number % 7
        rows.append(f"{open_ms},{price},{price + 2},{price - 2},{price + 1},10,420000,9,{open_ms + 3_599_999}")
    return rows


def rates(count: int, step_ms: int = 28_800_000) -> list[str]:
    return [
        "fundingTime,fundingRate",
        *(f"{DAY_MS + i * step_ms + i},{(i % 5 - 1) / 10_000:.6f}" for i in range(count)),
    ]


def trades(count: int) -> list[str]:
    return [f"{i},{42_000 + i % 40 * 0.5},{1 + i % 3},{i},{i},{DAY_MS + i * 900},true" for i in range(1, count)]


def test_rates_are_listed_shown_and_checked_beside_the_bars(boxgate: Boxgate, imported: Any) -> None:
    imported("BTCUSDT.csv", hours(100))
    told = imported("BTCUSDT-fundingRate-2024-01.csv", rates(20))
    assert [(one["symbol"], one["frame"]) for one in told["series"]] == [("BTCUSDT", "funding")]
    shown = boxgate("data", "show", "own", "--root", "own", "--json")
    assert [one["frame"] for one in shown.json["series"]] == ["H1", "funding"]
    assert [one["frame"] for one in shown.json["pictures"]] == ["H1"]
    assert not any(one["has_ask"] for one in shown.json["series"])
    assert boxgate("data", "check", "own", "--root", "own", "--json").json["status"] == "ok"
    listed = boxgate("data", "list", "--root", "own", "--json").json["datasets"]
    assert [one["frame"] for one in listed[0]["series"]] == ["H1", "funding"]
    text = boxgate("data", "show", "own", "--root", "own").out
    assert "BTCUSDT funding: REPAIRED stamps rounded 19, every 8 h, negative rates 4" in text


def test_intervals_that_change_are_told(boxgate: Boxgate, imported: Any) -> None:
    later = [f"{DAY_MS + 19 * 28_800_000 + i * 14_400_000},0.0001" for i in range(1, 9)]
    imported("BTCUSDT-fundingRate-2024-01.csv", [*rates(20), *later])
    assert "every 8 h, 4 h from 2024-01-08" in boxgate("data", "show", "own", "--root", "own").out


def test_rates_are_no_frame_of_a_run_or_a_picture(boxgate: Boxgate, imported: Any) -> None:
    imported("BTCUSDT-fundingRate-2024-01.csv", rates(20))
    answered = boxgate("run", "run.yaml", "--json", "--set", "frames=[funding]")
    assert (answered.code, answered.error["problems"][0]["path"]) == (2, "frames[0]")
    answered = boxgate("data", "show", "own", "--root", "own", "--frame", "funding", "--json")
    assert (answered.code, answered.error["code"]) == (2, "FRAME_UNAVAILABLE")


@pytest.mark.parametrize("frames", ["[M1]", "[S1, M1]"])
def test_trades_execute_with_the_spread_of_the_costs_and_with_none_of_their_own(
    boxgate: Boxgate, imported: Any, frames: str
) -> None:
    told = imported("BTCUSDT-aggTrades-2024-01-02.csv", trades(20_000), "--side", "last")
    assert [(one["frame"], one["price_basis"], one["has_ask"]) for one in told["series"]] == [("tick", "LAST", False)]
    assert "trades, one price stands on both sides" in boxgate("data", "show", "own", "--root", "own").out
    sets = [
        "dataset=own", "data_provider.root=own", "instruments=[BTCUSDT]", "account.currency=USDT",
        "window.start=2024-01-02T01:00:00", "window.end=2024-01-02T04:00:00", f"frames={frames}",
        "execution.series={BTCUSDT: tick}", "strategy.params.qty=0.1",
    ]  # fmt: skip
    options = [part for one in sets for part in ("--set", one)]
    refused = boxgate("run", "run.yaml", "--json", *options)
    assert refused.error["code"] == "SPREAD_MISSING"
    spreads = []
    for spread in ("none", "{ticks: 10}"):
        answered = boxgate("run", "run.yaml", "--json", *options, "--set", f"costs.spread={spread}")
        assert answered.code == 0, answered.err
        metrics = json.loads((Path(answered.json["artifacts"]) / "metrics.json").read_text(encoding="utf-8"))
        assert metrics["counts"]["bars"] >= 180
        spreads.append(metrics["costs"]["spread"])
    assert spreads[0] == 0.0
    assert spreads[1] > 0.0
