"""The machine's own cron, and our lines in this user's crontab: each names its lab and its trial.

A lab starts no cron, which would run everybody's jobs. It adds lines to the crontab of the user
who runs it, and removes exactly those, found by what they end in, as processes are by label.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from lab import processes, surroundings
from lab.errors import ClusterError

LINE = re.compile(rf"# {processes.OWNER}=(?P<owner>\S+) {processes.TRIAL}=(?P<trial>\S+)")
# Written by Debian's cron and by cronie as they start; that of a container is not seen here.
PID_FILE = Path("/run/crond.pid")


class Cron(NamedTuple):
    """A cron that runs: the program that edits its lines, what it says of itself, its process."""

    crontab: str
    about: str
    pid: int


def find() -> Cron:
    """Find the machine's cron.

    Raises:
        ClusterError: There is none, or it does not run; the message says what to do.
    """
    program = shutil.which("crontab")
    if program is None:
        raise ClusterError("No cron is installed here. Run: sudo apt install cron")
    try:
        daemon = psutil.Process(int(PID_FILE.read_text()))
        name = daemon.name() if processes.runs(daemon) else ""
    except (OSError, ValueError, psutil.Error):
        name = ""
    # The file outlives a daemon that was killed, and its number may be another's by now.
    if "cron" not in name:
        raise ClusterError("No cron runs here. Run: sudo service cron start")
    asked = ["dpkg-query", "--show", "--showformat", "${Version}", "cron"]
    told = shutil.which(asked[0]) and subprocess.run(
        asked, env=surroundings.of_process(), capture_output=True, text=True, check=False
    )
    version = told.stdout if told and not told.returncode else "of unknown version"
    return Cron(program, f"{name} {version} (machine)", daemon.pid)


def remove_trial(trial: str) -> int:
    """Remove the lines of a trial of this lab; return how many."""
    mine = processes.owner()
    return _remove(lambda owner, of: owner == mine and of == trial)


def remove_dead() -> int:
    """Remove the lines of labs that are gone, those of living ones stay; return how many.

    A crontab outlives the boot that its lines name, so what another boot wrote is dead as well.
    """
    boot = processes.realm().partition("/")[0]
    return _remove(
        lambda owner, _: owner.partition("/")[0] != boot or not processes.is_alive(owner)
    )


def _remove(is_wanted: Callable[[str, str], bool]) -> int:
    program = shutil.which("crontab")
    if program is None:
        return 0
    env = surroundings.of_process()
    told = subprocess.run([program, "-l"], env=env, capture_output=True, check=False)
    # Bytes, for whoever wrote the other lines may use any encoding. Nothing, and an exit code,
    # where there is no crontab.
    lines = told.stdout.split(b"\n")

    def is_left(line: bytes) -> bool:
        match = LINE.search(line.decode(errors="replace"))
        return match is None or not is_wanted(match["owner"], match["trial"])

    left = [line for line in lines if is_left(line)]
    if removed := len(lines) - len(left):
        given = b"\n".join(left)
        command = [program, *(["-"] if given else ["-r"])]
        subprocess.run(command, input=given, env=env, capture_output=True, check=True)
    return removed
