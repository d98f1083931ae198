"""Equal answers have equal checksums wherever they were computed, and others do not."""

from __future__ import annotations

import copy
import json
import os
import pickle
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lab.worker.execution import checksum
from tests.factories.user_functions import answers

PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
)
KEYS = st.text() | st.integers() | st.booleans() | st.tuples(st.text(), st.integers())
VALUES = st.recursive(
    PLAIN | st.frozensets(KEYS),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner) | st.sets(KEYS)
    ),
    max_leaves=12,
)
PROGRAM = """
import sys
from lab.worker.execution import checksum
from tests.factories.user_functions import answers
print([checksum(getattr(answers, name)()) for name in sys.argv[1:]])
"""


def reordered(value: Any, draw: random.Random) -> Any:
    """Return an equal value whose dictionaries and sets were filled in another order."""
    if isinstance(value, dict):
        items = [*value.items()]
        draw.shuffle(items)
        return {key: reordered(part, draw) for key, part in items}
    if isinstance(value, set | frozenset):
        parts = [*value]
        draw.shuffle(parts)
        return type(value)(parts)
    if isinstance(value, list | tuple):
        return type(value)(reordered(part, draw) for part in value)
    return value


@given(value=VALUES, draw=st.randoms(use_true_random=False))
def test_equal_values_have_equal_checksums(value: Any, draw: random.Random) -> None:
    """Copied, carried by pickle, filled in another order, or with parts that are one object."""
    expected = checksum(value)
    assert checksum(copy.deepcopy(value)) == expected
    assert checksum(pickle.loads(pickle.dumps(value))) == expected  # noqa: S301 (our own)
    assert checksum(reordered(value, draw)) == expected
    twice = [value, value]
    assert checksum(twice) == checksum([value, copy.deepcopy(value)])


@given(a=VALUES, b=VALUES)
def test_values_that_differ_have_other_checksums(a: Any, b: Any) -> None:
    """Two values drawn at random mostly do; equal ones may differ in type, as 1 and 1.0."""
    assume(a != b)
    assert checksum([a]) != checksum([b])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, True),
        (1.0, "1.0"),
        (b"a", "a"),
        (b"a", bytearray(b"a")),
        ([1], (1,)),
        ({1}, frozenset({1})),
        ({1: 2}, [(1, 2)]),
        (0.0, -0.0),
        (None, "None"),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        (np.zeros(3), np.zeros(3, "float32")),
        (np.zeros(6), np.zeros((2, 3))),
        (memoryview(b"a"), memoryview(b"b")),
    ],
)
def test_types_and_places_are_told_apart(a: Any, b: Any) -> None:
    """What prints alike, or has the same bytes, may be another answer."""
    assert checksum(a) != checksum(b)


@given(place=st.integers(0, 4_999), shape=st.sampled_from([(5_000,), (50, 100)]))
def test_each_place_of_a_large_array_counts(place: int, shape: tuple[int, ...]) -> None:
    """`repr` shows three at each end."""
    array = np.arange(5_000.0).reshape(shape)
    other = array.copy()
    other.flat[place] += 1
    assert checksum(array) == checksum(array.copy())
    assert checksum(array) != checksum(other)
    assert checksum({"x": [array[::2]]}) == checksum({"x": [array.copy()[::2]]})


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_another_process_has_the_same_checksums(seed: str) -> None:
    """Sets of text have another order there, and text another identity."""
    names = ["unordered", "filled", "shared", "copied", "bad_repr", "nan", "surrogate"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    here = [checksum(getattr(answers, name)()) for name in names]
    assert json.loads(done.stdout) == here


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (answers.deep(), RecursionError),
        (answers.cyclic(), ValueError),
        (answers.bad_pickle(), RuntimeError),
        (answers.lock(), TypeError),
    ],
    ids=["deep", "cyclic", "bad_pickle", "lock"],
)
def test_what_cannot_be_written_down_raises(value: Any, error: type[Exception]) -> None:
    """The preflight says why, and nobody checks such answers."""
    with pytest.raises(error):
        checksum(value)
