"""Tests tests/README.md: each module has tests in a file of its name, or a row of the page."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAB, TESTS = ROOT / "lab", ROOT / "tests"
UNIT = TESTS / "unit"


def rows(heading: str) -> list[tuple[list[str], list[str]]]:
    """Return the names in code of both columns, for each row of the table below a heading."""
    section = (TESTS / "README.md").read_text(encoding="utf-8").partition(f"## {heading}\n")[2]
    table = [line.split("|")[1:3] for line in section.partition("\n## ")[0].splitlines()]
    return [
        (re.findall(r"`([^`]+)`", cells[0]), re.findall(r"`([^`]+)`", cells[1]))
        for cells in table
        if cells and "`" in cells[0]
    ]


def modules() -> dict[str, list[str]]:
    """Map each module of lab/ to the test files that may have its name, below tests/unit/."""
    names = {}
    for file in LAB.rglob("*.py"):
        path = file.relative_to(LAB).with_suffix("")
        if path.name == "__init__" and len(path.parts) > 1:
            path = path.parent
            name = f"test_{path.name.lstrip('_')}.py"
            names[str(path)] = [f"{path.parent}/{name}", f"{path}/{name}"]
        elif not path.name.startswith("__"):
            names[str(path)] = [f"{path.parent}/test_{path.name.lstrip('_')}.py"]
    return names


PACKAGES = {str(file.parent.relative_to(LAB)) for file in LAB.rglob("__init__.py")}
ELSEWHERE = rows("Modules whose tests have another name")


def imports() -> str:
    """Return the lines of all tests that import something, to search in."""
    lines = (line for f in TESTS.rglob("*.py") for line in f.read_text("utf-8").splitlines())
    return "\n".join(line for line in lines if line.startswith(("from lab", "import lab")))


def test_each_module_has_tests() -> None:
    """A module without a file of its name is in the table, or a test imports it by its name."""
    without = {
        module
        for module, names in modules().items()
        if module not in PACKAGES and not any((UNIT / name).is_file() for name in names)
    }
    patterns = [pattern for left, _ in ELSEWHERE for pattern in left]
    covered = {module for module in without if any(fnmatch(module, p) for p in patterns)}
    lines = imports()
    parts = {module: module.replace("/", ".").rpartition(".") for module in without - covered}
    names = {
        m: rf"lab\.({room}\.{name}\b|{room} import .*\b{name}\b)"
        for m, (room, _, name) in parts.items()
    }
    assert [module for module, name in names.items() if not re.search(name, lines)] == []
    assert [p for p in patterns if not any(fnmatch(module, p) for module in modules())] == []


def test_the_tests_elsewhere_exist() -> None:
    """Each row names one file with tests."""
    assert ELSEWHERE
    for _, right in ELSEWHERE:
        (file,) = right
        assert (TESTS / file).is_file(), file


def test_each_test_file_has_the_name_of_a_module() -> None:
    """A file in a room that tests several modules is in the table, and no other file is."""
    named = {str(Path(name)) for names in modules().values() for name in names}
    files = {str(f.relative_to(UNIT)) for f in UNIT.rglob("test_*.py") if f.parent != UNIT}
    several = [name for left, _ in rows("Tests of several modules") for name in left]
    assert sorted(files - named) == sorted(several)
