"""The index of a matrix as one file: CSV or Parquet, with every column."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def write_csv(index: Path, path: Path) -> Path:
    """Write the index as CSV and return the path. Lists are joined by commas; an undefined value is empty.

    A text that a spreadsheet would take for a formula gets a leading apostrophe. index: the folder of part-*.parquet.
    """
    import polars as pl

    def cell(name: str, kind: pl.DataType) -> pl.Expr:
        text = pl.col(name).list.join(",") if isinstance(kind, pl.List) else pl.col(name)
        if not isinstance(kind, (pl.List, pl.String)):
            return text
        return pl.when(text.str.contains(r"^[=+\-@\t\r]")).then(pl.lit("'") + text).otherwise(text).alias(name)

    lazy = _sorted(index)
    cells = [cell(name, kind) for name, kind in lazy.collect_schema().items()]
    return _written(path, lambda aside: lazy.select(cells).sink_csv(aside))


def write_parquet(index: Path, path: Path) -> Path:
    """Write the index as one Parquet file, sorted by run_id, and return the path."""
    lazy = _sorted(index)
    return _written(path, lambda aside: lazy.sink_parquet(aside, compression="zstd"))


def _sorted(index: Path) -> pl.LazyFrame:
    import polars as pl

    # The parts follow one another by run_id, and so do their rows.
    return pl.scan_parquet(sorted(index.glob("part-*.parquet")))


def _written(path: Path, write: Callable[[Path], object]) -> Path:
    """Let a file appear as a whole: it is written beside its place first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(aside)
        aside.replace(path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return path
