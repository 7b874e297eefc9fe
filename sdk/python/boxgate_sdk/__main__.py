"""`python -m boxgate_sdk FILE`: serve the one strategy that a file defines, for files that do not call serve()."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from boxgate_sdk._server import serve
from boxgate_sdk.errors import StrategyMistake
from boxgate_sdk.strategy import Strategy


def main(arguments: list[str]) -> None:
    """Load the file and serve. Leaves with exit code 2 and one sentence where it holds no strategy, or several."""
    try:
        strategy_class = only_strategy(load(arguments))
    except StrategyMistake as mistake:
        sys.stderr.write(f"{mistake.code}: {mistake}\n")
        raise SystemExit(2) from None
    serve(strategy_class)


def load(arguments: list[str]) -> ModuleType:
    """Return the file as a module; its folder comes first among those that it imports from, as for a script."""
    path = Path(arguments[0]) if len(arguments) == 1 else None
    if path is None or path.suffix != ".py" or not path.is_file():
        raise StrategyMistake(
            f"{' '.join(arguments) or 'nothing'} was given",
            where="python -m boxgate_sdk",
            expected="one argument, a Python file that exists",
            remedy="python -m boxgate_sdk my_strategy.py",
        )
    path = path.absolute()
    # `python -m` puts the working directory first, where a file could stand in the way of a library.
    sys.path[0] = str(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def only_strategy(module: ModuleType) -> type[Strategy]:
    """Return the strategy that a module defines: not imported, no leading underscore, not the base of another one."""
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Strategy) and value.__module__ == module.__name__
    ]
    found = {
        each.__name__: each
        for each in defined
        if not each.__name__.startswith("_")
        and not any(other is not each and issubclass(other, each) for other in defined)
    }
    if len(found) != 1:
        names = f"{len(found)} strategies: {', '.join(found)}" if found else "no strategy"
        raise StrategyMistake(
            f"{Path(str(module.__file__)).name} defines {names}",
            where=str(module.__file__),
            expected="one class derived from boxgate_sdk.Strategy",
            remedy="move the others to another file, or begin their names with an underscore"
            if found
            else "derive a class from boxgate_sdk.Strategy in this file, or call serve() in it",
        )
    return next(iter(found.values()))


if __name__ == "__main__":
    main(sys.argv[1:])
