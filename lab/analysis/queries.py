"""Selects the values of trials and their estimates, with label names, for figures and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from lab.analysis.attempts import USABLE, last_attempts
from lab.analysis.granularity import SIZES_FLOOR
from lab.analysis.labels import each, identify
from lab.analysis.per_table import per_table
from lab.analysis.sweeps.grouping import noun_of
from lab.core.cell import CELL, CONDITIONS, TOPOLOGY
from lab.core.model import COUNTED_FLAGS, Flag

Tables = Mapping[str, pd.DataFrame]
"""Table name -> tidy table, as `Store.read` returns it; see `window_of` for windows."""

# The columns of a trial that figures and answers need: copying all columns is slow.
TRIAL_COLUMNS = ["trial_id", "attempt", "block", "backend", "family", "status", "flag", *CELL]
TRIAL_COLUMNS += ["size_unit", "nominal_ns", "node_mode", "workers"]
NAMING = ["workload", "size", "size_unit", "nominal_ns"]
THROUGHPUT, OVERHEAD = "throughput_per_s", "overhead_s_per_task"


def of_faults(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials with a fault, and those of its control."""
    return trials[_has_fault(trials)]


def _has_fault(rows: pd.DataFrame) -> pd.Series[bool]:
    return rows["fault"] != ""


@per_table
def _without_faults(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[~_has_fault(rows)]


class WithoutFaults(Mapping[str, pd.DataFrame]):
    """The tables of a run without the trials of faults and their estimates.

    A rate or a latency that includes a failure belongs to no headline number (METHOD M27).
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._plain = {
            name: _without_faults(tables[name])
            for name in ("trial", "estimate", "trend")
            if name in tables
        }

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._plain[name] if name in self._plain else self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


def usable(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the last attempt of each trial, if its numbers may be used (METHOD M23)."""
    last = last_attempts(trials)
    return last[last["status"].isin(USABLE) & last["flag"].isin(COUNTED_FLAGS)]


def trial_values(tables: Tables, metric: str) -> pd.DataFrame:
    """Return one row per usable trial with the metric: value, unit, bound and `TRIAL_COLUMNS`."""
    metrics = tables["metric"]
    chosen = metrics[(metrics["metric"] == metric) & (metrics["is_valid"] == 1)]
    chosen = chosen[["trial_id", "attempt", "value", "unit", "bound"]].dropna(subset=["value"])
    return chosen.merge(_usable_trials(tables["trial"]), on=["trial_id", "attempt"])


@per_table
def _usable_trials(trials: pd.DataFrame) -> pd.DataFrame:
    return usable(trials[TRIAL_COLUMNS])


def window_of(tables: Tables, trial: Any) -> pd.DataFrame:
    """Return `lab.analysis.metrics.registry.TASK_COLUMNS` of the window of one attempt at a trial.

    Each window is a separate table, because all windows together may not fit into memory.
    """
    return tables[f"task/{trial.trial_id}-{trial.attempt}"]


def estimates(tables: Tables, metric: str, analysis: str = "") -> pd.DataFrame:
    """Return one row per cell with an estimate of the metric.

    `analysis` is the end of `analysis_id`: empty for the headline, over all trials that count.
    """
    chosen = tables["estimate"]
    # The metric first: a report asks for some fifty, and the search in a text is slow.
    chosen = chosen[chosen["metric"] == metric]
    # The name of a campaign is that of a folder, so the first slash ends it.
    kinds = chosen["analysis_id"].str.extract(r"/(.*)", expand=False).fillna("")
    return chosen[kinds == analysis].dropna(subset=["estimate"])


def points(tables: Tables, metric: str) -> pd.DataFrame:
    """Return trials and estimates of one metric in one frame.

    Returns:
        One row per trial (``kind`` trial) or cell (``kind`` estimate): y, low, high, unit, the
        cell, node_mode, flag, n_trials, n_noisy, method, and name, family, marker. A cell in which
        no trial counts has a row of the kind disturbed, without n_trials, for none counts.
    """
    trials = trial_values(tables, metric).assign(kind="trial").rename(columns={"value": "y"})
    cells = estimates(tables, metric).assign(kind="estimate")
    disturbed = estimates(tables, metric, Flag.DISTURBED).assign(kind=str(Flag.DISTURBED))
    counts = disturbed["n_trials"]
    disturbed["n_trials"] = counts.mask(counts.notna())
    cells = pd.concat([cells, disturbed], ignore_index=True)
    cells = cells.rename(columns={"estimate": "y", "ci_low": "low", "ci_high": "high"})
    # The table `estimate` has the columns of a cell only; a point needs these as well.
    cells = cells.merge(_cell_facts(tables["trial"]), on=CELL, how="left")
    both = pd.concat([trials, cells], ignore_index=True)
    columns = ["kind", *CELL, "size_unit", "nominal_ns", "y", "low", "high", "unit", "bound"]
    columns += ["node_mode", "trial_id", "attempt", "flag", "n_trials", "n_noisy", "method"]
    both = both.reindex(columns=columns).merge(identify(tables["trial"]), on="label")
    return both.sort_values(["nominal_ns", "workload", "size", *TOPOLOGY], kind="stable")


@per_table
def _cell_facts(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[[*CELL, "node_mode", "size_unit", "nominal_ns"]].drop_duplicates(CELL)


def trend_estimates(tables: Tables, *metrics: str) -> pd.DataFrame:
    """Return one row per number over several cells that is not refused, with its label's name."""
    table = tables["trend"]
    chosen = table[table["metric"].isin(metrics)].dropna(subset=["estimate"])
    return chosen.merge(identify(tables["trial"]), on="label")


def largest_bursts(rows: pd.DataFrame, over: Sequence[str] = ()) -> pd.DataFrame:
    """Return the rows of the largest burst of each cell; cells that differ in `over` share one."""
    same = [name for name in CELL if name not in ("n_planned", *over)]
    # A burst has no rate, and by default pandas drops the groups whose key has a null.
    largest = rows.groupby(same, dropna=False)["n_planned"].transform("max")
    return rows[rows["n_planned"] == largest]


def is_grid(rows: pd.DataFrame) -> pd.Series[bool]:
    """Return a mask of the rows whose workload has several task durations (METHOD M17c)."""
    # 0 is no duration: such a task has no calibrated work. nunique leaves nulls out.
    durations = rows["nominal_ns"].where(rows["nominal_ns"] > 0)
    return durations.groupby(rows["workload"]).transform("nunique") >= SIZES_FLOOR


def workload_names(rows: pd.DataFrame) -> pd.Series:
    """Return each row's workload, with its size if there are several or it is a duration."""
    several = rows.groupby("workload")["size"].transform("nunique") > 1
    return pd.Series(
        [
            f"{row.workload} {row.nominal_ns / 1e6:.3g} ms"
            if row.nominal_ns
            else f"{row.workload} {row.size:,} {row.size_unit}"
            if many
            else row.workload
            for row, many in zip(each(rows[NAMING]), several, strict=True)
        ],
        # pandas aligns by index on assignment, and `rows` may be a selection.
        index=rows.index,
        dtype="str",
    )


def topology_names(rows: pd.DataFrame) -> pd.Series:
    """Return each row's topology as totals, and its conditions, such as a fault, if it has any.

    For example: 2 nodes of 0.5 CPUs, 4 cores, 8 workers, fault worker-kill.
    """
    return pd.Series(
        [
            ", ".join(
                f"{count} {noun_of(noun, count)}{quota}"
                for count, noun, quota in (
                    (
                        row.nodes,
                        "nodes",
                        f" of {row.quota_cpus:g} CPUs" if row.quota_cpus > 0 else "",
                    ),
                    (row.nodes * row.cores_per_node, "cores", ""),
                    (row.nodes * row.workers_per_node, "workers", ""),
                    (row.drivers, "drivers", ""),
                )
                if noun not in ("nodes", "drivers") or count > 1 or quota
            )
            + "".join(f", {name} {getattr(row, name)}" for name in CONDITIONS if getattr(row, name))
            for row in each(rows[[*TOPOLOGY, "quota_cpus", "drivers", *CONDITIONS]])
        ],
        index=rows.index,
        dtype="str",
    )
