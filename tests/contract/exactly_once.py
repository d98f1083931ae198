"""Asserts the core of the contract on any provider: each task runs once, with a right answer."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lab.core.backend import capabilities, services_of, variant_of
from lab.core.model import Capability, Serializer
from lab.planning import registry
from lab.validation.trial_row import TrialResult

# The variants that deliver a failed task again, Django-Q's after 60 s. Beside other tests, a
# thousand tasks take longer than that.
REDELIVERING = {
    f"{name}[{variant.name}]"
    for name, backend in registry.backends().items()
    for variant in backend.variants
    if variant.redelivers_failed
}
# In no lock of the lab: test_ray runs it in an environment of its own.
APART = frozenset({"ray"})
# It starts an interpreter for each task: a thousand of them would use both cores for minutes.
BUSY = "rq[spawn-worker]"


def n_tasks_of(label: str) -> int:
    """Return how many tasks a variant runs of which one in a hundred raises."""
    return 200 if label in {BUSY, *REDELIVERING} else 1_000


def representative(name: str, variants: Sequence[str]) -> list[str]:
    """Return the labels of a backend's variants, of one in no preset one for each set of servers.

    The tests that take them need minutes for all: `test_backends` runs tasks on every variant.
    """
    backend = registry.backends()[name]
    if backend.by_default:
        return [f"{name}[{variant}]" for variant in variants]
    first = {services_of(backend, variant): variant for variant in reversed(variants)}
    return [f"{name}[{variant}]" for variant in first.values()]


def workload_of(label: str) -> str:
    """Return the workload of `broken_workloads` with every kind of argument that it can send."""
    chosen = registry.select(label)
    is_text = variant_of(chosen.backend, chosen.variant).serializer is Serializer.PLAIN_JSON
    return "MIXED_TEXT" if is_text else "MIXED"


def may_raise(label: str) -> bool:
    """Return whether a failing task affects no others; in a batch it may end the whole call."""
    chosen = registry.select(label)
    promised = capabilities(chosen.backend, chosen.variant)
    return Capability.SUBMIT in promised and chosen.backend.executes


def assert_settings(result: TrialResult) -> None:
    """Assert that the row has the settings in force; a reference has none but its code."""
    is_reference = registry.select(result.row.label).backend.family == "reference"
    cause = f"effective_settings of {result.row.label} returns nothing"
    assert is_reference or json.loads(result.row.settings), cause


def assert_exactly_once(result: TrialResult, *, raises: bool) -> None:
    """Assert that all tasks ran once, and, if `raises`, that one in a hundred failed."""
    assert_settings(result)
    row, outcomes = result.row, result.tables["outcome"].outcome.value_counts()
    n = row.n_planned
    failed = n // 100 if raises else 0
    reason = f"{failed} of {n} tasks raised. First exception of a task: " if raises else ""
    # pytest cuts the texts of a comparison: the message has the whole cause.
    cause = f"{row.label}: {row.status}, {row.reason or 'no reason'}"
    assert (row.status, row.reason[: len(reason)]) == ("failed" if raises else "ok", reason), cause
    assert raises or not row.reason, cause
    assert (row.n_sent, row.n_done, row.n_duplicated, row.n_wrong_answer) == (n, n, 0, 0), cause
    assert (row.n_lost, row.n_partial, row.n_unexpected, row.n_negative) == (0, 0, 0, 0), cause
    expected = {"ok": n - failed, "failed": failed}
    assert outcomes.to_dict() == {outcome: count for outcome, count in expected.items() if count}
