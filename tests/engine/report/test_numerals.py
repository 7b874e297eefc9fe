"""Numbers as people read them."""

from __future__ import annotations

import pytest

from boxgate_engine.report.numerals import counted, duration, instant, money, number, percent, plain

MINUTE_NS = 60_000_000_000


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (number(-1234.567), "−1,234.57"),
        (number(0.001, signed=True), "0.00"),
        (number(None), "–"),
        (number(float("nan")), "–"),
        (money(1234.5, "USD", signed=True), "+1,234.50\u00a0USD"),
        (money(1234.5, "JPY"), "1,234\u00a0JPY"),
        (money(None, "USD"), "–"),
        (percent(-0.12345), "−12.35\u00a0%"),
        (percent(None), "–"),
        (counted(0, "bar"), "0 bars"),
        (counted(1, "open position"), "1 open position"),
        (counted(1234, "tick"), "1,234 ticks"),
        (plain(1.5), "1.5"),
        (plain(100_000), "100,000"),
        (plain(0.00001), "0.00001"),
        (plain(0), "0"),
        (plain(1e-12), "1e-12"),
        (duration(134 * MINUTE_NS), "2\u00a0h 14\u00a0min"),
        (duration(1440 * MINUTE_NS + 5), "1\u00a0d"),
        (duration(250_000_000), "250\u00a0ms"),
        (duration(None), "–"),
        (instant(1_704_067_200_000_000_000), "2024-01-01"),
        (instant(1_704_069_000_000_000_000), "2024-01-01 00:30:00"),
    ],
)
def test_a_number_reads_as_expected(found: str, text: str) -> None:
    assert found == text
