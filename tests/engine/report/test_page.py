"""The page as a file: whole, equal for equal input, small, and closed to the outside."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.errors import UserMistake
from boxgate_engine.report import render_report, write_report
from boxgate_engine.report.chart_library import chart_library, share_library

SECTIONS = (
    "assumptions", "summary", "equity", "drawdown", "price", "trades", "monthly", "distribution", "excursions",
    "quality", "path",
)  # fmt: skip
DATA = re.compile(r'<script type="application/json" id="boxgate-data">(.*?)</script>', re.DOTALL)
RUNS: dict[str, dict[str, Any]] = {
    "trades": {"bars": 20_000},
    "several, open": {"bars": 2_000, "symbols": ("EURUSD", "XAUUSD"), "frame_minutes": 60, "keep_open": True},
    "no trade": {"bars": 100},
    "one bar": {"bars": 1},
    "prod": {"bars": 5_000, "mode": "prod", "params": {}},
}  # fmt: skip


def data_of(page: str) -> dict[str, Any]:
    found = DATA.findall(page)
    assert len(found) == 1
    data: dict[str, Any] = json.loads(found[0])
    return data


@pytest.mark.parametrize("kind", RUNS)
def test_every_section_is_there_and_says_something(run_folder: Callable[..., Any], kind: str) -> None:
    case = run_folder(**RUNS[kind])
    page = render_report(case.folder, **case.arguments)
    for name in SECTIONS:
        (section,) = re.findall(rf'<section id="{name}".*?</section>', page, re.DOTALL)
        text = re.sub(r"<[^>]+>", " ", section)
        assert len(text.split()) > 5 or "chart-" in section, name
    data = data_of(page)
    assert (data["run_id"], data["result_digest"]) == (case.arguments["run_id"], case.arguments["result_digest"])
    assert data["metrics"] == case.metrics
    assert "NaN" not in DATA.findall(page)[0]


def test_equal_input_gives_equal_bytes(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=20_000)
    first = write_report(case.folder, **case.arguments).read_bytes()
    assert write_report(case.folder, **case.arguments).read_bytes() == first
    assert b"\r" not in first


def test_a_year_of_minutes_stays_below_six_megabytes(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=370_000)
    assert case.metrics["trades"]["count"] > 500
    assert write_report(case.folder, **case.arguments).stat().st_size < 4_000_000


def test_a_year_of_minutes_with_more_trades_than_fit_stays_below_six_megabytes(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=370_000, fast=10, slow=30)
    assert case.metrics["trades"]["count"] > 10_000
    assert write_report(case.folder, **case.arguments).stat().st_size < 6_000_000


def test_a09_names_are_text_and_never_markup(run_folder: Callable[..., Any]) -> None:
    evil = '"><img src=x onerror=alert(1)></script><script>alert(1)</script>'
    case = run_folder(bars=5_000, symbols=(evil,), strategy=("python", evil + ".py"), params={evil: evil})
    case.quality = {evil: {evil: evil}}
    page = render_report(case.folder, **case.arguments)
    assert "<img" not in page
    assert "<script>alert" not in page
    assert data_of(page)["trades"]["instruments"] == [evil]


def test_only_the_two_scripts_of_the_page_are_allowed_to_run(run_folder: Callable[..., Any]) -> None:
    page = render_report(run_folder(bars=100).folder, **run_folder(bars=100).arguments)
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert rules["default-src"] == ["'none'"]
    (packed,) = re.findall(r'id="boxgate-charts">([^<]*)</script>', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    sources = [script.encode(), gzip.decompress(base64.b64decode(packed))]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(source).digest()).decode()}'" for source in sources]
    assert rules["script-src"] == hashes
    assert sources[1] == chart_library().source


def test_shared_assets_are_written_once_beside_the_runs(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=100)
    path = write_report(case.folder, **case.arguments, assets="shared")
    (address,) = re.findall(r'<script src="([^"]*)"', path.read_text())
    assert re.fullmatch(r"\.\./_assets/plotly-[0-9.]+\.min\.js", address)
    shared = (path.parent / address).resolve()
    assert shared.read_bytes() == chart_library().source
    before = shared.stat()
    write_report(case.folder, **case.arguments, assets="shared")
    assert (shared.stat().st_ino, shared.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert path.stat().st_size < 200_000
    assert sorted(entry.name for entry in shared.parent.iterdir()) == [shared.name]


def test_a_cut_off_shared_script_is_written_again(tmp_path: Path) -> None:
    path = share_library(tmp_path)
    path.write_bytes(b"cut")
    assert share_library(tmp_path).read_bytes() == chart_library().source


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", None),
        ("metrics.json", b"{}"),
        ("config.json", b"[]"),
        ("config.json", b"\xff"),
        ("trades.csv", b"a,b\n1,2\n"),
        ("equity_curve.parquet", b"PAR1"),
        ("fills.parquet", b""),
    ],
)
def test_a_folder_that_is_no_complete_run_is_refused_by_its_file(
    run_folder: Callable[..., Any], name: str, content: bytes | None
) -> None:
    case = run_folder(bars=100)
    path = case.folder / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(UserMistake) as refused:
        render_report(case.folder, **case.arguments)
    assert refused.value.error_code == "RUN_UNREADABLE"
    assert refused.value.where.endswith(name)


def test_the_window_of_the_page_is_the_window_of_the_run(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=1440)
    assert "2024-01-01 – 2024-01-02 UTC" in render_report(case.folder, **case.arguments)


def test_figures_from_few_days_are_said_to_mean_little(run_folder: Callable[..., Any]) -> None:
    short = run_folder(bars=5_000)
    page = render_report(short.folder, **short.arguments)
    assert "* Annualised from 3 daily returns, means little." in page
    for name in ("CAGR", "Sharpe", "Volatility a year", "Sortino", "MAR"):
        assert f"<dt>{name} *</dt>" in page
    long = run_folder(bars=50_000)
    page = render_report(long.folder, **long.arguments)
    assert "means little" not in page
    assert "<dt>Sharpe</dt>" in page


def test_a_command_is_broken_after_a_slash(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=100)
    assert "python examples/<wbr>sma_cross/<wbr>strategy.py" in render_report(case.folder, **case.arguments)


def test_one_of_something_is_not_called_several(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=2_000, keep_open=True)
    assert len(case.metrics["open_positions"]) == 1
    page = render_report(case.folder, **case.arguments)
    assert "<li>1 open position</li>" in page
    assert not re.search(
        r"\b1 (bars|events|ticks|trades|open positions|signals)\b", re.sub(r"<script.*", "", page, flags=re.DOTALL)
    )


def test_a_band_stands_in_the_section_of_the_path(run_folder: Callable[..., Any]) -> None:
    case = run_folder(bars=100)
    without = render_report(case.folder, **case.arguments)
    assert 'aria-label="Bands"' not in without
    variants = [
        {"path": "pessimistic", "cost_factor": 1.0, "net_profit": 12.5, "max_drawdown": 0.02, "deciding_bars": 7},
        {"path": "optimistic", "cost_factor": 1.0, "net_profit": 40.0, "max_drawdown": 0.01, "deciding_bars": 7},
        {"path": "pessimistic", "cost_factor": 2.0, "net_profit": -3.25, "max_drawdown": 0.03, "deciding_bars": 6},
    ]
    (case.folder / "bands.json").write_text(json.dumps({"variants": variants, "all": {"net_profit": [-3.25, 40.0]}}))
    page = render_report(case.folder, **case.arguments)
    section = page[page.index('<section id="path"') :]
    shown = section[section.index('aria-label="Bands"') : section.index("</section>")].replace("\u00a0", " ")
    cells = re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", shown)
    assert cells[5:] == [
        *("pessimistic (this run)", "× 1", "+12.50 USD", "2.00 %", "7"),
        *("optimistic", "× 1", "+40.00 USD", "1.00 %", "7"),
        *("pessimistic", "× 2", "\u22123.25 USD", "3.00 %", "6"),
    ]
    (case.folder / "bands.json").write_text("{}")
    with pytest.raises(UserMistake, match=r"bands\.json"):
        render_report(case.folder, **case.arguments)
