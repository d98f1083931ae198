"""Runs `lab clean`: removes the processes and containers of labs that were killed, and old images.

Images are removed only with ``--images``: other checkouts on this machine may use them.
"""

from __future__ import annotations

import argparse
import contextlib

from lab.console import say
from lab.core.errors import ClusterError, ExitCode
from lab.providers import watchdog
from lab.providers.images import superseded

OTHERS = "images of other versions of the lab"


def run(options: argparse.Namespace) -> int:
    """Remove leftover objects of labs that were killed; running labs are not affected.

    Raises:
        ClusterError: Images cannot be removed, because another lab runs or no engine answers.
    """
    for kind, number in watchdog.remove_dead().items():
        say(f"{number} {kind}.")
    if options.images:
        names = superseded.superseded()
        say(f"{superseded.remove(names, 'lab clean --images')} {OTHERS} removed.")
        return ExitCode.FINE
    with contextlib.suppress(ClusterError):  # without an engine there are no images
        if number := len(superseded.superseded()):
            say(f"{number} {OTHERS}. To remove them, run: lab clean --images")
    return ExitCode.FINE
