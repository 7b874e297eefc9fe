"""What a run leaves behind: its folder, complete or absent.

`publish_run` writes it, `read_run` reads and verifies it. Source: docs/spec/artefacts.md.
"""

from boxgate_engine.artefacts.content import (
    BANDS_FILE,
    LEDGER_FILE,
    RunArtefacts,
    json_bytes,
    table_bytes,
    table_files,
    trades_csv,
)
from boxgate_engine.artefacts.curve import FullCurve, full_curve, stored_curve
from boxgate_engine.artefacts.publish import Published, prepare_store, publish_run, put_report, sync_store
from boxgate_engine.artefacts.run_log import RunLog
from boxgate_engine.artefacts.stored import ORDERS_FILE, StoredRun, find_run, read_run

__all__ = [
    "BANDS_FILE",
    "LEDGER_FILE",
    "ORDERS_FILE",
    "FullCurve",
    "Published",
    "RunArtefacts",
    "RunLog",
    "StoredRun",
    "find_run",
    "full_curve",
    "json_bytes",
    "prepare_store",
    "publish_run",
    "put_report",
    "read_run",
    "stored_curve",
    "sync_store",
    "table_bytes",
    "table_files",
    "trades_csv",
]
