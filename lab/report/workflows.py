"""Groups, chains, priorities and retries: a table each, a row a system, what it promised first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.analysis.labels import each, identify
from lab.analysis.metrics.registry import CELL
from lab.core.model import Chained, FanOut, Ranked, Retried, Status
from lab.figures import Tables
from lab.report.summary import Column, Number, count_of, flags_of, headline, number_of


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one arrival: `title` names its `shape`; the first column ranks."""

    title: str
    columns: Sequence[Column]


def _question(kind: str, title: str, *columns: tuple[str, str, float]) -> tuple[str, Question]:
    return kind, Question(title, [Column(n, words, n, kind, by) for n, words, by in columns])


QUESTIONS: Mapping[str, Question] = dict(
    (
        _question(
            FanOut.kind,
            "Groups of {shape:g} tasks, joined by the system itself",
            ("group_s_p50", "submit to join p50 ms", 1e3),
            ("join_s_p50", "last task to join p50 ms", 1e3),
        ),
        _question(
            Chained.kind,
            "Chains of {shape:g} tasks",
            ("link_s_p50", "link to link p50 ms", 1e3),
            ("link_s_p90", "link to link p90 ms", 1e3),
            ("chain_s_p50", "submit to end p50 ms", 1e3),
            ("links_early", "links too early", 1.0),
        ),
        _question(
            Ranked.kind,
            "Priorities: {shape:g} urgent tasks behind others that wait",
            ("inversions", "pairs inverted %", 100.0),
        ),
        _question(
            Retried.kind,
            "Retries, promised after {shape:g} s",
            ("retry_late_s_p50", "late p50 ms", 1e3),
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Shaped:
    """One table of texts."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def shaped(tables: Tables) -> list[Shaped]:
    """Make the tables, in the order of `QUESTIONS`, the smallest number of each first.

    Args:
        tables: At least `trial` and `estimate`.
    """
    trials = tables["trial"]
    trials = trials[trials["arrival"].isin(QUESTIONS) & (trials["status"] != Status.SKIPPED)]
    named = trials.merge(identify(tables["trial"])[["label", "name"]], on="label")
    found = headline(tables["estimate"])
    made = []
    for kind, question in QUESTIONS.items():
        own = named[named["arrival"] == kind].sort_values(["shape", "workload"], kind="stable")
        for (shape, workload), same in own.groupby(["shape", "workload"], sort=False):
            cells = [list(each(cell)) for _, cell in same.groupby(CELL, dropna=False, sort=False)]
            rows = sorted((_row(cell, question, found) for cell in cells), key=lambda row: row[0])
            headings = [column.title for column in question.columns]
            title = f"{question.title.format(shape=shape)} ({workload})"
            headings = ["label", "cores x nodes", *headings, "lost", "duplicated", "flags"]
            made.append(Shaped(title, headings, [texts for _, texts in rows]))
    return made


def _row(
    cell: Sequence[Any], question: Question, found: Mapping[Any, Any]
) -> tuple[float, Sequence[str]]:
    """Return what ranks one system at one topology, and the texts of its row."""
    numbers = [number_of(list(cell), found, column) for column in question.columns]
    first, ranked_by = cell[0], numbers[0].value
    counts = count_of(list(cell), "n_lost", "n_partial"), count_of(list(cell), "n_duplicated")
    texts = [
        first.name,
        f"{first.cores_per_node} x {first.nodes}",
        *map(_text, numbers),
        *(count.text for count in counts),
        flags_of(list(cell)),
    ]
    return float("inf") if ranked_by is None else ranked_by, texts


def _text(number: Number) -> str:
    return f"{number.text} ({number.interval})" if number.interval else number.text
