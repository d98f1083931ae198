"""Laws of scaling from points that follow them, and from points that identify none (KAT-8)."""

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
    """Fit made-up trials with 3 % noise."""
    rng = np.random.default_rng(8)
    workers = np.repeat(np.array(sizes, dtype=float), trials)
    exact = usl(workers, LAMBDA, SIGMA, kappa)
    noisy = exact * np.exp(rng.normal(0, 0.03, workers.size))
    return fit([int(n) for n in workers], noisy.tolist())


def holds(found: Coefficient | None, true: float) -> bool:
    """Tell whether an interval holds a value, and is narrow enough to mean something."""
    assert found is not None
    return found.low <= true <= found.high and found.high - found.low < true


def test_kat_8_all_three_coefficients_and_the_peak_are_found() -> None:
    """N to 32: lambda, sigma, kappa and the peak at 21.8 lie in their intervals."""
    law = measured(SIZES)
    assert holds(law.rate, LAMBDA)
    assert holds(law.contention, SIGMA)
    assert holds(law.coherency, KAPPA)
    assert holds(law.peak, PEAK)
    assert "Universal Scalability Law" in law.about


def test_kat_8_below_the_knee_nothing_is_claimed() -> None:
    """N to 8 does not identify a peak, and the sentence says up to where none was seen."""
    law = measured(tuple(n for n in SIZES if n <= 8))
    assert law.coherency is None
    assert law.peak is None
    assert "no retrograde scaling identified up to 8 workers" in law.about


def test_amdahls_law_is_not_mistaken_for_more() -> None:
    """Points without a retrograde term give none, however many there are."""
    law = measured(SIZES, kappa=0.0)
    assert law.coherency is None
    assert holds(law.contention, SIGMA)


def test_five_sizes_are_too_few_for_a_third_coefficient() -> None:
    """However clear the fall: the floor of METHOD M21 is six sizes."""
    law = measured((1, 8, 16, 24, 32))
    assert law.peak is None
    assert "a retrograde term needs 6" in law.about


def test_three_trials_identify_no_more_than_amdahls_law() -> None:
    """As many points as the longer law has coefficients: it goes through all, and says nothing."""
    law = fit([1, 2, 4], [100.0, 180.0, 290.0])
    assert law.coherency is None
    assert 0 < law.contention.value < 0.2


def test_two_sizes_fit_anything_and_are_refused() -> None:
    """One core and two cores make no law."""
    with pytest.raises(RefusedError, match="A law needs 3 sizes; 2 were measured"):
        measured((1, 2))


def test_speed_up_efficiency_and_the_serial_share() -> None:
    """A tenth that cannot be shared: 4 workers are 3.08 times as fast, and Karp-Flatt finds it."""
    one, four = (float(amdahl(np.array([float(n)]), 100.0, 0.1)[0]) for n in (1, 4))
    assert speed_up(four, one) == pytest.approx(3.0769, rel=1e-4)
    assert efficiency(four, one, 4) == pytest.approx(0.7692, rel=1e-4)
    assert karp_flatt(speed_up(four, one), 4) == pytest.approx(0.1)
    with pytest.raises(RefusedError, match="more workers than the base"):
        karp_flatt(1.0, 1)


def test_gustafsons_share_is_of_the_time_that_grown_work_takes() -> None:
    """A tenth that does not grow with the work: 4 workers do 3.7 times as much in the time."""
    assert gustafson(4 - 0.1 * 3, 4) == pytest.approx(0.1)
    with pytest.raises(RefusedError, match="more workers than the base"):
        gustafson(1.0, 1)
