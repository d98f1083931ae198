"""Remembers what a function derives from a whole table, for as long as the table exists."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import pandas as pd

Derived = TypeVar("Derived")
Derivation = Callable[[pd.DataFrame], Derived]


def per_table(derive: Derivation[Derived]) -> Derivation[Derived]:
    """Call a function once per table: a report asks dozens of times for the same labels.

    Neither the table nor the result may be changed in place.
    """
    known: dict[int, Any] = {}

    @functools.wraps(derive)
    def remembered(table: pd.DataFrame) -> Derived:
        key = id(table)  # a table cannot be hashed
        if key not in known:
            known[key] = derive(table)
            # Another table may have the same id later.
            weakref.finalize(table, known.pop, key, None)
        result: Derived = known[key]
        return result

    return remembered
