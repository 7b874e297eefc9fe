"""The section on data quality shows whatever an import counted."""

from __future__ import annotations

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
