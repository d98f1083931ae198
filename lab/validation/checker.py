"""What became of each task, told from the ledger and the intents; and whether the records agree.

Pure functions over the tables of one attempt at one trial (METHOD M7, M13, M28). Nothing here
asks the system under test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from lab.core.model import Arrival, Flag, Paced
from lab.core.outcomes import Ack, Verdict

MEASURE = "measure"
# The generator (METHOD M7, M23).
RATE_NOISY, RATE_INVALID = 0.02, 0.05
SUBMITTER_BUSY = 0.30
LAG_FLOOR_S, LAG_OF_LATENCY = 0.001, 0.05
GAPS_P_VALUE = 0.01
MIN_GAPS = 30  # with fewer, the test of gaps tells nothing
# Operational laws (METHOD M13).
MISMATCH = 0.05
CHANCE = 0.01  # at most this share of sound trials may look wrong by chance beyond the mismatch
# A reading is as late as its thread was kept from running: one switch interval of CPython.
READING_NS = 5_000_000
MIN_READINGS = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a trial's records, and how bad that is."""

    flag: Flag
    reason: str


def verdicts(
    tasks: pd.DataFrame,
    submits: pd.DataFrame,
    expected: Mapping[int, int] | None,
    *,
    repeats: bool = False,
    due: int = 1,
) -> pd.DataFrame:
    """Classify each task of the window, and each execution that nobody asked for (METHOD M28).

    Classes exclude each other, correctness first: the first that fits in this order is given.
    1. phantom: executed, and in no submit row of any phase
    2. corrupted: some execution returned an answer that is not the expected one
    3. failed: finished, and every execution raised or was cancelled
    4. duplicated: finished more than `due` times, a retry after a failure included
    5. recovered: finished once, although the submit call was not acknowledged
    6. ok: finished once, and acknowledged
    7. partial: started, never finished, acknowledged or not
    8. lost: acknowledged, never started
    9. refused: not acknowledged (error or unknown), never started; this is not a loss

    Args:
        tasks: `TaskRow` columns, a row an execution; rows of tasks never started do no harm.
        submits: `SubmitRow` columns, a row an offered task, all phases.
        expected: Checksum of each right answer by task id; None: nobody knows any.
        repeats: Whether tasks are jobs, of which none is duplicated: see
            `lab.validation.schedule_match`.
        due: How often each is to finish: twice where it raises first, to be retried.

    Returns:
        `VerdictRow` columns, a row a task: those offered in the window in their order, then
        phantoms by id.
    """
    executed = _executed(tasks, expected)
    offered = submits.loc[submits["phase"] == MEASURE, ["trial_id", "task_id", "ack"]]
    known = offered.join(executed, on="task_id").fillna(dict.fromkeys(executed.columns, 0))
    known["verdict"] = _classes(known, most=len(tasks) if repeats else due)
    phantoms = _phantoms(tasks, submits, executed)
    columns = ["trial_id", "task_id", "verdict", "starts", "completions"]
    both = pd.concat([known[columns], phantoms[columns]]) if len(phantoms) else known[columns]
    return both.astype({"starts": "int64", "completions": "int64"}).reset_index(drop=True)


def _phantoms(tasks: pd.DataFrame, submits: pd.DataFrame, executed: pd.DataFrame) -> pd.DataFrame:
    unknown = executed[executed["starts"] > 0]
    unknown = unknown[~unknown.index.isin(submits["task_id"])].reset_index()
    trial_id = tasks["trial_id"].iloc[0] if len(tasks) else ""
    return unknown.assign(trial_id=trial_id, verdict=str(Verdict.PHANTOM))


def _executed(tasks: pd.DataFrame, expected: Mapping[int, int] | None) -> pd.DataFrame:
    """Count by task id: starts, completions, returned, and wrong answers among those."""
    returned = tasks["outcome"] == "ok"
    # Masked integers: checksums have 63 bits, which a float would round.
    right = pd.Series(expected or {}, dtype="Int64").reindex(tasks["task_id"]).array
    # Null where the lab could not check the answer: that tells nothing of the system.
    differs = pd.Series(tasks["answer"].astype("Int64").array != right, index=tasks.index)
    is_known = expected is not None
    table = pd.DataFrame(
        {
            "task_id": tasks["task_id"],
            "starts": tasks["t3_ns"].notna(),
            "completions": tasks["t4_ns"].notna(),
            "returned": returned,
            "wrong": is_known & returned & differs.fillna(value=False).astype(bool),
        }
    )
    return table.groupby("task_id").sum()


def _classes(known: pd.DataFrame, most: int) -> NDArray[np.str_]:
    acknowledged = known["ack"] == Ack.OK
    completions = known["completions"]
    order = (
        (known["wrong"] > 0, Verdict.CORRUPTED),
        ((completions > 0) & (known["returned"] == 0), Verdict.FAILED),
        (completions > most, Verdict.DUPLICATED),
        ((completions > 0) & ~acknowledged, Verdict.RECOVERED),
        (completions > 0, Verdict.OK),
        (known["starts"] > 0, Verdict.PARTIAL),
        (acknowledged, Verdict.LOST),
    )
    conditions, classes = zip(*order, strict=True)
    return np.select(conditions, [str(c) for c in classes], default=str(Verdict.REFUSED))


def counts(table: pd.DataFrame) -> dict[Verdict, int]:
    """Count the tasks of each class in what `verdicts` returned, absent classes as 0."""
    found = table["verdict"].value_counts()
    return {verdict: int(found.get(str(verdict), 0)) for verdict in Verdict}


def negative_durations(tasks: pd.DataFrame) -> int:
    """Count durations below zero: t1 - t0, t2 - t1, t3 - t1 and t4 - t3 (METHOD M14).

    ``t2 > t3`` is legal: a worker may start before submit returns.
    """
    pairs = (("t0_ns", "t1_ns"), ("t1_ns", "t2_ns"), ("t1_ns", "t3_ns"), ("t3_ns", "t4_ns"))
    return sum(int((tasks[end] < tasks[start]).sum()) for start, end in pairs)


def generator_check(
    submits: pd.DataFrame, arrival: Arrival, median_end_to_end_s: float = 0.0
) -> list[Finding]:
    """Tell whether the generator kept its plan, so that it was not the bottleneck (METHOD M7).

    Only a `Paced` arrival has a plan to keep; for the others there is nothing to find.

    Args:
        submits: `SubmitRow` columns; only rows of the window count.
        arrival: The plan's kind.
        median_end_to_end_s: Median of t4 - t0 in seconds; 5 % of it is a lag that does no harm.
    """
    window = submits[submits["phase"] == MEASURE]
    sent = window[window["t2_ns"].notna()].sort_values("t1_ns")
    if not isinstance(arrival, Paced) or not len(sent):
        return []
    t0, t1, t2 = (sent[name].to_numpy("int64") for name in ("t0_ns", "t1_ns", "t2_ns"))
    lag_s, submit_s = (t1 - t0) / 1e9, (t2 - t1) / 1e9
    findings = [
        _rate(t0, t1, arrival.n_tasks),
        _utilisation_of_submitter(arrival.rate_hz * float(submit_s.mean())),
        _lag(lag_s, max(LAG_FLOOR_S, LAG_OF_LATENCY * median_end_to_end_s)),
    ]
    if arrival.gaps == "poisson":
        dead_s = float(np.percentile(submit_s, 99) + np.percentile(lag_s, 99))
        findings.append(_gaps(np.diff(t1) / 1e9, dead_s, arrival.rate_hz))
    return [finding for finding in findings if finding]


def _limited(flag: Flag, what: str) -> Finding:
    return Finding(flag, f"generator_limited: {what}")


def _rate(t0: NDArray[np.int64], t1: NDArray[np.int64], planned: int) -> Finding | None:
    # Against the plan's own instants: a Poisson plan of n tasks misses its rate by 1 / sqrt(n)
    # by chance, and that is not the generator's doing.
    late = max(1, int(np.ptp(t1))) / max(1, int(np.ptp(t0)))
    off = len(t1) / planned / late - 1
    if abs(off) <= RATE_NOISY:
        return None
    flag = Flag.INVALID if abs(off) > RATE_INVALID else Flag.NOISY
    return _limited(flag, f"achieved rate {off:+.1%} off the plan (limit {RATE_NOISY:.0%})")


def _utilisation_of_submitter(busy: float) -> Finding | None:
    if busy <= SUBMITTER_BUSY:
        return None
    return _limited(Flag.NOISY, f"submitter {busy:.0%} busy (limit {SUBMITTER_BUSY:.0%})")


def _lag(lag_s: NDArray[np.float64], limit_s: float) -> Finding | None:
    p99_s = float(np.percentile(lag_s, 99, method="inverted_cdf"))
    if p99_s <= limit_s:
        return None
    return _limited(Flag.NOISY, f"p99 lag {p99_s * 1e3:.2f} ms (limit {limit_s * 1e3:.2f} ms)")


def _gaps(gaps_s: NDArray[np.float64], dead_s: float, rate_hz: float) -> Finding | None:
    """Test that the gaps of the sends are exponential, by Kolmogorov and Smirnov.

    One submitter cannot send again while a call lasts, so short gaps are missing however well it
    keeps the plan, and 10 000 of them would always tell. Exponential gaps have no memory: what
    exceeds the dead time is exponential again with the same rate, exactly, so that is tested.
    """
    excess = gaps_s[gaps_s > dead_s] - dead_s
    if len(excess) < MIN_GAPS:
        return None
    p_value = float(scipy.stats.kstest(excess, "expon", args=(0, 1 / rate_hz)).pvalue)
    if p_value > GAPS_P_VALUE:
        return None
    return _limited(Flag.NOISY, f"gaps between sends are not exponential (KS p = {p_value:.1g})")


def cross_checks(
    tasks: pd.DataFrame, submits: pd.DataFrame, samples: pd.DataFrame, workers: int
) -> list[Finding]:
    """Hold the ledger against operational laws, with figures that it did not make (METHOD M13).

    Args:
        tasks: `TaskRow` columns; only rows of the window count.
        submits: `SubmitRow` columns; only rows of the window count.
        samples: `SampleRow` columns; those of source ``ledger``, metric ``in_system``: tasks
            accepted so far less executions finished so far, counted while the trial ran.
        workers: Worker slots.
    """
    window = tasks[tasks["phase"] == MEASURE]
    accepted = submits[(submits["phase"] == MEASURE) & (submits["ack"] == Ack.OK)]
    read = samples[(samples["source"] == "ledger") & (samples["metric"] == "in_system")]
    findings = [_little(window, accepted, read), _utilisation(window, workers)]
    return [finding for finding in findings if finding]


def _inconsistent(what: str) -> Finding:
    return Finding(Flag.INVALID, f"inconsistent: {what}")


def _little(tasks: pd.DataFrame, accepted: pd.DataFrame, read: pd.DataFrame) -> Finding | None:
    """Compare the tasks in the system as counted live with those that the rows imply.

    Little's law N = X R holds on every path because N is what came less what left. The rows give
    that at the very instants of the readings, so the error of a mean over few readings, which
    may be many times 5 %, is not in the comparison. What is left is that a reading is not
    instantaneous: the rows allow a range, and only what lies outside counts. Its mean must
    exceed 5 % of N by more than Student's quantile of its own standard error. That error is of
    the residuals about the ratio, because rows that are missing in proportion are no chance.
    """
    if len(read) < MIN_READINGS or not len(accepted):
        return None
    counted = read["value"].to_numpy("float64")
    implied = np.clip(counted, *_in_system(tasks, accepted, read["t_ns"].to_numpy("int64")))
    excess = counted - implied
    scale = float(np.abs(implied).mean())
    residuals = excess - (excess.mean() / scale * implied if scale else 0.0)
    error = float(residuals.std(ddof=1)) / np.sqrt(len(read))
    allowed = MISMATCH * scale + float(scipy.stats.t.ppf(1 - CHANCE / 2, len(read) - 1)) * error
    if abs(excess.mean()) <= allowed:
        return None
    found = f"{counted.mean():.2f} tasks in the system by count, {implied.mean():.2f} by the rows"
    return _inconsistent(f"Little's law: {found}")


def _in_system(
    tasks: pd.DataFrame, accepted: pd.DataFrame, at_ns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the fewest and the most tasks in the system that a reading begun at each may see."""

    def passed(instants: pd.Series, by_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        ordered = np.sort(instants.dropna().to_numpy("int64"))
        return np.searchsorted(ordered, by_ns, side="right").astype("int64")

    # A task counts as accepted somewhere between the begin and shortly after the end of its call.
    fewest = passed(accepted["t2_ns"], at_ns - READING_NS)
    most = passed(accepted["t1_ns"], at_ns + READING_NS)
    return (
        fewest - passed(tasks["t4_ns"], at_ns + READING_NS),
        most - passed(tasks["t4_ns"], at_ns - READING_NS),
    )


def _utilisation(tasks: pd.DataFrame, workers: int) -> Finding | None:
    done = tasks[tasks["t4_ns"].notna()]
    if not len(done):
        return None
    busy_ns = int((done["t4_ns"] - done["t3_ns"]).sum())
    span_ns = max(1, int(done["t4_ns"].max() - done["t3_ns"].min()))
    if busy_ns / span_ns <= workers * (1 + MISMATCH):
        return None
    return _inconsistent(f"{busy_ns / span_ns:.2f} tasks ran at once on {workers} worker slots")


def cpu_check(cpu_ns: int, cpus: int, window_ns: int) -> list[Finding]:
    """Hold the CPU time of a role against what its CPUs can give in the window (METHOD M13)."""
    if cpu_ns <= cpus * window_ns * (1 + MISMATCH):
        return []
    used = f"{cpu_ns / 1e9:.2f} s of CPU time in {window_ns / 1e9:.2f} s on {cpus} CPUs"
    return [_inconsistent(used)]
