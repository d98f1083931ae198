"""Bytes in, digest out: what it costs to carry an argument to a worker."""

import hashlib

SUMMARY = "Takes bytes and returns their BLAKE2 digest."
UNIT = "B"
DEFAULT_SIZE = 65_536


def calibrate(size: int) -> int:
    """Return the size as it is: bytes are bytes."""
    return size


def nominal_ns(size: int) -> int:  # noqa: ARG001
    """Return 0: the digest is not what the workload is about."""
    return 0


def argument(size: int, seed: int) -> bytes:
    """Return `size` incompressible bytes that differ from task to task."""
    import random  # here, because workers need no arguments made

    return random.Random(seed).randbytes(size)


def run(argument: bytes) -> bytes:
    """Return the digest of what arrived."""
    return hashlib.blake2b(argument, digest_size=16).digest()


async def run_async(argument: bytes) -> bytes:
    """Return the digest of what arrived."""
    return run(argument)


def answer(argument: bytes) -> bytes:
    """Return the digest of what was sent."""
    return hashlib.blake2b(argument, digest_size=16).digest()
