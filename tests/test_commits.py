"""Real commits of the lab: one slows its pool of threads by a fifth, and `lab compare` says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAIRS = 8
WORDS = "--preset quick --backend thread-pool --workload cpu --cores 1 --provider local"
# CPU time: that of a task by the clock says more of the machine when its CPUs are busy.
METRIC = "cpu_driver_s_per_task"
# A fifth of each task's rounds once more, in the pool's thread, before the task starts. Other tasks
# prove that the pool is ready: they stay as they are.
SLOWED = """
def _slowed(task_id: int, function: str, argument: Any) -> int | None:
    from workloads import cpu

    if function == "workloads.cpu:run":
        cpu.run([1, argument[1] // 5])
    return kernel.execute(task_id, function, argument)
"""


def git(repository: Path, *words: str) -> str:
    """Run git and return what it prints."""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", "-C", str(repository), *who, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def change(file: Path, old: str, new: str) -> None:
    """Replace text that must be there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three commits of the lab: base, one that is equal, and one whose pool is slower."""
    folder = tmp_path_factory.mktemp("commits") / "lab"
    for name in ("lab", "workloads"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    # The tests' machine may be busy: here nothing is too noisy to count.
    change(
        folder / "lab/collect.py",
        "flag, reasons = noise.judge(disturbed, findings)",
        "flag, reasons = Flag.OK, []",
    )
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "base")
    pool = folder / "lab/backends/thread_pool.py"
    pool.write_text(pool.read_text() + "\n# Nothing else.\n")
    commit(folder, "equal")
    change(pool, "\n# Nothing else.\n", SLOWED)
    change(pool, "submit(kernel.execute,", "submit(_slowed,")
    commit(folder, "slow")
    return folder


def commit(repository: Path, name: str) -> None:
    """Commit everything and give it a name."""
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", name)
    git(repository, "tag", name)


def lab(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run this lab's command in the repository."""
    command = [sys.executable, "-m", "lab.cli", *words]
    return subprocess.run(
        command,
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_commit_that_slows_the_pool_is_told_and_an_equal_one_is_not(repository: Path) -> None:
    """Both commits take turns: a fifth more is a regression, and the same is none."""
    for side, code, verdicts in (("slow", 1, {"worse"}), ("equal", 0, {"tie", "inconclusive"})):
        done = lab(
            repository,
            "compare",
            "base",
            side,
            "--pairs",
            str(PAIRS),
            "--bench",
            WORDS,
            "--metric",
            METRIC,
            "--threshold",
            "6",
            "--format",
            "json",
        )
        assert done.returncode == code, done.stderr
        (number,) = json.loads(done.stdout)["compared"]
        assert number["change"] in verdicts
        assert "paired ratio" in number["ratio"]["method"]
        assert (number["n_a"], number["n_b"]) == (PAIRS, PAIRS)
        low, high = (1.08, 1.45) if side == "slow" else (0.85, 1.15)
        assert low < number["ratio"]["value"] < high
    assert git(repository, "worktree", "list").count("\n") == 0
