"""Decodes one Parquet file that nobody vouches for. Run as a script, by its path; imports nothing of this program.

A file can be made so that a decoder runs wild. Then this process dies, and nothing else; and what it says is nothing
but numbers and short texts of stated length, which the reader can check.

Arguments: the path, the most bytes of memory. Messages on stdout: length of a JSON object (uint32 LE), the object, and
behind it the bytes whose lengths it lists. First a description: {columns: [{name, kind, unit, utc}], metadata, index,
rows, groups}. Then a line of JSON is read from stdin: {columns: [{name, as, scale, digits}]}, `as` one of number,
stamp, scaled (whole numbers with `scale` digits behind the point, put on `digits` of them). Then for each batch
{rows, bytes, rounded}: of each column its values, eight bytes each, little-endian; of stamps that are text the text,
each behind its length (uint32). Last {end: rows}. What cannot be: {refused: {code, what, column, row}}.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from contextlib import suppress
from typing import Any

FOOTER_BYTES_MAX = 64 << 20
ROW_GROUPS_MAX = 1 << 16
COLUMNS_MAX = 1 << 12
VALUES_PER_BYTE_MAX = 128
"""Decoded values for each byte of the file; market data have far fewer, for no two prices are alike for long."""
VALUES_MIN = 1 << 22
"""So many are always allowed: then a file is too small to harm."""
BATCH_ROWS = 1 << 16
TEXT_BYTES_MAX = 64
EXACT_MAX = 1 << 53

WIDTHS = {8: "fixed8", 16: "fixed16"}


class Refused(Exception):
    """What cannot be read."""

    def __init__(self, code: str, what: str, column: str | None = None, row: int | None = None) -> None:
        super().__init__(what)
        self.message = {"code": code, "what": what, "column": column, "row": row}


def main() -> None:
    """Describe the file, then decode what is asked for."""
    path, memory = sys.argv[1], int(sys.argv[2])
    for limit, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0)):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    try:
        import pyarrow as pa

        try:
            decode(path)
        except (pa.ArrowException, OSError) as error:
            raise Refused(
                "DATA_ARROW", "the file cannot be decoded (" + str(error).splitlines()[0][:200] + ")"
            ) from error
        except MemoryError as error:
            raise Refused("DATA_ARROW", f"decoding the file takes more than {memory} bytes") from error
    except Refused as refused:
        send({"refused": refused.message})


def decode(path: str) -> None:
    """Send the description and the rows of a file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = check_footer(path)
    try:
        file = pq.ParquetFile(
            path,
            page_checksum_verification=True,
            coerce_int96_timestamp_unit="us",
            thrift_string_size_limit=FOOTER_BYTES_MAX,
            thrift_container_size_limit=1 << 24,
        )
    except (pa.ArrowException, OSError) as error:
        raise Refused("DATA_FORMAT", f"the footer cannot be read ({first_line(error)})") from error
    metadata, schema = file.metadata, file.schema_arrow
    check_size(metadata.num_row_groups, len(schema.names), metadata.num_rows, size)
    kinds = {field.name: kind_of(field.type) for field in schema}
    told = {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for key, value in (schema.metadata or {}).items()
        if len(key) <= 64 and len(value) <= 256
    }
    send({
        "columns": [{"name": field.name, **kinds[field.name]} for field in schema],
        "metadata": told,
        "index": index_columns((schema.metadata or {}).get(b"pandas", b"")),
        "rows": metadata.num_rows,
        "groups": metadata.num_row_groups,
    })  # fmt: skip
    asked = json.loads(sys.stdin.buffer.readline())["columns"]
    sent = 0
    # A group that has no rows makes no batch; columns of different lengths make a decoder stop with an error.
    for batch in file.iter_batches(BATCH_ROWS, columns=[one["name"] for one in asked], use_threads=False):
        rounded: list[Any] = []
        values = [column_bytes(batch.column(one["name"]), one, kinds[one["name"]], sent, rounded) for one in asked]
        sizes = [len(each) for each in values]
        send({"rows": batch.num_rows, "bytes": sizes, "rounded": rows_of_any(rounded)}, *values)
        sent += batch.num_rows
    if sent != metadata.num_rows:
        raise Refused("DATA_ARROW", f"the footer promises {metadata.num_rows} rows, there are {sent}")
    send({"end": sent})


def check_footer(path: str) -> int:
    """Return the size; refuse what is no Parquet, encrypted, cut off, or has a footer out of all proportion."""
    with open(path, "rb") as file:  # noqa: PTH123 - nothing more than it takes is imported here
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(4)
        file.seek(max(size - 8, 0))
        tail = file.read(8)
    if b"PARE" in (head, tail[4:]):
        raise Refused("DATA_FORMAT", "the file is encrypted")
    if size < 12 or head != b"PAR1" or tail[4:] != b"PAR1":
        raise Refused("DATA_FORMAT", "the file is no whole Parquet file; it was cut off")
    length = struct.unpack("<I", tail[:4])[0]
    if length > min(FOOTER_BYTES_MAX, size - 12):
        raise Refused("DATA_FORMAT", f"the file promises a footer of {length} bytes")
    return size


def check_size(groups: int, columns: int, rows: int, size: int) -> None:
    """Refuse what would unpack out of all proportion."""
    if groups > ROW_GROUPS_MAX:
        raise Refused("DATA_FORMAT", f"the file has {groups} row groups, more than {ROW_GROUPS_MAX}")
    if columns > COLUMNS_MAX:
        raise Refused("DATA_FORMAT", f"the file has {columns} columns, more than {COLUMNS_MAX}")
    if rows * columns > max(VALUES_MIN, size * VALUES_PER_BYTE_MAX):
        raise Refused("DATA_FORMAT", f"the file of {size} bytes would be unpacked to {rows} rows of {columns} columns")


def kind_of(type_: Any) -> dict[str, Any]:
    """Return {kind, unit, utc} of an Arrow type."""
    import pyarrow.types as t

    if t.is_dictionary(type_):
        return kind_of(type_.value_type)
    if t.is_timestamp(type_):
        return {"kind": "timestamp", "unit": type_.unit, "utc": type_.tz is not None}
    names = (
        (t.is_date(type_), "date"),
        (t.is_integer(type_), "integer"),
        (t.is_float64(type_), "float64"),
        (t.is_float32(type_), "float32"),
        (t.is_decimal(type_), "decimal"),
        (t.is_string(type_) or t.is_large_string(type_) or str(type_) == "string_view", "text"),
        (t.is_fixed_size_binary(type_), WIDTHS.get(type_.byte_width if t.is_fixed_size_binary(type_) else 0, "binary")),
    )
    return {"kind": next((name for is_so, name in names if is_so), str(type_)[:80]), "unit": "", "utc": False}


def index_columns(pandas: bytes) -> list[str]:
    """Return the names of the columns that pandas had as its index."""
    with suppress(ValueError, KeyError, TypeError):
        return [one for one in json.loads(pandas)["index_columns"] if isinstance(one, str)]
    return []


def rows_of_any(masks: list[Any]) -> int:
    """Return how many rows one of the masks marks."""
    import pyarrow.compute as pc

    marked = None
    for mask in masks:
        marked = mask if marked is None else pc.or_(marked, mask)
    return 0 if marked is None else int(pc.sum(marked).as_py() or 0)


def column_bytes(column: Any, asked: dict[str, Any], kind: dict[str, Any], before: int, rounded: list[Any]) -> bytes:
    """Return the values of a column of a batch. before: rows before it. rounded: takes a mask of changed rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name = asked["name"]
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.null_count:
        raise Refused("DATA_VALUE", "there is no value", name, before + pc.index(column.is_null(), True).as_py())
    if asked["as"] == "stamp":
        return stamp_bytes(column, name, kind, before)
    if asked["as"] == "scaled":
        exact = unscaled(column, kind, asked["scale"])
        put = pc.round(exact, ndigits=asked["digits"], round_mode="half_towards_infinity")
        rounded.append(pc.not_equal(exact, put))
        return number_bytes(put, name, before)
    return number_bytes(column, name, before)


def stamp_bytes(column: Any, name: str, kind: dict[str, Any], before: int) -> bytes:
    """Return stamps as int64 in their own unit (days of dates in ms), or their texts, each behind its length."""
    import pyarrow as pa

    if kind["kind"] == "text":
        texts = [text.encode() for text in column.to_pylist()]
        for row, text in enumerate(texts):
            if len(text) > TEXT_BYTES_MAX:
                raise Refused("DATA_TZ", f"the stamp has {len(text)} bytes", name, before + row)
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if kind["kind"] == "date":
        column = column.cast(pa.date64())
    elif kind["kind"] == "integer":
        column = column.cast(pa.int64())
    return little_endian(column.view(pa.int64()))


def number_bytes(column: Any, name: str, before: int) -> bytes:
    """Return numbers as the doubles nearest to them; of float32 to the shortest decimal that it stands for."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(column.type):
        large = pc.greater(
            pc.abs_checked(column.cast(pa.decimal128(38, 0))), pa.scalar(EXACT_MAX, pa.decimal128(38, 0))
        )
        if pc.any(large).as_py():
            raise Refused(
                "DATA_VALUE", "the whole number has no exact double", name, before + pc.index(large, True).as_py()
            )
    elif not pa.types.is_float64(column.type):
        column = column.cast(pa.string())
        wrong = pc.invert(pc.match_substring_regex(column, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^-?(nan|inf)$"))
        if pc.any(wrong).as_py():
            row = pc.index(wrong, True).as_py()
            raise Refused("DATA_VALUE", f"{column[row].as_py()[:40]!r} is no number", name, before + row)
        column = pc.replace_substring_regex(column, r"^\+", "")
    return little_endian(column.cast(pa.float64()))


def unscaled(column: Any, kind: dict[str, Any], scale: int) -> Any:
    """Return whole numbers of 8 or 16 bytes as decimals with `scale` digits behind the point."""
    import numpy as np
    import pyarrow as pa

    if kind["kind"] == "fixed16":
        raw = column.buffers()[1].slice(column.offset * 16, len(column) * 16)
    else:
        halves = np.empty((len(column), 2), dtype="<i8")
        source = column.cast(pa.int64()) if kind["kind"] == "integer" else column
        halves[:, 0] = np.frombuffer(little_endian(source), dtype="<i8")
        halves[:, 1] = halves[:, 0] >> 63
        raw = pa.py_buffer(halves.tobytes())
    return pa.Array.from_buffers(pa.decimal128(38, scale), len(column), [None, raw])


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def little_endian(column: Any) -> bytes:
    """Return the values of a column of eight-byte numbers without nulls."""
    start = column.offset * 8
    data: bytes = column.buffers()[1].to_pybytes()[start : start + len(column) * 8] if len(column) else b""
    return data


def send(message: dict[str, Any], *payload: bytes) -> None:
    """Write a message."""
    text = json.dumps(message).encode()
    sys.stdout.buffer.write(struct.pack("<I", len(text)) + text)
    for part in payload:
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
