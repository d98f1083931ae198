"""Runs `lab versions`: a campaign of `lab bench` over releases of a system, and its verdict."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Sequence

from packaging.version import Version

from lab.campaign.precision import FEWEST_BLOCKS
from lab.cli import bench
from lab.cli.cases import lookup
from lab.cli.parser import parse
from lab.console import say
from lab.core.errors import ExitCode, UsageError
from lab.environments import releases, requirements
from lab.planning import registry
from lab.planning.presets import PRESETS

OF_RELEASES = ("--last", "--range", "--release")
LAST, FEWEST = 6, 2
# Of a preset with too few for an interval, without which no step can be judged.
BLOCKS = 10
# How much worse the newest release may be before the exit code says so (METHOD M30).
THRESHOLD_PERCENT = 5.0


def run(options: argparse.Namespace) -> int:
    """Measure releases in interleaved blocks, and compare each with the one before it."""
    words = ["bench", *_as_bench(options)]
    say(f"The same as: lab {shlex.join(words)}")
    measured = parse(words)
    measured.words = words
    code, folder = bench.measure(measured)
    if folder is None:
        return code
    # Imported here, because a dry run needs no library for data.
    from lab.analysis.queries import WithoutFaults
    from lab.comparison.versions import is_worse, newest, over_versions
    from lab.report.run_tables import RunTables
    from lab.report.versions import newest_steps

    rows = over_versions(WithoutFaults(RunTables(folder)), FEWEST)
    for sentence in newest_steps(rows):
        say(sentence)
    is_regression = code == ExitCode.FINE and is_worse(newest(rows), THRESHOLD_PERCENT)
    return ExitCode.WORSE if is_regression else code


def _as_bench(options: argparse.Namespace) -> Iterator[str]:
    """Yield the words of the same campaign for `lab bench`."""
    if not options.backend:
        raise UsageError("lab versions needs a system. Add one, such as: --backend celery")
    if len(options.python or ()) > 1:
        raise UsageError(
            "lab versions measures the releases in one Python. Leave out all but one --python."
        )
    packages = tuple(dict.fromkeys(map(_package, options.backend)))
    if options.release and len(packages) > 1:
        raise UsageError(
            f"--release names releases of one package, and these systems have "
            f"{' and '.join(packages)}. Measure one of them."
        )
    yield from _for_bench(options.words[1:])
    yield "--no-references"
    if not options.provider:
        yield from ("--provider", "local")
    if not (options.experiment or options.workload or options.task):
        yield from ("--experiment", "overhead")
    preset = lookup("preset", options.preset, PRESETS)
    if not options.blocks and preset.blocks < FEWEST_BLOCKS:
        yield from ("--blocks", str(BLOCKS))
    for package in packages:
        for version in _versions(package, options):
            yield from ("--with", f"{package}=={version}")


def _package(label: str) -> str:
    """Return the package of a system."""
    selected = registry.select(label)
    registry.require(selected)
    if package := requirements.package_of(label):
        return package
    raise UsageError(
        f"{selected.name} has no package whose releases the lab can install. Compare versions of "
        f"Python: lab bench -b {selected.name} --python 3.11 --python 3.13 --provider local"
    )


def _versions(package: str, options: argparse.Namespace) -> Sequence[Version]:
    """Return the releases to measure, the newest first."""
    chosen = {releases.version_of(text) for text in options.release}
    if options.last or options.range or not chosen:
        (python,) = options.python or ("",)
        listed = releases.newest_of_minors(package, options.last or LAST, options.range, python)
        chosen.update(listed.fitting)
        if listed.left_out:
            say(
                f"Left out, because they do not support this Python: {package} "
                f"{', '.join(map(str, listed.left_out))}. Another --python may."
            )
    if len(chosen) < FEWEST:
        raise UsageError(
            f"lab versions compares releases, and only {package} {min(chosen)} was selected. Name "
            "another --release, or a wider --range."
        )
    return sorted(chosen, reverse=True)


def _for_bench(words: Sequence[str]) -> Iterator[str]:
    """Yield the words that are options of `lab bench`."""
    remaining = iter(words)
    for word in remaining:
        name, has_value, _ = word.partition("=")
        if name not in OF_RELEASES:
            yield word
        elif not has_value:
            next(remaining)
