"""Looks for a secret in every file below a folder, in the forms that it could take there."""

from __future__ import annotations

import base64
import gzip
import html
import json
import urllib.parse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet


def find_canaries(folder: Path, secret: str, *, but: tuple[Path, ...] = ()) -> list[str]:
    """Return where the secret occurs below a folder, as "path (part): form"; links are not followed.

    but: folders that are left out. Names of files count as well as what they hold.
    """
    found = []
    wanted = forms(secret)
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or any(path.is_relative_to(other) for other in but):
            continue
        parts = [("name", path.name.encode())]
        if path.is_file():
            parts += contents(path)
        name = path.relative_to(folder)
        found += [f"{name} ({part}): {form}" for part, data in parts for form in occurrences(data, wanted)]
    return found


def occurrences(data: bytes, wanted: dict[str, bytes]) -> list[str]:
    """Return the names of the forms that occur in the data."""
    return [form for form, text in wanted.items() if text in data]


def forms(secret: str) -> dict[str, bytes]:
    """Return the bytes of the secret in each form by its name. secret: at least 12 letters and digits."""
    assert len(secret) >= 12
    assert secret.isalnum()
    raw = secret.encode()
    found = {
        "utf-8": raw,
        "utf-16-le": secret.encode("utf-16-le"),
        "utf-16-be": secret.encode("utf-16-be"),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "reversed": raw[::-1],
    }
    for shift in range(3):
        # Whatever stands before and after it, these characters come from the secret alone.
        coded = base64.b64encode(bytes(shift) + raw)
        first, last = -(-shift * 8 // 6), (shift + len(raw)) * 8 // 6
        found[f"base64, {shift} before"] = coded[first:last]
    return found


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (part, bytes) of a file: as it lies there, and decoded where its format is known."""
    raw = path.read_bytes()
    yield "bytes", raw
    if path.suffix == ".parquet":
        yield from _parquet(path)
    elif path.suffix in (".json", ".ndjson"):
        lines = raw.splitlines() if path.suffix == ".ndjson" else [raw]
        yield "values", "\n".join(text for line in lines for text in _texts(json.loads(line))).encode()
    elif path.suffix == ".html":
        text = raw.decode("utf-8")
        yield "text", html.unescape(text).encode()
        yield "unquoted", urllib.parse.unquote(text).encode()
    if raw[:2] == b"\x1f\x8b":
        yield "unpacked", gzip.decompress(raw)
    elif raw[:1] == b"\x78":
        yield "unpacked", zlib.decompress(raw)


def _parquet(path: Path) -> Iterator[tuple[str, bytes]]:
    file = pyarrow.parquet.ParquetFile(path)
    table = file.read()
    told = [repr(file.metadata.metadata), repr(table.schema.metadata), str(file.metadata.created_by)]
    for field in table.schema:
        told += [field.name, repr(field.metadata)]
        told += [str(value) for value in table[field.name].to_pylist()]
    yield "table", "\n".join(told).encode()
    for group in range(file.metadata.num_row_groups):
        columns = (file.metadata.row_group(group).column(k) for k in range(file.metadata.num_columns))
        yield "statistics", "\n".join(str(column.statistics) for column in columns).encode()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    else:
        yield str(value)
