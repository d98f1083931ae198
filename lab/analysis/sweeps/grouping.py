"""Which cells lie on one line: all but one thing held, and never two axes mixed (METHOD M20)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pandas as pd

AXES: Mapping[str, Sequence[str]] = {
    "cores": ("nodes", "workers_per_core"),
    "workers": ("nodes", "cores"),
    "nodes": ("cores_per_node", "workers_per_node"),
}
"""What may grow, and what stays fixed then."""
# Strong scaling: the same tasks for more workers. Weak scaling: more tasks for more workers.
WORK: Mapping[str, str] = {"strong": "n_planned", "weak": "tasks_per_worker"}

CROWDED = "more workers than cores"


def lines(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Split bursts into families of lines, each with one axis, the same work, and a line a label.

    Families in which nothing grows are left out. Of several numbers of tasks the one counts that
    has most points, then the largest: the others are there for the marginal cost.

    Args:
        rows: Trials or cells, with the columns of a topology, workload, size and n_planned.

    Returns:
        Rows with the columns axis, x, work (strong or weak) and held, in words.
    """
    return (family for most, family in _families(rows) if most > 1)


def one_size(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Return a family for each workload, where none has two points."""
    for _, own in rows.groupby(["workload", "size"], sort=False):
        yield from (family for _, family in islice(_families(own), 1))


def _families(rows: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    rows = rows.assign(
        cores=rows["nodes"] * rows["cores_per_node"],
        workers=rows["nodes"] * rows["workers_per_node"],
        workers_per_core=rows["workers_per_node"] / rows["cores_per_node"],
    )
    rows["tasks_per_worker"] = rows["n_planned"] / rows["workers"]
    for _, group in rows.groupby(["workload", "size", "provider", "quota_cpus"], sort=False):
        for axis, fixed in AXES.items():
            for _, part in group.groupby(list(fixed)):
                for work, tasks in WORK.items():
                    yield _one(part.assign(axis=axis, x=part[axis], work=work), tasks)


def _one(part: pd.DataFrame, tasks: str) -> tuple[int, pd.DataFrame]:
    found = [(_steps(own), value, own) for value, own in part.groupby(tasks)]
    most, _, own = max(found, key=lambda each: each[:2])
    return most, own.assign(held=_held(own.iloc[0], tasks))


def _steps(rows: pd.DataFrame) -> int:
    """Count the different x of the label that has most."""
    return int(rows.groupby("label")["x"].nunique().max())


def _held(row: pd.Series, tasks: str) -> str:
    per_core = f"{row['workers_per_core']:g} {plural('workers', row['workers_per_core'])} per core"
    fixed = {
        "cores": [per_core] + ([f"{row['nodes']} nodes"] if row["nodes"] > 1 else []),
        "workers": [f"{row['cores']} {plural('cores', row['cores'])}"],
        "nodes": [f"{row['cores_per_node']} cores and {row['workers_per_node']} workers a node"],
    }[row["axis"]]
    work = f"{row[tasks]:g} tasks" + (" a worker" if row["work"] == "weak" else "")
    return f"{row['work']}: {', '.join([*fixed, work])}"


def beyond(row: Any) -> str:
    """Say in which way a point wants more than the machine's cores give; nothing if it does not."""
    if row.node_mode != "cpuset":
        return str(row.node_mode)
    return CROWDED if row.workers_per_node > row.cores_per_node else ""


def plural(words: str, count: float) -> str:
    """Drop the plural's s of one."""
    return words.removesuffix("s") if count == 1 else words
