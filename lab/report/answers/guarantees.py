"""What a system promises: nothing lost, schedules kept, retries and priorities heeded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pandas as pd

from lab.analysis.labels import each
from lab.analysis.queries import usable
from lab.analysis.statistics import proportion
from lab.core.model import Periodic, Status
from lab.figures import Tables
from lab.report.answers.answer import Said
from lab.report.answers.queries import by, names_of, trial_rows
from lab.report.number_format import percent, plural
from lab.report.schedules import COUNTS, schedules

UNHARMED = "While nothing was killed"
CRON_IN_CONTAINERS = "django-crontab"


def losses(tables: Tables) -> Iterator[Said]:
    """Count what was lost or run twice, over every attempt that sent tasks and was not stopped."""
    trials = tables["trial"]
    ours = (trials["n_sent"] > 0) & (trials["status"] != Status.INTERRUPTED)
    sent = trials[ours & (trials["arrival"] != Periodic.kind)].merge(names_of(tables), on="label")
    if sent.empty:
        return
    lost = sent["n_lost"] + sent["n_partial"]
    yield _count(sent, lost, "lost or never finished")
    yield _count(sent, sent["n_duplicated"], "run to its end more than once")


def _count(sent: pd.DataFrame, counts: pd.Series, words: str) -> Said:
    n, k = int(sent["n_sent"].sum()), int(counts.sum())
    guilty = sent.assign(count=counts)[counts > 0]
    if not k:
        bound = percent(proportion(0, n).high or 0.0)
        text = f"{UNHARMED}, of {plural(n, 'task')} none was {words}: with 95 % confidence "
        return Said(f"{text}fewer than {bound}.", trial_rows(sent))
    of = [
        f"{name} {plural(int(own['count'].sum()), 'task')} in {plural(len(own), 'trial')}"
        for name, own in by(guilty, "name")
    ]
    return Said(f"{UNHARMED}, of {plural(n, 'task')} {k:,} were {words}", trial_rows(guilty), of)


def punctuality(tables: Tables) -> Iterator[Said]:
    """Tell of each schedule how late its latest run was, and what was missed or doubled."""
    periodic = usable(tables["trial"])
    periodic = periodic[periodic["arrival"] == Periodic.kind]
    rows = schedules(tables)
    for title in dict.fromkeys(row.title for row in rows):
        own = [row for row in rows if row.title == title]
        parts = [
            f"{row.name} at most {row.latest.text} ms late, "
            + ", ".join(f"{n} {word}" for n, word in zip(row.counts, COUNTS, strict=True))
            + f" of {row.owed} owed"
            for row in own
            if row.latest.value is not None
        ]
        labels = {row.label for row in own}
        if parts:
            yield Said(title, trial_rows(periodic[periodic["label"].isin(labels)]), parts)


def cron_in_a_container(tables: Tables) -> Iterator[Said]:
    """Tell whether the crontab's jobs ran where the cluster was made of containers."""
    trials = usable(tables["trial"])
    own = trials[(trials["backend"] == CRON_IN_CONTAINERS) & (trials["images"] != "")]
    known = tables["occurrence"].merge(own[["trial_id", "attempt"]], on=["trial_id", "attempt"])
    if known.empty:
        return
    ran = int(known.drop_duplicates(["trial_id", "job", "k"])["started_ns"].notna().sum())
    owed = len(known.drop_duplicates(["trial_id", "job", "k"]))
    starts = "; ".join(dict.fromkeys(str(trial.services) for trial in each(own)))
    yield Said(f"{ran} of {owed} occurrences ran in containers, with {starts}.", trial_rows(own))


def claimed(*claims: str) -> Callable[[Tables], Iterable[Said]]:
    """Make the answer from what `lab claims` found of these claims."""

    def answer(tables: Tables) -> Iterator[Said]:
        found = tables["claim"]
        for claim in each(found[found["claim"].isin(claims)]):
            if not claim.verdict.startswith("not measured"):
                text = f"{claim.backend}, {claim.claim}: {claim.verdict}. {claim.why}"
                yield Said(text, claim.trials.split())

    return answer
