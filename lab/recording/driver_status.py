"""Reads the status file of a driver, and reports a damaged one as a failed trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from lab.core import files
from lab.core.errors import ResultsError
from lab.core.model import Status
from lab.recording.sample import Sample

# Nanoseconds of CLOCK_MONOTONIC: 146 years, so that no difference of two overflows.
INSTANTS = range(2**62)


def read_status(folder: Path) -> dict[str, Any]:
    """Return the driver's status in a trial's folder; empty if the driver has not written one.

    A damaged file yields the status of a failed trial, with the damage as the reason.
    """
    path = folder / "status.json"
    try:
        status = files.read_json(path, folder)
    except FileNotFoundError:
        return {}
    except (ResultsError, OSError, ValueError) as error:
        return _damaged(" ".join(str(error).split())[:200])
    if not isinstance(status, dict):
        return _damaged("it is not a JSON object")
    # Checked here once: a wrong type would otherwise fail where the row is computed, and the trial
    # would have no row.
    for name, is_right in RULES.items():
        if name in status and not is_right(status[name]):
            return _damaged(f"{name} is {str(status[name])[:40]!r}")
    return status


def _damaged(why: str) -> dict[str, Any]:
    return {"status": Status.FAILED.value, "reason": f"The driver's status.json is damaged: {why}."}


def _is_instant(value: Any) -> bool:
    # In Python, true is an integer.
    return isinstance(value, int) and not isinstance(value, bool) and value in INSTANTS


def _is_number(value: Any) -> bool:
    # Python's json reads NaN and Infinity, which are no numbers of a table.
    return _is_instant(value) or (isinstance(value, float) and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _each(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda values: isinstance(values, list) and all(map(is_right, values))


def _is_phase(value: Any) -> bool:
    return isinstance(value, list) and list(map(type, value)) == [str, int] and value[1] in INSTANTS


def _is_reading(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_instant, value))  # noqa: PLR2004


def _is_sample(value: Any) -> bool:
    """Return whether a value has the fields of a `Sample`, each of its type."""
    if not isinstance(value, dict) or value.keys() != {field.name for field in fields(Sample)}:
        return False
    texts = (value["source"], value["metric"], value["unit"])
    return _is_instant(value["t_ns"]) and all(map(_is_text, texts)) and _is_number(value["value"])


RULES: Mapping[str, Callable[[Any], bool]] = {
    "status": lambda value: value in ["running", *Status],
    **dict.fromkeys(("reason", "submit_error", "plan_hash", "missing"), _is_text),
    "settings": lambda value: isinstance(value, dict),
    **dict.fromkeys(("t_begin_ns", "t_end_ns", "start_call_ns"), _is_instant),
    "incomplete": _each(_is_instant),
    "phases": _each(_is_phase),
    "wall": _each(_is_reading),
    "samples": _each(_is_sample),
}
