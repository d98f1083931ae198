"""Groups cells into lines, on which exactly one dimension differs (METHOD M20)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import pandas as pd

from lab.core.cell import SITE, TOPOLOGY

AXES: Mapping[str, Sequence[str]] = {
    "cores": ("nodes", "workers_per_core"),
    "workers": ("nodes", "cores"),
    "nodes": ("cores_per_node", "workers_per_node"),
}
"""The columns that stay fixed while the topology grows along an axis."""
# Strong scaling: the same tasks for more workers. Weak scaling: more tasks for more workers.
WORK: Mapping[str, str] = {"strong": "n_planned", "weak": "tasks_per_worker"}

# The columns in which all lines of a family agree.
SAME = [name for name in SITE if name not in ("label", *TOPOLOGY)]
CROWDED = "more workers than cores"


def lines(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Split bursts into families of lines: one axis, the same work, and one line per label.

    Families with a single point are left out. Of several numbers of tasks, the family uses the one
    with most points, then the largest; the others exist for the marginal cost.

    Args:
        rows: Trials or cells, with the columns of a topology, workload, size and n_planned.

    Returns:
        Rows with the columns axis, x, work (strong or weak) and fixed (the fixed dimensions, text).
    """
    return (family for most, family in _families(rows) if most > 1)


def one_size(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the first family of each workload and size, even with a single point."""
    for _, group in rows.groupby(["workload", "size"], sort=False):
        yield from (family for _, family in islice(_families(group), 1))


def _families(rows: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    rows = rows.assign(
        cores=rows["nodes"] * rows["cores_per_node"],
        workers=rows["nodes"] * rows["workers_per_node"],
        workers_per_core=rows["workers_per_node"] / rows["cores_per_node"],
    )
    rows["tasks_per_worker"] = rows["n_planned"] / rows["workers"]
    for _, group in rows.groupby(SAME, sort=False):
        for axis, fixed in AXES.items():
            for _, part in group.groupby(list(fixed)):
                for work, tasks in WORK.items():
                    yield _longest(part.assign(axis=axis, x=part[axis], work=work), tasks)


def _longest(part: pd.DataFrame, tasks: str) -> tuple[int, pd.DataFrame]:
    """Return the number of tasks with most points, as that number of points and its rows."""
    families = [(_points(rows), value, rows) for value, rows in part.groupby(tasks)]
    most, _, rows = max(families, key=lambda family: family[:2])
    return most, rows.assign(fixed=_fixed(rows.iloc[0], tasks))


def _points(rows: pd.DataFrame) -> int:
    """Return the number of different x of the label that has most."""
    return int(rows.groupby("label")["x"].nunique().max())


def _fixed(row: pd.Series, tasks: str) -> str:
    per_core = f"{row['workers_per_core']:g} {noun_of('workers', row['workers_per_core'])} per core"
    fixed = {
        "cores": [per_core] + ([f"{row['nodes']} nodes"] if row["nodes"] > 1 else []),
        "workers": [f"{row['cores']} {noun_of('cores', row['cores'])}"],
        "nodes": [f"{row['cores_per_node']} cores and {row['workers_per_node']} workers per node"],
    }[row["axis"]]
    work = f"{row[tasks]:g} tasks" + (" per worker" if row["work"] == "weak" else "")
    return f"{row['work']}: {', '.join([*fixed, work])}"


def oversubscription(row: Any) -> str:
    """Return how a point exceeds the machine's cores, or an empty text if it does not."""
    if row.node_mode != "cpuset":
        return str(row.node_mode)
    return CROWDED if row.workers_per_node > row.cores_per_node else ""


def noun_of(noun: str, count: float) -> str:
    """Return a plural noun without its "s" if `count` is 1."""
    return noun.removesuffix("s") if count == 1 else noun
