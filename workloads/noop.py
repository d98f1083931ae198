"""Nothing: what remains is the system's own cost."""

SUMMARY = "Returns its argument; what remains is the system's own cost."
UNIT = ""
DEFAULT_SIZE = 0


def calibrate(size: int) -> int:
    """Return the size as it is: there is nothing to calibrate."""
    return size


def nominal_ns(size: int) -> int:  # noqa: ARG001
    """Return 0: the task has no duration of its own."""
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
