"""Finds releases of a package in the index that uv is configured with, by asking uv's resolver.

uv names the newest release that fits a requirement; the next question excludes its minor series.
So a release is one that uv would install: neither withdrawn nor a pre-release, and for this Python.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from lab.core.errors import LabError, UsageError
from lab.environments import interpreters, uv
from lab.environments.resolution import SOURCES

# The oldest and the newest Python of the lab: uv names only releases for one Python.
PYTHONS = ("3.11", "3.14")
COMMAND = (
    *("pip", "compile", "--quiet", "--no-deps", "--prerelease", "disallow"),
    *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
    *("--only-binary=:all:", *(f"--no-binary={name}" for name in SOURCES)),
)


@dataclass(frozen=True, slots=True)
class Releases:
    """Releases that fit, the newest first, and those above the oldest that need another Python."""

    fitting: tuple[Version, ...]
    left_out: tuple[Version, ...] = ()


def newest_of_minors(package: str, count: int, within: str = "", python: str = "") -> Releases:
    """Return the newest release of each of the last minor series of a package.

    Args:
        package: Its name in the index.
        count: The largest number of series.
        within: A specifier of PEP 440 that the releases fulfil, such as ``>=5.3,<5.7``.
        python: The version of the interpreter; empty: that of the lab.

    Raises:
        UsageError: The specifier is malformed, or there is no such package or release.
        LabError: The index does not answer.
    """
    wanted = range_of(within)
    interpreter = ("--python", str(interpreters.find(python)))
    fitting = tuple(_series(package, count, wanted, interpreter))
    if not fitting:
        raise UsageError(
            f"The package index has no release of {package}{f' in {within}' * bool(within)} for "
            f"Python {python or platform.python_version()}. Choose another --range or --python."
        )
    every = {
        release
        for version in PYTHONS
        for release in _series(package, count, wanted, (*interpreter, "--python-version", version))
    }
    others = {release for release in every if release > fitting[-1]} - {*fitting}
    return Releases(fitting, tuple(sorted(others, reverse=True)))


def range_of(text: str) -> SpecifierSet:
    """Return a specifier of PEP 440.

    Raises:
        UsageError: It is malformed.
    """
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        raise UsageError(
            f"--range {text!r} is not a range of versions. Write one, such as '>=5.3,<5.7'."
        ) from None


def version_of(text: str) -> Version:
    """Return the version that a text names.

    Raises:
        UsageError: It is malformed.
    """
    try:
        return Version(text)
    except InvalidVersion:
        raise UsageError(
            f"--release {text!r} is not a version. Write one, such as 5.6.0."
        ) from None


def _series(
    package: str, count: int, wanted: SpecifierSet, python: tuple[str, ...]
) -> Iterator[Version]:
    """Yield the newest release of each minor series, the newest first."""
    for _ in range(count):
        if (newest := _newest(package, wanted, python)) is None:
            return
        yield newest
        wanted &= SpecifierSet(f"<{newest.major}.{newest.minor}")


def _newest(package: str, wanted: SpecifierSet, python: tuple[str, ...]) -> Version | None:
    """Return the newest release that fits; None without one."""
    about = f"the list of releases of {package}"
    done = uv.execute(*COMMAND, *python, "-", about=about, stdin=f"{package}{wanted}\n")
    if not done.returncode:
        (specifier,) = Requirement(done.stdout.strip()).specifier
        return Version(specifier.version)
    if uv.is_offline(done.stderr):
        raise LabError(
            f"The package index did not answer, so the releases of {package} are unknown. Check "
            "the network, or name them: --release 1.2.0 --release 1.3.0"
        )
    return None
