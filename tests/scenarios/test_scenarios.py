# mypy: disable-error-code="import-not-found"
"""Golden scenarios: the reference loop gives what each file expects, and the files pin each rule of the page."""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from outcome import write_outcome
from pages import ACCOUNTS, Page
from references import FILES, HERE, by_reference, read
from transcript import LINE, TranscriptError, read_scenario

SPEC = HERE.parents[1] / "docs" / "spec"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_reference_loop_gives_what_the_scenario_expects(file: Path, rewrite: bool) -> None:
    scenario = read(file)
    outcome = write_outcome(scenario, by_reference(scenario))
    if rewrite:
        text = f"{scenario.given.rstrip()}\n{LINE}\n{outcome}"
        if text != file.read_text(encoding="utf-8"):
            file.write_text(text, encoding="utf-8")
        return
    assert words(outcome) == words(scenario.expected), (
        "a changed rule? pytest tests/scenarios --rewrite, and read the diff"
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_is_calculated_by_hand_stands_in_the_outcome(file: Path) -> None:
    scenario = read(file)
    found = numbers(scenario.expected)
    comments = re.findall(r"^#.*", scenario.given, re.MULTILINE)
    steps = Counter(number for line in comments for number in re.findall(r"\d+(?:\.\d+)?", line))
    for left, right in calculations(scenario.given):
        assert value_of(left) == Fraction(right), f"{left} = {right}"
        # A step on the way stands in another calculation instead.
        assert Fraction(right) in found or steps[right.lstrip("-")] > 1, f"{right} is not in the outcome"


def test_each_rule_is_pinned_and_each_rule_that_is_named_exists() -> None:
    page = Page(SPEC)
    pins = {(pin.section, pin.word): file.name for file in FILES for pin in read(file).pins}
    unknown = [f"{file}: execution {' '.join(pin)}" for pin, file in pins.items() if not page.has(*pin)]
    assert unknown == []
    sections = {section for section, _ in pins}
    required = [*page.required(), *((title, "") for title in ACCOUNTS)]
    missing = [pin for pin in required if pin not in pins and (pin[1] or pin[0] not in sections)]
    assert missing == []


def test_there_are_sixty_scenarios_and_twenty_with_a_calculation_by_hand() -> None:
    assert len(FILES) >= 60
    assert sum(bool(calculations(read(file).given)) for file in FILES) >= 20


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("execution 1: a\ninstrument A\ntape\n00:00 A M1 1 1 1\n", "x:4: '00:00 A M1 1 1 1': a bar has four prices"),
        ("instrument A\n", "x: the first line names no rule"),
        ("execution 1: a\nbroker\n", "x:2: 'broker': neither a rule"),
        ("execution 1: a\ninstrument A\ntape\n00:00 A M1 1 1 1 1\nsignals\n00:02 FLAT A\n", "x: no moment 1 at Mon"),
        (
            "execution 1: a\ninstrument A\norders\n00:01 a BUY A 1 position p\n",
            "x: only a session with `execution hedging`",
        ),
    ],
)
def test_a_text_that_is_no_scenario_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(TranscriptError, match="^" + complaint):
        read_scenario(text, "x")


def words(text: str) -> list[list[str]]:
    """Compare words, not blanks: a text by hand need not be aligned."""
    return [line.split() for line in text.splitlines() if line.strip()]


def numbers(text: str) -> set[Fraction]:
    """Return the numbers of an outcome."""
    return {Fraction(word) for word in re.findall(r"(?<![\w.:-])-?\d+(?:\.\d+)?(?![\w.:])", text)}


def calculations(given: str) -> list[tuple[str, str]]:
    """Return (calculation, value) of each comment that has one: `# what: 10 × (96 − 100) = −40.00`."""
    sides = re.findall(r"^#.*?(?:: )?([\d(−][\d ().×÷+−]*) = (−?[\d.]*\d)", given, re.MULTILINE)
    return [(left, right.replace("−", "-")) for left, right in sides]


def value_of(calculation: str) -> Fraction:
    """Return the exact value of a calculation with + − × ÷ and brackets."""
    exact = re.sub(r"[\d.]+", lambda found: f"Fraction('{found[0]}')", calculation)
    for sign, operator in (("×", "*"), ("÷", "/"), ("−", "-")):
        exact = exact.replace(sign, operator)
    return Fraction(eval(exact, {"Fraction": Fraction}))
