"""`boxgate strategies`: a drop-in folder in which some files are broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

GOOD = """\
from boxgate_sdk import FloatParameter, IntParameter, Strategy, StringParameter, serve

class Good(Strategy):
    name = "good"
    version = "2.1"
    author = "A. Author"
    description = "Does nothing."
    frames = ("H1", "H4")
    length = IntParameter(5, min=2, max=9, doc="Bars.")
    rate = FloatParameter(0.5)
    form = StringParameter("a", choices=("a", "b"))

    def requires(self):
        return ("FEEDBACK",)

    def on_event(self, event):
        return None
"""
FILES: dict[str, str | bytes] = {
    "good.py": GOOD + "\nif __name__ == '__main__':\n    serve(Good)\n",
    "class_only.py": GOOD.replace('"good"', '"class_only"'),
    "_helper.py": "raise RuntimeError('never read')\n",
    "notes.txt": "no strategy",
    "bad_syntax.py": "x = 1\ndef broken(:\n    pass\n",
    "no_import.py": "import boxgate_sdk\n\nimport no_such_library_at_all\n",
    "nothing.py": "x = 1\n",
    "two.py": GOOD + "\nclass Other(Good):\n    pass\n\nclass Third(Good):\n    pass\n",
    "hangs.py": "import time\ntime.sleep(60)\n",
    "wrong_frame.py": GOOD.replace('"H4"', '"H2"'),
    "latin.py": b"# \xe9\xff\nx = 1\n",
    "boxed/strategy.py": GOOD.replace('"good"', '"boxed"'),
    "empty/readme.md": "no strategy here",
}


@pytest.fixture
def folder(workspace: Path) -> Path:
    made = workspace / "drop_in"
    for name, text in FILES.items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    (made / "dangling.py").symlink_to("nowhere")
    return made


@pytest.mark.usefixtures("nothing_left")
def test_the_good_are_described_and_the_broken_are_told_with_line_and_reason(boxgate: Call, folder: Path) -> None:
    answered = boxgate("strategies", str(folder), "--timeout", "5", "--json")
    assert answered.code == 0
    assert answered.json["schema"] == "boxgate.strategies/1"
    listed = {str(Path(each["file"]).relative_to(folder)): each for each in answered.json["strategies"]}
    assert sorted(listed) == sorted({*FILES, "dangling.py"} - {"_helper.py", "notes.txt", "empty/readme.md"})
    works = {name for name, each in listed.items() if each["error"] is None}
    assert works == {"good.py", "class_only.py", "boxed/strategy.py"}
    good = listed["good.py"]
    assert (good["name"], good["version"], good["author"]) == ("good", "2.1", "A. Author")
    assert (good["description"], good["frames"], good["requires"]) == ("Does nothing.", ["H1", "H4"], ["FEEDBACK"])
    assert [p["name"] for p in good["parameters"]] == ["length", "rate", "form"]
    assert good["parameters"][0] == {
        "name": "length",
        "type": "INT",
        "default": 5,
        "min": 2.0,
        "max": 9.0,
        "choices": [],
        "doc": "Bars.",
    }
    assert good["command"] == ["python", str(folder / "good.py")]
    assert listed["class_only.py"]["command"][:3] == ["python", "-m", "boxgate_sdk"]
    broken = {name: each["error"] for name, each in listed.items() if each["error"] is not None}
    assert (broken["bad_syntax.py"]["code"], broken["bad_syntax.py"]["line"]) == ("SYNTAX", 2)
    assert broken["no_import.py"]["line"] == 3
    assert "no_such_library_at_all" in broken["no_import.py"]["what"]
    assert "no strategy" in broken["nothing.py"]["what"]
    assert "Other, Third" in broken["two.py"]["what"]
    assert broken["hangs.py"]["code"] == "HANDSHAKE_TIMEOUT"
    assert "H2" in broken["wrong_frame.py"]["what"]
    assert "latin.py" in broken
    assert broken["dangling.py"]["code"] == "FILE_UNREADABLE"
    assert all("\n" not in fault["what"] for fault in broken.values())


def test_a_person_reads_what_each_is_and_how_many_work(boxgate: Call, workspace: Path) -> None:
    folder = workspace / "few"
    folder.mkdir()
    (folder / "good.py").write_text(FILES["good.py"])  # type: ignore[arg-type]  # text, not bytes
    (folder / "bad.py").write_text("def broken(:\n")
    told = boxgate("strategies", str(folder)).out
    assert "good 2.1  by A. Author" in told
    assert "frames H1 H4 · requires FEEDBACK" in told
    assert "a | b" in told
    assert "2 … 9" in told
    assert "bad.py:1  SYNTAX" in told
    assert told.rstrip().endswith("1 strategy works, 1 broken.")


def test_a_file_that_only_defines_a_class_runs_by_the_sdks_runner(boxgate: Call, workspace: Path) -> None:
    (workspace / "mine").mkdir()
    text = GOOD.replace('frames = ("H1", "H4")', "").replace('return ("FEEDBACK",)', "return ()")
    (workspace / "mine" / "plain.py").write_text(text)
    command = "strategy.command=[python, -m, boxgate_sdk, mine/plain.py]"
    answered = boxgate("run", "run.yaml", "--json", "--set", command)
    assert answered.code == 0
    answered = boxgate("run", "run.yaml", "--json", "--set", command.replace("plain", "gone"))
    assert answered.code == 2
    assert "gone.py" in answered.error["what"]


@pytest.mark.parametrize("name", ["nowhere", "run.yaml"])
def test_what_is_no_folder_is_refused(boxgate: Call, name: str) -> None:
    answered = boxgate("strategies", name, "--json")
    assert (answered.error["code"], answered.code) == ("FOLDER_UNREADABLE", 2)


def test_an_empty_folder_says_so(boxgate: Call, workspace: Path) -> None:
    (workspace / "empty").mkdir()
    answered = boxgate("strategies", "empty", "--json")
    assert answered.code == 0
    assert answered.json["strategies"] == []
