"""The page of a dataset: what its series cover, how good they are, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from boxgate_engine.datasets.picture import Picture
from boxgate_engine.report.document import bar, document
from boxgate_engine.report.markup import Cell, chart, definitions, empty, esc, section, table
from boxgate_engine.report.numerals import UNDEFINED, count, counted, duration, instant, percent
from boxgate_engine.report.quality import quality_lines, shown_quality

SCHEMA: Final = "boxgate.coverage/1"
"""The `schema` of the page's data."""
_GAPS_MAX: Final = 20
"""Rows of the table of gaps; the rest is counted."""
_SCRIPTS: Final = ("coverage.js",)


def render_coverage(*, name: str, digest: str, pictures: Sequence[Picture]) -> str:
    """Return the page: HTML that is equal for equal input and asks for nothing outside itself.

    name: of the dataset. digest: its hash. pictures: of its series, as `draw_series` makes them; the page's data hold
    them, but for gaps that its tables leave out.
    """
    shown = [_shown(picture) for picture in pictures]
    titles = {f"series-{index}": _title(picture) for index, picture in enumerate(shown)}
    header = (
        f'<a class="skip" href="#series-0">Skip to the first series</a>\n<header>\n{bar(titles)}'
        f'<div class="title"><h1>{esc(name)}</h1>'
        f'<p class="scope"><strong>{esc(counted(len(shown), "series").removesuffix("s") + "s")}</strong> '
        f"<code>{esc(digest)}</code></p></div>\n</header>\n"
        "<noscript><p class='empty'>Charts need JavaScript; it runs inside this page only.</p></noscript>\n"
    )
    return document(
        title=f"{name} · coverage and quality",
        header=header,
        body="".join(_series(index, picture) for index, picture in enumerate(shown)),
        footer=f"<footer><p>Dataset <code>{esc(digest)}</code></p></footer>\n",
        data={"schema": SCHEMA, "name": name, "hash": digest, "series": shown},
        scripts=_SCRIPTS,
    )


def _shown(picture: Picture) -> Picture:
    gaps = picture["gaps"]
    quality = shown_quality({"": picture["quality"]})[""]
    return {**picture, "quality": quality, "gaps": {**gaps, "longest": gaps["longest"][:_GAPS_MAX]}}


def _title(picture: Picture) -> str:
    return f"{picture['symbol']} {picture['frame']}"


def _series(index: int, picture: Picture) -> str:
    noun = "tick" if picture["frame"] == "tick" else "bar"
    lead = (
        f"{counted(picture['rows'], noun)} from {instant(picture['first_ns'])} to {instant(picture['last_ns'])} UTC, "
        f"{picture['price_basis'].lower()}{' and ask' if picture['has_ask'] else ''} prices. "
        f"Gaps are measured by the calendar {picture['calendar']}."
    )
    name, size = f"{index}", _heat_size(picture)
    spread = (
        f"<div><h3>Spread by hour, in ticks of {esc(picture['tick_size'])}</h3>"
        f"{chart(f'spread-{name}', 'Median and 95 % spread of each hour of the day, UTC')}</div>"
        if picture["spread"]
        else ""
    )
    kind = "Mean volume" if picture["volume"]["kind"] == "volume" else f"{noun.capitalize()}s"
    body = [
        _cards(picture, noun),
        "<h3>Coverage</h3>",
        chart(f"coverage-{name}", "Share of the expected rows that each day has", size=size),
        '<p class="note">Green: all that the calendar expects; yellow: some; red: nothing while the market was open; '
        "empty: market closed.</p>",
        "<h3>Price</h3>",
        chart(f"price-{name}", "Lowest and highest price of equal stretches of time"),
        f'<div class="pair">{spread}<div><h3>{kind} by hour</h3>'
        f"{chart(f'volume-{name}', f'{kind} of each hour of the day, UTC')}</div></div>",
        _gaps(picture),
        _closures(picture),
        quality_lines("Quality", picture["quality"]),
        _provenance(picture["provenance"]),
    ]
    return section(f"series-{index}", _title(picture), "".join(body), lead=lead)


def _heat_size(picture: Picture) -> str:
    """Return the height of the strip: a row per month or, of more than two years, per year."""
    days = len(picture["coverage"]["rows"]) * picture["coverage"]["unit_ns"] // 86_400_000_000_000
    rows = days // 30 if days <= 731 else days // 365
    return "strip" if rows <= 2 else "low" if rows <= 6 else "" if rows <= 14 else "high"


def _cards(picture: Picture, noun: str) -> str:
    gaps, counts = picture["gaps"], picture["quality"].get("counts", {})
    expected = picture["coverage"]["expected"]
    cards = [(f"{noun.capitalize()}s", count(picture["rows"]))]
    if expected is not None:
        there = sum(min(here, whole) for here, whole in zip(picture["coverage"]["rows"], expected, strict=True))
        cards.append(("Of those expected", percent(there / sum(expected)) if sum(expected) else UNDEFINED))
        cards.append(("Missing in gaps", count(gaps["missing_bars"])))
    cards += [
        ("Gaps", count(gaps["count"])),
        ("Explained pauses", count(picture["closures"]["count"])),
        ("Bid above ask", count(counts.get("crossed", 0)) if picture["has_ask"] else UNDEFINED),
        ("Outside market hours", count(counts.get("outside_market_hours", 0))),
        ("Repairs", count(sum(picture["quality"].get("repairs", {}).values()))),
    ]
    shown = "".join(f'<div class="card"><dt>{esc(title)}</dt><dd>{esc(value)}</dd></div>' for title, value in cards)
    return f'<dl class="cards">{shown}</dl>'


def _gaps(picture: Picture) -> str:
    gaps = picture["gaps"]
    if not gaps["longest"]:
        return "<h3>Gaps</h3>" + empty("None while the market was open.")
    rows: list[list[Cell]] = [
        [
            instant(one["from_ns"]),
            instant(one["to_ns"]),
            duration(one["to_ns"] - one["from_ns"]),
            duration(one["open_ns"]),
            count(one["missing_bars"]) if one["missing_bars"] else UNDEFINED,
        ]
        for one in gaps["longest"]
    ]
    rest = gaps["count"] - len(rows)
    more = f'<p class="note">and {count(rest)} shorter</p>' if rest > 0 else ""
    head = ("From", "To", "Lasts", "Market open in it", "Missing bars")
    return "<h3>Longest gaps</h3>" + table("Longest gaps", head, rows, text_columns=2, compact=True) + more


def _closures(picture: Picture) -> str:
    longest = picture["closures"]["longest"]
    if not longest:
        return ""
    rows: list[list[Cell]] = [
        [instant(one["from_ns"]), instant(one["to_ns"]), duration(one["to_ns"] - one["from_ns"])] for one in longest
    ]
    rest = picture["closures"]["count"] - len(rows)
    more = f'<p class="note">and {count(rest)} others</p>' if rest > 0 else ""
    head = ("From", "To", "Lasts")
    title = "Longest pauses that the calendar explains"
    return f"<h3>{title}</h3>" + table(title, head, rows, text_columns=2, compact=True) + more


def _provenance(origin: Mapping[str, Any]) -> str:
    lines: list[tuple[str, Cell]] = [("Source", origin["source"]), ("Licence", origin["licence"])]
    if origin["digest"]:
        lines.append(("Series digest", origin["digest"]))
    rows: list[list[Cell]] = [
        [f"read: {one['name']}", count(one["bytes"]), one["sha256"]] for one in origin["inputs"]
    ] + [[f"stored: {one['path']}", count(one["bytes"]), one["sha256"]] for one in origin["files"]]
    files = table("Files", ("File", "Bytes", "SHA-256"), rows) if rows else empty("Made from stored series.")
    return definitions("Provenance", lines, texts=True) + files
