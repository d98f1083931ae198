"""What can be chosen of a campaign on the command line, by the question that it answers."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import ranges
from lab.arrivals import GAPS
from lab.clusters import PROVIDERS
from lab.presets import GROUPS, LATENCY, OFFERED, PRESETS

OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    "what to measure": {
        "--backend -b": {
            "action": "append",
            "metavar": "LABEL",
            "help": "backend[variant]@profile; repeat for more (default: all installed)",
        },
        "--workload -w": {
            "action": "append",
            "metavar": "NAME[:SIZE]",
            "help": "workload, with a size in its unit, or "
            f"{', '.join(GROUPS)}; repeat for more (default: the preset's)",
        },
        "--task": {
            "metavar": "MODULE:FUNCTION",
            "help": "a function of your own, importable from here; beside any --workload",
        },
        "--args": {
            "default": "",
            "metavar": "JSON",
            "help": "its arguments: a JSON list, a JSON object of keywords, or MODULE:NAME of a "
            "list, tuple or mapping (default: none)",
        },
        "--allow-errors": {
            "action": "store_true",
            "help": "measure a function of your own that fails where it is called before the run",
        },
        "--pass-env": {
            "action": "append",
            "metavar": "NAME",
            "help": "a variable of yours that driver and workers are given, by its name in the "
            "results and never its value; repeat for more (default: none)",
        },
        "--arrival": {
            "action": "append",
            "metavar": "KIND",
            "help": f"only these arrivals: {', '.join(sorted(OFFERED))} (default: the preset's)",
        },
        "--rate": {
            "type": ranges.RATE_HZ,
            "metavar": "HZ",
            "help": "tasks per second of paced arrivals (default: the preset's); of workload "
            f"{LATENCY}: the rate that is the same for all",
        },
        "--gaps": {
            "choices": GAPS,
            "help": "how paced tasks follow each other (default: poisson)",
        },
        "--tasks": {
            "type": ranges.TASKS,
            "metavar": "N",
            "help": "tasks in a window, or periodic jobs (default: the preset's)",
        },
        "--seconds": {
            "type": ranges.SECONDS,
            "metavar": "S",
            "help": "how long workers wait in an idle window (default: the preset's)",
        },
        "--occurrences": {
            "type": ranges.OCCURRENCES,
            "metavar": "N",
            "help": "how often each periodic job is due (default: the workload's)",
        },
    },
    "on how much": {
        "--cores": {
            "type": ranges.CORES,
            "metavar": "N[,N]",
            "help": "cores of a node (default: 1, 2, 4, ... all of this machine)",
        },
        "--nodes": {
            "type": ranges.NODES,
            "default": (1,),
            "metavar": "N[,N]",
            "help": "nodes (default: 1)",
        },
        "--workers": {
            "type": ranges.WORKERS_PER_CORE,
            "metavar": "N[,N]",
            "help": "worker slots for each core (default: 1, for the workload scaling 1,2,4)",
        },
        "--quota": {
            "type": ranges.QUOTA_CPUS,
            "default": 0.0,
            "metavar": "CPUS",
            "help": "CPU time of a node, such as 0.5, by a quota of short periods; its latencies "
            "are refused where that stops it (default: all of its cores)",
        },
        "--provider": {
            "metavar": "NAME",
            "help": f"what hosts clusters: {', '.join(PROVIDERS)} (default: as this machine can)",
        },
    },
    "how thoroughly": {
        "--preset": {
            "default": "quick",
            "metavar": "NAME",
            "help": f"size of the campaign: {', '.join(PRESETS)} (default: quick)",
        },
        "--blocks": {
            "type": ranges.BLOCKS,
            "metavar": "N",
            "help": "blocks, each with every configuration once (default: the preset's)",
        },
        "--like": {
            "type": Path,
            "metavar": "RUN",
            "help": "the very trials of another run, with its sizes and seeds; all else but the "
            "commit is taken from it",
        },
        "--seed": {
            "type": ranges.SEED,
            "metavar": "N",
            "help": "seed of order, arrivals and arguments (default: drawn, and recorded)",
        },
    },
    "running it": {
        "--dry-run": {
            "action": "store_true",
            "help": "print the plan and the time it will take, and run nothing",
        },
        "--allow-dirty": {
            "action": "store_true",
            "help": "say nothing of files that differ from the commit; such a run has no history",
        },
        "--tables-only": {
            "action": "store_true",
            "help": "write the tables, and leave out the report and the history",
        },
        # For `lab compare --pairs`, which lets two commits take turns.
        "--turns": {"action": "store_true", "help": argparse.SUPPRESS},
        "--resume": {
            "type": Path,
            "metavar": "RUN",
            "help": "go on with this run folder; all else is taken from it",
        },
        "--results": {
            "type": Path,
            "default": Path("results"),
            "metavar": "FOLDER",
            "help": "where runs are kept (default: results)",
        },
    },
}


def command_line(arguments: Sequence[str]) -> str:
    """Return how this run was asked for; where its results lie is nobody's business."""
    words = iter(arguments)
    kept = []
    for word in words:
        if word == "--results":
            next(words, None)
        elif not word.startswith("--results="):
            kept.append(word)
    return shlex.join(kept)
