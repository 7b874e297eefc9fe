"""The specifications name what the code writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from boxgate_engine.artefacts import LEDGER_FILE
from boxgate_engine.artefacts.run_log import EVENT_FIELDS
from boxgate_engine.artefacts.stored import MANIFEST, ORDERS_FILE, REPORT, REQUIRED, UNLISTED
from boxgate_engine.ledger import ACCOUNTS, LEDGER
from boxgate_engine.tables import ALL_SCHEMAS, CLIENT_ID, META, ORDER_OUTCOMES, ORDER_TYPES, OUTCOMES, TIMES_IN_FORCE

_SPEC = (Path(__file__).parents[3] / "docs/spec/artefacts.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ALL_SCHEMAS)
def test_the_columns_of_each_table_stand_in_their_order(name: str) -> None:
    paragraph = re.search(rf"\*\*{name}\*\*(.*?)\n\n", _SPEC, re.DOTALL)
    assert paragraph is not None
    columns = [
        word for word in re.findall(r"`([a-z_]+)`", paragraph[1].partition("\n")[2]) if word not in (META, CLIENT_ID)
    ]
    assert columns == ALL_SCHEMAS[name].names


@pytest.mark.parametrize(
    "word",
    [
        *sorted(REQUIRED),
        *sorted(UNLISTED),
        MANIFEST,
        REPORT,
        *EVENT_FIELDS,
        "|".join(OUTCOMES),
        "|".join(ORDER_OUTCOMES),
        "|".join(ORDER_TYPES),
        "|".join(TIMES_IN_FORCE),
        ORDERS_FILE,
    ],
)
def test_every_file_event_and_outcome_is_named(word: str) -> None:
    assert word in _SPEC


def test_the_columns_and_accounts_of_the_ledger_are_named() -> None:
    section = _SPEC.partition("## 6. The ledger")[2]
    table = section.partition("| column | content |")[2].partition("\n\n")[0]
    named = [
        name for row in table.splitlines() for name in re.findall(r"`([a-z_]+)`", row.split("|")[1] if row else "")
    ]
    assert named == LEDGER.names
    assert all(f"`{account}`" in section for account in ACCOUNTS)
    assert f"`{LEDGER_FILE}`" in section
