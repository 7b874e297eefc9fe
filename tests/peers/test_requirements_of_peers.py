"""The requirements of the peers are pinned by hash, and name no place to install them from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from peer_cases import FIXTURES, load

REQUIREMENTS = sorted((Path(__file__).parent / "requirements").glob("*.txt"))


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.stem)
def test_every_requirement_of_a_peer_is_pinned_by_hashes_and_names_no_place(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    entries = re.sub(r" \\\n +", " ", text).splitlines()
    assert [e for e in entries if not re.fullmatch(r"[a-z0-9-]+==\S+( ;.*?)?( --hash=sha256:\w{64})+", e)] == []
    assert "/" not in text
    wanted = file.with_suffix(".in").read_text(encoding="utf-8").replace("_", "-").split()
    assert {line.split(" ")[0] for line in entries} >= set(wanted)


def test_every_fixture_tells_what_made_it() -> None:
    for file in FIXTURES.glob("*.json"):
        assert load(file.stem)["made_by"].endswith(f".ci/peers make {file.stem}")
    versions = {name: load(name)["versions"] for name in ("backtesting", "metrics", "nautilus")}
    assert versions["backtesting"]["backtesting"] == "0.6.6"
    assert versions["nautilus"]["nautilus_trader"] == "1.221.0"
    assert (versions["metrics"]["empyrical-reloaded"], versions["metrics"]["quantstats"]) == ("0.7.1", "0.0.86")
