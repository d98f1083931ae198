"""Decides the status of a trial and the reason in its row, with the cause if it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lab.core.model import Status
from lab.host import processes
from lab.providers.servers import last_line
from lab.results.schema import FaultRow
from lab.running.trial import TrialObservation
from lab.validation import trial_files


class Ending(NamedTuple):
    """Status of a trial; with status ok, `reason` is empty unless its fault hit nothing."""

    status: Status
    reason: str


def ending(
    outcome: TrialObservation,
    status: Mapping[str, Any],
    counted: Mapping[str, Any],
    tasks: pd.DataFrame,
) -> Ending:
    """Decide by the lab's observations, then by the driver's status, then by the ledger.

    Args:
        outcome: The lab's observations of the attempt.
        status: The last status that the driver wrote.
        counted: Columns of the row with numbers of tasks.
        tasks: `TaskRow` columns, of all phases.
    """
    if foreign := trial_files.foreign_files(outcome.folder):
        # A task that writes there could have forged records.
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        reason = f"A task wrote into the ledger's folder: {foreign[0]}{more}."
        return Ending(Status.FAILED, reason)
    ended = _ended_early(outcome, status, tasks) or _counted(outcome, status, counted, tasks)
    missing = str(status.get("missing", ""))
    if ended.status == Status.OK:
        return Ending(ended.status, _without_hit(outcome.hits) or missing)
    reason = _with_cause(ended.reason, outcome.folder)
    return Ending(ended.status, f"{reason} {missing}".strip())


def _without_hit(hits: Sequence[FaultRow]) -> str:
    """Return why no hit of a fault found a target; empty if one did, or without a fault."""
    if not hits or any(hit.injected_ns is not None for hit in hits):
        return ""
    return f"The fault hit nothing: {hits[-1].reason.rstrip('.')}."


def _ended_early(
    outcome: TrialObservation, status: Mapping[str, Any], tasks: pd.DataFrame
) -> Ending | None:
    """Return how a trial ended early; None if it was complete."""
    driver_status = str(status.get("status", "running"))
    if outcome.status != Status.OK:
        return Ending(outcome.status, outcome.reason)
    if driver_status == Status.OK:
        return None
    if outcome.died:  # the cause; the driver's reason is a consequence
        return Ending(Status.FAILED, outcome.died)
    if driver_status == "running":
        code, phases = outcome.driver_code, status.get("phases", [])
        how = "ended early" if code is None else processes.ending(code)
        where = f" in phase {phases[-1][0]}" if phases else ""
        last = last_line(outcome.folder / "logs" / "driver.log")
        return Ending(Status.FAILED, f"The driver {how}{where}: {last}")
    reasons = [str(status.get("reason", ""))]
    # Without a reason of the driver, records are missing, among them perhaps the ends of these.
    if reasons[0] and (began := trial_files.cut_short(tasks)):
        reasons.append(f"{began} of them started and did not finish.")
    if "submit_error" in status:
        reasons.append(_refused(status))
    return Ending(Status(driver_status), " ".join(filter(None, reasons)))


def _counted(
    outcome: TrialObservation,
    status: Mapping[str, Any],
    counted: Mapping[str, Any],
    tasks: pd.DataFrame,
) -> Ending:
    """Return the status of a complete trial, from the ledger."""
    spec = outcome.spec
    planned = spec.arrival.n_tasks
    # With a fault, tasks that raised or were refused are a result, and a wrong answer is not.
    has_fault = spec.fault is not None
    for number, problem in (
        (counted["n_wrong_answer"], f"of {planned} tasks gave a wrong answer."),
        (
            trial_files.wrong_in_warm_up(spec, tasks),
            f"of {spec.warmup_tasks} tasks of the warm-up gave a wrong answer.",
        ),
        (counted["n_failed"] * (not has_fault), f"of {planned} tasks raised."),
    ):
        if number:
            return Ending(Status.FAILED, f"{number} {problem}")
    if counted["n_sent"] and "submit_error" in status and not has_fault:
        # The end of a server is the cause of refused tasks.
        return Ending(Status.FAILED, outcome.died or _refused(status))
    return Ending(Status.OK, "")


def _refused(status: Mapping[str, Any]) -> str:
    return f"Submitting failed: {status['submit_error']}"


def _with_cause(reason: str, folder: Path) -> str:
    """Add the first exception that a worker recorded, and the file with its traceback."""
    if (error := trial_files.first_error(folder)) is None:
        return reason
    file = f"(traceback: ledger/{error.path.name})"
    # The driver's own reason may quote the same exception already.
    if error.summary in reason:
        return f"{reason.removesuffix('.')} {file}."
    return f"{reason.removesuffix('.')}. First exception of a task: {error.summary} {file}."
