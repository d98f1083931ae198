"""Selects the settings of a system that a row of a table can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

PLAIN = bool | int | float | str | None


def plain_values(values: Mapping[str, Any], hidden: Collection[str] = ()) -> dict[str, Any]:
    """Return the values that are numbers, texts or None.

    Those named in `hidden` are left out: an address, or what differs in each process.
    """
    return {k: v for k, v in values.items() if isinstance(v, PLAIN) and k not in hidden}
