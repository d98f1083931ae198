"""Tests that equal answers have equal checksums in all processes, and different ones do not."""

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
    """Return an equal value whose dictionaries and sets have another insertion order."""
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
    """The copies are deep, pickled, in another insertion order, or share parts."""
    expected = checksum(value)
    assert checksum(copy.deepcopy(value)) == expected
    assert checksum(pickle.loads(pickle.dumps(value))) == expected  # noqa: S301 (of this test)
    assert checksum(reordered(value, draw)) == expected
    twice = [value, value]
    assert checksum(twice) == checksum([value, copy.deepcopy(value)])


@given(a=VALUES, b=VALUES)
def test_different_values_have_different_checksums(a: Any, b: Any) -> None:
    """Pairs that compare equal, such as 1 and 1.0, are not drawn."""
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
def test_type_shape_and_order_change_the_checksum(a: Any, b: Any) -> None:
    """The values print alike, have the same bytes, or compare equal."""
    assert checksum(a) != checksum(b)


@given(place=st.integers(0, 4_999), shape=st.sampled_from([(5_000,), (50, 100)]))
def test_each_element_of_a_large_array_counts(place: int, shape: tuple[int, ...]) -> None:
    """`repr` would show only three elements at each end."""
    array = np.arange(5_000.0).reshape(shape)
    other = array.copy()
    other.flat[place] += 1
    assert checksum(array) == checksum(array.copy())
    assert checksum(array) != checksum(other)
    assert checksum({"x": [array[::2]]}) == checksum({"x": [array.copy()[::2]]})


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_another_process_has_the_same_checksums(seed: str) -> None:
    """There sets of text have another order, and equal text is another object."""
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
def test_a_value_that_cannot_be_pickled_raises(value: Any, error: type[Exception]) -> None:
    """The preflight check reports the reason, and such answers are not checked."""
    with pytest.raises(error):
        checksum(value)
