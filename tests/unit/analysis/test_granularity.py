"""Tests marginal cost and METG with points whose result is known (METHOD M17b, M17c)."""

from __future__ import annotations

import pytest

from lab.analysis.granularity import fit_length, minimum_granularity
from lab.analysis.statistics import RefusedError

GRID_S = [1e-5, 1e-4, 1e-3, 1e-2]


def shares(overhead_s: float, grid_s: list[float]) -> list[float]:
    """Return the efficiency of tasks that all have the same overhead."""
    return [w / (w + overhead_s) for w in grid_s]


def test_one_slow_burst_of_five_does_not_move_the_marginal_cost() -> None:
    """The median slope is that of the four others; least squares would give another."""
    tasks = [1_000, 2_000, 5_000, 10_000, 20_000]
    lengths = [0.02 + 1e-4 * n for n in tasks]
    lengths[3] *= 3
    fit = fit_length(tasks, lengths)
    assert fit.each_s == pytest.approx(1e-4, rel=1e-9)
    assert fit.fixed_s == pytest.approx(0.02, rel=1e-6)


def test_two_sizes_make_no_line() -> None:
    """Any two points lie on a line, whatever the number of trials."""
    with pytest.raises(RefusedError, match="bursts of 3 sizes; 2 ended"):
        fit_length([100, 200, 200], [1.0, 2.0, 2.1])


@pytest.mark.parametrize("overhead_s", [1.5e-5, 1e-4, 4e-4, 8e-3])
def test_metg_is_the_overhead_if_all_tasks_have_the_same(overhead_s: float) -> None:
    """Half of the time is work if the work is as long as the overhead, on or off the grid."""
    metg = minimum_granularity(GRID_S, shares(overhead_s, GRID_S))
    assert metg.value == pytest.approx(overhead_s, rel=1e-9)
    assert metg.bound == ""


def test_metg_beyond_the_grid_is_a_bound() -> None:
    """If all sizes, or none, reach one half, the result is a bound."""
    cheap = minimum_granularity(GRID_S, shares(1e-6, GRID_S))
    assert (cheap.value, cheap.bound) == (1e-5, "<")
    costly = minimum_granularity(GRID_S, shares(0.04, GRID_S))
    assert (costly.value, costly.bound) == (1e-2, ">")
    assert "efficiency is 0.2 at most" in costly.method


def test_one_good_short_size_does_not_decide() -> None:
    """Efficiency must be above one half for all longer tasks."""
    metg = minimum_granularity(GRID_S, [0.6, 0.2, 0.4, 0.9])
    assert 1e-3 < metg.value < 1e-2


def test_an_efficiency_above_one_is_accepted() -> None:
    """A calibration error may give 1 or more, whose log-odds are not defined."""
    assert 1e-4 < minimum_granularity(GRID_S, [0.1, 0.2, 1.05, 1.2]).value < 1e-3


def test_two_sizes_have_no_metg() -> None:
    """METG of two sizes is refused."""
    with pytest.raises(RefusedError, match="tasks of 3 sizes; 2 ended"):
        minimum_granularity([1e-3, 1e-2], [0.2, 0.8])
