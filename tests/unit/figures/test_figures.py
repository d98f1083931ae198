"""Tests figures: they show the distribution and their provenance, and only measured data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from PIL import Image

from lab.analysis.colours import colour_of
from lab.analysis.metrics.registry import METRICS
from lab.analysis.queries import OVERHEAD, THROUGHPUT, Tables, topology_names, trial_values
from lab.analysis.statistics import sample_floor
from lab.figures import FIGURES, Picture, draw, save, write
from lab.figures.provenance import REQUIRED, facts, sentence
from tests.factories.campaigns import LOST_EVERY, SMALL, campaign

SMOKE = replace(SMALL, systems=SMALL.systems[-1:], workloads=("noop",), blocks=3, rates_hz=())


@pytest.fixture(scope="module")
def tables(synthetic: Tables) -> Tables:
    """Return a campaign of few backends that has data for every figure."""
    return synthetic


@pytest.fixture(scope="module")
def saved(pictures: Mapping[str, Picture]) -> Mapping[str, Picture]:
    """Return every figure of that campaign."""
    return pictures


def test_the_metrics_that_figures_read_exist() -> None:
    """A renamed metric would give an empty figure."""
    assert {THROUGHPUT, OVERHEAD} <= set(METRICS)


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_has_its_provenance(name: str, saved: Mapping[str, Picture]) -> None:
    """Files and caption contain n, the interval's method and the plan's hash (METHOD M34)."""
    picture = saved[name]
    assert all(picture.metadata[key] for key in REQUIRED)
    with Image.open(picture.stem.with_suffix(".png")) as image:
        assert {key: image.info[key] for key in picture.metadata} == picture.metadata
    svg = picture.stem.with_suffix(".svg").read_text(encoding="utf-8")
    description = re.search(r"<dc:description>(.*?)</dc:description>", svg, re.DOTALL)
    assert description is not None
    assert json.loads(description[1]) == picture.metadata
    assert f"n = {picture.metadata['n_trials']} trials" in picture.caption
    words = (picture.metadata["ci_method"], "No interval: ")
    assert any(word in picture.caption for word in words)
    assert ("Bars are intervals" in picture.caption) == (
        picture.metadata["n_bars"] not in {"", "0"}
    )


@pytest.mark.parametrize("name", FIGURES)
def test_a_picture_is_drawn_from_the_csv_beside_it(
    name: str, saved: Mapping[str, Picture], tmp_path: Path
) -> None:
    """The CSV gives the same picture byte for byte, without a date and without new settings."""
    first, before = saved[name], dict(mpl.rcParams)
    again = replace(first, stem=tmp_path / "again")
    write(draw(FIGURES[name], pd.read_csv(first.stem.with_suffix(".csv"))), again)
    for suffix in (".svg", ".png"):
        data = first.stem.with_suffix(suffix).read_bytes()
        assert again.stem.with_suffix(suffix).read_bytes() == data
        assert b"<dc:date>" not in data
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", FIGURES)
def test_without_data_nothing_is_drawn(name: str, tables: Tables, tmp_path: Path) -> None:
    """Without a usable trial there is no picture and no file."""
    bad = {**tables, "trial": tables["trial"].assign(flag="invalid")}
    bad["estimate"] = tables["estimate"].assign(estimate=float("nan"))
    assert save(FIGURES[name], bad, tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_every_usable_trial_is_a_point(tables: Tables) -> None:
    """Noisy trials are drawn, disturbed trials are not."""
    data = FIGURES["scaling"].data(tables)
    shown = data[data["kind"] == "trial"]
    trials = tables["trial"]
    burst = trials[(trials["arrival"] == "burst") & (trials["flag"] != "disturbed")]
    assert set(shown["trial_id"]) == set(burst["trial_id"])
    assert (shown["flag"] == "noisy").any()
    assert (trials["flag"] == "disturbed").any()


def test_only_the_last_attempt_counts(tables: Tables) -> None:
    """A repeated trial is one point, from its last attempt."""
    trials, metrics = tables["trial"], tables["metric"]
    again = {
        **tables,
        "trial": pd.concat([trials, trials.assign(attempt=2)]),
        "metric": pd.concat([metrics, metrics.assign(attempt=2, value=1.0)]),
    }
    values = trial_values(again, THROUGHPUT)
    assert values["trial_id"].is_unique
    assert set(values["value"]) == {1.0}


def dotted(ax: Axes) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Return the dotted lines of a panel: x, y, colour."""
    return [
        (np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), to_hex(line.get_color()))
        for line in ax.get_lines()
        if line.get_linestyle() == ":"
    ]


def test_the_ideal_line_starts_at_the_labels_first_value(tables: Tables) -> None:
    """Perfect scaling is the label's throughput on one core times the cores (METHOD M20)."""
    data = FIGURES["scaling"].data(tables)
    cells = data[(data["kind"] == "estimate") & (data["workload"] == "noop")]
    first = cells[(cells["name"] == "thread-pool") & (cells["x"] == 1)]["y"].iloc[0]
    absolute, relative = draw(FIGURES["scaling"], data).axes[:2]
    ideal = next(y for _, y, colour in dotted(absolute) if colour == colour_of("threads"))
    assert ideal == pytest.approx([first, 2 * first])
    ((x, y, _),) = dotted(relative)
    assert y == pytest.approx(x)


def test_one_size_has_no_scaling() -> None:
    """With a single number of cores, panel and caption state that there is no scaling."""
    data = FIGURES["scaling"].data(campaign(replace(SMOKE, cores=(1,))))
    figure = draw(FIGURES["scaling"], data)
    assert {text.get_text() for text in figure.axes[1].texts} == {
        "only one size was measured: no scaling to show"
    }
    assert "no scaling to show" in FIGURES["scaling"].caption(data)


def test_points_under_a_quota_are_hollow() -> None:
    """The caption and the topology's name state the quota."""
    tables = dict(campaign(SMOKE))
    tables["trial"] = tables["trial"].assign(node_mode="quota", quota_cpus=0.5)
    tables["estimate"] = tables["estimate"].assign(quota_cpus=0.5)
    data = FIGURES["scaling"].data(tables)
    marks = [
        line
        for line in draw(FIGURES["scaling"], data).axes[0].get_lines()
        # Marks of trials are faint.
        if line.get_marker() == "o" and line.get_alpha() is None
    ]
    assert {mark.get_markerfacecolor() for mark in marks} == {"white"}
    assert "CPU quota" in FIGURES["scaling"].caption(data)
    named = topology_names(tables["trial"].assign(drivers=3)).iloc[0]
    assert named == "1 node of 0.5 CPUs, 1 core, 1 worker, 3 drivers"


def test_oversubscribed_points_are_hollow() -> None:
    """Points that need more cores than the machine has are hollow, and the caption explains it."""
    data = FIGURES["scaling"].data(campaign(replace(SMOKE, cores=(1, 2, 4))))
    faces = {
        round(float(np.asarray(line.get_xdata())[0])): line.get_markerfacecolor()
        for line in draw(FIGURES["scaling"], data).axes[0].get_lines()
        if line.get_marker() == "o" and line.get_color() == colour_of("rq")
    }
    assert faces == {1: colour_of("rq"), 2: colour_of("rq"), 4: "white"}
    assert "Hollow marks" in FIGURES["scaling"].caption(data)


def test_axes_are_not_mixed(tables: Tables) -> None:
    """Workers at fixed cores, and cores at fixed workers per core, have separate panels."""
    trials = tables["trial"]
    more = trials.assign(workers_per_node=4, trial_id="more" + trials["trial_id"])
    estimates, metrics = tables["estimate"], tables["metric"]
    both = {
        **tables,
        "trial": pd.concat([trials, more]),
        "metric": pd.concat([metrics, metrics.assign(trial_id="more" + metrics["trial_id"])]),
        "estimate": pd.concat([estimates, estimates.assign(workers_per_node=4)]),
    }
    noop = FIGURES["scaling"].data(both).query("workload == 'noop'")
    held = ("1 worker per core", "1 core", "2 cores")
    assert set(noop["panel"]) == {f"noop · strong: {each}, 60 tasks" for each in held}
    fixed = noop[noop["axis"] == "workers"].groupby("panel")["cores_per_node"].nunique()
    assert (fixed == 1).all()


def test_unstarted_tasks_keep_a_curve_below_one(tables: Tables) -> None:
    """Tasks that never started count in the latency curve (METHOD M6)."""
    data = FIGURES["latency"].data(tables)
    tops = data[data["kind"] == "curve"].groupby("name")["fraction"].max()
    lost = (SMALL.paced_tasks // LOST_EVERY) / SMALL.paced_tasks
    assert tops["rq"] == pytest.approx(1 - lost)
    assert tops["inline"] == 1
    assert "never started" in FIGURES["latency"].caption(data)


def test_latency_is_of_paced_arrivals_only(tables: Tables) -> None:
    """The waits of a burst are not latencies (METHOD M6)."""
    burst = {**tables, "trial": tables["trial"].assign(arrival="burst")}
    assert FIGURES["latency"].data(burst).empty
    assert set(FIGURES["latency"].data(tables)["arrival"]) == {"paced"}


def test_the_latency_curve_matches_the_tasks(tables: Tables) -> None:
    """Median and maximum of the curve equal those of the tasks' waits."""
    data = FIGURES["latency"].data(tables)
    curve = data[(data["kind"] == "curve") & (data["name"] == "inline")]
    trials = tables["trial"]
    paced = trials[(trials["label"] == "inline[call]@default") & (trials["arrival"] == "paced")]
    paced = paced[paced["flag"] != "disturbed"]
    tasks = tables["task"][tables["task"]["trial_id"].isin(paced["trial_id"])]
    waits = (tasks["t3_ns"] - tasks["t0_ns"]).astype(float) / 1e9
    middle = float(np.interp(0.5, curve["fraction"], curve["latency_s"]))
    assert middle == pytest.approx(waits.median(), rel=0.01)
    assert curve["latency_s"].max() == pytest.approx(waits.max())


@pytest.mark.parametrize("n", [sample_floor(99) - 1, sample_floor(99)])
def test_percentiles_are_marked_only_if_each_trial_supports_them(n: int) -> None:
    """There is no p99 below its sample floor, for any number of trials (METHOD M11, KAT-7)."""
    one = replace(SMALL, systems=SMALL.systems[:1], workloads=("noop",), paced_tasks=n)
    data = FIGURES["latency"].data(campaign(one))
    marks = set(data[data["kind"] == "mark"]["fraction"])
    assert marks == ({0.5, 0.9, 0.99} if n >= sample_floor(99) else {0.5, 0.9})


def test_a_percentile_among_unfinished_tasks_is_not_marked(tables: Tables) -> None:
    """Two percent of the tasks never started, so the p99 is unknown."""
    data = FIGURES["latency"].data(tables)
    marks = data[(data["kind"] == "mark") & (data["name"] == "rq")]
    assert set(marks["fraction"]) == {0.5, 0.9}


def test_few_trials_have_a_range_and_no_interval() -> None:
    """Three trials have points and a range; the caption says so, and speaks of no bars."""
    tables = campaign(SMOKE)
    data = FIGURES["overhead"].data(tables)
    assert data["low"].isna().all()
    assert data["high"].isna().all()
    assert "range of the trials" in FIGURES["overhead"].caption(data)
    words = sentence(facts("overhead", data, tables))
    assert "No interval: 3 of the 5 blocks that it needs." in words
    assert "ars are intervals" not in f"{words}{FIGURES['overhead'].caption(data)}"


def test_a_dashed_line_is_the_plain_call(tables: Tables) -> None:
    """The line is at the overhead of the plain function call."""
    data = FIGURES["overhead"].data(tables)
    inline = data[(data["kind"] == "estimate") & (data["name"] == "inline")].iloc[0]
    panel = draw(FIGURES["overhead"], data).axes[0]
    (line,) = [line for line in panel.get_lines() if line.get_linestyle() == "--"]
    assert set(np.asarray(line.get_xdata())) == {inline["y"]}


def test_the_cheapest_is_at_the_top(tables: Tables) -> None:
    """Labels are sorted by their overhead in the first panel."""
    figure = draw(FIGURES["overhead"], FIGURES["overhead"].data(tables))
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["inline", "thread-pool", "rq"]
    low, high = figure.axes[0].get_ylim()
    assert low > high


def test_values_outside_a_logarithmic_axis_are_counted(tables: Tables) -> None:
    """Overheads at or below zero have an arrowhead and are counted in the caption."""
    data = FIGURES["overhead"].data(tables)
    below = data.assign(y=data["y"].where(data["name"] != "inline", -1e-6))
    lines = [line for ax in draw(FIGURES["overhead"], below).axes for line in ax.get_lines()]
    assert any(line.get_marker() == "<" for line in lines)
    trials = int(((below["y"] <= 0) & (below["kind"] == "trial")).sum())
    caption = FIGURES["overhead"].caption(below)
    assert f"In {trials} trials the overhead is not above zero" in caption


def test_a_panel_without_positive_values_has_a_linear_axis(tables: Tables) -> None:
    """Without a positive overhead there is a text instead, and no warning of matplotlib."""
    data = FIGURES["overhead"].data(tables)
    below = data.assign(y=data["y"].where(data["workload"] != "cpu", -1e-6))
    noop, cpu = draw(FIGURES["overhead"], below).axes
    assert (noop.get_xscale(), cpu.get_xscale()) == ("log", "linear")
    assert [text.get_text() for text in cpu.texts] == ["no value above zero"]


def test_names_with_markup_are_drawn_as_text(tables: Tables, tmp_path: Path) -> None:
    """Characters of mathematical markup and of HTML are drawn unchanged."""
    hostile = {
        name: table.assign(label=table["label"].str.replace("thread-pool", "$x^{<b>&$"))
        for name, table in tables.items()
        if "label" in table
    }
    hostile["trial"] = hostile["trial"].assign(
        backend=hostile["trial"]["backend"].str.replace("thread-pool", "$x^{<b>&$")
    )
    assert save(FIGURES["overhead"], {**tables, **hostile}, tmp_path) is not None
