"""YAML as the run config reads it: YAML 1.2 scalars, no tags, no anchors, no key twice, every line known."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from boxgate_engine.errors import Problem

SIZE_BYTES_MAX: Final = 1 << 20
"""Largest config file that is read."""
DEPTH_MAX: Final = 32
"""Deepest nesting that is read."""
VALUES_MAX: Final = 5_000
"""Most keys and values that are read."""

KeyPath = tuple[str | int, ...]

_TAG: Final = "tag:yaml.org,2002:"
_INT: Final = re.compile(r"[-+]?[0-9]{1,400}|0o[0-7]{1,400}|0x[0-9a-fA-F]{1,400}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
    **dict.fromkeys([f"{sign}.{name}" for sign in ("", "+") for name in ("inf", "Inf", "INF")], math.inf),
    **dict.fromkeys([f"-.{name}" for name in ("inf", "Inf", "INF")], -math.inf),
}


@dataclass(kw_only=True)
class Document:
    """A YAML document as plain values.

    value: dicts, lists and scalars. sources: where each key path stands. problems: what was refused on the way.
    """

    value: Any = None
    sources: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def source(self, path: KeyPath) -> str:
        """Return where a key path stands, or its nearest parent if it is missing."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.sources:
                return self.sources[path[:length]]
        return ""

    def refuse(self, path: KeyPath, what: str, *, expected: str, remedy: str, source: str | None = None) -> None:
        """Note a problem at a key path."""
        self.problems.append(
            Problem(
                path=path_text(path),
                source=self.source(path) if source is None else source,
                what=what,
                expected=expected,
                remedy=remedy,
            )
        )


def read_document(text: str, *, name: str, at: KeyPath = ()) -> Document:
    """Return the document in `text`; never raises for bad YAML, but lists its problems.

    name: what the lines are counted in, such as the file name. at: key path of the document's root.
    """
    document = Document(sources={at: name})
    try:
        root = yaml.compose(text, Loader=_ShallowLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.refuse(
            at,
            f"not valid YAML: {', '.join(part for part in (error.context, error.problem) if part)}",
            expected="one YAML mapping of plain values",
            remedy="correct the line",
            source=f"{name}:{mark.line + 1}" if mark else name,
        )
        return document
    except yaml.YAMLError as error:
        detail = str(error).splitlines()[0]
        document.refuse(at, f"not valid YAML: {detail}", expected="printable UTF-8 text", remedy="correct the file")
        return document
    if root is not None:
        document.value = _Reader(document, name).value(root, at)
    return document


def path_text(path: KeyPath) -> str:
    """Return `a.b[0].c` for a key path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


class _ShallowLoader(yaml.SafeLoader):
    """Composes nodes; refuses tags and what could grow: aliases and deep nesting."""

    _depth = 0
    _values = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        refusal = None
        if isinstance(event, yaml.AliasEvent):
            refusal = f"alias *{event.anchor} is not allowed, write the value out"
        elif event.tag is not None:
            refusal = f"tag {event.tag.replace(_TAG, '!!')} is not allowed, write a plain value"
        elif self._depth >= DEPTH_MAX:
            refusal = f"nested deeper than {DEPTH_MAX} levels"
        elif self._values >= VALUES_MAX:
            refusal = f"more than {VALUES_MAX} keys and values"
        if refusal is not None:
            raise yaml.MarkedYAMLError(problem=refusal, problem_mark=event.start_mark)
        self._depth += 1
        self._values += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Reader:
    """Turns nodes into values and notes where they stand."""

    def __init__(self, document: Document, name: str) -> None:
        self._document = document
        self._name = name

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        source = f"{self._name}:{node.start_mark.line + 1}"
        self._document.sources[path] = source
        if isinstance(node, yaml.MappingNode):
            return {key: self.value(child, (*path, key)) for key, child in self._pairs(node, path)}
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode), node
        return _plain_scalar(node.value) if node.style is None else node.value

    def _pairs(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
        seen: dict[str, int] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if not isinstance(key_node, yaml.ScalarNode) or key == "<<":
                self._document.refuse(
                    path,
                    "a key that is not a plain word",
                    expected="text keys",
                    remedy="write the key as one word",
                    source=f"{self._name}:{line}",
                )
            elif key in seen:
                self._document.refuse(
                    (*path, key),
                    f"the key {key!r} stands twice, first in line {seen[key]}",
                    expected="each key once",
                    remedy="remove one of them",
                    source=f"{self._name}:{line}",
                )
            else:
                seen[key] = line
                yield key, child


def _plain_scalar(text: str) -> Any:
    """Return the value of unquoted text by YAML 1.2: `yes`, `on`, `1:30` and dates are text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
