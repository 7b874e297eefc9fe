"""Numbers as people read them."""

from __future__ import annotations

import pytest

from boxgate_server.cli import numerals


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numerals.count(1_234_567), "1,234,567"),
        (numerals.money(-1234.5, "USD", signed=True), "-1,234.50 USD"),
        (numerals.money(-0.0, "USD", signed=True), "+0.00 USD"),
        (numerals.money(None, "USD"), "undefined"),
        (numerals.percent(0.12345, signed=True), "+12.35 %"),
        (numerals.percent(None), "undefined"),
        (numerals.ratio(1.005), "1.00"),
        (numerals.ratio(None), "undefined"),
        (numerals.duration(0.0123), "12 ms"),
        (numerals.duration(99.94), "99.9 s"),
        (numerals.duration(245), "4 min 05 s"),
        (numerals.duration(7380), "2 h 03 min"),
        (numerals.rate(1_234_567.8), "1,235,000/s"),
        (numerals.rate(0.4), "0/s"),
        (numerals.rate(None), "undefined"),
    ],
)
def test_a_number_is_shown_with_its_unit(shown: str, expected: str) -> None:
    assert shown == expected
