"""A drop-in folder of strategies: one file is one strategy, described through the contract in a process of its own."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from boxgate_engine.errors import BoxgateError, UserMistake
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.sessions.parameters import complete_parameters
from boxgate_server.sidecars import CONTRACT_VERSIONS, SidecarHost, SidecarLimits

_STDERR: Final = "its stderr ends:\n"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter as declared. type: BOOL, INT, FLOAT, STRING or STRING_LIST."""

    name: str
    type: str
    default: Any
    min: float | None
    max: float | None
    choices: list[str]
    doc: str


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a file is no strategy. line: in the file, None where it is not known."""

    code: str
    what: str
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One file of the folder. command: for strategy.command of a config. error: then nothing else is known."""

    file: str
    command: list[str]
    name: str = ""
    version: str = ""
    author: str = ""
    description: str = ""
    frames: list[str] = field(default_factory=list)
    requires: list[str] = field(default_factory=list)
    supports: list[str] = field(default_factory=list)
    max_sessions: int = 1
    parameters: list[Parameter] = field(default_factory=list)
    error: Fault | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def strategies_in(folder: Path, *, timeout_s: float) -> Iterator[Listed]:
    """Describe each strategy of a folder, by name: its .py files, and the strategy.py of its folders.

    What begins with `_` or `.` is left out. timeout_s: for the start of each, and again for each of its two answers.
    Raises UserMistake if there is no such folder; what is wrong with a file is told in its place.
    """
    try:
        names = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise UserMistake(
            f"{folder} cannot be listed: {error.strerror}",
            code="FOLDER_UNREADABLE",
            where="DIR",
            expected="a folder of strategies",
            remedy="give the folder, not a file in it",
        ) from None
    limits = SidecarLimits(handshake_s=timeout_s, describe_s=timeout_s, stop_s=min(1.0, timeout_s))
    with SidecarHost() as host:
        for path in names:
            file = path / "strategy.py" if path.is_dir() else path
            if path.name.startswith(("_", ".")) or file.suffix != ".py" or (path.is_dir() and not file.is_file()):
                continue
            yield _listed(file, host, limits)


def _listed(file: Path, host: SidecarHost, limits: SidecarLimits) -> Listed:
    try:
        command = command_of(file)
    except SyntaxError as error:
        fault = Fault(code="SYNTAX", what=error.msg, line=error.lineno)
        return Listed(file=str(file), command=["python", str(file)], error=fault)
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        fault = Fault(code="FILE_UNREADABLE", what=getattr(error, "strerror", None) or str(error))
        return Listed(file=str(file), command=["python", str(file)], error=fault)
    try:
        with host.start(command, cwd=Path.cwd(), mode="debug", limits=limits) as sidecar:
            answer = sidecar.connection.describe(pb.DescribeRequest(contract_versions=CONTRACT_VERSIONS))
            defaults = complete_parameters({}, answer.parameters, debug=True)
    except BoxgateError as error:
        return Listed(file=str(file), command=command, error=_fault(error, file))
    return Listed(
        file=str(file),
        command=command,
        name=answer.name,
        version=answer.version,
        author=answer.author,
        description=answer.description,
        frames=list(answer.frames),
        requires=sorted(answer.requires),
        supports=sorted(answer.supports),
        max_sessions=answer.max_sessions or 1,
        parameters=[_parameter(parameter, defaults[parameter.name]) for parameter in answer.parameters],
    )


def command_of(file: Path) -> list[str]:
    """Return how a file is started: by itself if it calls serve, else by the SDK's runner.

    Raises SyntaxError, OSError, or ValueError for what is no text.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as an invalid escape: the author's affair, not the listing's
        tree = ast.parse(file.read_bytes(), filename=str(file))
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    names = {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls}
    return ["python", str(file)] if "serve" in names else ["python", "-m", "boxgate_sdk", str(file)]


def _parameter(parameter: pb.ParameterSchema, default: Any) -> Parameter:
    return Parameter(
        name=parameter.name,
        type=pb.ParameterType.Name(parameter.type).removeprefix("PARAMETER_TYPE_"),
        default=list(default) if isinstance(default, (list, tuple)) else default,
        min=parameter.min if parameter.HasField("min") else None,
        max=parameter.max if parameter.HasField("max") else None,
        choices=list(parameter.choices),
        doc=parameter.doc,
    )


def _fault(error: BoxgateError, file: Path) -> Fault:
    """Return an error in one line: of a traceback, what was raised and the last line of the file that led there."""
    lines = [text for text in error.what.splitlines() if text.strip()]
    raised = lines[-1].strip() if _STDERR in error.what and len(lines) > 1 else ""
    what = f"{lines[0].removesuffix(_STDERR.strip()).rstrip(' ;')}: {raised}" if raised else " ".join(lines)
    frames = re.findall(rf'File "[^"\n]*{re.escape(file.name)}", line (\d+)', error.what)
    return Fault(code=error.error_code, what=what, line=int(frames[-1]) if frames else None)
