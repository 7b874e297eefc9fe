"""The rules that docs/spec/execution.md has: its sections, their numbered steps, and the words in them."""

from __future__ import annotations

import re
from pathlib import Path

PAGES = ("execution.md",)
"""Where rules stand; sections of the first are named by number, all by a word of their title."""

PINNED = (*range(1, 9), *range(14, 21))
"""Sections each step of which a scenario pins."""

ACCOUNTS = ("Conversion", "Margin", "Funding", "Swap", "Ledger")
"""Sections on the account, by a word of their title: their numbers are not fixed."""

_HEADING = re.compile(r"#{2,3} (?P<number>\d+(\.\d+)?)\.? (?P<title>.+)")
_STEP = re.compile(r"(?P<number>\d+)\. ")
_POINT = re.compile(r"- \*\*(?P<point>[^*.]+)\.?\*\*")
_LETTER = re.compile(r"(?: +|- )(?P<letter>[a-z])\. ")
_CELL = re.compile(r" *\| (?P<cell>`[^|]+) \|")


class Page:
    """Sections by number and by title: the text of each."""

    def __init__(self, spec: Path) -> None:
        self.by_number: dict[str, str] = {}
        self.by_title: dict[str, str] = {}
        self.words: list[tuple[str, str]] = []
        for name in PAGES:
            if (spec / name).is_file():
                self._read((spec / name).read_text(encoding="utf-8"), numbered=name == PAGES[0])

    def has(self, section: str, word: str) -> bool:
        """Return whether there is such a section, and the word in it."""
        if section[0].isdigit():
            texts = [text for number, text in self.by_number.items() if number == section]
        else:
            texts = [text for title, text in self.by_title.items() if section.lower() in title.lower()]
        if re.fullmatch("[a-z]", word):
            return any(re.search(rf"^(?: +|- ){word}\. ", text, re.MULTILINE) for text in texts)
        return any(word in " ".join(text.split()) for text in texts)

    def required(self) -> list[tuple[str, str]]:
        """Return what a scenario must pin, in the order of the page: section, and a word where it lists several."""
        numbers = [(number, "") for number in self.by_number if int(number.split(".")[0]) in PINNED]
        parents = {number.rpartition(".")[0] for number, _ in numbers}
        return [*((number, word) for number, word in numbers if number not in parents), *self.words]

    def _read(self, page: str, *, numbered: bool) -> None:
        section = step = title = ""
        for line in page.splitlines(keepends=True):
            heading, in_list = _HEADING.match(line), _STEP.match(line)
            if heading is not None:
                section, title, step = heading["number"], heading["title"], ""
            elif line.startswith("#"):
                section = title = step = ""
            elif in_list is not None:
                step = f"{section}.{in_list['number']}"
            elif not line.startswith((" ", "\n")):
                step = ""
            if not section:
                continue
            self.by_title[title] = self.by_title.get(title, "") + line
            if not numbered:
                continue
            for place in {section, section.rpartition(".")[0], step} - {""}:
                self.by_number[place] = self.by_number.get(place, "") + line
            point = _POINT.match(line)
            if point is not None and section == "20":
                self.words.append((section, point["point"]))
            letter, cell = _LETTER.match(line), _CELL.match(line)
            if letter is not None:
                self.words.append((step or section, letter["letter"]))
            if cell is not None and section in ("2", "6", "8"):
                self.words += [(section, word) for word in re.findall(r"`\{?([a-z_]+)[`:]", cell["cell"])]
            if step == "4.1.5":
                self.words += [(step, word) for word in re.findall(r"- ([A-Z_]+):", line)]
            if section == "6":
                self.words += [(section, word) for word in re.findall(r"Reject ([A-Z_]+)", line)]
