"""Metrics are shown with their unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxgate_engine.report.metric_values import metric_title, shown_metric


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("return.net_profit", 1234.5, "+1,234.50 EUR"),
        ("return.best_day", 0.0123, "+1.23 %"),
        ("risk.max_drawdown", 0.25, "25.00 %"),
        ("risk.cvar_95", -0.01, "\u22121.00 %"),
        ("risk.max_drawdown_length_ns", 3_600_000_000_000, "1 h"),
        ("risk.drawdowns", 514, "514"),
        ("trades.wins_in_a_row", 13, "13"),
        ("trades.winner_mean", 28.9, "28.90 EUR"),
        ("ratio.sharpe", 1.5, "1.50"),
        ("ratio.probabilistic_sharpe", 0.975, "97.50 %"),
        ("exposure.gross_max", 0.2, "20.00 %"),
        ("costs.fees", 7, "7.00 EUR"),
        ("counts.bars", 20160, "20,160"),
        ("ratio.mar", None, "–"),
    ],
)
def test_a_metric_has_its_unit(path: str, value: float | None, shown: str) -> None:
    assert shown_metric(path, value, "EUR").replace("\u00a0", " ") == shown


def test_every_fraction_and_amount_of_the_specification_is_shown_as_such(repository: Path) -> None:
    """The table of docs/spec/metrics.md says the unit; the page follows it."""
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in (repository / "docs" / "spec" / "metrics.md").read_text().splitlines()
        if row.startswith(("| `return.", "| `risk.", "| `ratio.", "| `trades.", "| `exposure."))
    ]
    checked = 0
    for names, _, unit, *_ in rows:
        for path in (name.strip(" `") for name in names.split(",")):
            shown = shown_metric(path, 2, "EUR")
            if unit.startswith(("fraction", "probability")) and not path.endswith("_ns") and path != "risk.drawdowns":
                assert shown.endswith("%"), path
            elif unit.startswith("money"):
                assert shown.endswith("EUR"), path
            else:
                assert not shown.endswith(("%", "EUR")), path
            checked += 1
    assert checked > 40


def test_a_title_tells_what_the_unit_does_not() -> None:
    assert metric_title("risk.volatility") == "risk: volatility, a year"
    assert metric_title("risk.max_drawdown_length_ns") == "risk: max drawdown length"
