"""Tests the text of a cluster's commands in the trial's row."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from lab.core.backend import Backend
from lab.core.model import BackendContext, Command, Job, Topology
from lab.running.command_lines import command_lines

CONTEXT = BackendContext("made-up", "x", "default", Topology(1, 1, 1), {}, {})
# Its folders are those of one machine.
COMMANDS: Any = type(
    "MadeUp",
    (Backend,),
    {
        "node_commands": classmethod(
            lambda *_: [Command((sys.executable, "-m", "made_up", "worker", "two words"), 1)]
        ),
        "preparation": classmethod(lambda *_: [Command(("/opt/made up/bin/migrate", "-v"))]),
        "scheduler_commands": classmethod(lambda *_: [Command(("made-up-beat",))]),
    },
)


def test_commands_are_shown_without_folders() -> None:
    """A published row must not contain a path; words with a space are quoted."""
    text = command_lines(COMMANDS, CONTEXT)
    assert text == "migrate -v; python -m made_up worker 'two words'"


def test_the_scheduler_runs_only_with_jobs() -> None:
    """As in the cluster."""
    context = replace(CONTEXT, jobs=(Job(0, "m:f", 1, every_s=1.0),))
    assert command_lines(COMMANDS, context).endswith("; made-up-beat")


def test_a_backend_inside_the_driver_has_no_command() -> None:
    """Its workers are threads or children of the driver."""
    alone: Any = type("Alone", (Backend,), {})
    assert command_lines(alone, CONTEXT) == ""
