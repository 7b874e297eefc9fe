"""The section on data quality shows whatever an import counted."""

from __future__ import annotations

import re

from boxgate_engine.report.quality import ROWS_MAX, quality_section, shown_quality


def test_counts_texts_and_times_are_shown_and_bytes_are_not() -> None:
    page = quality_section(
        {
            "EURUSD M1": {
                "price_basis": "BID",
                "digest": "ef" * 32,
                "first_ns": 1_704_067_200_000_000_000,
                "quality": {"duplicates": {"dropped": 1_234}, "longest_gap_ns": 3_600_000_000_000, "sorted": True},
            }
        }
    )
    for text in ("EURUSD M1", "BID", "Duplicates: dropped", "1,234", "2024-01-01", "1\u00a0h", "yes"):
        assert text in page
    assert "efef" not in page


def test_long_lists_are_cut_and_the_rest_is_counted() -> None:
    gaps = [{"from_ns": 1_704_067_200_000_000_000 + number, "bars": number} for number in range(ROWS_MAX + 30)]
    quality = {"EURUSD M1": {"gaps": gaps}}
    assert "and 30 more" in quality_section(quality)
    assert shown_quality(quality)["EURUSD M1"]["gaps"][-1] == {"more": 30}


def test_nothing_reported_is_a_sentence() -> None:
    assert "no quality report" in quality_section({})
    assert "no quality report" in quality_section({"EURUSD M1": {}})


def test_names_are_escaped() -> None:
    page = quality_section({"<b>": {"<i>": "<u>", "list": [{"<s>": "<q>"}], "words": ["<p>"]}})
    assert not any(tag in page for tag in ("<b>", "<i>", "<u>", "<s>", "<q>", "<p>"))


REPORT = {
    "counts": {"flat": 3, "zero_volume": 20},
    "gaps": {
        "closures": 1,
        "count": 1,
        "longest": [{"from_ns": 1_704_067_200_000_000_000, "missing_bars": 2, "to_ns": 1_704_067_320_000_000_000}],
        "missing_bars": 2,
    },
    "reading": {"ignored_columns": [], "stamps": ["%Y%m%d %H:%M"], "zone": "UTC"},
    "repairs": {},
    "rows_kept": 100,
    "rows_read": 100,
}
"""As a manifest holds it: keys sorted."""


def test_the_known_lines_of_an_import_have_names_for_people_in_one_order() -> None:
    page = quality_section({"EURUSD M1": REPORT})
    assert re.findall(r"<dt>([^<]*)", page) == [
        "Rows read", "Rows kept", "Repairs", "Bars without volume", "Flat bars", "Gaps in market hours",
        "Bars missing in gaps", "Pauses of a closed market", "Time zone", "Time format", "Columns left out",
    ]  # fmt: skip
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)', page) == ["From", "To", "Missing bars"]
    assert "Longest gaps" in page


def test_a_source_without_volumes_is_not_blamed_for_bars_without_volume() -> None:
    report = REPORT | {"counts": {"zero_volume": 100}}
    for quality in (report, {"rows": 100, "quality": {"counts": {"zero_volume": 100, "flat": 1}}}):
        assert "Bars without volume" not in quality_section({"EURUSD M1": quality})
    assert ">Oddities<" in quality_section({"EURUSD M1": report})
