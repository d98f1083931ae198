"""Returns the digest of its argument, to measure the cost of sending an argument to a worker."""

import hashlib

SUMMARY = "Receives bytes of the given size and returns their BLAKE2 digest."
UNIT = "B"
DEFAULT_SIZE = 65_536


def calibrate(size: int) -> int:
    """Return the size unchanged, because there is nothing to calibrate."""
    return size


def nominal_ns(size: int) -> int:  # noqa: ARG001
    """Return 0, because the task has no intended duration."""
    return 0


def argument(size: int, seed: int) -> bytes:
    """Return `size` incompressible bytes that differ from task to task."""
    import random  # imported here, because workers do not create arguments

    return random.Random(seed).randbytes(size)


def run(argument: bytes) -> bytes:
    """Return the digest of the received bytes."""
    return hashlib.blake2b(argument, digest_size=16).digest()


async def run_async(argument: bytes) -> bytes:
    """Return the digest of the received bytes."""
    return run(argument)


def answer(argument: bytes) -> bytes:
    """Return the digest of the sent bytes."""
    return hashlib.blake2b(argument, digest_size=16).digest()
