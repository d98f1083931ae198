"""Makes each environment a system of its own, for tables and figures with a row or line a label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from lab.analysis.per_table import per_table

ENVIRONMENT = "environment"
# The columns that contain a label. A system and its reference have the same environment.
LABELS = ("label", "reference")
SEPARATOR = " "  # no label contains it


class LabelledByEnvironment(Mapping[str, pd.DataFrame]):
    """The tables of a run in which each label ends with its environment, whose column is empty.

    For example `thread-pool[executor]@default 3.14`. Tables without environments are the same
    objects. What reads the column, such as a comparison of environments, needs the tables as they
    are.
    """

    def __init__(self, tables: Mapping[str, pd.DataFrame]) -> None:
        self._tables = tables

    def __getitem__(self, name: str) -> pd.DataFrame:
        table = self._tables[name]
        return _labelled(table) if {"label", ENVIRONMENT} <= {*table.columns} else table

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


def label_of(label: str) -> str:
    """Return a label without its environment, as the command line accepts it."""
    return label.partition(SEPARATOR)[0]


def environment_of(label: str) -> str:
    """Return the environment at the end of a label; empty if it has none."""
    return label.partition(SEPARATOR)[2]


@per_table
def _labelled(rows: pd.DataFrame) -> pd.DataFrame:
    environments = rows[ENVIRONMENT].fillna("")
    if not (environments != "").any():
        return rows
    extended = {
        # No reference is an empty text, and stays one.
        column: (rows[column] + SEPARATOR + environments).where(rows[column] != "", "").str.rstrip()
        for column in LABELS
        if column in rows
    }
    return rows.assign(**extended, environment="")
