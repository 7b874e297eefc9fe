"""The price chart, the list of trades and how far they went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from boxgate_engine.report.markup import chart, empty, esc, section, table
from boxgate_engine.report.numerals import count, money
from boxgate_engine.report.prices import CANDLES_MAX
from boxgate_engine.report.sections.titles import NO_TRADES, TITLES

Figures = Mapping[str, Any]


def price(figures: Figures) -> str:
    """Return the place of the price chart, with a choice of instrument where there are several."""
    panels = figures["price"]
    if not panels:
        absent = "The dataset of this run was not at hand when the page was built, so that no price can be shown."
        return section("price", TITLES["price"], empty(absent))
    if not any(panel["rows"] for panel in panels):
        return section("price", TITLES["price"], empty("No price lies inside the window of this run."))
    options = "".join(
        f'<option value="{index}">{esc(panel["symbol"])} {esc(panel["frame"])}</option>'
        for index, panel in enumerate(panels)
    )
    many = len(panels) > 1
    choice = f'<label>Instrument <select id="price-choice">{options}</select></label>' if many else ""
    names = ", ".join(f"{panel['symbol']} {panel['frame']}" for panel in panels)
    lead = (
        f"{names}. Drag to zoom, double-click to see all. Series of more than {count(CANDLES_MAX)} bars are drawn by "
        "the lowest and highest price of each stretch of time, so that no extreme is lost."
    )
    body = (
        f'<div class="tools">{choice}<p id="price-note" class="note" aria-live="polite"></p></div>'
        f"{chart('price', f'Price of {names} with entries, exits, stops and targets', size='high')}"
    )
    return section("price", TITLES["price"], body, lead=lead, ranges=True)


def trades(figures: Figures) -> str:
    """Return the frame of the list of trades; page.js fills, sorts and filters it."""
    listed = figures["trades"]
    if not listed["total"]:
        return section("trades", TITLES["trades"], empty(NO_TRADES))
    lead = "One row per closed quantity. Click a column to sort, a row to see it in the price chart."
    if figures["path"]["setting"] == "real":
        lead += " “Events held” counts the ticks or finer bars that fill."
    if listed["listed"] < listed["total"]:
        lead += (
            f" The page holds the {count(listed['listed'])} of {count(listed['total'])} trades with the largest result "
            "either way; all are in trades.csv."
        )
    body = (
        '<form class="tools" id="trades-filter" aria-label="Filter trades">'
        '<label>Instrument <select name="instrument"></select></label>'
        '<label>Side <select name="side"></select></label>'
        '<label>Exit <select name="reason"></select></label>'
        '<label>Result <select name="result"></select></label>'
        '<label>Find <input name="find" type="search" placeholder="number, date…" autocomplete="off"></label>'
        '<button type="reset">Clear</button></form>'
        '<p class="note" id="trades-note" aria-live="polite"></p>'
        '<div class="scroll" tabindex="0" role="region" aria-label="Trades"><table id="trades-table">'
        "<caption>Trades</caption><thead></thead><tbody></tbody></table></div>"
        '<nav class="pager" aria-label="Pages of trades"><button type="button" data-page="first">« First</button>'
        '<button type="button" data-page="back">‹ Back</button><span id="trades-page"></span>'
        '<button type="button" data-page="next">Next ›</button><button type="button" data-page="last">Last »</button>'
        '<label>Rows <select id="trades-rows"><option>20</option><option>50</option><option>200</option></select>'
        "</label></nav>"
    )
    return section("trades", TITLES["trades"], body, lead=lead)


def excursions(figures: Figures) -> str:
    """Return the places of the two scatter plots and the figures of winners and losers."""
    if not figures["trades"]["total"]:
        return section("excursions", TITLES["excursions"], empty(NO_TRADES))
    currency = figures["currency"]
    rows = []
    for title, name in (("Winners", "winners"), ("Losers", "losers")):
        group = figures["excursions"][name]
        amounts = [money(group[key], currency) for key in ("mae_median", "mae_worst", "mfe_median", "mfe_best")]
        rows.append([title, count(group["count"]), *amounts])
    head = ["", "Trades", "Against, median", "Against, worst", "In favour, median", "In favour, best"]
    against, favour = chart("mae", "Result of each trade by its MAE"), chart("mfe", "Result of each trade by its MFE")
    body = (
        f'<div class="pair"><div><h3>Against the position (MAE)</h3>{against}</div>'
        f"<div><h3>In favour of the position (MFE)</h3>{favour}</div></div>"
        + table("Excursions of winners and losers", head, rows)
    )
    lead = (
        "How far each trade was under water, and how far ahead, while it was open. Winners that were deep under water "
        "first speak for a wide stop; losers that were far ahead for an earlier target."
    )
    return section("excursions", TITLES["excursions"], body, lead=lead)
