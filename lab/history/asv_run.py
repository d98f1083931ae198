"""Runs a small campaign of the installed lab for `asv run`, and returns its samples."""

from __future__ import annotations

from collections.abc import Sequence

from lab.campaign import run_folder, runner
from lab.core.model import TrialSpec
from lab.history.samples import Samples, samples, samples_of_run
from lab.history.suite import cases
from lab.host import interrupts, temp_dirs
from lab.planning import registry
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import PRESETS
from lab.results.schema import TrialRow

# Fixed, so that every commit gets the same tasks in the same order.
SEED = 1


class SilentListener:
    """A progress listener without output, because asv uses the terminal."""

    def begin(self, trials: Sequence[TrialSpec]) -> None:
        """Do nothing."""

    def trial(self, spec: TrialSpec) -> None:
        """Do nothing."""

    def phase(self, name: str) -> None:
        """Do nothing."""

    def row(self, row: TrialRow) -> None:
        """Do nothing."""

    def between_blocks(self) -> None:
        """Do nothing."""

    def note(self, sentence: str) -> None:
        """Do nothing."""


def run_campaign(preset: str, labels: Sequence[str], cores: Sequence[int], blocks: int) -> Samples:
    """Run the cases of `preset` that have a benchmark, each in every block, on local processes.

    Raises:
        LabError: A label is unknown, or its package is not installed.
    """
    chosen = [registry.select(label) for label in labels]
    for choice in chosen:
        registry.require(choice)
    size = PRESETS[preset]
    plan = make_plan(
        Selection(
            labels=tuple(choice.label for choice in chosen),
            cases=tuple(cases(preset)),
            cores=tuple(cores),
            nodes=(1,),
            # asv's axes have no such number, so `samples_of_run` leaves out trials with others.
            workers_per_core=(1,),
            provider="local",
            blocks=blocks,
            seed=SEED,
            warmup_per_slot=size.warmup_per_slot,
            deadline_s=size.deadline_s,
        )
    )
    # `lab.cli.main`, which otherwise installs the handlers, does not run here.
    interrupts.install()
    # In results/runs, `export` would write the same samples a second time.
    with temp_dirs.folder() as folder:
        run = run_folder.Run(plan, preset, SEED, size.reruns, "asv run")
        store = run_folder.create(folder, run)
        runner.execute(store, run, SilentListener())
        return samples(samples_of_run(store))
