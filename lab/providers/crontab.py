"""Finds the cron daemon of this machine, and removes the lab's lines from the user's crontab.

The lab starts no cron daemon, because that would run the jobs of all users. It adds lines to the
crontab of the user who runs it. Each line ends in a comment that names its lab and its trial, and
only lines with such a comment are removed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

from lab.core.errors import ClusterError
from lab.host import child_environment, processes

LINE = re.compile(rf"# {processes.OWNER}=(?P<owner>\S+) {processes.TRIAL}=(?P<trial>\S+)")
# Written by Debian's cron and by cronie as they start; the file of a container is not visible here.
PID_FILE = Path("/run/crond.pid")


class Cron(NamedTuple):
    """A running cron daemon.

    Attributes:
        crontab: Path of the program that edits the user's lines.
        about: Name and version of the daemon.
        pid: Process id of the daemon.
    """

    crontab: str
    about: str
    pid: int


def find_crontab() -> Cron:
    """Find the cron daemon of this machine.

    Raises:
        ClusterError: None is installed, or it does not run; the message has the next step.
    """
    program = shutil.which("crontab")
    if program is None:
        raise ClusterError("No cron is installed here. Run: sudo apt install cron")
    try:
        daemon = psutil.Process(int(PID_FILE.read_text()))
        name = daemon.name() if processes.is_running(daemon) else ""
    except (OSError, ValueError, psutil.Error):
        name = ""
    # The file outlives a killed daemon, and another process may have its number now.
    if "cron" not in name:
        raise ClusterError("No cron runs here. Run: sudo service cron start")
    query = ["dpkg-query", "--show", "--showformat", "${Version}", "cron"]
    done = shutil.which(query[0]) and subprocess.run(
        query, env=child_environment.of_process(), capture_output=True, text=True, check=False
    )
    version = done.stdout if done and not done.returncode else "of unknown version"
    return Cron(program, f"{name} {version} (machine)", daemon.pid)


def remove_trial(trial: str) -> int:
    """Remove the lines of a trial of this lab; return their number."""
    this_lab = processes.owner()
    return _remove(lambda owner, line_trial: owner == this_lab and line_trial == trial)


def remove_dead() -> int:
    """Remove the lines of labs that have ended; return their number.

    A crontab outlives a reboot, so lines that name another boot count as lines of ended labs.
    """
    boot = processes.realm().partition("/")[0]
    return _remove(
        lambda owner, _: owner.partition("/")[0] != boot or not processes.is_alive(owner)
    )


def _remove(is_wanted: Callable[[str, str], bool]) -> int:
    program = shutil.which("crontab")
    if program is None:
        return 0
    env = child_environment.of_process()
    listing = subprocess.run([program, "-l"], env=env, capture_output=True, check=False)
    # Bytes, because the user's lines may have any encoding. Without a crontab the output is empty
    # and the exit code is not 0.
    lines = listing.stdout.split(b"\n")

    def stays(line: bytes) -> bool:
        match = LINE.search(line.decode(errors="replace"))
        return match is None or not is_wanted(match["owner"], match["trial"])

    remaining = [line for line in lines if stays(line)]
    if removed := len(lines) - len(remaining):
        crontab = b"\n".join(remaining)
        command = [program, "-" if crontab else "-r"]
        subprocess.run(command, input=crontab, env=env, capture_output=True, check=True)
    return removed
