"""Runs the trials of a plan one after the other and stores their rows.

A row is written as soon as its trial has ended, so a later failure, Ctrl-C or kill loses no
finished trial. A resumed run skips exactly the finished trials.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from lab.analysis import compute
from lab.analysis.capacity import capacities
from lab.campaign import precision
from lab.campaign.block_baselines import BlockBaselines
from lab.campaign.interim import InterimTables
from lab.campaign.load_sweep import next_stage
from lab.campaign.run_folder import Run, write_plan
from lab.core import files
from lab.core.defects import contained
from lab.core.errors import ExitCode
from lab.core.model import Flag, RateProbe, Status, TrialSpec
from lab.host import processes
from lab.planning.plan import Plan, Skip
from lab.providers import watchdog
from lab.recording import host_counters
from lab.results.schema import PARQUET_TABLES, TrialRow
from lab.results.store import Store
from lab.running import calibrated_work, trial
from lab.validation.issue import is_limited
from lab.validation.trial_row import Context, TrialResult, collect, unrecorded

# Limit of repeated attempts, as a share of all attempts. On a machine that is always disturbed,
# repeating every trial would take twice the announced time and not change the result.
MOST_AGAIN = 0.25
ATTEMPT = re.compile(r"[1-9][0-9]{0,8}")
# Returns how often a trial may be tried while each attempt is disturbed; 0 skips the trial.
Attempts = Callable[[TrialSpec], int]


class ProgressListener(Protocol):
    """An observer of a campaign's progress; the console implements it."""

    def begin(self, trials: Sequence[TrialSpec]) -> None:
        """Receive the trials that are about to run."""

    def trial(self, spec: TrialSpec) -> None:
        """Receive the trial that begins."""

    def phase(self, name: str) -> None:
        """Receive the phase that the running trial entered."""

    def row(self, row: TrialRow) -> None:
        """Receive the row of a trial that ended."""

    def between_blocks(self) -> None:
        """Receive that a block has ended and the next has not begun, so that no window is open."""

    def note(self, sentence: str) -> None:
        """Receive a sentence about a step that failed, other than a trial."""


def execute(
    store: Store, run: Run, watch: ProgressListener, attempts: Attempts | None = None
) -> list[TrialRow]:
    """Run all trials that are not finished, compute the tables, and return the new rows.

    `attempts` is called before each trial. By default, a disturbed trial is tried again up to
    `reruns` times, while at most `MOST_AGAIN` of all attempts were repeated.

    Raises:
        ResultsError: The disk is full, or another lab writes this run.
        KeyboardInterrupt: Raised after the cluster is down and the interrupted trial is marked.
    """
    # First: processes of a killed lab may still use the CPUs.
    watchdog.remove_dead()
    with watchdog.on_duty(), store.writing():
        try:
            return list(_Runner(store, run, watch, attempts).rows())
        finally:
            # Also after Ctrl-C, so that the tables contain all finished trials.
            for sentence in compute.compute(store):
                watch.note(sentence)


def exit_code(rows: Iterable[TrialRow]) -> ExitCode:
    """Return the exit code of a command that ran these attempts."""
    has_failed = any(row.status in (Status.FAILED, Status.TIMEOUT) for row in rows)
    return ExitCode.TRIAL_FAILED if has_failed else ExitCode.FINE


class _Runner:
    """The loop over a plan, with the state that it needs from one trial to the next."""

    def __init__(
        self, store: Store, run: Run, watch: ProgressListener, attempts: Attempts | None
    ) -> None:
        self._store, self._run, self._watch = store, run, watch
        self._attempts = attempts or self._affordable
        campaign = store.campaign()
        self._campaign_id = str(campaign.campaign_id)
        self._fingerprint_id = str(campaign.fingerprint_id)
        self._calibration_ns = host_counters.calibrate()
        self._baselines = BlockBaselines(store, self._campaign_id, watch.note)
        self._interim = InterimTables(store)
        # The attempt of each row of the table, which grows too long to read it before each trial.
        self._filed: list[int] = []
        self._block: int | None = None
        self._precise: Mapping[tuple[Any, ...], str] = {}

    def rows(self) -> list[TrialRow]:
        """Run the plan, and the trials that are planned from its results."""
        rows = self._stage()
        while (more := contained(self._next, self._end_of_plan)).trials or more.skips:
            plan = self._run.plan
            plan = Plan((*plan.trials, *more.trials), (*plan.skips, *more.skips))
            self._run = replace(self._run, plan=plan)
            # Written before they run, so that a resumed campaign has the same trials.
            write_plan(self._store, self._run)
            rows += self._stage()
        return rows

    def _end_of_plan(self, reason: str) -> Plan:
        self._watch.note(f"The next trials could not be planned from the results: {reason}")
        return Plan((), ())

    def _next(self) -> Plan:
        """Plan the next trials from the results of all that have run."""
        if self._run.sweep is None:
            return Plan((), ())
        trials, metrics = self._interim.read()
        known = capacities(trials, metrics) if len(metrics) else {}
        return next_stage(self._run.sweep, self._run.seed, self._run.plan, known)

    def _stage(self) -> list[TrialRow]:
        table = self._store.read("trial")
        self._filed = [*table.attempt]
        # A trial that was interrupted says nothing about its system, so it runs again.
        done = set(table[table.status != Status.INTERRUPTED].trial_id)
        pending = [spec for spec in self._run.plan.trials if spec.id not in done]
        rows = [self._skip(skip) for skip in self._run.plan.skips if skip.spec.id not in done]
        self._mark_killed()
        self._watch.begin(pending)
        position = {spec.id: n for n, spec in enumerate(self._run.plan.trials)}
        for spec in pending:
            if spec.block != self._block:
                self._enter(spec.block)
            if reason := self._precise.get(precision.key_of(spec)):
                rows.append(self._skip(Skip(spec, reason)))
                continue
            for _ in range(self._attempts(spec)):
                rows.append(row := self._attempt(spec, position[spec.id]))
                if not _is_worth_another(row):
                    break
        return rows

    def _enter(self, block: int) -> None:
        """Do what may not be done beside a trial, and find the cells that need no more trials."""
        if self._block is not None:
            self._watch.between_blocks()
        self._block = block
        if self._run.precision:
            trials, metrics = self._interim.read()
            self._precise = precision.precise_cells(trials, metrics, block, self._run.precision)

    def _affordable(self, spec: TrialSpec) -> int:
        """Return how often a trial may be tried: once, or more while few were repeated."""
        if isinstance(spec.arrival, RateProbe):
            return 1  # the search repeats a probe itself
        n_repeated = sum(attempt > 1 for attempt in self._filed)
        return 1 + self._run.reruns * (n_repeated <= MOST_AGAIN * len(self._filed))

    def _attempt(self, spec: TrialSpec, position: int) -> TrialRow:
        """Run one attempt; any exception becomes a failed row, and the campaign continues."""
        attempt = 1
        # By folders and not by rows: a killed attempt has no row yet, and stays (METHOD M23).
        while files.is_there(folder := self._store.trial_folder(spec.id, attempt)):
            attempt += 1
        self._watch.trial(spec)

        def fail(reason: str) -> TrialRow:
            # The defect may have come before the trial could end its own processes.
            processes.reap_trial(f"{spec.id}-{attempt}")
            return self._file(trial.failed(spec, attempt, folder, reason), position)

        return contained(lambda: self._measure(spec, attempt, folder, position), fail, folder)

    def _measure(self, spec: TrialSpec, attempt: int, folder: Path, position: int) -> TrialRow:
        self._baselines.measure(spec, self._run.plan.trials)
        instrumentation_ns = self._baselines.instrumentation_ns(spec)
        before, work = self._calibration_ns, calibrated_work.work_ns(spec)
        outcome = trial.run_trial(spec, attempt, folder, self._watch.phase, instrumentation_ns)
        self._calibration_ns = host_counters.calibrate()
        calibration_ns = before, self._calibration_ns
        ids = (self._campaign_id, self._fingerprint_id, position)
        return self._keep(outcome, Context(*ids, calibration_ns, instrumentation_ns, work))

    def _keep(self, outcome: trial.TrialObservation, context: Context) -> TrialRow:
        collected: TrialResult = collect(outcome, context)
        for table, rows in collected.tables.items():
            self._store.write_parquet(outcome.folder, table, rows)
        # The row is last, because with it the trial counts as finished.
        return self._append(collected.row)

    def _append(self, row: TrialRow) -> TrialRow:
        self._store.append(row)
        self._filed.append(row.attempt)
        self._watch.row(row)
        return row

    def _skip(self, skip: Skip) -> TrialRow:
        return self._file(trial.not_run(skip.spec, skip.reason), 0)

    def _file(self, outcome: trial.TrialObservation, position: int) -> TrialRow:
        """Write the row of a trial whose records are missing or cannot be read."""
        row = unrecorded(outcome, Context(self._campaign_id, self._fingerprint_id, position, None))
        if row.status != Status.SKIPPED:
            for table in PARQUET_TABLES:
                # Readers find every table of a trial, also of one without records.
                if not (outcome.folder / f"{table}.parquet").exists():
                    self._store.write_parquet(outcome.folder, table, [])
        return self._append(row)

    def _mark_killed(self) -> None:
        """Write a row for each trial that a kill interrupted; its folder is not changed."""
        finished = self._store.finished_trials()
        specs = {spec.id: (n, spec) for n, spec in enumerate(self._run.plan.trials)}
        for path in sorted((self._store.folder / "trials").glob("*-*")):
            trial_id, _, attempt = path.name.rpartition("-")
            # A folder that no trial of the plan names may contain anything.
            if trial_id not in specs or not ATTEMPT.fullmatch(attempt):
                continue
            if (trial_id, int(attempt)) not in finished:
                position, spec = specs[trial_id]
                folder = self._store.trial_folder(trial_id, int(attempt))
                self._mark(trial.killed(spec, int(attempt), folder), position)

    def _mark(self, killed: trial.TrialObservation, position: int) -> None:
        def without_records(reason: str) -> TrialRow:
            killed.reason += f" Its records cannot be read: {reason}"
            return self._file(killed, position)

        context = Context(self._campaign_id, self._fingerprint_id, position, None)
        contained(lambda: self._keep(killed, context), without_records, killed.folder)


def _is_worth_another(row: TrialRow) -> bool:
    """Return whether a trial was disturbed; a failure or the generator's limit is not."""
    is_disturbed = row.flag == Flag.DISTURBED and row.status == Status.OK
    return is_disturbed and not is_limited(row.flag_reasons)
