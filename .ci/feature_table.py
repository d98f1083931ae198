"""Prints the tables of docs/which-should-i-choose.md: features from the adapters, and numbers.

    python .ci/feature_table.py     # writes them into the page, between its two markers

Features are the capabilities that the variants of a backend promise; the contract tests check each
of them. Numbers are those of `results/reference/standard` on one core with one worker, which
README.md quotes too.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lab.core.backend import Backend, contract_of
from lab.core.model import Capability
from lab.core.outcomes import Contract
from lab.planning import registry
from lab.report.number_format import plural
from lab.results.store import Store

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/which-should-i-choose.md"
BEGIN, END = "<!-- start of the generated tables -->", "<!-- end of the generated tables -->"
FEATURES = {
    "result": {Capability.RESULT},
    "retry": {Capability.RETRY},
    "retry after a delay": {Capability.RETRY_DELAY},
    "priority": {Capability.PRIORITY},
    "group, chain": {Capability.GROUP, Capability.CHAIN},
    "schedule": {Capability.SCHEDULE, Capability.RESCHEDULE},
    "monitor": {Capability.MONITOR},
    "several machines": {Capability.NODES},
}
NUMBERS = {
    "throughput_per_s": ("no-ops/s", 1.0),
    "overhead_s_per_task": ("overhead, ms/task", 1e3),
    "memory_bytes_per_worker_idle": ("idle MB/worker, 1 worker", 1e-6),
    "cold_start_s": ("cold start, s", 1.0),
}
CORES = WORKERS = 1
# A system that runs tasks while others are submitted, and one that is handed all of them first.
STREAMS, COLLECTS = "celery[prefork]@default", "dask[threads]@default"


def tables() -> str:
    """Return both tables in Markdown."""
    cell = f"Numbers: bursts of no-ops on {plural(CORES, 'core')} with {plural(WORKERS, 'worker')}."
    best = _estimates()
    parts = [*_features(), "", cell, "", *_numbers(best), "", _two_speeds(best)]
    return "\n".join([BEGIN, "", *parts, "", END])


def _systems() -> dict[str, type[Backend]]:
    return {n: b for n, b in registry.backends().items() if b.family != "reference"}


def _features() -> list[str]:
    rows = []
    for name, backend in _systems().items():
        promised = frozenset[Capability]().union(*(v.capabilities for v in backend.variants))
        servers = {*backend.services}.union(*(v.services for v in backend.variants))
        marks = ["yes" if promised & needed else "" for needed in FEATURES.values()]
        needs = ", ".join(sorted(map(str, servers))) or "none"
        rows.append([f"`{name}`", _contracts(backend), needs, *marks])
    return _table(["system", "contract", "servers", *FEATURES], rows)


def _contracts(backend: type[Backend]) -> str:
    """Return the contracts of a system, with the profiles or else the variants that decide."""
    names: dict[Contract, tuple[dict[str, None], dict[str, None]]] = {}
    for variant in backend.variants:
        for profile in registry.profiles_of(backend, variant.name):
            contract = contract_of(backend, variant.name, profile.name)
            variants, profiles = names.setdefault(contract, ({}, {}))
            profiles[profile.name] = None
            if profile.name == "default":
                variants[variant.name] = None
            elif variant.name not in variants:
                variants[f"@{profile.name}"] = None
    if len(names) == 1:
        return str(*names)
    of_profiles = [set(profiles) for _, profiles in names.values()]
    by_profile = not set.intersection(*of_profiles)
    return "; ".join(
        f"{contract}: {', '.join(f'`{name}`' for name in (profiles if by_profile else variants))}"
        for contract, (variants, profiles) in names.items()
    )


def _estimates() -> pd.DataFrame:
    """Return the estimates of `NUMBERS` on one core with one worker, by label and metric."""
    estimates = Store(ROOT / "results/reference/standard").read("estimate")
    chosen = estimates[
        estimates["metric"].isin(NUMBERS)
        & (estimates["workload"] == "noop")
        & (estimates["cores_per_node"] == CORES)
        & (estimates["workers_per_node"] == WORKERS)
    ].sort_values("n_trials")
    # The analysis has each number with and without `noisy` trials; the row of most trials is last.
    best = chosen.drop_duplicates(["label", "metric"], keep="last")
    return best.set_index(["label", "metric"])


def _numbers(best: pd.DataFrame) -> list[str]:
    rows = []
    labels = set(best.index.get_level_values("label"))
    for name in _systems():
        for label in sorted(x for x in labels if x.startswith(f"{name}[")):
            cells = [
                _cell(best.loc[(label, metric)], scale) for metric, (_, scale) in NUMBERS.items()
            ]
            rows.append([f"`{label}`", *cells])
    return _table(["system", *(heading for heading, _ in NUMBERS.values())], rows)


def _two_speeds(best: pd.DataFrame) -> str:
    """Return why the first two numbers of a row are not inverse, with two rows as examples."""
    rate, each, *_ = NUMBERS
    examples = {}
    for label in (STREAMS, COLLECTS):
        per_s, cost_s = (float(best["estimate"].loc[(label, metric)]) for metric in (rate, each))
        examples[label] = (
            f"1 / ({_rounded(per_s)} per s) = {_rounded(1e3 / per_s)} ms",
            f"{_rounded(cost_s * 1e3)} ms",
        )
    streamed, of_streamed = examples[STREAMS]
    collected, of_collected = examples[COLLECTS]
    return (
        "*No-ops/s* is the rate between the 10 % and the 90 % completion of a burst (of a longer "
        "one, where recording would slow it). *Overhead* is the time of a whole burst, from the "
        "first submit call to the last completion, per task. They agree where tasks run while "
        f"others are submitted: `{STREAMS}` has {streamed}, and an overhead of {of_streamed}. "
        "They differ where most of the time is before the first or after the last of these "
        f"completions: `{COLLECTS}` has {collected}, and an overhead of {of_collected}, because "
        "Dask prepares all tasks of a burst before the first one runs."
    )


def _cell(row: pd.Series, scale: float) -> str:
    if pd.isna(row["estimate"]):
        return "not measured"
    bound = "" if pd.isna(row["bound"]) else str(row["bound"])
    text = f"{bound}{_rounded(row['estimate'] * scale)}"
    if pd.isna(row["ci_low"]):
        return text
    return f"{text} [{_rounded(row['ci_low'] * scale)}, {_rounded(row['ci_high'] * scale)}]"


def _rounded(value: float) -> str:
    """Return three significant digits, with commas and without an exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        "|" + "---|" * len(header),
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{tables()}{rest.partition(END)[2]}", encoding="utf-8")
