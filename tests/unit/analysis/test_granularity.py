"""Marginal cost and METG from points whose answer is known (METHOD M17b, M17c)."""

from __future__ import annotations

import pytest

from lab.analysis.granularity import line, smallest_worth
from lab.analysis.statistics import RefusedError

GRID_S = [1e-5, 1e-4, 1e-3, 1e-2]


def shares(overhead_s: float, grid_s: list[float]) -> list[float]:
    """Efficiency where each task costs the same overhead, whatever its work."""
    return [w / (w + overhead_s) for w in grid_s]


def test_one_slow_burst_of_five_does_not_move_the_marginal_cost() -> None:
    """The median slope is that of the four others, which least squares would leave."""
    tasks = [1_000, 2_000, 5_000, 10_000, 20_000]
    lengths = [0.02 + 1e-4 * n for n in tasks]
    lengths[3] *= 3
    found = line(tasks, lengths)
    assert found.each_s == pytest.approx(1e-4, rel=1e-9)
    assert found.fixed_s == pytest.approx(0.02, rel=1e-6)


def test_two_sizes_make_no_line() -> None:
    """Two points lie on any line, however many trials they rest on."""
    with pytest.raises(RefusedError, match="bursts of 3 sizes; 2 ended"):
        line([100, 200, 200], [1.0, 2.0, 2.1])


@pytest.mark.parametrize("overhead_s", [1.5e-5, 1e-4, 4e-4, 8e-3])
def test_metg_is_the_overhead_where_every_task_costs_the_same(overhead_s: float) -> None:
    """Half of the time is work where the work is as long as the overhead, on or off the grid."""
    found = smallest_worth(GRID_S, shares(overhead_s, GRID_S))
    assert found.value == pytest.approx(overhead_s, rel=1e-9)
    assert found.bound == ""


def test_metg_beyond_the_grid_is_a_bound() -> None:
    """What is worth it from the start, or never, is told as such and not as a number."""
    cheap = smallest_worth(GRID_S, shares(1e-6, GRID_S))
    assert (cheap.value, cheap.bound) == (1e-5, "<")
    dear = smallest_worth(GRID_S, shares(0.04, GRID_S))
    assert (dear.value, dear.bound) == (1e-2, ">")
    assert "efficiency is 0.2 at most" in dear.method


def test_one_lucky_size_does_not_decide() -> None:
    """Efficiency must stay above one half from there on."""
    found = smallest_worth(GRID_S, [0.6, 0.2, 0.4, 0.9])
    assert 1e-3 < found.value < 1e-2


def test_more_work_than_time_is_a_calibration_error_and_no_crash() -> None:
    """An efficiency of 1 and more has no odds; the crossing lies in its step all the same."""
    assert 1e-4 < smallest_worth(GRID_S, [0.1, 0.2, 1.05, 1.2]).value < 1e-3


def test_two_sizes_have_no_metg() -> None:
    """A grid of two is refused."""
    with pytest.raises(RefusedError, match="tasks of 3 sizes; 2 ended"):
        smallest_worth([1e-3, 1e-2], [0.2, 0.8])
