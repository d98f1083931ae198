"""Runs `lab compare`: compares two sides, prints the result and returns the exit code."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeAlias

from lab.analysis.metrics.registry import METRICS
from lab.analysis.statistics import RefusedError
from lab.comparison import aa, by_column, inputs, interleaved, render
from lab.comparison.compare import Change, MetricChange, Noise, compare, compare_pairs
from lab.comparison.headlines import HEADLINES
from lab.comparison.left_out import left_out
from lab.comparison.missing import more_blocks
from lab.comparison.not_compared import not_compared
from lab.console import say, show_numbers
from lab.core import files
from lab.core.errors import ExitCode, ResultsError, UnknownNameError, UsageError
from lab.results import run_names

TWO = 2  # A and B
Compared: TypeAlias = tuple[inputs.Side, inputs.Side, list[MetricChange]]


def run(options: argparse.Namespace) -> int:
    """Compare two sides, print the result, and return the exit code."""
    if options.null is not None:
        return _null(options)
    # Names are checked before `_compared`, which with --pairs measures two campaigns.
    if options.format not in render.FORMATS:
        raise UnknownNameError("format", options.format, render.FORMATS)
    for name in options.metric or ():
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    comparisons = _by_column(options) if options.by else [_of_two(options)]
    if options.format == "table":
        for a, b, compared in comparisons:
            columns, rows = render.terminal(compared)
            sentence = render.verdict(compared, a.name, b.name, more_blocks([a.command, b.command]))
            show_numbers(sentence, columns, rows, render.LEAST)
    else:
        # rich would wrap and colour the text, which another program reads.
        sys.stdout.write(render.write(comparisons, options.format) + "\n")
    numbers = [number for *_, compared in comparisons for number in compared]
    is_worse = any(_is_regression(number, options.threshold) for number in numbers)
    return ExitCode.WORSE if is_worse else ExitCode.FINE


def _by_column(options: argparse.Namespace) -> list[Compared]:
    """Compare each value of a column of one run with the first, or the two that are named."""
    if options.by not in by_column.COLUMNS:
        raise UnknownNameError("column of --by", options.by, by_column.COLUMNS)
    if options.pairs:
        raise UsageError("--by compares trials of one run. Leave out --pairs.")
    is_named = len(options.sides) == TWO
    name = options.run if is_named else next(iter(options.sides), options.run)
    if len(options.sides) > TWO or (options.run and len(options.sides) == 1):
        raise UsageError("--by takes a run, or two values and --run RUN.")
    run = inputs.find_side(str(run_names.find(name, options.results, say)), options.results)
    metrics = options.metric or HEADLINES
    try:
        pairs = _pairs(options.by, options.sides if is_named else (), run)
    except RefusedError:
        if options.format == "table":
            _show_disturbed_pairs(options.by, run, metrics)
        raise
    compared = compare_pairs(pairs, metrics, _measured_noise(options.results, run), by=options.by)
    if why := left_out(run.states):
        say(f"Left out of {run.name}: {why}.")
    for (a, b), numbers in zip(pairs, compared, strict=True):
        _say_not_compared(a, b, numbers, metrics)
    return [(a, b, numbers) for (a, b), numbers in zip(pairs, compared, strict=True)]


def _pairs(
    by: str, values: Sequence[str], run: inputs.Side
) -> list[tuple[inputs.Side, inputs.Side]]:
    """Return the first of these values of a column, or of all its values, with each other one."""
    first, *others = (
        [by_column.of_value(by, value, run) for value in values]
        if values
        else by_column.values_of(by, run)
    )
    return [(first, side) for side in others]


def _of_two(options: argparse.Namespace) -> Compared:
    """Compare two runs, commits or backends."""
    if len(options.sides) != TWO:
        raise UsageError(
            "lab compare needs two sides: lab compare A B. A side is a run, a commit or a backend."
        )
    a, b, compared = _compared(options, options.pairs)
    if options.pairs and (
        undecided := [n for n in compared if _is_undecided(n, options.threshold)]
    ):
        say(
            f"{len(undecided)} of {len(compared)} metrics look worse by more than "
            f"{options.threshold:g} %, but {options.pairs} pairs are too few to decide. Measuring "
            f"again with {2 * options.pairs} pairs (METHOD M30)."
        )
        # Once only (METHOD M10): repeating until a result appears would produce false alarms.
        a, b, compared = _compared(options, 2 * options.pairs)
    return a, b, compared


def _compared(options: argparse.Namespace, pairs: int | None) -> Compared:
    """Compare the two sides, after measuring `pairs` blocks of each unless that is None."""
    a, b = _sides(options, pairs)
    differing = inputs.differences(a, b)
    if differing and not options.other_machine:
        raise UsageError(
            f"{a.name} and {b.name} differ in {'; '.join(differing)}. Measure both on one machine, "
            "or use --other-machine."
        )
    metrics = options.metric or HEADLINES
    try:
        compared = compare(a, b, metrics, _measured_noise(options.results, a))
    except RefusedError:
        if options.format == "table":
            _show_disturbed(a, b, metrics)
        raise
    if sentence := inputs.contracts(a, b):
        say(sentence)
    causes = [(side.name, why) for side in (a, b) if (why := left_out(side.states))]
    # Both sides may be the same run.
    for name, why in dict.fromkeys(causes):
        say(f"Left out of {name}: {why}.")
    _say_not_compared(a, b, compared, metrics)
    return a, b, compared


def _show_disturbed(a: inputs.Side, b: inputs.Side, metrics: Sequence[str]) -> None:
    """Show the numbers of two sides that cannot be compared because trials were disturbed."""
    with contextlib.suppress(RefusedError):
        _show_unjudged(a, b, compare(inputs.with_disturbed(a), inputs.with_disturbed(b), metrics))


def _show_disturbed_pairs(by: str, run: inputs.Side, metrics: Sequence[str]) -> None:
    """Show the numbers of a run whose values of a column have too few undisturbed trials."""
    with contextlib.suppress(RefusedError):
        pairs = _pairs(by, (), inputs.with_disturbed(run))
        for (a, b), numbers in zip(pairs, compare_pairs(pairs, metrics, by=by), strict=True):
            _show_unjudged(a, b, numbers)


def _show_unjudged(a: inputs.Side, b: inputs.Side, numbers: Sequence[MetricChange]) -> None:
    title = f"Disturbed, in brackets, and therefore not judged: A = {a.name}, B = {b.name}"
    show_numbers(title, *render.unjudged(numbers, a, b), render.LEAST)


def _say_not_compared(
    a: inputs.Side, b: inputs.Side, compared: Sequence[MetricChange], metrics: Sequence[str]
) -> None:
    if sentence := not_compared(a, b, {number.metric for number in compared}, metrics):
        say(sentence)


def _sides(options: argparse.Namespace, pairs: int | None) -> Sequence[inputs.Side]:
    names = options.sides
    if not pairs:
        return inputs.find_sides(names, options.results, options.run)
    arguments = shlex.split(options.bench)
    folders = interleaved.run_interleaved(names, pairs, arguments, Path.cwd(), options.results)
    measured = [inputs.find_side(str(folder), options.results) for folder in folders]
    # The sides are commits for the user, who has not seen the folders of the two campaigns.
    return [replace(side, name=name) for side, name in zip(measured, names, strict=True)]


def _is_undecided(number: MetricChange, threshold_percent: float) -> bool:
    """Return True if a metric is inconclusive and looks worse by more than the threshold."""
    increased = number.ratio.value > 1
    looks_worse = increased == (METRICS[number.metric].better == "lower")
    is_inconclusive = number.change == Change.INCONCLUSIVE
    return is_inconclusive and looks_worse and _percent(number) > threshold_percent


def _is_regression(number: MetricChange, threshold_percent: float) -> bool:
    return number.change == Change.WORSE and _percent(number) > threshold_percent


def _percent(number: MetricChange) -> float:
    # A ratio of 0.5 is as large a change as a ratio of 2, whichever direction is worse.
    return 100 * (max(number.ratio.value, 1 / number.ratio.value) - 1)


def _null(options: argparse.Namespace) -> int:
    name = str(run_names.find(None, options.results, say)) if not options.null else options.null
    side = inputs.find_side(name, options.results)
    # Pairs remove the drift between blocks and random halves do not, so their noise differs.
    paired, apart = (aa.run_aa_test(side, is_paired=pairs) for pairs in (True, False))
    file = _null_file(options.results, side)
    noise = Noise(paired.smallest_effect, apart.smallest_effect)
    text = json.dumps({"run": side.name, **asdict(noise)})
    files.put(file, text.encode(), options.results)
    for name, result in (("in pairs of adjacent blocks", paired), ("in random halves", apart)):
        share = result.false_alarms / result.comparisons
        say(
            f"{side.name} against itself {name}, {result.splits} splits: {result.false_alarms} "
            f"false alarms in {result.comparisons} comparisons ({share:.1%}), in "
            f"{result.families} splits. Equal sides differ by up to {result.smallest_effect:.1%}."
        )
    say("Later comparisons on this machine use these values as their equivalence margin.")
    return ExitCode.FINE


def _null_file(results: Path, side: inputs.Side) -> Path:
    # The noise is that of one machine with one set of packages, which the fingerprint identifies.
    return results / "null" / f"{side.fingerprint_id}.json"


def _measured_noise(results: Path, side: inputs.Side) -> Noise | None:
    file = _null_file(results, side)
    if not files.is_there(file):
        return None
    try:
        noise = files.read_json(file, results)
        return Noise(float(noise["paired"]), float(noise["apart"]))
    except (OSError, ResultsError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ResultsError(
            f"{file} is damaged. Delete it, or replace it: lab compare --null RUN"
        ) from error
