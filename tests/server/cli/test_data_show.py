"""`boxgate data show`: the picture in a terminal, in a pipe, as JSON and as a page."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from boxgate_server.cli.data.picture import show_picture

Boxgate = Callable[..., Any]


def drawn(picture: dict[str, Any], width: int, *, encoding: str = "utf-8", terminal: bool = True) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None, legacy_windows=False)
    show_picture(picture, console)
    return raw.getvalue().decode(encoding)


@pytest.fixture
def picture(boxgate: Boxgate) -> dict[str, Any]:
    found: dict[str, Any] = boxgate("data", "show", "small", "--symbol", "EURUSD", "--json").json["pictures"][0]
    return found


def test_the_picture_tells_coverage_quality_gaps_and_hours(boxgate: Boxgate) -> None:
    shown = boxgate("data", "show", "small", "--symbol", "EURUSD")
    assert shown.code == 0
    for part in ("EURUSD M1  ", "calendar fx", "coverage, one sign a day", "2024-01", "quality", "gaps  ", "by hour"):
        assert part in shown.out
    assert "BTCUSDT M1  " not in shown.out, "only what was asked for is drawn"
    assert "\x1b" not in shown.out, "no colours in a pipe"
    both = boxgate("data", "show", "small").out
    assert "BTCUSDT M1  " in both
    assert "calendar always" in both


@pytest.mark.parametrize("width", [60, 80, 140])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_is_wider_than_the_terminal(picture: dict[str, Any], width: int, encoding: str) -> None:
    text = drawn(picture, width, encoding=encoding)
    lines = text.splitlines() if width >= 80 else [one for one in text.splitlines() if one[:2].isdigit()]
    assert max(map(len, lines)) <= width
    assert ("█" in text) == (encoding == "utf-8")


def test_a_day_without_rows_is_a_cross_and_a_closed_one_a_dot(picture: dict[str, Any]) -> None:
    day = 86_400_000_000_000
    start = 1_704_067_200_000_000_000  # 2024-01-01
    cover = {"unit_ns": day, "start_ns": start, "rows": [100, 50, 0, 0, 98], "expected": [100, 100, 100, 0, 100]}
    cover["open_ns"] = [day, day, day, 0, day]
    text = drawn({**picture, "coverage": cover}, 80)
    (line,) = [one for one in text.splitlines() if one.startswith("2024-01 ")]
    assert line.split()[1] == "█▅×·▇"
    assert line.split()[-1] == "62.0%"


def test_a_long_series_has_a_line_a_year_and_a_sign_a_week(picture: dict[str, Any]) -> None:
    day = 86_400_000_000_000
    rows = [10] * 800
    cover = {"unit_ns": day, "start_ns": 1_640_995_200_000_000_000, "rows": rows, "expected": rows}
    cover["open_ns"] = [day] * 800
    lines = drawn({**picture, "coverage": cover}, 80).splitlines()
    years = [one for one in lines if one[:8] in ("2022    ", "2023    ", "2024    ")]
    assert [one.split()[1] for one in years] == ["█" * 53, "█" * 53, "█" * 10]


def test_json_has_the_numbers_of_the_picture(picture: dict[str, Any]) -> None:
    assert picture["coverage"]["expected"] == [1440, 1440]
    assert len(picture["spread"]["median"]) == len(picture["volume"]["rows"]) == 24
    assert sum(picture["volume"]["rows"]) == picture["rows"]


def test_another_calendar_measures_other_gaps(boxgate: Boxgate) -> None:
    usual = boxgate("data", "show", "small", "--symbol", "EURUSD", "--json").json["pictures"][0]
    other = boxgate("data", "show", "small", "--symbol", "EURUSD", "--calendar", "XNYS", "--json").json["pictures"][0]
    assert (usual["calendar"], other["calendar"]) == ("fx", "XNYS")
    assert usual["quality"]["counts"].get("outside_market_hours", 0) == 0
    assert other["quality"]["counts"]["outside_market_hours"] > 1000
    assert other["coverage"]["expected"] == [390, 390]


def test_a_frame_that_is_not_stored_is_made_and_drawn(boxgate: Boxgate) -> None:
    made = boxgate("data", "show", "small", "--symbol", "BTCUSDT", "--frame", "H1", "--json").json["pictures"][0]
    assert (made["frame"], made["rows"], made["calendar"]) == ("H1", 48, "always")
    assert made["quality"]["gaps"]["count"] == 0


def test_the_page_is_written_and_named(boxgate: Boxgate, workspace: Path) -> None:
    shown = boxgate("data", "show", "small", "--html", "page.html", "--json")
    assert shown.json["html"] == str(workspace / "page.html")
    page = (workspace / "page.html").read_text(encoding="utf-8")
    assert json.dumps(shown.json["hash"])[1:-1] in page
    assert 'id="series-1"' in page


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--symbol", "EURUS"), "SERIES_UNKNOWN"),
        (("--frame", "M2"), "FRAME_UNKNOWN"),
        (("--frame", "tick"), "FRAME_UNAVAILABLE"),
        (("--calendar", "NYSE"), "CALENDAR"),
        (("--calendar", "lean:none.json#Forex-oanda-EURUSD"), "CALENDAR"),
        (("--html", "no/such/folder/page.html"), "STORE_IO"),
    ],
)
def test_mistakes_are_named(boxgate: Boxgate, arguments: tuple[str, ...], code: str) -> None:
    assert boxgate("data", "show", "small", *arguments, "--json").error["code"] == code
