"""Computes integers in pure Python, with a known answer and a calibrated duration.

The loop is a linear congruential generator, whose n-th value has a closed form. Therefore the check
of an answer takes microseconds for a task of any duration.
"""

from time import perf_counter_ns

SUMMARY = "Computes in pure Python for the given time; holds the GIL."
UNIT = "us"
DEFAULT_SIZE = 5_000

# Numerical Recipes' constants, modulo 2**32: full period, and small integers throughout.
FACTOR, STEP, MODULUS = 1_664_525, 1_013_904_223, 2**32
CALIBRATION_ROUNDS = 20_000


def calibrate(size: int) -> int:
    """Return the number of rounds in `size` microseconds on this machine, from the fastest try."""
    fastest = min(_duration_ns(CALIBRATION_ROUNDS) for _ in range(15))
    return max(1, round(size * 1_000 * CALIBRATION_ROUNDS / fastest))


def nominal_ns(size: int) -> int:
    """Return `size` microseconds in nanoseconds."""
    return size * 1_000


def argument(size: int, seed: int) -> list[int]:
    """Return the first value and the number of rounds."""
    return [seed % MODULUS, size]


def run(argument: list[int]) -> int:
    """Compute the last value in a loop from the first one."""
    value, rounds = argument
    for _ in range(rounds):
        value = (value * FACTOR + STEP) % MODULUS
    return value


async def run_async(argument: list[int]) -> int:
    """Compute in the event loop, which blocks it."""
    return run(argument)


def answer(argument: list[int]) -> int:
    """Return the last value by the closed form x_n = F^n x + S (F^n - 1) / (F - 1), modulo 2^32."""
    value, rounds = argument
    # The division is exact before the modulo, so the power is taken modulo (F - 1) * MODULUS.
    power = pow(FACTOR, rounds, (FACTOR - 1) * MODULUS)
    return (power * value + STEP * ((power - 1) // (FACTOR - 1))) % MODULUS


def _duration_ns(rounds: int) -> int:
    begin = perf_counter_ns()
    run([1, rounds])
    return perf_counter_ns() - begin
