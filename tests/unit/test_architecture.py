"""Tests docs/architecture.md: a room imports only rooms below it; what an import may cost."""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.providers import PROVIDERS

ROOT = Path(__file__).parents[2]
LAB = ROOT / "lab"
FILES = sorted(LAB.rglob("*.py"))

# From the top of the house to its ground. A room imports itself and what is below it.
ROOMS = (
    "cli",
    "publishing",
    "history",
    "claims",
    "campaign",
    "report",
    "validation",
    "figures",
    "comparison",
    "running",
    "analysis",
    "driver",
    "providers",
    "environments",
    "planning",
    "recording",
    "backends",
    "host",
    "results",
    "worker",
    "console",
    "core",
)
# For other packages only; the last three are deprecated names of the first.
DOORS = {"plugin", "backend", "kernel", "model"}
HEAVY = (
    "apscheduler",
    "celery",
    "dask",
    "django",
    "django_q",
    "django_rq",
    "django_tasks",
    "dramatiq",
    "huey",
    "joblib",
    "kombu",
    "numpy",
    "pandas",
    "pebble",
    "procrastinate",
    "ray",
    "redis",
    "rq",
    "taskiq",
)
LONGEST_FILE = 300


def room_of(file: Path) -> str:
    """Return the room that `file` of lab/ belongs to; empty for the package itself."""
    room = file.relative_to(LAB).with_suffix("").parts[0]
    return "" if room == "__init__" else room


def name_of(file: Path) -> str:
    """Return the dotted name of a module."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(file): file for file in FILES}


def imported(file: Path) -> Iterator[str]:
    """Every module that `file` imports, at its top or inside a function, as dotted names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} line {node.lineno}: import by full name"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def modules_imported(file: Path) -> set[str]:
    """Return the modules of lab/ that `file` imports; of a name in a module, the module."""
    names = {name for name in imported(file) if name.split(".")[0] == "lab"}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def rooms_imported(file: Path) -> set[str]:
    """Return the rooms of lab/ that `file` imports."""
    return {name.split(".")[1] for name in modules_imported(file) if "." in name}


def foreign_to(file: Path, allowed: set[str]) -> set[str]:
    """Return the top-level packages that `file` imports beyond the standard library."""
    packages = {name.split(".")[0] for name in imported(file)}
    return packages - sys.stdlib_module_names - allowed


def test_every_room_is_on_the_plan() -> None:
    """A file of lab/ belongs to a room or is a door, and every room has files."""
    assert {room_of(file) for file in FILES} - {""} == {*ROOMS, *DOORS}


def test_the_rooms_are_documented_in_their_order() -> None:
    """The table of docs/architecture.md has a row for each room, from top to bottom."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(?:lab/)?(\w+)(?:/|\.py)` \|", text, re.MULTILINE) == list(ROOMS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(LAB)))
def test_a_room_imports_only_rooms_below_it(file: Path) -> None:
    """No import points up, and none goes through a door of other packages."""
    room = room_of(file)
    below = {*ROOMS[ROOMS.index(room) :]} if room in ROOMS else {*ROOMS}
    assert rooms_imported(file) - below == set()


def test_no_module_imports_itself_through_others() -> None:
    """Within a room too, imports have no cycle."""
    graph = {name: modules_imported(file) - {name} for name, file in MODULES.items()}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_only_providers_compare_the_name_of_a_provider() -> None:
    """Differences between providers are hooks of their classes, so that a new one is one file."""
    compared = {
        f"{file.relative_to(LAB)}:{node.lineno}"
        for file in FILES
        if room_of(file) != "providers"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Constant) and side.value in PROVIDERS
    }
    assert compared == set()


def definitions() -> Iterator[tuple[str, str]]:
    """Yield the name and the place of each class and type alias of lab/, underscores removed."""
    for name, file in MODULES.items():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                yield node.name.lstrip("_"), name
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
            for target in targets:
                # A constant is in capital letters, and a type variable means any type.
                is_type = re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", ast.unparse(target))
                if is_type and "TypeVar" not in ast.unparse(node):
                    yield ast.unparse(target).lstrip("_"), name


def test_a_name_has_one_meaning() -> None:
    """No two classes or type aliases have the same name: a reader looks for it once."""
    places: dict[str, list[str]] = {}
    for name, module in definitions():
        places.setdefault(name, []).append(module)
    assert len(places) > 150
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_an_adapter_imports_no_other_adapter() -> None:
    """Code of several systems is in modules with an underscore: no adapter depends on another."""
    crossing = {
        file.name: other
        for file in (LAB / "backends").rglob("*.py")
        for other in modules_imported(file)
        if other.startswith("lab.backends.") and not other.startswith("lab.backends._")
    }
    assert crossing == {}


# In a container's own process, `container` asks servers by their clients.
IN_WORKERS = [file for file in sorted((LAB / "worker").glob("*.py")) if file.stem != "container"]


@pytest.mark.parametrize("file", IN_WORKERS, ids=lambda f: f.stem)
def test_what_runs_inside_a_worker_needs_no_package(file: Path) -> None:
    """A worker of any system can import it: only the standard library."""
    assert foreign_to(file, {"lab"}) == set()


def test_a_worker_imports_little_of_the_lab() -> None:
    """A system that starts a process for each task pays this import each time."""
    program = (
        "import sys, lab.worker.execution\nprint(*(m for m in sys.modules if m[:4] == 'lab.'))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert {name for name in seen.stdout.split() if not name.startswith("lab.worker")} == set()


@pytest.mark.parametrize("file", sorted((ROOT / "workloads").glob("*.py")), ids=lambda f: f.stem)
def test_tasks_need_no_package(file: Path) -> None:
    """A workload imports only the standard library, so that any worker can run it."""
    assert foreign_to(file, {"workloads"}) == set()


def heavy_after(*modules: str) -> list[str]:
    """Import modules in a process of their own; return which heavy packages that brought along."""
    program = f"import sys, {', '.join(modules)}\nprint(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    command = [sys.executable, "-c", program]
    seen = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return seen.stdout.split()


def test_listing_adapters_imports_no_system() -> None:
    """Importing every adapter brings no heavy package along."""
    adapters = [f"lab.backends.{file.stem}" for file in (LAB / "backends").glob("[!_]*.py")]
    assert adapters
    assert heavy_after(*adapters) == []


def test_making_images_needs_few_packages() -> None:
    """`nox -s images` has an environment with few packages, and imports the room of providers."""
    assert heavy_after("lab.providers.images.__main__") == []


@pytest.mark.parametrize("old", ["backend", "kernel", "model"])
def test_a_deprecated_name_says_where_to_go(old: str) -> None:
    """It has all that it had, and its warning names the public door."""
    sys.modules.pop(f"lab.{old}", None)
    with pytest.warns(DeprecationWarning, match=r"import from lab\.plugin"):
        module = importlib.import_module(f"lab.{old}")
    needed = {"backend": "Backend", "kernel": "execute", "model": "Task"}
    assert hasattr(module, needed[old])


@pytest.mark.parametrize("folder", ["lab", "workloads", "tests"])
def test_no_file_is_long(folder: str) -> None:
    """One idea a file: none has more than 300 lines."""
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in (ROOT / folder).rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}
