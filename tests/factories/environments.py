"""Makes the tables of a run in several environments from those of a run in one."""

from __future__ import annotations

import pandas as pd

from lab.figures import Tables


def in_environments(tables: Tables, *environments: str) -> dict[str, pd.DataFrame]:
    """Return the tables with a copy of each trial, and of its numbers, in each environment."""
    copied = {"trial", "metric", "estimate", "trend"} & {*tables}
    return {
        name: pd.concat(
            [_copied(table, environment) for environment in environments], ignore_index=True
        )
        if name in copied
        else table
        for name, table in tables.items()
    }


def _copied(table: pd.DataFrame, environment: str) -> pd.DataFrame:
    if "environment" in table:
        table = table.assign(environment=environment)
    if "trial_id" in table:
        table = table.assign(trial_id=table["trial_id"] + environment)
    return table
