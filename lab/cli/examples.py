"""Writes the examples and notes at the end of each command's help."""

from __future__ import annotations

from collections.abc import Callable, Mapping

LAB = """\
examples:
  lab bench                                      14 systems, about 5 minutes (containers: 10)
  lab bench --backend 'celery[threads]@safe' --backend rq --workload noop
  lab bench --workload cpu:20ms --cores 1,2      CPU tasks of 20 ms on one core and on two
  lab bench --experiment latency -b celery -b rq sustainable rates, and queue latency at each load
  lab bench --preset standard --dry-run          show the plan and its estimated duration
  lab bench --resume results/runs/RUN            continue a stopped run

A backend is named backend[variant]@profile; `lab list` shows all of them. The defaults are the
backend's first variant and its profile `default`.
"""


def of(command: str) -> str:
    """Return the examples of a command; empty if it has none."""
    return TEXTS[command]() if command in TEXTS else ""


def _claims() -> str:
    # Imported here, because the help of other commands does not need the room.
    from lab.claims.statements import STATEMENTS

    lines = "\n".join(f"  {name:<18}{statement}" for name, statement in STATEMENTS.items())
    return f"""\
examples:
  lab claims                                     all published claims
  lab claims --backend celery --claim retry
  lab claims --dry-run                           print the trials and their duration
  lab claims --resume results/runs/RUN           continue a stopped run

The verdict of a claim is `holds`, `holds with: CONDITION` (the default installation is not enough),
`does not hold`, or `not measured: REASON`. Each verdict lists the trials that support it; their
folders in the run hold every record. A claim is true when:
{lines}

All clusters are processes on this machine. The exit code does not depend on the verdicts.
"""


def _compare() -> str:
    # This module imports no pandas: the help takes 111 ms instead of 647 ms.
    from lab.comparison.headlines import MEANINGS

    headlines = "\n".join(f"  {name:<25}{meaning}" for name, meaning in MEANINGS.items())

    return f"""\
examples:
  lab compare 1f3c9ab 8d20e41                    two commits: all runs measured on each
  lab compare results/runs/A results/runs/B      two runs
  lab compare thread-pool 'threading[queue]'     two backends of the latest run, pair by pair
  lab compare main HEAD --pairs 15 --bench '-b thread-pool -w cpu'
                                                 measures both commits first, interleaved
  lab compare RUN --by environment               the environments of a run, pair by pair
  lab compare --null RUN                         measures the noise of this machine (A/A test)

Each metric has one verdict:
  tie             the 95 % interval of B / A lies within the equivalence margin
  worse, better   otherwise, if p is below 0.05 after Holm's correction over all compared metrics,
                  and B / A lies outside the margin that --null measured, if it was measured
  inconclusive    all other cases
The equivalence margin is 5 %, or the noise that --null measured on this machine, separately for
paired and unpaired metrics. Two backends of one run are paired block by block, and so are two
interleaved commits; pairs show the smallest changes. If a metric with --pairs is inconclusive and
looks worse by more than --threshold, both commits are measured again with twice the pairs.
Exit code 4: a metric is worse by more than --threshold. Exit code 3: the sides have no usable
metric in common.

Headline metrics:
{headlines}
"""


VERSIONS = """\
examples:
  lab versions -b celery                         the newest release of the last six minor series
  lab versions -b celery --last 3 --dry-run      print the plan and its estimated time
  lab versions -b rq --range '>=2,<3' -w noop    within a range, only bursts of no-ops
  lab versions -b celery --release 5.5.3 --release 5.6.0

The releases are those of the package index that uv is configured with. They run in the same blocks,
as in `lab bench --with`, whose options this command takes; without any, it measures the experiment
`overhead`, in 10 blocks where the preset has fewer than 5. Each release is compared with the one
before it, and the report page has a figure and a table of all steps.
Exit code 4: the newest release costs over 5 % more than the one before it.
"""
HISTORY = """\
results/asv             asv's files, one per machine, commit and provider; rewritten from the runs
results/asv-html        asv's pages; `nox -s serve` serves them
results/history         change points, the largest first: change-points.html and changepoint.csv

Two detectors search each series. A change point that both detect is an alarm if the series has at
least 30 commits; every other one is a watch. A machine's default name is a hash of its hardware;
set another name with `lab history --machine machine-1a2b3c4d=labbox`.
"""
TEXTS: Mapping[str, Callable[[], str]] = {
    "bench": lambda: LAB,
    "claims": _claims,
    "compare": _compare,
    "versions": lambda: VERSIONS,
    "history": lambda: HISTORY,
}
