"""Tests scaling laws fitted to points that follow them, and to points that do not (KAT-8)."""

from __future__ import annotations

import numpy as np
import pytest

from lab.analysis.scaling_laws import (
    Coefficient,
    Law,
    amdahl,
    efficiency,
    fit,
    gustafson,
    karp_flatt,
    speed_up,
    usl,
)
from lab.analysis.statistics import RefusedError

LAMBDA, SIGMA, KAPPA = 1000.0, 0.05, 0.002
PEAK = 21.8
SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32)


def measured(sizes: tuple[int, ...], kappa: float = KAPPA, trials: int = 5) -> Law:
    """Fit synthetic trials with 3 % noise."""
    rng = np.random.default_rng(8)
    workers = np.repeat(np.array(sizes, dtype=float), trials)
    exact = usl(workers, LAMBDA, SIGMA, kappa)
    noisy = exact * np.exp(rng.normal(0, 0.03, workers.size))
    return fit([int(n) for n in workers], noisy.tolist())


def holds(fitted: Coefficient | None, true: float) -> bool:
    """Return whether an interval contains a value, and is narrower than the value."""
    assert fitted is not None
    return fitted.low <= true <= fitted.high and fitted.high - fitted.low < true


def test_kat_8_all_three_coefficients_and_the_peak_are_identified() -> None:
    """N to 32: lambda, sigma, kappa and the peak at 21.8 are in their intervals."""
    law = measured(SIZES)
    assert holds(law.rate, LAMBDA)
    assert holds(law.contention, SIGMA)
    assert holds(law.coherency, KAPPA)
    assert holds(law.peak, PEAK)
    assert "Universal Scalability Law" in law.about


def test_kat_8_no_peak_is_identified_below_the_knee() -> None:
    """N to 8 does not identify a peak; the text states the largest number of workers."""
    law = measured(tuple(n for n in SIZES if n <= 8))
    assert law.coherency is None
    assert law.peak is None
    assert "no retrograde scaling identified up to 8 workers" in law.about


def test_points_of_amdahls_law_have_no_retrograde_term() -> None:
    """This does not depend on the number of points."""
    law = measured(SIZES, kappa=0.0)
    assert law.coherency is None
    assert holds(law.contention, SIGMA)


def test_five_sizes_are_too_few_for_a_third_coefficient() -> None:
    """METHOD M21 requires six sizes, also for a clear decrease."""
    law = measured((1, 8, 16, 24, 32))
    assert law.peak is None
    assert "a retrograde term needs 6" in law.about


def test_three_trials_identify_no_more_than_amdahls_law() -> None:
    """A law with three coefficients fits any three points."""
    law = fit([1, 2, 4], [100.0, 180.0, 290.0])
    assert law.coherency is None
    assert 0 < law.contention.value < 0.2


def test_two_sizes_are_refused() -> None:
    """Two coefficients fit any two points."""
    with pytest.raises(RefusedError, match="A law needs 3 sizes; 2 were measured"):
        measured((1, 2))


def test_speed_up_efficiency_and_the_serial_share() -> None:
    """With a serial share of 0.1, 4 workers are 3.08 times as fast; Karp-Flatt yields 0.1."""
    one, four = (float(amdahl(np.array([float(n)]), 100.0, 0.1)[0]) for n in (1, 4))
    assert speed_up(four, one) == pytest.approx(3.0769, rel=1e-4)
    assert efficiency(four, one, 4) == pytest.approx(0.7692, rel=1e-4)
    assert karp_flatt(speed_up(four, one), 4) == pytest.approx(0.1)
    with pytest.raises(RefusedError, match="more workers than the base"):
        karp_flatt(1.0, 1)


def test_gustafsons_share_is_that_of_weak_scaling() -> None:
    """With a serial share of 0.1, 4 workers do 3.7 times as much work in the same time."""
    assert gustafson(4 - 0.1 * 3, 4) == pytest.approx(0.1)
    with pytest.raises(RefusedError, match="more workers than the base"):
        gustafson(1.0, 1)
