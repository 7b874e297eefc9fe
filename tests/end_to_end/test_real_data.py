"""Runs on real market data, from the files to the published artefacts, held to the reference loop bit for bit.

The reference loop gets the signals of the run, and a tape that was read from the same files by other code.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from engine_run import rows_of
from loop import run_with_signals, sort_tape
from real_markets import (
    HOUR_NS,
    MINUTE_NS,
    Row,
    events_of,
    klines,
    larger_bars,
    lean_days,
    lean_hours,
    lean_minutes,
    lean_ticks,
    minutes_of,
    ticks_inside,
    within,
)
from terms import Event, Result, Rules, SignalIn, Spec, Trade

from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import ImportRequest, Manifest, import_files
from boxgate_server.outcome import Finished
from boxgate_server.run import run_config

CASH = 100_000.0
FX_COSTS = {"fees_bps": 0.2, "slippage_bps": 0.1, "spread": "data"}
FX_RULES = Rules(fees_bps=0.2, slippage_bps=0.1, spread=("data",), leverage=30.0, cash=CASH)
FX_ACCOUNT = {"currency": "USD", "cash": CASH, "leverage": 30.0}
CAST: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": {"true": True, "false": False}.__getitem__,
}
ROWS = {
    "ticks": [532_903],
    "ticks_of_two_days": [73_520],
    "minutes": [15_366, 15_543, 15_222],
    "hours": [74_439],
    "coins": [4_500, 4_500, 4_500],
    "coins_closed_at_the_end": [4_500, 4_500, 4_500],
    "pair": [15_366, 15_543],
    "breakouts": [4_500],
    "rotation": [3_738, 3_738, 3_738],
    "quotes": [532_903],
    "quotes_of_a_day": [24_179],
}
"""Rows of the files of each case, series by series."""


@dataclass(frozen=True)
class Feed:
    """A delivered series. warmup: events of it that the run leaves before its start."""

    instrument: int
    frame_ns: int
    rows: Sequence[Row]
    warmup: int


@dataclass(frozen=True)
class Case:
    """A run on real data, and what the reference loop must be told of it.

    files: what is imported, LEAN files under the empty symbol. config: without dataset, instruments and folders.
    ticks: they execute the bars of the only feed that are built from them. trades_min: fewest trades worth a check.
    """

    files: Mapping[str, Sequence[Path]]
    config: Mapping[str, Any]
    specs: Sequence[Spec]
    rules: Rules
    feeds: Sequence[Feed]
    trades_min: int
    ticks: Sequence[Row] = ()

    def tape(self, start_ns: int, end_ns: int) -> list[Event]:
        """Return the events of the window in order, those that are not delivered among them."""
        events: list[Event] = []
        finest = min(feed.frame_ns for feed in self.feeds)
        for feed in self.feeds:
            executes = feed.frame_ns == finest and not self.ticks
            made = events_of(feed.rows, feed.frame_ns, instrument=feed.instrument, execution=executes)
            events += within(made, start_ns, end_ns)
        return sort_tape([*events, *events_of(ticks_inside(self.ticks, events), 0, delivered=False)])


def ticks(data: Path, days: int | None = None) -> Case:
    files = sorted(data.glob("lean/forex/oanda/tick/eurusd/*.zip"))[:days]
    rows = lean_ticks(files)
    return Case(
        files={"": files},
        config={
            "strategy": example("envelope_trend", env_len=20, env_dev=1.5, trend_len=100, notional=50_000.0),
            "frames": ["M1"],
            "account": FX_ACCOUNT,
            "costs": FX_COSTS,
            "execution": {"path": "real"},
        },
        specs=[Spec("EURUSD", (1, 100_000))],
        rules=FX_RULES,
        feeds=[Feed(0, MINUTE_NS, minutes_of(rows), 440)],
        trades_min=500 if days is None else 50,
        ticks=rows,
    )


def ticks_of_two_days(data: Path) -> Case:
    return ticks(data, days=2)


def minutes(data: Path) -> Case:
    folders = ("forex/oanda/minute/eurusd", "forex/oanda/minute/nzdusd", "cfd/oanda/minute/xauusd")
    files = [sorted((data / "lean" / folder).glob("201405*.zip")) for folder in folders]
    limits = {"risk_max": 0.002, "daily_loss_max": 0.01}
    return Case(
        files={"": [file for of_symbol in files for file in of_symbol]},
        config={
            "strategy": example("envelope_trend", env_len=60, env_dev=2.0, trend_len=300, notional=100_000.0, **limits),
            "frames": ["M1"],
            "account": FX_ACCOUNT,
            "costs": FX_COSTS,
        },
        specs=[Spec("EURUSD", (1, 100_000)), Spec("NZDUSD", (1, 100_000)), Spec("XAUUSD", (1, 1_000))],
        rules=FX_RULES,
        feeds=[Feed(i, MINUTE_NS, lean_minutes(of_symbol), 1_320) for i, of_symbol in enumerate(files)],
        trades_min=300,
    )


def hours(data: Path) -> Case:
    file = data / "lean/forex/oanda/hour/eurusd.zip"
    rows = lean_hours(file)
    lengths = {"z_len": 30, "ema_len": 100, "htf_ema_len": 20, "hold_bars": 24}
    return Case(
        files={"": [file]},
        config={
            "strategy": example(
                "mean_reversion_zscore", z_entry=1.6, htf="H4", sl_atr=2.0, tp_atr=2.0, notional=100_000.0, **lengths
            ),
            "frames": ["H1", "H4"],
            "account": FX_ACCOUNT,
            "costs": FX_COSTS,
        },
        specs=[Spec("EURUSD", (1, 100_000))],
        rules=FX_RULES,
        feeds=[Feed(0, HOUR_NS, rows, 440), Feed(0, 4 * HOUR_NS, larger_bars(rows, 4 * HOUR_NS), 80)],
        trades_min=500,
    )


def coins(data: Path) -> Case:
    files = {symbol: data / f"binance_usdm/1h/{symbol}.csv" for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT")}
    lot = (1, 1_000)
    return Case(
        files={symbol: [file] for symbol, file in files.items()},
        config={
            "strategy": example("sma_cross", fast=20, slow=60, notional=20_000.0),
            "frames": ["H1"],
            "account": {"currency": "USDT", "cash": CASH, "leverage": 5.0},
            "costs": {"fees_bps": 4.0, "slippage_bps": 1.0, "spread": {"ticks": 1}},
        },
        specs=[Spec("BTCUSDT", (1, 10), lot), Spec("ETHUSDT", (1, 100), lot), Spec("SOLUSDT", (1, 1_000), lot)],
        rules=Rules(fees_bps=4.0, slippage_bps=1.0, spread=("ticks", 1), leverage=5.0, cash=CASH),
        feeds=[Feed(i, HOUR_NS, klines(file), 66) for i, file in enumerate(files.values())],
        trades_min=200,
    )


def coins_closed_at_the_end(data: Path) -> Case:
    case = coins(data)
    config = {**case.config, "execution": {"close_at_end": True}}
    return replace(case, config=config, rules=replace(case.rules, close_at_end=True))


def pair(data: Path) -> Case:
    files = [sorted((data / f"lean/forex/oanda/minute/{name}").glob("201405*.zip")) for name in ("eurusd", "nzdusd")]
    return Case(
        files={"": [file for of_symbol in files for file in of_symbol]},
        config={
            "strategy": example("pairs", length=240, z_entry=2.0, hold_bars=480, notional=50_000.0),
            "frames": ["M1"],
            "account": FX_ACCOUNT,
            "costs": FX_COSTS,
        },
        specs=[Spec("EURUSD", (1, 100_000)), Spec("NZDUSD", (1, 100_000))],
        rules=FX_RULES,
        feeds=[Feed(i, MINUTE_NS, lean_minutes(of_symbol), 264) for i, of_symbol in enumerate(files)],
        trades_min=100,
    )


def breakouts(data: Path) -> Case:
    file = data / "binance_usdm/1h/BTCUSDT.csv"
    return Case(
        files={"BTCUSDT": [file]},
        config={
            "strategy": example("breakout_trailing", channel_len=20, atr_len=20, stop_atr=2.0, trail_atr=3.0),
            "frames": ["H1"],
            "account": {"currency": "USDT", "cash": CASH, "leverage": 5.0},
            "costs": {"fees_bps": 4.0, "slippage_bps": 1.0, "spread": {"ticks": 1}},
        },
        specs=[Spec("BTCUSDT", (1, 10), (1, 1_000))],
        rules=Rules(fees_bps=4.0, slippage_bps=1.0, spread=("ticks", 1), leverage=5.0, cash=CASH),
        feeds=[Feed(0, HOUR_NS, klines(file), 176)],
        trades_min=100,
    )


def rotation(data: Path) -> Case:
    files = [data / f"lean/forex/oanda/daily/{name}.zip" for name in ("eurusd", "gbpusd", "nzdusd")]
    return Case(
        files={"": files},
        config={
            "strategy": example("portfolio_rotation", momentum_len=60, vol_len=20, top=2),
            "frames": ["D1"],
            "account": FX_ACCOUNT,
            "costs": FX_COSTS,
        },
        specs=[Spec(symbol, (1, 100_000)) for symbol in ("EURUSD", "GBPUSD", "NZDUSD")],
        rules=FX_RULES,
        feeds=[Feed(i, 24 * HOUR_NS, lean_days(file), 68) for i, file in enumerate(files)],
        trades_min=100,
    )


def quotes(data: Path, days: int | None = None) -> Case:
    files = sorted(data.glob("lean/forex/oanda/tick/eurusd/*.zip"))[:days]
    return Case(
        files={"": files},
        config={
            "strategy": example("tick_momentum", length=50, span_seconds=60.0, entry_bps=2.0, qty=50_000.0),
            "frames": ["tick"],
            "account": FX_ACCOUNT,
            "costs": FX_COSTS,
        },
        specs=[Spec("EURUSD", (1, 100_000))],
        rules=FX_RULES,
        feeds=[Feed(0, 0, lean_ticks(files), 57)],
        trades_min=200 if days is None else 10,
    )


def quotes_of_a_day(data: Path) -> Case:
    return quotes(data, days=1)


def example(name: str, **params: Any) -> dict[str, Any]:
    return {"command": ["python", f"examples/{name}/strategy.py"], "params": params}


CASES: dict[str, Callable[[Path], Case]] = {
    made.__name__: made
    for made in (
        ticks,
        ticks_of_two_days,
        minutes,
        hours,
        coins,
        coins_closed_at_the_end,
        pair,
        breakouts,
        rotation,
        quotes,
        quotes_of_a_day,
    )
}
each_case = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in ("ticks", "quotes") else ()) for name in CASES]
)


class Runs:
    """Cases, their datasets and their runs, each made when it is first asked for."""

    def __init__(self, data: Path, repository: Path, folder: Path) -> None:
        self._data = data
        self._repository = repository
        self._folder = folder
        self._cases: dict[str, Case] = {}
        self._manifests: dict[str, Manifest] = {}
        self._finished: dict[tuple[str, str], Finished] = {}

    def case(self, name: str) -> Case:
        if name not in self._cases:
            self._cases[name] = CASES[name](self._data)
        return self._cases[name]

    def manifest(self, name: str) -> Manifest:
        if name not in self._manifests:
            for symbol, files in self.case(name).files.items():
                csv_facts: dict[str, Any] = {"symbol": symbol, "frame": "H1", "side": "last"} if symbol else {}
                request = ImportRequest(files=tuple(files), zone="UTC", name=name, **csv_facts)
                self._manifests[name] = import_files(self._folder / "datasets", request).manifest
        return self._manifests[name]

    def run(self, name: str, mode: str = "debug") -> Finished:
        if (name, mode) not in self._finished:
            self.manifest(name)
            case = self.case(name)
            provider = {
                "root": str(self._folder / "datasets"),
                "cache": {"local_dir": str(self._folder / "cache")},
            }
            config = RunConfig.model_validate(
                {
                    **case.config,
                    "dataset": name,
                    "instruments": [spec.symbol for spec in case.specs],
                    "window": {"start": "first", "end": "last"},
                    "mode": mode,
                    "determinism": {"master_seed": 1337},
                    "report": {"equity": "bar"},
                    "data_provider": provider,
                }
            )
            self._finished[name, mode] = run_config(config, folder=self._repository, store=self._folder / "runs")
        return self._finished[name, mode]


@pytest.fixture(scope="module")
def runs(shared_data: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(shared_data, repository, tmp_path_factory.mktemp("real"))


@each_case
def test_a_real_run_gives_the_results_of_the_reference_loop(runs: Runs, name: str) -> None:
    case, finished = runs.case(name), runs.run(name)
    window = window_of(finished)
    signals = signals_of(finished)
    expected = run_with_signals(case.specs, case.rules, case.tape(*window), window[0], signals)
    assert table(finished, "signals") == [astuple(row) for row in expected.signals]
    assert table(finished, "fills") == [astuple(row)[:13] for row in expected.fills]
    assert trades_of(finished) == expected.trades
    assert table(finished, "equity_curve") == [astuple(row) for row in expected.equity]
    assert_sums(finished.metrics, expected)
    assert len(expected.trades) >= case.trades_min


@each_case
def test_the_events_of_a_real_run_are_the_rows_of_its_files_after_the_warm_up(runs: Runs, name: str) -> None:
    case, finished = runs.case(name), runs.run(name)
    start_ns, end_ns = window_of(finished)
    assert start_ns == max(feed.rows[feed.warmup - 1].time_ns + feed.frame_ns for feed in case.feeds)
    assert end_ns == max(feed.rows[-1].time_ns + feed.frame_ns for feed in case.feeds)
    after = [sum(row.time_ns + feed.frame_ns > start_ns for row in feed.rows) for feed in case.feeds]
    counts = finished.metrics["counts"]
    quotes_delivered = sum(n for feed, n in zip(case.feeds, after, strict=True) if feed.frame_ns == 0)
    assert (counts["events"], counts["ticks"]) == (sum(after), quotes_delivered)
    assert counts["bars"] == sum(after) - quotes_delivered
    assert counts["warmup_events"] == sum(feed.warmup for feed in case.feeds)


@each_case
def test_the_money_of_a_real_run_adds_up(runs: Runs, name: str) -> None:
    finished = runs.run(name)
    metrics, trades = finished.metrics, trades_of(finished)
    gross = sum(trade.gross_pnl for trade in trades)
    fees = sum(row[7] for row in table(finished, "fills"))
    unrealised = sum(position["unrealised_pnl"] for position in metrics["open_positions"])
    last = table(finished, "equity_curve")[-1]
    assert last[2] == pytest.approx(CASH + gross - fees, rel=1e-9)
    assert last[1] == pytest.approx(CASH + gross - fees + unrealised, rel=1e-9)
    assert metrics["equity"] == {"initial": CASH, "final": last[1]}
    assert metrics["return"]["net_profit"] == pytest.approx(gross - fees + unrealised, rel=1e-9)
    assert metrics["costs"]["fees"] == pytest.approx(fees, rel=1e-9)
    assert all(trade.net_pnl == trade.gross_pnl - trade.fees for trade in trades)


@each_case
def test_a_real_run_has_a_page_that_can_be_mailed(runs: Runs, name: str) -> None:
    page = runs.run(name).report
    assert page is not None
    assert page.stat().st_size < 6_000_000


@each_case
def test_prod_changes_nothing_of_a_real_result(runs: Runs, name: str) -> None:
    debug, prod = runs.run(name), runs.run(name, "prod")
    assert prod.result_digest == debug.result_digest
    assert prod.run_id != debug.run_id


@each_case
def test_the_manifest_tells_what_the_files_are_like(runs: Runs, name: str) -> None:
    case = runs.case(name)
    quotes_delivered = case.feeds[0].rows if case.feeds[0].frame_ns == 0 else ()
    if case.ticks or quotes_delivered:
        expected = {"EURUSD": tick_facts(case.ticks or quotes_delivered)}
    else:
        finest = min(feed.frame_ns for feed in case.feeds)
        feeds = [feed for feed in case.feeds if feed.frame_ns == finest]
        expected = {case.specs[feed.instrument].symbol: bar_facts(feed.rows) for feed in feeds}
    found = {
        stored.symbol: {fact: count_of(stored.quality, fact) for fact in expected[stored.symbol]}
        for stored in runs.manifest(name).series
    }
    assert found == expected
    assert [facts["rows_kept"] for facts in found.values()] == ROWS[name]
    if name in ("ticks", "quotes"):
        assert found["EURUSD"]["repeated_time"] == 4_494
        assert found["EURUSD"]["repeated_row"] == 12


def window_of(finished: Finished) -> tuple[int, int]:
    window = json.loads((finished.folder / "config.json").read_text())["identity"]["window"]
    return int(window["start_ns"]), int(window["end_ns"])


def table(finished: Finished, name: str) -> list[tuple[Any, ...]]:
    """Return the rows of a published table, times as integers, without the notes of debug."""
    read = pq.read_table(finished.folder / f"{name}.parquet")
    return rows_of(read.select([column for column in read.column_names if column != "meta"]))


def trades_of(finished: Finished) -> list[Trade]:
    with (finished.folder / "trades.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    casts = {field.name: CAST[str(field.type)] for field in fields(Trade)}
    return [Trade(**{name: casts[name](text) for name, text in row.items()}) for row in rows]


def signals_of(finished: Finished) -> dict[int, list[SignalIn]]:
    """Return the signals of the run by the event that they answer; their values are on the grid."""
    instruments = {symbol: i for i, symbol in enumerate(instruments_of(finished))}
    signals: dict[int, list[SignalIn]] = {}
    for seq, _, symbol, side, qty, price, sl, tp, until, adjust_only, *_ in table(finished, "signals"):
        signal = SignalIn(instruments[symbol], side, qty, price, sl, tp, until, adjust_only)
        signals.setdefault(seq, []).append(signal)
    return signals


def instruments_of(finished: Finished) -> list[str]:
    identity = json.loads((finished.folder / "config.json").read_text())["identity"]
    return list(identity["instruments"])


def assert_sums(metrics: Mapping[str, Any], expected: Result) -> None:
    """Compare the counts, costs and open positions. The signals were on the grid, so `rounded` cannot be compared."""
    assert expected.counts.rounded == 0
    assert expected.counts.margin_calls == 0
    wanted = {name: count for name, count in vars(expected.counts).items() if name in metrics["counts"]}
    assert {name: metrics["counts"][name] for name in wanted} | {"rounded": 0} == wanted
    positions = [tuple(position.values()) for position in metrics["open_positions"]]
    assert positions == [astuple(position) for position in expected.open_positions]
    for name, values in {
        "fees": [fill.fee for fill in expected.fills],
        "slippage": [fill.slippage for fill in expected.fills],
        "spread": [fill.spread_cost for fill in expected.fills],
    }.items():
        assert metrics["costs"][name] == pytest.approx(sum(values), rel=1e-12), name


def tick_facts(rows: Sequence[Row]) -> dict[str, int]:
    """Count the ticks, those at the time of the tick before, and those equal to an earlier one of the same time."""
    repeated_time = sum(row.time_ns == before.time_ns for before, row in pairwise(rows))
    return {"rows_kept": len(rows), "repeated_time": repeated_time, "repeated_row": len(rows) - len(set(rows))}


def bar_facts(rows: Sequence[Row]) -> dict[str, int]:
    """Count the bars, those without a range, and those whose sides cross or meet at the close."""
    return {
        "rows_kept": len(rows),
        "flat": sum(row.bid[1] == row.bid[2] for row in rows),
        "crossed": sum(row.bid[3] > row.ask[3] for row in rows if row.ask),
        "locked": sum(row.bid[3] == row.ask[3] for row in rows if row.ask),
    }


def count_of(quality: Mapping[str, Any], fact: str) -> int:
    count: int = quality["rows_kept"] if fact == "rows_kept" else quality["counts"].get(fact, 0)
    return count
