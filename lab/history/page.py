"""Renders the page of change points: one HTML file without scripts or external assets."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from lab.core import files
from lab.history.change_points import ChangePoints, SeriesChange, verdict
from lab.history.detectors import ALARM_FROM, LEVEL
from lab.host.repository import web_address
from lab.results import formats

PAGE, TABLE = "change-points.html", "changepoint"
WIDTH, HEIGHT = 160.0, 36.0


def write(steps: ChangePoints, folder: Path, repository: Path) -> Path:
    """Write the page and its table of change points into `folder`; return the page's path.

    Raises:
        ResultsError: The folder cannot be written.
    """
    table, page = folder / f"{TABLE}.csv", folder / PAGE
    rows = formats.to_csv(TABLE, [change.row for change in steps.changes], table, header=True)
    files.put(table, rows, folder.parent)
    files.put(page, render(steps, commit_address(repository)).encode(), folder.parent)
    return page


def render(steps: ChangePoints, commits: str) -> str:
    """Return the page's HTML; `commits` is the address to which a hash is appended, or empty."""
    # Labels and machines come from files, so they are text and never markup.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        resources.files(__package__).joinpath("page.html.j2").read_text("utf-8")
    )
    worse = [change for change in steps.changes if change.row.magnitude > 0]
    better = [change for change in steps.changes if change.row.magnitude <= 0]
    return template.render(
        steps=steps,
        verdict=verdict(steps),
        parts=[("Costs more", worse), ("Costs less", better)],
        commits=commits,
        alarm_from=ALARM_FROM,
        least=LEVEL,
        level=_level,
        curve=_curve,
        width=WIDTH,
        height=HEIGHT,
    )


def commit_address(repository: Path) -> str:
    """Return the address of commit pages if the checkout's origin is a forge, else empty."""
    address = web_address(repository)
    return f"{address}/commit/" if address else ""


def _level(value: float, unit: str) -> str:
    if unit != "seconds":
        return f"{value:.3g} {unit}"
    scale, name = next(
        (s for s in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")) if value >= s[0]), (1e-9, "ns")
    )
    return f"{value / scale:.3g} {name}"


def _curve(change: SeriesChange) -> Sequence[tuple[float, float]]:
    """Return the curve's points in a box of `WIDTH` x `HEIGHT`, with zero at the bottom."""
    # The axis begins at zero, so that a small change does not look large.
    top, last = max(change.values), max(1, len(change.values) - 1)
    margin = 3.0
    return [
        (
            round(margin + (WIDTH - 2 * margin) * place / last, 1),
            round(HEIGHT - margin - (HEIGHT - 2 * margin) * value / top, 1),
        )
        for place, value in enumerate(change.values)
    ]
