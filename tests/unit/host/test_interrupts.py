"""Tests that the first signal interrupts allowed blocks, and no signal a teardown."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.host import interrupts
from lab.host.interrupts import allowed, deferred
from lab.results import formats
from tests.factories.rows import a_row, as_rows
from tests.unit.cli.test_main import ours, start_slow, until

FLOOD = 40  # signals, 20 ms apart: longer than a teardown


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in interrupts.STOPPING}
    for number in before:  # a command that another test ran in this process ignores them
        signal.signal(number, signal.SIG_DFL)
    interrupts.install()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_waits_for_the_end_of_a_deferred_block() -> None:
    """The signal raises at the end; without a signal, nothing is raised."""
    done = []

    def defer(name: str, *numbers: int) -> None:
        with deferred():
            for number in numbers:
                signal.raise_signal(number)
            done.append(name)

    defer("quiet")
    with pytest.raises(KeyboardInterrupt):
        defer("whole", signal.SIGHUP)
    assert done == ["quiet", "whole"]


def test_a_signal_does_not_cancel_the_reading_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow would catch the signal, cancel the read and have the file reported as damaged."""

    class Interrupted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            os.kill(os.getpid(), signal.SIGINT)
            return super().read(size)

    row = a_row("metric")
    data = formats.to_csv("metric", [row], Path("metric.csv"), header=True)
    monkeypatch.setattr(io, "BytesIO", Interrupted)
    with pytest.raises(KeyboardInterrupt), deferred():
        frame = formats.from_csv("metric", data, Path("metric.csv"))
    assert as_rows(frame, "metric") == [row]


@pytest.mark.parametrize("place", ["before", "inside"])
def test_one_signal_interrupts_an_allowed_block_and_none_the_teardown(
    place: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Only the first signal raises; each later one prints a sentence."""
    done = []

    def run() -> None:
        with deferred():
            if place == "before":
                signal.raise_signal(signal.SIGTERM)
            try:
                with allowed():
                    signal.raise_signal(signal.SIGTERM)
                    done.append("never")
            finally:
                with deferred():  # for example a teardown that starts a process
                    signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGHUP)
                done.append("down")

    with pytest.raises(KeyboardInterrupt):
        run()
    signal.raise_signal(signal.SIGINT)  # nor the output of the command after it
    assert done == ["down"]
    assert (
        capfd.readouterr().err.count("ending the running processes first")
        == {"before": 4, "inside": 3}[place]
    )


def test_an_atomic_step_defers_inside_an_allowed_block() -> None:
    """A process is started and registered, or not started at all."""
    done = []

    def run() -> None:
        with deferred(), allowed():
            with deferred():
                signal.raise_signal(signal.SIGINT)
                done.append("started")
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["started"]


def test_a_suppressed_signal_is_raised_at_the_end() -> None:
    """Python drops an exception in a finalizer, but the command must end."""

    def run() -> None:
        with deferred(), allowed(), contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run()


def test_other_threads_have_no_effect() -> None:
    """Signals reach only the main thread, so blocks in another thread do not defer them."""

    def hold(entered: threading.Event, leave: threading.Event) -> None:
        with deferred(), allowed(), deferred():
            entered.set()
            leave.wait(10)

    entered, leave = threading.Event(), threading.Event()
    thread = threading.Thread(target=hold, args=(entered, leave))
    thread.start()
    assert entered.wait(10)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    leave.set()
    thread.join()


def test_an_ignored_signal_stays_ignored() -> None:
    """`nohup lab bench` continues after its terminal has closed."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupts.install()
    signal.raise_signal(signal.SIGHUP)


@pytest.mark.slow
def test_a_lab_stops_when_its_terminal_closes(tmp_path: Path) -> None:
    """It cannot write any output, and ends with code 130."""
    master, terminal = pty.openpty()
    arguments = (
        "-b thread-pool -w noop --arrival paced --rate 20 --tasks 2000 --cores 1 --provider local"
    )
    lab = subprocess.Popen(
        [sys.executable, "-m", "lab.cli", "bench", *arguments.split(), "--results", str(tmp_path)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        # This makes it the terminal of the session.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 (no threads)
    )
    os.close(terminal)
    try:
        until(lambda: os.read(master, 65_536) and list(tmp_path.glob("runs/*/trials/*/ledger/*")))
    finally:
        os.close(master)
    assert lab.wait(60) == 130
    assert ours(lab.pid) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", interrupts.STOPPING)
@pytest.mark.parametrize("phase", ["window", "down"])
def test_signals_without_end_leave_no_process(
    tmp_path: Path, number: signal.Signals, phase: str
) -> None:
    """They begin in a window or when the driver has ended; the exit code is 130."""
    running = start_slow(tmp_path)
    if phase == "down":
        driver = next(p for p in ours(running.pid) if "lab.driver" in p.cmdline())
        driver.wait(60)
    for _ in range(FLOOD):
        running.send_signal(number)
        time.sleep(0.02)
    assert running.wait(60) == 130
    assert ours(running.pid) == []
