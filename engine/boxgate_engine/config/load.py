"""Reading, overriding and validating a run config."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from boxgate_engine.config.document import SIZE_BYTES_MAX, Document, KeyPath, path_text, read_document
from boxgate_engine.config.explain import explain
from boxgate_engine.config.model import RunConfig
from boxgate_engine.errors import ConfigInvalid, Problem

_SEE: Final = "name the YAML file of a run, for example configs/demo.yaml"
_SHOWN_MAX: Final = 80
"""Characters of an override that an error repeats."""


def load_config(path: Path | str, overrides: Sequence[str] = (), *, attached: bool = False) -> RunConfig:
    """Return the validated config in a YAML file.

    overrides: `key.path=value` each, the value in YAML, applied in order. attached: the strategy is already running
    elsewhere, so that `strategy.command` may be missing.
    Raises ConfigInvalid with all problems that could be found, each with key path and line.
    """
    return parse_config(_read_text(Path(path)), overrides, name=str(path), attached=attached)


def parse_config(
    text: str, overrides: Sequence[str] = (), *, name: str = "config", attached: bool = False
) -> RunConfig:
    """Return the validated config in a YAML text; `name` stands for the file in messages."""
    document = read_document(text, name=name)
    if not document.problems and not isinstance(document.value, dict):
        document.refuse((), "the config is empty or not a mapping", expected="`key: value` lines", remedy=_SEE)
    if not isinstance(document.value, dict):
        raise ConfigInvalid(document.problems)
    for override in overrides:
        _apply(document, override)
    return validate_document(document, attached=attached)


def validate_document(document: Document, *, attached: bool = False, model: type[BaseModel] = RunConfig) -> RunConfig:
    """Return the run config in a document. model: whose keys are suggested for unknown ones.

    Raises ConfigInvalid with all problems, those that the document has already first.
    """
    try:
        config = RunConfig.model_validate(document.value)
    except ValidationError as error:
        raise ConfigInvalid([*document.problems, *explain(error, document, model=model)]) from None
    _check_together(config, document, attached=attached)
    if document.problems:
        raise ConfigInvalid(document.problems)
    return config


def config_document(path: Path | str, overrides: Sequence[str] = ()) -> Document:
    """Return the document of a config with its overrides, as far as it can be read; its values may be wrong.

    Raises ConfigInvalid only for a file that cannot be read at all.
    """
    document = read_document(_read_text(Path(path)), name=str(path))
    if isinstance(document.value, dict):
        for override in overrides:
            _apply(document, override)
    return document


def locate_problems(error: ConfigInvalid, document: Document) -> ConfigInvalid:
    """Return the error with the place in the document for each problem that was found after reading it."""
    return ConfigInvalid(
        [p if p.source or not p.path else replace(p, source=document.source(_keys(p.path))) for p in error.problems]
    )


def _keys(path: str) -> KeyPath:
    """Return the key path that `path_text` wrote."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path))


def _read_text(path: Path) -> str:
    def refused(what: str, expected: str = "a readable YAML file") -> ConfigInvalid:
        return ConfigInvalid([Problem(path="", source=str(path), what=what, expected=expected, remedy=_SEE)])

    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise refused("the config is not a file")
        with path.open("rb") as file:
            data = file.read(SIZE_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise refused("there is no such config file") from None
    except (OSError, ValueError) as error:
        raise refused(f"the config cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > SIZE_BYTES_MAX:
        raise refused(f"the config has more than {SIZE_BYTES_MAX} bytes", f"at most {SIZE_BYTES_MAX} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(f"the config is not UTF-8: byte {error.start}", "UTF-8 text") from None


def _apply(document: Document, override: str) -> None:
    """Set one key of the document; notes a problem if the override has no such form or place."""
    source = f"--set {override if len(override) <= _SHOWN_MAX else override[: _SHOWN_MAX - 1] + '…'}"
    keys, equals, text = override.partition("=")
    path: KeyPath = tuple(part.strip() for part in keys.split("."))
    if not equals or not all(path):
        document.refuse(
            (), "an override has no key or no value", expected="key.path=value", remedy="correct it", source=source
        )
        return
    parent = document.value
    for depth, key in enumerate(path[:-1], start=1):
        child = parent.setdefault(key, {})
        if child is None:
            child = parent[key] = {}
        if not isinstance(child, dict):
            document.refuse(
                path,
                f"{path_text(path[:depth])} is not a mapping, so it has no key {path[depth]!r}",
                expected=f"a key path that ends at {path_text(path[:depth])} or before",
                remedy=f"set the whole value: --set '{path_text(path[:depth])}={{{path[depth]}: …}}'",
                source=source,
            )
            return
        document.sources.setdefault(path[:depth], source)
        parent = child
    given = read_document(text, name=source, at=path)
    document.problems.extend(
        Problem(path=p.path, source=source, what=p.what, expected=p.expected, remedy=p.remedy) for p in given.problems
    )
    parent[path[-1]] = given.value
    for old in [known for known in document.sources if known[: len(path)] == path]:
        del document.sources[old]
    document.sources.update(dict.fromkeys(given.sources, source))


def _check_together(config: RunConfig, document: Document, *, attached: bool) -> None:
    """Note what is right by itself and wrong together."""
    if not config.strategy.command and not attached:
        document.refuse(
            ("strategy", "command"),
            "no command is given",
            expected="the program and its arguments, such as [python, strategy.py]",
            remedy="add it, or attach to a running strategy",
        )
    execution = config.execution
    if execution.calendars and execution.hours != "calendar":
        document.refuse(
            ("execution", "calendars"),
            f"calendars are named, and execution.hours is {execution.hours}",
            expected="execution.hours: calendar, or no calendars",
            remedy="set execution.hours: calendar, or leave execution.calendars out",
        )
    series = execution.series if isinstance(execution.series, dict) else {}
    for section, symbol in [*(("series", one) for one in series), *(("calendars", one) for one in execution.calendars)]:
        if symbol not in config.instruments:
            document.refuse(
                ("execution", section, symbol),
                f"{symbol} is not an instrument of the run",
                expected=f"one of {', '.join(config.instruments)}",
                remedy="correct the symbol or add it to instruments",
            )
