"""Checks the message of a commit: `room: imperative subject`, at most 72 characters.

A change of several rooms names them all: `driver, worker: ...`.

    python .ci/commit_message.py FILE              # as a commit-msg hook
    python .ci/commit_message.py --commits A..B    # the commits of a range

Exits with 1 and one line for each broken rule. Merges, reverts and fixups, whose subjects git
writes, are accepted.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

LONGEST = 72
BY_GIT = re.compile(r"Merge |Revert \"|fixup! |squash! |amend! ")
ROOM = r"[a-z0-9][\w.+/-]*"
SUBJECT = re.compile(rf"{ROOM}(?:, {ROOM})*: (?P<verb>\S+)(?: .*)?")
# "adds", "added" and "adding" are no imperatives; these words only look like one of them.
NO_IMPERATIVE = re.compile(r"\w+(?:[^su]s|ed|ing)")
IMPERATIVES = {"bring", "embed", "exceed", "feed", "need", "ping", "proceed", "seed", "speed"}
# The home of a user, or a folder of one machine, is of no use to others.
MACHINE_PATH = re.compile(r"(?<![\w.~:/-])/(?:home|root|tmp|work|Users)/\S+")


def problems(message: str) -> Iterator[str]:
    """Yield a sentence for each rule that a commit message breaks."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject, body = (lines or [""])[0], lines[1:]
    if BY_GIT.match(subject):
        return
    if len(subject) > LONGEST:
        yield f"The subject has {len(subject)} characters; at most {LONGEST} are allowed."
    if subject.endswith("."):
        yield "The subject ends with a full stop; leave it out."
    match = SUBJECT.fullmatch(subject)
    if not match:
        yield "The subject is not `room: imperative subject`, such as `driver: limit the backlog`."
    elif (verb := match["verb"]) not in IMPERATIVES and NO_IMPERATIVE.fullmatch(verb):
        yield f"'{verb}' is not an imperative, such as 'add' or 'fix'."
    if body and body[0].strip():
        yield "The second line is not empty: separate the subject from the body."
    for path in MACHINE_PATH.findall("\n".join(lines)):
        yield f"{path} is a path of one machine; leave it out."


def main(arguments: list[str] | None = None) -> int:
    """Check the message in a file, or those of a range of commits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("file", nargs="?", type=Path, help="file that holds a message")
    which.add_argument("--commits", metavar="A..B", help="commits in the repository")
    options = parser.parse_args(arguments)
    if options.file:
        messages = [options.file.read_text(encoding="utf-8")]
    else:
        command = ["git", "log", "-z", "--format=%B", "--end-of-options", options.commits]
        log = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        messages = [message for message in log.split("\0") if message]
    failures = [
        f"{message.partition(chr(10))[0]}\n  {problem}"
        for message in messages
        for problem in problems(message)
    ]
    print("\n".join(failures), end="\n" if failures else "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
