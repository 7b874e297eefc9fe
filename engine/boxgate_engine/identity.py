"""Who a run is: its identity, its id, its scenario and its seed.

All functions but those of a strategy's files are pure. Source: docs/spec/artefacts.md, section 1.
"""

from __future__ import annotations

import glob
import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
import rfc8785

from boxgate_engine.config.model import ParamValue, RunConfig
from boxgate_engine.config.resolved import semantic_keys
from boxgate_engine.errors import ConfigInvalid, Problem

_EXACT_INT_MAX: Final = 2**53 - 1
_UNEXPONENTED_MIN: Final = 1e-5
"""From here on up to 2^53 all writers of JSON write a float without an exponent, by its shortest digits."""
_RUNNER: Final = ("-m", "boxgate_sdk")
"""Arguments of an interpreter that serves the file named behind them."""
SOURCE_FILES_MAX: Final = 10_000
"""Most files that one strategy digest covers."""
SOURCE_BYTES_MAX: Final = 1 << 30
"""Most bytes that one strategy digest covers."""


def build_identity(
    config: RunConfig,
    *,
    contract: str,
    engine: str,
    strategy_digest: str,
    dataset: str,
    params: Mapping[str, ParamValue],
    start_ns: int,
    end_ns: int,
    calendars: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what makes a run, ready for canonical JSON.

    contract, engine: versions. dataset: hash. params: normalised by the strategy's schema, defaults filled in.
    start_ns, end_ns: the resolved window in nanoseconds. Operational keys of the config are left out. calendars: by
    symbol, what stands for those of the config: of a file its digest instead of its path.
    """
    keys = semantic_keys(config)
    if calendars:
        keys["execution"]["calendars"] = dict(calendars)
    return {
        "contract": contract,
        "engine": engine,
        "strategy": {"digest": strategy_digest, "params": _exact(dict(params))},
        "dataset": dataset,
        "instruments": keys["instruments"],
        "frames": keys["frames"],
        "window": _window(start_ns, end_ns),
        "account": _exact(keys["account"]),
        "costs": _exact(keys["costs"]),
        "execution": _exact(keys["execution"]),
        "warmup": _exact(keys["warmup"]),
        "master_seed": _exact(config.determinism.master_seed),
        "mode": config.mode,
    }


def run_id(identity: Mapping[str, Any]) -> str:
    """Return "r_" + the first 32 hex digits of SHA-256 over the canonical JSON of the identity."""
    return f"r_{hashlib.sha256(canonical_json(identity)).hexdigest()[:32]}"


def scenario_id(
    *, params: Mapping[str, ParamValue], instruments: Sequence[str], frames: Sequence[str], start_ns: int, end_ns: int
) -> str:
    """Return 64 hex digits: SHA-256 over what a strategy meets, whatever the account, costs and rules are."""
    scenario = build_scenario(params=params, instruments=instruments, frames=frames, start_ns=start_ns, end_ns=end_ns)
    return hashlib.sha256(canonical_json(scenario)).hexdigest()


def build_scenario(
    *, params: Mapping[str, ParamValue], instruments: Sequence[str], frames: Sequence[str], start_ns: int, end_ns: int
) -> dict[str, Any]:
    """Return what `scenario_id` hashes, ready for canonical JSON."""
    return {
        "params": _exact(dict(params)),
        "instruments": list(instruments),
        "frames": list(frames),
        "window": _window(start_ns, end_ns),
    }


def canonical_params(params: Mapping[str, ParamValue]) -> bytes:
    """Return the text of complete parameters as it stands in the canonical JSON of identity and scenario."""
    return canonical_json(_exact(dict(params)))


def seed(master_seed: int, scenario: str) -> int:
    """Return the seed of a run, 0 <= seed < 2^53. scenario: 64 hex digits of `scenario_id`."""
    state = hashlib.blake2b()
    for field in (master_seed.to_bytes(8, "big"), bytes.fromhex(scenario)):
        state.update(len(field).to_bytes(4, "big"))
        state.update(field)
    return int.from_bytes(state.digest()[:8], "big") >> 11


def canonical_json(value: Any) -> bytes:
    """Return RFC 8785 text. Raises rfc8785.CanonicalizationError for what JSON cannot say exactly."""
    try:
        return orjson.dumps(_usual(value), option=orjson.OPT_SORT_KEYS)
    except (_Unusual, orjson.JSONEncodeError):
        return rfc8785.dumps(value)  # fifty times slower


class _Unusual(Exception):
    """A value that orjson may write in another way than RFC 8785."""


def _usual(value: Any) -> Any:
    """Return a value that orjson writes as RFC 8785 does: whole floats as integers, keys that all orders sort alike."""
    kind = type(value)
    if kind is float:
        if abs(value) > _EXACT_INT_MAX or not (
            value == 0.0 or abs(value) >= _UNEXPONENTED_MIN
        ):  # NaN and infinity are neither
            raise _Unusual
        return int(value) if value.is_integer() else value
    if kind is str or value is None or kind is bool:
        return value
    if kind is int and abs(value) <= _EXACT_INT_MAX:
        return value
    if kind is dict and all(type(key) is str and key.isascii() for key in value):
        return {key: _usual(entry) for key, entry in value.items()}
    if kind is list or kind is tuple:
        return [_usual(entry) for entry in value]
    raise _Unusual


def strategy_digest(
    command: Sequence[str], sources: Sequence[str] = (), *, folder: Path, exclude: Sequence[Path] = ()
) -> str:
    """Return "sha256:" + 64 hex digits over the files of a strategy that is started by a command.

    folder: where relative paths start. sources: globs from there; none = every file in the script's folder and below.
    exclude: folders whose content is never part of a strategy, such as the artefacts. Caches (`__pycache__`, `*.pyc`,
    folders with a leading dot) never are.
    Raises ConfigInvalid where the script of an interpreter is missing, the command names no file, a glob meets
    nothing, or there is more than the limits allow.
    """
    return files_digest(source_files(command, sources, folder=folder, exclude=exclude))


def source_files(
    command: Sequence[str], sources: Sequence[str] = (), *, folder: Path, exclude: Sequence[Path] = ()
) -> dict[str, Path]:
    """Return name → file of all that `strategy_digest` covers, in its order. Raises ConfigInvalid as it does."""
    _check_script(command, folder)
    files = _source_files(command, sources, folder, exclude)
    return dict(sorted(files.items(), key=lambda item: item[0].encode()))


def files_digest(files: Mapping[str, Path]) -> str:
    """Return "sha256:" + 64 hex digits over files in the order in which they are given.

    files: name → file. Raises ConfigInvalid where one cannot be read, or there is more than the limits allow.
    """
    state = hashlib.sha256()
    size_bytes = 0
    for name, path in files.items():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _refused(f"{name} cannot be read: {error.strerror}", "readable source files") from None
        size_bytes += len(content)
        if size_bytes > SOURCE_BYTES_MAX:
            raise _refused(f"the strategy's files exceed {SOURCE_BYTES_MAX} bytes", "the strategy's own files only")
        encoded = name.encode()
        state.update(len(encoded).to_bytes(4, "little") + encoded)
        state.update(len(content).to_bytes(8, "little"))
        state.update(content)
    return f"sha256:{state.hexdigest()}"


def _check_script(command: Sequence[str], folder: Path) -> None:
    """Refuse the script of a Python interpreter that is not there; what other programs take is theirs to say."""
    if len(command) < 2 or not Path(command[0]).name.startswith("python"):
        return
    place = 3 if tuple(command[1:3]) == _RUNNER and len(command) > 3 else 1
    if command[place].startswith("-"):
        return
    if not (folder / command[place]).exists():
        raise _refused(
            f"there is no file {command[place]}",
            "the strategy's script",
            path=f"strategy.command[{place}]",
            remedy="correct the path; a relative one starts at the working directory",
        )


def _source_files(
    command: Sequence[str], sources: Sequence[str], folder: Path, exclude: Sequence[Path]
) -> dict[str, Path]:
    """Return relative path (with slashes) → file. Relative to the script's folder, with globs to `folder`."""
    if sources:
        files = {name: folder / name for pattern in sources for name in _matches(pattern, folder)}
    else:
        base = _script(command, folder).parent
        files = {}
        for path in _walk(base, exclude):
            files[path.relative_to(base).as_posix()] = path
            if len(files) > SOURCE_FILES_MAX:
                break
    if len(files) > SOURCE_FILES_MAX:
        raise _refused(f"the strategy has more than {SOURCE_FILES_MAX} files", "the strategy's own files only")
    return files


def _walk(base: Path, exclude: Sequence[Path]) -> Iterator[Path]:
    resolved: set[Path] = set()
    for parent, folders, names in os.walk(base):
        folders[:] = [name for name in folders if not _is_cache(name)]
        if folders:  # resolving costs more than all the rest, and few strategies have folders
            resolved = resolved or {path.resolve() for path in exclude}
            folders[:] = [name for name in folders if (Path(parent) / name).resolve() not in resolved]
        yield from (Path(parent) / name for name in names if not name.endswith(".pyc"))


def _matches(pattern: str, folder: Path) -> list[str]:
    names = [
        Path(name).as_posix()
        for name in glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 (takes `..`, gives text)
        if (folder / name).is_file() and not name.endswith(".pyc") and not any(map(_is_cache, Path(name).parts[:-1]))
    ]
    if not names:
        raise _refused(f"the glob {pattern!r} meets no file", "globs that meet the strategy's files")
    return names


def _script(command: Sequence[str], folder: Path) -> Path:
    """Return the file that holds the strategy.

    It is a program given by a relative path, else the first argument that is a file (the script of an interpreter),
    else the program itself.
    """
    program, *arguments = command or [""]
    own_program = "/" in program and not Path(program).is_absolute()
    candidates = [program, *arguments] if own_program else [*arguments, program]
    for candidate in candidates:
        path = folder / candidate
        if candidate and path.is_file():
            return path
    raise _refused("the command names no file", "a script or program that exists")


def _is_cache(folder: str) -> bool:
    return folder == "__pycache__" or (folder.startswith(".") and folder != "..")


def _refused(
    what: str,
    expected: str,
    *,
    path: str = "strategy.sources",
    remedy: str = "correct strategy.command or name the files in strategy.sources",
) -> ConfigInvalid:
    return ConfigInvalid(
        [
            Problem(
                path=path,
                source="",
                what=what,
                expected=expected,
                remedy=remedy,
            )
        ]
    )


def _window(start_ns: int, end_ns: int) -> dict[str, str]:
    # Text, as nanoseconds of our century are beyond the whole numbers that JSON can say exactly.
    return {"start_ns": str(start_ns), "end_ns": str(end_ns)}


def _exact(value: Any) -> Any:
    """Return a value with one canonical text: whole numbers beyond 2^53 - 1 become decimal text."""
    if isinstance(value, dict):
        return {key: _exact(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(entry) for entry in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT_INT_MAX:
        return str(value)
    assert not isinstance(value, float) or math.isfinite(value), value
    return value
