"""The page of a run in a real browser without a network: no request, no complaint, every section filled."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from boxgate_engine.report import write_report
from boxgate_engine.report.chart_library import Assets

SECTIONS = (
    "assumptions", "summary", "equity", "drawdown", "exposure", "rolling", "price", "trades", "monthly", "distribution",
    "excursions", "costs", "instruments", "quality", "path",
)  # fmt: skip
CHARTS = (
    "equity", "drawdown", "exposure", "price", "distribution-trades", "distribution-daily", "mae", "mfe", "costs",
)  # fmt: skip
MORE_CHARTS = {"year": ("rolling",), "several": ("rolling", "instruments")}
"""What runs draw besides that are long enough, or have several instruments."""
SPANS = (
    "['equity', 'drawdown', 'price'].map(name => document.getElementById('chart-' + name))"
    ".map(chart => chart.layout.xaxis.range.map(value => +new Date(value)))"
)
"""Script: first and last instant that the charts over time show, in milliseconds."""
RUNS: dict[str, dict[str, Any]] = {
    "year": {"bars": 370_000},
    "several": {"bars": 2_000, "symbols": ("EURUSD", "XAUUSD"), "frame_minutes": 60, "keep_open": True},
    "no trade": {"bars": 100},
    "one bar": {"bars": 1},
    "evil names": {
        "bars": 3_000,
        "symbols": ("<img src=x onerror=planted=1>",),
        "params": {"</script><script>planted=1</script>": 1},
    },
    "prod": {"bars": 5_000, "mode": "prod", "params": {}},
    "weeks": {"bars": 20_000, "slow": 4_000},
}


def load(path: Path) -> ModuleType:
    """Return a module of the tests by its path; tests are no package."""
    spec = importlib.util.spec_from_file_location(f"end_to_end_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def browser(require_program: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = require_program("chromium")
    driver = load(Path(__file__).with_name("browser.py"))
    with driver.Browser(program, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def page(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes the page of a run of RUNS and returns its path."""
    fixtures = load(repository / "tests" / "engine" / "report" / "run_folders.py")
    folder = tmp_path_factory.mktemp("runs")
    written: dict[tuple[str, str], Path] = {}

    def write(name: str, assets: Assets = "inline") -> Path:
        if (name, assets) not in written:
            case = fixtures.write_run_folder(folder / f"{name} {assets}", **RUNS[name])
            written[name, assets] = write_report(case.folder, **case.arguments, assets=assets)
        return written[name, assets]

    return write


def charts_of(browser: Any) -> dict[str, int]:
    """Return the number of drawn marks (lines, bars, points, candles) of each chart on the page."""
    found: dict[str, int] = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.chart')].map(chart => [chart.id.slice(6),"
        " chart.querySelectorAll('svg.main-svg .trace path').length]))"
    )
    return found


def assert_quiet(browser: Any, *files: Path) -> None:
    assert browser.complaints() == []
    assert [name for name in browser.requests() if not name.startswith(("data:", "blob:"))] == [
        file.resolve().as_uri() for file in files
    ]
    assert browser.evaluate("performance.getEntriesByType('resource').length") == 0  # files of the disk are no entries


@pytest.mark.parametrize("name", RUNS)
def test_the_page_asks_for_nothing_and_every_section_is_filled(
    browser: Any, page: Callable[..., Path], name: str
) -> None:
    file = page(name)
    browser.show(1440, 900)
    browser.open(file)
    assert_quiet(browser, file)
    texts = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('section')].map(part => [part.id, part.innerText]))"
    )
    assert sorted(texts) == sorted(SECTIONS)
    drawn = charts_of(browser)
    for section, text in texts.items():
        charts = [count for chart, count in drawn.items() if chart.startswith(section)]
        assert len(text) > 60 or (charts and all(charts)), section
    assert all(drawn.values()), drawn
    if name not in {"no trade", "one bar"}:
        assert sorted(drawn) == sorted((*CHARTS, *MORE_CHARTS.get(name, ())))
    assert browser.evaluate("window.planted ?? document.images.length") == 0


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_narrow_and_wide_in_light_and_dark(
    browser: Any, page: Callable[..., Path], width: int, scheme: str
) -> None:
    browser.show(width, 900, scheme=scheme)
    browser.open(page("several"))
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.evaluate(
        "[...document.querySelectorAll('.chart')].every(chart => chart.scrollWidth <= chart.clientWidth)"
    )
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(14, 17, 22)") == (scheme == "dark")
    browser.evaluate("document.getElementById('theme').click()")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    assert browser.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Any, page: Callable[..., Path], scheme: str) -> None:
    browser.show(1440, 900, scheme=scheme)
    browser.open(page("several"))
    ratios = browser.evaluate(
        """(() => {
          const light = (name) => {
            const hex = getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
            const parts = [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16) / 255)
              .map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
          };
          const pairs = ['text', 'muted', 'accent', 'gain', 'loss', 'long', 'short']
            .flatMap(ink => ['card', 'ground'].map(ground => [ink + ' on ' + ground, light(ink), light(ground)]));
          return Object.fromEntries(pairs.map(([name, a, b]) =>
            [name, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]));
        })()"""
    )
    assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}


def test_trades_are_sorted_filtered_and_turned_over(browser: Any, page: Callable[..., Path]) -> None:
    browser.show(1440, 900)
    browser.open(page("year"))
    rows = "document.querySelectorAll('#trades-table tbody tr')"
    total = browser.evaluate("JSON.parse(document.getElementById('boxgate-data').textContent).trades.total")
    assert browser.evaluate(f"{rows}.length") == 20
    net = "[...document.querySelectorAll('#trades-table thead th')].findIndex(cell => cell.innerText.startsWith('Net'))"
    values = f"[...{rows}].map(row => parseFloat(row.cells[{net}].innerText.replace('−', '-').replace(/[,+]/g, '')))"
    browser.evaluate(f"document.querySelectorAll('#trades-table thead th')[{net}].firstChild.click()")
    falling = browser.evaluate(values)
    assert falling == sorted(falling, reverse=True)
    assert falling[0] > 0
    browser.evaluate(
        "(() => { const form = document.getElementById('trades-filter'); form.elements.result.value = 'loss';"
        " form.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    assert max(browser.evaluate(values)) < 0
    note = browser.evaluate("document.getElementById('trades-note').innerText")
    assert 0 < int(note.split()[0].replace(",", "")) < total
    first = browser.evaluate(f"{rows}[0].innerText")
    browser.evaluate("document.querySelector('[data-page=next]').click()")
    assert browser.evaluate(f"{rows}[0].innerText") != first
    assert browser.evaluate("document.getElementById('trades-page').innerText").startswith("Page 2 of ")


def test_a_trade_is_shown_in_the_price_chart_with_its_stop_and_target(browser: Any, page: Callable[..., Path]) -> None:
    browser.show(1440, 900)
    browser.open(page("year"))
    traces = "document.getElementById('chart-price').data.map(trace => trace.name)"
    assert "Stop" not in browser.evaluate(traces)
    browser.evaluate("document.querySelectorAll('#trades-table tbody tr')[3].click()")
    assert {"Stop", "Target", "Buy entry"} <= set(browser.evaluate(traces))
    spans = browser.evaluate(SPANS)
    assert spans[0] == spans[1] == spans[2]
    assert spans[0][1] - spans[0][0] < 10 * 86_400_000
    browser.evaluate("document.querySelector('.ranges [data-days=null]').click()")
    assert "Stop" not in browser.evaluate(traces)
    assert browser.complaints() == []


def test_a_zoom_by_hand_in_one_chart_is_followed_by_the_others(browser: Any, page: Callable[..., Path]) -> None:
    browser.show(1440, 900)
    browser.open(page("year"))
    browser.evaluate("document.getElementById('equity').scrollIntoView({behavior: 'instant'})")
    box = browser.evaluate("document.getElementById('chart-equity').getBoundingClientRect().toJSON()")
    middle = box["top"] + box["height"] / 2
    browser.drag((box["left"] + 400, middle), (box["left"] + 700, middle))
    spans = browser.evaluate(SPANS)
    assert spans[0] == spans[1] == spans[2]
    assert 20 < (spans[0][1] - spans[0][0]) / 86_400_000 < 200
    browser.double_click((box["left"] + 400, middle))
    assert browser.evaluate(SPANS)[2][1] - browser.evaluate(SPANS)[2][0] > 300 * 86_400_000
    assert browser.complaints() == []


def test_paper_gets_light_colours_and_charts_of_its_width(browser: Any, page: Callable[..., Path]) -> None:
    browser.show(1440, 900, scheme="dark")
    browser.open(page("several"))
    state = (
        "[document.documentElement.dataset.theme ?? null,"
        " Math.max(...[...document.querySelectorAll('.chart .main-svg')].map(part => part.clientWidth))]"
    )
    before = browser.evaluate(state)
    browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.evaluate(state) == ["light", 690]
    browser.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert browser.evaluate(state) == before
    assert browser.call("Page.printToPDF")["data"]
    assert browser.complaints() == []


def test_no_line_crosses_a_weekend(browser: Any, page: Callable[..., Path]) -> None:
    browser.show(1440, 900)
    browser.open(page("weeks"))
    for chart in ("equity", "price"):
        line = f"document.getElementById('chart-{chart}').data[0]"
        assert browser.evaluate(f"{line}.y.filter(value => value === null).length") == 2
        assert browser.evaluate(f"{line}.x.length === {line}.y.length")
    assert browser.complaints() == []


def test_a_day_without_a_result_is_neither_gain_nor_loss(browser: Any, page: Callable[..., Path]) -> None:
    browser.show(1440, 900)
    browser.open(page("weeks"))
    chart = "document.getElementById('chart-distribution-daily')"
    daily = "JSON.parse(document.getElementById('boxgate-data').textContent).distribution.daily"
    assert browser.evaluate(f"{chart}.data[0].y[0] === {daily}.zero && {daily}.zero > 0")
    assert browser.evaluate(f"!{chart}.data[1].marker.color.includes({chart}.data[0].marker.color)")
    total = f"[...{chart}.data[0].y, ...{chart}.data[1].y].reduce((sum, count) => sum + count, 0)"
    assert browser.evaluate(f"{total} === {daily}.count")
    assert browser.evaluate(f"{chart}.layout.yaxis.dtick") == 1


def test_the_price_of_another_instrument_can_be_chosen(browser: Any, page: Callable[..., Path]) -> None:
    browser.show(1440, 900)
    browser.open(page("several"))
    browser.evaluate(
        "(() => { const choice = document.getElementById('price-choice'); choice.value = '1';"
        " choice.dispatchEvent(new Event('change')); })()"
    )
    assert browser.evaluate("document.getElementById('chart-price').data[0].name") == "XAUUSD"


def test_a_shared_script_is_the_only_other_file_that_is_read(browser: Any, page: Callable[..., Path]) -> None:
    file = page("prod", "shared")
    browser.show(1440, 900)
    browser.open(file)
    (script,) = (file.parent.parent / "_assets").glob("plotly-*.min.js")
    assert_quiet(browser, file, script)
    assert all(charts_of(browser).values())


def test_a_missing_shared_script_is_a_sentence_in_place_of_each_chart(
    browser: Any, page: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    file.write_bytes(page("prod", "shared").read_bytes())
    browser.open(file)
    assert "boxgate report writes it again" in browser.evaluate("document.getElementById('equity').innerText")
    assert browser.evaluate("document.querySelectorAll('#trades-table tbody tr').length") > 0


@pytest.mark.parametrize("kind", ["picture", "script"])
def test_what_the_page_must_not_do_would_be_noticed(
    browser: Any, page: Callable[..., Path], tmp_path: Path, kind: str
) -> None:
    planted = {
        "picture": '<img src="https://example.com/pixel.png">',
        "script": "<script>window.planted = 1</script>",
    }[kind]
    file = tmp_path / "report.html"
    file.write_text(page("one bar").read_text(encoding="utf-8").replace("<footer>", planted + "<footer>"))
    browser.open(file)
    assert any("Content Security Policy" in text for text in browser.complaints())
    assert browser.evaluate("window.planted") is None


def test_a_request_of_a_page_without_a_policy_would_be_noticed(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "open.html"
    file.write_text(
        "<img src='https://example.com/pixel.png'><script>document.documentElement.dataset.ready = 1</script>"
    )
    browser.open(file)
    assert "https://example.com/pixel.png" in browser.requests()
    assert browser.complaints() != []
