"""Draws the headline costs over all runs with the same machine and software.

The fingerprints of these runs are equal, so only the commit of the lab differs between them. The
asv pages show runs with other software side by side.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.analysis.colours import colour_of
from lab.analysis.labels import identify
from lab.analysis.queries import (
    OVERHEAD,
    Tables,
    estimates,
    topology_names,
    workload_names,
)
from lab.core.cell import CELL, TOPOLOGY
from lab.figures.chart import Chart
from lab.figures.theme import engineering, label_handles, legend_below, logarithmic, panels

# Only metrics in seconds, because one unit labels every y axis.
METRICS: Mapping[str, str] = {
    OVERHEAD: "overhead per task",
    "queue_latency_s_p50": "median queue latency",
    "round_trip_s_p50": "median round trip",
}
FACTS = ["size_unit", "nominal_ns"]


def of_run(tables: Tables) -> pd.DataFrame:
    """Return the headline estimates of one run, with its commit and its start.

    Returns:
        Columns of `estimate` and `FACTS`, and campaign_id, spec_hash, commit, started.
    """
    headline = pd.concat([estimates(tables, metric) for metric in METRICS], ignore_index=True)
    cell_facts = tables["trial"][[*CELL, *FACTS]].drop_duplicates(CELL)
    run = tables["campaign"].iloc[-1]
    # A campaign outside a git repository runs without a commit, and has a history all the same.
    commit = f"{str(run.git_commit)[:7] or 'no commit'}{'*' * (run.git_dirty == '1')}"
    run_of = {"campaign_id": run.campaign_id, "spec_hash": run.spec_hash}
    return headline.merge(cell_facts, on=CELL).assign(
        **run_of, commit=commit, started=run.started_utc
    )


def data(tables: Tables) -> pd.DataFrame:
    """Return the estimates of this run and of `earlier` runs, for cells that two or more have."""
    current, earlier = of_run(tables), tables["earlier"]
    if current.empty or earlier.empty:
        return current.head(0)
    both = pd.concat([current, earlier], ignore_index=True)
    both = both.merge(identify(tables["trial"]), on="label")
    rates = both["rate_hz"].map(" at {:g}/s".format, na_action="ignore").astype("str").fillna("")
    both = both.assign(
        # The name holds the rate and the number of tasks, so that no line joins different cells.
        panel=both["metric"].map(dict(METRICS))
        + " · "
        + workload_names(both)
        + rates
        + ", "
        + topology_names(both)
        + both["n_planned"].map(", {:,} tasks".format)
    )
    both = both[both.groupby("panel")["campaign_id"].transform("nunique") > 1]
    # The key is the run, not the commit: one commit may have several runs.
    order = {run: n for n, run in enumerate(_runs(both)["campaign_id"])}
    both = both.assign(x=both["campaign_id"].map(order))
    return both.sort_values(["metric", "nominal_ns", "workload", *TOPOLOGY, "x"], kind="stable")


def _runs(frame: pd.DataFrame) -> pd.DataFrame:
    # Starts are stored in whole seconds, so two may be equal; the id then decides the order.
    return frame.drop_duplicates("campaign_id").sort_values(["started", "campaign_id"])


def draw(frame: pd.DataFrame) -> Figure:
    """Draw one panel per metric and cell, one line per label; each step of x is one run."""
    titles = list(dict.fromkeys(frame["panel"]))
    figure, axes = panels(len(titles), 2, (5.6, 3.2))
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        for _, rows in part.groupby("name"):
            _draw_label(ax, rows)
        _dress(ax, frame, title)
    legend_below(figure, label_handles(frame, sorted(set(frame["name"]))))
    return figure


def _draw_label(ax: Axes, rows: pd.DataFrame) -> None:
    colour, marker = colour_of(rows["family"].iloc[0]), rows["marker"].iloc[0]
    ax.plot(rows["x"], rows["estimate"], marker, color=colour, linestyle="-", markersize=5)
    ax.vlines(rows["x"], rows["ci_low"], rows["ci_high"], color=colour, linewidth=2)


def _dress(ax: Axes, frame: pd.DataFrame, title: str) -> None:
    runs = _runs(frame)
    # These titles name a whole cell and are longer than those of other figures.
    ax.set_title(title, fontsize=8.5)
    ax.set_xticks(range(len(runs)), list(runs["commit"]), rotation=45, ha="right")
    ax.set_xlim(-0.5, len(runs) - 0.5)
    logarithmic(ax, "y")
    engineering(ax.yaxis, "s")


def caption(frame: pd.DataFrame) -> str:
    """Describe the x axis and the star."""
    text = (
        "Each step is one run, labelled with the commit of the lab, the oldest first; all runs "
        "have the same fingerprint of machine and software. Marks are estimates."
    )
    if frame["commit"].str.endswith("*").any():
        text += " A star marks a run with uncommitted changes."
    return text


OVER_TIME = Chart(
    "over_time",
    "History of the runs",
    "metric that another run in this folder, with the same fingerprint, measured too",
    data,
    draw,
    caption,
)
