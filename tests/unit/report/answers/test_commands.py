"""Tests that the command that measures an answer has the systems and places of the run."""

from __future__ import annotations

import shlex

import pytest

from lab.cli.parser import parse
from lab.report.answers import QUESTIONS
from lab.report.answers.commands import command_of

BY_NAME = {question.name: question for question in QUESTIONS}
TYPED = "bench -b rq --backend='celery[threads]@safe' -w noop --cores 2 --provider local --seed 5"
RQ, CELERY = "--backend rq", "--backend 'celery[threads]@safe'"


@pytest.mark.parametrize(
    ("name", "selected"),
    [
        ("memory", f" {RQ} {CELERY} --provider local --cores 2"),
        # A sweep over cores is not possible with the one number that was typed.
        ("scaling", f" {RQ} {CELERY} --provider local"),
        # Celery has a scheduler in `celery-beat`, and chords in a variant with results.
        ("schedule", f" {RQ} --provider local --cores 2"),
        ("fan-out", f" {RQ} --backend 'celery[prefork+results]' --provider local --cores 2"),
        # Its own command selects the system and the provider.
        ("crontab", " --cores 2"),
        ("free-threads", " --provider local --cores 2"),
    ],
)
def test_a_command_repeats_the_selection_of_the_user(name: str, selected: str) -> None:
    """The workload, the size and the seed belong to the other question."""
    question = BY_NAME[name]
    assert command_of(question, TYPED) == f"{question.command}{selected}"


@pytest.mark.parametrize("name", [q.name for q in QUESTIONS if q.command])
def test_a_command_repeats_the_function_of_the_user(name: str) -> None:
    """With its arguments; it replaces the workload of a question about any task."""
    typed = """bench --task shop:resize --args '["a b"]' --allow-errors -b rq"""
    words = shlex.split(command_of(BY_NAME[name], typed))[1:]
    options = parse(words)
    assert (options.task, options.args, options.allow_errors) == ("shop:resize", '["a b"]', True)
    assert "noop" not in words


def test_the_function_of_the_user_runs_under_a_fault() -> None:
    """The experiment `faults` has workloads of its own, in which the function is not."""
    command = command_of(BY_NAME["faults"], "bench --task shop:resize -b rq")
    options = parse(shlex.split(command)[1:])
    assert (options.fault, options.experiment, options.workload) == (["worker-kill"], None, None)


def test_a_system_that_cannot_answer_is_left_out() -> None:
    """Without another, the command measures all systems that can; a foreign name is none."""
    for typed in ("bench -b thread-pool", "bench -b nosuch", "bench -b all"):
        assert command_of(BY_NAME["schedule"], typed) == BY_NAME["schedule"].command


@pytest.mark.parametrize("text", ["", "bench --like RUN", "bench -b", "bench 'x", "reproduce x/y"])
def test_any_other_text_of_a_run_changes_no_command(text: str) -> None:
    """The command of a foreign run may be anything."""
    assert command_of(BY_NAME["memory"], text) == BY_NAME["memory"].command


def test_the_commands_are_valid() -> None:
    """The parser of the lab accepts each."""
    for question in QUESTIONS:
        if command := command_of(question, TYPED + " --no-references --quota 0.5"):
            assert parse(shlex.split(command)[1:]).no_references
