"""What the result rests on: every assumption, and how much hangs on the path inside a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from boxgate_engine.report.assumptions import NOT_MODELLED, PATHS, Assumption
from boxgate_engine.report.bands import bands_table
from boxgate_engine.report.markup import Cell, esc, section, table
from boxgate_engine.report.numerals import UNDEFINED, count, counted, money, percent
from boxgate_engine.report.sections.titles import TITLES

Figures = Mapping[str, Any]


def assumptions(groups: Sequence[tuple[str, Sequence[Assumption]]]) -> str:
    """Return every assumption, and what is not modelled."""
    shown = "".join(
        f'<div class="group"><h3>{esc(heading)}</h3><dl>{"".join(map(_assumption, lines))}</dl></div>'
        for heading, lines in groups
    )
    items = "".join(f"<li>{esc(line)}.</li>" for line in NOT_MODELLED)
    shown += f'<div class="group"><h3>Not modelled</h3><ul>{items}</ul></div>'
    lead = "What this result rests on. Real trading is worse wherever an assumption is kinder than the market."
    return section("assumptions", TITLES["assumptions"], f'<div class="groups">{shown}</div>', lead=lead)


def path(figures: Figures) -> str:
    """Return how much of the result hangs on the order of prices inside a bar."""
    found, currency = figures["path"], figures["currency"]
    rows: list[list[Cell]] = [
        ["Bars", count(found["bars"]), count(found["bars_total"]), _share(found["bars"], found["bars_total"])],
        ["Fills", count(found["fills"]), count(found["fills_total"]), _share(found["fills"], found["fills_total"])],
        [
            "Trades",
            count(found["trades"]),
            count(found["trades_total"]),
            _share(found["trades"], found["trades_total"]),
        ],
        [
            "Net result of trades",
            money(found["net_pnl"], currency, signed=True),
            money(found["net_pnl_total"], currency, signed=True),
            UNDEFINED,
        ],
    ]
    if found["bars"]:
        verdict = (
            f"In {counted(found['bars'], 'bar')} the order in which high and low were met decides which orders fill. A "
            "bar does not tell that order, so the result of these trades is an assumption, not a measurement; "
            + (
                "the dataset has nothing finer of them."
                if found["setting"] == "real"
                else "finer bars or ticks (path real) would settle it."
            )
        )
    else:
        verdict = "No bar of this run leaves open which order fills first: the result does not hang on the path."
    body = f'<p class="verdict">{esc(verdict)}</p>' + table(
        "Path dependence", ["", "Path dependent", "All", "Share"], rows, compact=True
    )
    body += bands_table(figures["bands"], currency)
    setting = str(found["setting"])
    return section("path", TITLES["path"], body, lead=f"Setting: {setting}. {PATHS.get(setting, '')}")


def _assumption(line: Assumption) -> str:
    # Where a path is too long for its column, it is broken after a slash and not inside a name.
    value = f"<code>{esc(line.value).replace('/', '/<wbr>')}</code>" if line.code else esc(line.value)
    note = f"<small>{esc(line.note)}</small>" if line.note else ""
    return f"<div><dt>{esc(line.name)}</dt><dd>{value}{note}</dd></div>"


def _share(part: int | None, whole: int | None) -> str:
    return percent(part / whole, 1) if part is not None and whole else UNDEFINED
