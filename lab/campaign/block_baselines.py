"""Measures what needs no trial, before the first trial of each block (METHOD M18, M19)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from lab.core.defects import contained
from lab.core.environment import Environment
from lab.core.model import RateProbe, TrialSpec
from lab.driver import instrumentation_cost
from lab.environments import preparation
from lab.providers import PROVIDERS
from lab.results.schema.machine import BaselineRow
from lab.results.store import Store
from lab.running import host_baselines


class BlockBaselines:
    """Measures host baselines and instrumentation costs, and stores why one was not measured.

    A probe has the number of its repetition as its block: it takes those of the last block.
    """

    def __init__(self, store: Store, campaign_id: str, note: Callable[[str], None]) -> None:
        self._store, self._campaign_id, self._note = store, campaign_id, note
        self._begun: set[int] = set()
        # In ns, by interpreter and block; the name of the lab's interpreter is "".
        self._costs: dict[str, dict[int, float | None]] = {}

    def measure(self, spec: TrialSpec, planned: Sequence[TrialSpec]) -> None:
        """Measure the host baselines of the block of a trial; a block of a resumed run has them."""
        block, is_probe = spec.block, isinstance(spec.arrival, RateProbe)
        if block in self._begun or (self._begun and is_probe):
            return
        self._begun.add(block)
        if (self._store.read("baseline").block == block).any():
            return
        rows: list[BaselineRow] = []
        specs = [each for each in planned if each.block == block]
        contained(
            lambda: rows.extend(host_baselines.measure_baselines(specs, self._campaign_id, block)),
            partial(self._refuse, block, "host baselines", ""),
        )
        for row in rows:
            self._store.append(row)

    def instrumentation_ns(self, spec: TrialSpec) -> float | None:
        """Return the cost in ns in the interpreter of a trial, measured once in each block.

        None: it could not be measured, or the interpreter is in an image and not the lab's.
        """
        python = Environment.parse(spec.environment).python
        if python and not PROVIDERS[spec.provider].is_on_host:
            return None
        costs = self._costs.setdefault(python, {})
        if spec.block not in costs and not (costs and isinstance(spec.arrival, RateProbe)):
            name = instrumentation_cost.NAME + f" in Python {python}" * bool(python)
            costs[spec.block] = contained(
                partial(_cost_ns, spec if python else None),
                partial(self._refuse, spec.block, name, "ns"),
            )
        return costs.get(spec.block, [*costs.values()][-1])

    def _refuse(self, block: int, name: str, unit: str, reason: str) -> None:
        self._note(f"{name} was not measured before block {block}. {reason}")
        known = self._store.read("baseline")
        # A resumed block has a row of it already.
        if not ((known.block == block) & (known.baseline == name)).any():
            self._store.append(BaselineRow(self._campaign_id, block, name, 0, None, unit, reason))


def _cost_ns(spec: TrialSpec | None) -> float:
    """Measure the cost in the interpreter of a trial; one may be twice as fast as another."""
    if spec is None:
        return instrumentation_cost.cost_ns()
    chosen = preparation.of_trial(spec.label, spec.environment)
    return instrumentation_cost.cost_ns(chosen.python, preparation.variables(chosen))
