"""Checks the ledger by operational laws against independent counts (METHOD M13).

Pure functions of the tables of one attempt.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from lab.core.model import Flag
from lab.core.outcomes import Ack
from lab.planning.phases import Phase
from lab.validation.issue import Issue

MISMATCH = 0.05
CHANCE = 0.01  # at most this share of correct trials exceeds the mismatch by chance
# The thread of a reading may be delayed by one switch interval of CPython.
READING_NS = 5_000_000
MIN_READINGS = 3


def cross_checks(
    tasks: pd.DataFrame, submits: pd.DataFrame, samples: pd.DataFrame, workers: int | None
) -> list[Issue]:
    """Check the ledger by operational laws against independent counts (METHOD M13).

    Args:
        tasks: `TaskRow` columns; only rows of the window count.
        submits: `SubmitRow` columns; only rows of the window count.
        samples: `SampleRow` columns; only source ``ledger``, metric ``in_system`` counts: tasks
            acknowledged so far minus executions finished so far, counted while the trial ran.
        workers: Number of worker slots; None if more may have run, because some were replaced.
    """
    window = tasks[tasks["phase"] == Phase.MEASURE]
    accepted = submits[(submits["phase"] == Phase.MEASURE) & (submits["ack"] == Ack.OK)]
    read = samples[(samples["source"] == "ledger") & (samples["metric"] == "in_system")]
    issues = [_little(window, accepted, read)]
    if workers is not None:
        issues.append(_utilisation(window, workers))
    return [issue for issue in issues if issue]


def _inconsistent(fault: str) -> Issue:
    return Issue(Flag.INVALID, f"inconsistent: {fault}")


def _little(tasks: pd.DataFrame, accepted: pd.DataFrame, read: pd.DataFrame) -> Issue | None:
    """Compare the tasks in the system as counted live with those that the rows imply.

    Little's law N = X R holds on every sample path, because N is arrivals minus departures. The
    rows give N at exactly the instants of the readings, so the sampling error of a mean over few
    readings, which may be many times 5 %, is not part of the comparison. A reading is not
    instantaneous: the rows give a range, and only the excess outside that range counts. The fault
    is reported if the mean excess exceeds 5 % of N by more than Student's quantile of the standard
    error of the residuals around the ratio: rows missing in proportion to N are no chance effect.
    """
    if len(read) < MIN_READINGS or not len(accepted):
        return None
    # After a redelivery more executions have finished than tasks were accepted; both counts are
    # clipped at 0, or the law would make such a trial invalid.
    counted = np.maximum(read["value"].to_numpy("float64"), 0)
    implied = np.clip(counted, *_in_system(tasks, accepted, read["t_ns"].to_numpy("int64")))
    excess = counted - implied
    scale = float(np.abs(implied).mean())
    residuals = excess - (excess.mean() / scale * implied if scale else 0.0)
    error = float(residuals.std(ddof=1)) / np.sqrt(len(read))
    allowed = MISMATCH * scale + float(scipy.stats.t.ppf(1 - CHANCE / 2, len(read) - 1)) * error
    if abs(excess.mean()) <= allowed:
        return None
    means = f"{counted.mean():.2f} tasks in the system by count, {implied.mean():.2f} by the rows"
    return _inconsistent(f"Little's law: {means}")


def _in_system(
    tasks: pd.DataFrame, accepted: pd.DataFrame, at_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the smallest and the largest valid count for a reading that begins at each instant."""

    def passed(instants: pd.Series, by_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        ordered = np.sort(instants.dropna().to_numpy("int64"))
        return np.searchsorted(ordered, by_ns, side="right").astype("int64")

    # A task is counted as accepted between the start of its call and shortly after its end. The
    # count is 0 if more have finished: before their acknowledgement, or a second time.
    fewest = passed(accepted["t2_ns"], at_ns - READING_NS)
    fewest -= passed(tasks["t4_ns"], at_ns + READING_NS)
    most = passed(accepted["t1_ns"], at_ns + READING_NS)
    most -= passed(tasks["t4_ns"], at_ns - READING_NS)
    return fewest.clip(0), most.clip(0)


def _utilisation(tasks: pd.DataFrame, workers: int) -> Issue | None:
    done = tasks[tasks["t4_ns"].notna()]
    if not len(done):
        return None
    busy_ns = int((done["t4_ns"] - done["t3_ns"]).sum())
    span_ns = max(1, int(done["t4_ns"].max() - done["t3_ns"].min()))
    if busy_ns / span_ns <= workers * (1 + MISMATCH):
        return None
    return _inconsistent(f"{busy_ns / span_ns:.2f} tasks ran at once on {workers} worker slots")


def cpu_check(cpu_ns: int, cpus: int, window_ns: int) -> list[Issue]:
    """Check that the CPU time of a role does not exceed that of its CPUs (METHOD M13)."""
    if cpu_ns <= cpus * window_ns * (1 + MISMATCH):
        return []
    used = f"{cpu_ns / 1e9:.2f} s of CPU time in {window_ns / 1e9:.2f} s on {cpus} CPUs"
    return [_inconsistent(used)]
