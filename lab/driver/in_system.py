"""Samples how many tasks are in the system while tasks are offered (METHOD M13)."""

from __future__ import annotations

import time

from lab.driver.load_generator import LoadGenerator
from lab.recording.ledger_reader import Completions
from lab.recording.sample import Sample


def samples(finished: Completions, offering: LoadGenerator) -> tuple[Sample, ...]:
    """Return the sample of now; empty if the finished tasks could not be counted at one instant."""
    # Finished tasks are counted first, so the difference includes tasks accepted meanwhile.
    n_finished = finished.count()
    value, now_ns = max(0, offering.n_accepted - n_finished), time.monotonic_ns()
    if not finished.is_current:
        return ()
    return (Sample(t_ns=now_ns, source="ledger", metric="in_system", value=value, unit="tasks"),)
