"""Collects the data of the interactive charts, as the script of the page reads it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from lab.analysis.colours import colour_of, dark_colour_of
from lab.analysis.labels import MARKERS, REFERENCE, each, identify
from lab.analysis.queries import WithoutFaults
from lab.core.model import Flag, Status
from lab.figures import Tables, waits
from lab.report.answers.queries import by
from lab.report.features import features_of
from lab.report.first_screen import Strip
from lab.report.number_format import percent, plural, seconds

# The markers of the figures, in the names of Plotly.
SYMBOLS = dict(
    zip(
        MARKERS,
        (
            *("circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x"),
            *("triangle-left", "triangle-right", "pentagon", "hexagon", "star"),
            *("diamond-tall", "hexagon2", "octagon"),
        ),
        strict=True,
    )
)


def chart_data(tables: Tables, strips: Sequence[Strip]) -> dict[str, Any]:
    """Return the systems with their looks and features, and the charts with their points."""
    measures = [_measure(strip) for strip in strips]
    return {
        "systems": _systems(tables),
        "measures": measures,
        "waits": _waits(WithoutFaults(tables)),
    }


def _systems(tables: Tables) -> dict[str, dict[str, Any]]:
    """Return the systems by label."""
    trials = tables["trial"]
    trials = trials[trials["status"] != Status.SKIPPED]
    looks = {row.label: row for row in each(identify(tables["trial"]))}
    return {
        label: {
            "name": looks[label].name,
            "colours": [colour_of(looks[label].family), dark_colour_of(looks[label].family)],
            "symbol": SYMBOLS[looks[label].marker],
            "isReference": looks[label].family == REFERENCE,
            **asdict(features_of(label, set(rows["services"].fillna("")))),
        }
        for label, rows in by(trials.sort_values("label", kind="stable"), "label")
    }


def _measure(strip: Strip) -> dict[str, Any]:
    return {
        "name": strip.name,
        "title": strip.title,
        "place": strip.place,
        "unit": strip.unit,
        "points": [
            {
                "label": dot.label,
                "value": dot.value,
                "interval": dot.interval,
                "details": dot.details,
                "isDisturbed": dot.is_disturbed,
            }
            for dot in strip.dots
        ],
    }


def _waits(tables: Tables) -> dict[str, Any] | None:
    """Return the waits at each rate, at the place where most systems were measured."""
    frame = waits.data(tables)
    if frame.empty:
        return None
    means = frame[frame["kind"] != "trial"]
    place = means.groupby("panel", sort=False)["label"].nunique().idxmax()
    means = means[means["panel"] == place].sort_values("rate_hz", kind="stable")
    trials = frame[(frame["kind"] == "trial") & (frame["panel"] == place)]
    ids = trials.groupby(["label", "rate_hz"])["trial_id"].unique().to_dict()
    points = [_wait(mean, ids.get((mean.label, mean.rate_hz), ())) for mean in each(means)]
    return {"place": place, "percentile": means["percentile"].iloc[0], "points": points}


def _wait(mean: Any, ids: Iterable[str]) -> dict[str, Any]:
    has_interval = pd.notna(mean.low) and pd.notna(mean.high)
    interval = (float(mean.low), float(mean.high)) if has_interval else None
    details = [f"{mean.percentile} {mean.bound}{seconds(mean.y)} at {mean.rate_hz:g} tasks/s"]
    if interval:
        details.append(f"95 % interval {seconds(interval[0])} to {seconds(interval[1])}")
    is_disturbed = mean.kind == Flag.DISTURBED
    # No trial counts there, so the number is shown and not ranked (METHOD M23).
    details.append("disturbed" if is_disturbed else f"n = {plural(int(mean.n_trials), 'trial')}")
    details.append(str(mean.method))
    if mean.overloaded:
        details.append(f"the backlog grew in {percent(mean.overloaded)} of the trials")
    if ids := " ".join(ids):
        details.append(f"trials {ids}")
    return {
        "label": mean.label,
        "rate": float(mean.rate_hz),
        "value": float(mean.y),
        "interval": interval,
        "details": details,
        "isOverloaded": bool(mean.overloaded),
        "isDisturbed": is_disturbed,
    }
