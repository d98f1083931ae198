"""Runs what makes an image: its steps are told as they begin, and its words kept in a log."""

from __future__ import annotations

import contextlib
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lab.core.errors import ClusterError
from lab.host import child_environment
from lab.providers.engine import explain

LOG = Path(__file__).parents[3] / "compose/build.log"
WIDTH = 70
FULL = "no space left on device"
# BuildKit puts the number of the step and the seconds since its start before each line of output.
OUTPUT = re.compile(r"#\d+ \d+\.\d+ (.*\S)")


def run(
    image: str,
    argv: Sequence[str],
    step: re.Pattern[str],
    progress: Callable[[str], None],
    environment: Mapping[str, str],
) -> None:
    """Run a program that makes `image`, and tell what `step` finds in each line it prints.

    Raises:
        ClusterError: It failed; the message quotes the last that it said.
    """
    kind = image.partition(":")[0]
    lines: list[str] = []
    begun: set[str] = set()
    with (
        LOG.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            argv,
            env={**child_environment.of_download(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process,
        _terminated_if_cut_short(process),
    ):
        for line in process.stdout or ():
            log.write(line)
            lines.append(line.rstrip())
            if (found := step.match(line)) and found.group(1) not in begun:
                begun.add(found.group(1))
                progress(f"{kind}: {textwrap.shorten(found.group(1), WIDTH, placeholder=' ...')}")
    if process.returncode:
        raise ClusterError(_reason(image, lines, begun=bool(begun)))


@contextlib.contextmanager
def _terminated_if_cut_short(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a program whose lab is stopped: a terminal signals both, `kill` the lab alone."""
    try:
        yield
    except KeyboardInterrupt:
        process.terminate()
        raise


def _reason(image: str, lines: Sequence[str], *, begun: bool) -> str:
    if not begun or any(FULL in line.lower() for line in lines):
        return explain("\n".join(lines))
    outputs = [found.group(1) for line in lines if (found := OUTPUT.match(line))]
    last = next(reversed(outputs or [line for line in lines if line]), "it said nothing")
    return (
        f"The image {image} could not be made: {last.rstrip('.')}. "
        f"Read {LOG.parent.name}/{LOG.name}, then run: nox -s images"
    )
