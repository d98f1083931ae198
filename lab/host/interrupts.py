"""Signals that stop the lab: one ends what can be cut short, and none cuts a teardown short.

    with deferred():
        try:
            with allowed():
                work()
        finally:
            tear_down()

The first signal raises KeyboardInterrupt, but never in a `deferred` block outside of an `allowed`
one: there it waits for the next `allowed` block or for the end. Each further one is answered by a
sentence and changes nothing. SIGQUIT is left to the kernel: it ends the lab at once.
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
PLEASE_WAIT = b"Stopping: what still runs is being ended first.\n"


@dataclass(slots=True)
class _State:
    """Has a signal come, and may it raise now?"""

    has_come: bool = False
    is_deferring: bool = False


_state = _State()


def install() -> None:
    """Handle the signals that stop the lab; one that is ignored (`nohup`) stays ignored."""
    _state.has_come = _state.is_deferring = False
    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _handle)


def ignore() -> None:
    """Ignore them from now on: all is down, and the exit code must not become another."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _handle(number: int, _: FrameType | None) -> None:
    if number == signal.SIGHUP:
        _leave_dead_terminal()
    is_first, _state.has_come = not _state.has_come, True
    if is_first and not _state.is_deferring:
        raise KeyboardInterrupt
    with contextlib.suppress(OSError):  # the terminal may be gone
        os.write(2, PLEASE_WAIT)


def _leave_dead_terminal() -> None:
    """Write to nowhere from now on where a terminal was that has gone: a write to it would fail."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # it is closed
            is_device = stat.S_ISCHR(os.fstat(descriptor).st_mode)
            if is_device and not os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)


def deferred() -> contextlib.AbstractContextManager[None]:
    """Let a signal wait until this block ends, or until the next `allowed` block in it begins.

    Raises:
        KeyboardInterrupt: At the end of the block, unless that lies in another `deferred` one.
    """
    return _block(is_deferring=True)


def allowed() -> contextlib.AbstractContextManager[None]:
    """Let a signal cut short this part of a `deferred` block.

    Raises:
        KeyboardInterrupt: A signal comes in the block, or came in the `deferred` block before it.
    """
    return _block(is_deferring=False)


@contextlib.contextmanager
def _block(*, is_deferring: bool) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    was_deferring, had_come = _state.is_deferring, _state.has_come
    if had_come and was_deferring and not is_deferring:
        raise KeyboardInterrupt
    _state.is_deferring = is_deferring
    try:
        yield
    finally:
        _state.is_deferring = was_deferring
    if _state.has_come and not had_come and not was_deferring:
        raise KeyboardInterrupt
