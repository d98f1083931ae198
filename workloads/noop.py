"""Does nothing, so that the whole cost of a task is the backend's."""

SUMMARY = "Returns its argument; the whole cost of a task is the backend's."
UNIT = ""
DEFAULT_SIZE = 0


def calibrate(size: int) -> int:
    """Return the size unchanged, because there is nothing to calibrate."""
    return size


def nominal_ns(size: int) -> int:  # noqa: ARG001
    """Return 0, because the task has no intended duration."""
    return 0


def argument(size: int, seed: int) -> int:
    """Return a number of 31 bits that differs from task to task."""
    return (seed * 2_654_435_761 + size) % 2**31


def run(argument: int) -> int:
    """Return the argument."""
    return argument


async def run_async(argument: int) -> int:
    """Return the argument."""
    return argument


def answer(argument: int) -> int:
    """Return the right answer."""
    return argument
