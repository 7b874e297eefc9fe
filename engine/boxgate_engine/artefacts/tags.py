"""Tags of a run: words of the researcher, kept beside the result and outside every digest."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from boxgate_engine.config.fields import TAG_PATTERN
from boxgate_engine.errors import UserMistake

FILE_NAME: Final = "tags.json"
"""A list of texts in the folder of a run. The manifest does not list it: tags come and go after publishing."""

_TAG: Final = re.compile(TAG_PATTERN)


def check_tag(tag: str) -> str:
    """Return a tag. Raises UserMistake (TAG_INVALID)."""
    if not _TAG.fullmatch(tag):
        raise UserMistake(
            f"{tag[:40]!r} is no tag",
            code="TAG_INVALID",
            where="tags",
            expected="1 to 64 letters, digits and _ . : = / + -, a letter or digit first",
            remedy="shorten or rename the tag",
        )
    return tag


def read_tags(folder: Path) -> tuple[str, ...]:
    """Return the tags of a run, sorted; none where there is no readable file of them."""
    try:
        tags = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    return tuple(sorted({tag for tag in tags if isinstance(tag, str)})) if isinstance(tags, list) else ()


def change_tags(folder: Path, *, add: Iterable[str] = (), remove: Iterable[str] = ()) -> tuple[str, ...]:
    """Add and remove tags of a run; return what it has then. The file is replaced whole. Raises UserMistake."""
    tags = tuple(sorted((set(read_tags(folder)) | {check_tag(tag) for tag in add}) - set(remove)))
    if tags == read_tags(folder):
        return tags
    descriptor, fresh = tempfile.mkstemp(prefix=".tmp-", dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps(tags) + "\n")
    Path(fresh).chmod(0o644)
    Path(fresh).replace(folder / FILE_NAME)
    return tags
