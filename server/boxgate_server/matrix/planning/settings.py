"""All settings of a matrix: portfolios × windows or folds × costs, each checked against the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from boxgate_engine import identity as identities
from boxgate_engine.config import CostsConfig, RunConfig, WindowConfig
from boxgate_engine.config.account import DEFAULT
from boxgate_engine.datasets import Dataset
from boxgate_engine.errors import ConfigInvalid, Problem
from boxgate_engine.market import Market, history_events
from boxgate_engine.timestamps import format_utc
from boxgate_server.matrix.config.instruments import Ground
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.config.spans import span_text
from boxgate_server.matrix.planning.folds import walk
from boxgate_server.matrix.planning.setting import Role, Setting, Versions
from boxgate_server.matrix.planning.template import Template

PROBLEMS_MAX = 50
"""Most problems that are told at once."""

OpenMarket = Callable[[RunConfig, Dataset], Market]


@dataclass
class _Settings:
    """What was found so far."""

    file: MatrixFile
    dataset: Dataset
    versions: Versions
    open_market: OpenMarket
    blocks: list[list[Setting]] = field(default_factory=list)
    count: int = 0
    known: set[tuple[bytes, ...]] = field(default_factory=set)
    problems: dict[Problem, None] = field(default_factory=dict)


def matrix_settings(
    file: MatrixFile, dataset: Dataset, versions: Versions, open_market: OpenMarket
) -> list[list[Setting]]:
    """Return the settings in blocks: those of one block are run with the same parameter sets.

    Without walk-forward each is a block of its own; with it a block has all folds of one portfolio and cost set.
    open_market: makes the market of a config. Raises ConfigInvalid with what does not fit, at most PROBLEMS_MAX.
    """
    found = _Settings(file, dataset, versions, open_market)
    matrix = file.matrix
    sets = matrix.costs or (file.base.costs,)
    for ground in file.grounds:
        portfolio = ground.instruments
        config = for_portfolio(file.base, portfolio).model_copy(update={"frames": ground.frames})
        spans = _spans(found, ground, config, for_portfolio_costs(sets[0], portfolio))
        for number, costs in enumerate(sets):
            priced = config.model_copy(update={"costs": for_portfolio_costs(costs, portfolio)})
            block = [
                setting
                for (start_ns, end_ns), roles in spans.items()
                for setting in [_setting(found, ground, priced, number, start_ns, end_ns, tuple(roles))]
                if setting is not None
            ]
            for one in [block] if matrix.walk_forward else [[single] for single in block]:
                _keep(found, one)
    problems = [*_foreign(file), *found.problems]
    if problems:
        raise ConfigInvalid(problems[:PROBLEMS_MAX])
    return found.blocks


def _keep(found: _Settings, block: list[Setting]) -> None:
    """Keep a block unless an earlier one has the same runs: costs may differ in instruments that it does not have."""
    identities_of_block = tuple(one.identity.digest(b"{}") for one in block)
    if block and identities_of_block not in found.known:
        found.known.add(identities_of_block)
        found.blocks.append([replace(one, number=found.count + place) for place, one in enumerate(block)])
        found.count += len(block)


def for_portfolio(base: RunConfig, portfolio: tuple[str, ...]) -> RunConfig:
    """Return the config of some of the instruments: tables by symbol keep what is about these."""
    account, execution = base.account, base.execution
    if isinstance(account.leverage, dict):
        levers = {one: lever for one, lever in account.leverage.items() if one in (*portfolio, DEFAULT)}
        account = account.model_copy(update={"leverage": levers})
    update: dict[str, Any] = {"calendars": _of(portfolio, execution.calendars)}
    if isinstance(execution.series, dict):
        update["series"] = _of(portfolio, execution.series)
    return base.model_copy(
        update={
            "instruments": portfolio,
            "account": account,
            "execution": execution.model_copy(update=update),
            "costs": for_portfolio_costs(base.costs, portfolio),
        }
    )


def for_portfolio_costs(costs: CostsConfig, portfolio: tuple[str, ...]) -> CostsConfig:
    """Return the costs of some of the instruments."""
    return costs.model_copy(update={"instruments": _of(portfolio, costs.instruments)})


def _of(portfolio: tuple[str, ...], table: dict[str, Any]) -> dict[str, Any]:
    return {symbol: entry for symbol, entry in table.items() if symbol in portfolio}


def _foreign(file: MatrixFile) -> list[Problem]:
    """Return the symbols that costs or leverage name and no portfolio has."""
    known = set(file.base.instruments)
    leverage = file.base.account.leverage
    named = [(f"costs.instruments.{symbol}", symbol) for symbol in file.base.costs.instruments]
    for number, costs in enumerate(file.matrix.costs or ()):
        named += [
            (f"matrix.costs[{number}].instruments.{symbol}", symbol)
            for symbol in costs.instruments
            if symbol not in file.base.costs.instruments
        ]
    if isinstance(leverage, dict):
        named += [(f"account.leverage.{symbol}", symbol) for symbol in leverage if symbol != DEFAULT]
    return [
        Problem(
            path=path,
            source="",
            what=f"{symbol} is not traded in this matrix",
            expected=f"one of {', '.join(sorted(known))}",
            remedy="correct the symbol or remove the entry",
        )
        for path, symbol in named
        if symbol not in known
    ]


def _spans(
    found: _Settings, ground: Ground, config: RunConfig, costs: CostsConfig
) -> dict[tuple[int, int], list[Role]]:
    """Return (start_ns, end_ns) of every window of a portfolio, with what it is for, in the order of the file."""
    matrix = found.file.matrix
    spans: dict[tuple[int, int], list[Role]] = {}
    folds_before = 0
    for one in ground.windows:
        number = one.number
        whole = config.model_copy(update={"window": one.window, "costs": costs})
        market = _market(found, ground, one.path, whole)
        if market is None:
            continue
        start_ns, end_ns = market.window([0] * len(market.feeds))
        if matrix.walk_forward is None:
            spans.setdefault((start_ns, end_ns), []).append(Role(number, None, "full"))
            continue
        folds = walk(matrix.walk_forward, start_ns, end_ns)
        if not folds:
            rule = matrix.walk_forward
            _note(
                found,
                Problem(
                    path="matrix.walk_forward",
                    source="",
                    what=f"no fold fits into the window from {format_utc(start_ns)} to {format_utc(end_ns)}",
                    expected=f"at least {span_text(rule.train + rule.embargo + rule.test)}",
                    remedy=f"lengthen {one.path}, or shorten train or test",
                    code="MATRIX_EMPTY",
                ),
            )
        for fold, pair in enumerate(folds, folds_before):
            spans.setdefault((pair.train.start_ns, pair.train.end_ns), []).append(Role(number, fold, "train"))
            spans.setdefault((pair.test.start_ns, pair.test.end_ns), []).append(Role(number, fold, "test"))
        folds_before += len(folds)
    return spans


def _setting(
    found: _Settings,
    ground: Ground,
    config: RunConfig,
    cost_set: int,
    start_ns: int,
    end_ns: int,
    roles: tuple[Role, ...],
) -> Setting | None:
    """Return a setting, None where it does not fit the data, which is noted."""
    window = WindowConfig(start=format_utc(start_ns), end=format_utc(end_ns))
    config = config.model_copy(update={"window": window})
    path = next(one.path for one in ground.windows if one.number == roles[0].window)
    role = "" if roles[0].fold is None else f", {roles[0].segment} of fold {roles[0].fold}"
    market = _market(found, ground, path, config, role)
    if market is None:
        return None
    versions = found.versions
    return Setting(
        number=0,  # it gets one when it is kept
        config=config,
        start_ns=start_ns,
        end_ns=end_ns,
        cost_set=cost_set,
        events=sum(history_events(one, end_ns) - history_events(one, start_ns) for one in market.executing),
        roles=roles,
        identity=Template(
            identities.build_identity(
                config,
                contract=versions.contract,
                engine=versions.engine,
                strategy_digest=versions.strategy,
                dataset=versions.dataset,
                params={},
                start_ns=start_ns,
                end_ns=end_ns,
                calendars=market.stated_calendars,
            )
        ),
        scenario=Template(
            identities.build_scenario(
                params={},
                instruments=config.instruments,
                frames=config.frames,
                start_ns=start_ns,
                end_ns=end_ns,
            )
        ),
    )


def _market(found: _Settings, ground: Ground, window: str, config: RunConfig, role: str = "") -> Market | None:
    """Return the market of a config; None, and its problems noted at the keys of the matrix, if there is none."""
    try:
        return found.open_market(config, found.dataset)
    except ConfigInvalid as error:
        for one in error.problems:
            path, what = one.path, one.what
            if path.startswith("instruments") and ground.path is not None:
                path = ground.path
            elif path.startswith("window"):
                path, what = window, f"{'+'.join(config.instruments)}{role}: {what}"
            _note(found, replace(one, path=path, what=what))
        return None


def _note(found: _Settings, problem: Problem) -> None:
    found.problems[problem] = None
