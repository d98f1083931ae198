"""Tests which estimate is the headline of a cell."""

from __future__ import annotations

import pandas as pd

from lab.analysis.disturbed import SUFFIX
from lab.report.headlines import headline, shown_estimates, without_noisy
from tests.factories.campaigns import SMALL, campaign


def test_each_kind_of_estimate_has_its_own_entries() -> None:
    """A disturbed number never replaces one that counts, and has another key."""
    estimates = campaign(SMALL)["estimate"]
    first = estimates[estimates["analysis_id"] == "synthetic"].head(1)
    assert first.size
    noisy = first.assign(analysis_id="synthetic/without-noisy", estimate=2.0)
    disturbed = first.assign(analysis_id=f"synthetic{SUFFIX}", estimate=3.0)
    both = pd.concat([first.assign(estimate=1.0), noisy, disturbed], ignore_index=True)
    ((key, counted),) = headline(both).items()
    assert counted.estimate == 1
    assert [row.estimate for row in without_noisy(both).values()] == [2]
    shown = {metric: row.estimate for (metric, *_), row in shown_estimates(both).items()}
    assert shown == {key[0]: 1, f"{key[0]}{SUFFIX}": 3}
