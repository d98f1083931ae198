"""Functions that return what is hard to compare: unprintable, large, nested, unordered, shared."""

from __future__ import annotations

import random
import threading
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

ROWS = [{"id": i, "name": f"customer {i}", "total": i * 1.1} for i in range(1_000)]
SHARED = ["a", "row"]


class BadRepr:
    """Good in every way, but it cannot be printed, as an ORM's row of a closed session."""

    def __repr__(self) -> str:
        """Raise."""
        raise RuntimeError("not bound to a session")


class BadPickle:
    """Cannot be pickled either."""

    def __reduce__(self) -> NoReturn:
        """Raise."""
        raise RuntimeError("not bound to a session")


class Text(str):
    """Text of a type of its own."""

    __slots__ = ()
    __repr__ = str.__str__


def bad_repr() -> BadRepr:
    """Return what `repr` cannot show."""
    return BadRepr()


def bad_pickle() -> BadPickle:
    """Return what no queue can carry."""
    return BadPickle()


def lock() -> Any:
    """Return what has no value at all."""
    return threading.Lock()


def copied() -> list[dict[str, Any]]:
    """Return a thousand records, which takes less than to look at them."""
    return [dict(row) for row in ROWS]


def big_list(n: int) -> list[float]:
    """Return `n` numbers, which takes less than to look at them."""
    return [0.1] * n


def big_text(n: int) -> list[str]:
    """Return `n` texts, which takes less than to look at them."""
    return ["text"] * n


def deep() -> list[Any]:
    """Return a list nested deeper than the interpreter can follow."""
    out: list[Any] = []
    for _ in range(100_000):
        out = [out]
    return out


def cyclic() -> list[Any]:
    """Return a list that contains itself."""
    out: list[Any] = []
    out.append(out)
    return out


def surrogate() -> Text:
    """Return text that has no UTF-8."""
    return Text("\ud800")


def numpy_middle() -> NDArray[np.float64]:
    """Return an array that differs each time, but in the middle alone, which `repr` leaves out."""
    array = np.zeros(5_000)
    array[2_500] = random.SystemRandom().random()
    return array


def bytes_middle() -> list[bytearray]:
    """Return bytes that differ each time, but in the middle alone."""
    block = bytearray(10_000)
    block[5_000:5_008] = random.SystemRandom().randbytes(8)
    return [block]


def same_repr() -> Any:
    """Return something else each time that prints alike."""
    return _Alike(random.SystemRandom().random())


class _Alike:
    def __init__(self, value: float) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Alike()"


def unordered() -> set[str]:
    """Return a set, whose order differs from process to process."""
    return {"a", "b", "c", "d", "e", "f"}


def filled() -> dict[str, int]:
    """Return a dictionary that was filled in the order of a set."""
    return {name: len(name) for name in unordered()}


def shared() -> list[list[str]]:
    """Return one row twice; what carries it may return two equal rows."""
    return [SHARED, SHARED]


def nan() -> float:
    """Return what is not equal to itself."""
    return float("nan")
