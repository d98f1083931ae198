"""Tests comparison and history with commits of the lab, one of which slows the thread pool."""

from __future__ import annotations

import json
import os
import re
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAIRS = 6
# A case of the preset, so that the measured trials are part of the history.
BENCH = "--preset quick --backend thread-pool --workload io --cores 1 --provider local"
# The tasks sleep: the time of CPU work would depend on other processes more than on the commit.
METRIC = "worker_s_per_task"
NUMBER = f"quick.IoBurst.track_{METRIC}"
MACHINE = ("--machine", "labbox")
# Sleeps a fifth of each task's time in the pool's thread, before the task starts. The tasks that
# check the pool's readiness are not changed.
SLOWED = """
def _slowed(task_id: int, function: str, argument: Any) -> int | None:
    from workloads import io

    if function == "workloads.io:run":
        io.run([argument[0] // 5, 1])
    return execution.execute(task_id, function, argument)
"""


def git(repository: Path, *arguments: str) -> str:
    """Run git and return its output."""
    author = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    command = ["git", "-C", str(repository), *author, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def change(file: Path, pattern: str, new: str) -> None:
    """Replace the only match of a regular expression."""
    text, count = re.subn(pattern, lambda _: new, file.read_text())
    assert count == 1, (file, pattern)
    file.write_text(text)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of the lab with the commits base, equal and slow.

    A branch has a fourth commit, so slow that asv detects it even with disturbed trials.
    """
    folder = tmp_path_factory.mktemp("commits") / "lab"
    for name in ("lab", "workloads", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "asv.conf.json"):
        shutil.copy(ROOT / name, folder)
    # The machine of the tests may be busy, so that no trial may be flagged.
    change(
        folder / "lab/validation/trial_row.py",
        r"flag, reasons = \w+\.\w+\(disturbed, .+\)",
        "flag, reasons = Flag.OK, []",
    )
    # Tasks sleep long enough that a fifth of it exceeds the delays by other tests.
    change(folder / "workloads/io.py", "DEFAULT_SIZE = 20_000", "DEFAULT_SIZE = 100_000")
    # One case is enough.
    presets = folder / "lab/planning/presets.py"
    begin, rest = presets.read_text().split("QUICK = (\n")
    type_name = rest.partition("(")[0].strip()
    case = f'QUICK = ({type_name}("io", Burst(20)),)\n'
    presets.write_text(begin + case + rest.split("\n)\n", 1)[1])
    configure(folder / "asv.conf.json")
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "base")
    pool = folder / "lab/backends/_futures.py"
    pool.write_text(pool.read_text() + "\n# No change.\n")
    commit(folder, "equal")
    change(pool, "\n# No change.\n", SLOWED)
    change(pool, r"submit\(execution\.execute,", "submit(_slowed,")
    commit(folder, "slow")
    git(folder, "checkout", "-q", "-b", "aside")
    change(pool, r"argument\[0\] // 5", "argument[0]")
    commit(folder, "slowest")
    git(folder, "checkout", "-q", "main")
    return folder


def commit(repository: Path, name: str) -> None:
    """Commit all changes and tag the commit."""
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", name)
    git(repository, "tag", name)


def configure(file: Path) -> None:
    """Make asv's environment use the packages of this one, without downloads or builds."""
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


def lab(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command of this lab in the repository."""
    command = [sys.executable, "-m", "lab.cli", *arguments]
    return subprocess.run(
        command, cwd=repository, env=environment(ROOT), capture_output=True, text=True, check=False
    )


def environment(root: Path, **more: str) -> dict[str, str]:
    """Return an environment in which Python imports the lab from `root`."""
    return {**os.environ, "PYTHONPATH": str(root), **more}


@pytest.mark.slow
def test_compare_detects_a_slow_commit_and_accepts_an_equal_one(repository: Path) -> None:
    """Interleaved commits: a slowdown by a fifth is a regression, an equal commit is not."""
    for side, code, verdicts in (("slow", 4, {"worse"}), ("equal", 0, {"tie", "inconclusive"})):
        done = lab(
            repository,
            "compare",
            "base",
            side,
            "--pairs",
            str(PAIRS),
            "--bench",
            BENCH,
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
        # An inconclusive slowdown is measured again with twice the pairs.
        assert number["n_a"] == number["n_b"]
        assert number["n_a"] in {PAIRS, 2 * PAIRS}
    assert git(repository, "worktree", "list").count("\n") == 0
    # The same trials, selected by the names of the commits, and on the pages of asv.
    done = lab(repository, "compare", "main~2", "slow", "--metric", METRIC)
    assert (done.returncode, "worse" in done.stdout) == (4, True), done.stdout + done.stderr
    assert lab(repository, "history").returncode == 0
    # If the test below ran first, its machine is in the results as well.
    (machine,) = {file.parent.name for file in repository.glob("results/asv/*/*-lab-local-*.json")}
    base, equal, slow = curve_on_the_page(repository, machine)
    assert slow > max(base, equal)
    # Medians: with two disturbed trials of twelve, asv's intervals are too wide for a fifth.
    options = ("--no-stats", "--factor", "1.06", "--machine", machine)
    output = asv(repository, "compare", "base", "slow", *options)
    assert [line for line in output.splitlines() if NUMBER in line and line.startswith("| +")]


@pytest.mark.slow
def test_asv_measures_the_suite_commit_by_commit(repository: Path) -> None:
    """Each commit runs its code in asv's environment, and asv reports the slower commit."""
    asv(repository, "machine", "--yes", *MACHINE)
    options = ("--bench", NUMBER, "--record-samples", *MACHINE)
    asv(repository, "run", "base^!", *options, LAB_BLOCKS="2")
    (file,) = (repository / "results/asv/labbox").glob("*-virtualenv-*.json")
    assert [len(samples) for samples in samples_of(file)] == [2]
    output = asv(repository, "continuous", "base", "slowest", "--factor", "1.5", *options, code=1)
    assert "PERFORMANCE DECREASED" in output, output
    assert [line for line in output.splitlines() if NUMBER in line and line.startswith("| +")]


def curve_on_the_page(repository: Path, machine: str) -> list[float]:
    """Return the curve of `NUMBER` on asv's page, one point per commit."""
    graphs = repository / "results/asv-html/graphs"
    (curve,) = graphs.glob(f"arch-*/**/machine-{machine}/**/{NUMBER}.json")
    return [value for _, (value,) in sorted(json.loads(curve.read_text()))]


def asv(repository: Path, *arguments: str, code: int = 0, **more: str) -> str:
    """Run asv on the suite of the repository with one backend, and return its output.

    `more` are environment variables; without LAB_BLOCKS a case has seven trials.
    """
    command = [sys.executable, "-m", "asv", *arguments]
    # asv stores the names of machines in HOME.
    variables = environment(
        repository, LAB_BACKENDS="thread-pool", HOME=str(repository.parent), **more
    )
    done = subprocess.run(
        command, cwd=repository, env=variables, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    return output


def samples_of(file: Path) -> list[list[float]]:
    """Return the samples of `NUMBER` in a result file of asv, by cell."""
    content = json.loads(file.read_text())
    columns = dict(zip(content["result_columns"], content["results"][NUMBER], strict=False))
    return list(columns["samples"])
