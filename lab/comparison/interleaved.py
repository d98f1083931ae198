"""Measures two commits interleaved: their labs run block by block alternately (METHOD M30).

Each commit is checked out in a separate worktree and runs its code with the packages of this
environment. The second campaign repeats the plan of the first, with the same sizes and seeds, so
that every trial has a partner.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from lab.console import say
from lab.core.errors import ExitCode, LabError, UsageError
from lab.host import child_environment, interrupts, temp_dirs
from lab.host.repository import git

ORDER_SEED = 1
STOP_S = 30.0
# A failed trial is a row with its reason (METHOD M35); the other trials can be compared.
ENDED = {ExitCode.FINE, ExitCode.TRIAL_FAILED}


class Campaign:
    """The lab of one commit, which runs one block at each call of `go`."""

    def __init__(self, name: str, worktree: Path, arguments: Sequence[str]) -> None:
        self.name = name
        command = [sys.executable, "-m", "lab.cli", "bench", "--turns", "--tables-only", *arguments]
        self._process = subprocess.Popen(
            command,
            cwd=worktree,
            # The import path of this process would run the same code for both commits.
            env=child_environment.of_lab() | {child_environment.IMPORT_PATH: str(worktree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if not (folder := self._await_turn()):
            # No caller has the object yet, so no other function could close the process.
            self.close()
            raise LabError(
                f"Commit {name} measured nothing; its output is above. A commit without "
                "`lab bench --turns` must be measured alone."
            )
        self.folder = Path(folder)

    def go(self) -> None:
        """Run one block, and wait for its end.

        Raises:
            LabError: The campaign failed.
        """
        with contextlib.suppress(BrokenPipeError):  # it has ended; `_await_turn` detects that
            self._pipe(self._process.stdin).write("go\n")
            self._pipe(self._process.stdin).flush()
        if self._await_turn() is None and self._process.wait() not in ENDED:
            raise LabError(f"Measuring commit {self.name} failed; its output is above.")

    def close(self) -> None:
        """End the campaign: it stops at the end of its input, or is terminated after `STOP_S`."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe(self._process.stdin).close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            # No SIGKILL: the lab of the commit must still end its workers and servers.
            self._process.terminate()
            self._process.wait()
        self._pipe(self._process.stdout).close()

    def _await_turn(self) -> str | None:
        """Wait for the next block and return the run folder; None at the end of the campaign."""
        line = self._pipe(self._process.stdout).readline()
        return line.removeprefix("turn ").strip() if line.startswith("turn ") else None

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise LabError("The lab of a commit was started without pipes.")
        return pipe


def run_interleaved(
    commits: Sequence[str], blocks: int, arguments: Sequence[str], repository: Path, results: Path
) -> list[Path]:
    """Run one campaign for each commit, interleaved, and return their run folders.

    Args:
        commits: Two, by any name that git resolves.
        blocks: Number of blocks of each; a seeded coin decides which commit begins a block.
        arguments: Arguments of ``lab bench`` that select the trials.
        repository: The checkout that holds the commits.
        results: The folder that holds ``runs``.

    Raises:
        UsageError: git cannot resolve a commit.
        LabError: A campaign failed.
    """
    where = ["--results", str(results.resolve())]
    coin = random.Random(ORDER_SEED)
    with interrupts.deferred(), contextlib.ExitStack() as stack, interrupts.allowed():
        # A signal may end the measuring, but not the removal of worktrees and processes.
        trees = [stack.enter_context(_worktree(commit, repository)) for commit in commits]
        first = Campaign(commits[0], trees[0], [*arguments, "--blocks", str(blocks), *where])
        stack.callback(first.close)
        # Its plan and not the same arguments: the presets of two commits may differ (METHOD M4).
        repeat = ["--like", str(first.folder), *_function(arguments), *where]
        second = Campaign(commits[1], trees[1], repeat)
        stack.callback(second.close)
        both = [first, second]
        for block in range(blocks):
            # A fixed order would give all drift within a block to one commit (METHOD M3).
            for campaign in coin.sample(both, 2):
                say(f"Block {block + 1} of {blocks}, commit {campaign.name}:")
                campaign.go()
        return [first.folder, second.folder]


def _function(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that select the user's function, which a plan does not contain."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--task", "--args"):
        parser.add_argument(option)
    values = vars(parser.parse_known_args(arguments)[0])
    # One word each, because a value may begin with a dash.
    return [f"--{option}={value}" for option, value in values.items() if value]


@contextlib.contextmanager
def _worktree(commit: str, repository: Path) -> Iterator[Path]:
    """Check out a commit in a temporary worktree, and remove it afterwards."""
    with temp_dirs.folder() as folder:
        tree = folder / "tree"
        # Detached, because git checks out a branch in one worktree only.
        _git(repository, commit, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git(repository, commit, "worktree", "remove", "--force", str(tree))


def _git(repository: Path, commit: str, *arguments: str) -> None:
    try:
        git(repository, *arguments)
    except LabError as error:
        raise UsageError(f"Commit {commit!r}: {error}") from error
