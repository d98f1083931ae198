"""Tests the tables and the figure of a load sweep, in the terminal and on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lab.analysis.capacity import capacities
from lab.core.model import LoadLevel
from lab.figures import FIGURES, Tables, draw
from lab.report.load import BEYOND, Grid, _equal_rates, grids
from lab.report.number_format import NOT_MEASURED
from lab.report.page import render
from lab.report.run_tables import RunTables
from lab.report.terminal import terminal_tables
from tests.factories.campaigns import SYSTEMS, Campaign, campaign, write
from tests.factories.load_sweeps import (
    EQUAL_HZ,
    FAILED,
    FRACTIONS,
    HELD,
    SPEEDS,
    TRIALS,
    with_load_sweep,
)

FEW = tuple(s for s in SYSTEMS if s.variant in {"call", "worker"})
SMALL = Campaign(systems=FEW, cores=(1,), workloads=("noop",), blocks=2)
RQ, INLINE = "rq[worker]@default", "inline[call]@default"


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Return a small campaign with load sweeps of two backends."""
    return with_load_sweep(campaign(SMALL))


@pytest.fixture(scope="module")
def load_tables(tables: Tables) -> list[Grid]:
    """Return the tables of these load sweeps."""
    return grids(tables)


def texts(grid: Grid) -> dict[str, list[str]]:
    """Return the texts of the cells by label."""
    return {line.label: [number.text for number in line.numbers] for line in grid.lines}


def test_the_interval_of_capacity_is_the_bracket_of_its_probes(tables: Tables) -> None:
    """The highest rate that was sustained is the estimate, the lowest rate that failed the end."""
    estimates = tables["estimate"]
    rows = estimates[estimates["metric"] == "sustainable_per_s"].set_index("label")
    for label, speed in SPEEDS.items():
        row: Any = rows.loc[label]
        ends = (float(row["ci_low"]), float(row["estimate"]), float(row["ci_high"]))
        assert ends == pytest.approx((HELD * speed, HELD * speed, FAILED * speed), rel=1e-3)
        assert "2 probes at 2 rates" in row["method"]


def test_a_probe_with_an_unknown_result_was_not_held(tables: Tables) -> None:
    """A null in the metric table counts as not sustained."""
    metrics, trials = tables["metric"], tables["trial"]
    probes = trials.loc[trials["arrival"] == "rate-probe", "trial_id"]
    unsure = (metrics["metric"] == "overloaded") & metrics["trial_id"].isin(probes)
    values = metrics["value"].astype("Float64").mask(unsure)
    results = capacities(trials, metrics.assign(value=values)).values()
    probed = [capacity for capacity in results if capacity.results]
    assert len(probed) == len(SPEEDS)
    assert {result.is_sustained for capacity in probed for result in capacity.results} == {False}


def test_throughput_at_an_slo_is_of_sustained_rates_only(tables: Tables) -> None:
    """Rq keeps 100 ms at 0.9, and 10 ms at no rate; it always keeps 1 s, so that is a bound."""
    estimates = tables["estimate"].set_index(["label", "metric"])
    sustained = HELD * SPEEDS[RQ]
    rows: Any = (estimates.loc[(RQ, f"rate_at_{slo}_per_s")] for slo in ("10ms", "100ms", "1s"))
    tight, middle, wide = rows
    assert "p99 within 0.01 s at no rate" in tight["method"]
    assert float(wide["estimate"]) == pytest.approx(0.9 * sustained, rel=1e-3)
    assert wide["bound"] == ">"
    assert middle["estimate"] <= wide["estimate"]


def test_waits_are_at_equal_shares_and_at_equal_rates(load_tables: list[Grid]) -> None:
    """There is a table of each (METHOD M8), the fastest first, and overloads are marked."""
    limits, shares, rates = load_tables
    assert [line.label for line in limits.lines] == [INLINE, RQ]
    assert shares.headings == [f"{share:g}" for share in FRACTIONS]
    assert rates.headings == [f"{EQUAL_HZ:g} /s"]
    for line in shares.lines:
        below, near, beyond = line.numbers
        assert below.interval == near.interval == ""
        assert beyond.interval == f"overloaded in 100% of {TRIALS} trials"
        assert below.value is not None
        assert beyond.value is not None
        assert beyond.value > 10 * below.value
    assert all(cells[0].count("/") == 2 for cells in texts(rates).values())


def test_a_rate_that_some_labels_share_is_not_an_equal_rate(tables: Tables) -> None:
    """Fractions of two labels may coincide; columns are the rates that all labels have."""
    trials = tables["trial"]
    steps = trials[trials["arrival"] == LoadLevel.kind]
    coincident = steps[steps["label"] == RQ].head(1).assign(rate_hz=SPEEDS[RQ])
    both = [coincident.assign(label=label) for label in (RQ, INLINE)]
    third = steps[(steps["label"] == INLINE) & (steps["rate_hz"] == EQUAL_HZ)].head(1)
    more = pd.concat([trials, *both, third.assign(label="asyncio[plain]@default")])
    shared = more[(more["arrival"] == LoadLevel.kind) & (more["rate_hz"] == SPEEDS[RQ])]
    assert set(shared["label"]) == {RQ, INLINE}
    assert _equal_rates(steps.head(0), more) == [EQUAL_HZ]


def test_a_skipped_rate_has_its_reason_in_its_cell(tables: Tables) -> None:
    """A rate above the capacity of a label is a skipped trial; its cell has the reason."""
    trials = tables["trial"]
    chosen = (trials["label"] == RQ) & (trials["rate_hz"] == EQUAL_HZ)
    skipped = trials.assign(
        status=trials["status"].where(~chosen, "skipped"),
        reason=trials["reason"].where(~chosen, "no."),
    )
    estimates = tables["estimate"]
    removed = (estimates["label"] == RQ) & (estimates["rate_hz"] == EQUAL_HZ)
    both = {**tables, "trial": skipped, "estimate": estimates[~removed.fillna(value=False)]}
    rates = grids(both)[2]
    assert texts(rates)[RQ] == [BEYOND]
    assert rates.lines[1].numbers[0].note == "no."


def test_terminal_and_page_show_load_sweeps(
    tables: Tables, plain_page: str, tmp_path: Path
) -> None:
    """A campaign without a load sweep has no such section."""
    titles = [title for title, *_ in terminal_tables(RunTables(write(tables, tmp_path / "run")))]
    assert [title.partition(";")[0] for title in titles[1:]] == [
        "Sustainable rate",
        "Wait in ms at equal shares of the sustainable rate, p50 / p90 / p99",
        "Wait in ms at equal rates, p50 / p90 / p99",
    ]
    page = render(tables, dict.fromkeys(FIGURES.values()))
    assert 'id="load-sweep"' in page
    # The first table has `refused`, and those of waits have a dash.
    assert "<i>refused</i>, or a dash among three percentiles, is a number" in page
    assert 'id="load-sweep"' not in plain_page
    assert "in no ranking and no comparison, and a figure that shows it draws it" in plain_page


def test_the_figure_has_both_axes_and_every_trial(tables: Tables) -> None:
    """There are rows for p50, p90 and p99; trials are points, and overloaded ones are hollow."""
    data = FIGURES["load"].data(tables)
    trials = data[data["kind"] == "trial"]
    steps = tables["trial"][tables["trial"]["arrival"] == "load-level"]
    for name in ("p50", "p90", "p99"):
        assert set(trials.loc[trials["percentile"] == name, "trial_id"]) == set(steps["trial_id"])
    figure = draw(FIGURES["load"], data)
    assert len(figure.axes) == 6
    rates, shares = figure.axes[:2]
    assert "per second" in rates.get_xlabel()
    assert "share" in shares.get_xlabel()
    hollow = {
        round(float(np.asarray(line.get_xdata())[0]), 2)
        for line in shares.get_lines()
        if line.get_markerfacecolor() == "white"
    }
    assert hollow == {1.2}
    assert f"({TRIALS * len(SPEEDS)} trials)" in FIGURES["load"].caption(data)


def test_a_load_sweep_without_valid_trials_has_a_page(tables: Tables) -> None:
    """Without a valid trial the waits are dashes, and the table of shares is left out."""
    estimates, metrics = tables["estimate"], tables["metric"]
    steps = tables["trial"].loc[tables["trial"]["arrival"] == "load-level", "trial_id"]
    disturbed = {
        **tables,
        "estimate": estimates.assign(
            estimate=estimates["estimate"].mask(estimates["arrival"] == "load-level")
        ),
        "metric": metrics.assign(
            is_valid=metrics["is_valid"].mask(metrics["trial_id"].isin(steps), 0)
        ),
    }
    limits, rates = grids(disturbed)
    assert [cells[1] for cells in texts(limits).values()] == ["1,900", "95.0"]
    assert {cell for cells in texts(rates).values() for cell in cells} == {"- / - / -"}
    assert 'id="load-sweep"' in render(disturbed, dict.fromkeys(FIGURES.values()))


def test_a_label_without_capacity_has_a_row_in_every_table(tables: Tables) -> None:
    """It has no load levels, so its cells are `not measured`."""
    estimates, trials = tables["estimate"], tables["trial"]
    no_steps = {
        **tables,
        "estimate": estimates[(estimates["label"] != RQ) | (estimates["arrival"] != "load-level")],
        "trial": trials[(trials["label"] != RQ) | (trials["arrival"] != "load-level")],
    }
    _, shares = grids(no_steps)
    assert set(texts(shares)[RQ]) == {NOT_MEASURED}
    assert NOT_MEASURED not in texts(shares)[INLINE]


@pytest.mark.parametrize(
    ("arrivals", "bracketed"),
    [
        (("burst", "rate-probe", "load-level"), [True, True, True, False]),
        (("burst",), [True, False, False, False]),
        (("rate-probe",), [False, True, False, False]),
    ],
)
def test_a_limit_of_disturbed_trials_is_in_brackets_and_not_ranked(
    tables: Tables, arrivals: tuple[str, ...], bracketed: list[bool]
) -> None:
    """They had no brackets, and the page said that all such numbers have them."""
    trials = tables["trial"]
    chosen = (trials["label"] == INLINE) & trials["arrival"].isin(arrivals)
    flags = trials["flag"].mask(chosen, "disturbed")
    limits = grids({**tables, "trial": trials.assign(flag=flags)})[0]
    saturation, sustainable, *_, widest, probes = texts(limits)[INLINE]
    shown = [saturation, sustainable, widest, probes]
    assert [text.startswith("(") for text in shown] == bracketed
    assert not any(text.startswith("(") for text in texts(limits)[RQ])
    is_ranked = "rate-probe" not in arrivals
    assert [line.label for line in limits.lines] == ([INLINE, RQ] if is_ranked else [RQ, INLINE])


def test_a_refused_percentile_is_a_dash_and_no_point(tables: Tables) -> None:
    """A p99 of too few tasks is neither in the table nor in the figure (METHOD M11)."""
    estimates, metrics = tables["estimate"], tables["metric"]
    is_p99 = estimates["metric"] == "queue_latency_s_p99"
    refused = {
        **tables,
        "estimate": estimates.assign(estimate=estimates["estimate"].mask(is_p99)),
        "metric": metrics.assign(
            is_valid=metrics["is_valid"].mask(metrics["metric"] == "queue_latency_s_p99", 0)
        ),
    }
    assert all(cells[0].endswith("/ -") for cells in texts(grids(refused)[1]).values())
    assert set(FIGURES["load"].data(refused)["percentile"]) == {"p50", "p90"}


def test_a_campaign_without_a_load_sweep_has_no_figure() -> None:
    """Paced trials are not part of a load sweep."""
    assert FIGURES["load"].data(campaign(replace(SMALL, blocks=1))).empty
