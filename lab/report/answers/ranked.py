"""Makes answers that list one metric of every label, the smallest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from lab.analysis.labels import each
from lab.figures import Tables
from lab.report.answers.answer import Sentence
from lab.report.answers.queries import cells, estimate_text

Answer = Callable[[Tables], Iterable[Sentence]]


def ranked(metric: str, words: str, write: Callable[[float], str]) -> Answer:
    """Return the answer that lists the estimates of a metric.

    Args:
        metric: The metric's name.
        words: Description of the metric; ``{param}`` is replaced by the size of the group or chain.
        write: Formats a value with its unit.
    """

    def answer(tables: Tables) -> Iterator[Sentence]:
        estimates = cells(tables, metric)
        # Unequal parameters, such as groups of 10 and of 100, are not ranked together; a null
        # parameter is a key, too, which pandas drops by default.
        for _, group in estimates.groupby(
            ["place", "arrival", "arrival_param"], dropna=False, sort=False
        ):
            order = group.sort_values("estimate")
            first = next(iter(each(order)))
            text = f"{first.place}, {words.format(param=first.arrival_param)}"
            yield Sentence(
                text, list(order["row"]), [estimate_text(row, write) for row in each(order)]
            )

    return answer


def together(*answers: Answer) -> Answer:
    """Return the answer that has the sentences of all of these answers."""
    return lambda tables: chain.from_iterable(answer(tables) for answer in answers)
