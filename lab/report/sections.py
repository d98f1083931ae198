"""Prepares the further sections of the page: machine, noise, failures and settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from lab.analysis.cells import cell_key
from lab.analysis.labels import each, identify
from lab.analysis.queries import topology_names, workload_names
from lab.analysis.statistics import interval
from lab.core.model import COUNTED_FLAGS, Flag, Status
from lab.figures import Tables
from lab.report.flag_reasons import in_words
from lab.report.former_reasons import present
from lab.report.headlines import headline, without_noisy
from lab.report.number_format import NOT_MEASURED, digits, percent
from lab.report.numbers import Number, shown
from lab.report.summary import COLUMNS, Column

Pair = tuple[str, str]

MACHINE = {
    "CPU": "cpu.model",
    "physical cores": "cpu.cores",
    "CPUs the lab may use": "cpu.usable",
    "virtual machine": "cpu.hypervisor",
    "memory": "memory.ram",
    "kernel": "kernel.release",
    "Python": "python.version",
}
DISTURBANCES = {
    "stolen by the hypervisor": "steal",
    "used by other processes": "other_cpu",
    "taken from a role by other processes": "cpu_taken",
    "waited for a CPU by the trial's threads": "cpu_wait",
    # The next two flag nothing. Drift is the machine's own spread, which interleaving spreads over
    # all systems, and the queues of saturated workers raise CPU pressure (METHOD M23).
    "change of the CPU's own speed around the trial": "calibration_drift",
    "CPU pressure": "pressure_cpu",
    "quota periods in which a node was throttled": "throttle_ratio",
}
SPREAD = (0.5, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class UnusableAttempts:
    """Attempts without a usable number, for the same reason."""

    what: str
    reason: str
    label: str
    workload: str
    topology: str
    arrival: str
    trials: Sequence[str]

    @property
    def n(self) -> int:
        """Number of attempts."""
        return len(self.trials)


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective settings of one label, and the topologies where they apply."""

    label: str
    where: str
    services: str
    values: Sequence[Pair]


@dataclass(frozen=True, slots=True)
class Baseline:
    """One host baseline in `unit`: a number of the machine, measured without a task."""

    name: str
    unit: str
    number: Number
    method: str


@dataclass(frozen=True, slots=True)
class NoiseEffect:
    """One headline number with and without noisy trials; `ratio` is without / with, minus 1."""

    name: str
    workload: str
    topology: str
    metric: str
    n_noisy: int
    everything: Number
    without: Number
    ratio: float


def machine(tables: Tables) -> list[Pair]:
    """Return the main facts of the machine; a fact that could not be read is `unknown`."""
    facts = {
        fact.key: f"{fact.value} {fact.unit}".strip()
        for fact in each(tables["environment"])
        if fact.value
    }
    # A fact that could not be read stays missing: unknown is not the same as no hypervisor.
    if "cpu.hypervisor" in facts:
        facts["cpu.hypervisor"] = "yes" if facts["cpu.hypervisor"] == "1" else "no"
    chosen = [(title, facts.get(key, "unknown")) for title, key in MACHINE.items()]
    services = sorted(set(tables["trial"]["services"]) - {""})
    return [*chosen, ("services", "; ".join(services) or "none")]


def baselines(tables: Tables) -> list[Baseline]:
    """Return the host baselines: means over blocks, or why one was not measured."""
    results = []
    for (name, unit), rows in tables["baseline"].groupby(["baseline", "unit"], sort=False):
        # The block is the unit here: its readings are not independent (METHOD M9).
        blocks = rows.dropna(subset=["value"]).groupby("block")["value"].mean()
        methods = "; ".join(dict.fromkeys(rows["method"]))
        number = Number(NOT_MEASURED)
        if len(blocks):
            scale = 1e3 if unit == "s" else 1
            mean = interval(blocks.tolist())
            ends = [digits(end * scale) for end in (mean.low, mean.high) if end is not None]
            number = Number(digits(mean.value * scale), " to ".join(ends), mean.method, mean.value)
        results.append(Baseline(str(name), "ms" if unit == "s" else str(unit), number, methods))
    return results


def flag_counts(trials: pd.DataFrame) -> list[tuple[str, int]]:
    """Count attempts: by flag if the status is `ok`, otherwise by status."""
    fine = trials["status"] == Status.OK
    flags = [(flag.value, int((fine & (trials["flag"] == flag)).sum())) for flag in Flag]
    rest = [
        (status.value, int((trials["status"] == status).sum()))
        for status in Status
        if status != Status.OK
    ]
    return flags + [(word, count) for word, count in rest if count]


def disturbances(trials: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Return n, median, 90th percentile and maximum over trials of each disturbance."""
    rows = []
    for title, column in DISTURBANCES.items():
        values = trials[column].dropna().astype("float64")
        cells = [
            percent(float(values.quantile(q))) if len(values) else NOT_MEASURED for q in SPREAD
        ]
        rows.append((title, [str(len(values)), *cells]))
    return rows


def changes(tables: Tables) -> list[NoiseEffect]:
    """Compare each headline number that includes noisy trials with the same without them."""
    trials = _named(tables)
    everything = headline(tables["estimate"])
    without = without_noisy(tables["estimate"])
    cells = {cell_key(cell): cell for cell in each(trials)}
    results = []
    for column in COLUMNS:
        for key, estimate in everything.items():
            if (key[0], estimate.arrival) != (column.metric, column.arrival):
                continue
            # Without its noisy trials, a cell may have no estimate at all.
            other = without.get(key)
            if estimate.n_noisy and other is not None and not pd.isna(other.estimate):
                results.append(_change(cells[key[1:]], column, estimate, other))
    return results


def _change(cell: Any, column: Column, everything: Any, without: Any) -> NoiseEffect:
    return NoiseEffect(
        name=cell.name,
        workload=cell.workload_name,
        topology=cell.topology,
        metric=column.title,
        n_noisy=int(everything.n_noisy),
        everything=shown(everything, column.scale),
        without=shown(without, column.scale),
        ratio=float(without.estimate / everything.estimate - 1),
    )


def unusable_attempts(tables: Tables) -> list[UnusableAttempts]:
    """List the attempts without a usable number, grouped by reason; skips are last."""
    trials = _named(tables)
    bad = trials[(trials["status"] != Status.OK) | ~trials["flag"].isin(COUNTED_FLAGS)]
    what = bad["status"].where(bad["status"] != Status.OK, bad["flag"])
    # An attempt that ended badly has a reason; one that is only flagged has that of its flag.
    reasons = bad["reason"].map(present)
    why = reasons.where(reasons != "", bad["flag_reasons"].map(in_words))
    keys = ["what", "why", "label", "workload_name", "topology", "arrival"]
    groups = bad.assign(what=what, why=why).groupby(keys, sort=False)
    results = [_unusable(next(iter(each(rows))), rows["trial_id"]) for _, rows in groups]
    return sorted(results, key=lambda attempts: attempts.what == Status.SKIPPED)


def _unusable(row: Any, trial_ids: Iterable[str]) -> UnusableAttempts:
    return UnusableAttempts(
        what=row.what,
        reason=row.why,
        label=row.label,
        workload=row.workload_name,
        topology=row.topology,
        arrival=row.arrival,
        trials=list(trial_ids),
    )


def settings(trials: pd.DataFrame) -> list[Settings]:
    """List the effective settings of each label, once for each distinct set."""
    named = trials.assign(topology=topology_names(trials)) if len(trials) else trials
    ran = named[named["status"] != Status.SKIPPED]
    results = []
    # Settings may depend on the topology, such as the number of workers of a server.
    for (label, text, services), rows in ran.groupby(["label", "settings", "services"]):
        where = "; ".join(dict.fromkeys(rows["topology"]))
        results.append(Settings(str(label), where, str(services), list(_pairs(str(text)))))
    return results


def _pairs(text: str) -> Iterator[Pair]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        values = None
    # The text of a foreign or edited run may be anything; it is shown and not interpreted.
    if not isinstance(values, Mapping):
        yield "as recorded", text
        return
    for name, value in values.items():
        yield str(name), value if isinstance(value, str) else json.dumps(value)


def _named(tables: Tables) -> pd.DataFrame:
    trials = tables["trial"]
    if trials.empty:
        # A campaign without trials needs them too: `unusable_attempts` groups by these columns.
        return trials.assign(workload_name="", topology="", name="")
    return trials.assign(
        workload_name=workload_names(trials), topology=topology_names(trials)
    ).merge(identify(trials)[["label", "name"]], on="label")
