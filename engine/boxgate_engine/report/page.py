"""The page of a run, composed from its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from boxgate_engine.instruments import Instrument
from boxgate_engine.report import sections
from boxgate_engine.report.assumptions import (
    Assumption,
    name_assumptions,
    shown_fees,
    shown_leverage,
    shown_slippage,
    shown_spread,
    window_ns,
)
from boxgate_engine.report.bands import read_bands
from boxgate_engine.report.chart_library import Assets, share_library
from boxgate_engine.report.document import bar, document
from boxgate_engine.report.figures import build_figures
from boxgate_engine.report.markup import esc
from boxgate_engine.report.numerals import UNDEFINED, counted, instant
from boxgate_engine.report.prices import PricePanel
from boxgate_engine.report.quality import quality_section
from boxgate_engine.report.run_files import RunFiles, read_run_files
from boxgate_engine.report.strategy_name import strategy_name

FILE_NAME: Final = "report.html"
"""Name of the page in a run folder."""
_SCRIPTS: Final = ("trades.js", "charts.js", "start.js")
"""The page's own parts of the script, in order."""


def render_report(
    run_folder: Path,
    *,
    run_id: str,
    result_digest: str,
    prices: Sequence[PricePanel],
    quality: Mapping[str, Any],
    instruments: Sequence[Instrument] = (),
    assets: Assets = "inline",
) -> str:
    """Return the page of a run: HTML that is equal for equal input and asks for nothing outside itself.

    run_folder: holds config.json, params.json, metrics.json, equity_curve.parquet, trades.csv, fills.parquet and
    signals.parquet, bands.json if the run has a band; manifest.json need not exist yet. prices: the execution series
    of each instrument inside the window, in the order of the config. quality: series name (`EURUSD M1`) → quality
    report of the dataset's manifest. instruments: their grids, named in the assumptions; prices are shown with the
    decimals of the tick. assets: `inline` carries the chart library in the page; `shared` refers to ../_assets/ beside
    the run folder, where `write_report` puts it.
    Raises UserMistake RUN_UNREADABLE for a folder that is not of a complete run.
    """
    files = read_run_files(run_folder)
    figures, groups = _figures(
        files, run_id=run_id, result_digest=result_digest, prices=prices, quality=quality, instruments=instruments
    )
    figures["bands"] = read_bands(run_folder)
    body = "".join(
        [
            sections.summary(figures),
            sections.equity(figures),
            sections.drawdown(figures),
            sections.exposure(figures),
            sections.rolling(figures),
            sections.costs(figures),
            sections.instruments(figures),
            sections.assumptions(groups),
            sections.price(figures),
            sections.trades(figures),
            sections.monthly(figures),
            sections.distribution(figures),
            sections.excursions(figures),
            sections.path(figures),
            quality_section(quality),
        ]
    )
    return document(
        title=f"{strategy_name(files)} · {', '.join(files.config['identity']['instruments'])}",
        header=_header(files, run_id),
        body=body,
        footer=_footer(run_id, result_digest),
        data=figures,
        scripts=_SCRIPTS,
        assets=assets,
    )


def page_data(
    run_folder: Path,
    *,
    run_id: str,
    result_digest: str,
    prices: Sequence[PricePanel],
    quality: Mapping[str, Any],
    instruments: Sequence[Instrument] = (),
) -> dict[str, Any]:
    """Return the data of the page: every number that it shows. Arguments and errors as of `render_report`."""
    figures, _ = _figures(
        read_run_files(run_folder),
        run_id=run_id,
        result_digest=result_digest,
        prices=prices,
        quality=quality,
        instruments=instruments,
    )
    figures["bands"] = read_bands(run_folder)
    return figures


def write_report(
    run_folder: Path,
    *,
    run_id: str,
    result_digest: str,
    prices: Sequence[PricePanel],
    quality: Mapping[str, Any],
    instruments: Sequence[Instrument] = (),
    assets: Assets = "inline",
    runs: Path | None = None,
) -> Path:
    """Write the page into the run folder and return its path; arguments as of `render_report`.

    runs: the folder in which the run folder stands or will stand, where `shared` assets go; none = its parent.
    """
    page = render_report(
        run_folder,
        run_id=run_id,
        result_digest=result_digest,
        prices=prices,
        quality=quality,
        instruments=instruments,
        assets=assets,
    )
    if assets == "shared":
        share_library(runs if runs is not None else run_folder.parent)
    path = run_folder / FILE_NAME
    path.write_text(page, encoding="utf-8", newline="\n")
    return path


def _figures(
    files: RunFiles,
    *,
    run_id: str,
    result_digest: str,
    prices: Sequence[PricePanel],
    quality: Mapping[str, Any],
    instruments: Sequence[Instrument],
) -> tuple[dict[str, Any], list[tuple[str, list[Assumption]]]]:
    """Return the data of the page and its assumptions, which are part of them, by group."""
    figures = build_figures(
        files, run_id=run_id, result_digest=result_digest, prices=prices, quality=quality, instruments=instruments
    )
    groups = name_assumptions(
        files,
        run_id=run_id,
        result_digest=result_digest,
        prices=prices,
        instruments=instruments,
        quality=quality,
    )
    figures["assumptions"] = [
        {"group": heading, "name": line.name, "value": line.value, "note": line.note}
        for heading, lines in groups
        for line in lines
    ]
    return figures, groups


def _unmet(files: RunFiles) -> list[str]:
    """Return how many signals, or orders of a strategy that has its own, came to nothing."""
    counts = files.metrics["counts"]
    if files.orders is None:
        told = {"rejected": counts.get("rejected", 0), "unexecuted": counts.get("unexecuted", 0)}
        return [f"{counted(number, 'signal')} {what}" for what, number in told.items()]
    ended = counts.get("orders_cancelled", 0) + counts.get("orders_expired", 0)
    told = {"rejected": counts.get("orders_rejected", 0), "cancelled or expired": ended}
    return [f"{counted(number, 'order')} {what}" for what, number in told.items()]


def _header(files: RunFiles, run_id: str) -> str:
    resolved, metrics = files.config["resolved"], files.metrics
    identity = files.config["identity"]
    start_ns, end_ns = window_ns(files)
    costs, counts = resolved["costs"], metrics["counts"]
    chips = [
        f"Fees: {shown_fees(costs)}",
        f"Slippage: {shown_slippage(costs)}",
        f"Spread: {shown_spread(costs)}",
        f"Path: {resolved['execution'].get('path', 'pessimistic')}",
        f"Leverage {shown_leverage(resolved['account'])}",
        *_unmet(files),
        counted(counts.get("path_dependent_bars", 0), "path dependent bar"),
        counted(len(metrics.get("open_positions", [])), "open position"),
        f"Mode: {resolved.get('mode', 'debug')}",
    ]
    shown = "".join(f"<li>{esc(chip)}</li>" for chip in chips)
    return (
        f'<a class="skip" href="#summary">Skip to the summary</a>\n<header>\n{bar(sections.TITLES)}'
        f'<div class="title"><h1>{esc(strategy_name(files))}</h1>'
        f'<p class="scope"><strong>{esc(", ".join(identity["instruments"]))}</strong> '
        f"{esc(', '.join(identity['frames']))} "
        f"<span>{esc(instant(start_ns))} {UNDEFINED} {esc(instant(end_ns))} UTC</span>"
        f" <code>{esc(run_id)}</code></p>"
        f'<ul class="chips" aria-label="Assumptions at a glance">{shown}'
        '<li class="link"><a href="#assumptions">All assumptions</a></li></ul></div>\n</header>\n'
        "<noscript><p class='empty'>Charts and the list of trades need JavaScript; it runs inside this page only."
        "</p></noscript>\n"
    )


def _footer(run_id: str, result_digest: str) -> str:
    return (
        f"<footer><p>Run <code>{esc(run_id)}</code> · result <code>{esc(result_digest)}</code></p>"
        "<p>A backtest is a calculation on past prices under the assumptions above. It is no promise.</p></footer>\n"
    )
