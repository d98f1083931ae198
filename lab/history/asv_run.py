"""What `asv run` measures: a small campaign of the installed lab, as the benchmarks' samples."""

from __future__ import annotations

from collections.abc import Sequence

from lab.campaign import run_folder, runner
from lab.core.model import TrialSpec
from lab.history.samples import Samples, numbers, samples
from lab.history.suite import cells
from lab.host import interrupts, temp_dirs
from lab.planning import registry
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import PRESETS
from lab.results.schema import TrialRow

SEED = 1


class Silent:
    """Watches a campaign and says nothing: asv has the terminal."""

    def begin(self, trials: Sequence[TrialSpec]) -> None:
        """Say nothing."""

    def trial(self, spec: TrialSpec) -> None:
        """Say nothing."""

    def phase(self, name: str) -> None:
        """Say nothing."""

    def row(self, row: TrialRow) -> None:
        """Say nothing."""

    def note(self, sentence: str) -> None:
        """Say nothing."""


def measure(preset: str, labels: Sequence[str], cores: Sequence[int], blocks: int) -> Samples:
    """Run the cells of `preset` that have a cost, all of them in each block, on plain processes.

    Raises:
        LabError: A label is unknown, or its package is not installed.
    """
    chosen = [registry.select(label) for label in labels]
    for one in chosen:
        registry.require(one)
    size = PRESETS[preset]
    plan = make_plan(
        Selection(
            labels=tuple(one.label for one in chosen),
            cells=tuple(cells(preset)),
            cores=tuple(cores),
            nodes=(1,),
            workers_per_core=(1,),
            provider="local",
            blocks=blocks,
            seed=SEED,
            warmup_per_slot=size.warmup_per_slot,
            deadline_s=size.deadline_s,
        )
    )
    interrupts.install()
    with temp_dirs.folder() as folder:
        run = run_folder.Run(plan, preset, SEED, size.reruns, "asv run")
        store = run_folder.create(folder, run)
        runner.execute(store, run, Silent())
        return samples(numbers(store))
