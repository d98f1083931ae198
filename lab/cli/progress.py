"""Shows a campaign on the terminal: its progress, a line for each trial, and the plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Self

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from lab.campaign.estimate import total_s
from lab.campaign.load_sweep import forecast
from lab.console import data_console, duration, progress_console, say
from lab.core import fire_times
from lab.core.model import Flag, Paced, Status, TrialSpec
from lab.core.printable import one_line
from lab.planning.plan import Plan
from lab.planning.presets import Ladder
from lab.results.schema import TrialRow

COLOURS: Mapping[str, str] = {
    Status.OK: "green",
    Status.SKIPPED: "dim",
    Status.FAILED: "red",
    Status.TIMEOUT: "red",
    Status.INTERRUPTED: "yellow",
    Flag.NOISY: "yellow",
    Flag.INVALID: "red",
}


class ProgressWatch:
    """Shows a campaign: one line for each trial that ended, and a bar with the remaining time."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=progress_console,
            transient=True,
        )
        self._bar = self._progress.add_task("starting", total=None, left="")
        self._pending: list[TrialSpec] = []
        self._seen_s: dict[str, list[float]] = defaultdict(list)
        self._title = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, trials: Sequence[TrialSpec]) -> None:
        """Set the length of the bar."""
        self._pending = list(trials)
        self._total = len(trials)
        self._progress.update(self._bar, total=len(trials), completed=0)

    def trial(self, spec: TrialSpec) -> None:
        """Show the running trial and the estimated remaining time."""
        self._title = one_line(describe_trial(spec))
        self._pending = [other for other in self._pending if other.id != spec.id]
        left = f"about {duration(total_s([spec, *self._pending], self._seen_s))} left"
        self._progress.update(self._bar, description=escape(self._title), left=left)

    def phase(self, name: str) -> None:
        """Show the phase of the running trial."""
        phase = one_line(name.replace("_", " "))
        text = f"{escape(self._title)} [dim]{escape(phase)}[/dim]"
        self._progress.update(self._bar, description=text)

    def row(self, row: TrialRow) -> None:
        """Print one line for the trial that ended."""
        if row.status in (Status.OK, Status.FAILED, Status.TIMEOUT):
            self._seen_s[row.label].append(row.trial_ns / 1e9)
            done = self._total - len(self._pending)
            self._progress.update(self._bar, completed=done)
        self._progress.console.print(trial_line(row), highlight=False, soft_wrap=True)

    def note(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        say(sentence)


def describe_trial(spec: TrialSpec) -> str:
    """Return a one-line description of a trial."""
    topology = spec.topology
    return (
        f"{spec.label} {spec.workload} {_offered(spec)} "
        f"{topology.nodes}x{topology.cores_per_node} cores, {topology.workers} workers"
    )


def _offered(spec: TrialSpec) -> str:
    arrival = spec.arrival
    text = fire_times.describe_schedule(arrival) or arrival.kind
    if isinstance(arrival, Paced):
        text = f"{arrival.kind} {arrival.rate_hz:g}/s"
    return f"{text}, {spec.fault.text}" if spec.fault else text


def trial_line(row: TrialRow) -> str:
    """Return one line about a trial that ended, in rich markup."""
    verdict = row.status if row.status != Status.OK else row.flag
    colour = COLOURS[verdict]
    rate = "" if row.rate_hz is None else f" {row.rate_hz:g}/s"
    fault = f", {row.fault}" if row.fault else ""
    cell = f"{row.workload} {row.schedule or row.arrival}{rate}{fault}"
    size = f"{row.nodes}x{row.cores_per_node} cores {row.workers} workers"
    where = f"{row.label:<34} {cell:<20} {size:<22} block {row.block}"
    why = row.reason or row.flag_reasons
    return f"{escape(where)} [{colour}]{verdict:<11}[/{colour}] {escape(why)}"


def show_plan(plan: Plan, ladder: Ladder | None = None) -> None:
    """Print all trials in order of execution, and the estimated time.

    With a ladder, the number of later trials is only an estimate, because they depend on results.
    """
    table = Table("block", "trial", "label", "workload", "arrival", "tasks", "topology")
    for spec in plan.trials:
        topology = spec.topology
        table.add_row(
            str(spec.block),
            spec.id,
            escape(spec.label),
            escape(spec.workload),
            escape(_offered(spec)),
            str(spec.arrival.n_tasks),
            f"{topology.nodes} x {topology.cores_per_node} cores, {topology.workers} workers",
        )
    data_console.print(table)
    for skip in plan.skips:
        data_console.print(
            f"[dim]skipped[/dim] {escape(describe_trial(skip.spec))}: {escape(skip.reason)}"
        )
    n, seconds = len(plan.trials), total_s(plan.trials, {})
    if ladder:
        probes, steps, more_s = forecast(ladder, plan)
        fractions = ", ".join(f"{share:g}" for share in ladder.fractions)
        data_console.print(
            f"Then about {probes} probes for the sustainable rates, and {steps} trials at "
            f"{fractions} of these rates and at equal rates, planned from the first results."
        )
        n, seconds = n + probes + steps, seconds + more_s
    estimate = duration(seconds)
    data_console.print(f"{n} trials, about {estimate} on this machine. Nothing was run.")
