"""Tests the tables and figures of task costs and speed-ups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.figures import FIGURES, Tables, draw
from lab.report.costs import as_table, costs
from lab.report.page import render
from lab.report.run_tables import RunTables
from lab.report.scaling import as_table as as_growth_table
from lab.report.scaling import scaling_lines
from lab.report.terminal import terminal_tables
from tests.factories.bursts import BLOCKS, INLINE, OVERHEAD_S, at, burst, overheads, sweep, whole
from tests.factories.campaigns import Campaign, campaign, write

DEAR: dict[str, Any] = {
    "label": "rq[worker]@default",
    "backend": "rq",
    "family": "rq",
    "variant": "worker",
}
US = 1e6


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return two backends, one of which costs ten times as much as the other."""
    return whole(overheads() + overheads(10 * OVERHEAD_S, **DEAR))


@pytest.fixture(scope="module")
def scaling() -> Tables:
    """Return a backend on 1, 2 and 4 workers of one core, with the inline loop."""
    loop = [burst(b, 600, 0.25e-3, 1e-3, **INLINE) for b in range(BLOCKS)]
    return whole(loop + sweep((1, 2, 4)))


def test_a_row_has_all_four_costs_of_a_label(tables: Tables) -> None:
    """The cheapest is first; worker-seconds and CPU seconds are from the largest burst."""
    cheap, dear = costs(tables)
    assert (cheap.label, dear.label) == ("x[y]@default", DEAR["label"])
    assert cheap.burst == "noop, 4,000 tasks"
    names = ("overhead_s_per_task", "marginal_s_per_task", "metg_50_s", "cpu_workers_s_per_task")
    for row, factor in ((cheap, 1), (dear, 10)):
        values = [row.numbers[name].value for name in names]
        assert values == [pytest.approx(factor * OVERHEAD_S * US, rel=0.05)] * 4
        assert all(row.numbers[name].interval for name in names)


def test_terminal_and_page_have_the_same_costs(tables: Tables, tmp_path: Path) -> None:
    """Both tables have a row for each label."""
    folder = write(tables, tmp_path / "run")
    titles = {title: rows for title, _, rows in terminal_tables(RunTables(folder))}
    assert [row[0] for row in titles["Cost of a task, measured in four ways"]] == ["x", "rq"]
    page = render(RunTables(folder), {})
    assert 'id="costs"' in page
    assert "METG(50 %) us" in page
    for row in costs(tables):
        assert row.numbers["metg_50_s"].text in page


def test_a_campaign_without_sweeps_has_no_table_of_costs() -> None:
    """Without marginal cost, METG and speed-ups both tables are empty."""
    plain = campaign(Campaign(blocks=1, cores=(1,)))
    assert costs(plain) == []
    assert scaling_lines(plain) == []
    assert as_table([])[2] == []
    assert as_growth_table([])[2] == []


def test_three_blocks_have_a_diamond_without_an_interval() -> None:
    """The preset quick has only three blocks: METG has a diamond, but no bar."""
    few = whole([t for t in overheads() if t[0].block < 3])
    data = FIGURES["granularity"].data(few)
    (axes,) = draw(FIGURES["granularity"], data).axes
    assert [line.get_marker() for line in axes.get_lines()].count("d") == 1
    paths = [path for bars in axes.collections for path in bars.get_paths()]
    assert not [path for path in paths if set(np.asarray(path.vertices)[:, 1]) == {0.5}]


def test_a_topology_with_one_size_has_no_curve() -> None:
    """Trials of the workload scaling in the same run are not in the chart."""
    data = FIGURES["granularity"].data(whole(overheads() + sweep((1, 2))))
    assert set(data["panel"]) == {"cpu \N{MIDDLE DOT} 2 cores, 2 workers"}


def test_the_curve_crosses_one_half_at_its_diamond(tables: Tables) -> None:
    """METG is at the length at which the drawn curve has an efficiency of 50 %."""
    chart = FIGURES["granularity"]
    data = chart.data(tables)
    marks = data[data["kind"] == "metg"].set_index("name")["x"].astype("float64")
    assert marks["x"] == pytest.approx(OVERHEAD_S, rel=0.05)
    cells = data[(data["kind"] == "estimate") & (data["name"] == "x")].sort_values("x")
    middle = np.interp(0.5, cells["y"].astype("float64"), np.log(cells["x"].astype("float64")))
    assert np.exp(middle) == pytest.approx(marks["x"], rel=0.1)
    (axes,) = draw(chart, data).axes
    diamonds = [line for line in axes.get_lines() if line.get_marker() == "d"]
    assert {float(np.asarray(d.get_xdata())[0]) for d in diamonds} == set(marks)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][:2] == ["x", "rq"]


def test_workloads_with_several_durations_are_only_in_one_figure(tables: Tables) -> None:
    """The figure of overhead leaves them out."""
    assert set(FIGURES["overhead"].data(tables)["panel"]) == {"noop"}
    assert set(FIGURES["overhead"].data(tables)["n_planned"]) == {4_000}


def test_each_step_has_both_bases_and_each_line_a_law(scaling: Tables) -> None:
    """A step has speed-up, efficiency and speed-up over inline; the line has the law.

    The loop takes 1.25 ms for work of 1 ms, so the last is above the number of workers.
    """
    (line,) = scaling_lines(scaling)
    assert line.title == "cpu 1 ms \N{MIDDLE DOT} strong: 1 core, 600 tasks"
    steps = {step.at: step for step in line.steps if step.name == "x"}
    assert list(steps) == ["1 worker", "2 workers", "4 workers"]
    assert steps["1 worker"].numbers["speed_up"].text == "not measured"
    for step in (steps["2 workers"], steps["4 workers"]):
        assert step.oversubscription == "more workers than cores"
        speed = step.numbers["speed_up"].value
        assert speed
        assert step.numbers["scaling_efficiency"].value == pytest.approx(speed / int(step.at[0]))
        over_inline = step.numbers["speed_up_over_inline"]
        assert over_inline.text == "refused"
        assert f"it is above {step.at[0]}, which is impossible" in over_inline.note
    ((names, sentence),) = line.laws
    assert names == "x"
    assert "no retrograde scaling identified up to 4 workers" in sentence
    assert "contention" in sentence
    assert "peak not identified" in sentence
    last = as_growth_table([line])[2]
    assert [(row[1], row[2]) for row in last] == [("x", "4 workers")]


def test_the_figure_has_both_bases_and_hollow_marks(scaling: Tables) -> None:
    """The inline loop is a dashed line; points with more workers than cores are hollow."""
    data = FIGURES["scaling"].data(scaling)
    absolute, relative = draw(FIGURES["scaling"], data).axes
    dashed = [line for line in absolute.get_lines() if line.get_linestyle() == "--"]
    assert [float(np.asarray(d.get_ydata())[0]) for d in dashed] == [pytest.approx(800, rel=0.01)]
    faces = {
        float(np.asarray(line.get_xdata())[0]): line.get_markerfacecolor()
        for line in relative.get_lines()
        if line.get_marker() == "o" and len(np.asarray(line.get_xdata())) == 1
    }
    assert [face == "white" for _, face in sorted(faces.items())] == [False, True, True]
    cells = data[(data["kind"] == "estimate") & (data["x"] > 1)]
    assert cells["times_low"].notna().all()
    caption = FIGURES["scaling"].caption(data)
    assert "more workers than cores" in caption
    assert "dashed line is the inline loop" in caption


def test_a_step_without_a_common_block_has_no_speed_up() -> None:
    """It is drawn only on the left, and so is a label without the smallest configuration."""
    steps = [at(block, p, 600) for block in range(4) for p in ((1, 4) if block % 2 else (2, 4))]
    steps += [at(block, p, 600, **DEAR) for block in range(4) for p in (2, 4)]
    data = FIGURES["scaling"].data(whole(steps))
    assert set(data[data["kind"] == "estimate"]["x"]) == {1, 2, 4}
    _, relative = draw(FIGURES["scaling"], data).axes
    lines = [np.asarray(line.get_xdata()) for line in relative.get_lines()]
    assert sorted(round(float(x[0])) for x in lines if len(x) == 1) == [1, 4]


def test_weak_and_strong_lines_have_separate_panels() -> None:
    """Axes and kinds of scaling are never mixed in one panel (METHOD M20)."""
    weak = [at(block, p, 300 * p) for block in range(2) for p in (1, 2)]
    data = FIGURES["scaling"].data(whole(weak + [at(block, 1, 600) for block in range(2)]))
    assert set(data["panel"]) == {
        "cpu 1 ms \N{MIDDLE DOT} weak: 1 core, 300 tasks per worker",
        "cpu 1 ms \N{MIDDLE DOT} strong: 1 core, 600 tasks",
    }
