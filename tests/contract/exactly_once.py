"""The heart of the contract, for every provider: each task runs once and answers rightly."""

from __future__ import annotations

from lab.core.backend import capabilities
from lab.core.model import Capability
from lab.planning import registry
from lab.validation.trial_row import Collected

# As installed they present what raised again after 60 s, and beside others a thousand tasks take
# longer: there none of a thousand raises, and one of a hundred does.
PRESENT_AGAIN = ("django-q[orm+sqlite]", "django-q[orm+postgres]")


def may_raise(label: str) -> bool:
    """Tell whether a task that raises costs no others; of a batch it may end the whole call."""
    chosen = registry.select(label)
    promised = capabilities(chosen.backend, chosen.variant)
    return Capability.SUBMIT in promised and chosen.backend.executes


def assert_exactly_once(made: Collected, *, raises: bool) -> None:
    """All tasks of a burst ran once and rightly; one in a hundred raised, if so, and is told."""
    row, verdicts = made.row, made.tables["verdict"].verdict.value_counts()
    n = row.n_planned
    failed = n // 100 if raises else 0
    reason = f"{failed} of {n} tasks raised. First exception of a task: " if raises else ""
    assert (row.status, row.reason[: len(reason)]) == ("failed" if raises else "ok", reason)
    assert raises or not row.reason
    assert (row.n_sent, row.n_done, row.n_duplicated, row.n_corrupted) == (n, n, 0, 0)
    assert (row.n_lost, row.n_partial, row.n_phantom, row.n_negative) == (0, 0, 0, 0)
    counted = {"ok": n - failed, "failed": failed}
    assert verdicts.to_dict() == {verdict: count for verdict, count in counted.items() if count}
