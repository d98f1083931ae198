"""Checks that an object loaded from an entry point is a complete backend or workload."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import ModuleType

from lab.core.backend import Backend
from lab.core.model import Profile, Variant
from lab.planning.entry_points import UnusableEntryError

NEEDED_FUNCTIONS = ("calibrate", "nominal_ns", "argument", "answer", "run", "run_async")


def adapter(loaded: object) -> type[Backend]:
    """Return the Backend class that was loaded, or the only one in a loaded module.

    Raises:
        UnusableEntryError: There is not exactly one, or attributes or methods are missing.
    """
    if isinstance(loaded, ModuleType):
        classes = [
            member
            for _, member in inspect.getmembers(loaded, inspect.isclass)
            # A module also contains the classes that it imports, such as `Backend` itself.
            if issubclass(member, Backend) and member.__module__ == loaded.__name__
        ]
        if len(classes) != 1:
            raise UnusableEntryError(f"it must define one Backend, and defines {len(classes)}")
        (loaded,) = classes
    if not (isinstance(loaded, type) and issubclass(loaded, Backend)):
        raise UnusableEntryError("it is not a subclass of lab.plugin.Backend")
    # Otherwise the first instance would raise TypeError, in the driver of a trial.
    if missing := sorted(loaded.__abstractmethods__):
        raise UnusableEntryError(f"it does not implement {', '.join(missing)}")
    # Not ignored: the adapter would lose its references without a message.
    if hasattr(loaded, "ceilings"):
        raise UnusableEntryError("it defines ceilings, which is named references since 0.2.0")
    stated = {
        "family": isinstance(getattr(loaded, "family", None), str),
        "summary": isinstance(getattr(loaded, "summary", None), str),
        # At least one of each: a label without a variant or a profile means the first.
        "variants": _holds(getattr(loaded, "variants", ()), Variant),
        "profiles": _holds(loaded.profiles, Profile),
    }
    if wrong := [name for name, is_right in stated.items() if not is_right]:
        raise UnusableEntryError(f"it does not define {', '.join(wrong)}")
    return loaded


def _holds(members: object, kind: type) -> bool:
    """Return whether `members` is a sequence that is not empty, with members of one type."""
    return (
        isinstance(members, Sequence)
        and len(members) > 0
        and all(isinstance(member, kind) for member in members)
    )


def task_module(loaded: object) -> ModuleType:
    """Return a workload's module if it defines everything that a trial needs.

    Raises:
        UnusableEntryError: It is not a module, or a name is missing or has the wrong type.
    """
    if not isinstance(loaded, ModuleType):
        raise UnusableEntryError("it is not a module")
    stated = {
        **{name: isinstance(getattr(loaded, name, None), str) for name in ("SUMMARY", "UNIT")},
        "DEFAULT_SIZE": isinstance(getattr(loaded, "DEFAULT_SIZE", None), int),
        **{name: callable(getattr(loaded, name, None)) for name in NEEDED_FUNCTIONS},
    }
    if wrong := [name for name, is_right in stated.items() if not is_right]:
        raise UnusableEntryError(f"it does not define {', '.join(wrong)}")
    return loaded
