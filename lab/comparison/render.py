"""Formats a comparison as a table, as Markdown for a pull request, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from lab.analysis.statistics import INTERVAL_FLOOR
from lab.analysis.sweeps.grouping import noun_of
from lab.comparison.compare import Change, MetricChange
from lab.comparison.inputs import Side
from lab.core.cell import CONDITIONS
from lab.core.printable import printable

# Of these, a terminal leaves out the first that do not fit, and the others with one value only.
LEAST = ("trials", "p", "95 %", "provider", "environment", "label", "A", "B", "size")
COLUMNS = ("label", "cell", "metric", "A", "B", "B / A", "95 %", "p", "verdict")
FORMATS = ("table", "markdown", "json")
# Units for seconds, from the largest; the first that is not above the value is used.
SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def terminal(compared: Sequence[MetricChange]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows for a terminal, without columns that say the same of every row."""
    table = pd.DataFrame(
        [
            {
                "metric": number.metric,
                "workload": _work(number.cell),
                "size": _size(number.cell),
                "label": number.label,
                "environment": number.cell.get("environment", ""),
                "provider": number.cell["provider"],
                "A": row[3],
                "B": row[4],
                "B / A": row[5],
                "verdict": row[8],
                "95 %": row[6],
                "p": row[7],
                "trials": f"{number.n_a} | {number.n_b}",
            }
            for number, row in zip(compared, rows(compared), strict=True)
        ]
    )
    same = [
        name for name in ("size", "label", "environment", "provider") if len(set(table[name])) == 1
    ]
    if all(number.ratio.low is None for number in compared):
        same += ["95 %", "p"]  # the sentence above the table has the reason
    shown = table.drop(columns=same)
    return [*shown.columns], shown.to_numpy().tolist()


def unjudged(
    compared: Sequence[MetricChange], a: Side, b: Side
) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows without verdicts; numbers of disturbed trials are in brackets."""
    columns, cells = terminal(compared)
    judged = ["verdict", "95 %", "p"]
    table = pd.DataFrame(cells, columns=columns).drop(columns=judged, errors="ignore")
    marked = [name for name, side in (("A", a), ("B", b)) if len(side.disturbed)]
    for name in [*marked, "B / A"]:
        table[name] = "(" + table[name] + ")"
    return [*table.columns], table.to_numpy().tolist()


def rows(compared: Sequence[MetricChange]) -> list[tuple[str, ...]]:
    """Return one row per compared metric."""
    return [_row(number) for number in compared]


def _row(number: MetricChange) -> tuple[str, ...]:
    ratio = number.ratio
    too_few = f"none: {ratio.n} of {INTERVAL_FLOOR} trials a side"
    ends = too_few if ratio.low is None else f"{ratio.low:.3f} .. {ratio.high:.3f}"
    trials = f"{number.n_a} | {number.n_b} trials"
    return (
        number.label,
        f"{_cell(number.cell)}, {trials}",
        number.metric,
        _quantity(number.a, number.unit),
        _quantity(number.b, number.unit),
        f"{ratio.value:.3f}",
        ends,
        f"{number.p:.3f}",
        number.change,
    )


def _cell(cell: dict[str, Any]) -> str:
    nodes, cores, workers = (cell[f"{n}"] for n in ("nodes", "cores_per_node", "workers_per_node"))
    quota = f" of {cell['quota_cpus']:g} CPUs" if cell["quota_cpus"] else ""
    of_cores = f"{nodes} x {cores} {noun_of('cores', cores)}{quota}"
    of_workers = f"{nodes * workers} {noun_of('workers', nodes * workers)}"
    of_drivers = f", {cell['drivers']} drivers" if cell["drivers"] > 1 else ""
    # The compared column is not part of the cell.
    further = "".join(f", {name} {cell[name]}" for name in CONDITIONS if cell.get(name))
    return f"{_work(cell)}, {of_cores}, {of_workers}{of_drivers}, {cell['provider']}{further}"


def _work(cell: dict[str, Any]) -> str:
    rate = "" if pd.isna(cell["rate_hz"]) else f" at {cell['rate_hz']:g}/s"
    size = f":{cell['size']}" if cell["size"] else ""
    return f"{cell['workload']}{size} {cell['arrival']}{rate}"


def _size(cell: dict[str, Any]) -> str:
    nodes, cores, workers = (cell[f"{n}"] for n in ("nodes", "cores_per_node", "workers_per_node"))
    quota = f" of {cell['quota_cpus']:g}" if cell["quota_cpus"] else ""
    return f"{nodes}x{cores}{quota}, {nodes * workers} {noun_of('workers', nodes * workers)}"


def _quantity(value: float, unit: str) -> str:
    if unit != "s":
        return f"{value:.3g} {unit}"
    scale, name = next((s for s in SCALES if value >= s[0]), SCALES[-1])
    return f"{value / scale:.3g} {name}"


def verdict(compared: Sequence[MetricChange], a: str, b: str, more: str = "") -> str:
    """Return a sentence with both sides, and the number of metrics that changed from A to B.

    `more` is the command that measures enough blocks for an interval; empty if it is not known.
    """
    count = {change: sum(n.change == change for n in compared) for change in Change}
    counts = ", ".join(f"{n} {change}" for change, n in count.items())
    sentence = (
        f"From A = {a}, the baseline, to B = {b}: {counts}; p is corrected for {len(compared)} "
        "comparisons (Holm)."
    )
    if unequal := [n for n in compared if n.n_a != n.n_b]:
        sentence += (
            f" In {len(unequal)} of them A and B have different numbers of trials, such as "
            f"{unequal[0].n_a} and {unequal[0].n_b}."
        )
    if few := sum(number.ratio.low is None for number in compared):
        sentence += (
            f" {few} of them have no interval, which needs {INTERVAL_FLOOR} trials on each side. "
            f"Measure more blocks: {more or f'a new run with --blocks {INTERVAL_FLOOR}'}"
        )
    return sentence


def markdown(compared: Sequence[MetricChange], a: str, b: str) -> str:
    """Return Markdown for a pull request: the sentence, the changes, and the rest collapsed."""
    moved = [n for n in compared if n.change in {Change.WORSE, Change.BETTER}]
    rest = [n for n in compared if n not in moved]
    parts = [f"**{_escaped(verdict(compared, a, b))}**"]
    if moved:
        parts.append(_table(moved))
    if rest:
        parts.append(f"<details><summary>{len(rest)} without a change</summary>\n\n{_table(rest)}")
        parts.append("</details>")
    return "\n\n".join(parts)


def _table(compared: Sequence[MetricChange]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows(compared)]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in line)} |" for line in lines)


def _escaped(text: str) -> str:
    """Escape characters that Markdown would read as a table border, a tag or a mention."""
    # The ampersand comes first, because the other replacements contain one.
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), ("|", "&#124;"), ("@", "&#64;")):
        text = text.replace(sign, written)
    return printable(text, keep="")


def as_json(compared: Sequence[MetricChange], a: str, b: str) -> str:
    """Return the names of both sides and every compared metric as JSON."""
    numbers = [asdict(number) for number in compared]
    for number in numbers:
        # JSON has no nan, and `json` refuses the number types of numpy.
        number["cell"] = {k: None if pd.isna(v) else _plain(v) for k, v in number["cell"].items()}
    return json.dumps({"a": a, "b": b, "compared": numbers}, indent=1)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def write(comparisons: Sequence[tuple[Side, Side, list[MetricChange]]], form: str) -> str:
    """Return comparisons in the format ``"markdown"`` or ``"json"``; several are a JSON list."""
    texts = [
        {"markdown": markdown, "json": as_json}[form](compared, a.name, b.name)
        for a, b, compared in comparisons
    ]
    if form == "json" and len(texts) > 1:
        return f"[{','.join(texts)}]"
    return "\n\n".join(texts)
