"""Why a trial ended as it did: status and reason of its row, with what caused it where known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from lab.core.model import Status
from lab.host import processes
from lab.providers.servers import last_line
from lab.running.trial import Outcome
from lab.validation import trial_files


class Ending(NamedTuple):
    """How a trial ended; `reason` is empty where it ended well."""

    status: Status
    reason: str


def ending(
    outcome: Outcome,
    status: Mapping[str, Any],
    counted: Mapping[str, Any],
    tasks: pd.DataFrame,
) -> Ending:
    """Decide by what the lab saw, then by what the driver said, then by the ledger.

    Args:
        outcome: The attempt as it was seen from outside.
        status: What the driver last said of itself.
        counted: Columns of the row with numbers of tasks.
        tasks: `TaskRow` columns, of all phases.
    """
    if strangers := trial_files.strangers(outcome.folder):
        # Its records prove nothing.
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        reason = f"A task wrote into the ledger's folder: {strangers[0]}{more}."
        return Ending(Status.FAILED, reason)
    ended = _seen(outcome, status, tasks) or _counted(outcome, status, counted, tasks)
    if ended.status == Status.OK:
        return ended
    return Ending(ended.status, _with_cause(ended.reason, outcome.folder))


def _seen(outcome: Outcome, status: Mapping[str, Any], tasks: pd.DataFrame) -> Ending | None:
    """Return how a trial ended early; None where it came to its end."""
    said = str(status.get("status", "running"))
    if outcome.status != Status.OK:
        return Ending(outcome.status, outcome.reason)
    if said == Status.OK:
        return None
    if outcome.died:  # the driver's own words tell what followed from it
        return Ending(Status.FAILED, outcome.died)
    if said == "running":
        code, phases = outcome.driver_code, status.get("phases", [])
        how = "ended early" if code is None else processes.ending(code)
        where = f" in phase {phases[-1][0]}" if phases else ""
        last = last_line(outcome.folder / "logs" / "driver.log")
        return Ending(Status.FAILED, f"The driver {how}{where}: {last}")
    reasons = [str(status.get("reason", ""))]
    if began := trial_files.cut_short(tasks):
        reasons.append(f"{began} of them began and did not end.")
    if "submit_error" in status:
        reasons.append(_refused(status))
    return Ending(Status(said), " ".join(reasons))


def _counted(
    outcome: Outcome,
    status: Mapping[str, Any],
    counted: Mapping[str, Any],
    tasks: pd.DataFrame,
) -> Ending:
    """Return what the ledger says of a trial that came to its end."""
    spec = outcome.spec
    planned, of_warm_up = spec.arrival.n_tasks, f"{spec.warmup_tasks} tasks of the warm-up"
    for number, what in (
        (counted["n_corrupted"], f"of {planned} tasks gave a wrong answer."),
        (trial_files.wrong_in_warm_up(spec, tasks), f"of {of_warm_up} gave a wrong answer."),
        (counted["n_failed"], f"of {planned} tasks raised."),
    ):
        if number:
            return Ending(Status.FAILED, f"{number} {what}")
    if counted["n_sent"] and "submit_error" in status:
        # A server that died refuses what is sent to it.
        return Ending(Status.FAILED, outcome.died or _refused(status))
    return Ending(Status.OK, "")


def _refused(status: Mapping[str, Any]) -> str:
    return f"Submitting failed: {status['submit_error']}"


def _with_cause(reason: str, folder: Path) -> str:
    """Add the first exception that a worker wrote down, and the file that has its traceback."""
    if (error := trial_files.first_error(folder)) is None:
        return reason
    file = f"(traceback: ledger/{error.path.name})"
    if error.said in reason:
        return f"{reason.removesuffix('.')} {file}."
    return f"{reason.removesuffix('.')}. First exception of a task: {error.said} {file}."
