"""Reading a matrix file: the run config in it, what varies, and what is wrong with either, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from boxgate_engine.config import RunConfig, config_document, validate_document
from boxgate_engine.config.document import Document, path_text
from boxgate_engine.config.explain import explain
from boxgate_engine.errors import ConfigInvalid, Problem
from boxgate_engine.remote_folder import shown_address
from boxgate_server.matrix.config.instruments import Ground, entry_of, grounds
from boxgate_server.matrix.config.model import MatrixConfig, MatrixDocument, MatrixKeys, RangeConfig
from boxgate_server.matrix.config.places import IoConfig
from boxgate_server.matrix.config.repetitions import repetition_problems
from boxgate_server.matrix.config.runner import RunnerConfig

_OWN: Final = tuple(MatrixKeys.model_fields)
_UNKNOWN_WINDOW: Final = {"start": "1970-01-01", "end": "last"}
"""Stands in while the windows of the matrix are wrong, so that the rest can be checked with them."""


@dataclass(frozen=True, kw_only=True)
class MatrixFile:
    """A valid matrix file.

    base: the run config; its instruments are all that occur, its window is the first one. document: where each key
    stands.
    """

    base: RunConfig
    matrix: MatrixConfig
    runner: RunnerConfig
    io: IoConfig
    document: Document

    @property
    def store(self) -> str:
        """The folder of runs and matrices, or the one that stands for an address, as the file writes it."""
        return self.io.folder

    @cached_property
    def grounds(self) -> list[Ground]:
        """What runs are made on, in the order of the file."""
        return grounds(self.matrix.instruments, self.matrix.windows, self.base)


def load_matrix(path: Path | str, overrides: Sequence[str] = ()) -> MatrixFile:
    """Return the valid content of a matrix file. overrides: `key.path=value` each.

    Raises ConfigInvalid with all problems that could be found, each with key path and line.
    """
    document = config_document(path, overrides)
    if not isinstance(document.value, dict):
        if not document.problems:
            document.refuse(
                (),
                "the file is empty or not a mapping",
                expected="the keys of a run config and `matrix`",
                remedy="name the YAML file of a matrix, for example configs/matrix/demo.yaml",
            )
        raise ConfigInvalid(document.problems)
    given = document.value
    problems = list(document.problems)
    keys = _matrix_keys(document, given, problems)
    base = _base(document, given, keys, problems)
    if keys is not None:
        problems += repetition_problems(keys.matrix, given, document) + _runner_problems(keys, document)
        problems += _store_problems(keys, given, document)
    if problems:
        raise ConfigInvalid(problems)
    assert base is not None
    assert keys is not None
    return MatrixFile(
        base=_with_io(base, keys.io), matrix=keys.matrix, runner=keys.runner, io=keys.io, document=document
    )


def _matrix_keys(document: Document, given: dict[str, Any], problems: list[Problem]) -> MatrixKeys | None:
    """Return the keys of the matrix, None if they are wrong; the costs of each set are filled up from those beside."""
    own = {key: given[key] for key in _OWN if key in given}
    costs, matrix = given.get("costs", {}), own.get("matrix")
    if isinstance(matrix, dict) and isinstance(costs, dict) and isinstance(matrix.get("costs"), list):
        sets = [{**costs, **one} if isinstance(one, dict) else one for one in matrix["costs"]]
        own["matrix"] = {**matrix, "costs": sets}
    part = Document(value=own, sources=document.sources, problems=list(document.problems))
    try:
        return MatrixKeys.model_validate(own)
    except ValidationError as error:
        problems += explain(error, part, model=MatrixDocument)
        return None


def _base(
    document: Document, given: dict[str, Any], keys: MatrixKeys | None, problems: list[Problem]
) -> RunConfig | None:
    """Return the run config, None if it is wrong: instruments and window are those of the matrix, if it has some."""
    value = {key: entry for key, entry in given.items() if key not in _OWN}
    matrix = given.get("matrix")
    varied = matrix if isinstance(matrix, dict) else {}
    if "instruments" in varied:
        value["instruments"] = _symbols(keys.matrix if keys else None)
    listed = varied.get("instruments")
    entries = listed if isinstance(listed, list) and all(isinstance(one, dict) for one in listed) else []
    if "windows" in varied or (entries and all("windows" in one for one in entries)):
        value["window"] = _first_window(keys.matrix if keys else None)
    if "frames" not in value and entries and all("frames" in one for one in entries):
        value["frames"] = _frames(entries)
    report = value.get("report", {})
    if isinstance(report, dict):
        value["report"] = {"html": False, **report}
    part = Document(value=value, sources=document.sources)
    told = {problem.path for problem in problems}
    try:
        return validate_document(part, model=MatrixDocument)
    except ConfigInvalid as error:
        problems += [one for one in error.problems if one.path not in told]
        return None


def _symbols(matrix: MatrixConfig | None) -> list[str]:
    if matrix is None or matrix.instruments is None:
        return ["UNKNOWN"]
    return list(dict.fromkeys(symbol for entry in matrix.instruments for symbol in entry_of(entry).instruments))


def _frames(entries: list[Any]) -> list[Any]:
    """Return the frames of entries that all have some."""
    listed = [frame for entry in entries if isinstance(entry["frames"], list) for frame in entry["frames"]]
    return list(dict.fromkeys(frame for frame in listed if isinstance(frame, str))) or ["M1"]


def _first_window(matrix: MatrixConfig | None) -> dict[str, str]:
    if matrix is None:
        return dict(_UNKNOWN_WINDOW)
    own = [window for entry in matrix.instruments or () for window in entry_of(entry).windows or ()]
    first = (matrix.windows or own)[0]
    return {"start": first.start, "end": first.end}


def _runner_problems(keys: MatrixKeys, document: Document) -> list[Problem]:
    """Return what is asked for and cannot be done."""
    concurrency = keys.runner.concurrency
    method = keys.matrix.search.method
    problems = []
    if not keys.matrix.search.proposes:
        problems += [
            Problem(
                path=f"matrix.params.{name}",
                source=document.source(("matrix", "params", name)),
                what=f"the search {method} needs a step: without it the range has no end",
                expected="{from: 1.0, to: 2.0, step: 0.5}",
                remedy="add step",
            )
            for name, axis in keys.matrix.params.items()
            if isinstance(axis, RangeConfig) and axis.step is None
        ]
    where = {"distributed": "a cluster", "process": "this host"}[concurrency.strategy]
    if (concurrency.strategy == "distributed") != (keys.runner.ray.address is not None):
        at = ("runner", "ray", "address")
        problems.append(
            Problem(
                path=path_text(at),
                source=document.source(at),
                what=f"runner.concurrency.strategy means {where}, and the address "
                + ("is missing" if keys.runner.ray.address is None else "a cluster"),
                expected="strategy: distributed with an address, or process without one",
                remedy="set runner.ray.address to host:port of the head (--ray-address does both), or leave it out",
            )
        )
    return problems


def _store_problems(keys: MatrixKeys, given: dict[str, Any], document: Document) -> list[Problem]:
    problems = []
    address, runs = keys.io.address, keys.io.runs
    if "artifacts" in given and (address is not None or given["artifacts"] != runs):
        where = runs if address is None else shown_address(address)
        problems.append(
            Problem(
                path="artifacts",
                source=document.source(("artifacts",)),
                what=f"the runs of a matrix lie in {where}, as io.artifacts_store says",
                expected="the key left out" if address else f"{runs}, or the key left out",
                remedy="remove artifacts, or set io.artifacts_store to the folder above it",
            )
        )
    cache = given.get("data_provider")
    local = cache.get("cache") if isinstance(cache, dict) else None
    named = local.get("local_dir") if isinstance(local, dict) else None
    if keys.io.dataset_cache is not None and named not in (None, keys.io.dataset_cache):
        problems.append(
            Problem(
                path="io.dataset_cache",
                source=document.source(("io", "dataset_cache")),
                what="it and data_provider.cache.local_dir name different folders",
                expected="one of the two",
                remedy="leave one of the two out",
            )
        )
    return problems


def _with_io(base: RunConfig, io: IoConfig) -> RunConfig:
    """Return the config with the folders that `io` names."""
    update: dict[str, Any] = {} if io.runs is None else {"artifacts": io.runs}
    if io.dataset_cache is not None:
        cache = base.data_provider.cache.model_copy(update={"local_dir": io.dataset_cache})
        update["data_provider"] = base.data_provider.model_copy(update={"cache": cache})
    return base.model_copy(update=update)
