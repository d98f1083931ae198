"""Answers which systems are first among those that promise the same about a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from lab.analysis.contracts import by_contract, in_title
from lab.analysis.labels import REFERENCE, each
from lab.analysis.queries import THROUGHPUT
from lab.core.model import Burst, Paced
from lab.figures import Tables
from lab.report.answers.answer import Sentence
from lab.report.answers.queries import cells, estimate_text, main_place
from lab.report.number_format import digits, seconds


class _Ranking(NamedTuple):
    """A metric by which systems are ranked, and how its values are written."""

    metric: str
    arrival: str
    title: str
    is_low_best: bool
    write: Callable[[float], str]


RANKINGS = (
    _Ranking(THROUGHPUT, Burst.kind, "tasks per second", is_low_best=False, write=digits),
    _Ranking("queue_latency_s_p50", Paced.kind, "median wait", is_low_best=True, write=seconds),
)


def among_equals(tables: Tables) -> Iterator[Sentence]:
    """Rank the systems of each contract, at the place where most of them were measured."""
    for ranking in RANKINGS:
        estimates = cells(tables, ranking.metric)
        estimates = estimates[estimates["arrival"] == ranking.arrival]
        systems = estimates[estimates["family"] != REFERENCE]
        for contract, labels in by_contract(dict.fromkeys(systems["label"])).items():
            rows = systems[systems["label"].isin(labels)]
            rows = rows[rows["place"] == main_place(rows)].drop_duplicates("label")
            rows = rows.sort_values("estimate", ascending=ranking.is_low_best, kind="stable")
            parts = [estimate_text(row, ranking.write) for row in each(rows)]
            text = f"{ranking.title}, {rows['place'].iloc[0]}"
            yield Sentence(f"{in_title(contract)}, {text}", list(rows["row"]), parts)
