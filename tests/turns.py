"""Decides which tests run beside each other, and in which order (pytest plugin)."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Generator
from typing import TextIO

import pytest


def _marker(item: pytest.Item | None, name: str) -> pytest.Mark | None:
    return item.get_closest_marker(name) if item is not None else None


def _is_alone(item: pytest.Item | None) -> bool:
    return _marker(item, "alone") is not None


def _is_beside_calm(item: pytest.Item | None) -> bool:
    mark = _marker(item, "alone")
    return mark is not None and mark.kwargs.get("beside") == "calm"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort tests so that waits for other tests idle few cores.

    Tests marked `alone` are first in one process (pytest-xdist), and those marked `calm`, which may
    run beside some of them, are first in the others. It deals out contiguous parts of equal length.
    """
    n_workers: int = vars(config).get("workerinput", {}).get("workercount", 1)
    alone = sorted(filter(_is_alone, items), key=lambda item: not _is_beside_calm(item))
    calm = [item for item in items if _marker(item, "calm") and item not in alone]
    rest = iter([item for item in items if item not in alone and item not in calm])
    firsts = [alone, *(calm[n :: n_workers - 1] for n in range(n_workers - 1))]
    n_items, ordered = len(items), list[pytest.Item]()
    for n, first in enumerate(firsts if n_workers > 1 else [alone + calm]):
        length = (n_items - len(ordered)) // (n_workers - n)
        ordered += [*first, *itertools.islice(rest, max(0, length - len(first)))]
    items[:] = [*ordered, *rest]


# The locks that this process holds while it runs a test.
_locks: list[TextIO] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Run a test marked `alone` while no other test runs, also with parallel tests (pytest-xdist).

    A test marked `alone` holds the lock `room`, which all other tests share. With `beside="calm"`,
    it shares `room` and holds `quiet`, which all tests except those marked `calm` share. While a
    test waits for a lock it holds the `door` of the lock, so that no other test gets it. The locks
    belong to a process (`lockf`), so a forked child holds none. The wait is not part of a test's
    time.
    """
    if "PYTEST_XDIST_WORKER" in os.environ and not _locks:
        _lock(item)
    try:
        return (yield)
    finally:
        if not (_is_alone(nextitem) and _modes(item) == _modes(nextitem)):
            while _locks:
                _locks.pop().close()


def _modes(item: pytest.Item | None) -> dict[str, int]:
    """Return the locks of a test, in the order in which every test takes them."""
    if not _is_alone(item):
        modes = {"quiet": fcntl.LOCK_SH, "room": fcntl.LOCK_SH}
        return {"room": fcntl.LOCK_SH} if _marker(item, "calm") else modes
    return {
        "quiet": fcntl.LOCK_EX,
        "room": fcntl.LOCK_SH if _is_beside_calm(item) else fcntl.LOCK_EX,
    }


def _lock(item: pytest.Item) -> None:
    assert item.config.cache is not None
    folder = item.config.cache.mkdir("turns")
    for name, mode in _modes(item).items():
        with (folder / f"{name}-door").open("w") as door:
            fcntl.lockf(door, fcntl.LOCK_EX)
            _locks.append((folder / name).open("w+"))
            fcntl.lockf(_locks[-1], mode)
