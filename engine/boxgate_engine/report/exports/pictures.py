"""Every chart of a page as a PNG, drawn without a browser. Needs matplotlib: the extra `png`."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from boxgate_engine.errors import UserMistake
from boxgate_engine.report.exports.columns import times_ns

_ACCENT: Final = "#1d5fc4"
_GAIN: Final = "#0b7a55"
_LOSS: Final = "#c02c3a"
_MUTED: Final = "#586271"
_HELD: Final = ("#a35200", "#7a3fb5", "#00818f", "#5c6b7a")
_WIDE: Final = (12.0, 4.2)
_LOW: Final = (12.0, 2.8)
_DPI: Final = 120
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year")
_HEAT_FULL: Final = 0.05
_BARS_MAX: Final = 20

Figures = Mapping[str, Any]
Draw = Callable[[Any], None]
"""Draws on axes of matplotlib, which carry no types."""
Picture = tuple[str, tuple[float, float], Draw]
"""Title, size in inches, what draws it."""


def write_pictures(figures: Figures, folder: Path) -> list[Path]:
    """Write one PNG for each chart that has something to show and return the paths, by name.

    figures: the data of the page. Equal data give equal pictures in the same environment. Raises UserMistake
    EXTRA_MISSING without matplotlib.
    """
    return draw_pictures(_charts(figures), folder)


def draw_pictures(pictures: Mapping[str, Picture], folder: Path) -> list[Path]:
    """Write each picture as a PNG by its name and return the paths. Raises UserMistake EXTRA_MISSING."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UserMistake(
            "pictures need matplotlib, which is not installed",
            code="EXTRA_MISSING",
            where="--png",
            expected="an installation with the extra png",
            remedy="pip install 'boxgate-engine[png]', or use the page, which draws the same charts",
        )
    # The search for fonts tells of fonts that it does not like; the one that is used comes with the library.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, (title, size, draw) in sorted(pictures.items()):
        path = folder / f"{name}.png"
        _save(path, title, size, draw)
        written.append(path)
    return written


def _save(path: Path, title: str, size: tuple[float, float], draw: Draw) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.family": "DejaVu Sans", "font.size": 9.0, "axes.unicode_minus": True}):
        figure = Figure(figsize=size, dpi=_DPI, layout="constrained", facecolor="white")
        axes = figure.subplots()
        axes.set_title(plain_text(title), loc="left", fontsize=11, fontweight="bold")
        axes.grid(visible=True, color="#e9ecf0", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color("#c5ccd6")
        axes.tick_params(colors=_MUTED)
        draw(axes)
        figure.savefig(path, format="png", metadata={"Software": None})


def _charts(figures: Figures) -> dict[str, Picture]:
    currency = figures["currency"]
    found: dict[str, Picture] = {
        "equity": (f"Equity, {currency}", _WIDE, lambda axes: _equity(axes, figures)),
        "drawdown": ("Drawdown, %", _LOW, lambda axes: _drawdown(axes, figures["drawdown"])),
        "costs": (f"Costs by kind, {currency}", _LOW, lambda axes: _costs(axes, figures["costs"]["kinds"])),
    }
    if figures["exposure"]["gross"]:
        found["exposure"] = ("Exposure, % of equity", _LOW, lambda axes: _exposure(axes, figures["exposure"]))
    if figures["rolling_sharpe"]["value"]:
        window = figures["rolling_sharpe"]["window"]
        title = f"Rolling Sharpe ratio, {window} daily returns"
        found["rolling_sharpe"] = (title, _LOW, lambda axes: _rolling(axes, figures["rolling_sharpe"]))
    if figures["instruments"]:
        title = f"Net result by instrument, {currency}"
        found["instruments"] = (title, _LOW, lambda axes: _instruments(axes, figures["instruments"]))
    if figures["monthly"]:
        size = (12.0, 1.2 + 0.4 * len(figures["monthly"]))
        found["monthly"] = ("Monthly returns, %", size, lambda axes: _monthly(axes, figures["monthly"]))
    for name, title in (("trades", f"Net result of trades, {currency}"), ("daily", "Daily returns, %")):
        values = figures["distribution"][name]
        if values["count"]:
            found[f"distribution_{name}"] = (title, _WIDE, _histogram(values, 100.0 if name == "daily" else 1.0))
    if figures["trades"]["total"]:
        for name, sign, title in (("mae", -1.0, "Furthest against"), ("mfe", 1.0, "Furthest in favour")):
            found[name] = (f"Net result by {name.upper()}, {currency}", _WIDE, _excursion(figures, name, sign, title))
    for number, panel in enumerate(figures["price"], start=1):
        if panel["rows"]:
            found[f"price_{number}"] = (f"{panel['symbol']} {panel['frame']}", _WIDE, _price(panel, figures["trades"]))
    return found


def _equity(axes: Any, figures: Figures) -> None:
    for number, one in enumerate(figures["benchmark"]):
        style = {"color": _HELD[number % len(_HELD)], "linewidth": 0.9, "linestyle": (0, (2, 2))}
        axes.plot(_moments(one), one["value"], label=plain_text(f"{one['instrument']} held"), **style)
    _line(axes, _moments(figures["equity"]), figures["equity"]["value"], color=_ACCENT, label="Equity", linewidth=1.3)
    axes.axhline(figures["metrics"]["equity"]["initial"], color=_MUTED, linewidth=0.8, linestyle=":")
    _thousands(axes.yaxis)
    if figures["benchmark"]:
        axes.legend(frameon=False, ncols=6, loc="upper left")


def _drawdown(axes: Any, curve: Figures) -> None:
    moments, under = _moments(curve), -100.0 * np.array(curve["value"])
    axes.fill_between(moments, under, 0.0, color=_LOSS, alpha=0.16, linewidth=0)
    _line(axes, moments, under, color=_LOSS, linewidth=0.8)
    axes.set_ylim(top=0.0)


def _exposure(axes: Any, curve: Figures) -> None:
    moments = _moments(curve)
    gross, net = 100.0 * np.array(curve["gross"]), 100.0 * np.array(curve["net"])
    axes.fill_between(moments, gross, 0.0, step="post", color=_MUTED, alpha=0.14, linewidth=0)
    axes.step(moments, gross, where="post", color=_MUTED, linewidth=0.9, label="Gross")
    axes.step(moments, net, where="post", color=_ACCENT, linewidth=1.0, label="Net")
    axes.legend(frameon=False, ncols=2, loc="upper left")


def _rolling(axes: Any, curve: Figures) -> None:
    values = np.array([np.nan if value is None else value for value in curve["value"]])
    _line(axes, _moments(curve), values, color=_ACCENT, linewidth=1.2)
    axes.axhline(0.0, color=_MUTED, linewidth=0.8)


def _costs(axes: Any, kinds: list[dict[str, Any]]) -> None:
    _bars(axes, [one["title"] for one in kinds], [one["amount"] for one in kinds], above=_LOSS, below=_GAIN)


def _instruments(axes: Any, found: list[dict[str, Any]]) -> None:
    shown = found[:_BARS_MAX]
    _bars(axes, [one["instrument"] for one in shown], [one["net_pnl"] for one in shown], above=_GAIN, below=_LOSS)


def _bars(axes: Any, names: list[str], values: list[float], *, above: str, below: str) -> None:
    axes.barh(range(len(names)), values, color=[above if value >= 0 else below for value in values], height=0.6)
    axes.set_yticks(range(len(names)), [plain_text(name) for name in names])
    axes.invert_yaxis()
    axes.axvline(0.0, color=_MUTED, linewidth=0.8)
    _thousands(axes.xaxis)


def _monthly(axes: Any, years: list[dict[str, Any]]) -> None:
    cells = [[*year["months"], year["total"]] for year in years]
    shade = np.array([[np.nan if value is None else value for value in row] for row in cells])
    axes.imshow(shade, cmap="RdYlGn", vmin=-_HEAT_FULL, vmax=_HEAT_FULL, aspect="auto", alpha=0.75)
    axes.set_xticks(range(len(_MONTHS)), _MONTHS)
    axes.set_yticks(range(len(years)), [str(year["year"]) for year in years])
    axes.grid(visible=False)
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            if value is not None:
                axes.text(column, row, f"{100 * value:+.2f}", ha="center", va="center", fontsize=8)


def _histogram(values: Figures, scale: float) -> Draw:
    def draw(axes: Any) -> None:
        edges = scale * np.array(values["edges"])
        colors = [_LOSS if low < 0 else _GAIN for low, _ in pairwise(edges.tolist())]
        axes.bar(
            edges[:-1], values["counts"], np.diff(edges), align="edge", color=colors, alpha=0.75, edgecolor="white"
        )
        axes.axvline(scale * values["mean"], color="#14181f", linewidth=1.0, linestyle=":", label="mean")
        axes.legend(frameon=False)
        _thousands(axes.xaxis)

    return draw


def _excursion(figures: Figures, name: str, sign: float, title: str) -> Draw:
    def draw(axes: Any) -> None:
        columns = figures["trades"]["columns"]
        reach, net = sign * np.array(columns[name]), np.array(columns["net_pnl"])
        for chosen, color, marker, label in ((net > 0, _GAIN, "o", "Winners"), (net <= 0, _LOSS, "x", "Losers")):
            axes.scatter(
                reach[chosen], net[chosen], s=14, c=color, marker=marker, alpha=0.6, label=label, linewidths=0.8
            )
        axes.axhline(0.0, color=_MUTED, linewidth=0.8)
        axes.set_xlabel(plain_text(f"{title}, {figures['currency']}"))
        axes.legend(frameon=False)
        _thousands(axes.xaxis)
        _thousands(axes.yaxis)

    return draw


def _price(panel: Figures, trades: Figures) -> Draw:
    def draw(axes: Any) -> None:
        moments = _moments(panel)
        if panel["style"] == "candles":
            rising = np.array(panel["close"]) >= np.array(panel["open"])
            for chosen, color in ((rising, _GAIN), (~rising, _LOSS)):
                spans = [np.array(panel[key])[chosen] for key in ("low", "high", "open", "close")]
                axes.vlines(moments[chosen], spans[0], spans[1], color=color, linewidth=0.6)
                axes.vlines(moments[chosen], spans[2], spans[3], color=color, linewidth=2.0)
        else:
            axes.plot(moments, panel["value"], color=_MUTED, linewidth=0.8)
        _marks(axes, panel["symbol"], trades)

    return draw


def _marks(axes: Any, symbol: str, trades: Figures) -> None:
    columns = trades["columns"]
    if symbol not in trades["instruments"]:
        return
    own = np.array(columns["instrument"]) == trades["instruments"].index(symbol)
    long = np.array([trades["sides"][side] == "LONG" for side in columns["side"]])
    size = 22.0 if own.sum() <= 150 else 8.0
    for chosen, marker, color, label in (
        (own & long, "^", _ACCENT, "Buy entry"),
        (own & ~long, "v", _HELD[0], "Sell entry"),
    ):
        times = np.array(columns["entry_time_ms"])[chosen].astype("datetime64[ms]")
        axes.scatter(
            times, np.array(columns["entry_price"])[chosen], s=size, c=color, marker=marker, label=label, zorder=3
        )
    times = np.array(columns["exit_time_ms"])[own].astype("datetime64[ms]")
    price = np.array(columns["exit_price"])[own]
    gains = [_GAIN if net > 0 else _LOSS for net in np.array(columns["net_pnl"])[own]]
    axes.scatter(times, price, s=size, facecolors="none", edgecolors=gains, marker="o", label="Exit", zorder=3)
    axes.legend(frameon=False, ncols=3, loc="upper left")


def _line(axes: Any, moments: Any, values: Any, **style: Any) -> None:
    axes.plot(moments, values, marker="o" if len(moments) == 1 else "", **style)


def _moments(curve: Figures) -> Any:
    return times_ns(curve["time"]).astype("datetime64[ns]")


def _thousands(axis: Any) -> None:
    axis.set_major_formatter("{x:,.10g}")


def plain_text(text: str) -> str:
    """Return text in which no dollar sign begins a formula."""
    return text.replace("$", r"\$")
