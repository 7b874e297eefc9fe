"""The digest of a strategy is never older than its files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import ConfigInvalid
from boxgate_engine.identity import strategy_digest
from boxgate_server import strategy_files
from boxgate_server.strategy_files import StrategyFiles

Configs = Callable[..., RunConfig]


def test_a_digest_follows_every_change_of_the_files(
    folder: Path, config_of: Configs, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = folder / "strategies" / "crossing.py"
    config = config_of()
    files = StrategyFiles(folder)
    store = folder / "artifacts" / "runs"

    def digest() -> str:
        found = files.digest(config, store)
        assert found == strategy_digest(config.strategy.command, folder=folder)
        return found

    text = script.read_text()
    seen = {digest(), digest()}
    script.write_text(text.replace("seen", "done"))  # of the same size, within one tick of the clock
    seen.add(digest())
    (folder / "strategies" / "more.py").write_text("x = 1\n")
    seen.add(digest())
    (folder / "strategies" / "more.py").rename(folder / "strategies" / "less.py")
    seen.add(digest())
    assert len(seen) == 4
    monkeypatch.setattr(strategy_files, "SETTLED_NS", -(10**12))
    before = digest()
    read: list[Path] = []

    def noted(path: Path) -> bytes:
        read.append(path)
        return b""

    monkeypatch.setattr(Path, "read_bytes", noted)
    assert files.digest(config, store) == before
    assert read == [], "files that did not change are not read again"
    time.sleep(0.02)
    os.utime(script)
    files.digest(config, store)
    assert script in read
    script.unlink()
    (folder / "strategies" / "less.py").unlink()
    with pytest.raises(ConfigInvalid, match=r"crossing\.py"):
        files.digest(config, store)
