"""Reads the cell of a row as a mapping, with nulls that are equal to each other."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import pandas as pd

from lab.core.cell import CELL

_values_of = attrgetter(*CELL)


def cell_of(row: Any) -> dict[str, Any]:
    """Return the columns of a cell by name, from a named tuple of a table; each null is None."""
    return dict(zip(CELL, cell_key(row), strict=True))


def cell_key(row: Any) -> tuple[Any, ...]:
    """Return the cell of a row as a key: equal for equal cells, also where these have nulls."""
    # A NaN equals no other NaN, so as a key it would split one cell into a cell for each row.
    return tuple([None if pd.isna(value) else value for value in _values_of(row)])
