"""Measures two commits side by side: their labs take turns, block by block (METHOD M30).

Each commit lies in a worktree of its own and runs its own code, in this environment's packages. The
second takes over the first's plan, with its sizes and seeds, so that every trial has its twin.
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
ENDED = {ExitCode.FINE, ExitCode.TRIAL_FAILED}


class Campaign:
    """A lab of one commit that waits for its turns."""

    def __init__(self, name: str, worktree: Path, words: Sequence[str]) -> None:
        self._name = name
        command = [sys.executable, "-m", "lab.cli", "bench", "--turns", "--tables-only", *words]
        self._process = subprocess.Popen(
            command,
            cwd=worktree,
            env=child_environment.of_lab() | {child_environment.IMPORT_PATH: str(worktree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if not (folder := self._await_turn()):
            self.close()
            raise LabError(
                f"Commit {name} measured nothing; its own words are above. One from before two "
                "commits could take turns has to be measured by itself."
            )
        self.folder = Path(folder)

    def go(self) -> None:
        """Let it run a block, and wait until that has ended.

        Raises:
            LabError: It died.
        """
        with contextlib.suppress(BrokenPipeError):  # it died; the end of its words tells that
            self._pipe(self._process.stdin).write("go\n")
            self._pipe(self._process.stdin).flush()
        if self._await_turn() is None and self._process.wait() not in ENDED:
            raise LabError(f"Measuring commit {self._name} failed; its own words are above.")

    def close(self) -> None:
        """End it if it has not ended: whoever gives no turns any more stops it."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe(self._process.stdin).close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait()
        self._pipe(self._process.stdout).close()

    def _await_turn(self) -> str | None:
        """Return the run folder it names before a block; None at its end."""
        line = self._pipe(self._process.stdout).readline()
        return line.removeprefix("turn ").strip() if line.startswith("turn ") else None

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        if pipe is None:
            raise LabError("A lab was started without pipes.")
        return pipe


def measure(
    commits: Sequence[str], blocks: int, words: Sequence[str], repository: Path, results: Path
) -> list[Path]:
    """Run one campaign for each commit, in turns, and return their run folders.

    Args:
        commits: Two, by any name that git knows.
        blocks: How many blocks each; in each a seeded coin says who begins.
        words: What is measured, as for ``lab bench``.
        repository: The checkout that holds the commits.
        results: The folder that holds ``runs``.

    Raises:
        UsageError: git knows no such commit.
        LabError: A campaign failed.
    """
    where = ["--results", str(results.resolve())]
    coin = random.Random(ORDER_SEED)
    with interrupts.deferred(), contextlib.ExitStack() as stack, interrupts.allowed():
        trees = [stack.enter_context(_worktree(commit, repository)) for commit in commits]
        first = Campaign(commits[0], trees[0], [*words, "--blocks", str(blocks), *where])
        stack.callback(first.close)
        again = ["--like", str(first.folder), *_function(words), *where]
        second = Campaign(commits[1], trees[1], again)
        stack.callback(second.close)
        both = [first, second]
        for block in range(blocks):
            say(f"Block {block + 1} of {blocks}")
            order = coin.sample(both, 2)
            for campaign in order:
                campaign.go()
        return [first.folder, second.folder]


def _function(words: Sequence[str]) -> list[str]:
    """Return the words that name a function of the user's: a plan alone does not choose one."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in ("--task", "--args"):
        parser.add_argument(option)
    named = vars(parser.parse_known_args(words)[0])
    return [f"--{option}={value}" for option, value in named.items() if value]


@contextlib.contextmanager
def _worktree(commit: str, repository: Path) -> Iterator[Path]:
    """Check a commit out beside the repository, and remove it again."""
    with temp_dirs.folder() as folder:
        tree = folder / "tree"
        _git(repository, commit, "worktree", "add", "--quiet", "--detach", str(tree), commit)
        try:
            yield tree
        finally:
            _git(repository, commit, "worktree", "remove", "--force", str(tree))


def _git(repository: Path, commit: str, *words: str) -> None:
    try:
        git(repository, *words)
    except LabError as error:
        raise UsageError(f"Commit {commit!r}: {error}") from error
