"""Handles the signals that stop the lab, so that no signal interrupts a teardown.

    with deferred():
        try:
            with allowed():
                work()
        finally:
            tear_down()

The first signal raises KeyboardInterrupt, except in a `deferred` block outside of an `allowed`
block: there it is raised at the next `allowed` block, or at the end of the `deferred` one. Each
later signal only prints a sentence. SIGQUIT is not handled: the kernel ends the lab at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPING_TEXT = b"Stopping: ending the running processes first.\n"


@dataclass(slots=True)
class _SignalState:
    """The signal state of this process."""

    has_arrived: bool = False
    is_deferring: bool = False


_state = _SignalState()


def install() -> None:
    """Handle the signals that stop the lab; a signal that is ignored (`nohup`) stays ignored."""
    _state.has_arrived = _state.is_deferring = False
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


def ignore() -> None:
    """Ignore the signals: all processes have ended, and the exit code must not change."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _handle(number: int, _: FrameType | None) -> None:
    if number == signal.SIGHUP:
        _leave_dead_terminal()
    is_first, _state.has_arrived = not _state.has_arrived, True
    if is_first and not _state.is_deferring:
        raise KeyboardInterrupt
    # Not `print`: the signal may have interrupted a write into the same buffer, which raises.
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(2, STOPPING_TEXT)


def _leave_dead_terminal() -> None:
    """Redirect output from a closed terminal to the null device, because writes would fail."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # it is closed
            # A closed terminal is still a device, but no terminal. A log file or a pipe must stay.
            is_device = stat.S_ISCHR(os.fstat(descriptor).st_mode)
            if is_device and not os.isatty(descriptor):
                os.dup2(null, descriptor)
    os.close(null)


def deferred() -> contextlib.AbstractContextManager[None]:
    """Defer a signal until this block ends, or until the next `allowed` block in it begins.

    Raises:
        KeyboardInterrupt: At the end of the block, unless it is in another `deferred` block.
    """
    return _block(is_deferring=True)


def allowed() -> contextlib.AbstractContextManager[None]:
    """Let a signal interrupt this part of a `deferred` block.

    Raises:
        KeyboardInterrupt: A signal arrives in the block, or arrived before it in the `deferred`
            block.
    """
    return _block(is_deferring=False)


@contextlib.contextmanager
def _block(*, is_deferring: bool) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    was_deferring, had_arrived = _state.is_deferring, _state.has_arrived
    if had_arrived and was_deferring and not is_deferring:
        raise KeyboardInterrupt
    _state.is_deferring = is_deferring
    try:
        yield
    finally:
        _state.is_deferring = was_deferring
    if _state.has_arrived and not had_arrived and not was_deferring:
        raise KeyboardInterrupt
