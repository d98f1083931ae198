"""Writes the report page of a run that is not complete: between its blocks, and when it stops."""

from __future__ import annotations

import time

from lab.analysis import compute
from lab.campaign.run_folder import parsed
from lab.console import say
from lab.core.defects import contained
from lab.core.errors import ResultsError
from lab.core.model import Status
from lab.planning.commands import with_function
from lab.planning.plan import Plan
from lab.results import lock
from lab.results.store import Store

# Largest share of a campaign's time for pages. The first page is always written.
MOST_SHARE = 0.05


class GrowingPage:
    """Writes the page after the first block, and again while that takes little of the time.

    The cost grows with the number of trials, so the pages of a large run become rarer.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written_at = time.monotonic()
        self._cost_s = self._n_trials = 0.0

    def update(self) -> None:
        """Write the page of all trials so far, unless that would take too large a share."""
        begin = time.monotonic()
        trials = self._store.read("trial")
        n_trials = int((trials["status"] != Status.SKIPPED).sum())
        cost_s = self._cost_s * n_trials / self._n_trials if self._n_trials else 0.0
        if cost_s > MOST_SHARE * (begin - self._written_at):
            return
        # A defect in the page must not end the campaign.
        contained(self._write, lambda reason: say(f"No page after this block: {reason}"))
        self._written_at = time.monotonic()
        self._cost_s, self._n_trials = self._written_at - begin, float(n_trials)

    def _write(self) -> None:
        for sentence in compute.compute(self._store):
            say(sentence)
        say(write_unfinished(self._store, _running(self._store)))


def unfinished(store: Store) -> str:
    """Return how far a run is that goes on or was stopped, and the next step; otherwise "".

    A run that cannot be continued, because it is a package or its plan is damaged, has none.
    """
    # A package has no records.
    if not (store.folder / "trials").is_dir():
        return ""
    try:
        plan = parsed(store.folder).plan
    except ResultsError:
        return ""
    if lock.is_locked(store.folder):
        return f"{progress(store, plan)} had ended when {_running(store)}"
    trials = store.read("trial")
    done = set(trials.loc[trials["status"] != Status.INTERRUPTED, "trial_id"])
    if all(spec.id in done for spec in plan.trials):
        return ""
    return f"{progress(store, plan)} had ended when {stopped(store)}"


def _running(store: Store) -> str:
    """Return the end of the first sentence of a running run's page, and the next steps."""
    return (
        "this page was written. Reload it while the run goes on; once it was stopped: "
        f"lab report {store.folder.name}"
    )


def progress(store: Store, plan: Plan) -> str:
    """Count the trials that ended, and those of the plan: ``52 of 104 trials``."""
    trials = store.read("trial")
    ended = trials["status"].isin([Status.OK, Status.FAILED, Status.TIMEOUT])
    return f"{trials.loc[ended, 'trial_id'].nunique()} of {len(plan.trials)} trials"


def stopped(store: Store, figures: str = "") -> str:
    """Return the end of the first sentence of a stopped run's page, and the next steps.

    `figures` is a sentence on how to draw them, empty if the page has them.
    """
    # By its id: the page may be published, without paths of this machine.
    resume = f"lab bench --resume {store.folder.name}"
    command = with_function(resume, store.read("trial")["workload"])
    return f"the run was stopped. {figures}To continue it: {command}"


def write_unfinished(store: Store, when: str) -> str:
    """Write the page of a run that is not complete, without figures; return where it is.

    Args:
        store: The run, with the tables of all its trials so far.
        when: The end of the page's first sentence: when they had ended, and what to do next.
    """
    # Here, because the templates and figures of a page take a second to import.
    from lab.report.page import write
    from lab.report.run_tables import RunTables

    count = progress(store, parsed(store.folder).plan)
    page = write(RunTables(store.folder), f"{count} had ended when {when}", is_drawn=False)
    return f"Report page, {count}: {page}"
