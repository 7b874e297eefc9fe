"""The page of a dataset: offline, whole, and safe against what a dataset may be called."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.datasets import SynthRequest, make_synthetic, open_dataset
from boxgate_engine.datasets.picture import draw_series
from boxgate_engine.report.coverage import render_coverage
from boxgate_engine.timestamps import parse_utc_ns


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("data")
    start, end = parse_utc_ns("2024-01-02"), parse_utc_ns("2024-01-10")
    request = SynthRequest(seed=3, symbols=("BTCUSDT", "EURUSD"), frame="M1", start_ns=start, end_ns=end, name="small")
    make_synthetic(folder / "datasets", request)
    opened = open_dataset(folder / "datasets", "small", cache_dir=folder / "cache")
    return [draw_series(opened, symbol, "M1") for symbol in opened.instruments]


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="boxgate-data">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_holds_every_number_and_asks_for_nothing(pictures: list[dict[str, Any]]) -> None:
    page = render_coverage(name="small", digest="a" * 64, pictures=pictures)
    data = data_of(page)
    assert (data["schema"], data["hash"], len(data["series"])) == ("boxgate.coverage/1", "a" * 64, 2)
    for shown, picture in zip(data["series"], pictures, strict=True):
        for part in ("coverage", "spread", "volume", "price", "closures"):
            assert shown[part] == picture[part]
        assert shown["gaps"]["longest"] == picture["gaps"]["longest"][:20]
    outside = re.sub(r'<script type="application/octet-stream".*?</script>', "", page, flags=re.DOTALL)
    assert "http" not in outside.replace("http-equiv", "")
    assert "default-src 'none'" in outside
    assert page == render_coverage(name="small", digest="a" * 64, pictures=pictures)
    for number in (pictures[1]["rows"], pictures[1]["gaps"]["missing_bars"]):
        assert f"{number:,}" in outside


def test_a09_names_and_reports_are_text_and_never_markup(pictures: list[dict[str, Any]]) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    picture = json.loads(json.dumps(pictures[1]))
    picture |= {"symbol": evil, "calendar": evil, "tick_size": evil, "price_basis": evil}
    picture["provenance"]["source"] = picture["provenance"]["licence"] = evil
    picture["provenance"]["inputs"] = [{"name": evil, "sha256": evil, "bytes": 1}]
    picture["quality"]["counts"][evil] = 1
    picture["quality"]["reading"] = {evil: evil}
    page = render_coverage(name=evil, digest=evil, pictures=[picture])
    assert "<img" not in page.lower()
    assert page.count("<script") == 3
    assert data_of(page)["series"][0]["symbol"] == evil


def test_series_without_spread_volume_or_gaps_have_a_page(pictures: list[dict[str, Any]]) -> None:
    picture = json.loads(json.dumps(pictures[0]))
    picture |= {"spread": None, "has_ask": False, "gaps": {"count": 0, "missing_bars": 0, "longest": []}}
    picture["closures"] = {"count": 0, "longest": []}
    page = render_coverage(name="x", digest="b" * 64, pictures=[picture])
    assert "None while the market was open." in page
    assert "chart-spread-0" not in page


@pytest.mark.parametrize(("width", "height"), [(1200, 1500), (500, 2500)])
def test_a_browser_draws_every_chart_and_the_page_is_no_wider_than_the_window(
    pictures: list[dict[str, Any]], tmp_path: Path, require_program: Callable[[str], Path], width: int, height: int
) -> None:
    path = tmp_path / "page.html"
    path.write_text(render_coverage(name="small", digest="c" * 64, pictures=pictures), encoding="utf-8")
    command = [str(require_program("chromium")), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--virtual-time-budget=20000", f"--window-size={width},{height}", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert 'data-ready="true"' in dom
    assert ">No chart:" not in dom
    charts = re.findall(r'class="chart[^"]*" id="chart-(\w+-\d)"', dom)
    drawn = re.findall(r'class="chart[^"]*js-plotly-plot[^"]*" id="chart-(\w+-\d)"', dom)
    assert charts == drawn
    assert len(charts) == 7, "four of EURUSD, three of BTCUSDT that has no spread"
    sizes = [float(size) for size in re.findall(r'class="main-svg"[^>]*?width="([\d.]+)"', dom)]
    assert sizes
    assert np.max(sizes) <= width
