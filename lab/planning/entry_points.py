"""Lists and loads the entry points that other packages declare in a group.

An entry that fails, or that declares a name already in use, is left out with a reason; it cannot
break the lab.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from lab.core.errors import UsageError
from lab.core.printable import one_line

# A name is a part of a label, so it has no brackets and no @.
NAME = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)
Loader = Callable[[], object]


class UnusableEntryError(UsageError):
    """An entry whose code cannot be imported, or is not of the kind of its group."""


@dataclass(frozen=True, slots=True)
class UnusableEntry:
    """An entry that cannot be used. `kind` is ``backend`` or ``workload``."""

    kind: str
    name: str
    reason: str

    def __str__(self) -> str:
        """Return the kind, name and reason in one sentence."""
        return f"{self.kind.capitalize()} {self.name!r} is left out: {self.reason}."


def declared(
    group: str, kind: str, taken: Collection[str]
) -> tuple[Mapping[str, Loader], list[UnusableEntry]]:
    """List the entries of a group without importing any.

    Args:
        group: The entry point group.
        kind: Its kind of entry, for messages.
        taken: The names of built-ins, which packages cannot replace.

    Returns:
        The loaders by name, and the entries whose name cannot be used.
    """
    entries_of = defaultdict(list)
    for entry in entry_points(group=group):
        entries_of[entry.name].append(entry)
    loaders: dict[str, Loader] = {}
    left_out = []
    for name, entries in sorted(entries_of.items()):
        packages = " and ".join(sorted(map(_package, entries)))
        if NAME.fullmatch(name) is None:
            reason = f"{packages} declares a name that has other characters than a-z, 0-9, - and _"
        elif name in taken:
            reason = f"{packages} declares the name of a built-in {kind}, which cannot be replaced"
        # Which one comes first depends on the import path, so neither is used.
        elif len(entries) > 1:
            reason = f"{packages} declare the same name; uninstall one of them"
        else:
            loaders[name] = entries[0].load
            continue
        # Name and reason are text of another package, and may contain control characters.
        left_out.append(UnusableEntry(kind, one_line(name), one_line(reason)))
    return loaders, left_out


def load(loader: Loader) -> object:
    """Import an entry; the output of its module is discarded.

    Raises:
        UnusableEntryError: The import raised or exited.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return loader()
    # The user stops the lab, and not the package.
    except KeyboardInterrupt:
        raise
    # A module may also call sys.exit at its import, and SystemExit is no `Exception`.
    except BaseException as error:
        cause = one_line(f"{type(error).__name__}: {error}")
        raise UnusableEntryError(f"its import raised {cause}") from error


def _package(entry: EntryPoint) -> str:
    return f"package {entry.dist.name}" if entry.dist else f"package of {entry.value}"
