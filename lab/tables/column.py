"""How a column of a table says what it is."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def column(about: str, unit: str = "") -> Any:
    """Describe one column: what it holds, and its unit."""
    return field(metadata={"about": about, "unit": unit})
