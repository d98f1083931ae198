"""Reads the tables of a run for publication, with private parts of free text removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from lab.core.model import Status
from lab.publishing.scrub import Scrub
from lab.report.run_tables import RunTables
from lab.worker.user_function import is_user_function

# Columns that may contain text of a program, a server, a log or a user; all others hold names,
# numbers and texts of the lab.
FREE_TEXT: Mapping[str, tuple[str, ...]] = {
    "campaign": ("command", "preset"),
    "trial": ("flag_reasons", "services", "answer_check", "commands"),
    "metric": ("method",),
    "estimate": ("method",),
    "trend": ("method",),
    "baseline": ("method",),
    "environment": ("value",),
    "claim": ("verdict", "evidence"),
    "sample": ("source", "metric"),
    "fault": ("proof", "reason"),
}
# Columns whose texts contain checksums.
WITH_CHECKSUMS: Mapping[str, tuple[str, ...]] = {"trial": ("images",), "environment": ("value",)}


class PublishedTables(RunTables):
    """Reads the tables of a run like `RunTables`, and scrubs them."""

    def __init__(self, folder: Path, scrub: Scrub) -> None:
        super().__init__(folder)
        self._scrub = scrub
        self._scrubbed: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if "/" in name:
            return super().__getitem__(name)
        if name not in self._scrubbed:
            self._scrubbed[name] = self.scrubbed(name, super().__getitem__(name))
        return self._scrubbed[name]

    def scrubbed(self, table: str, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows of a table with scrubbed texts."""
        rows = rows.copy()
        if table == "trial":
            rows["reason"] = self._reasons(rows)
            rows["settings"] = _each(rows["settings"], self._scrub.settings)
            rows["node_hosts"] = _each(rows["node_hosts"], _numbered)
        if table == "claim":  # an untested claim quotes the reason of a trial
            trials = RunTables.__getitem__(self, "trial")
            quoted = dict(zip(trials.reason, self._reasons(trials), strict=True))
            for column in FREE_TEXT[table]:
                rows[column] = _each(rows[column], partial(_without, quoted))
        with_checksums = WITH_CHECKSUMS.get(table, ())
        for column in {*FREE_TEXT.get(table, ()), *with_checksums}:
            has_checksums = column in with_checksums
            rows[column] = _each(
                rows[column], partial(self._scrub.text, has_checksums=has_checksums)
            )
        return rows

    def _reasons(self, trials: pd.DataFrame) -> pd.Series:
        """Scrub reasons; the reason of a skip quotes nothing, except for a user's function."""
        is_ours = (trials.status == Status.SKIPPED) & ~trials.workload.map(is_user_function).astype(
            bool
        )
        ours = _each(trials.reason, self._scrub.text)
        return ours.where(is_ours, _each(trials.reason, self._scrub.reason))


def _each(texts: pd.Series, change: Callable[[str], str]) -> pd.Series:
    """Change each distinct text once, because a million rows may have few; null stays null."""
    changed = {text: change(text) for text in texts.dropna().unique()}
    return texts.map(changed).astype(texts.dtype)


def _numbered(hosts: str) -> str:
    """Replace the name of each host by its number, which shows which nodes are on one host."""
    names = hosts.split("|")
    numbers = {name: f"host {number}" for number, name in enumerate(dict.fromkeys(names), start=1)}
    return "|".join(numbers[name] for name in names) if hosts else ""


def _without(quoted: Mapping[str, str], text: str) -> str:
    for reason, scrubbed in quoted.items():
        if reason:
            text = text.replace(reason, scrubbed).replace(reason.rstrip("."), scrubbed)
    return text
