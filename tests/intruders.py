"""Another user of the machine, for tests: code that runs in a child with the rights of nobody."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

NOBODY = 65534
PATIENCE_S = 30.0


def _become(user: int, queue: Any, act: Callable[..., str], arguments: tuple[Any, ...]) -> None:
    try:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        queue.put(act(*arguments))
    except OSError as error:
        queue.put(f"{type(error).__name__}: {error}")


def as_nobody(act: Callable[..., str], *arguments: Any) -> str:
    """Call `act` as another user of this machine, and return its answer or the error's name.

    Only root can become another user; tests in CI run as root.
    """
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_become, args=(NOBODY, queue, act, arguments))
    child.start()
    try:
        answer: str = queue.get(timeout=PATIENCE_S)
    finally:
        child.kill()
        child.join()
    return answer
