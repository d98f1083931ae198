"""Checks that what an entry loaded is a complete backend or workload."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import ModuleType

from lab.core.backend import Backend
from lab.core.model import Profile, Variant
from lab.planning.entry_points import UnusableEntryError

NEEDED_FUNCTIONS = ("calibrate", "nominal_ns", "argument", "answer", "run", "run_async")


def adapter(found: object) -> type[Backend]:
    """Return the one Backend that was loaded, complete enough to be listed and selected.

    Raises:
        UnusableEntryError: There is none, or it is not complete.
    """
    if isinstance(found, ModuleType):
        classes = [
            member
            for _, member in inspect.getmembers(found, inspect.isclass)
            if issubclass(member, Backend) and member.__module__ == found.__name__
        ]
        if len(classes) != 1:
            raise UnusableEntryError(f"it must define one Backend, and defines {len(classes)}")
        (found,) = classes
    if not (isinstance(found, type) and issubclass(found, Backend)):
        raise UnusableEntryError("it is no subclass of lab.plugin.Backend")
    if missing := sorted(found.__abstractmethods__):
        raise UnusableEntryError(f"it does not implement {', '.join(missing)}")
    stated = {
        "family": isinstance(getattr(found, "family", None), str),
        "summary": isinstance(getattr(found, "summary", None), str),
        "variants": _holds(getattr(found, "variants", ()), Variant),
        "profiles": _holds(found.profiles, Profile),
    }
    if wrong := [name for name, is_right in stated.items() if not is_right]:
        raise UnusableEntryError(f"it does not state {', '.join(wrong)}")
    return found


def _holds(members: object, kind: type) -> bool:
    """Tell whether there is a first member and each is of a type."""
    return (
        isinstance(members, Sequence)
        and len(members) > 0
        and all(isinstance(member, kind) for member in members)
    )


def task_module(found: object) -> ModuleType:
    """Return a workload's module that has everything a trial needs of it.

    Raises:
        UnusableEntryError: It has not.
    """
    if not isinstance(found, ModuleType):
        raise UnusableEntryError("it is no module")
    stated = {
        **{name: isinstance(getattr(found, name, None), str) for name in ("SUMMARY", "UNIT")},
        "DEFAULT_SIZE": isinstance(getattr(found, "DEFAULT_SIZE", None), int),
        **{name: callable(getattr(found, name, None)) for name in NEEDED_FUNCTIONS},
    }
    if wrong := [name for name, is_right in stated.items() if not is_right]:
        raise UnusableEntryError(f"it does not define {', '.join(wrong)}")
    return found
