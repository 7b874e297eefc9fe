"""What only a process of the product's own may do: a command, or a worker."""

from __future__ import annotations

import sys


def leave_pandas_out() -> None:
    """Keep pyarrow from importing pandas, which it does with its first array wherever pandas is installed.

    pyarrow asks once in a process, and a third of a second and 50 MB are the price of the answer. Who needs pandas can
    still import it; only arrays that are made of its objects are then made of them as of any other sequence.
    """
    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _NoPandas)
    try:
        import pyarrow as pa

        pa.array([0])
    finally:
        sys.meta_path.remove(_NoPandas)


class _NoPandas:
    """A finder of modules that lets pandas be missing."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)
