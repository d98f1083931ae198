"""Checks whether this machine is fit for measuring, and names the command that fixes each problem.

Returns data only; `lab.console` prints it. The checks change nothing on the machine (METHOD M24).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lab.cli import check_engine, check_machine, check_software
from lab.cli.check import Check, Health
from lab.console import show_line
from lab.core.backend import Backend
from lab.core.defects import contained
from lab.core.errors import ExitCode, UnknownNameError
from lab.host.environment import fingerprint
from lab.planning import registry

# Letters before the name of a check.
INDENT = 9


def run(options: argparse.Namespace) -> int:
    """Print what this machine lacks, the worst first, and the names of the checks that are fine.

    Raises:
        UnknownNameError: There is no check of a given name.
    """
    checks = {check.name: check for check in examine(registry.backends())}
    for name in options.names:
        if name not in checks and f"backend {name}" not in checks:
            raise UnknownNameError("check", name, checks)
    wanted = {*options.names, *(f"backend {name}" for name in options.names)}
    chosen = [check for check in checks.values() if not wanted or check.name in wanted]
    chosen.sort(key=lambda check: -list(Health).index(check.state))
    fine = [check.name for check in chosen if check.state == Health.OK]
    is_shown = options.all or options.names
    rows = [c for c in chosen if is_shown or c.state != Health.OK]
    for check in rows:
        show_line(f"{check.state.upper():8} {check.name}: {check.finding}", INDENT)
        if check.fix:
            show_line(f"{'':{INDENT}}{check.fix}")
    if fine and not is_shown:
        names = [name.removeprefix("backend ") for name in fine]
        show_line(f"OK       {len(fine)} checks: {', '.join(names)}. (lab doctor --all)", INDENT)
    is_missing = any(check.state == Health.MISSING for check in chosen)
    return ExitCode.TRIAL_FAILED if is_missing else ExitCode.FINE


def examine(backends: Mapping[str, type[Backend]], results: Path = Path("results")) -> list[Check]:
    """Check programs, packages, CPUs, noise and disks; takes a second."""
    facts = {row.key: row.value for row in fingerprint()[1]}
    groups: Mapping[str, Callable[[], Iterable[Check]]] = {
        # Functions, so that a group that raises leaves the results of the others.
        "python": lambda: [check_software.python(), check_software.interpreter_lock(facts)],
        "git": lambda: [check_software.git()],
        "redis": lambda: [check_software.redis()],
        "cron": lambda: [check_software.cron()],
        "clock-step": lambda: [check_software.library_of_clock_step()],
        "backends": lambda: check_software.backends(backends),
        "cpus": lambda: [check_machine.cpus(facts), check_machine.quota(facts)],
        "settings": lambda: [check_machine.governor(facts), check_machine.cgroups(facts)],
        "clock": lambda: [check_machine.clock(facts)],
        "noise": lambda: [check_machine.noise()],
        "disk": lambda: [check_machine.disk(results)],
        "engine": check_engine.containers,
        "swarm": check_engine.swarm,
    }
    return [check for name, run in groups.items() for check in _checks(name, run)]


def _checks(name: str, run: Callable[[], Iterable[Check]]) -> list[Check]:
    """Return the checks of one group; a group that raises becomes one check with the reason."""

    def failed(reason: str) -> list[Check]:
        return [Check(name, Health.WARN, reason, "lab --help")]

    return contained(lambda: [*run()], failed)
