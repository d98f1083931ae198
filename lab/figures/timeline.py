"""Draws the course of a trial with a fault: tasks per second, the backlog, each hit and its end.

Each fault has one trial: of the first block, that of the label with the most harmed tasks, so that
the choice does not depend on what the curves look like.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lab.analysis.labels import each, identify_by_provider
from lab.analysis.queries import Tables, of_faults, usable, window_of
from lab.core.cell import CELL
from lab.core.faults import FaultKind
from lab.figures.chart import Chart
from lab.figures.theme import BAD, GOOD, QUIET, legend_below, panels

SHORTEST_BIN_S, MOST_BINS = 0.5, 150
MOST_PANELS = 8
HARMED = ["n_lost", "n_stuck", "n_lost_reported", "n_duplicated", "n_unknown", "n_re_executed"]
# Series -> colour and line; offered, started and finished also differ by their lines.
RATES = {"offered": (QUIET, ":"), "started": ("#56b4e9", "--"), "finished": ("#0072b2", "-")}
BACKLOG = "#e69f00"
EVENTS = {"hit": (BAD, "-"), "healed": (GOOD, "--"), "restarted": (GOOD, "--")}


def data(tables: Tables) -> pd.DataFrame:
    """Return the curves and events of the trials that are drawn.

    Returns:
        panel, the cell, trial_id, series (offered, started, finished, backlog, hit, healed or
        restarted), t_s (seconds since the start of the window), value (tasks per second, tasks, or
        the number of the hit), n_trials, n_noisy, method.
    """
    trials = of_faults(tables["trial"])
    parts = [] if trials.empty else [_curves(tables, t) for t in each(_chosen(trials))]
    columns = ["panel", *CELL, "trial_id", "series", "t_s", "value"]
    columns += ["n_trials", "n_noisy", "method"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _chosen(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that are drawn, with the name of their system."""
    names = identify_by_provider(trials)[["label", "provider", "name"]]
    named = usable(trials).merge(names, on=["label", "provider"])
    # The control has hits in its row as well, but nothing was hit (METHOD M27).
    is_hit = (named["n_hits"] > 0) & (named["fault"] != FaultKind.NONE)
    hit = named[is_hit & named["t_begin_ns"].notna()]
    hit = hit.assign(harmed=hit[HARMED].fillna(0).sum(axis=1))
    order = hit.sort_values(["block", "harmed", "label"], ascending=[True, False, True])
    return order.drop_duplicates("fault").sort_values("fault").head(MOST_PANELS)


def _curves(tables: Tables, trial: Any) -> pd.DataFrame:
    points = [*_rates(window_of(tables, trial), trial), *_events(tables["fault"], trial)]
    frame = pd.DataFrame(points, columns=["series", "t_s", "value"])
    return frame.assign(
        panel=f"{trial.name} under {trial.fault}",
        **{name: getattr(trial, name) for name in CELL},
        trial_id=trial.trial_id,
        n_trials=1,
        n_noisy=int(trial.flag == "noisy"),
        method="none, one trial is drawn",
    )


def _rates(tasks: pd.DataFrame, trial: Any) -> Iterator[tuple[str, float, float]]:
    """Yield tasks per second of each bin, and the backlog at its end.

    A task counts as finished once; every execution counts as started.
    """
    # A duplicated task leaves the backlog only once, so its first end counts.
    finished = tasks.groupby("task_id")["t4_ns"].min()
    # Every execution of a task has a row, and all of them have the same submit call.
    instants = {"offered": tasks.drop_duplicates("task_id")["t1_ns"], "started": tasks["t3_ns"]}
    known = {
        series: (values.dropna().to_numpy("float64") - trial.t_begin_ns) / 1e9
        for series, values in (instants | {"finished": finished}).items()
    }
    end_s = max((float(t_s.max()) for t_s in known.values() if t_s.size), default=0.0)
    bin_s = max(SHORTEST_BIN_S, end_s / MOST_BINS)
    # `arange` excludes its end; with two bins more the last task is inside the edges.
    edges = np.arange(0, end_s + 2 * bin_s, bin_s)
    counts = {series: np.histogram(t_s, edges)[0] for series, t_s in known.items()}
    for series, of_bins in counts.items():
        yield from zip([series] * of_bins.size, edges[:-1], of_bins / bin_s, strict=True)
    backlog = (counts["offered"] - counts["finished"]).cumsum()
    yield from zip(["backlog"] * backlog.size, edges[1:], backlog, strict=True)


def _events(hits: pd.DataFrame, trial: Any) -> Iterator[tuple[str, float, float]]:
    # A repeated trial has hits of each attempt.
    of_trial = hits[(hits["trial_id"] == trial.trial_id) & (hits["attempt"] == trial.attempt)]
    columns = {"hit": "injected_ns", "healed": "healed_ns", "restarted": "restarted_ns"}
    for row in each(of_trial):
        for series, column in columns.items():
            instant_ns = getattr(row, column)
            if not pd.isna(instant_ns):
                yield series, (instant_ns - trial.t_begin_ns) / 1e9, row.hit


def draw(frame: pd.DataFrame) -> Figure:
    """Draw two panels for each trial: tasks per second on the left, the backlog on the right."""
    titles = list(dict.fromkeys(frame["panel"]))
    figure, axes = panels(2 * len(titles), 2, (5.2, 2.5))
    for title, left, right in zip(titles, axes[::2], axes[1::2], strict=True):
        part = frame[frame["panel"] == title]
        for series, (colour, style) in RATES.items():
            rows = part[part["series"] == series]
            left.step(rows["t_s"], rows["value"], where="post", color=colour, linestyle=style)
        backlog = part[part["series"] == "backlog"]
        right.fill_between(backlog["t_s"], backlog["value"], color=BACKLOG, alpha=0.45, linewidth=0)
        right.plot(backlog["t_s"], backlog["value"], color=BACKLOG)
        for ax in (left, right):
            _mark(ax, part)
            ax.set(xlabel="seconds of the window", ylim=(0, None))
        left.set(ylabel="tasks per second", title=title)
        right.set(ylabel="unfinished tasks", title=" ")
    legend_below(figure, _legend(frame))
    return figure


def _mark(ax: Axes, part: pd.DataFrame) -> None:
    for event, (colour, style) in EVENTS.items():
        for t_s in part.loc[part["series"] == event, "t_s"]:
            ax.axvline(t_s, color=colour, linestyle=style, linewidth=1.2, zorder=1)
            if event == "hit":
                ax.plot(
                    t_s, 1, "v", color=colour, clip_on=False, transform=ax.get_xaxis_transform()
                )


def _legend(frame: pd.DataFrame) -> list[Line2D]:
    looks = {**RATES, "backlog": (BACKLOG, "-"), "hit": EVENTS["hit"], "end": EVENTS["healed"]}
    names = {"hit": "hit", "end": "healed or restarted"}
    has_end = frame["series"].isin(["healed", "restarted"]).any()
    handles = []
    for series, (colour, style) in looks.items():
        look: dict[str, Any] = {"color": colour, "linestyle": style}
        if series != "end" or has_end:
            marker = "v" if series == "hit" else ""
            handles.append(Line2D([], [], **look, marker=marker, label=names.get(series, series)))
    return handles


def caption(frame: pd.DataFrame) -> str:
    """Describe the curves and the choice of the trials."""
    trials = ", ".join(dict.fromkeys(frame["trial_id"]))
    return (
        "Tasks offered, started and finished per second, in bins of at least "
        f"{SHORTEST_BIN_S:g} s, and the tasks that were offered and had not finished. Vertical "
        "lines: a hit, and the instant at which its cause ended. For each fault the trial of the "
        "first block with the most tasks that were lost, stuck, run twice, unknown or executed "
        f"again: {trials}."
    )


TIMELINE = Chart(
    "timeline",
    "Course of a trial with a fault",
    "valid trial with a hit",
    data,
    draw,
    caption,
    has_faults=True,
)
