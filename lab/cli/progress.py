"""Shows a campaign on the terminal: its progress, a line for each trial, and the plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Self

from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from lab.analysis import compute
from lab.campaign.estimate import total_s
from lab.campaign.load_sweep import forecast
from lab.cli.skipped import Skipped, skip_lines, skips_of
from lab.cli.trial_line import trial_line
from lab.console import (
    data_console,
    duration,
    progress_console,
    say,
    shortened,
    show_line,
    show_numbers,
)
from lab.core import fire_times
from lab.core.defects import contained
from lab.core.model import Flag, LoadLevel, Paced, Status, Topology, TrialSpec
from lab.core.printable import one_line
from lab.planning.plan import Plan
from lab.planning.presets import LoadSweep
from lab.planning.redelivery import undecided_after_s
from lab.report.number_format import plural
from lab.report.trial_headline import headline
from lab.results.schema import TrialRow
from lab.results.store import Store

# Columns of the bar beside the title: the phase, n of N and the time left.
PHASE_WIDTH, BAR_WIDTH = 16, 46
# Columns of a plan, and those that a narrow terminal leaves out first.
PLAN = ("label", "workload", "arrival", "tasks", "topology", "block", "trial")
LEAST = ("trial", "tasks")


class ProgressWatch:
    """Shows a campaign: one line for each trial that ended, and a bar with the remaining time.

    With the store of the campaign, each line has the trial's most important number.
    `between_blocks` is called when no trial runs. `slowdown` is that of work on this machine before
    the first trial (`lab.campaign.estimate`), and `later_s` the estimated length of the trials that
    are planned from results (`lab.campaign.load_sweep`).
    """

    def __init__(
        self,
        store: Store | None = None,
        between_blocks: Callable[[], None] = lambda: None,
        slowdown: float = 1.0,
        later_s: float = 0.0,
    ) -> None:
        self._store = store
        self._after_block = between_blocks
        self._progress = Progress(
            TextColumn("{task.description}"),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=progress_console,
            # Only the lines of the trials remain on the terminal.
            transient=True,
        )
        self._bar = self._progress.add_task("starting", total=None, left="")
        self._pending: list[TrialSpec] = []
        self._total = 0
        self._slowdown = slowdown
        self._later_s = later_s
        self._running: TrialSpec | None = None
        self._seen: list[tuple[TrialSpec, float]] = []
        self._skipped: list[Skipped] = []
        self._interrupted = 0
        self._title = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, trials: Sequence[TrialSpec]) -> None:
        """Print what did not run, and set the length of the bar."""
        if self._interrupted:
            say(f"Stopped before and repeated now: {plural(self._interrupted, 'trial')}.")
            self._interrupted = 0
        # Rows of skipped configurations arrive before `begin`, so they can be counted here.
        for line in skip_lines(self._skipped, progress_console.width):
            say(line)
        self._skipped.clear()
        if any(isinstance(spec.arrival, LoadLevel) for spec in trials):
            self._later_s = 0.0  # the last stage
        elif self._total:
            self._later_s = max(0.0, self._later_s - total_s(trials))
        self._pending = list(trials)
        self._total = len(trials)
        self._progress.update(self._bar, total=len(trials), completed=0)

    def trial(self, spec: TrialSpec) -> None:
        """Show the running trial and the estimated remaining time."""
        self._running = spec
        self._title = one_line(describe_trial(spec))
        self._show(spec.label)
        # By id: the repetition of a disturbed trial is no longer in the list.
        self._pending = [other for other in self._pending if other.id != spec.id]
        left = f"{self._left([spec, *self._pending])} left"
        self._progress.update(self._bar, left=left)

    def phase(self, name: str) -> None:
        """Show the phase of the running trial."""
        self._show(one_line(name.replace("_", " ")))

    def _show(self, doing: str) -> None:
        title = shortened(self._title, progress_console.width - BAR_WIDTH)
        # rich would take the variant in `celery[threads]` for markup.
        text = f"{escape(title)} [dim]{escape(shortened(doing, PHASE_WIDTH))}[/dim]"
        self._progress.update(self._bar, description=text)

    def row(self, row: TrialRow) -> None:
        """Print one line for the trial that ended, and its reason if it does not count."""
        if row.status == Status.SKIPPED:
            self._skipped.append(Skipped(row.label, row.fault, row.reason))
            # A trial that --precision left out was pending until now.
            self._pending = [other for other in self._pending if other.id != row.trial_id]
            return
        # An attempt of an earlier command, whose row is written when the run continues.
        if row.status == Status.INTERRUPTED:
            self._interrupted += 1
            return
        done = self._total - len(self._pending)
        if self._running:
            self._seen.append((self._running, row.trial_ns / 1e9))
        self._progress.update(self._bar, completed=done)
        count = f"{done}/{self._total}" if self._total else ""
        left = f"{self._left(self._pending)} left" if self._pending else ""
        line = trial_line(row, self._number(row), count, left, progress_console.width)
        # soft_wrap: a reason is not cut, and rich would break it into lines of its own.
        self._progress.console.print(line, highlight=False, soft_wrap=True)

    def _left(self, pending: Sequence[TrialSpec]) -> str:
        return duration(total_s(pending, self._seen, self._slowdown) + self._later_s)

    def _number(self, row: TrialRow) -> str:
        """Return the headline of a trial; a defect of the lab in it must not end the campaign."""
        if self._store is None or row.flag == Flag.INVALID:
            return row.status if row.status != Status.OK else row.flag
        store, values = self._store, [getattr(row, f.name) for f in fields(row)]
        metrics = contained(lambda: compute.metrics_of_trial(store, values), lambda _: [])
        return headline(row, metrics)

    def between_blocks(self) -> None:
        """Show that no trial runs, and do the work that may not run beside one."""
        self._title = "between two blocks"
        self._show("writing the page")
        self._after_block()

    def note(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        say(sentence)


def describe_trial(spec: TrialSpec) -> str:
    """Return a one-line description of a trial."""
    return f"{_where(spec)} {spec.workload} {_offered(spec)} {_describe_place(spec.topology)}"


def _where(spec: TrialSpec) -> str:
    return f"{spec.label.removesuffix('@default')} {spec.environment}".rstrip()


def _describe_place(topology: Topology) -> str:
    cores, workers = plural(topology.cores_per_node, "core"), plural(topology.workers, "worker")
    return f"{topology.nodes} x {cores}, {workers}"


def _offered(spec: TrialSpec) -> str:
    arrival = spec.arrival
    text = fire_times.describe_schedule(arrival) or arrival.kind
    if isinstance(arrival, Paced):
        text = f"{arrival.kind} {arrival.rate_hz:g}/s"
    return f"{text}, {spec.fault.text}" if spec.fault else text


def show_plan(plan: Plan, sweep: LoadSweep | None = None, *, is_longest: bool = False) -> None:
    """Print all trials in order of execution, and the estimated time.

    With a sweep, the number of later trials is only an estimate, because they depend on results.
    With `is_longest`, fewer trials may run (`lab.campaign.precision`).
    """
    # The plan is the result of --dry-run, so it goes to standard output.
    rows = [[*map(one_line, _row(spec))] for spec in plan.trials]
    show_numbers("Trials in the order of their execution", PLAN, rows, LEAST)
    for line in skip_lines(skips_of(plan), data_console.width):
        show_line(line)
    if undecided := _undecided(plan.trials):
        show_line(undecided)
    n, seconds = len(plan.trials), total_s(plan.trials)
    if sweep:
        probes, steps, more_s = forecast(sweep, plan)
        fractions = ", ".join(f"{share:g}" for share in sweep.fractions)
        data_console.print(
            f"Then about {probes} probes for the sustainable rates, and {steps} trials at "
            f"{fractions} of these rates and at equal rates, planned from the first results."
        )
        n, seconds = n + probes + steps, seconds + more_s
    estimate = duration(seconds)
    most = "At most " if is_longest else ""
    data_console.print(
        f"{most}{plural(n, 'trial')}, about {estimate} if nothing else uses this machine. "
        "Nothing was run."
    )


def _row(spec: TrialSpec) -> tuple[str, ...]:
    """Return the cells of a trial in the columns of `PLAN`."""
    label = f"{spec.label} {spec.environment}".rstrip()
    place, n_tasks = _describe_place(spec.topology), str(spec.arrival.n_tasks)
    work = f"{spec.workload} {spec.nominal_ns / 1e6:.3g} ms" if spec.nominal_ns else spec.workload
    return label, work, _offered(spec), n_tasks, place, str(spec.block), spec.id


def _undecided(trials: Sequence[TrialSpec]) -> str:
    """Name the systems that may deliver a task again after the end of a drain; empty if none."""
    horizons = {
        spec.label.removesuffix("@default"): horizon_s
        for spec in trials
        if (horizon_s := undecided_after_s(spec)) is not None
    }
    names = [
        f"{name} ({'without a limit' if math.isinf(after) else f'within {after:,.0f} s'})"
        for name, after in sorted(horizons.items())
    ]
    return (
        "Tasks that wait for a redelivery when the drain ends are counted as unknown, and not as "
        f"lost. That may happen to systems that deliver again so late: {', '.join(names)}."
    ) * bool(names)
