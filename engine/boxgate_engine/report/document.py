"""What every page is: one HTML document that holds all it needs and asks for nothing outside itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from boxgate_engine.report.chart_library import SHARED_FOLDER, Assets, chart_library, csp_hash, packed_library
from boxgate_engine.report.markup import esc, script_json

_BROWSER: Final = Path(__file__).parent / "browser"
_COMMON_SCRIPTS: Final = ("data.js", "plot.js", "theme.js")
"""Parts of the script that every page begins with; a page's own parts follow and call `start` at the end."""


def document(
    *,
    title: str,
    header: str,
    body: str,
    footer: str,
    data: Mapping[str, Any],
    scripts: Sequence[str],
    styles: Sequence[str] = (),
    assets: Assets = "inline",
) -> str:
    """Return a page, equal for equal input.

    title: plain text. header, body, footer: HTML, the header with `bar` in it. data: JSON values; the script reads
    them, and so can anybody from the element `boxgate-data`. scripts: files of the folder `browser`, in order, after
    the common ones. styles: likewise, after those of every page. assets: `inline` carries the chart library in the
    page; `shared` refers to ../_assets/.
    """
    script = _script(scripts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, assets)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="Boxgate">\n'
        f"<title>{esc(title)} · Boxgate</title>\n"
        f"<style>\n{''.join(map(_part, ('page.css', *styles)))}</style>\n</head>\n<body>\n"
        f"{header}<main>\n{body}</main>\n{footer}"
        f'<script type="application/json" id="boxgate-data">{script_json(data)}</script>\n'
        f"{_library(assets)}<script>{script}</script>\n</body>\n</html>\n"
    )


def bar(titles: Mapping[str, str]) -> str:
    """Return the bar at the top. titles: title of each section by its id, in page order."""
    links = "".join(f'<a href="#{esc(name)}">{esc(title)}</a>' for name, title in titles.items())
    return (
        '<div class="bar"><span class="brand">Boxgate</span>'
        f'<nav aria-label="Sections">{links}</nav>'
        '<button type="button" id="theme" aria-pressed="false">Dark</button></div>\n'
    )


def _script(scripts: Sequence[str]) -> str:
    """Return the parts as one function, so that no name of them is global."""
    return f'(() => {{\n"use strict";\n{"".join(map(_part, (*_COMMON_SCRIPTS, *scripts)))}}})();\n'


def _part(name: str) -> str:
    return (_BROWSER / name).read_text(encoding="utf-8")


def _policy(script: str, assets: Assets) -> str:
    """Return the content security policy: nothing is loaded, and only the two scripts of the page run.

    Plotly sets styles of its elements, and makes pictures for its download button as data: or blob: addresses.
    """
    allowed = [csp_hash(script.encode()), chart_library().csp_hash if assets == "inline" else "'self' file:"]
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(allowed)}",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _library(assets: Assets) -> str:
    if assets == "inline":
        return f'<script type="application/octet-stream" id="boxgate-charts">{packed_library()}</script>\n'
    address = PurePosixPath("..") / SHARED_FOLDER / chart_library().file_name
    return f'<script src="{esc(address)}" charset="utf-8"></script>\n'
