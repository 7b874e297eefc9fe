"""Which calendar: by its name, by what a quality report kept of it, or by the asset class."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from boxgate_engine.calendars.always import AlwaysOpen
from boxgate_engine.calendars.calendar import Calendar
from boxgate_engine.calendars.fx_week import FxWeek
from boxgate_engine.errors import DataRefused

_ALWAYS: Final = AlwaysOpen()
_FX: Final = FxWeek()
_LEAN: Final = "lean:"


def default_calendar(asset_class: str) -> Calendar:
    """Return the calendar of an asset class where none was stated: coins always, everything else the FX week."""
    return _ALWAYS if asset_class == "crypto" else _FX


def calendar_by_name(name: str) -> Calendar:
    """Return `always`, `fx`, an exchange by its code (XNYS), or `lean:FILE#ENTRY`.

    Raises DataRefused (CALENDAR) with a suggestion.
    """
    if name.startswith(_LEAN):
        from boxgate_engine.calendars.lean_table import lean_table

        file, _, entry = name.removeprefix(_LEAN).rpartition("#")
        return lean_table(Path(file), entry)
    own = {one.name: one for one in (_ALWAYS, _FX)}
    if name in own:
        return own[name]
    from boxgate_engine.calendars.exchange import exchange, similar_codes

    found = exchange(name)
    if found is None:
        close = [*difflib.get_close_matches(name.lower(), own, n=1), *similar_codes(name)]
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise DataRefused(
            f"{name[:40]!r} is no calendar",
            code="CALENDAR",
            where="--calendar",
            expected="always, fx, the code of an exchange such as XNYS, or lean:FILE#ENTRY",
            remedy=f"{hint}correct the name",
        )
    return found


def calendar_of(quality: Mapping[str, Any], asset_class: str) -> Calendar:
    """Return the calendar by which a quality report was made; without one that of the asset class."""
    facts = quality.get("calendar")
    if facts is None:
        return default_calendar(asset_class)
    if "table" in facts:
        from boxgate_engine.calendars.lean_table import LeanTable

        return LeanTable(facts)
    return calendar_by_name(facts["name"])
