"""HTML from values: everything that is not written here is escaped."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

Cell = str | tuple[str, str]
"""Text of a cell, or (text, class)."""


def esc(text: object) -> str:
    """Return text that is safe between tags and inside quoted attributes."""
    return html.escape(str(text), quote=True)


def script_json(value: Any) -> str:
    """Return JSON that is safe inside a script element: sorted keys, no NaN, no `<`, `>` or `&`."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def section(name: str, title: str, body: str, *, lead: str = "", ranges: bool = False) -> str:
    """Return one section. name: its id. lead: a sentence under the title, plain text. ranges: with buttons for time."""
    intro = f'<p class="lead">{esc(lead)}</p>' if lead else ""
    if ranges:
        intro = f'<div class="above">{intro}<div class="ranges" role="group" aria-label="Time shown"></div></div>'
    return (
        f'<section id="{esc(name)}" aria-labelledby="{esc(name)}-title">'
        f'<h2 id="{esc(name)}-title">{esc(title)}</h2>{intro}{body}</section>\n'
    )


def empty(sentence: str) -> str:
    """Return what stands in place of something that this run does not have."""
    return f'<p class="empty">{esc(sentence)}</p>'


def chart(name: str, label: str, *, size: str = "") -> str:
    """Return the place of a chart. label: what it shows, for readers who do not see it."""
    return f'<div class="chart {esc(size)}" id="chart-{esc(name)}" role="img" aria-label="{esc(label)}"></div>'


def signed(value: float | None, text: str) -> Cell:
    """Return the text, with the class of a gain or a loss unless the value is zero or undefined."""
    return (text, "gain" if value > 0 else "loss") if value else text


def definitions(title: str, rows: Iterable[tuple[str, Cell]], *, texts: bool = False) -> str:
    """Return a titled list of names and values. texts: the values are words that may be broken over lines."""
    body = "".join(f"<div><dt>{esc(name)}</dt>{_tagged('dd', value)}</div>" for name, value in rows)
    return f'<div class="facts{" texts" if texts else ""}"><h3>{esc(title)}</h3><dl>{body}</dl></div>'


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    text_columns: int = 1,
    compact: bool = False,
    beside: bool = False,
) -> str:
    """Return a table.

    text_columns: how many columns from the left hold text; the others are set as numbers. compact: only as wide as its
    content. beside: the columns are compared, so the names at the left stay in sight and a narrow page breaks cells.
    """
    cells = "".join(
        f'<th scope="col"{"" if index < text_columns else " class=num"}>{esc(name)}</th>'
        for index, name in enumerate(head)
    )
    body = "".join(_row(row, text_columns) for row in rows)
    kinds = f"scroll{' compact' if compact else ''}{' beside' if beside else ''}"
    return (
        f'<div class="{kinds}" tabindex="0" role="region" aria-label="{esc(caption)}">'
        f"<table><caption>{esc(caption)}</caption><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: Sequence[Cell], text_columns: int) -> str:
    first, *others = row
    cells = [_tagged("th", first, 'scope="row"')]
    for index, cell in enumerate(others, start=1):
        text, kind = cell if isinstance(cell, tuple) else (cell, "")
        kinds = " ".join(part for part in (kind, "" if index < text_columns else "num") if part)
        cells.append(_tagged("td", (text, kinds)))
    return f"<tr>{''.join(cells)}</tr>"


def _tagged(tag: str, cell: Cell, attributes: str = "") -> str:
    text, kind = cell if isinstance(cell, tuple) else (cell, "")
    marked = f' class="{esc(kind)}"' if kind else ""
    return f"<{tag}{' ' + attributes if attributes else ''}{marked}>{esc(text)}</{tag}>"
