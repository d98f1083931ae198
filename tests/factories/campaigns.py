"""Builds the tables of a synthetic campaign, for tests of figures and pages.

Deterministic. Every backend has a cost per task, a serial share and a latency; trials scatter
log-normally, as real ones do. `campaign` returns the tables as `Store.read` would.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lab.analysis.estimates import estimates
from lab.analysis.metrics import registry
from lab.analysis.sweeps import sweeps
from lab.figures.history import of_run
from lab.results import formats
from lab.results.schema import CSV_TABLES, SCHEMA_VERSION, TrialRow
from lab.results.schema.campaign import CampaignRow
from lab.results.schema.machine import EnvironmentRow
from lab.results.store import Store
from tests.factories.rows import hints_of
from tests.factories.systems import SYSTEMS, System

__all__ = ["SYSTEMS", "System"]  # imported from here
SYNTHETIC = "synthetic"
BOTH = ((SYNTHETIC, True), (f"{SYNTHETIC}/without-noisy", False))
WORKLOADS: Mapping[str, tuple[int, str, int]] = {
    "noop": (0, "", 0),
    "cpu": (16_000, "iterations", 1_000_000),
}
# Cores of the synthetic machine: nodes with more are oversubscribed. One of so many tasks is lost.
CORES, LOST_EVERY = 2, 50
BLANK = TrialRow(
    **{n: {int: 0, str: "", float: 0.0}.get(hint) for n, hint in hints_of("trial").items()}  # type: ignore[arg-type]
)
SHARED: Mapping[str, Any] = {
    **dict.fromkeys(("attempt", "nodes", "drivers"), 1),
    "campaign_id": SYNTHETIC,
    "provider": "local",
    "placement": "shared",
    "runs_tasks": 1,
    "fingerprint_id": "f" * 16,
    "t_begin_ns": 0,
    "t_end_ns": 20_000_000_000,
    "calibration_drift": 0.01,
    "status": "ok",
    "flag": "ok",
}


@dataclass(frozen=True)
class Campaign:
    """The size and the faults of a synthetic campaign."""

    systems: Sequence[System] = SYSTEMS
    blocks: int = 5
    cores: Sequence[int] = (1, 2)
    workloads: Sequence[str] = ("noop", "cpu")
    rates_hz: Sequence[float] = (100.0,)
    paced_tasks: int = 720
    burst_tasks: int = 60
    losing_family: str = "rq"
    noisy_every: int = 17
    failed: Sequence[str] = ()  # labels whose every trial failed
    profile: str = "default"
    seed: int = 7


SMALL = Campaign(tuple(s for s in SYSTEMS if s.variant in {"call", "executor", "worker"}))
WIDE = Campaign(cores=(1,), workloads=("noop",))
"""Few backends with data for every figure, and all backends in one cell of each arrival."""


@cache
def campaign(plan: Campaign) -> Mapping[str, pd.DataFrame]:
    """Return all tables of a synthetic campaign; the lab computes its metrics and estimates."""
    rng = np.random.default_rng(plan.seed)
    trials = trials_of(plan)
    windows = {trial.trial_id: _tasks(trial, plan, rng) for trial in trials}
    rows = [row for t in trials for row in registry.trial_metrics(t, windows[t.trial_id])]
    tables = {
        "campaign": typed("campaign", [_campaign_row(plan)]),
        "environment": typed("environment", _environment()),
        "trial": typed("trial", trials),
        "metric": typed("metric", rows),
        "task": typed("task", pd.concat(windows.values())).assign(attempt=1),
        **{name: typed(name, []).assign(attempt=1) for name in ("firing", "fault", "outcome")},
    }
    of = tables["trial"], tables["metric"]
    tables["trend"] = typed("trend", sweeps(*of, SYNTHETIC))
    over_trials = [row for name, noisy in BOTH for row in estimates(*of, name, with_noisy=noisy)]
    tables |= {f"task/{trial_id}-1": rows for trial_id, rows in tables["task"].groupby("trial_id")}
    tables |= {name: typed(name, []) for name in ("claim", "baseline")}
    tables |= {"estimate": typed("estimate", over_trials)}
    return tables | {"earlier": _earlier(tables)}


def _earlier(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the main numbers of a run on an earlier commit, which was a tenth slower."""
    before = {"campaign_id": "before", "git_commit": "b" * 40, "started_utc": "2026-11-21T09:00:00"}
    slower = {name: tables["estimate"][name] * 1.1 for name in ("estimate", "ci_low", "ci_high")}
    return of_run(
        {
            **tables,
            "campaign": tables["campaign"].assign(**before),
            "estimate": tables["estimate"].assign(**slower),
        }
    )


def trials_of(plan: Campaign) -> list[TrialRow]:
    """Return the trials of the campaign, some of them disturbed."""
    trials = [trial for block in range(plan.blocks) for trial in _block(plan, block)]
    return [_disturbed(trial, number, plan) for number, trial in enumerate(trials)]


def write(tables: Mapping[str, pd.DataFrame], folder: Path) -> Path:
    """Write the tables to a run folder, and return the folder."""
    store = Store(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in set(CSV_TABLES) & set(tables):
        store.replace(name, tables[name])
    for name in ("task", "firing", "fault", "outcome"):
        for (trial_id, attempt), rows in tables[name].groupby(["trial_id", "attempt"]):
            where = store.trial_folder(str(trial_id), int(str(attempt)))
            store.write_parquet(where, name, rows.drop(columns="attempt"))
    return folder


def typed(name: str, rows: Sequence[Any] | pd.DataFrame) -> pd.DataFrame:
    """Convert rows to a frame with the types and nulls that the store would return."""
    return formats.from_parquet(name, formats.to_parquet(name, rows, Path(name)), Path(name))


def _block(plan: Campaign, block: int) -> Iterator[TrialRow]:
    position = 0
    for system in plan.systems:
        for workload in plan.workloads:
            for cores in plan.cores:
                if system.serial == 1.0 and cores > 1:
                    continue
                rates = plan.rates_hz if workload == "noop" and cores == 1 else ()
                for rate in (None, *rates):
                    yield _trial(plan, system, workload, cores, rate, block, position)
                    position += 1


def _trial(
    plan: Campaign,
    system: System,
    workload: str,
    cores: int,
    rate: float | None,
    block: int,
    position: int,
) -> TrialRow:
    size, unit, nominal_ns = WORKLOADS[workload]
    label = f"{system.backend}[{system.variant}]@{plan.profile}"
    paced = rate is not None
    n = plan.paced_tasks if paced else plan.burst_tasks
    lost = n // LOST_EVERY if paced and system.family == plan.losing_family else 0
    trial = replace(
        BLANK,
        **SHARED,
        trial_id=f"{block:08x}{position:08x}",
        block=block,
        position=position,
        label=label,
        backend=system.backend,
        family=system.family,
        variant=system.variant,
        profile=plan.profile,
        workload=workload,
        size=size,
        size_unit=unit,
        nominal_ns=nominal_ns,
        arrival="paced" if paced else "burst",
        rate_hz=rate,
        interarrival="poisson" if paced else "",
        cores_per_node=cores,
        workers_per_node=cores,
        workers=cores,
        node_mode="cpuset" if cores <= CORES else "oversubscribed",
        seed=block,
        services="redis-server 6.2.14" if system.family in {"celery", "rq"} else "",
        settings='{"prefetch_multiplier": 4}' if system.family == "celery" else "{}",
        n_planned=n,
        n_sent=n,
        n_done=n - lost,
        n_censored=lost,
        n_lost=lost,
        cpu_driver_ns=int(n * system.cost_s * 4e8),
        cpu_services_ns=int(n * 6e4) if system.family in {"celery", "rq"} else None,
        cpu_workers_ns=int(n * (system.cost_s * 5e8 + nominal_ns)),
        steal=0.002 + 0.001 * (block % 3),
        other_cpu=0.004 + 0.002 * ((block + position) % 4),
    )
    return _failed(trial) if label in plan.failed else trial


def _failed(trial: TrialRow) -> TrialRow:
    unknown = {name for name, value in asdict(BLANK).items() if value is None} - {"rate_hz"}
    changes: dict[str, Any] = dict.fromkeys(unknown)
    changes |= dict.fromkeys(("n_sent", "n_done", "n_censored", "n_lost"), 0)
    return replace(
        trial,
        **changes,
        status="failed",
        reason="The broker did not answer within 10 s.",
        flag="invalid",
    )


def _disturbed(trial: TrialRow, number: int, plan: Campaign) -> TrialRow:
    if trial.status != "ok" or number % plan.noisy_every:
        return trial
    if number % (3 * plan.noisy_every) == 2 * plan.noisy_every:
        return replace(trial, flag="disturbed", flag_reasons="others took 12 %", other_cpu=0.121)
    return replace(trial, flag="noisy", flag_reasons="steal 1.4 %; foreign CPU 2.6 %", steal=0.014)


def _system(trial: TrialRow, plan: Campaign) -> System:
    return next(s for s in plan.systems if (s.backend, s.variant) == (trial.backend, trial.variant))


def _tasks(trial: TrialRow, plan: Campaign, rng: np.random.Generator) -> pd.DataFrame:
    """Return the tasks of a trial's window; lost tasks are evenly spread and never start."""
    n = trial.n_sent
    t0, t3, t4 = (_paced if trial.arrival == "paced" else _burst)(trial, plan, n, rng)
    t1 = t0 + 2_000 + np.arange(n) * (trial.arrival == "burst")
    frame = pd.DataFrame(
        {
            "trial_id": trial.trial_id,
            "task_id": np.arange(n),
            "attempt_no": 1,
            "phase": "measure",
            "t0_ns": t0,
            "t1_ns": t1,
            "t2_ns": t1 + 7_000,
            "t3_ns": pd.array(t3, "Int64"),
            "t4_ns": pd.array(t4, "Int64"),
            "t5_ns": pd.array([pd.NA] * n, "Int64"),
            "node": pd.array([0] * n, "Int64"),
            "worker": "1:1",
            "outcome": "ok",
            "answer": pd.array([pd.NA] * n, "Int64"),
        }
    )
    lost = frame.index[LOST_EVERY - 1 :: LOST_EVERY] if trial.n_lost else frame.index[:0]
    frame.loc[lost, ["t3_ns", "t4_ns", "node"]] = pd.NA
    frame.loc[lost, "outcome"] = "unstarted"
    return frame


def _paced(
    trial: TrialRow, plan: Campaign, n: int, rng: np.random.Generator
) -> tuple[Any, Any, Any]:
    t0 = np.sort(rng.uniform(0, n / (trial.rate_hz or 1), n)) * 1e9
    wait = _system(trial, plan).latency_s * np.exp(rng.normal(0, 0.35, n)) * 1e9
    return t0.astype(int), (t0 + wait).astype(int), (t0 + wait + 1_000).astype(int)


def _burst(
    trial: TrialRow, plan: Campaign, n: int, rng: np.random.Generator
) -> tuple[Any, Any, Any]:
    system, work_s = _system(trial, plan), trial.nominal_ns / 1e9
    # Threads of one interpreter share its lock: their work does not run in parallel.
    serial = 0.97 if system.family in {"threads", "asyncio"} and work_s else system.serial
    speed_up = 1 / (serial + (1 - serial) / trial.workers)
    each_s = (work_s + system.cost_s) / speed_up * math.exp(rng.normal(0, 0.04))
    t4 = np.arange(1, n + 1) * each_s * 1e9
    return np.zeros(n, dtype=int), (t4 - each_s * 5e8).astype(int), t4.astype(int)


def _campaign_row(plan: Campaign) -> CampaignRow:
    return CampaignRow(
        campaign_id=SYNTHETIC,
        schema_version=SCHEMA_VERSION,
        fingerprint_id="f" * 16,
        spec_hash="0123456789abcdef" * 4,
        git_commit="a" * 40,
        git_dirty="1",
        started_utc="2026-11-22T11:30:00Z",
        preset="quick",
        seed=plan.seed,
        command="lab bench --preset quick",
    )


def _environment() -> list[EnvironmentRow]:
    facts = {"cpu.model": "Made-up CPU @ 2.0 GHz", "cpu.cores": "2", "python.version": "3.11.7"}
    return [EnvironmentRow("f" * 16, key, value, "", 1) for key, value in facts.items()]
