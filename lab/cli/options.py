"""Defines the options of `lab bench`, in groups."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.core.arrivals import present_kind
from lab.core.errors import UsageError
from lab.core.faults import FaultKind
from lab.core.model import GAPS
from lab.planning import faults, ranges
from lab.planning.presets import EXPERIMENTS, FAULTS, LATENCY, OFFERED, PRESETS
from lab.providers import WORDS

# The folder of a checkout in `--with`, to the end of its requirement.
CHECKOUT = re.compile(r"(?<= @ )file:.*?(?= \+ |$)")


class _Once(argparse.Action):
    """Stores the value of an option, and refuses a second one, which would replace the first."""

    def __call__(self, _: object, namespace: argparse.Namespace, values: Any, *__: object) -> None:
        if getattr(namespace, self.dest) != self.default:
            raise argparse.ArgumentError(self, "given twice; one run measures one function")
        setattr(namespace, self.dest, values)


# Data, because `lab reproduce` takes two of the options as well.
OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "selection": {
        "--backend -b": {
            "action": "append",
            "metavar": "LABEL",
            "help": "backend[variant]@profile; repeat for more; `all`: every installed one "
            "(default: those of the preset)",
        },
        "--workload -w": {
            "action": "append",
            "metavar": "NAME[:SIZE]",
            "help": "workload, with a size such as cpu:20ms or payload:64KiB (`lab list workloads` "
            f"lists them), or {', '.join(EXPERIMENTS)}; repeat for more (default: the preset's)",
        },
        "--experiment": {
            "action": "append",
            "metavar": "NAME",
            "help": f"cases for one question: {', '.join(EXPERIMENTS)}; repeat for more",
        },
        "--no-references": {
            "action": "store_true",
            "help": "leave out the references, such as inline and raw-redis, which otherwise run "
            "in the same blocks; shares of a reference are then not measured",
        },
        "--fault": {
            "action": "append",
            "metavar": "KIND[:FACTOR]",
            "help": f"let this fail in the window: {', '.join(FaultKind)}; none is the control, in "
            "which everything is prepared and nothing fails; factors: "
            f"{faults.FACTORS}; repeat for more (default: nothing; in experiment {FAULTS}: each)",
        },
        "--task": {
            "action": _Once,
            "metavar": "MODULE:FUNCTION",
            "help": "measure your function, importable from the current folder, in addition to "
            "any --workload",
        },
        "--args": {
            "action": _Once,
            "default": "",
            "metavar": "JSON",
            "help": "arguments of the function: a JSON list, a JSON object of keywords, or "
            "MODULE:NAME of a list, tuple or mapping (default: none)",
        },
        "--allow-errors": {
            "action": "store_true",
            "help": "measure your function even if the trial calls before the run fail",
        },
        "--pass-env": {
            "action": "append",
            "metavar": "NAME",
            "help": "pass this environment variable to driver and workers; results contain its "
            "name, never its value; repeat for more (default: none)",
        },
        "--arrival": {
            "action": "append",
            # Accepts former names too, which the ids of trials still contain.
            "type": present_kind,
            "metavar": "KIND",
            "help": f"only these arrivals: {', '.join(sorted(OFFERED))} (default: the preset's)",
        },
        "--rate": {
            "type": ranges.RATE_HZ,
            "metavar": "HZ",
            "help": "tasks per second of paced arrivals (default: the preset's); for experiment "
            f"{LATENCY}: the rate at which all backends are compared",
        },
        "--gaps": {
            "choices": GAPS,
            "help": "distribution of the gaps between paced tasks (default: poisson)",
        },
        "--tasks": {
            "type": ranges.TASKS,
            "metavar": "N",
            "help": "tasks in a window, or periodic jobs (default: the preset's)",
        },
        "--seconds": {
            "type": ranges.SECONDS,
            "metavar": "S",
            "help": "length of an idle window (default: the preset's)",
        },
        "--occurrences": {
            "type": ranges.OCCURRENCES,
            "metavar": "N",
            "help": "due times of each periodic job (default: the workload's)",
        },
    },
    "topology": {
        "--cores": {
            "type": ranges.CORES,
            "metavar": "N[,N]",
            "help": "cores per node (default: 1, 2, 4, ... all of this machine)",
        },
        "--nodes": {
            "type": ranges.NODES,
            "default": (1,),
            "metavar": "N[,N]",
            "help": "number of nodes (default: 1)",
        },
        "--workers": {
            "type": ranges.WORKERS_PER_CORE,
            "metavar": "N[,N]",
            "help": "worker slots per core (default: 1; for the experiment scaling: 1,2,4)",
        },
        "--quota": {
            "type": ranges.QUOTA_CPUS,
            "default": 0.0,
            "metavar": "CPUS",
            "help": "CPU quota of a node, such as 0.5; latencies are not reported for windows in "
            "which the quota stopped the node (default: all of its cores)",
        },
        "--drivers": {
            "type": ranges.DRIVERS,
            "default": 1,
            "metavar": "N",
            "help": "processes that offer a burst or paced tasks, each its share, where one cannot "
            "make the rate (default: 1)",
        },
        # No default: `choice.choose` first looks for a container engine, and prints the reason.
        "--provider": {
            "metavar": "NAME",
            "help": f"what hosts the clusters: {' or '.join(WORDS.values())} (default: compose if "
            "this machine has a container engine, else local)",
        },
    },
    "environments": {
        "--python": {
            "action": "append",
            "metavar": "VERSION",
            "help": "run driver and workers in this Python, such as 3.13, or 3.14t for a "
            "free-threaded build; repeat for more, each with every --with (default: the "
            "Python of the lab)",
        },
        "--with": {
            "action": "append",
            "metavar": "REQUIREMENT",
            "help": "run the systems that use a package with this version of it, such as "
            "'celery==5.5.3', in an environment of the lab; several packages of one environment "
            "are separated by ' + '; repeat for more environments, which run in the same blocks "
            "(default: the packages of the lab)",
        },
    },
    "campaign size": {
        "--preset": {
            "default": "quick",
            "metavar": "NAME",
            "help": f"size of the campaign: {', '.join(PRESETS)} (default: quick, which takes "
            "about 5 minutes on two cores, in containers 10; --dry-run prints the time of a plan)",
        },
        "--blocks": {
            "type": ranges.BLOCKS,
            "metavar": "N",
            "help": "number of blocks; a block runs every configuration once (default: the "
            "preset's)",
        },
        "--precision": {
            "type": ranges.PRECISION,
            "metavar": "PERCENT",
            "help": "run no further trials of a configuration whose 95%% interval is within "
            "PERCENT of its main number, as in 5%%; --blocks is then the largest number of "
            "blocks (default: all blocks run)",
        },
        "--like": {
            "type": Path,
            "metavar": "RUN",
            "help": "repeat the exact plan of RUN, with its sizes, seeds and options, on the "
            "current commit",
        },
        "--seed": {
            "type": ranges.SEED,
            "metavar": "N",
            "help": "seed of order, arrivals and arguments (default: drawn, and recorded)",
        },
    },
    "execution": {
        "--dry-run": {
            "action": "store_true",
            "help": "print the plan and its estimated time, and run nothing",
        },
        "--allow-dirty": {
            "action": "store_true",
            "help": "do not warn about uncommitted changes; the run is excluded from the history",
        },
        "--allow-disturbed": {
            "action": "store_true",
            "help": "exit with 0 although most trials were disturbed by other processes",
        },
        "--tables-only": {
            "action": "store_true",
            "help": "write the tables only, without the report and the history",
        },
        # For `lab compare --pairs`, which interleaves the trials of two commits.
        "--turns": {"action": "store_true", "help": argparse.SUPPRESS},
        "--resume": {
            "type": Path,
            "metavar": "RUN",
            "help": "continue this run folder, with the options that started it",
        },
        "--results": {
            "type": Path,
            "default": Path("results"),
            "metavar": "FOLDER",
            "help": "folder that contains the run folders (default: results)",
        },
    },
}

# The options that a plan contains. It does not contain the function's arguments, which a stored
# run needs again before it calls anything.
OF_A_PLAN = {
    **{n: f for n, f in OPTIONS["selection"].items() if n not in {"--task", "--args"}},
    **OPTIONS["topology"],
    **OPTIONS["environments"],
    **{n: OPTIONS["campaign size"][n] for n in ("--preset", "--blocks", "--seed", "--precision")},
}


def refuse_changes(options: argparse.Namespace, stored: str) -> None:
    """Refuse options that a stored plan contains, because they would change nothing.

    Args:
        options: The options of `lab bench`.
        stored: The option that names the stored plan: ``--like`` or ``--resume``.

    Raises:
        UsageError: One of them has another value than its default.
    """
    for names, facts in OF_A_PLAN.items():
        name = names.split()[0]
        absent = facts.get("default", False if facts.get("action") == "store_true" else None)
        if getattr(options, name.removeprefix("--").replace("-", "_")) != absent:
            raise UsageError(
                f"{stored} repeats a plan as it is, so {name} would change nothing. Leave out "
                f"{name}, or leave out {stored} to make a new plan."
            )


def command_line(arguments: Sequence[str]) -> str:
    """Return the command line of a run without private paths: `--results`, and checkouts."""
    remaining = iter(arguments)
    published = []
    for argument in remaining:
        if argument == "--results":
            next(remaining, None)
        elif not argument.startswith("--results="):
            published.append(argument)
    return shlex.join(CHECKOUT.sub("file:CHECKOUT", argument) for argument in published)
