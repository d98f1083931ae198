"""Writes the report page: one HTML file that needs no network and no other file."""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lab.analysis.environments import LabelledByEnvironment
from lab.analysis.parallel import MANY_TRIALS, parallel_map
from lab.analysis.queries import WithoutFaults, usable
from lab.core import files
from lab.core.cell import TOPOLOGY
from lab.core.defects import contained
from lab.core.errors import ResultsError
from lab.core.outcomes import Contract
from lab.figures import FIGURES, Chart, Picture, Tables, save
from lab.planning.commands import with_function
from lab.report import costs, overview, resources, scaling, sections
from lab.report.answers import answers
from lab.report.charts import chart_data
from lab.report.embedded_svg import data_uri
from lab.report.fault_results import RUNS_DOUBLED, RUNS_MISSED
from lab.report.fault_texts import sentence
from lab.report.faults import matrix
from lab.report.first_screen import first_screen
from lab.report.flag_reasons import flag_reasons
from lab.report.headlines import without_interval
from lab.report.load import grids
from lab.report.lost_tasks import lost_tasks
from lab.report.number_format import NOT_MEASURED, REFUSED, percent, plural
from lab.report.recommendation import HEADINGS, choices
from lab.report.run_tables import RunTables
from lab.report.schedules import COUNTS, schedules, shown_columns
from lab.report.summary import ABOVE, COLUMNS, Column, SummaryRow, summary
from lab.report.versions import version_tables
from lab.report.workflows import workflow_tables

PAGE = "report.html"
LATER = "The figures are drawn when the run ends."
LIBRARY = "vendor/plotly-basic.min.js"
SCRIPTS = ("state.js", "tables.js", "charts.js")
# One for all pages, because it keeps the compiled templates.
ENVIRONMENT = Environment(
    loader=PackageLoader("lab", "report"),
    autoescape=True,
    # A misspelt name in a template raises, instead of a silent gap in the page.
    undefined=StrictUndefined,
    trim_blocks=True,
)
Pictures: TypeAlias = Mapping[Chart, Picture | str | None]
"""Figure -> its picture, None if there is no data, or the reason if drawing failed."""


def write(tables: RunTables, unfinished: str = "", *, is_drawn: bool = True) -> Path:
    """Draw a run's figures into its folder and write its report page; return the page.

    Args:
        tables: The run.
        unfinished: For a run that is not complete: a sentence about its progress.
        is_drawn: Whether to draw the figures, which takes longer than all tables.

    Raises:
        ResultsError: The folder holds no campaign, or a table cannot be read.
    """
    folder = tables.folder
    # The store reads a missing table as an empty one, so any folder would get this far.
    if tables["campaign"].empty:
        raise ResultsError(
            f"{folder} is not a run folder. Pass one of results/runs, or create one: lab bench"
        )
    charts = list(FIGURES.values())
    pictures = draw_figures(tables, folder, charts) if is_drawn else dict.fromkeys(charts, LATER)
    return write_page(tables, pictures, folder, unfinished)


def draw_figures(tables: Tables, folder: Path, charts: Sequence[Chart]) -> Pictures:
    """Draw charts into the subfolder ``figures`` of a folder."""
    # A partial and no closure: `parallel_map` may have to pickle it for other processes.
    draw = partial(_drawn, tables=tables, folder=folder / "figures")
    # On all CPUs, numbers and figures of 10 million tasks took 38 s instead of 60 s. For a small
    # run, the start of the processes takes longer than they save.
    is_large = len(tables["trial"]) >= MANY_TRIALS
    return dict(zip(charts, parallel_map(draw, charts, side_by_side=is_large), strict=True))


def write_page(tables: Tables, pictures: Pictures, folder: Path, unfinished: str = "") -> Path:
    """Write the page for tables and figures into a folder, and return its path.

    Raises:
        ResultsError: The page cannot be written, or its path is a folder.
    """
    path = folder / PAGE
    # `put` follows no link: one in a foreign run would overwrite the file that it leads to.
    files.put(path, render(tables, pictures, unfinished).encode(), folder)
    return path


def _drawn(chart: Chart, tables: Tables, folder: Path) -> Picture | str | None:
    """Draw a figure; return the reason if a defect prevents it."""

    def draw() -> Picture | str | None:
        return save(chart, tables, folder)

    # A figure that fails prevents no page: its section has the reason instead.
    return contained(draw, str)


def render(tables: Tables, pictures: Pictures, unfinished: str = "") -> str:
    """Return the page's HTML; all text from data is escaped."""
    # Answers and the tables of the campaign read the column of the environment.
    labelled = LabelledByEnvironment(tables)
    trials, plain = labelled["trial"], WithoutFaults(labelled)
    # Numbers use `plain`, without trials of faults (METHOD M27); sections about attempts list all.
    rows, changes = summary(plain), sections.changes(plain)
    screen, squares = first_screen(labelled), matrix(labelled)
    of_functions = choices(plain)
    # As in the terminal: who measures a function of their own looks for it first.
    texts = [f"{choice.task}: {choice.answer}" for choice in of_functions]
    strips = [*screen.strips, *filter(None, [lost_tasks(labelled)])]
    return ENVIRONMENT.get_template("page.html.j2").render(
        campaign=tables["campaign"].iloc[-1].to_dict(),
        unfinished=unfinished,
        machine=sections.machine(tables),
        counts=sections.flag_counts(trials),
        verdicts=[*filter(None, [screen.verdict, *texts, squares and sentence(squares)])],
        first=replace(screen, strips=strips),
        contracts=[*Contract],
        chart_data=chart_data(labelled, strips),
        trial_of=_trials_to_reproduce(trials),
        function=with_function("", trials["workload"]),
        matrix=overview.lines(plain),
        matrix_columns=overview.COLUMNS,
        answers=answers(tables),
        faults=squares,
        missed=RUNS_MISSED,
        doubled=RUNS_DOUBLED,
        groups=_groups(rows),
        lacks_interval=without_interval(plain["estimate"], [c.metric for c in COLUMNS]),
        choices=of_functions,
        choice_headings=HEADINGS,
        shapes=workflow_tables(plain),
        steps=version_tables(WithoutFaults(tables)),
        baselines=sections.baselines(labelled),
        loads=grids(plain),
        **_grouped(plain),
        figures=[_figure(chart, picture) for chart, picture in pictures.items()],
        reasons=flag_reasons(trials),
        disturbances=sections.disturbances(trials),
        changes=changes,
        largest_change=percent(max((abs(c.ratio) for c in changes), default=0.0)),
        unusable=sections.unusable_attempts(labelled),
        settings=sections.settings(trials),
        environment=tables["environment"].to_dict("records"),
        not_measured=NOT_MEASURED,
        plural=plural,
        scripts=[_Script.of(LIBRARY), _Script.of(*SCRIPTS)],
    )


@dataclass(frozen=True, slots=True)
class _Script:
    """A script of the page.

    The page's policy allows only scripts with these hashes, so that text of a table cannot run.
    """

    text: Markup
    sha256: str

    @classmethod
    def of(cls, *names: str) -> _Script:
        """Return files of this package as one script."""
        folder = importlib.resources.files(__package__)
        text = "".join(folder.joinpath(name).read_text("utf-8") for name in names)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        return cls(Markup(text), digest)  # noqa: S704 (files of this package)


def _trials_to_reproduce(trials: pd.DataFrame) -> Mapping[str, str]:
    """Map each label to a trial of its smallest workload and topology; empty if none counts."""
    ordered = usable(trials).sort_values(["nominal_ns", "workload", "size", *TOPOLOGY])
    first = ordered.drop_duplicates("label")
    return defaultdict(str, zip(first["label"], first["trial_id"], strict=True))


def _grouped(tables: Tables) -> dict[str, Any]:
    """Return the tables that only some campaigns have, with their non-empty columns."""
    schedule_rows = schedules(tables)
    worker_rows = resources.resource_rows(tables)
    cost_rows = costs.costs(tables)
    return {
        "schedules": schedule_rows,
        "schedule_columns": shown_columns(schedule_rows),
        "counts_of_schedules": COUNTS,
        "worker_rows": worker_rows,
        "worker_columns": resources.shown_columns(worker_rows),
        "costs": cost_rows,
        "cost_columns": costs.shown_columns(cost_rows),
        "scaling_lines": scaling.scaling_lines(tables),
        "growth_columns": (scaling.RATE, *scaling.COLUMNS),
    }


@dataclass(frozen=True, slots=True)
class SummaryTable:
    """One table of the summary.

    Attributes:
        workload: The workload's name.
        columns: The columns with a number in any row.
        missing: Titles of the columns without one.
        refusals: Sentences: which number was refused, how often, and why.
        unbounded: Sentences: which reference was not measured (METHOD M18).
        is_marked: A throughput of the table has the mark of METHOD M19.
        topologies: The rows of each topology.
    """

    workload: str
    columns: Sequence[Column]
    missing: Sequence[str]
    refusals: Sequence[str]
    unbounded: Sequence[str]
    is_marked: bool
    topologies: Sequence[tuple[str, Sequence[SummaryRow]]]


def _groups(rows: Sequence[SummaryRow]) -> list[SummaryTable]:
    groups = []
    # `groupby` joins neighbours only; `summary` has sorted the rows by workload and topology.
    for workload, of_workload in groupby(rows, key=lambda row: row.workload):
        members = list(of_workload)
        # A refused number stays: it has a reason to show, and the run did measure it.
        empty = {c for c in COLUMNS if all(r.numbers[c.name].text == NOT_MEASURED for r in members)}
        columns = [column for column in COLUMNS if column not in empty]
        missing = [column.title for column in COLUMNS if column in empty]
        topologies = [(t, list(r)) for t, r in groupby(members, key=lambda row: row.topology)]
        shares = (row.numbers["of_reference"] for row in members)
        # Only a missing reference has a note: which backend to add to the command (METHOD M18).
        unbounded = sorted({s.note for s in shares if s.text == NOT_MEASURED and s.note})
        marked = any(ABOVE in row.numbers["throughput"].text for row in members)
        refusals = _refusals(columns, members)
        groups.append(
            SummaryTable(workload, columns, missing, refusals, unbounded, marked, topologies)
        )
    return groups


def _refusals(columns: Sequence[Column], rows: Sequence[SummaryRow]) -> list[str]:
    # One cause often refuses the numbers of many rows, so equal reasons are one sentence.
    counts = Counter(
        (column.title, number.note)
        for column in columns
        for number in (row.numbers[column.name] for row in rows)
        if number.text == REFUSED
    )
    return [f"{title}, {plural(n, 'time')}: {why}" for (title, why), n in counts.items()]


def _figure(chart: Chart, picture: Picture | str | None) -> dict[str, Any]:
    """Return the picture as a data URI; a figure that was not drawn has the reason instead."""
    facts = {"name": chart.name, "title": chart.title, "needs": chart.needs, "reason": ""}
    if picture is None:
        return {**facts, "source": ""}
    if isinstance(picture, str):
        return {**facts, "source": "", "reason": picture}
    svg = picture.stem.with_suffix(".svg")
    # The root is the run folder: no link at `figures` or below it is followed.
    text = files.read(svg, svg.parent.parent).decode()
    source = Markup(data_uri(text))  # noqa: S704 (it escapes what an attribute may not contain)
    return {**facts, "source": source, "caption": picture.caption}
