"""A new strategy project out of the templates: strategy, config, test, a few words."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from boxgate_engine.errors import UserMistake

TEMPLATES: Final = Path(__file__).parent / "templates"
PLACEHOLDER: Final = "my_strategy"
"""The one word that a template leaves open."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_FILES: Final = {
    "strategy.py": "strategy.py",
    "config.yaml": "{name}.yaml",
    "test_strategy.py": "test_{name}.py",
    "README.md": "README.md",
}
"""File of the template → file of the project."""
_FOR_US: Final = "  # type: ignore[import-not-found]"
"""Where the templates lie, the import of one from the other needs it; in a project it would be noise."""


def create_project(name: str, language: str, *, parent: Path) -> tuple[Path, list[str]]:
    """Make the folder parent/name and return it with the names of its files. Complete or not at all.

    Raises UserMistake NAME_INVALID, LANGUAGE_UNKNOWN, FOLDER_EXISTS or FOLDER_UNWRITABLE.
    """
    languages = sorted(folder.name for folder in TEMPLATES.iterdir() if (folder / "config.yaml").is_file())
    if not _NAME.fullmatch(name):
        proposal = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")[:40]
        better = proposal if _NAME.fullmatch(proposal) else PLACEHOLDER
        raise UserMistake(
            f"{name!r} cannot be the name of a strategy",
            code="NAME_INVALID",
            where="NAME",
            expected="1 to 40 small letters, digits and _, a letter first",
            remedy=f"boxgate new {better}",
        )
    if language not in languages:
        raise UserMistake(
            f"there is no template for {language!r}",
            code="LANGUAGE_UNKNOWN",
            where="--language",
            expected=f"one of {', '.join(languages)}",
            remedy="a strategy in another language implements docs/spec/strategy-protocol.md, with any gRPC library",
        )
    folder = parent / name
    if folder.exists() or folder.is_symlink():
        raise UserMistake(
            f"{name} exists already",
            code="FOLDER_EXISTS",
            where=str(folder),
            expected="a name that is free",
            remedy="choose another name, or move what is there",
        )
    names = [target.format(name=name) for target in _FILES.values()]
    try:
        made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
        try:
            for source, target in zip(_FILES, names, strict=True):
                text = (TEMPLATES / language / source).read_text(encoding="utf-8")
                (made / target).write_text(text.replace(_FOR_US, "").replace(PLACEHOLDER, name), encoding="utf-8")
            made.chmod(0o755)
            made.rename(folder)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except OSError as error:
        raise UserMistake(
            f"the folder cannot be written: {error.strerror}",
            code="FOLDER_UNWRITABLE",
            where=str(folder),
            expected="a place where files can be made",
            remedy="go to another folder and repeat the command",
        ) from None
    return folder, names
