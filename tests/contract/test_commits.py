"""Real commits of the lab: one slows its pool of threads by a fifth, and every tool says so."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAIRS = 6
# The preset's cell, so that what is measured has a place in the history.
WORDS = "--preset quick --backend thread-pool --workload io --cores 1 --provider local"
# Of tasks that wait: the time of CPU work tells more of a busy machine than of a commit.
METRIC = "worker_s_per_task"
NUMBER = f"quick.IoBurst.track_{METRIC}"
MACHINE = ("--machine", "labbox")
# A fifth of each task's wait once more, in the pool's thread, before the task starts. Other tasks
# prove that the pool is ready: they stay as they are.
SLOWED = """
def _slowed(task_id: int, function: str, argument: Any) -> int | None:
    from workloads import io

    if function == "workloads.io:run":
        io.run([argument[0] // 5, 1])
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
    """Three commits of the lab: base, one that is equal, and one whose pool is slower.

    On a branch is a fourth, so slow that a trial of another's that was disturbed hides nothing.
    """
    folder = tmp_path_factory.mktemp("commits") / "lab"
    for name in ("lab", "workloads", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "asv.conf.json"):
        shutil.copy(ROOT / name, folder)
    # The tests' machine may be busy: here nothing is too noisy to count.
    change(
        folder / "lab/validation/trial_row.py",
        "flag, reasons = noise.judge(disturbed, findings)",
        "flag, reasons = Flag.OK, []",
    )
    # And tasks wait so long that beside other tests, which delay a start, a fifth is seen.
    change(folder / "workloads/io.py", "DEFAULT_SIZE = 20_000", "DEFAULT_SIZE = 100_000")
    # One cell: it is the one whose cost is told.
    presets = folder / "lab/planning/presets.py"
    begin, rest = presets.read_text().split("QUICK = (\n")
    presets.write_text(begin + 'QUICK = (Cell("io", Burst(20)),)\n' + rest.split("\n)\n", 1)[1])
    configure(folder / "asv.conf.json")
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "base")
    pool = folder / "lab/backends/thread_pool.py"
    pool.write_text(pool.read_text() + "\n# Nothing else.\n")
    commit(folder, "equal")
    change(pool, "\n# Nothing else.\n", SLOWED)
    change(pool, "submit(kernel.execute,", "submit(_slowed,")
    commit(folder, "slow")
    git(folder, "checkout", "-q", "-b", "aside")
    change(pool, "argument[0] // 5", "argument[0]")
    commit(folder, "slowest")
    git(folder, "checkout", "-q", "main")
    return folder


def commit(repository: Path, name: str) -> None:
    """Commit everything and give it a name."""
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", name)
    git(repository, "tag", name)


def configure(file: Path) -> None:
    """Let asv's environment borrow this one's packages: nothing is downloaded or built twice."""
    lines = [line for line in file.read_text().splitlines() if not line.strip().startswith("//")]
    content = json.loads("\n".join(lines))
    borrow = (
        "import pathlib, site, sys; "
        "pathlib.Path(site.getsitepackages()[0], 'borrowed.pth').write_text(sys.argv[1])"
    )
    content["install_command"] = [
        f'python -c "{borrow}" {site.getsitepackages()[0]}',
        content["install_command"][-1],
    ]
    file.write_text(json.dumps(content))


def lab(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run this lab's command in the repository."""
    command = [sys.executable, "-m", "lab.cli", *words]
    return subprocess.run(
        command, cwd=repository, env=environment(ROOT), capture_output=True, text=True, check=False
    )


def environment(root: Path, **more: str) -> dict[str, str]:
    """Return an environment in which `root` is where the lab comes from."""
    return {**os.environ, "PYTHONPATH": str(root), **more}


@pytest.mark.slow
def test_a_commit_that_slows_the_pool_is_told_and_an_equal_one_is_not(repository: Path) -> None:
    """Both commits take turns: a fifth more is a regression, and the same is none."""
    for side, code, verdicts in (("slow", 4, {"worse"}), ("equal", 0, {"tie", "inconclusive"})):
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
        # Once more with twice the pairs where the first could not tell.
        assert number["n_a"] == number["n_b"]
        assert number["n_a"] in {PAIRS, 2 * PAIRS}
    assert git(repository, "worktree", "list").count("\n") == 0
    # The same trials, again: by the commits' names, and on asv's page.
    done = lab(repository, "compare", "main~2", "slow", "--metric", METRIC)
    assert (done.returncode, "worse" in done.stdout) == (4, True), done.stdout + done.stderr
    assert lab(repository, "history").returncode == 0
    # Where the test below came first, there is a machine of its as well.
    (ours,) = {file.parent.name for file in repository.glob("results/asv/*/*-lab-local-*.json")}
    base, equal, slow = curve_on_the_page(repository, ours)
    assert slow > max(base, equal)
    # By medians: asv's own intervals are so wide that two disturbed trials of twelve hide a fifth.
    by = ("--no-stats", "--factor", "1.06", "--machine", ours)
    told = asv(repository, "compare", "base", "slow", *by)
    assert [line for line in told.splitlines() if NUMBER in line and line.startswith("| +")]


@pytest.mark.slow
def test_asv_measures_the_suite_commit_by_commit(repository: Path) -> None:
    """Each commit runs its own code in asv's environment, and asv tells which of two is slower."""
    asv(repository, "machine", "--yes", *MACHINE)
    chosen = ("--bench", NUMBER, "--record-samples", *MACHINE)
    asv(repository, "run", "base^!", *chosen, LAB_BLOCKS="2")
    (file,) = (repository / "results/asv/labbox").glob("*-virtualenv-*.json")
    assert [len(samples) for samples in samples_of(file)] == [2]
    told = asv(repository, "continuous", "base", "slowest", "--factor", "1.5", *chosen, code=1)
    assert "PERFORMANCE DECREASED" in told, told
    assert [line for line in told.splitlines() if NUMBER in line and line.startswith("| +")]


def curve_on_the_page(repository: Path, machine: str) -> list[float]:
    """Return what asv's page draws of `NUMBER`, a point a commit."""
    graphs = repository / "results/asv-html/graphs"
    (curve,) = graphs.glob(f"arch-*/**/machine-{machine}/**/{NUMBER}.json")
    return [value for _, (value,) in sorted(json.loads(curve.read_text()))]


def asv(repository: Path, *words: str, code: int = 0, **more: str) -> str:
    """Run asv on the suite of the repository: one system, seven trials if `more` has no others."""
    command = [sys.executable, "-m", "asv", *words]
    # Where asv keeps the names of machines.
    chosen = environment(
        repository, LAB_BACKENDS="thread-pool", HOME=str(repository.parent), **more
    )
    done = subprocess.run(
        command, cwd=repository, env=chosen, capture_output=True, text=True, check=False
    )
    told = done.stdout + done.stderr
    assert done.returncode == code, told
    return told


def samples_of(file: Path) -> list[list[float]]:
    """Return the samples of `NUMBER` in a result file of asv, cell by cell."""
    content = json.loads(file.read_text())
    told = dict(zip(content["result_columns"], content["results"][NUMBER], strict=False))
    return list(told["samples"])
