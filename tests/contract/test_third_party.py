"""Tests a backend of another package: it is listed, tested by the contract, run and charted.

`third_party/lab_huey` follows docs/add-a-backend.md. No module of the lab refers to it.
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
    """The environment of a process in which the package is installed from its wheel."""
    folder = tmp_path_factory.mktemp("lab_huey")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=PACKAGE, capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    path = os.pathsep.join([str(folder / "site"), str(ROOT)])
    # The inner pytest is part of an outer test, and must not wait for the lock of the workers.
    ours = {name: value for name, value in os.environ.items() if name != "PYTEST_XDIST_WORKER"}
    return {**ours, "PYTHONPATH": path, "COLUMNS": "200"}


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a Python command from the root of the lab."""
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_list_shows_the_backend(installed: dict[str, str]) -> None:
    """Its variants, contracts and profiles are in the list."""
    shown = python(installed, "-m", "lab.cli", "list")
    assert shown.returncode == 0, shown.stderr
    rows = re.findall(r"our-huey\[(\w+)\]\W+at-most-once job queue; @tuned: ", shown.stdout)
    assert rows == ["thread", "process"]


def test_lab_does_not_refer_to_the_backend(installed: dict[str, str]) -> None:
    """Without the package, there is no such backend, and no module of lab/ mentions it.

    Its name is not that of the lab's own adapter of huey, which an entry point cannot replace.
    """
    shown = python({**installed, "PYTHONPATH": str(ROOT)}, "-m", "lab.cli", "list")
    assert "our-huey" not in shown.stdout
    modules = (ROOT / "lab").rglob("*.py")
    assert not [file for file in modules if "our-huey" in file.read_text(encoding="utf-8")]


@pytest.mark.slow
def test_backend_passes_the_contract(installed: dict[str, str]) -> None:
    """The contract test of the lab's backends also tests this one."""
    arguments = (
        "-m",
        "pytest",
        "-v",
        "-m",
        "",
        "-p",
        "no:cacheprovider",
        "tests/contract/test_backends.py",
    )
    shown = python(installed, *arguments, "-k", "our-huey")
    assert shown.returncode == 0, shown.stdout
    passed = set(re.findall(r"::(test_\w+)\[our-huey.*PASSED", shown.stdout))
    assert passed >= {
        "test_a_thousand_tasks_run_exactly_once",
        "test_round_trip_receives_each_result_after_its_task",
        "test_stop_is_idempotent_and_releases_all_resources",
        "test_backend_declares_its_facts",
    }


@pytest.mark.slow
def test_backend_runs_in_a_campaign_and_is_charted(
    installed: dict[str, str], tmp_path: Path
) -> None:
    """Its trials have rows and estimates, and its label is in the figures."""
    chosen = ("-b", "our-huey", "-b", "thread-pool", "-w", "noop", "--arrival", "burst")
    size = ("--blocks", "2", "--tasks", "40", "--cores", "1", "--seed", "3")
    where = ("--provider", "local", "--tables-only", "--results", str(tmp_path))
    shown = python(installed, "-m", "lab.cli", "bench", *chosen, *size, *where)
    assert shown.returncode == 0, shown.stderr
    (run,) = (tmp_path / "runs").iterdir()
    trials = pd.read_csv(run / "trial.csv")
    assert set(trials[trials.label == "our-huey[thread]@default"].block) == {0, 1}
    call_it_quiet(run)
    assert python(installed, "-m", "lab.cli", "report", str(run)).returncode == 0
    for file in ("report.html", "estimate.csv", "figures/overhead.svg", "figures/scaling.csv"):
        assert "our-huey" in (run / file).read_text(encoding="utf-8"), file
