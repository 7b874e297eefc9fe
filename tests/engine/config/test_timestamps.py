"""Instants as text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.timestamps import format_utc, parse_utc_ns


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_every_instant_is_read_back_from_its_text(instant_ns: int) -> None:
    assert parse_utc_ns(format_utc(instant_ns)) == instant_ns


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2024-01-01T12:30", datetime(2024, 1, 1, 12, 30, tzinfo=UTC)),
        ("2024-01-01 12:30:05Z", datetime(2024, 1, 1, 12, 30, 5, tzinfo=UTC)),
        ("2024-01-01T00:30:00+02:00", datetime(2023, 12, 31, 22, 30, tzinfo=UTC)),
        ("1960-06-01T00:00:00.25-05:30", datetime(1960, 6, 1, 5, 30, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_a_date_without_a_zone_is_utc(text: str, moment: datetime) -> None:
    assert parse_utc_ns(text) == round(moment.timestamp() * 1000) * 1_000_000


@pytest.mark.parametrize(
    "text",
    ["", "2024", "2024-02-30", "2023-02-29", "24-01-01", "2024-01-01T25:00", "2024-01-01T12", "2024-W01-1",
     "1500-01-01", "2300-01-01", "2024-01-01T00:00:00.1234567890",
     "2024-01-01Z", " 2024-01-01", "2024-01-01\n", "٢٠٢٤-01-01"],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_utc_ns(text)
