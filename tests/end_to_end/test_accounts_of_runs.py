"""Conversion, margin, funding and swap through `boxgate run` on real data, recomputed by hand from the files."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
import yaml
from real_markets import HOUR_NS, Row, klines, lean_days

from boxgate_server.__main__ import main

DAY_NS = 24 * HOUR_NS
NEW_YORK = ZoneInfo("America/New_York")
STRATEGY = Path(__file__).parent / "strategies" / "planned.py"


class Desk:
    """A working directory with imported data; `run` plays a plan, `refused` one that must not be played."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "planned.py").write_bytes(STRATEGY.read_bytes())

    def call(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        out = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out):
            code = main([*arguments, "--json"])
        return code, json.loads(out.getvalue().splitlines()[-1])

    def take(self, name: str, *files: Path, options: Sequence[str] = ()) -> None:
        code, told = self.call("data", "import", *map(str, files), "--name", name, *options)
        assert code == 0, told

    def write(self, **keys: Any) -> None:
        strategy = {"command": [sys.executable, "planned.py"], "params": {}, "sources": ["planned.py"]}
        (self.folder / "run.yaml").write_text(yaml.safe_dump({"strategy": strategy, **keys}))

    def run(self, plan: Sequence[str], *overrides: str, **keys: Any) -> Played:
        self.write(**keys)
        sets = [f"strategy.params.plan={json.dumps(list(plan))}", "report={html: false, ledger: true}", *overrides]
        code, told = self.call("run", "run.yaml", *(word for one in sets for word in ("--set", one)))
        assert code == 0, told
        return Played(Path(self.folder, told["artifacts"]), told)

    def refused(self, *overrides: str, **keys: Any) -> dict[str, Any]:
        """Return the error of a run that must leave nothing."""
        self.write(artifacts="refused", **keys)
        code, told = self.call("run", "run.yaml", *(word for one in overrides for word in ("--set", one)))
        assert code == 2, told
        store = self.folder / "refused"
        assert not store.exists() or not list(store.iterdir())
        error = dict(told["error"])
        assert all(error[name] for name in ("code", "what", "where", "expected", "remedy"))
        return error


class Played:
    """A published run, read as a user reads it."""

    def __init__(self, folder: Path, told: dict[str, Any]) -> None:
        self.folder = folder
        self.digest = told["result_digest"]
        self.metrics = json.loads((folder / "metrics.json").read_text())

    def rows(self, name: str) -> list[dict[str, Any]]:
        table = pq.read_table(self.folder / f"{name}.parquet")
        for at, column in enumerate(table.column_names):
            if column == "time":
                table = table.set_column(at, "time_ns", table["time"].cast("int64"))
        return list(table.to_pylist())

    def trades(self) -> list[dict[str, Any]]:
        with (self.folder / "trades.csv").open(newline="") as lines:
            return [
                {
                    key: text if key in ("instrument", "side", "exit_reason") else json.loads(text)
                    for key, text in row.items()
                }
                for row in csv.DictReader(lines)
            ]


@pytest.fixture(scope="module")
def desk(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("accounts"))
    facts = ("--frame", "H1", "--tz", "UTC", "--side", "last")
    coins = ("BTCUSDT", "ETHUSDT")
    for symbol in coins:
        made.take("perps", shared_data / f"binance_usdm/1h/{symbol}.csv", options=("--symbol", symbol, *facts))
    made.take("perps", *(shared_data / f"binance_usdm/funding/{symbol}.csv" for symbol in coins))
    for symbol in ("eurgbp", "gbpusd"):
        made.take("crosses", shared_data / f"lean/forex/oanda/daily/{symbol}.zip", options=("--tz", "UTC"))
    yen = shared_data / "nautilus/fxcm/usdjpy-m1-bid-2013.csv"
    made.take("yen", yen, options=("--symbol", "USDJPY", "--frame", "M1"))
    return made


YEN = {
    "dataset": "yen",
    "instruments": ["USDJPY"],
    "frames": ["M1"],
    "window": {"start": "first", "end": "2013-02-02"},
    "account": {"currency": "USD", "cash": 100_000.0, "leverage": 30.0},
    "costs": {"fees_bps": 0.5, "spread": {"ticks": 8}},
}
PERPS = {
    "dataset": "perps",
    "instruments": ["BTCUSDT"],
    "frames": ["H1"],
    "window": {"start": "2026-01-13", "end": "2026-02-07"},
    "account": {"currency": "USD", "cash": 100_000.0, "leverage": 50.0, "equivalents": [["USD", "USDT"]]},
    "costs": {"fees_bps": 4.0, "spread": {"ticks": 1}},
}
CROSSES = {
    "dataset": "crosses",
    "instruments": ["EURGBP", "GBPUSD"],
    "frames": ["D1"],
    "window": {"start": "2010-01-01", "end": "2010-07-01"},
    "account": {"currency": "USD", "cash": 100_000.0, "leverage": 30.0},
    "costs": {"spread": "data", "swap": {"model": "points", "long": -6.5, "short": 2.25}},
}


def test_profit_in_yen_is_dollars_at_the_rate_of_the_close_before(desk: Desk, shared_data: Path) -> None:
    played = desk.run(["10 USDJPY BUY 20000", "60 USDJPY SELL 15000", "300 USDJPY FLAT"], **YEN)
    with (shared_data / "nautilus/fxcm/usdjpy-m1-bid-2013.csv").open() as lines:
        closes = [float(line["close"]) for line in csv.DictReader(lines)]
    # The ask lies eight ticks of 0.001 above; what fills at the open of a minute is worth what the last close says.
    rates = [1.0 / ((bid + round((bid + 0.008) * 1000) / 1000) / 2) for bid in closes]
    trades, fills = played.trades(), played.rows("fills")
    assert [(trade["side"], trade["qty"]) for trade in trades] == [("LONG", 20_000.0), ("SHORT", 15_000.0)]
    assert [fill["seq"] for fill in fills] == [11, 61, 61, 301]
    for fill in fills:
        assert fill["fee"] == pytest.approx(fill["price"] * fill["qty"] * rates[fill["seq"] - 1] * 0.5e-4, rel=1e-12)
    for trade in trades:
        points = (trade["exit_price"] - trade["entry_price"]) * (1 if trade["side"] == "LONG" else -1)
        assert trade["gross_pnl"] == pytest.approx(points * trade["qty"] * rates[trade["exit_seq"] - 1], rel=1e-12)
        assert trade["net_pnl"] == pytest.approx(trade["gross_pnl"] - trade["fees"], rel=1e-12)
    # While the position is open, equity has the rate of the close of that minute.
    row = played.rows("equity_curve")[1 + 40]
    profit = (closes[40] - fills[0]["price"]) * 20_000.0 * rates[40]
    assert row["unrealised_pnl"] == pytest.approx(profit, rel=1e-9)
    curve = played.rows("equity_curve")
    steps = [after["time_ns"] - before["time_ns"] for before, after in pairwise(curve)]
    mean = sum(row["equity"] * step for row, step in zip(curve, steps, strict=False)) / sum(steps)
    traded = sum(fill["qty"] * fill["price"] * rates[fill["seq"] - 1] for fill in fills)
    turnover = traded / mean / (sum(steps) / (365.25 * DAY_NS))
    assert played.metrics["exposure"]["turnover"] == pytest.approx(turnover, rel=1e-9)
    assert row["margin_used"] == pytest.approx(20_000.0 * closes[40] * rates[40] / 30, rel=1e-12)


def test_funding_of_a_position_is_the_sum_over_the_rates_of_the_file(desk: Desk, shared_data: Path) -> None:
    plan = ["5 BTCUSDT BUY 0.5", "200 BTCUSDT SELL 0.25", "411 BTCUSDT FLAT"]
    played = desk.run(plan, **PERPS)
    closes = {bar.time_ns + HOUR_NS: bar.bid[3] for bar in klines(shared_data / "binance_usdm/1h/BTCUSDT.csv")}
    with (shared_data / "binance_usdm/funding/BTCUSDT.csv").open() as lines:
        stamps = {
            round(int(line["timestamp"]) / 60_000) * 60_000_000_000: float(line["funding_rate"])
            for line in csv.DictReader(lines)
        }
    trades = played.trades()
    paid = []
    for trade, sign in zip(trades, (1, -1), strict=True):
        mine = [
            -sign * trade["qty"] * (closes[time_ns] + 0.05) * rate
            for time_ns, rate in stamps.items()
            if trade["entry_time_ns"] < time_ns <= trade["exit_time_ns"]
        ]
        assert len(mine) > 20
        assert trade["funding"] == pytest.approx(sum(mine), rel=1e-9)
        assert trade["net_pnl"] == pytest.approx(trade["gross_pnl"] - trade["fees"] + sum(mine), rel=1e-9)
        paid += mine
    assert played.metrics["counts"]["funding_stamps"] == len(paid)
    assert played.metrics["costs"]["funding"] == pytest.approx(-sum(paid), rel=1e-9)
    booked = [line for line in played.rows("ledger") if line["account"] == "funding"]
    assert [line["credit"] - line["debit"] for line in booked] == pytest.approx(paid, rel=1e-9)
    assert all(line["stamp_ns"] in stamps and line["fill"] is None for line in booked)


def test_swap_is_booked_at_five_in_new_york_three_nights_on_wednesday(desk: Desk, shared_data: Path) -> None:
    played = desk.run(["3 EURGBP BUY 10000", "121 EURGBP SELL 8000", "203 EURGBP FLAT"], **CROSSES)
    pounds = {bar.time_ns + DAY_NS: bar for bar in lean_days(shared_data / "lean/forex/oanda/daily/gbpusd.zip")}
    trades = played.trades()
    assert [trade["side"] for trade in trades] == ["LONG", "SHORT"]
    for trade, points in zip(trades, (-6.5, 2.25), strict=True):
        swap = 0.0
        for stamp_ns, nights in nights_between(trade["entry_time_ns"], trade["exit_time_ns"]):
            last = max(close for close in pounds if close < stamp_ns)
            swap += points * 1e-5 * trade["qty"] * mid(pounds[last]) * nights
        assert trade["swap"] == pytest.approx(swap, rel=1e-9)
        assert trade["net_pnl"] == pytest.approx(trade["gross_pnl"] - trade["fees"] + swap, rel=1e-9)
    assert played.metrics["costs"]["swap"] == pytest.approx(-sum(trade["swap"] for trade in trades), rel=1e-9)


def test_an_isolated_position_is_liquidated_at_its_level(desk: Desk, shared_data: Path) -> None:
    margin = "account.margin={mode: isolated, maintenance: 0.5, fee_bps: 30.0}"
    played = desk.run(["5 BTCUSDT BUY 2.0"], margin, "costs.funding=none", **PERPS)
    entry, exit_ = played.rows("fills")
    assert (exit_["reason"], exit_["signal_seq"], exit_["liquidity"]) == ("LIQUIDATION", None, "TAKER")
    price, qty, leverage = entry["price"], 2.0, 50.0
    level = (price * qty - price * qty / leverage) / (qty * (1 - 0.5 / leverage))
    bars = {bar.time_ns + HOUR_NS: bar for bar in klines(shared_data / "binance_usdm/1h/BTCUSDT.csv")}
    low = min((time_ns for time_ns, bar in bars.items() if time_ns > entry["time_ns"] and bar.bid[2] <= level))
    assert exit_["time_ns"] == (low if bars[low].bid[0] > level else low - HOUR_NS)
    assert exit_["price"] == math.floor(min(level, bars[low].bid[0]) * 10) / 10
    assert exit_["fee"] == pytest.approx(exit_["price"] * qty * (4.0 + 30.0) / 10_000, rel=1e-12)
    assert [trade["exit_reason"] for trade in played.trades()] == ["LIQUIDATION"]
    assert played.metrics["counts"]["liquidations"] == 1


def test_margin_calls_are_counted_where_the_equity_falls_below_the_level(desk: Desk) -> None:
    margin = "account.margin={call: 26.5}"
    played = desk.run(["5 BTCUSDT BUY 2.0"], margin, "window.end=2026-02-04", **PERPS)
    called = [
        row["margin_used"] > 0 and row["equity"] < 26.5 * row["margin_used"] for row in played.rows("equity_curve")
    ]
    calls = sum(now and not before for before, now in pairwise(called))
    assert played.metrics["counts"]["margin_calls"] == calls > 1
    assert played.metrics["counts"]["liquidations"] == 0


EVERYTHING = {
    **PERPS,
    "instruments": ["BTCUSDT", "ETHUSDT"],
    "account": {
        "currency": "BTC",
        "cash": 2.0,
        "leverage": {"default": 25.0, "BTCUSDT": 40.0},
        "margin": {"mode": "cross", "maintenance": 0.6, "call": 1.5, "fee_bps": 20.0},
    },
    "costs": {
        "fees": {"maker_bps": -0.5, "taker_bps": 5.0},
        "slippage_bps": 0.5,
        "spread": {"ticks": 2},
        "swap": {"model": "annual_rate", "long": -0.3, "short": 0.1, "triple": "friday"},
        "instruments": {"BTCUSDT": {"swap": {"model": "money_per_lot", "long": -1e-4, "short": 1e-5, "lot_qty": 1.0}}},
    },
}
PLAN = ["4 ETHUSDT BUY 380", "5 BTCUSDT SELL 1.5", "300 ETHUSDT SELL 500", "700 BTCUSDT BUY 8", "701 ETHUSDT BUY 900"]
DELIVERIES = (
    ["execution.delivery=lockstep"],
    *([f"execution.window_events={size}"] for size in (1, 7, 64)),
)


@pytest.mark.parametrize("reads", [False, True], ids=["without feedback", "with feedback"])
def test_every_delivery_gives_one_result_with_all_of_it_on(desk: Desk, reads: bool) -> None:
    more = f"strategy.params.reads={str(reads).lower()}"
    played = desk.run(PLAN, more, "artifacts=whole", **EVERYTHING)
    counts, costs = played.metrics["counts"], played.metrics["costs"]
    assert min(counts["liquidations"], counts["margin_calls"], counts["funding_stamps"]) >= 1
    assert costs["funding"] != 0 != costs["swap"]
    for number, delivery in enumerate(DELIVERIES):
        again = desk.run(PLAN, more, *delivery, f"artifacts=part{number}", **EVERYTHING)
        assert again.digest == played.digest
        assert again.metrics == played.metrics
        assert (again.folder / "ledger.parquet").read_bytes() == (played.folder / "ledger.parquet").read_bytes()
    assert_booked_twice(played)


def test_a_strategy_reads_what_happens_to_its_account(desk: Desk) -> None:
    played = desk.run(PLAN, "strategy.params.reads=true", **EVERYTHING)
    notes = [json.loads(row["meta"]) for row in played.rows("signals")]
    assert {(note["leverage"], note["same"]) for note in notes} == {(25.0, False), (40.0, False)}
    seen = [tuple(update) for note in notes for update in note["seen"]]
    assert {update[0] for update in seen} >= {"FUNDING", "SWAP", "LIQUIDATION", "MARGIN_CALL", "FILL"}
    assert {update[4] for update in seen if update[0] == "LIQUIDATION"} == {"LIQUIDATION"}
    booked = {
        (line["account"].upper(), line["instrument"], line["stamp_ns"], line["credit"] - line["debit"])
        for line in played.rows("ledger")
        if line["account"] in ("funding", "swap")
    }
    moved = [update[:4] for update in seen if update[0] in ("FUNDING", "SWAP") and update[3]]
    assert len(moved) > 10
    assert set(moved) <= booked


@pytest.mark.parametrize("name", ["perpetuals", "crosses"])
def test_a_config_on_real_data_runs_as_it_stands(desk: Desk, repository: Path, name: str) -> None:
    for folder in ("configs", "examples"):
        link = desk.folder / folder
        if not link.exists():
            link.symlink_to(repository / folder)
    code, told = desk.call("run", f"configs/real_data/{name}.yaml")
    assert code == 0, told
    played = Played(desk.folder / told["artifacts"], told)
    assert played.metrics["trades"]["count"] >= 30
    costs = played.metrics["costs"]
    assert costs["funding"] if name == "perpetuals" else costs["swap"]
    assert_booked_twice(played)
    code, again = desk.call("rerun", played.folder.name)
    assert (code, again["equal"], again["files"]) == (0, True, [])


def test_a_rate_that_no_instrument_gives_is_named(desk: Desk) -> None:
    error = desk.refused(**{**CROSSES, "instruments": ["EURGBP"]})
    assert (error["code"], error["problems"][0]["path"]) == ("RATE_MISSING", "account.currency")
    assert "GBP/USD" in error["what"]
    assert "GBPUSD" in error["expected"]
    assert "account.equivalents" in error["remedy"]
    error = desk.refused(**{**PERPS, "account": {"currency": "USD", "cash": 1000.0}})
    assert error["code"] == "RATE_MISSING"
    assert "[[USD, USDT]]" in error["remedy"]


def test_missing_rates_of_funding_are_refused_and_may_be_skipped(desk: Desk, shared_data: Path) -> None:
    early = {**PERPS, "window": {"start": "2026-01-01", "end": "2026-01-20"}}
    error = desk.refused(**early)
    assert (error["code"], error["problems"][0]["path"]) == ("FUNDING_MISSING", "costs.funding")
    assert "2026-01-01T08:00:00Z" in error["what"]
    lines = (shared_data / "binance_usdm/funding/BTCUSDT.csv").read_text().splitlines()
    (desk.folder / "BTCUSDT.csv").write_text("\n".join(lines[:20] + lines[22:]) + "\n")
    facts = ("--symbol", "BTCUSDT", "--frame", "H1", "--tz", "UTC", "--side", "last")
    desk.take("holes", shared_data / "binance_usdm/1h/BTCUSDT.csv", options=facts)
    demanded = {**PERPS, "dataset": "holes", "costs": {**PERPS["costs"], "funding": "data"}}  # type: ignore[dict-item]
    error = desk.refused(**demanded)
    assert (error["code"], error["problems"][0]["path"]) == ("FUNDING_MISSING", "costs.funding")
    desk.take("holes", desk.folder / "BTCUSDT.csv")
    assert "2 funding rates of BTCUSDT are missing" in desk.refused(**{**PERPS, "dataset": "holes"})["what"]
    holes = {**PERPS, "dataset": "holes", "window": {"start": "2026-01-13", "end": "2026-01-25"}}
    whole = {**holes, "dataset": "perps"}
    plan = ["5 BTCUSDT BUY 0.5"]
    skipped = desk.run(plan, "costs.funding={missing: skip}", **holes).metrics["counts"]["funding_stamps"]
    assert skipped == desk.run(plan, **whole).metrics["counts"]["funding_stamps"] - 2
    assert desk.run(plan, "costs.funding=none", **holes).metrics["counts"]["funding_stamps"] == 0


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("account.margin={maintenance: 1.0}", "account.margin.maintenance"),
        ("account.margin={maintenance: 0.5, call: 0.4}", "account.margin"),
        ("account.margin={mode: shared}", "account.margin.mode"),
        ("account.margin={fee_bps: -1.0}", "account.margin.fee_bps"),
        ("account.leverage={BTCUSDT: 20.0}", "account"),
        ("account.leverage={default: 0.5}", "account.leverage.default"),
        ("account.leverage={default: 5.0, DOGEUSDT: 2.0}", "account.leverage.DOGEUSDT"),
        ("account={currency: USDT, cash: 1.0, type: cash, leverage: {default: 2.0}}", "account"),
        ("account={currency: USDT, cash: 1.0, type: cash, margin: {call: 1.0}}", "account"),
        ("account.equivalents=[[USD, USDT], [USDT, USDC]]", "account"),
        ("account.equivalents=[[USD]]", "account.equivalents[0]"),
        ("costs.funding=sometimes", "costs.funding"),
        ("costs.funding={missing: guess}", "costs.funding.missing"),
        ("costs.swap={model: points, long: 1.0}", "costs.swap.short"),
        ("costs.swap={model: points, long: 1.0, short: 1.0, triple: sunday}", "costs.swap.triple"),
        ("costs.swap={model: annual_rate, long: -12.0, short: 0.0}", "costs.swap"),
        (
            "costs.instruments={BTCUSDT: {swap: {model: lots, long: 1.0, short: 1.0}}}",
            "costs.instruments.BTCUSDT.swap.model",
        ),
    ],
)
def test_an_account_that_cannot_be_is_refused_with_its_path(desk: Desk, override: str, path: str) -> None:
    error = desk.refused(override, **PERPS)
    assert path in [problem["path"] for problem in error["problems"]]


def nights_between(start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """Return (time, nights) of the rollovers after start, up to and including end, by the calendar of New York."""
    found: list[tuple[int, int]] = []
    day = datetime.fromtimestamp(start_ns // 10**9, UTC).date() - timedelta(days=2)
    while True:
        close = datetime.combine(day, time(17), NEW_YORK)
        close_ns = int(close.timestamp()) * 10**9
        if close_ns > end_ns:
            return found
        if close_ns > start_ns and day.weekday() < 5:
            found.append((close_ns, 3 if day.weekday() == 2 else 1))
        day += timedelta(days=1)


def mid(bar: Row) -> float:
    assert bar.ask is not None
    return (bar.bid[3] + bar.ask[3]) / 2


def assert_booked_twice(played: Played) -> None:
    """Assert that debits are credits in each booking, and that they lead to the last cash, the fees and the trades."""
    lines, fills = played.rows("ledger"), played.rows("fills")
    sums: dict[str, float] = {}
    for debit, credit in zip(lines[::2], lines[1::2], strict=True):
        assert debit["booking"] == credit["booking"]
        assert debit["debit"] == credit["credit"] > 0
        assert debit["credit"] == credit["debit"] == 0.0
        assert "cash" in (debit["account"], credit["account"])
        if debit["fill"] is not None:
            assert fills[debit["fill"]]["time_ns"] == debit["time_ns"] == credit["time_ns"]
            assert fills[debit["fill"]]["instrument"] == debit["instrument"]
        for line in (debit, credit):
            sums[line["account"]] = sums.get(line["account"], 0.0) + line["debit"] - line["credit"]
    costs = played.metrics["costs"]
    assert sums["cash"] == pytest.approx(played.rows("equity_curve")[-1]["cash"], rel=1e-9)
    assert -sums["capital"] == played.metrics["equity"]["initial"]
    assert sums["fees"] == pytest.approx(costs["fees"], rel=1e-9)
    assert sums.get("funding", 0.0) == pytest.approx(costs["funding"], rel=1e-9)
    assert sums.get("swap", 0.0) == pytest.approx(costs["swap"], rel=1e-9)
    assert -sums["pnl"] == pytest.approx(sum(trade["gross_pnl"] for trade in played.trades()), rel=1e-9)
