"""Runs `lab clean`: removes the processes and containers of labs that were killed."""

from __future__ import annotations

import argparse

from lab.console import say
from lab.core.errors import ExitCode
from lab.providers import watchdog


def run(_: argparse.Namespace) -> int:
    """Remove leftover objects of labs that were killed; running labs are not affected."""
    for kind, number in watchdog.remove_dead().items():
        say(f"{number} {kind}.")
    return ExitCode.FINE
