"""Refuses a user's module whose name is that of a module of Python or of a backend's packages.

Workers search the user's folder last and would import the other module, while the user's programs
import the user's file. So the function would not be the one that the user knows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from lab.core.errors import UsageError
from lab.host import child_environment
from lab.planning import registry
from lab.worker import user_function


def refuse(workload: str) -> None:
    """Check the folder of a user's function, before anything is imported from it.

    Raises:
        UsageError: A module in it has the name of a module of the standard library or of an
            installed package.
    """
    known = sys.stdlib_module_names | _packages_of_systems()
    for package in sorted(user_function.packages(workload)):
        for folder in _folders_of(package):
            for name, file in _modules(folder):
                if name in known or (
                    name == package and _finds(name, child_environment.default_path())
                ):
                    raise UsageError(
                        f"{file} has the name of an installed module, which workers would import "
                        "instead: rename the file, or run --task from a folder without it."
                    )


def _folders_of(package: str) -> Iterator[Path]:
    """Yield the user's folder that contains a package; nothing if the package is installed."""
    for folder in child_environment.users_folders():
        # Only the first match counts, as for an import.
        if str(folder) not in child_environment.default_path() and _finds(package, [str(folder)]):
            yield folder
            return


def _modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the names and paths of the modules and packages in a folder."""
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix == ".py" and file.is_file():
            yield file.stem, file
        elif (file / "__init__.py").is_file():
            yield file.name, file


def _finds(name: str, path: Sequence[str]) -> bool:
    # No import: nothing of the user's folder may be imported before this check.
    return PathFinder.find_spec(name, path) is not None


def _packages_of_systems() -> set[str]:
    return {
        package
        for backend in registry.backends().values()
        for packages in (backend.packages, *(variant.packages for variant in backend.variants))
        for package in packages
    }
