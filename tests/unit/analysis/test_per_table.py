"""Tests that a derivation of a table is computed once, and only for that table."""

from __future__ import annotations

import gc

import pandas as pd

from lab.analysis.per_table import per_table


def test_a_function_is_called_once_per_table() -> None:
    """Equal tables are two tables: their identity counts, because a comparison would be slow."""
    calls = []

    @per_table
    def total(table: pd.DataFrame) -> int:
        calls.append(table)
        return int(table["x"].sum())

    table, other = pd.DataFrame({"x": [1, 2]}), pd.DataFrame({"x": [1, 2]})
    assert [total(table), total(table), total(other)] == [3, 3, 3]
    assert [id(called) for called in calls] == [id(table), id(other)]


def test_a_new_table_never_has_the_result_of_one_that_is_gone() -> None:
    """Python uses the ids of deleted objects again."""

    @per_table
    def largest(table: pd.DataFrame) -> int:
        return int(table["x"].max())

    for number in range(20):
        table = pd.DataFrame({"x": [number]})
        assert largest(table) == number
        del table
        gc.collect()
