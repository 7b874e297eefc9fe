"""What all sections of the run config are made of: the base section, patterns of names, own refusals."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

SYMBOL_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._#-]{0,31}$"
CURRENCY_PATTERN: Final = r"^[A-Z][A-Z0-9]{2,7}$"
TEXT_PATTERN: Final = r"^[^\x00-\x1f\x7f]+$"
TAG_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:=/+-]{0,63}$"

FrameName = Literal["S1", "M1", "M5", "M15", "M30", "H1", "H4", "D1", "W1", "tick"]
Symbol = Annotated[str, Field(pattern=SYMBOL_PATTERN)]
Text = Annotated[str, Field(max_length=4096, pattern=TEXT_PATTERN)]


class Section(BaseModel):
    """A section: unknown keys are refused, values never change."""

    # Strict: the text "16" is not a number and 1 is not true; a config says what it means.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def refusal(what: str, *, expected: str, remedy: str) -> PydanticCustomError:
    """Return the error that a validator raises when the stock ones cannot say what is wrong."""
    return PydanticCustomError("refused", "{what}", {"what": what, "expected": expected, "remedy": remedy})


# Strictness of the container alone is off: YAML gives lists and a frozen value holds tuples. Items stay strict.
def entries(low: int = 0) -> Any:
    """Return the field of a list of at least `low` entries."""
    return Field(strict=False, min_length=low, max_length=1024)
