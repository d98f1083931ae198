"""Disturbs all trials of one label of a synthetic campaign."""

from __future__ import annotations

from lab.core.model import Flag
from lab.figures import Tables


def with_disturbed(tables: Tables, label: str) -> Tables:
    """Return the tables as if every trial of a label had been disturbed."""
    trials, rows = tables["trial"], tables["estimate"]
    flags = trials["flag"].where(trials["label"] != label, Flag.DISTURBED.value)
    name = rows["analysis_id"].str.partition("/")[0]
    others = rows[(rows["label"] != label) | (rows["analysis_id"] == name)]
    ids = others["analysis_id"].where(others["label"] != label, name + "/disturbed")
    return {
        **tables,
        "trial": trials.assign(flag=flags),
        "estimate": others.assign(analysis_id=ids),
    }
