"""`lab compare`: what a person asks of two sides, and the exit code that answers."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from lab.analysis.metrics.registry import METRICS
from lab.comparison import aa, inputs, interleaved, render
from lab.comparison.compare import HEADLINES, Change, Compared, Noise, compare
from lab.console import say, show_table
from lab.core import files
from lab.core.errors import ExitCode, ResultsError, UnknownNameError, UsageError
from lab.planning.ranges import PAIRS, THRESHOLD_PERCENT
from lab.results.store import runs

EPILOG = """\
examples:
  lab compare 1f3c9ab 8d20e41                    two commits: all runs measured on each
  lab compare results/runs/A results/runs/B      two runs
  lab compare thread-pool 'threading[queue]'     two backends of the latest run, pair by pair
  lab compare main HEAD --pairs 15 --bench '-b thread-pool -w cpu'
                                                 measures both commits first, taking turns
  lab compare --null RUN                         what this machine shows where nothing differs

B / A is judged `worse` or `better` when Holm's rule holds over everything compared and the ratio
leaves the noise; `tie` when its whole interval lies within the noise; else `inconclusive`. Noise
is 5 %, or what --null measured on this machine. Two backends of a run are paired block by block,
and so are two commits that took turns, which shows the smallest changes; --null has both, of pairs
and of halves. What --pairs leaves undecided, and what looks worse beyond --threshold, is measured
once more with twice the pairs. Exit code 4 says that something is worse beyond --threshold, 3 that
the sides have no usable number in common.
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add what can be said on the command line."""
    parser.epilog = EPILOG
    parser.add_argument("sides", nargs="*", metavar="A B", help="run folder, commit, or backend")
    about = "compare a run with itself (default: the latest)"
    parser.add_argument("--null", nargs="?", const="", metavar="RUN", help=about)
    parser.add_argument(
        "--pairs",
        type=PAIRS,
        metavar="N",
        help=f"first measure commits A and B, taking turns in N blocks (METHOD M30: 15); {PAIRS}",
    )
    parser.add_argument(
        "--bench", default="", metavar="WORDS", help="what --pairs measures, as for lab bench"
    )
    parser.add_argument("--run", type=Path, metavar="RUN", help="the run that backends are of")
    parser.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help=f"number to compare; repeat for more (default: {', '.join(HEADLINES)})",
    )
    parser.add_argument(
        "--threshold",
        type=THRESHOLD_PERCENT,
        default=5.0,
        metavar="PERCENT",
        help="how much worse a number may be before the exit code is 4 (default: 5); "
        f"{THRESHOLD_PERCENT}",
    )
    parser.add_argument("--format", default="table", metavar="FORM", help="table, markdown or json")
    parser.add_argument(
        "--other-machine",
        action="store_true",
        help="compare although machine or software differ",
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Compare, print, and tell by the exit code whether anything became worse."""
    if options.null is not None:
        return _null(options)
    if len(options.sides) != 2:  # noqa: PLR2004 (A and B)
        raise UsageError("Name two sides: lab compare A B. Each is a run, a commit or a backend.")
    if options.format not in render.FORMATS:
        raise UnknownNameError("format", options.format, render.FORMATS)
    for name in options.metric or ():
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    a, b, compared = _compared(options, options.pairs)
    if options.pairs and (slow := [n for n in compared if _is_undecided(n, options.threshold)]):
        say(
            f"Undecided: of {len(compared)} numbers {len(slow)} look worse by more than "
            f"{options.threshold:g} %, and {options.pairs} pairs cannot tell. Once more, with "
            f"{2 * options.pairs} (METHOD M30)."
        )
        a, b, compared = _compared(options, 2 * options.pairs)
    if options.format == "table":
        show_table(render.verdict(compared, a.name, b.name), render.COLUMNS, render.rows(compared))
    else:
        sys.stdout.write(render.write(compared, a.name, b.name, options.format) + "\n")
    is_worse = any(_is_regression(number, options.threshold) for number in compared)
    return ExitCode.WORSE if is_worse else ExitCode.FINE


def _compared(
    options: argparse.Namespace, pairs: int | None
) -> tuple[inputs.Side, inputs.Side, list[Compared]]:
    """Compare the two sides, measured anew in so many pairs, or as they are where that is None."""
    a, b = _sides(options, pairs)
    differing = inputs.differences(a, b)
    if differing and not options.other_machine:
        raise UsageError(
            f"{a.name} and {b.name} differ in {'; '.join(differing)}. Measure both on one machine, "
            "or say --other-machine."
        )
    noise = _measured_noise(options.results, a)
    return a, b, compare(a, b, options.metric or HEADLINES, noise)


def _sides(options: argparse.Namespace, pairs: int | None) -> Sequence[inputs.Side]:
    names = options.sides
    if not pairs:
        return [inputs.find(name, options.results, options.run) for name in names]
    words = shlex.split(options.bench)
    folders = interleaved.measure(names, pairs, words, Path.cwd(), options.results)
    found = [inputs.find(str(folder), options.results) for folder in folders]
    return [replace(side, name=name) for side, name in zip(found, names, strict=True)]


def _is_undecided(number: Compared, threshold_percent: float) -> bool:
    """Tell whether a number looks worse beyond the threshold, and could not be told to be so."""
    grew = number.ratio.value > 1
    looks_worse = grew == (METRICS[number.metric].better == "lower")
    is_open = number.change == Change.INCONCLUSIVE
    return is_open and looks_worse and _percent(number) > threshold_percent


def _is_regression(number: Compared, threshold_percent: float) -> bool:
    return number.change == Change.WORSE and _percent(number) > threshold_percent


def _percent(number: Compared) -> float:
    return 100 * (max(number.ratio.value, 1 / number.ratio.value) - 1)


def _null(options: argparse.Namespace) -> int:
    name = options.null or str(next(reversed(runs(options.results, say)), ""))
    if not name:
        raise UsageError(f"{options.results / 'runs'} holds no run. Make one: lab bench")
    side = inputs.find(name, options.results)
    paired, apart = (aa.measure(side, is_paired=pairs) for pairs in (True, False))
    file = _null_file(options.results, side)
    noise = Noise(paired.smallest_effect, apart.smallest_effect)
    text = json.dumps({"run": side.name, **asdict(noise)})
    files.put(file, text.encode(), options.results)
    for name, found in (("in pairs of neighbouring blocks", paired), ("in halves", apart)):
        share = found.false_alarms / found.comparisons
        say(
            f"{side.name} against itself {name}, {found.splits} times: {found.false_alarms} false "
            f"alarms in {found.comparisons} comparisons ({share:.1%}), in {found.families} of "
            f"{found.splits} families. Equal sides differ by up to {found.smallest_effect:.1%}."
        )
    say("This machine shows no smaller effect, and later comparisons on it take that for noise.")
    return ExitCode.FINE


def _null_file(results: Path, side: inputs.Side) -> Path:
    return results / "null" / f"{side.fingerprint_id}.json"


def _measured_noise(results: Path, side: inputs.Side) -> Noise | None:
    file = _null_file(results, side)
    if not files.is_there(file):
        return None
    try:
        told = files.read_json(file, results)
        return Noise(float(told["paired"]), float(told["apart"]))
    except (OSError, ResultsError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ResultsError(
            f"{file} is damaged. Delete it, or measure it anew: lab compare --null RUN"
        ) from error
