"""Reading published runs: found by name, verified against their manifest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from boxgate_engine.artefacts.curve import CURVE_FILE, full_curve
from boxgate_engine.errors import RunAmbiguous, RunDamaged, RunNotFound
from boxgate_engine.tables import TRADES, Tables, stored_table

MANIFEST: Final = "manifest.json"
REPORT: Final = "report.html"
UNLISTED: Final = frozenset({"logs.ndjson", "environment.json"})
"""Files that depend on the host and the hour; the manifest leaves them out, as it leaves out itself."""
REQUIRED: Final = frozenset(
    {
        "config.json",
        "params.json",
        "metrics.json",
        CURVE_FILE,
        "trades.csv",
        "fills.parquet",
        "signals.parquet",
    }
)
"""Files that every manifest lists; others such as report.html may come besides."""

ORDERS_FILE: Final = "orders.parquet"
"""The orders of a strategy that has its own."""

_RUN_ID: Final = re.compile(r"r_[0-9a-f]{1,32}")
_FILE_NAME: Final = re.compile(r"[a-z0-9_]+\.[a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A published run whose files are what its manifest says."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return str(self.manifest["run_id"])

    @property
    def result_digest(self) -> str:
        """Digest of the result."""
        return str(self.manifest["result_digest"])

    @property
    def files(self) -> Mapping[str, Mapping[str, Any]]:
        """Listed files: name → sha256 and bytes."""
        files: Mapping[str, Mapping[str, Any]] = self.manifest["files"]
        return files

    def json(self, name: str) -> Any:
        """Return the content of a JSON file such as `metrics.json`."""
        return _read_json(self.folder / name)

    def log(self) -> list[dict[str, Any]]:
        """Return the lines of the log, none if it was removed."""
        path = self.folder / "logs.ndjson"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def equity_resolution(self) -> str:
        """Which marks the equity curve has: `bar` for all, `hour` or `day` for the last of each."""
        full = full_curve(pq.read_schema(self.folder / CURVE_FILE).metadata)
        return "bar" if full is None else full.resolution

    def tables(self) -> Tables:
        """Return the tables. Their digest is that of the manifest where the equity curve has all its marks."""

        def read(name: str, file: str) -> pa.Table:
            return stored_table(name, pq.read_table(self.folder / file))

        return Tables(
            signals=read("signals", "signals.parquet"),
            fills=read("fills", "fills.parquet"),
            trades=read_trades(self.folder / "trades.csv"),
            equity=read("equity", CURVE_FILE),
            orders=read("orders", ORDERS_FILE) if ORDERS_FILE in self.files else None,
        )


def read_run(folder: Path) -> StoredRun:
    """Return the run in a folder after checking every listed file.

    Raises RunNotFound where there is no folder, RunDamaged for a missing or altered file or manifest.
    """
    if not folder.is_dir():
        raise RunNotFound(folder.name, str(folder.parent))
    manifest = _read_json(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("schema") != "boxgate.manifest/1":
        raise RunDamaged("the manifest has another schema", where=_at(folder, MANIFEST), expected="boxgate.manifest/1")
    files = manifest.get("files")
    if not isinstance(files, dict) or not files.keys() >= REQUIRED:
        raise RunDamaged("the manifest lacks files", where=_at(folder, MANIFEST), expected=", ".join(sorted(REQUIRED)))
    for name, facts in files.items():
        if not _FILE_NAME.fullmatch(name) or not isinstance(facts, dict):
            raise RunDamaged(f"the manifest lists {name!r}", where=_at(folder, MANIFEST), expected="plain file names")
        _check_file(folder, name, facts)
    return StoredRun(folder=folder, manifest=manifest)


def find_run(run: str, store: Path) -> Path:
    """Return the folder of a run named by its folder, its id or the beginning of one id.

    Raises RunNotFound, RunAmbiguous.
    """
    if _RUN_ID.fullmatch(run):
        found = sorted(path for path in store.glob(f"{run}*") if _RUN_ID.fullmatch(path.name) and path.is_dir())
        if len(found) == 1:
            return found[0]
        if found:
            raise RunAmbiguous(run, [path.name for path in found], str(store))
    elif (Path(run) / MANIFEST).is_file():
        return Path(run)
    raise RunNotFound(run, str(store))


def read_trades(path: Path) -> pa.Table:
    """Return trades.csv with the columns and types of the schema."""
    options = pa.csv.ConvertOptions(column_types={field.name: field.type for field in TRADES})
    return pa.csv.read_csv(path, convert_options=options).cast(TRADES)


def _check_file(folder: Path, name: str, facts: Mapping[str, Any]) -> None:
    try:
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RunDamaged(
            f"the file cannot be read: {error.strerror}", where=_at(folder, name), expected="a file"
        ) from None
    if found != facts.get("sha256"):
        raise RunDamaged(f"the file was altered: {found}", where=_at(folder, name), expected=str(facts.get("sha256")))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise RunDamaged(f"the file cannot be read: {what}", where=str(path), expected="JSON") from None


def _at(folder: Path, name: str) -> str:
    return str(folder / name)
