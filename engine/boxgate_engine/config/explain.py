"""Validation errors in plain words."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from boxgate_engine.config.document import Document, KeyPath, path_text
from boxgate_engine.config.fields import CURRENCY_PATTERN, SYMBOL_PATTERN, TEXT_PATTERN
from boxgate_engine.config.model import RunConfig
from boxgate_engine.errors import Problem

_EXPECTED: Final = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list, such as [a, b]",
    "list_type": "a list, such as [a, b]",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "finite_number": "a finite number",
}
"""What each kind of validation error asks for. Kinds with bounds are worded from their context below."""

_BOUNDS: Final = {
    "greater_than": ("gt", "above {}"),
    "greater_than_equal": ("ge", "at least {}"),
    "less_than": ("lt", "below {}"),
    "less_than_equal": ("le", "at most {}"),
    "too_short": ("min_length", "at least {} of them"),
    "too_long": ("max_length", "at most {} of them"),
    "string_too_long": ("max_length", "at most {} characters"),
    "literal_error": ("expected", "{}"),
}

_FORMS: Final = {
    SYMBOL_PATTERN: "a symbol: letters, digits and . _ # -, at most 32 characters",
    CURRENCY_PATTERN: "a currency code such as USD or USDT",
    TEXT_PATTERN: "text that is not empty and has no control characters",
}


def explain(error: ValidationError, document: Document, *, model: type[BaseModel] = RunConfig) -> list[Problem]:
    """Return one problem per key path that failed, in the order of the config's keys.

    model: has the keys that the document may have, of which a name that is close to an unknown key is suggested.
    """
    problems: dict[KeyPath, Problem] = {}
    refused_before = {problem.path for problem in document.problems}
    for detail in error.errors(include_url=False):
        path = _key_path(detail["loc"], document.value, missing=detail["type"] == "missing")
        if path_text(path) in refused_before or _is_echo(detail):
            continue
        what, expected, remedy = _words(detail, path, model)
        known = problems.get(path)
        if known is not None:
            # Several branches of a union failed at one key: one problem, all that would have been right.
            alternatives = dict.fromkeys([*known.expected.split(" or "), expected])
            expected, remedy = " or ".join(alternatives), known.remedy
        problems[path] = Problem(
            path=path_text(path), source=document.source(path), what=what, expected=expected, remedy=remedy
        )
    return list(problems.values())


def _is_echo(detail: ErrorDetails) -> bool:
    """True if a list counts as too short only because entries of it were refused, which is told of each."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail.get("ctx", {})["min_length"]


def _words(detail: ErrorDetails, path: KeyPath, model: type[BaseModel]) -> tuple[str, str, str]:
    """Return what, expected and remedy of one validation error."""
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "refused":
        return context["what"], context["expected"], context["remedy"]
    if kind == "extra_forbidden":
        return _unknown_key(path, model)
    if kind == "missing":
        return "the key is missing", "a value", f"add {path_text(path)}"
    if kind == "string_pattern_mismatch":
        expected = _FORMS[context["pattern"]]
    elif kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context[key]
        expected = words.format(int(bound) if isinstance(bound, float) and bound.is_integer() else bound)
    else:
        expected = _EXPECTED.get(kind, detail["msg"])
    return f"got {_shown(value)}", expected, _remedy(kind, value, context)


def _key_path(loc: tuple[int | str, ...], value: Any, *, missing: bool) -> KeyPath:
    """Return the part of a pydantic location that exists in the document, plus the last key if it is missing.

    A location also names branches of unions, such as `int` or `function-after[…]`, which no reader wrote.
    """
    path: list[int | str] = []
    for index, part in enumerate(loc):
        inside = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if inside:
            value = value[part]
            path.append(part)
        elif missing and index == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _unknown_key(path: KeyPath, model: type[BaseModel]) -> tuple[str, str, str]:
    key = str(path[-1])
    siblings = _keys_at(path[:-1], model)
    close = difflib.get_close_matches(key, siblings, n=1, cutoff=0.6)
    elsewhere = [path_text(other) for other in _known_paths(model) if other[-1] == key]
    suggestion = path_text((*path[:-1], close[0])) if close else (elsewhere[0] if elsewhere else "")
    remedy = f"did you mean {suggestion}?" if suggestion else "remove it or correct its name"
    return f"unknown key {key!r}", f"one of {', '.join(siblings)}" if siblings else "no key here", remedy


def _keys_at(path: KeyPath, model: type[BaseModel]) -> list[str]:
    # What stands in a list has the keys of one entry.
    path = tuple(part for part in path if isinstance(part, str))
    keys = {str(other[-1]) for other in _known_paths(model) if other[:-1] == path}
    if not keys and path[:-1] in _known_paths(model):
        # Behind a name that the reader chose, such as a symbol: the keys of any entry.
        keys = {str(other[-1]) for other in _known_paths(model) if other[:-1] == path[:-1]}
    return sorted(keys)


@functools.cache
def _known_paths(model: type[BaseModel]) -> tuple[KeyPath, ...]:
    return tuple(_all_paths(model, ()))


def _all_paths(model: type[BaseModel], at: KeyPath) -> Iterator[KeyPath]:
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        yield (*at, name)
        for section in _sections(field.annotation):
            yield from _all_paths(section, (*at, name))


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not None:
        for part in get_args(annotation):
            yield from _sections(part)


def _remedy(kind: str, value: Any, context: dict[str, Any]) -> str:
    if isinstance(value, str):
        if kind == "literal_error":
            close = difflib.get_close_matches(value, re.findall(r"'([^']*)'", context["expected"]), n=1)
            return f"did you mean {close[0]}?" if close else "choose one of them"
        if kind in {"int_type", "float_type"} and value.strip("+-. ")[:1].isdigit():
            return "write the number without quotes"
        if kind == "bool_type":
            return "write true or false, not yes, no, on or off"
    if kind in {"tuple_type", "list_type"}:
        return "put it in brackets: [ ]"
    return "correct the value"


def _shown(value: Any) -> str:
    words = {str: "text", bool: "true/false", int: "number", float: "number", list: "list", dict: "mapping"}
    if value is None:
        return "nothing"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({words.get(type(value), type(value).__name__)})"
