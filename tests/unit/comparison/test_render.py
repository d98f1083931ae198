"""Tests the text of a comparison: intervals that are missing, and names from outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lab.comparison import render
from lab.comparison.compare import Change, compare
from lab.comparison.missing import more_blocks
from tests.unit.comparison.test_compare import side


@pytest.mark.parametrize(("blocks", "has_interval"), [(2, False), (4, False), (5, True)])
def test_too_few_blocks_are_named_with_the_number_needed(blocks: int, has_interval: bool) -> None:
    """A factor of 8 from two blocks is inconclusive, and the sentence says how many it takes."""
    one, eight = np.linspace(1.0, 1.1, blocks), np.linspace(8.0, 9.0, blocks)
    (number,) = compared = compare(side("a", one, "r", "a@x"), side("b", eight, "r", "b@x"))
    assert (number.change == Change.WORSE) == has_interval
    (row,) = render.rows(compared)
    sentence = render.verdict(compared, "a", "b")
    assert (f"{blocks} of 5 trials" in row[6]) != has_interval
    assert ("1 of them have no interval" in sentence and "--blocks 5" in sentence) != has_interval
    # The whole command, once if both sides are of one run.
    more = more_blocks(["lab bench -b a -b b", "lab bench -b a -b b", ""])
    sentence = render.verdict(compared, "a", "b", more)
    assert sentence.endswith(": lab bench -b a -b b --blocks 5") != has_interval
    # The sentence above the table has the reason once.
    assert ({"95 %", "p"} <= {*render.terminal(compared)[0]}) == has_interval


def test_markdown_escapes_names() -> None:
    """Markup in a label is shown as text in a pull request."""
    a, b = (side(n, np.full(8, float(v)), "r", "<img src=x>|@all") for n, v in (("a", 1), ("b", 2)))
    text = render.write([(a, replace(b, name="<b>"), compare(a, b))], "markdown")
    assert "<img" not in text
    assert "<b>" not in text
    assert "@all" not in text
    assert "&lt;img src=x>&#124;&#64;all" in text


def test_the_sentence_names_both_sides_in_the_order_of_the_command() -> None:
    """The first side is the baseline, and the counts describe the second."""
    a, b = (side(n, np.full(8, float(v)), "r", f"{n}@x") for n, v in (("rq", 1), ("pool", 2)))
    sentence = render.verdict(compare(a, b), "rq", "pool")
    assert sentence.startswith("From A = rq, the baseline, to B = pool: 1 worse, 0 better, 0 tie, ")
    back = render.verdict(compare(b, a), "pool", "rq")
    assert back.startswith("From A = pool, the baseline, to B = rq: 0 worse, 1 better, 0 tie, ")


def test_a_terminal_shows_no_column_that_is_equal_in_all_rows() -> None:
    """A column remains if it has two labels, or two numbers of cores."""
    one = compare(side("a", np.full(8, 1.0), "r"), side("b", np.full(8, 2.0), "r"))
    columns, rows = render.terminal(one)
    assert columns[:2] == ["metric", "workload"]
    assert not {"size", "label", "environment", "provider"} & {*columns}
    assert len(rows) == 1
    wider = replace(one[0], cell={**one[0].cell, "cores_per_node": 2})
    columns, rows = render.terminal([*one, wider])
    assert [row[columns.index("size")] for row in rows] == ["1x1, 1 worker", "1x2, 1 worker"]
    assert {*render.LEAST} <= {*columns, "label", "environment", "provider"}
