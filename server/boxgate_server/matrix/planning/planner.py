"""From a matrix file to its plan: opens the dataset, asks the strategy once for its parameters, checks everything."""

from __future__ import annotations

import math
from importlib.metadata import version
from pathlib import Path
from typing import Final

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import ConfigInvalid, Problem, UserMistake
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.course import ENGINE_VERSION
from boxgate_server.folders import check_folders
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.planning.plan import Plan, check_count
from boxgate_server.matrix.planning.proposed import ListedSpace, Proposing, search_space
from boxgate_server.matrix.planning.setting import Versions
from boxgate_server.matrix.planning.settings import matrix_settings
from boxgate_server.matrix.planning.space import ParamSets, axis_size, param_space
from boxgate_server.outcome import Watcher
from boxgate_server.sidecars import CONTRACT_VERSIONS, SidecarHost, SidecarLimits
from boxgate_server.stock import Stock
from boxgate_server.strategy_files import StrategyFiles

SETTINGS_MAX: Final = 100_000
"""Most combinations of instruments, windows and costs of one matrix; each is checked against the data."""


def make_plan(file: MatrixFile, *, folder: Path, watcher: Watcher | None = None) -> Plan:
    """Return the plan of a matrix. folder: where relative paths start.

    Raises ConfigInvalid with what does not fit strategy or data; UserMistake MATRIX_TOO_LARGE, before anything is
    opened, or MATRIX_EMPTY; what opening the dataset and starting the strategy raise.
    """
    watcher = watcher or Watcher()
    base, matrix = file.base, file.matrix
    _check_size(file)
    check_folders(base, folder)
    stock = Stock(folder)
    dataset = stock.dataset(base, watcher)
    digest = StrategyFiles(folder).digest(base, folder / base.artifacts)
    watcher.stage("asking the strategy for its parameters")
    schema = ask_schema(base, folder)
    problems: list[Problem] = []
    space: ParamSets | None = None
    proposing = None
    try:
        if matrix.search.proposes:
            offered = search_space(base.strategy.params, matrix.params, schema, debug=base.mode == "debug")
            proposing = Proposing(config=matrix.search, space=offered, library=f"optuna {version('optuna')}")
            space = ListedSpace(offered, (), proposing.trials)
        else:
            space = param_space(base.strategy.params, matrix.params, schema, debug=base.mode == "debug")
    except ConfigInvalid as error:
        problems += error.problems
    watcher.stage("checking windows and instruments")
    versions = Versions(
        contract=str(CONTRACT_VERSIONS[-1]), engine=ENGINE_VERSION, strategy=digest, dataset=dataset.hash
    )
    blocks = []
    try:
        blocks = matrix_settings(file, dataset, versions, stock.market)
    except ConfigInvalid as error:
        problems += error.problems
    if problems:
        raise ConfigInvalid(problems)
    assert space is not None
    seed = base.determinism.master_seed if matrix.search.seed is None else matrix.search.seed
    plan = Plan(
        versions=versions,
        blocks=blocks,
        space=space,
        seed=seed,
        trials=None if proposing else matrix.search.trials,
        proposing=proposing,
        target_runs=matrix.target_runs,
    )
    plan.check()
    return plan


def ask_schema(config: RunConfig, folder: Path) -> list[pb.ParameterSchema]:
    """Return the parameters that a strategy declares. It is started for the question and ended after it."""
    limits = SidecarLimits(handshake_s=config.limits.handshake_s, stop_s=config.limits.stop_grace_s)
    with SidecarHost() as host:
        sidecar = host.start(list(config.strategy.command), cwd=folder, mode=config.mode, limits=limits)
        try:
            described = sidecar.connection.describe(pb.DescribeRequest(contract_versions=CONTRACT_VERSIONS))
        finally:
            sidecar.kill()
    return list(described.parameters)


def _check_size(file: MatrixFile) -> None:
    """Refuse a product that is too large by what the file says alone; what only the data tell is counted later."""
    matrix = file.matrix
    settings = sum(len(one.windows) for one in file.grounds) * len(matrix.costs or (None,))
    if settings > SETTINGS_MAX:
        raise UserMistake(
            f"the matrix has {settings:,} combinations of instruments, windows and costs",
            code="MATRIX_TOO_LARGE",
            where="matrix",
            expected=f"at most {SETTINGS_MAX:,}",
            remedy="take fewer instruments, windows or costs",
        )
    trials = matrix.search.trials
    if matrix.search.proposes:
        assert trials is not None
        sets = trials
    else:
        sets = math.prod(map(axis_size, matrix.params.values()))
        sets = sets if trials is None else min(sets, trials)
    if matrix.target_runs is None:
        check_count(settings * sets)
    else:
        check_count(min(settings * sets, matrix.target_runs))
