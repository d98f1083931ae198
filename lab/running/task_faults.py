"""Makes the rows of the faults that are tasks of the window, from the ledger."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lab.core.model import TrialSpec
from lab.planning.fault_tasks import fault_task_ids
from lab.planning.faults import offsets_ns
from lab.recording.ledger_reader import OUTCOMES, Execution, Header, executions
from lab.results.schema import FaultRow
from lab.running.injection import Activity

LedgerEntry = tuple[Header, Execution]


def missed(spec: TrialSpec, hit: int, planned_ns: int, reason: str) -> FaultRow:
    """Return the row of a hit that did not happen."""
    return FaultRow(
        trial_id=spec.id,
        hit=hit,
        fault=spec.fault.kind if spec.fault else "",
        planned_ns=planned_ns,
        injected_ns=None,
        healed_ns=None,
        restarted_ns=None,
        role="",
        target="",
        activity=Activity.UNKNOWN,
        task_ids="",
        proof="",
        status="missed",
        reason=reason,
    )


def task_rows(spec: TrialSpec, begin_ns: int, ledger: Path) -> Iterator[FaultRow]:
    """Yield a row for each task that is a fault; it was injected when it first started.

    Args:
        spec: The trial.
        begin_ns: The start of its window.
        ledger: The folder with the ledgers of all workers, after the end of the cluster.
    """
    ids = fault_task_ids(spec)
    runs_of: dict[int, list[LedgerEntry]] = {task_id: [] for task_id in ids}
    for path in sorted(ledger.glob("*.bin")) if ids else ():
        # A task may write anything into this folder. The trial fails because of that file when its
        # records are validated.
        with contextlib.suppress(ValueError):
            header, records = executions(path)
            for record in records:
                if record.task_id in runs_of:
                    runs_of[record.task_id].append((header, record))
    # Not strict: in a short burst, two instants may name one task, so there are fewer ids.
    for hit, (task_id, offset_ns) in enumerate(zip(ids, offsets_ns(spec), strict=False)):
        row = missed(spec, hit, begin_ns + offset_ns, f"task {task_id} did not start")
        yield _started(row, task_id, runs_of[task_id]) if runs_of[task_id] else row


def _started(row: FaultRow, task_id: int, runs: list[LedgerEntry]) -> FaultRow:
    first = min(runs, key=lambda run: run[1].started_ns)
    # All starts, because a system may deliver a task that killed its worker again and again.
    outcomes = Counter(OUTCOMES.get(record.outcome, "unfinished") for _, record in runs)
    ends = ", ".join(f"{n} {outcome}" for outcome, n in outcomes.items())
    return replace(
        row,
        injected_ns=first[1].started_ns,
        role="child",
        target=f"node{first[0].node} pid {first[0].pid}",
        activity=Activity.EXECUTING,
        task_ids=str(task_id),
        proof=f"starts in the ledger: {ends}",
        status="hit",
        reason="",
    )
