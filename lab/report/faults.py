"""Tabulates what became of the tasks after each fault: one square for each system and fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.analysis.attempts import replaced_attempts
from lab.analysis.colours import colour_of
from lab.analysis.labels import each, identify_by_provider
from lab.analysis.queries import of_faults
from lab.core.faults import FaultKind
from lab.core.model import Periodic, Status
from lab.figures import Tables
from lab.report.documented import documented_safe
from lab.report.fault_hits import survived_text
from lab.report.fault_results import RESULTS, UNKNOWN
from lab.report.fault_servers import QueueServer, server_of
from lab.report.fault_squares import Square, square_of
from lab.report.number_format import plural

KINDS = [kind.value for kind in FaultKind]
ACKNOWLEDGED: Mapping[str, str] = {
    "in-memory": "is in the memory of the submitter",
    "socket": "was written to a socket",
    "accepted": "was accepted by the server",
    "confirmed": "was confirmed by the server",
    "on-disk": "is on the server's disk",
}


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """The row of one label on one provider: its squares in the order of `Matrix.faults`.

    `name`: with several providers, it ends with that of the provider. `documented`: the faults
    after which it keeps its tasks, according to its documentation. `server`: where its tasks wait.
    """

    label: str
    provider: str
    name: str
    colour: str
    acknowledged: str
    documented: str
    survived: str
    server: QueueServer
    squares: Sequence[Square]

    @property
    def faulty(self) -> Sequence[Square]:
        """Return its squares with a fault; nothing fails in the control."""
        return [square for square in self.squares if square.fault != FaultKind.NONE]

    @property
    def runs(self) -> tuple[int, int, int]:
        """Count the runs of its jobs that were due under faults, missed, and doubled."""
        due, missed, doubled = (sum(square.runs[i] for square in self.faulty) for i in range(3))
        return due, missed, doubled


@dataclass(frozen=True, slots=True)
class Matrix:
    """The squares of a run.

    A system has no row on a provider where all its trials were skipped, nor has such a fault a
    column.

    Attributes:
        faults: The faults, the control first.
        systems: The rows.
        skips: Why some squares were skipped: each reason, and its systems and faults.
        replaced: A sentence about the attempts that a later one replaces; empty if there are none.
    """

    faults: Sequence[str]
    systems: Sequence[MatrixRow]
    skips: Sequence[tuple[str, Sequence[str]]]
    replaced: str


def matrix(tables: Tables) -> Matrix | None:
    """Return what became of the tasks of each system after each fault; None without faults.

    Args:
        tables: trial, metric, fault, and `outcome/TRIAL_ID-ATTEMPT` of trials with such outcomes.
    """
    trials = of_faults(tables["trial"])
    if trials.empty:
        return None
    tried = trials[trials["status"] != Status.SKIPPED]
    faults = sorted(dict.fromkeys(tried["fault"]), key=_place)
    rows = each(identify_by_provider(tables["trial"]))
    of_rows = [
        (row, trials[(trials["label"] == row.label) & (trials["provider"] == row.provider)])
        for row in rows
    ]
    systems = [
        _system(row, of_row, faults, tables)
        for row, of_row in of_rows
        if (of_row["status"] != Status.SKIPPED).any()
    ]
    return Matrix(faults, systems, list(_skips(of_rows)), _replaced(trials))


def _place(fault: str) -> tuple[int, str]:
    """Return the key that sorts faults by kind, the control first."""
    kind = fault.partition(":")[0]
    # A run of a newer version may have a kind that is unknown here; it is shown all the same.
    return (KINDS.index(kind) if kind in KINDS else len(KINDS), fault)


def _system(row: Any, trials: pd.DataFrame, faults: Sequence[str], tables: Tables) -> MatrixRow:
    squares = [square_of(row, fault, trials[trials["fault"] == fault], tables) for fault in faults]
    hits = [hit for square in squares if square.fault != FaultKind.NONE for hit in square.hits]
    # A scheduler starts its jobs itself, so no call of a submitter is acknowledged.
    is_offered = (trials["arrival"] != Periodic.kind) & (trials["status"] != Status.SKIPPED)
    meanings = dict.fromkeys(filter(None, trials.loc[is_offered, "ack_means"].fillna("")))
    return MatrixRow(
        label=row.label,
        provider=row.provider,
        name=row.name,
        colour=colour_of(row.family),
        acknowledged="; ".join(ACKNOWLEDGED.get(word, word) for word in meanings),
        documented=", ".join(documented_safe(row.label)),
        survived=survived_text(hits),
        server=server_of(row.label, trials),
        squares=squares,
    )


def _replaced(trials: pd.DataFrame) -> str:
    """Return how many attempts are in no square, and what became of their tasks."""
    replaced = replaced_attempts(trials)
    if replaced.empty:
        return ""
    columns = [result.count for result in RESULTS if result.is_harm]
    n, harmed = int(replaced["n_sent"].sum()), int(replaced[columns].fillna(0).sum().sum())
    unknown = int(replaced[UNKNOWN.count].fillna(0).sum())
    return (
        f"The squares leave out {plural(len(replaced), 'attempt')} at a trial that was repeated: "
        f"of {plural(n, 'task')} there, {harmed:,} were harmed and {unknown:,} are unknown."
    )


def _skips(
    of_rows: Sequence[tuple[Any, pd.DataFrame]],
) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield each reason of skips, with the systems and faults that it concerns."""
    skipped = pd.concat([rows.assign(name=row.name) for row, rows in of_rows])
    skipped = skipped[skipped["status"] == Status.SKIPPED]
    reasons = [
        # Otherwise, each system would have a reason of its own.
        _capitalised(str(row.reason).replace(f"{row.backend}[{row.variant}]", "the system"))
        for row in each(skipped)
    ]
    for reason, rows in skipped.groupby(reasons, sort=False):
        pairs = rows[["name", "fault"]].drop_duplicates()
        yield str(reason), [f"{pair.name} under {pair.fault}" for pair in each(pairs)]


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
