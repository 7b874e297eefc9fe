"""The libraries that only some strategies need: extras of the package, named when one is missing."""

from __future__ import annotations

from boxgate_sdk.errors import EnvironmentMissing


def extra_missing(error: ModuleNotFoundError, where: str, extra: str) -> EnvironmentMissing:
    """Return the error for a part of the SDK whose library is not installed. extra: what brings it."""
    library = (error.name or str(error)).partition(".")[0]
    return EnvironmentMissing(
        f"{library} is not installed",
        where=where,
        expected=f"an installation with the extra {extra}",
        remedy=f"pip install 'boxgate-sdk[{extra}]'",
    )
