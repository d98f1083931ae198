"""Tests the wording linter: it finds rejected words where prose and names are, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factories.scripts import script

ROOT = Path(__file__).parents[2]
wording = script(".ci/wording.py")


def hits_of(name: str, text: str) -> list[tuple[int, str]]:
    """Return line and word of each hit in a file of that name."""
    return [(hit.line, hit.word.lower()) for hit in wording.hits_in(Path(name), text)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"""Shows the result.\n\nIt is told.\n"""\n', [(3, "told")]),
        ("x = 1  # nobody's\n", [(1, "nobody's")]),
        ("x = 'It said: told'\n", [(1, "told")]),
        ("x = f'{y} told {z}'\n", [(1, "told")]),
        ("x = '\\ntold'\n", [(1, "told")]),
        ("# take\n# turns\n", [(1, "take turns")]),
        ("x = ('they take '\n     'turns')\n", [(1, "take turns")]),
        ("x = ('take', 'turns')\n", []),
        ("x = file.tell()\n", []),
        ("x = f'{file.tell()} bytes'\n", []),
        ("x = retold = 'untold'\n", []),
    ],
)
def test_prose_of_python_is_checked(source: str, expected: list[tuple[int, str]]) -> None:
    """Docstrings, comments and strings are prose, across lines; other code is not."""
    assert hits_of("a.py", source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "told = 1",
        "_found_ = 1",
        "for kept in (): pass",
        "def own(): pass",
        "def f(made): pass",
        "class Asked: pass",
        "import os as found",
        "self.told = 1",
        "with x as made: pass",
        "try: pass\nexcept E as found: pass",
        "match x:\n    case [told, *kept]: pass",
        "def is_told(): pass",
        "lambda found: 1",
        "x = [1 for found in y]",
        "if (found := 1): pass",
    ],
)
def test_names_that_code_defines_are_checked(source: str) -> None:
    """Each way to define a name counts, with underscores around it or in capitals."""
    assert hits_of("a.py", source)


def test_names_that_code_only_reads_are_not_checked() -> None:
    """A name of another package cannot be changed here."""
    assert hits_of("a.py", "x = told(other.found, made=1)\n") == []


def test_a_docstring_begins_with_a_verb_or_a_subject() -> None:
    """A docstring that begins with a question word has no main clause."""
    source = (
        'def f():\n    """Whether it runs."""\n\n\ndef g():\n    """Return whether it runs."""\n'
    )
    assert hits_of("a.py", source) == [(2, "whether")]


def test_other_files_are_prose_throughout() -> None:
    """Markdown, templates and settings are checked in full, across lines."""
    text = "Fine.\nThey take\nturns, and are mended.\n"
    assert hits_of("a.md", text) == [(2, "take turns"), (3, "mended")]


def test_a_quotation_is_allowed_on_its_line() -> None:
    """A line that has to quote a rejected word is marked."""
    assert hits_of("a.md", "told <!-- wording: allow -->\ntold\n") == [(2, "told")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two rooms with three rejected words, and a vendored file with one."""
    for room, text in (("one", "told anew"), ("two", "told"), ("vendor", "told")):
        (tmp_path / room).mkdir()
        (tmp_path / room / "text.md").write_text(text)
    return tmp_path


def test_hits_are_printed_with_a_suggestion(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The output is `path:line: word: suggestion`; vendored files are left out."""
    assert wording.main([str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"{folder}/one/text.md:1: anew: again" in lines
    assert len(lines) == 3


def test_counts_are_printed_by_room(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--count` shows where most is left to do."""
    assert wording.main(["--count", str(folder)]) == 1
    assert capsys.readouterr().out.split()[-4:] == ["3", "in", "2", "files"]
    assert wording.room(ROOT / "lab/report/answers/queries.py") == "lab/report"


def test_a_path_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    """A mistyped path must not pass as clean."""
    with pytest.raises(SystemExit) as ended:
        wording.main([str(tmp_path / "missing")])
    assert ended.value.code == 2


def test_the_clean_paths_exist_and_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """Paths that were once cleaned stay clean."""
    assert wording.main([]) == 0, capsys.readouterr().out
