"""The page of a matrix in a real browser without a network: sorted, filtered, mapped, with 20 and with 20,000 runs."""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from boxgate_engine.report.matrix import Stitched, matrix_page_data, render_matrix_page

SECTIONS = ("runs", "heatmap", "parallel", "pareto", "stability", "oos", "costs", "failures")
ROWS = "document.querySelectorAll('#runs-table tbody tr')"
DATA = "JSON.parse(document.getElementById('boxgate-data').textContent)"


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


class Pages:
    """Pages of indexes that are written once. of: name → (path of the page, the index, the data of the page)."""

    def __init__(self, indexes: ModuleType, folder: Path) -> None:
        evil = "<img src=x onerror=planted=1>"
        self._cases: dict[str, dict[str, Any]] = {
            "twenty": indexes.TWENTY,
            "thousands": {**indexes.THOUSANDS, "stitched": (_stitched(),)},
            "costs": {"cost_sets": ("fees 0.2", "fees 0.4", "fees 1"), "instruments": ("EURUSD", "XAUUSD")},
            "one": {"params": {"fast": [1]}},
            "none": {"pending": 1.0},
            "evil": {
                "params": {evil: [evil, "b"], "fast": [1, 2]},
                "instruments": (evil, "b"),
                "cost_sets": (evil, "c"),
                "windows": 2,
                "name": evil,
            },
        }
        self._indexes, self._folder = indexes, folder
        self.of: dict[str, tuple[Path, Any, Any]] = {}

    def __call__(self, name: str) -> tuple[Path, Any, Any]:
        if name not in self.of:
            index = self._indexes.write_index(self._folder / name / "index", **self._cases[name])
            data = matrix_page_data(index.folder, index.facts)
            page = self._folder / name / "report.html"
            page.write_text(render_matrix_page(data), encoding="utf-8")
            self.of[name] = page, index, json.loads(json.dumps(data))
        return self.of[name]


@pytest.fixture(scope="module")
def pages(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Pages:
    return Pages(
        load(repository / "tests" / "engine" / "report" / "matrix_indexes.py"), tmp_path_factory.mktemp("pages")
    )


def _stitched() -> Stitched:
    hours = np.arange(300, dtype=np.int64)
    equity = (1e5 + 10.0 * hours).astype(np.float64)
    return Stitched(
        label="EURUSD", folds=2, cash=1e5, time_ns=hours * 3_600_000_000_000, equity=equity,
        total=0.0299, sharpe=1.0, max_drawdown=0.0,
    )  # fmt: skip


def choose(browser: Any, place: str, value: str) -> None:
    """Choose an option by the id of a select, or by the name of a field of the filter."""
    field = f"document.getElementById('{place}')"
    if not browser.evaluate(f"!!{field}"):
        field = f"document.getElementById('runs-filter').elements[{json.dumps(place)}]"
    browser.evaluate(
        f"(() => {{ const field = {field}; field.value = {json.dumps(value)};"
        " for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, {bubbles: true})); })()"
    )
    browser.evaluate("new Promise(done => setTimeout(done, 250))")  # the filter waits for the last key


def shown(browser: Any) -> tuple[int, int]:
    """Return how many runs the filter leaves, and how many there are."""
    words = browser.evaluate("document.getElementById('runs-note').innerText").replace(",", "").split()
    return int(words[0]), int(words[2])


def cells(browser: Any, column: str) -> list[str]:
    """Return the texts of one column of the rows in view. column: how its title begins."""
    at = (
        "[...document.querySelectorAll('#runs-table thead th')]"
        f".findIndex(cell => cell.innerText.startsWith({json.dumps(column)}))"
    )
    found: list[str] = browser.evaluate(f"[...{ROWS}].map(row => row.cells[{at}].innerText)")
    return found


def click_head(browser: Any, column: str) -> None:
    browser.evaluate(
        "[...document.querySelectorAll('#runs-table thead button')]"
        f".find(button => button.innerText.startsWith({json.dumps(column)})).click()"
    )


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", "").replace("+", "").removesuffix("\u00a0%").removesuffix(" %"))


@pytest.mark.parametrize("name", ["twenty", "thousands", "costs", "one", "none", "evil"])
def test_the_page_asks_for_nothing_and_every_section_is_filled(browser: Any, pages: Pages, name: str) -> None:
    file, _, data = pages(name)
    browser.show(1200, 900)
    browser.open(file)
    assert browser.complaints() == []
    assert [one for one in browser.requests() if not one.startswith(("data:", "blob:"))] == [file.resolve().as_uri()]
    texts = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('section')].map(part => [part.id, part.innerText]))"
    )
    assert tuple(texts) == SECTIONS
    assert all(len(text) > 20 for text in texts.values()), texts
    drawn = browser.evaluate(
        "[...document.querySelectorAll('.chart')].filter(one => !one.querySelector('svg.main-svg')).map(one => one.id)"
    )
    assert drawn == []
    has_lines = browser.evaluate("!!document.getElementById('parallel-lines')?.dataset.kept")
    assert has_lines == ("none" not in data["charts"]["parallel"])
    assert browser.evaluate("window.planted ?? document.images.length") == 0


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_narrow_and_wide_in_light_and_dark(browser: Any, pages: Pages, width: int, scheme: str) -> None:
    browser.show(width, 900, scheme=scheme)
    browser.open(pages("costs")[0])
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert browser.evaluate(
        "[...document.querySelectorAll('.chart')].every(chart => chart.scrollWidth <= chart.clientWidth)"
    )
    browser.evaluate("document.getElementById('theme').click()")
    assert browser.complaints() == []


def test_of_twenty_thousand_runs_one_page_is_in_the_document_and_the_file_is_small(browser: Any, pages: Pages) -> None:
    file, index, _ = pages("thousands")
    assert len(index.rows) == 20_000
    assert file.stat().st_size < 9_000_000
    browser.show(1200, 900)
    browser.open(file)
    assert shown(browser) == (20_000, 20_000)
    assert browser.evaluate(f"{ROWS}.length") == 20
    assert browser.evaluate("document.getElementsByTagName('*').length") < 12_000


def test_runs_are_sorted_and_turned_over(browser: Any, pages: Pages) -> None:
    file, index, _ = pages("thousands")
    browser.show(1200, 900)
    browser.open(file)
    best = sorted((run["m_ratio_sharpe"] for run in index.rows if run["m_ratio_sharpe"] is not None), reverse=True)
    assert [number(text) for text in cells(browser, "ratio: sharpe")] == [round(value, 2) for value in best[:20]]
    click_head(browser, "ratio: sharpe")
    assert number(cells(browser, "ratio: sharpe")[0]) == round(best[-1], 2)
    click_head(browser, "fast")
    assert set(cells(browser, "fast")) == {"10"}
    click_head(browser, "fast")
    assert set(cells(browser, "fast")) == {"100"}
    browser.evaluate("document.querySelector('#runs [data-page=last]').click()")
    assert browser.evaluate("document.getElementById('runs-page').innerText") == "Page 1,000 of 1,000"
    assert set(cells(browser, "fast")) == {"10"}
    choose(browser, "runs-rows", "200")
    assert browser.evaluate(f"{ROWS}.length") == 200


def test_runs_are_filtered_and_the_charts_follow(browser: Any, pages: Pages) -> None:
    file, index, data = pages("thousands")
    browser.show(1200, 900)
    browser.open(file)
    axis = {one["name"]: one for one in data["axes"]}
    choose(browser, "instrument", str(axis["instrument"]["values"].index("XAUUSD")))
    choose(browser, "p_fast", str(axis["p_fast"]["values"].index(30)))
    left = [run for run in index.rows if run["instrument"] == "XAUUSD" and run["p_fast"] == 30]
    assert shown(browser)[0] == len(left)
    choose(browser, "metric", "return.total")
    choose(browser, "low", "1")  # percent, as the column shows it
    left = [run for run in left if (run["m_return_total"] or 0) >= 0.01]
    assert shown(browser)[0] == len(left) > 0
    tests = sum(run["segment"] == "test" for run in left)
    assert browser.evaluate("document.getElementById('heatmap-note').innerText").startswith(f"{tests} run")
    assert browser.evaluate("+document.getElementById('parallel-lines').dataset.kept") == tests
    choose(browser, "find", left[0]["run_id"])
    assert shown(browser)[0] == 1
    browser.evaluate("document.querySelector('#runs-filter [type=reset]').click()")
    browser.evaluate("new Promise(done => setTimeout(done, 250))")
    assert shown(browser)[0] == 20_000
    assert browser.complaints() == []


def test_the_map_takes_any_two_things_and_holds_the_others(browser: Any, pages: Pages) -> None:
    file, index, data = pages("thousands")
    browser.show(1200, 900)
    browser.open(file)
    drawn = "document.getElementById('chart-heatmap').data[0]"
    for line, expected in zip(browser.evaluate(f"{drawn}.z"), data["charts"]["heatmap"]["cells"], strict=True):
        assert line == pytest.approx(expected)
    choose(browser, "heatmap-x", "p_width")
    choose(browser, "heatmap-y", "instrument")
    choose(browser, "heatmap-metric", "risk.max_drawdown")
    choose(browser, "heatmap-aggregate", "max")
    choose(browser, "heatmap-segment", "train")
    browser.evaluate(
        "(() => { const slice = document.querySelector('#heatmap-slices [name=p_slow]'); slice.value = '3';"
        " slice.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )
    found = browser.evaluate(f"{drawn}.z")
    for y, instrument in enumerate(["EURUSD", "XAUUSD"]):
        for x, width in enumerate([1.0, 1.5, 2.0, 2.5, 3.0]):
            group = [
                run["m_risk_max_drawdown"]
                for run in index.rows
                if (run["instrument"], run["p_width"], run["p_slow"], run["segment"], run["status"])
                == (instrument, width, 200, "train", "complete")
            ]
            assert found[y][x] == pytest.approx(max(group))
    choose(browser, "heatmap-y", "p_width")  # what is across already goes elsewhere
    assert browser.evaluate("document.getElementById('heatmap-x').value") != "p_width"
    assert browser.complaints() == []


def test_what_the_page_computes_is_what_its_pictures_show(browser: Any, pages: Pages) -> None:
    file, _, data = pages("thousands")
    browser.show(1200, 900)
    browser.open(file)
    charts = data["charts"]
    front = browser.evaluate("document.getElementById('chart-pareto').data[1].customdata")
    assert front == charts["pareto"]["front"]
    for name, spreads in (("stability", charts["stability"]["periods"]), ("costs", charts["costs"]["sets"])):
        medians = browser.evaluate(f"[...document.getElementById('chart-{name}').data[0].median]")
        assert medians == pytest.approx([one["quantiles"][2] for one in spreads])
    rows = (
        "[...document.querySelectorAll('#oos-table tbody tr')].map(row => [...row.cells].map(cell => cell.innerText))"
    )
    listed = {row[0]: row[1:] for row in browser.evaluate(rows)}
    for title, name in (("All, train", "train"), ("All, test", "test"), ("Chosen, test", "chosen_test")):
        group = charts["oos"]["groups"][name]
        assert number(listed[title][0]) == group["count"]
        assert [number(text) for text in listed[title][1:6]] == pytest.approx(group["quantiles"], abs=0.006)


def test_other_metrics_can_be_chosen_in_every_chart(browser: Any, pages: Pages) -> None:
    browser.show(1200, 900)
    browser.open(pages("thousands")[0])
    for place in ("parallel", "pareto", "stability", "oos", "costs", "heatmap"):
        choose(browser, "pareto-x" if place == "pareto" else f"{place}-metric", "return.cagr")
    assert browser.complaints() == []
    file, index, _ = pages("costs")
    browser.open(file)
    choose(browser, "costs-metric", "trades.holding_mean_ns")
    for code, median in enumerate(browser.evaluate("[...document.getElementById('chart-costs').data[0].median]")):
        group = [run["m_trades_holding_mean_ns"] / 3.6e12 for run in index.rows if run["cost_set"] == code]
        assert median == pytest.approx(statistics.median(group))  # hours
    assert browser.complaints() == []


def test_a_stretch_of_an_axis_is_kept_and_let_go(browser: Any, pages: Pages) -> None:
    browser.show(1200, 900)
    browser.open(pages("costs")[0])
    kept = "+document.getElementById('parallel-lines').dataset.kept"
    whole = browser.evaluate(kept)
    browser.evaluate("document.getElementById('parallel-lines').scrollIntoView({behavior: 'instant', block: 'center'})")
    box = browser.evaluate("document.getElementById('parallel-lines').getBoundingClientRect().toJSON()")
    x = box["left"] + 52  # the first axis
    browser.drag((x, box["top"] + 46), (x, box["top"] + 200))
    browser.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert 0 < browser.evaluate(kept) < whole
    browser.double_click((x, box["top"] + 100))
    assert browser.evaluate(kept) == whole
    assert browser.complaints() == []


def test_a_reason_shows_its_runs(browser: Any, pages: Pages) -> None:
    file, index, _ = pages("thousands")
    browser.show(1200, 900)
    browser.open(file)
    browser.evaluate("document.querySelector('[data-reason=LIMIT_RUNTIME]').click()")
    browser.evaluate("new Promise(done => setTimeout(done, 300))")
    assert shown(browser)[0] == sum(run["error_code"] == "LIMIT_RUNTIME" for run in index.rows)
    assert set(cells(browser, "Status")) == {"failed"}


def test_columns_are_chosen_and_saved_as_they_are_shown(browser: Any, pages: Pages) -> None:
    file, index, _ = pages("twenty")
    browser.show(1200, 900)
    browser.open(file)
    titles = "[...document.querySelectorAll('#runs-table thead th')].map(cell => cell.innerText)"
    before = browser.evaluate(titles)
    browser.evaluate("document.querySelector('#runs-columns [value=\"risk.skew\"]').click()")
    assert len(browser.evaluate(titles)) == len(before) + 1
    saved = browser.evaluate(
        "new Promise(done => { const make = URL.createObjectURL; URL.createObjectURL = (blob) =>"
        " { blob.text().then(done); return make(blob); }; document.getElementById('runs-save').click(); })"
    )
    head, *lines = saved.strip().split("\n")
    assert len(lines) == len(index.rows) == 20
    assert {"run_id", "p_fast", "ratio.sharpe", "risk.skew"} <= set(head.split(","))
    assert {line.split(",")[0] for line in lines} == {run["run_id"] for run in index.rows}
    assert browser.complaints() == []
