"""Tests the copies of a package that the A/A test over environments compares, and its shares."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from lab.comparison.inputs import Side
from lab.environments import checkouts
from lab.environments.requirements import name_of
from tests.fidelity import environments
from tests.unit.comparison.test_compare import NOISE, side

# The time of a task that sleeps, in multiples of its sleep, which joblib calls in this thread.
PROGRAM = """
import time
import joblib
with joblib.Parallel(n_jobs=1, backend="threading") as parallel:
    begin = time.monotonic()
    parallel(joblib.delayed(time.sleep)(0.05) for _ in range(3))
    print((time.monotonic() - begin) / 0.15)
"""


def test_only_the_third_copy_is_slower(tmp_path: Path) -> None:
    """It takes at least the given share longer; all three are different checkouts."""
    folders = environments.copies(tmp_path, 2.0)
    contents = {checkouts.digest("joblib", f"file:{folder}") for folder in folders.values()}
    assert len(contents) == len(folders) == 3
    times = {}
    for name, folder in folders.items():
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(
            command, cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, check=True
        )
        times[name] = float(done.stdout)
    assert times["C"] >= 3.0
    # A busy machine makes a sleep longer, but not by twice its length.
    assert max(times["A"], times["B"]) < 3.0


def test_a_copy_requires_what_the_package_requires(tmp_path: Path) -> None:
    """An environment contains nothing else; the extras of the package are left out."""
    copy = environments.copies(tmp_path, 0.2)["A"]
    project = tomllib.loads((copy / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [name_of(text) for text in project["dependencies"]] == ["cloudpickle"]


def environments_of() -> tuple[Side, Side]:
    """Make two equal environments of one run on a drifting machine."""
    rng, drift = np.random.default_rng(3), np.linspace(1.0, 1.15, 10)
    sides = [side("a", drift * np.exp(rng.normal(0, NOISE, 10)), "run") for _ in "ab"]
    a, b = (
        replace(each, numbers=each.numbers.assign(environment=text))
        for each, text in zip(sides, "ab", strict=True)
    )
    return a, b


def test_the_two_trials_of_a_block_are_a_pair() -> None:
    """A block that lacks one of them is left out, so that no pair has trials of two blocks."""
    a, b = environments_of()
    b = replace(b, numbers=b.numbers[b.numbers.block != 4])
    numbers = environments.as_one(a, b).numbers
    assert sorted(set(numbers.block)) == [n for n in range(20) if n not in {8, 9}]
    assert set(numbers.environment) == {""}


def test_random_divisions_of_equal_environments_have_few_differences() -> None:
    """A twentieth on average, and by chance not many more."""
    for _, false, divisions in environments.false_differences(*environments_of()):
        assert divisions == 200
        assert binomtest(false, divisions, 0.05, alternative="greater").pvalue > 0.01
