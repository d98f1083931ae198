"""Tests whether environments are distinguished, with three copies of one package in one run.

``python -m tests.fidelity.environments`` takes 5 minutes. A and B are equal copies of joblib; in C
each task takes a fifth longer. They run interleaved, and `lab compare --by environment` judges
them: A and B must be a tie (exit code 0), and C must be worse than A (exit code 4).

The last lines are the share of false differences. In each of many random divisions, one trial of
each block, of A or of B, is on the first side and the other on the second. They are compared in
pairs, as above, and a second time as independent trials in random halves (METHOD M12). At most 5 %
of the divisions may have a difference.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import requires, version
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from packaging.requirements import Requirement

from lab.cli.main import main as lab
from lab.comparison import aa, by_column, inputs
from lab.comparison.compare import Change, MetricChange, compare
from lab.comparison.inputs import Side
from lab.console import say, show_table
from lab.core.errors import ExitCode, LabError
from lab.environments import checkouts
from lab.results import run_names

PACKAGE = "joblib"
PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "{version}"
dependencies = {dependencies}
"""
# After the original definition, which it replaces. The wait is outside the record of the task, so
# that only the time of the system is longer.
SLOWER = """
_original = delayed


def _slower(function, *args, **kwargs):
    begin = time.monotonic()
    try:
        return function(*args, **kwargs)
    finally:
        time.sleep({share} * (time.monotonic() - begin))


def delayed(function):
    return _original(functools.partial(_slower, function))
"""
# Tasks that sleep: on a busy machine, the time of CPU work depends on other processes.
BENCH = (
    *("bench", "-b", "joblib[threading]", "--no-references", "-w", "io:5000", "--arrival", "burst"),
    *("--cores", "1", "--tasks", "300", "--provider", "local", "--allow-disturbed"),
)
HEADINGS = ("sides", "metric", "ratio", "95 %", "verdict", "exit code")
TIME = "worker_s_per_task"
LIMIT = 0.05
# Each seed divides the blocks `aa.SPLITS` times.
SEEDS = range(10)


def main() -> int:
    """Run the three copies, print the verdicts and the share, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--slower", type=float, default=20.0, help="percent that C takes longer")
    parser.add_argument("--results", type=Path, help="keep the run in this folder")
    options = parser.parse_args()
    try:
        with contextlib.ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            results = options.results or scratch / "results"
            names = measure(copies(scratch, options.slower / 100), options.blocks, results)
            return conclude(names, results)
    except LabError as error:
        say(str(error))
        return error.exit_code


def copies(folder: Path, share: float) -> dict[str, Path]:
    """Write the copies of the package that is installed with the lab; in C, a task waits longer.

    Their contents differ by a comment, because a checkout is identified by its content.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise LabError(f"{PACKAGE} is not installed. Run: nox -s fidelity -- --help")
    written = {}
    for name in "ABC":
        written[name] = folder / name
        package = folder / name / PACKAGE
        shutil.copytree(
            Path(spec.origin).parent, package, ignore=shutil.ignore_patterns("__pycache__", "test")
        )
        about = PROJECT.format(
            name=PACKAGE, version=version(PACKAGE), dependencies=dependencies(PACKAGE)
        )
        (folder / name / "pyproject.toml").write_text(about, encoding="utf-8")
        with (package / "parallel.py").open("a", encoding="utf-8") as module:
            module.write(f"\n# Copy {name}.\n")
            module.write(SLOWER.format(share=share) if name == "C" else "")
    return written


def dependencies(package: str) -> list[str]:
    """Return the requirements of an installed package, without those of its extras."""
    texts = map(Requirement, requires(package) or ())
    return [str(each) for each in texts if not each.marker or each.marker.evaluate({"extra": ""})]


def measure(folders: dict[str, Path], blocks: int, results: Path) -> dict[str, str]:
    """Run all copies interleaved; return the environment of each in the tables."""
    words = [*BENCH, "--blocks", str(blocks), "--tables-only", "--results", str(results)]
    for folder in folders.values():
        words += ["--with", f"{PACKAGE} @ file:{folder}"]
    if code := lab(words):
        raise LabError(f"lab bench ended with code {code}; its message is above.")
    return {
        name: f"{PACKAGE} @ {checkouts.digest(PACKAGE, f'file:{folder}')}"
        for name, folder in folders.items()
    }


def conclude(names: dict[str, str], results: Path) -> int:
    """Print the verdicts and the shares; return 0 if all are as they must be."""
    folder = run_names.find(None, results, say)
    run = inputs.find_side(str(folder), results)
    a, b, c = (by_column.of_value("environment", text, run) for text in names.values())
    ties, codes, rows = [], [], []
    for name, side in (("B", b), ("C", c)):
        words = ["compare", a.name, side.name, "--by", "environment", "--run", str(folder)]
        codes.append(lab([*words, "--results", str(results)]))
        numbers = compare(a, side, by="environment")
        ties.append({n.metric for n in numbers if n.change is Change.TIE})
        rows += [(f"A, {name}", *_row(number), str(codes[-1])) for number in numbers]
    show_table(f"Environments of {folder.name}", HEADINGS, rows)
    rare = []
    for kind, false, divisions in false_differences(a, b):
        rare.append(false <= LIMIT * divisions)
        share = f"{false} of {divisions} divisions have a difference ({false / divisions:.1%})"
        say(f"A and B {kind}: {share}, at most {LIMIT:.0%}: {rare[-1]}.")
    is_equal = codes[0] == ExitCode.FINE and TIME in ties[0]
    is_detected = codes[1] == ExitCode.WORSE
    say(f"The equal copies are a tie: {is_equal}. The slower copy is worse: {is_detected}.")
    return ExitCode.FINE if is_equal and is_detected and all(rare) else ExitCode.TRIAL_FAILED


def _row(number: MetricChange) -> tuple[str, ...]:
    ratio = number.ratio
    ends = "" if ratio.low is None else f"{ratio.low:.3f} to {ratio.high:.3f}"
    return number.metric, f"{ratio.value:.3f}", ends, str(number.change)


def false_differences(a: Side, b: Side) -> Iterator[tuple[str, int, int]]:
    """Yield the number of divisions with a difference, and of all, in pairs and in halves."""
    both = as_one(a, b)
    for kind, is_paired in (("in pairs", True), ("in random halves", False)):
        tests = [aa.run_aa_test(both, is_paired=is_paired, seed=seed) for seed in SEEDS]
        yield kind, sum(test.families for test in tests), sum(test.splits for test in tests)


def as_one(a: Side, b: Side) -> Side:
    """Return a side in which each block of two equal sides is two adjacent blocks, one of each.

    An A/A test takes adjacent blocks as its pairs.
    """
    common = set(a.numbers.block) & set(b.numbers.block)
    parts = []
    for odd, side in enumerate((a, b)):
        rows = side.numbers[side.numbers.block.isin(common)]
        parts.append(rows.assign(block=2 * rows["block"] + odd, environment=""))
    numbers = pd.concat(parts, ignore_index=True)
    return replace(a, name=f"{a.name} and {b.name}", numbers=numbers)


if __name__ == "__main__":
    raise SystemExit(main())
