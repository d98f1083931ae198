"""Fuzzes every reader of a run: `python -m tests.unit.results.fuzz_readers SECONDS [READER...]`.

It corrupts files in a copy of a small finished run, and reads the run. An answer or a `LabError`
is right. Any other exception, a logged defect, a hang, or a change of a file outside the results
folder is wrong. Each kind of wrong result is printed once, with an example.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock, patch

from lab.campaign import consent, run_folder, runner
from lab.cli import history
from lab.cli.main import main as lab
from lab.core.errors import LabError
from lab.core.model import TrialSpec
from lab.driver import instrumentation_cost
from lab.history import change_points, machines, page, run_index
from lab.publishing import package, reproduce
from lab.recording import host_counters
from lab.results.schema import CSV_TABLES, PARQUET_TABLES
from lab.results.store import Store
from lab.running import host_baselines, trial
from lab.validation.trial_row import collect
from tests.factories import finished_run
from tests.factories.trials import CONTEXT
from tests.unit.results.fuzzer import MINE, OTHER, RUN, Reader, fuzzer

REPOSITORY = Path(__file__).parents[3]
ROUND = 5


def csv_tables(run: Path) -> None:
    """Read each CSV table separately, and check the keys."""
    _each(*(partial(Store(run).read, name) for name in CSV_TABLES), Store(run).check)


def parquet_tables(run: Path) -> None:
    """Read each Parquet table, trial by trial and all trials at once."""
    folders = sorted((run / "trials").glob("*"))
    of_trial = itertools.product(PARQUET_TABLES, folders)
    _each(*(partial(Store(run).read, name, folder) for name, folder in of_trial))
    _each(*(partial(Store(run).read, name) for name in PARQUET_TABLES))


def plan(run: Path) -> None:
    """Read the plan, and check the user's proof, which must be unchanged to be accepted."""
    _each(lambda: run_folder.parsed(run), lambda: run_folder.load(run))
    with contextlib.suppress(LabError):
        consent.check(run, [MINE], MINE, "lab bench")
        original = run.parents[2] / "base" / "runs" / RUN / consent.PROOF
        assert (run / consent.PROOF).read_bytes() == original.read_bytes()


def records(run: Path) -> None:
    """Build the row of each trial again from ledger, journal and status."""
    for spec in run_folder.parsed(run.with_name(OTHER)).plan.trials:
        folder = run / "trials" / f"{spec.id}-1"
        if folder.is_dir() and not folder.is_symlink():
            collect(trial.killed(spec, 1, folder), CONTEXT)


def report(run: Path) -> None:
    """Rebuild tables, figures and page."""
    lab(["report", str(run)])


def compare(run: Path) -> None:
    """Compare the run with an intact run, and its labels with each other."""
    results = ["--results", str(run.parents[1])]
    lab(["compare", str(run.with_name(OTHER)), str(run), *results])
    lab(["compare", *finished_run.LABELS, "--run", str(run), *results])


def publish(run: Path) -> None:
    """Write its package, and its package without tasks."""
    lab(["publish", str(run), "--no-tasks", "--to", str(run.parents[1] / "published" / "small")])
    lab(["publish", str(run), "--to", str(run.parents[1] / "published" / "whole")])


def many(run: Path) -> None:
    """Build the history of all runs, without asv's pages; look up a row in all runs."""
    results = run.parents[1]
    lab(["reproduce", "0" * 16, "--results", str(results)])
    _each(lambda: history.add(run, report_refusal=True))
    changes = change_points.find_change_points(
        run_index.read(results, REPOSITORY), machines.names(results)
    )
    page.write(changes, results / "history", REPOSITORY)


def repeat(run: Path) -> None:
    """Do the steps of `lab reproduce` for each row, except for its trial."""
    for spec in run_folder.parsed(run.with_name(OTHER)).plan.trials:
        _each(
            partial(reproduce.find_row, f"{run}/{spec.id}", run.parents[1]),
            partial(package.numbers_of, run, spec.id),
        )
    reproduce.differences(run)


def resume(run: Path) -> None:
    """Resume it, with trials that fail immediately."""

    def fail(spec: TrialSpec, attempt: int, folder: Path, *_: object) -> trial.TrialObservation:
        return trial.failed(spec, attempt, folder, "not run here")

    with (
        patch.object(trial, "run_trial", fail),
        patch.object(host_baselines, "measure_baselines", lambda *_: []),
        patch.object(instrumentation_cost, "cost_ns", lambda: 1.0),
        patch.object(host_counters, "calibrate", lambda: 1),
    ):
        runner.execute(*run_folder.load(run), MagicMock())


TABLES = ("*.csv", "trials/*/*.parquet")
ANY = ("*", "trials/*", "trials/*/*", "figures/*")
READERS: Mapping[Reader, tuple[str, ...]] = {
    csv_tables: ("*.csv",),
    parquet_tables: ("trials", "trials/*", "trials/*/*.parquet", "trial.csv"),
    plan: ("plan.*",),
    records: ("trials/*/ledger", "trials/*/ledger/*", "trials/*/*.bin", "trials/*/status.json"),
    report: (*TABLES, *ANY),
    compare: TABLES,
    publish: (*TABLES, *ANY),
    many: ("*.csv", "plan.json"),
    repeat: ("*.csv", "plan.json"),
    resume: (*ANY, "trials/*/ledger/*"),
}


def _each(*reads: Callable[[], object]) -> None:
    for read in reads:
        with contextlib.suppress(LabError):
            read()


def main(seconds: float, names: list[str]) -> int:
    """Fuzz all readers, or those in `names`, for `seconds` in total; return 1 if any was wrong."""
    readers = [reader for reader in READERS if reader.__name__ in names or not names]
    share, number = seconds / len(readers), int(time.time())
    with (
        tempfile.TemporaryDirectory() as folder,
        fuzzer(Path(folder), finished_run.write(Path(folder) / "source")) as fuzz,
    ):
        for reader in readers:
            end = time.monotonic() + share
            while time.monotonic() < end:
                fuzz.run(reader, READERS[reader], number := number + 1, ROUND)
            sys.stdout.write(f"{reader.__name__}: {fuzz.examples[reader.__name__]} examples\n")
            sys.stdout.flush()
        for key, example in fuzz.wrong.items():
            sys.stdout.write(f"\n== {key}\n{example}\n")
        total, wrong = fuzz.examples.total(), len(fuzz.wrong)
        sys.stdout.write(f"{total} examples in {seconds:.0f} s, {wrong} kinds of wrong results.\n")
    return int(bool(fuzz.wrong))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
