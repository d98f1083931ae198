"""Answers that tell one number of each system, the smallest first, wherever it was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from lab.analysis.labels import each
from lab.figures import Tables
from lab.report.answers.answer import Said
from lab.report.answers.queries import cells, told

Answer = Callable[[Tables], Iterable[Said]]


def ranked(metric: str, words: str, write: Callable[[float], str]) -> Answer:
    """Make the answer from the estimates of a metric.

    Args:
        metric: Its name.
        words: What it is of; ``{shape}`` stands for the size of a group, a chain, and the like.
        write: Writes its value with its unit.
    """

    def answer(tables: Tables) -> Iterator[Said]:
        found = cells(tables, metric)
        for _, group in found.groupby(["place", "arrival", "shape"], dropna=False, sort=False):
            order = group.sort_values("estimate")
            first = next(iter(each(order)))
            text = f"{first.place}, {words.format(shape=first.shape)}"
            yield Said(text, list(order["row"]), [told(row, write) for row in each(order)])

    return answer


def together(*answers: Answer) -> Answer:
    """Say what all of these say, one after the other."""
    return lambda tables: chain.from_iterable(answer(tables) for answer in answers)
