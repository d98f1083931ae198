"""The heart of the contract, for every provider: each task runs once and answers rightly."""

from __future__ import annotations

from lab import registry
from lab.backend import capabilities
from lab.collect import Collected
from lab.model import Capability

# As installed they present what raised again after 60 s, and a thousand tasks may take longer: that
# they run it again is asked in test_claims_run.
PRESENT_AGAIN = ("django-q[orm+sqlite]", "django-q[orm+postgres]")

# A fork, an interpreter or a new connection at each step: 30 to 250 ms of CPU a task. So the
# thousand of these run once, with this provider, and a hundred elsewhere.
THOUSAND_WITH = {
    "rq[worker]": "compose",
    "rq[worker-pool]": "compose",
    "rq[spawn-worker]": "local",
    "django-rq[worker]": "compose",
    "django-rq[worker-pool]": "compose",
    "django-q[orm+sqlite]": "local",
    "django-q[orm+postgres]": "none as installed: test_compose has a thousand of its tuned profile",
}


def how_many(label: str, provider: str) -> int:
    """Return how many tasks show that each runs exactly once."""
    return 1_000 if THOUSAND_WITH.get(label, provider) == provider else 100


def may_raise(label: str) -> bool:
    """Tell whether a task that raises costs no others; of a batch it may end the whole call."""
    chosen = registry.select(label)
    promised = capabilities(chosen.backend, chosen.variant)
    may = Capability.SUBMIT in promised and chosen.backend.executes
    return may and label.partition("@")[0] not in PRESENT_AGAIN


def assert_exactly_once(made: Collected, *, raises: bool) -> None:
    """All tasks of a burst ran once and rightly; one in a hundred raised, if so, and is told."""
    row, verdicts = made.row, made.tables["verdict"].verdict.value_counts()
    n = row.n_planned
    failed = n // 100 if raises else 0
    told = f"{failed} of {n} tasks raised; the worker's log has the traceback."
    assert (row.status, row.reason) == (("failed", told) if raises else ("ok", ""))
    assert (row.n_sent, row.n_done, row.n_duplicated, row.n_corrupted) == (n, n, 0, 0)
    assert (row.n_lost, row.n_partial, row.n_phantom, row.n_negative) == (0, 0, 0, 0)
    counted = {"ok": n - failed, "failed": failed}
    assert verdicts.to_dict() == {verdict: count for verdict, count in counted.items() if count}
