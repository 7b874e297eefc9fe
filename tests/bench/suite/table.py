"""The table of results, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rows import Row

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
HEADINGS = ("what", "median", "from – to", "of", "target", "verdict")


def text(rows: Sequence[Row]) -> str:
    """Return the table with columns of equal width."""
    lines = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) if k == 0 else cell.rjust(width) for k, (cell, width) in enumerate(pairs)).rstrip()
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


def markdown(rows: Sequence[Row]) -> str:
    lines = [HEADINGS, ("---", *["--:"] * (len(HEADINGS) - 1)), *(_cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_between_markers(file: Path, content: str) -> None:
    """Replace what stands between the markers of a document."""
    document = file.read_text(encoding="utf-8")
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"bench: {file} has no markers {BEGIN} and {END}")
    file.write_text(f"{before}{begin}\n{content.strip()}\n{end}{after}", encoding="utf-8")


def number(value: float) -> str:
    """Return three significant digits, thousands separated."""
    if value == 0.0:
        return "0"
    if abs(value) >= 1000.0:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def _cells(row: Row) -> tuple[str, ...]:
    value = row.value
    unit = f" {row.unit}"
    sign = "≥" if row.at_least else "≤"
    return (
        row.title,
        number(value.median) + unit,
        f"{number(value.min)} – {number(value.max)}" if value.count > 1 else "",
        str(value.count),
        "" if row.target is None else f"{sign} {row.target:g}{unit}",
        row.verdict,
    )
