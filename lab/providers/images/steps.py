"""Runs a program that builds an image: reports its steps, and writes its output to a log file."""

from __future__ import annotations

import contextlib
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from lab.core.errors import ClusterError
from lab.host import child_environment
from lab.providers.engine_errors import explain

LOG = Path(__file__).parents[3] / "compose/build.log"
WIDTH = 70
FULL = "no space left on device"
# A line of BuildKit's output begins with the number of the step and the seconds since its start.
OUTPUT = re.compile(r"#\d+ \d+\.\d+ (.*\S)")


def run(
    image: str,
    argv: Sequence[str],
    step: re.Pattern[str],
    progress: Callable[[str], None],
    environment: Mapping[str, str],
) -> None:
    """Run a program that builds `image`; call `progress` for each line that matches `step`.

    Raises:
        ClusterError: The program failed; the message quotes its last output.
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
        _terminated_on_interrupt(process),
    ):
        for line in process.stdout or ():
            log.write(line)
            lines.append(line.rstrip())
            # BuildKit prints the line of a step again after output of another step.
            if (match := step.match(line)) and match[1] not in begun:
                begun.add(match[1])
                progress(f"{kind}: {textwrap.shorten(match[1], WIDTH, placeholder=' ...')}")
    if process.returncode:
        raise ClusterError(_reason(image, lines, begun=bool(begun)))


@contextlib.contextmanager
def _terminated_on_interrupt(process: subprocess.Popen[str]) -> Iterator[None]:
    """Terminate the program on an interrupt: a terminal signals both, `kill` only the lab."""
    try:
        yield
    except KeyboardInterrupt:
        process.terminate()
        raise


def _reason(image: str, lines: Sequence[str], *, begun: bool) -> str:
    # Before its first step, a build fails because of the engine, not of the Dockerfile.
    if not begun or any(FULL in line.lower() for line in lines):
        return explain("\n".join(lines))
    outputs = [match[1] for line in lines if (match := OUTPUT.match(line))]
    last = next(
        reversed(outputs or [line for line in lines if line]), "the program printed nothing"
    )
    return (
        f"The build of image {image} failed: {last.rstrip('.')}. "
        f"See {LOG.parent.name}/{LOG.name}, then run: nox -s images"
    )
