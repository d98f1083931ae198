"""Writes the command that measures an answer, for the selection of the user's command."""

from __future__ import annotations

import argparse
import shlex

from lab.core.backend import capabilities
from lab.core.errors import UsageError
from lab.core.model import Capability
from lab.planning import registry
from lab.report.answers.answer import Question

BENCH = "lab bench"
# Which systems, what hosts them, and the user's function: options of `lab bench` that any other
# question may have.
REPEATED = ("--backend", "--pass-env")
SINGLE = ("--provider", "--quota", "--task", "--args")
FLAGS = ("--no-references", "--allow-errors")
# Stands for any task in the command of a question, so the user's function replaces it.
ANY_TASK = " --workload noop"
# The experiment has workloads of its own; a fault alone is one of the user's function.
EXPERIMENT, FAULT = " --experiment faults", " --fault worker-kill"
# The answer about scaling needs several sizes, so it has a choice of its own.
SIZES = ("--cores", "--nodes", "--workers")


def command_of(question: Question, command: str) -> str:
    """Return the command that measures the answer to a question; empty if none does.

    Args:
        question: The question.
        command: The command of the run, without the program.
    """
    if not question.command:
        return ""
    typed = vars(_parsed(command))
    labels = [_able(label, question.needs) for label in typed["backend"] or ()]
    typed["backend"] = [*dict.fromkeys(filter(None, labels))]
    selected = []
    for option in (*REPEATED, *SINGLE, *(() if question.has_sizes else SIZES)):
        # The command of a question about one system, or one provider, names it.
        if option not in question.command.split():
            values = typed[_name(option)] or []
            selected += [word for value in values for word in (option, value)]
    selected += [flag for flag in FLAGS if typed[_name(flag)]]
    words = question.command
    if typed["task"]:
        words = words.replace(ANY_TASK, "").replace(EXPERIMENT, FAULT)
    return f"{words} {shlex.join(selected)}".rstrip()


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _able(label: str, needs: frozenset[Capability]) -> str:
    """Return the label, or that of another variant, which promises any of `needs`; empty: none.

    A system may return results, and so join groups, in a variant that is not its first.
    """
    try:
        chosen = registry.select(label) if needs else None
    except UsageError:  # the system of a package that this machine lacks
        return ""
    if chosen is None or capabilities(chosen.backend, chosen.variant) & needs:
        return label
    others = (each.name for each in chosen.backend.variants if each.capabilities & needs)
    return next((f"{chosen.name}[{name}]" for name in others), "")


def _parsed(command: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-b", "--backend", action="append")
    for option in (*REPEATED[1:], *SINGLE, *SIZES):
        parser.add_argument(option, action="append")
    for flag in FLAGS:
        parser.add_argument(flag, action="store_true")
    try:
        return parser.parse_known_args(shlex.split(command))[0]
    except (ValueError, argparse.ArgumentError):  # the table of a foreign run may hold any text
        return parser.parse_args([])
