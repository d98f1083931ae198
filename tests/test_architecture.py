"""The house of DESIGN section 2: which room may import which, and what an import may cost."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAB = ROOT / "lab"
FILES = sorted(LAB.rglob("*.py"))

# Words without behaviour: every room may speak them, and they know no other room.
WORDS = {"arrival", "errors", "model", "tables", "verdicts"}

# Room -> the rooms it may import beyond the words. A folder is one room; where its files may import
# each other it names itself. Adapters may not: one system must never depend on another.
TABLE = {
    "arrival": "",
    "errors": "",
    "model": "arrival",
    "tables": "tables",
    "verdicts": "",
    # Inside a worker: nothing but the standard library.
    "ledger": "",
    "canonical": "",
    "kernel": "canonical ledger",
    "inside": "",
    # Systems, and how they are found.
    "cron": "",
    "backend": "",
    "django_site": "django_site",
    "celery_app": "backend kernel",
    "dask_peers": "procfs",
    "rq_jobs": "backend kernel rq_jobs",
    "backends": "backend celery_app cron django_site kernel rq_jobs",
    "own_task": "",
    "rehearsal": "interrupts kernel own_task processes surroundings",
    "printable": "",
    "terminal": "printable",
    "entries": "printable",
    "contracts": "backend entries",
    "registry": "backend backends contracts entries own_task presets",
    "shadows": "own_task registry surroundings",
    "consent": "files own_task registry",
    # What one trial is made of.
    "arrivals": "",
    "counters": "",
    "nominal": "cron",
    "wall": "",
    "specs": "backend",
    "readback": "files ledger",
    "tasks": "kernel ledger",
    "offering": "arrivals backend ledger",
    "readiness": "appointments ledger offering readback tasks",
    "unrecorded": "ledger offering readback tasks",
    "appointments": "ledger nominal readback tasks wall",
    "defects": "files",
    "ranges": "placement",
    "feasible": "nominal plan ranges tasks",
    "listing": "console presets registry",
    "repository": "surroundings",
    "harness": "backend kernel ledger offering scratch surroundings",
    "driver": "appointments arrivals backend counters ledger offering readback readiness registry "
    "specs tasks unrecorded",
    # Where it runs.
    "surroundings": "",
    "interrupts": "",
    "marks": "",
    "processes": "interrupts marks surroundings",
    "scratch": "files processes",
    "placement": "",
    "engine": "surroundings",
    "images": "engine images scratch surroundings terminal",
    "cluster": "backend placement",
    "connections": "",
    "clusters": "backend cluster clusters connections engine images inside own_task placement "
    "processes procfs registry scratch surroundings",
    "footprint": "procfs",
    "gauges": "cluster footprint noise",
    "logs": "",
    "trial": "logs appointments backend cluster clusters gauges interrupts ledger noise placement "
    "processes readback readiness registry specs surroundings tasks",
    # What it left behind, and whether that can be believed.
    "procfs": "",
    "environment": "defects procfs repository",
    "noise": "procfs",
    "checker": "",
    "occurrences": "nominal",
    "status": "files",
    "evidence": "backend counters ledger occurrences own_task readback registry status tasks wall",
    "identity": "nominal own_task placement registry trial",
    "reasons": "clusters evidence processes trial",
    "collect": "checker evidence identity noise reasons status trial wall",
    # Tables in, tables and pages out.
    "files": "",
    "schema": "",
    "dictionary": "schema",
    "formats": "schema",
    "store": "files formats schema",
    "statistics": "",
    "side_by_side": "",
    "measures": "statistics",
    "punctuality": "statistics",
    "shapes": "measures statistics",
    "upkeep": "counters statistics upkeep",
    "bursts": "ledger measures statistics tasks",
    "metrics": "backlog bursts defects measures punctuality shapes statistics upkeep",
    "backlog": "statistics",
    "capacity": "metrics presets statistics",
    "limits": "capacity metrics",
    "estimates": "metrics statistics",
    "ceilings": "metrics",
    "baselines": "backend clusters defects engine images interrupts processes registry "
    "scratch surroundings",
    "scaling": "statistics",
    "granularity": "statistics",
    "trends": "granularity metrics scaling statistics trends",
    "presets": "",
    "history": "campaign console files formats history interrupts metrics plan presets registry "
    "repository runs scratch store",
    "figures": "files figures granularity measures metrics statistics trends",
    "comparison": "comparison console files interrupts metrics printable ranges repository scratch "
    "statistics store surroundings",
    "report": "defects figures files limits metrics own_task presets report side_by_side "
    "statistics store trends",
    # The whole. It never touches a system: no backend, no kernel.
    "obstacles": "backend nominal registry",
    "plan": "nominal obstacles presets registry",
    "ladder": "capacity obstacles plan presets statistics",
    "derived": "capacity ceilings defects estimates limits metrics side_by_side store tasks trends",
    "runs": "consent environment files formats plan presets schema specs store",
    "campaign": "baselines capacity clusters collect defects derived files harness ladder noise "
    "plan processes runs store trial watchdog",
    "doctor": "backend clusters defects engine environment images noise placement processes "
    "registry",
    "watchdog": "clusters interrupts processes scratch surroundings",
    "console": "ladder metrics nominal plan presets printable terminal",
    "selection": "backend clusters console feasible own_task placement plan presets ranges "
    "registry rehearsal scratch shadows surroundings watchdog",
    "options": "arrivals clusters presets ranges",
    "claims": "backend campaign claims clusters console evidence options plan presets ranges "
    "readback readiness registry runs selection statistics status store",
    "publishing": "campaign clusters consent console dictionary environment figures files formats "
    "options own_task plan printable publishing report runs schema selection specs store",
    "turns": "console",
    "cli": "campaign claims clusters comparison consent console defects derived doctor feasible "
    "history interrupts listing options plan presets publishing ranges registry report runs "
    "selection store surroundings turns watchdog",
}
ARROWS = {room: set(may.split()) for room, may in TABLE.items()}
HEAVY = (
    "apscheduler",
    "celery",
    "dask",
    "django",
    "django_q",
    "django_rq",
    "joblib",
    "kombu",
    "numpy",
    "pandas",
    "redis",
    "rq",
)
LONGEST_FILE = 300
LONGEST_FUNCTION = 40


def room_of(file: Path) -> str:
    """Name the room that `file` of lab/ belongs to; empty for the package's own front door."""
    room = file.relative_to(LAB).with_suffix("").parts[0]
    return "" if room == "__init__" else room


def imported(file: Path) -> Iterator[str]:
    """Every module that `file` imports, at its top or inside a function, as dotted names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} line {node.lineno}: import by full name"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def rooms_imported(file: Path) -> set[str]:
    """The rooms of lab/ that `file` imports."""
    names = (name.split(".") for name in imported(file))
    return {parts[1] for parts in names if parts[0] == "lab" and len(parts) > 1}


def foreign_to(file: Path, allowed: set[str]) -> set[str]:
    """The top-level packages that `file` imports beyond the standard library and `allowed`."""
    packages = {name.split(".")[0] for name in imported(file)}
    return packages - sys.stdlib_module_names - allowed


def test_every_room_is_on_the_plan() -> None:
    """A file of lab/ belongs to a room of the table, and every room of the table exists."""
    assert {room_of(file) for file in FILES} - {""} == set(ARROWS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(LAB)))
def test_a_room_imports_only_what_it_may(file: Path) -> None:
    """The imports of every file follow the arrows of the design."""
    room = room_of(file)
    may = ARROWS.get(room, set()) | (set() if room in {*WORDS, ""} else WORDS)
    assert rooms_imported(file) <= may


def test_the_arrows_go_one_way() -> None:
    """No room can be reached from a room that it imports."""
    graph = {room: may - {room} for room, may in ARROWS.items()}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_nobody_imports_the_command_line() -> None:
    """Commands sit on top of the house: nothing rests on them."""
    assert not [file.name for file in FILES if "cli" in rooms_imported(file)]


@pytest.mark.parametrize("room", ["model", "ledger", "kernel"])
def test_what_runs_inside_a_worker_needs_no_package(room: str) -> None:
    """Ledger and kernel import only the standard library: they run in every system's worker."""
    assert not foreign_to(LAB / f"{room}.py", {"lab"})


@pytest.mark.parametrize("file", sorted((ROOT / "workloads").glob("*.py")), ids=lambda f: f.stem)
def test_tasks_need_no_package(file: Path) -> None:
    """A workload imports only the standard library, so that any worker can run it."""
    assert not foreign_to(file, {"workloads"})


def test_listing_adapters_imports_no_system() -> None:
    """Importing every adapter brings no heavy package along."""
    adapters = [f"lab.backends.{file.stem}" for file in (LAB / "backends").glob("[!_]*.py")]
    assert adapters
    program = (
        f"import sys, {', '.join(adapters)}\nprint(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program]
    seen = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert seen.stdout.split() == []


@pytest.mark.parametrize("folder", ["lab", "workloads", "tests"])
def test_no_file_is_long(folder: str) -> None:
    """One idea a file: none has more than 300 lines."""
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in (ROOT / folder).rglob("*.py")
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_long() -> None:
    """A function that fills a screen is two functions: none of lab/ has more than 40 lines."""
    lengths = {
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}": node.end_lineno - node.lineno + 1
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}
