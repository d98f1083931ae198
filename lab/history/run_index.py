"""Reads all runs and assigns each to its commit; reports the reason where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lab.console import say
from lab.core.errors import ResultsError
from lab.history import samples
from lab.host.repository import git_or_none
from lab.results.store import Store, list_runs


@dataclass(frozen=True, slots=True)
class CommitRun:
    """One run of a commit: facts about its machine, and its `cells.numbers`."""

    commit: str
    facts: Mapping[str, str]
    fingerprint_id: str
    numbers: pd.DataFrame
    started: pd.Timestamp


@dataclass(frozen=True, slots=True)
class History:
    """All runs that belong to a commit, the oldest first.

    `dates_ms`: author date of each commit in ms, parents before children.
    `line`: HEAD and its ancestors.
    `refused`: the reason for each run that was left out.
    """

    runs: tuple[CommitRun, ...]
    dates_ms: Mapping[str, int]
    line: frozenset[str]
    refused: Mapping[str, str]


def read(results: Path, repository: Path) -> History:
    """Read every run in ``results/runs`` that belongs to a commit of `repository`."""
    # Runs of all branches are exported; change points use only the line of HEAD.
    dates_ms = _commits(repository, "--all")
    measured: list[CommitRun] = []
    refused: dict[str, str] = {}
    for folder in list_runs(results, say):
        store = Store(folder)
        try:
            if reason := unsupported_reason(store, dates_ms):
                refused[folder.name] = reason
            else:
                store.check()
                measured.append(_read(store))
        except ResultsError as error:  # a damaged run does not hide the others
            refused[folder.name] = str(error).rstrip(".")
    return History(tuple(measured), dates_ms, frozenset(_commits(repository)), refused)


def unsupported_reason(store: Store, known: Mapping[str, int]) -> str | None:
    """Return why a run belongs to no commit in `known`, or None if it belongs to one."""
    campaign = store.campaign()
    commit = str(campaign.git_commit)
    if not commit:
        return "it was not measured in a Git checkout"
    # Its numbers belong to code that no commit contains.
    if str(campaign.git_dirty) != "0":
        return "files differed from the commit: commit them and run again"
    if commit not in known:
        return f"commit {commit[:8]} is not in this repository: fetch the full history"
    return None


def _read(store: Store) -> CommitRun:
    campaign, environment = store.campaign(), store.read("environment")
    facts = dict(zip(environment.key.astype(str), environment.value.astype(str), strict=True))
    return CommitRun(
        commit=str(campaign.git_commit),
        facts=facts,
        fingerprint_id=str(campaign.fingerprint_id),
        numbers=samples.samples_of_run(store),
        started=pd.Timestamp(campaign.started_utc),
    )


def _commits(repository: Path, *of: str) -> dict[str, int]:
    """Return the author date in ms of HEAD's ancestors and of `of`, parents before children."""
    # A rebase keeps author dates, so dates do not give the order; asv reads the same date (%at).
    order = ("--topo-order", "--reverse", "--format=%H %at")
    # None without git, without a repository, or in a repository without a commit.
    log = git_or_none(repository, "log", "HEAD", *of, *order) or ""
    pairs = (line.split() for line in log.splitlines())
    return {commit: int(seconds) * 1000 for commit, seconds in pairs}
