"""Runs of the command line held to the pinned interfaces, by checks that share no code with the product."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import interface_checks as checks
import pyarrow.parquet as pq
import pytest

from boxgate_server.__main__ import main

HERE = Path(__file__).parent
HOUR_NS, MINUTE_NS = 3_600_000_000_000, 60_000_000_000
DATASET_TICK = {"XAUUSD": 100, "EURUSD": 100_000}
CONFIG = """\
strategy: {command: [python, recorder/strategy.py], params: {}}
dataset: small
instruments: [XAUUSD, EURUSD]
frames: [M1, H1]
window: {start: 2024-01-09T06:00:00, end: 2024-01-11T12:00:00}
account: {currency: USD, cash: 100000, leverage: 30}
costs: {fees_bps: 0.2, slippage_bps: 0.1, spread: data}
execution: {path: pessimistic, delivery: window, window_events: 500}
warmup: {policy: auto, min_bars: 20, safety_margin: 0.10}
mode: debug
determinism: {master_seed: 1337}
"""
RUN_KEYS = {
    "schema", "status", "run_id", "result_digest", "seed", "mode", "artifacts", "published", "metrics", "delivery",
    "timing_s", "events_per_s",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    code: int
    object: dict[str, Any]

    @property
    def folder(self) -> Path:
        assert self.code == 0, self.object
        return Path(self.object["artifacts"])

    @property
    def error(self) -> dict[str, Any]:
        assert self.object["status"] == {1: "failed", 2: "refused"}[self.code]
        error = self.object["error"]
        assert all(error[name] for name in ("code", "what", "where", "expected", "remedy"))
        assert isinstance(error, dict)
        return error


@dataclass
class Workspace:
    """A folder with strategies, a config and a dataset; runs are computed once for each list of arguments."""

    root: Path
    done: dict[tuple[str, ...], Answer] = field(default_factory=dict)

    def call(self, *arguments: str) -> Answer:
        """Call the command line in this process: the modules are loaded once."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.root), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*arguments, "--json"])
        return _answer(code, out.getvalue(), err.getvalue())

    def call_program(self, *arguments: str) -> Answer:
        """Start the installed program."""
        program = Path(sys.executable).parent / "boxgate"
        done = subprocess.run(
            [program, *arguments, "--json"], cwd=self.root, capture_output=True, text=True, timeout=120, check=False
        )
        return _answer(done.returncode, done.stdout, done.stderr)

    def run(self, *settings: str) -> Answer:
        if settings not in self.done:
            self.done[settings] = self.call("run", "run.yaml", *(part for s in settings for part in ("--set", s)))
        return self.done[settings]

    def seen(self, answer: Answer) -> list[dict[str, Any]]:
        """What the recorder was sent in a run; of several sessions those of all."""
        files = sorted((self.root / "recorder/.seen").glob(answer.object["run_id"] + "*"))
        return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def _answer(code: int, out: str, err: str) -> Answer:
    assert "Traceback" not in err
    return Answer(code, json.loads(out.splitlines()[-1]))


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("interfaces")
    for name in ("raw_recorder", "clock_reader"):
        folder = root / name.split("_")[1]
        folder.mkdir()
        shutil.copy(HERE / "strategies" / f"{name}.py", folder / "strategy.py")
    (root / "run.yaml").write_text(CONFIG)
    work = Workspace(root)
    span = ("--start", "2024-01-08", "--end", "2024-01-12")
    made = work.call(
        "data", "synth", "--seed", "5", "--symbol", "EURUSD", "--symbol", "XAUUSD", *span, "--name", "small"
    )
    assert made.code == 0
    return work


BASE = ()
FEEDBACK = ("strategy.params.feedback=true",)
HOURLY = ("execution.series=H1",)
PROD = ("mode=prod",)
LOCKSTEP = ("execution.delivery=lockstep", "artifacts=elsewhere/runs", "strategy.params.scale=2",
            "data_provider.cache.local_dir=elsewhere/cache")  # fmt: skip
WHOLE = ("window.start=first", "window.end=last")
KINDS = {"plain": BASE, "feedback": FEEDBACK, "execution on hours": HOURLY, "prod": PROD}


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def answer(request: pytest.FixtureRequest, work: Workspace) -> Answer:
    return work.run(*request.param)


def test_the_folder_is_what_the_manifest_says_and_the_digest_is_found_again(answer: Answer) -> None:
    checks.check_manifest(answer.folder)
    assert answer.object["result_digest"] == checks.result_digest(answer.folder)


def test_every_column_has_its_name_type_and_place(answer: Answer) -> None:
    checks.check_columns(answer.folder, answer.object["mode"])


def test_identity_and_seed_are_found_again(answer: Answer, work: Workspace) -> None:
    checks.check_config(answer.folder)
    identity = checks.document(answer.folder, "config.json")["identity"]
    assert answer.object["run_id"] == checks.run_id(identity)
    assert answer.object["seed"] == checks.seed(identity)
    assert identity["strategy"]["digest"] == checks.strategy_digest(work.root / "recorder")


def test_the_object_of_a_run_has_its_keys(answer: Answer) -> None:
    told = answer.object
    assert set(told) >= RUN_KEYS
    assert (told["schema"], told["status"]) == ("boxgate.run/1", "complete")
    assert set(told["delivery"]) == {"mode", "window_events", "round_trips"}
    assert set(told["timing_s"]) == {"total", "start", "engine", "sidecar_wait", "artefacts"}
    assert told["metrics"] == checks.document(answer.folder, "metrics.json")
    assert answer.folder.is_absolute()


def test_equity_trades_and_metrics_follow_from_the_fills(answer: Answer) -> None:
    checks.check_equity(answer.folder)
    checks.check_trades(answer.folder)
    checks.check_metrics(answer.folder, weekends=False)
    assert answer.object["metrics"]["trades"]["count"] >= 5


def test_the_log_has_its_fields_and_fixed_events(answer: Answer) -> None:
    checks.check_log(answer.folder)


def test_the_page_shows_the_numbers_of_the_artefacts(answer: Answer) -> None:
    data = checks.page_data(answer.folder)
    assert data["run_id"] == answer.object["run_id"]
    assert data["result_digest"] == answer.object["result_digest"]
    assert data["metrics"] == answer.object["metrics"]


def test_a_fill_is_at_a_price_that_its_bar_had_after_the_decision(answer: Answer, work: Workspace) -> None:
    bars, read = bars_of(answer, work), checks.tables(answer.folder)
    decided = {(row["seq"], row["instrument"]): row["time"] for row in read["signals"]}
    slip = 0.1 / 10_000
    inside = 0
    for fill in read["fills"]:
        buy, symbol = fill["side"] == "BUY", fill["instrument"]
        bar = bars[symbol, fill["seq"]]
        side = bar["ask"] if buy else bar["bid"]
        at_open = fill["time"] == bar["open_ns"]
        assert at_open or fill["time"] == bar["time_ns"]
        assert side["low"] <= fill["reference_price"] <= side["high"]
        if at_open:
            assert fill["reference_price"] == side["open"]
        inside += not at_open
        if fill["signal_seq"] is not None:
            assert decided[fill["signal_seq"], symbol] <= bar["open_ns"], "filled in a bar that opened before it"
        steps = round(fill["price"] * DATASET_TICK[symbol])
        assert fill["price"] == steps / DATASET_TICK[symbol], "off the grid"
        slips = fill["liquidity"] == "TAKER"
        raw = fill["reference_price"] * (1 + (slip if buy else -slip) * slips)
        against = fill["price"] - raw if buy else raw - fill["price"]
        assert -1e-9 < against * DATASET_TICK[symbol] < 1 + 1e-9, "not rounded against the trader"
        if not slips:
            assert fill["price"] == fill["reference_price"]
            assert fill["slippage"] == 0
        assert checks.close(fill["slippage"], abs(fill["price"] - fill["reference_price"]) * fill["qty"], 1e-9)
        assert slips or fill["reason"] != "STOP_LOSS"
        assert not slips or fill["reason"] != "TAKE_PROFIT"
        assert fill["qty"] == math.floor(fill["qty"])
    assert inside >= 5


def test_there_is_one_row_of_equity_for_each_moment(answer: Answer, work: Workspace) -> None:
    moments = sorted({event["time_ns"] for event in events_of(work, answer)})
    start = int(checks.document(answer.folder, "config.json")["identity"]["window"]["start_ns"])
    assert [row["time"] for row in checks.tables(answer.folder)["equity"]] == [start, *moments]


def test_every_signal_is_listed_with_its_time(answer: Answer, work: Workspace) -> None:
    events, signals = events_of(work, answer), checks.tables(answer.folder)["signals"]
    assert [row["seq"] for row in signals] == sorted(row["seq"] for row in signals)
    assert all(events[row["seq"]]["time_ns"] == row["time"] for row in signals)
    if answer.object["mode"] == "debug":
        assert all(json.loads(row["meta"]) == {"turn": row["seq"] % 41} for row in signals)


def test_bars_where_the_order_of_prices_mattered_are_counted(work: Workspace) -> None:
    answer = work.run(*HOURLY)
    assert answer.object["metrics"]["counts"]["path_dependent_bars"] > 0
    assert any(fill["path_dependent"] for fill in checks.tables(answer.folder)["fills"])


def test_the_tape_is_what_the_dataset_has_after_the_start_and_up_to_the_end(work: Workspace) -> None:
    answer = work.run("frames=[M1]", "window.start=2024-01-10T06:00:00", "window.end=2024-01-10T09:00:00")
    window = checks.document(answer.folder, "config.json")["identity"]["window"]
    stored = []
    for path in dataset_files(work):
        instrument = ["XAUUSD", "EURUSD"].index(path.parent.parent.name)
        for row in pq.read_table(path).to_pylist():
            available = row["open_ns"] + MINUTE_NS
            if int(window["start_ns"]) < available <= int(window["end_ns"]):
                columns = ("open", "high", "low", "close", "volume", "ask_open", "ask_high", "ask_low", "ask_close")
                stored.append((available, instrument, *(row[name] for name in columns)))
    events = events_of(work, answer)
    assert [(e["time_ns"], e["series"], *list(e.values())[4:]) for e in events] == sorted(stored)
    assert events[-1]["time_ns"] == int(window["end_ns"])


# ---- What a sidecar on bare stubs is sent ---------------------------------------------------------------------------


def test_a_sidecar_is_given_three_variables_and_a_private_folder(work: Workspace) -> None:
    init = work.seen(work.run(*BASE))[0]
    assert init["environment"] == ["BOXGATE_COOKIE", "BOXGATE_ENDPOINT", "BOXGATE_PROTOCOLS"]
    assert init["protocols"] == "1"
    assert init["folder_mode"] == 0o700
    path = init["endpoint"].removeprefix("unix:")
    assert path.startswith("/")
    assert len(os.fsencode(path)) <= 107
    assert not Path(path).parent.exists(), "the private folder is left behind"


def test_a_session_is_told_what_it_runs_on(work: Workspace) -> None:
    answer = work.run(*BASE)
    request = work.seen(answer)[0]["request"]
    assert request["seed"] == str(answer.object["seed"])
    assert request["mode"] == "MODE_DEBUG"
    assert "capabilities" not in request, "nothing that it did not ask for is granted"
    assert [p["name"] for p in request["parameters"]] == ["feedback", "need", "odd", "requires", "scale"]
    assert [i["symbol"] for i in request["instruments"]] == ["XAUUSD", "EURUSD"]
    assert [(s.get("instrument", 0), s["frame"]) for s in request["series"]] == [
        (0, "M1"), (0, "H1"), (1, "M1"), (1, "H1"),
    ]  # fmt: skip
    assert all(s["price_basis"] == "PRICE_BASIS_BID" and s["has_ask"] for s in request["series"])
    assert request["account"]["cash"] == 100_000
    assert [(t.get("instrument", 0), t["side"]) for t in request["account"]["targets"]] == [
        (0, "SIDE_FLAT"), (1, "SIDE_FLAT"),
    ]  # fmt: skip
    assert request["leverage"] == 30
    assert int(request["start_ns"]) == 1704780000 * 10**9


@pytest.mark.parametrize("settings", [BASE, FEEDBACK], ids=["plain", "feedback"])
def test_windows_hold_whole_moments_in_the_order_of_the_tape(work: Workspace, settings: tuple[str, ...]) -> None:
    answer = work.run(*settings)
    windows = [entry for entry in work.seen(answer) if entry["kind"] == "window"]
    frames = [s["frame"] for s in work.seen(answer)[0]["request"]["series"]]
    start, last = 1704780000 * 10**9, 0
    for window in windows:
        count = window["count"]
        assert 1 <= count <= 500
        assert window["bytes"] < 4 << 20
        assert len(window["time_ns"]) == len(window["series"]) == count
        assert all(len(column) == count for column in window["bars"].values()), "one entry per bar, ask columns too"
        assert not window["ticks"]
        assert window["time_ns"] == sorted(window["time_ns"])
        assert window["warmup"] == (window["first_seq"] < 0)
        assert all((t <= start) == window["warmup"] for t in window["time_ns"])
        for time_ns, series, open_ns in zip(
            window["time_ns"], window["series"], window["bars"]["open_ns"], strict=True
        ):
            assert time_ns - open_ns == (HOUR_NS if frames[series] == "H1" else MINUTE_NS)
        order = [(t, frames[s] != "H1", s) for t, s in zip(window["time_ns"], window["series"], strict=True)]
        assert order == sorted(order), "a larger frame comes first, then instruments in their order"
    tape = [window for window in windows if not window["warmup"]]
    before = [window for window in windows if window["warmup"]]
    assert before[-1]["first_seq"] + before[-1]["count"] == 0
    assert tape[0]["first_seq"] == 0
    if settings == BASE:
        for window in tape:
            assert window["first_seq"] == last
            assert window["account"] is window["marks"] is None
            last += window["count"]
        for a, b in itertools.pairwise(tape):
            assert a["time_ns"][-1] < b["time_ns"][0], "a moment was cut"
        assert last == answer.object["metrics"]["counts"]["events"]


def test_the_account_that_feedback_sees_is_that_of_the_fills(work: Workspace) -> None:
    answer = work.run(*FEEDBACK)
    read = checks.tables(answer.folder)
    rows = {row["time"]: row for row in read["equity"]}
    windows = [entry for entry in work.seen(answer) if entry["kind"] == "window" and not entry["warmup"]]
    updates: list[dict[str, Any]] = []
    version = -1
    for window in windows:
        account, row = window["account"], rows[window["time_ns"][0]]
        assert account["cash"] == row["cash"]
        assert int(account["version"]) >= version
        version = int(account["version"])
        held = {(int(p["instrument"]), p["side"], p["qty"]) for p in account["positions"]}
        moment = window["time_ns"].count(window["time_ns"][0])
        assert held == positions_at(read["fills"], window["first_seq"] + moment)
        assert [int(t["instrument"]) for t in account["targets"]] == [0, 1]
        updates += account["updates"]
        marks = window["marks"]
        assert len(marks["equity"]) == len(marks["free_margin"]) == window["count"]
        for time_ns, equity, free in zip(window["time_ns"], marks["equity"], marks["free_margin"], strict=True):
            # Beyond what will be consumed the marks are those without the signal; the first moment stands for sure.
            if time_ns == window["time_ns"][0]:
                assert equity == rows[time_ns]["equity"]
                assert checks.close(free, rows[time_ns]["equity"] - rows[time_ns]["margin_used"], 1e-6)
    told = [(int(u["seq"]), u["qty"], u["price"]) for u in updates if u["kind"].endswith("FILL")]
    # What becomes known with the very last moment is told to nobody.
    assert told == [(f["seq"], f["qty"], f["price"]) for f in read["fills"]][: len(told)]
    assert len(told) >= len(read["fills"]) - 2
    assert any(u["kind"].endswith("EXPIRY") for u in updates)


def positions_at(fills: list[dict[str, Any]], seq: int) -> set[tuple[int, str, float]]:
    """What is held before event `seq`."""
    held = {"XAUUSD": 0.0, "EURUSD": 0.0}
    for fill in fills:
        if fill["seq"] < seq:
            held[fill["instrument"]] += fill["qty"] if fill["side"] == "BUY" else -fill["qty"]
    return {(k, "SIDE_BUY" if q > 0 else "SIDE_SELL", abs(q)) for k, q in enumerate(held.values()) if q}


# ---- One result ------------------------------------------------------------------------------------------------------


def test_equal_inputs_give_equal_bytes_whatever_the_delivery_and_the_paths(work: Workspace) -> None:
    one, other = work.run(*BASE), work.run(*LOCKSTEP)
    assert other.object["run_id"] == one.object["run_id"], "2 and 2.0 of a float, and a default written out, are one"
    assert other.object["delivery"]["mode"] == "lockstep"
    assert other.object["published"] == "new"
    assert other.folder != one.folder
    for name in checks.FILES - {"logs.ndjson", "environment.json"}:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name


def test_debug_and_prod_have_one_result_and_two_ids(work: Workspace) -> None:
    debug, prod = work.run(*BASE), work.run(*PROD)
    assert debug.object["result_digest"] == prod.object["result_digest"]
    assert debug.object["run_id"] != prod.object["run_id"]
    assert b"turn" not in (prod.folder / "signals.parquet").read_bytes()
    assert "meta" in pq.read_schema(debug.folder / "signals.parquet").names


def test_with_feedback_lockstep_and_windows_have_equal_bytes(work: Workspace) -> None:
    one = work.run(*FEEDBACK)
    other = work.run(*FEEDBACK, "execution.delivery=lockstep", "artifacts=lockstep/runs")
    assert one.object["delivery"]["round_trips"] < other.object["delivery"]["round_trips"]
    for name in checks.FILES - {"logs.ndjson", "environment.json"}:
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes(), name


def test_a_second_run_is_kept_reuse_skips_and_rerun_compares(work: Workspace) -> None:
    first = work.run(*BASE)
    assert first.object["published"] == "new"
    again = work.call_program("run", "run.yaml")
    assert (again.object["published"], again.folder) == ("kept", first.folder)
    reused = work.call("run", "run.yaml", "--reuse")
    assert reused.object["result_digest"] == first.object["result_digest"]
    rerun = work.call("rerun", first.object["run_id"])
    assert rerun.code == 0


def test_a_folder_that_was_altered_is_found(work: Workspace, tmp_path: Path) -> None:
    copy = tmp_path / work.run(*BASE).object["run_id"]
    shutil.copytree(work.run(*BASE).folder, copy)
    trades = copy / "trades.csv"
    trades.write_bytes(trades.read_bytes().replace(b"1,", b"2,", 1))
    rerun = work.call("rerun", str(copy))
    assert rerun.code == 1
    assert rerun.error["code"] == "RUN_DAMAGED"


def test_a_strategy_that_reads_the_clock_is_an_error_and_both_results_are_kept(work: Workspace) -> None:
    settings = ("--set", "strategy.command=[python, reader/strategy.py]", "--set", "artifacts=clock/runs",
                "--set", "frames=[M1]", "--set", "report.html=false")  # fmt: skip
    first, second = (work.call("run", "run.yaml", *settings) for _ in range(2))
    assert first.code == 0
    assert second.code == 1
    assert second.error["code"] == "NONDETERMINISM"
    manifests = sorted((work.root / "clock/runs").glob("*/manifest.json"))
    kept = {json.loads(path.read_text())["result_digest"] for path in manifests}
    assert len(manifests) == len(kept) == 2


def test_more_history_starts_over_and_is_told(work: Workspace) -> None:
    answer = work.run("strategy.params.need=60")
    seen = work.seen(answer)
    series = [entry["request"]["series"][0] for entry in seen if entry["kind"] == "init"]
    assert [one["warmup_events"] for one in series] == ["20", "60"]
    extended = [line for line in checks.check_log(answer.folder) if line["event"] == "history_extended"]
    assert [set(line["fields"]) for line in extended] == [{"series", "from", "to", "attempt"}] * 2, (
        "one for each series"
    )
    assert [line["fields"]["attempt"] for line in extended] == [1, 1]
    assert answer.object["metrics"]["counts"]["history_restarts"] == 1
    assert checks.tables(answer.folder)["fills"] == checks.tables(work.run(*BASE).folder)["fills"]


def test_first_and_last_span_what_the_data_have(work: Workspace) -> None:
    answer = work.run(*WHOLE)
    events = events_of(work, answer)
    warm = [e for e in all_events(work, answer) if e["seq"] < 0]
    frames = [s["frame"] for s in work.seen(answer)[0]["request"]["series"]]
    hours = {k: sum(e["series"] == k for e in warm) for k, frame in enumerate(frames) if frame == "H1"}
    assert all(n >= 20 for n in hours.values())
    assert 20 in hours.values(), "an earlier start would have left the warm-up"
    newest = max(pq.read_table(path)["open_ns"].to_pylist()[-1] for path in dataset_files(work))
    assert events[-1]["time_ns"] >= newest + MINUTE_NS


def test_a_dataset_may_be_named_by_its_hash_and_gives_the_same_run(work: Workspace) -> None:
    frozen = checks.document(work.run(*BASE).folder, "manifest.json")["dataset"]
    answer = work.run(f"dataset={frozen}")
    assert (answer.object["run_id"], answer.object["published"]) == (work.run(*BASE).object["run_id"], "kept")


@pytest.mark.parametrize("settings", [(), FEEDBACK, PROD], ids=["plain", "feedback", "prod"])
def test_S17_odd_bytes_are_accepted_and_rebuilt(work: Workspace, settings: tuple[str, ...]) -> None:
    answer = work.run("strategy.params.odd=true", *settings)
    assert answer.object["result_digest"] == work.run(*BASE).object["result_digest"]
    assert all(b"secret" not in path.read_bytes() for path in answer.folder.iterdir())


# ---- Refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "code", "named"),
    [
        ("dataset=latest", "DATASET_NOT_FROZEN", "latest"),
        ("strategy.params.requires=TELEPATHY", "CAPABILITY_NOT_OFFERED", "TELEPATHY"),
        ("strategy.params.scael=1", "CONFIG", "scale"),
        ("execution.paht=ohlc", "CONFIG", "path"),
        ("frames=[M2]", "CONFIG", "M2"),
        ("window.end=2024-01-09T05:00:00", "CONFIG", "window"),
    ],
)
def test_a_refusal_is_one_object_with_exit_code_2(work: Workspace, setting: str, code: str, named: str) -> None:
    answer = work.run(setting)
    assert answer.code == 2
    assert answer.error["code"] == code
    assert named in json.dumps(answer.object)
    assert answer.object["schema"] == "boxgate.run/1"
    assert set(answer.object) <= {"schema", "status", "run_id", "error"}


def test_a_mistake_of_usage_is_one_object_too(work: Workspace) -> None:
    answer = work.call_program("run", "run.yaml", "--frobnicate")
    assert answer.code == 2
    assert "--frobnicate" in answer.error["what"]


# ---- The market data, read by ourselves ------------------------------------------------------------------------------


def dataset_files(work: Workspace) -> list[Path]:
    return sorted((work.root / "datasets").glob("*/*/*/M1/*.parquet"))


def all_events(work: Workspace, answer: Answer) -> list[dict[str, Any]]:
    """Everything that was delivered in the last session of a run, each event once."""
    found: dict[int, dict[str, Any]] = {}
    for entry in work.seen(answer):
        if entry["kind"] == "init":
            found.clear()
        if entry["kind"] != "window":
            continue
        for i in range(entry["count"]):
            bar = {name: column[i] for name, column in entry["bars"].items()}
            seq = entry["first_seq"] + i
            found[seq] = {"seq": seq, "time_ns": entry["time_ns"][i], "series": entry["series"][i], **bar}
    return [found[seq] for seq in sorted(found)]


def events_of(work: Workspace, answer: Answer) -> list[dict[str, Any]]:
    """The events of the tape; the place in the list is the number of the event."""
    events = [event for event in all_events(work, answer) if event["seq"] >= 0]
    assert [event["seq"] for event in events] == list(range(len(events)))
    return events


def bars_of(answer: Answer, work: Workspace) -> dict[tuple[str, int], dict[str, Any]]:
    """The execution bars by symbol and number of the event."""
    request = work.seen(answer)[0]["request"]
    series = [(request["instruments"][s.get("instrument", 0)]["symbol"], s["frame"]) for s in request["series"]]
    wanted = checks.document(answer.folder, "config.json")["identity"]["execution"]["series"] or "M1"
    found = {}
    for event in events_of(work, answer):
        symbol, frame = series[event["series"]]
        if frame == wanted:
            sides = {
                side: {name: event[prefix + name] for name in ("open", "high", "low", "close")}
                for side, prefix in (("bid", ""), ("ask", "ask_"))
            }
            found[symbol, event["seq"]] = {"open_ns": event["open_ns"], "time_ns": event["time_ns"], **sides}
    return found
