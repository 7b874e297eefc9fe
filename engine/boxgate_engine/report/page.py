"""The page of a run, composed from its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from boxgate_engine.instruments import Instrument
from boxgate_engine.report import sections
from boxgate_engine.report.assumptions import name_assumptions, window_ns
from boxgate_engine.report.chart_library import (
    SHARED_FOLDER,
    Assets,
    chart_library,
    csp_hash,
    packed_library,
    share_library,
)
from boxgate_engine.report.figures import build_figures
from boxgate_engine.report.markup import esc, script_json
from boxgate_engine.report.numerals import UNDEFINED, counted, instant, plain
from boxgate_engine.report.prices import PricePanel
from boxgate_engine.report.quality import quality_section
from boxgate_engine.report.run_files import RunFiles, read_run_files

FILE_NAME: Final = "report.html"
"""Name of the page in a run folder."""
_BROWSER: Final = Path(__file__).parent / "browser"
_SCRIPTS: Final = ("data.js", "trades.js", "charts.js", "start.js")
"""Parts of the page's script, in order; together they are one function, so that no name of them is global."""
_PLAIN_SCRIPTS: Final = frozenset({"strategy", "main", "__main__", "run", "app"})
"""Script names that say less than the folder they are in."""


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
    signals.parquet; manifest.json need not exist yet. prices: the execution series of each instrument inside the
    window, in the order of the config. quality: series name (`EURUSD M1`) → quality report of the dataset's manifest.
    instruments: their grids, named in the assumptions; prices are shown with the decimals of the tick. assets: `inline`
    carries the chart library in the page; `shared` refers to ../_assets/ beside the run folder, where `write_report`
    puts it.
    Raises UserMistake RUN_UNREADABLE for a folder that is not of a complete run.
    """
    files = read_run_files(run_folder)
    figures = build_figures(
        files, run_id=run_id, result_digest=result_digest, prices=prices, quality=quality, instruments=instruments
    )
    groups = name_assumptions(files, run_id=run_id, result_digest=result_digest, prices=prices, instruments=instruments)
    figures["assumptions"] = [
        {"group": heading, "name": line.name, "value": line.value, "note": line.note}
        for heading, lines in groups
        for line in lines
    ]
    body = "".join(
        [
            sections.summary(figures),
            sections.equity(figures),
            sections.drawdown(figures),
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
    script = _script()
    title = f"{_strategy_name(files)} · {', '.join(files.config['identity']['instruments'])}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script, assets)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="Boxgate">\n'
        f"<title>{esc(title)} · Boxgate</title>\n"
        f"<style>\n{_part('page.css')}</style>\n</head>\n<body>\n"
        f"{_header(files, run_id)}<main>\n{body}</main>\n{_footer(run_id, result_digest)}"
        f'<script type="application/json" id="boxgate-data">{script_json(figures)}</script>\n'
        f"{_library(assets)}<script>{script}</script>\n</body>\n</html>\n"
    )


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


def _script() -> str:
    return f'(() => {{\n"use strict";\n{"".join(map(_part, _SCRIPTS))}}})();\n'


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


def _header(files: RunFiles, run_id: str) -> str:
    resolved, metrics = files.config["resolved"], files.metrics
    identity = files.config["identity"]
    start_ns, end_ns = window_ns(files)
    costs, counts = resolved["costs"], metrics["counts"]
    spread = costs.get("spread", "data")
    unit, size = next(iter(spread.items())) if isinstance(spread, dict) else ("", 0)
    chips = [
        f"Fees {plain(costs.get('fees_bps', 0))} bps",
        f"Slippage {plain(costs.get('slippage_bps', 0))} bps",
        f"Spread {plain(size)} {unit.removesuffix('s') if size == 1 else unit}" if unit else f"Spread: {spread}",
        f"Path: {resolved['execution'].get('path', 'pessimistic')}",
        f"Leverage {plain(resolved['account'].get('leverage', 1))}",
        counted(counts.get("rejected", 0), "signal") + " rejected",
        counted(counts.get("unexecuted", 0), "signal") + " unexecuted",
        counted(counts.get("path_dependent_bars", 0), "path dependent bar"),
        counted(len(metrics.get("open_positions", [])), "open position"),
        f"Mode: {resolved.get('mode', 'debug')}",
    ]
    links = "".join(f'<a href="#{name}">{esc(title)}</a>' for name, title in sections.TITLES.items())
    shown = "".join(f"<li>{esc(chip)}</li>" for chip in chips)
    return (
        '<a class="skip" href="#summary">Skip to the summary</a>\n<header>\n<div class="bar">'
        '<span class="brand">Boxgate</span>'
        f'<nav aria-label="Sections">{links}</nav>'
        '<button type="button" id="theme" aria-pressed="false">Dark</button></div>\n'
        f'<div class="title"><h1>{esc(_strategy_name(files))}</h1>'
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


def _strategy_name(files: RunFiles) -> str:
    """Return a name for people: the strategy's own, else of its script, else of the script's folder."""
    identity, resolved = files.config["identity"]["strategy"], files.config["resolved"].get("strategy", {})
    if identity.get("name"):
        return str(identity["name"])
    scripts = [PurePosixPath(part) for part in resolved.get("command", [])]
    script = next((part for part in scripts if part.suffix), scripts[-1] if scripts else None)
    if script is None:
        return "Attached strategy"
    return script.parent.name if script.stem in _PLAIN_SCRIPTS and script.parent.name else script.stem
