"""Corrupts copies of a run, and records the errors of their readers."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import os
import shutil
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from types import FrameType
from typing import TypeAlias
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import lab
from lab.campaign import consent
from lab.core import defects
from lab.core.errors import LabError
from tests.unit.results.corruptions import Spoil, spoils

OTHER, RUN, MINE = "a-sound", "b-spoilt", "shop:work"
# The limits of a reader: CPU time, and time on the clock. The latter is long, because on a busy
# machine a correct reader took 30 s in one of 1,065 examples.
CPU_S, WAIT_S, SPOILT, STDERR = 30, 120, 3, 2
Reader: TypeAlias = Callable[[Path], None]


class Hang(BaseException):
    """An example took too long; a BaseException, so that no `except Exception` hides it."""


@dataclass(eq=False)
class Fuzzer(logging.Handler):
    """Corrupts copies of the run `source` below `folder`, reads them, records errors in `wrong`."""

    folder: Path
    source: Path
    examples: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._defects: list[BaseException] = []
        self.outside, self.results = self.folder / "outside", self.folder / "results"
        self.outside.mkdir(parents=True)
        (self.outside / "key").write_text("belongs to another user\n")
        for name in (OTHER, RUN):
            shutil.copytree(self.source, self.folder / "base" / "runs" / name, symlinks=True)
            consent.prove(self.folder / "base" / "runs" / name, [MINE])

    def emit(self, record: logging.LogRecord) -> None:
        """Record a defect that the lab has caught and logged."""
        if record.exc_info and record.exc_info[1]:
            self._defects.append(record.exc_info[1])

    def run(self, reader: Reader, patterns: Sequence[str], number: int, n: int) -> None:
        """Run `n` examples of a reader on files that match; equal numbers give equal examples."""
        base = self.folder / "base" / "runs" / RUN
        paths = sorted({path for pattern in patterns for path in base.glob(pattern)})
        change = st.sampled_from(paths).flatmap(
            lambda path: st.tuples(st.just(path.relative_to(base)), spoils(path, self.outside))
        )

        @seed(number)
        @settings(
            max_examples=n,
            deadline=None,
            database=None,
            derandomize=False,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(change, min_size=1, max_size=SPOILT, unique_by=itemgetter(0)))
        def examples(changes: list[tuple[Path, Spoil]]) -> None:
            self.example(reader, changes)

        examples()

    def example(self, reader: Reader, changes: list[tuple[Path, Spoil]]) -> None:
        """Run a reader on a copy of the run with these changes."""
        self.examples[reader.__name__] += 1
        shutil.rmtree(self.results, ignore_errors=True)
        shutil.copytree(self.folder / "base", self.results, symlinks=True)
        run = self.results / "runs" / RUN
        for path, spoil in changes:
            if (run / path).parent.resolve() == (run / path).parent and os.path.lexists(run / path):
                spoil(run / path)
        before = self._outside_state()
        example = f"{reader.__name__}: {', '.join(str(path) for path, _ in changes)}"
        self._defects.clear()
        try:
            with (
                _limited(),
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
                contextlib.suppress(LabError),
            ):
                reader(run)
        except (Exception, Hang, SystemExit) as error:  # noqa: BLE001 (the fuzzer records it)
            self._record(error, example)
        for defect in self._defects:
            self._record(defect, example)
        if self._outside_state() != before:
            self.wrong["outside"] = f"{example}: a file outside was changed"

    def _record(self, error: BaseException, example: str) -> None:
        stack = traceback.extract_tb(error.__traceback__)
        frames = [f for f in stack if Path(f.filename).is_relative_to(Path(lab.__file__).parent)]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        key = f"{type(error).__name__} at {place}"
        if key not in self.wrong:
            self.wrong[key] = f"{example}\n{''.join(traceback.format_exception(error))[-2_500:]}"

    def _outside_state(self) -> dict[Path, tuple[int, int]]:
        """Return size and modification time of all files outside the results."""
        others = (p for p in self.folder.iterdir() if p != self.results)
        paths = (path for other in others for path in (other, *other.rglob("*")))
        return {p: (p.lstat().st_size, p.lstat().st_mtime_ns) for p in paths}


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise `Hang` after a limit; if no signal handler runs, end the process with a traceback."""

    def end(_: int, __: FrameType | None) -> None:
        raise Hang

    faulthandler.dump_traceback_later(2 * WAIT_S, exit=True, file=STDERR)
    before = {number: signal.signal(number, end) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.alarm(WAIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def fuzzer(folder: Path, source: Path) -> Iterator[Fuzzer]:
    """Yield a fuzzer of a run that records logged defects, in its folder as the current one."""
    with patch.dict(os.environ, {"XDG_STATE_HOME": str(folder / "state")}):
        fuzz = Fuzzer(folder / "fuzz", source)
        defects.LOGGER.addHandler(fuzz)
        try:
            with contextlib.chdir(folder / "fuzz"):
                yield fuzz
        finally:
            defects.LOGGER.removeHandler(fuzz)
