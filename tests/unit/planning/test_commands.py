"""Tests that a command that repeats trials names the user's function."""

from __future__ import annotations

import shlex

from lab.cli.parser import parse
from lab.planning.commands import with_function


def test_a_command_names_the_function_and_its_arguments() -> None:
    """The command line is read as the user typed it; workloads of the lab need no option."""
    assert with_function("lab bench --like RUN", ["noop", "cpu"]) == "lab bench --like RUN"
    workloads = ["noop", 'shop:resize["a b"]', 'shop:resize["a b"]']
    command = with_function("lab bench --like RUN", workloads)
    options = parse(shlex.split(command)[1:])
    assert (options.task, options.args) == ("shop:resize", '["a b"]')
    assert with_function("lab bench", ["shop:work(shop:ARGUMENTS)"]).endswith(
        "--task shop:work --args shop:ARGUMENTS"
    )


def test_a_name_of_another_form_adds_nothing() -> None:
    """A workload of a package that this machine lacks is in the tables of foreign runs."""
    assert with_function("lab bench", ["resize", "; rm -rf /", ""]) == "lab bench"
