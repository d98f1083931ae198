"""Answers questions about guarantees: losses, schedules, retries and priorities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from lab.analysis.labels import each
from lab.analysis.queries import usable
from lab.analysis.statistics import proportion
from lab.core.model import Periodic, Status
from lab.figures import Tables
from lab.report.answers.answer import Sentence
from lab.report.answers.queries import by, names_of, trial_rows
from lab.report.number_format import percent, plural
from lab.report.schedules import COUNTS, schedules

WITHOUT_FAULTS = "Without injected faults"
CRON_IN_CONTAINERS = "django-crontab"


def losses(tables: Tables) -> Iterator[Sentence]:
    """Count lost and duplicated tasks over all attempts that sent any and were not interrupted."""
    trials = tables["trial"]
    # Failed and invalid attempts are included: a task that was lost in one of them is lost.
    is_counted = (trials["n_sent"] > 0) & (trials["status"] != Status.INTERRUPTED)
    # A missed firing is no lost task; `punctuality` counts it.
    sent = trials[is_counted & (trials["arrival"] != Periodic.kind)].merge(
        names_of(tables), on="label"
    )
    if sent.empty:
        return
    yield _count(sent, sent["n_lost"], "lost")
    yield _count(sent, sent["n_duplicated"], "completed more than once")
    unfinished = sent["n_partial"] + sent["n_unknown"]
    if unfinished.sum():
        yield _count(sent, unfinished, "unfinished when the trial ended")


def _count(sent: pd.DataFrame, counts: pd.Series, outcome: str) -> Sentence:
    n, k = int(sent["n_sent"].sum()), int(counts.sum())
    affected = sent.assign(count=counts)[counts > 0]
    if not k:
        # No loss in n tasks only bounds the share: at most 3.69 / n (METHOD M28).
        bound = percent(proportion(0, n).high or 0.0)
        text = f"{WITHOUT_FAULTS}, none of {plural(n, 'task')} was {outcome}: with 95 % confidence "
        return Sentence(f"{text}fewer than {bound}.", trial_rows(sent))
    parts = [
        f"{name} {plural(int(trials['count'].sum()), 'task')} in {plural(len(trials), 'trial')}"
        for name, trials in by(affected, "name")
    ]
    text = f"{WITHOUT_FAULTS}, {k:,} of {plural(n, 'task')} were {outcome}"
    return Sentence(text, trial_rows(affected), parts)


def punctuality(tables: Tables) -> Iterator[Sentence]:
    """Report the latest firing of each schedule, and its missed and doubled occurrences."""
    periodic = usable(tables["trial"])
    periodic = periodic[periodic["arrival"] == Periodic.kind]
    rows = schedules(tables)
    for title in dict.fromkeys(row.title for row in rows):
        of_title = [row for row in rows if row.title == title]
        parts = [
            f"{row.name} at most {row.latest.text} ms late, "
            + ", ".join(f"{n} {count}" for n, count in zip(row.counts, COUNTS, strict=True))
            + f" of {row.n_due} due"
            for row in of_title
            if row.latest.value is not None
        ]
        labels = {row.label for row in of_title}
        if parts:
            yield Sentence(title, trial_rows(periodic[periodic["label"].isin(labels)]), parts)


def cron_in_a_container(tables: Tables) -> Iterator[Sentence]:
    """Count the occurrences that django-crontab ran in clusters of containers."""
    trials = usable(tables["trial"])
    chosen = trials[(trials["backend"] == CRON_IN_CONTAINERS) & (trials["images"] != "")]
    ids = chosen[["trial_id", "attempt"]]
    occurrences = tables["firing"].merge(ids, on=["trial_id", "attempt"])
    if occurrences.empty:
        return
    # A surplus firing is a row as well, but its occurrence was due only once.
    due = occurrences.drop_duplicates(["trial_id", "job", "k"])
    ran = int(due["started_ns"].notna().sum())
    services = "; ".join(dict.fromkeys(str(trial.services) for trial in each(chosen)))
    text = f"{ran} of {len(due)} occurrences ran in containers, with {services}."
    yield Sentence(text, trial_rows(chosen))


def claimed(*claims: str) -> Callable[[Tables], Iterable[Sentence]]:
    """Return the answer that reports the verdicts of `lab claims` on these claims."""

    def answer(tables: Tables) -> Iterator[Sentence]:
        rows = tables["claim"]
        for claim in each(rows[rows["claim"].isin(claims)]):
            # An answer without a sentence shows the command that measures it.
            if not claim.verdict.startswith("not measured"):
                text = f"{claim.backend}, {claim.claim}: {claim.verdict}. {claim.evidence}"
                yield Sentence(text, claim.trials.split())

    return answer
