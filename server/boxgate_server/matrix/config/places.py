"""The keys that say where the data and the runs of a matrix lie."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final, Self

from pydantic import model_validator

from boxgate_engine.config.fields import Section, Text, refusal
from boxgate_engine.remote_folder import is_address

DEFAULT_STORE: Final = "artifacts"
"""Where runs and matrices are kept if the file does not say it."""
_STORES: Final = ".boxgate/stores"
"""What this host keeps of stores behind addresses: hidden, for what is hidden is no part of a strategy."""
_USER: Final = re.compile(r"//[^/@]*@")


class IoConfig(Section):
    """Where things lie. dataset_cache: as data_provider.cache.local_dir. artifacts_store: has runs/ and matrices/.

    local_store: of an artifacts_store that is an address the folder of this host where ledgers are and runs wait for
    their upload; by default a hidden one that is named by the hash of the address.
    """

    dataset_cache: Text | None = None
    artifacts_store: Text = DEFAULT_STORE
    local_store: Text | None = None

    @property
    def address(self) -> str | None:
        """The address of the store, None where it is a folder."""
        return self.artifacts_store if is_address(self.artifacts_store) else None

    @property
    def folder(self) -> str:
        """The folder of the store, or the one that stands for its address on this host."""
        if self.address is None:
            return self.artifacts_store
        return self.local_store or f"{_STORES}/{address_key(self.address)}"

    @property
    def runs(self) -> str | None:
        """The folder `artifacts` of the run config that goes with it; None to leave that as it is."""
        if self.address is not None and self.local_store is None:
            return None
        return (Path(self.folder) / "runs").as_posix()

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        if self.local_store is not None and (self.address is None or is_address(self.local_store)):
            raise refusal(
                "io.local_store is the folder of this host that goes with an artifacts_store behind an address",
                expected="a folder, beside an address in io.artifacts_store",
                remedy="leave local_store out, or name a folder of this host",
            )
        return self


def address_key(address: str) -> str:
    """Return a name for an address: the same for whoever uses it."""
    return hashlib.sha256(_USER.sub("//", address).rstrip("/").encode()).hexdigest()[:16]
