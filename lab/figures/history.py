"""The headline costs over the runs that were made on one machine with one set of software.

Their fingerprints are equal, so from run to run only the lab's own commit is another. Runs with
other software are other curves: asv's pages show them side by side.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.analysis.labels import identify
from lab.analysis.metrics.registry import CELL
from lab.analysis.queries import (
    OVERHEAD,
    TOPOLOGY,
    Tables,
    estimates,
    topology_names,
    workload_names,
)
from lab.figures.chart import Chart
from lab.figures.theme import (
    colour_of,
    engineering,
    label_handles,
    legend_below,
    logarithmic,
    panels,
)

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
    found = pd.concat([estimates(tables, metric) for metric in METRICS], ignore_index=True)
    about = tables["trial"].drop_duplicates(CELL)[[*CELL, *FACTS]]
    run = tables["campaign"].iloc[-1]
    commit = f"{str(run.git_commit)[:7] or 'no commit'}{'*' * (run.git_dirty == '1')}"
    run_of = {"campaign_id": run.campaign_id, "spec_hash": run.spec_hash}
    return found.merge(about, on=CELL).assign(**run_of, commit=commit, started=run.started_utc)


def data(tables: Tables) -> pd.DataFrame:
    """Estimates of this run and of the others (`earlier`), of what two runs or more measured."""
    own, others = of_run(tables), tables["earlier"]
    if own.empty or others.empty:
        return own.head(0)
    both = pd.concat([own, others], ignore_index=True)
    both = both.merge(identify(tables["trial"]), on="label")
    rates = both["rate_hz"].map(" at {:g}/s".format, na_action="ignore").astype("str").fillna("")
    both = both.assign(
        panel=both["metric"].map(dict(METRICS))
        + " · "
        + workload_names(both)
        + rates
        + ", "
        + topology_names(both)
        + both["n_planned"].map(", {:,} tasks".format)
    )
    both = both[both.groupby("panel")["campaign_id"].transform("nunique") > 1]
    order = {run: n for n, run in enumerate(_runs(both)["campaign_id"])}
    both = both.assign(x=both["campaign_id"].map(order))
    return both.sort_values(["metric", "nominal_ns", "workload", *TOPOLOGY, "x"], kind="stable")


def _runs(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop_duplicates("campaign_id").sort_values(["started", "campaign_id"])


def draw(frame: pd.DataFrame) -> Figure:
    """Draw a panel a number and place, a line a label, a step of x a run."""
    titles = list(dict.fromkeys(frame["panel"]))
    figure, axes = panels(len(titles), 2, (5.6, 3.2))
    for ax, title in zip(axes, titles, strict=True):
        part = frame[frame["panel"] == title]
        for _, own in part.groupby("name"):
            _draw_label(ax, own)
        _dress(ax, frame, title)
    legend_below(figure, label_handles(frame, sorted(set(frame["name"]))))
    return figure


def _draw_label(ax: Axes, own: pd.DataFrame) -> None:
    colour, marker = colour_of(own["family"].iloc[0]), own["marker"].iloc[0]
    ax.plot(own["x"], own["estimate"], marker, color=colour, linestyle="-", markersize=5)
    ax.vlines(own["x"], own["ci_low"], own["ci_high"], color=colour, linewidth=2)


def _dress(ax: Axes, frame: pd.DataFrame, title: str) -> None:
    runs = _runs(frame)
    ax.set_title(title, fontsize=8.5)
    ax.set_xticks(range(len(runs)), list(runs["commit"]), rotation=45, ha="right")
    ax.set_xlim(-0.5, len(runs) - 0.5)
    logarithmic(ax, "y")
    engineering(ax.yaxis, "s")


def caption(frame: pd.DataFrame) -> str:
    """Say what a step of x is, and what a star means."""
    text = (
        "Each step is a run, named by the lab's commit, the oldest first; all have one fingerprint "
        "of machine and software. Marks are the estimates of the runs, bars their intervals."
    )
    if frame["commit"].str.endswith("*").any():
        text += " A star: files differed from the commit."
    return text


OVER_TIME = Chart(
    "over_time",
    "Over time",
    "number that another run with the same fingerprint, beside it, measured too",
    data,
    draw,
    caption,
)
