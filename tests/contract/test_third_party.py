"""A package of somebody else's brings a backend: listed, held to the contract, run and charted.

`third_party/lab_huey` was written from docs/add-a-backend.md. Nothing in lab/ knows of it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from tests.factories.trials import call_it_quiet

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tests" / "third_party" / "lab_huey"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that finds the package installed, from its own wheel."""
    folder = tmp_path_factory.mktemp("lab_huey")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=PACKAGE, capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    path = os.pathsep.join([str(folder / "site"), str(ROOT)])
    # Its own pytest is part of one of our tests, and waits for no turn.
    ours = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    return {**ours, "PYTHONPATH": path, "COLUMNS": "200"}


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python command from the root of the lab."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_it_is_listed(installed: dict[str, str]) -> None:
    """Its variants and profiles can be named like any other."""
    shown = python(installed, "-m", "lab.cli", "list")
    assert shown.returncode == 0, shown.stderr
    rows = re.findall(r"huey\[(\w+)\]\W+default, tuned\W+yes", shown.stdout)
    assert rows == ["thread", "process"]


def test_the_lab_does_not_know_it(installed: dict[str, str]) -> None:
    """Without the package there is no such backend, and lab/ holds no word of it."""
    shown = python({**installed, "PYTHONPATH": str(ROOT)}, "-m", "lab.cli", "list")
    assert "huey" not in shown.stdout
    assert not [f for f in (ROOT / "lab").rglob("*.py") if "huey" in f.read_text(encoding="utf-8")]


@pytest.mark.slow
def test_it_passes_the_contract(installed: dict[str, str]) -> None:
    """Every test that the registry's own backends are held to holds for it as well."""
    asked = (
        "-m",
        "pytest",
        "-v",
        "-m",
        "",
        "-p",
        "no:cacheprovider",
        "tests/contract/test_backends.py",
    )
    shown = python(installed, *asked, "-k", "huey")
    assert shown.returncode == 0, shown.stdout
    passed = set(re.findall(r"::(test_\w+)\[huey.*PASSED", shown.stdout))
    assert passed >= {
        "test_a_thousand_tasks_of_every_kind_run_exactly_once",
        "test_a_round_trip_sees_each_result_after_the_task",
        "test_stop_is_idempotent_and_leaves_nothing",
        "test_every_backend_says_what_it_is",
    }


@pytest.mark.slow
def test_it_runs_in_a_campaign_and_is_charted(installed: dict[str, str], tmp_path: Path) -> None:
    """Its trials are rows, its estimates stand in the table, and its label in the figures."""
    chosen = ("-b", "huey", "-b", "thread-pool", "-w", "noop", "--arrival", "burst")
    size = ("--blocks", "2", "--tasks", "40", "--cores", "1", "--seed", "3")
    where = ("--provider", "local", "--tables-only", "--results", str(tmp_path))
    shown = python(installed, "-m", "lab.cli", "bench", *chosen, *size, *where)
    assert shown.returncode == 0, shown.stderr
    (run,) = (tmp_path / "runs").iterdir()
    trials = pd.read_csv(run / "trial.csv")
    assert set(trials[trials.label == "huey[thread]@default"].block) == {0, 1}
    call_it_quiet(run)
    assert python(installed, "-m", "lab.cli", "report", str(run)).returncode == 0
    for file in ("report.html", "estimate.csv", "figures/overhead.svg", "figures/scaling.csv"):
        assert "huey" in (run / file).read_text(encoding="utf-8"), file
