"""Calibrates the thresholds of METHOD M23: A/A runs beside measured loads.

``python -m tests.fidelity.disturbance`` takes 25 minutes on a quiet machine. The same small plan
runs beside nothing, beside a busy loop on one CPU, and beside one that is on for a random third of
the time. For each load it prints the share of trials by flag, the false differences of the run
against itself for several thresholds, and whether the speed of the CPU explains the spread. The
last table is that of docs/method.md: it has a row for each load, at the present threshold.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from lab.analysis import compute
from lab.analysis.attempts import last_attempts
from lab.analysis.statistics import RefusedError
from lab.campaign import run_folder, runner
from lab.comparison import aa, inputs
from lab.console import say, show_table
from lab.core.cell import CELL
from lab.core.model import COUNTED_FLAGS, Burst, Flag
from lab.history.asv_run import SilentListener
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import Case
from lab.providers import choice
from lab.results.store import Store
from lab.validation import disturbance

LABELS = ("thread-pool", "celery", "rq")
CASES = (Case("noop", Burst(2_000)), Case("cpu", Burst(300), 2_000))
ON_S, OFF_S = 5.0, 10.0  # means of the exponential times of the load that comes and goes
THRESHOLDS = (0.05, 0.10, 0.20, 1.0)
PRESENT = next(t.disturbed_above for t in disturbance.THRESHOLDS if t.signal == "cpu_taken")
HEADINGS = ("beside", "trials", "noisy", "disturbed", "counted", "false, pairs", "false, halves")
LOOP = "while True: pass"


def main() -> int:
    """Run the plan beside each load, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=aa.BLOCKS)
    parser.add_argument("--load", action="append", choices=LOADS, help="default: all")
    parser.add_argument("--results", type=Path, help="keep the runs in this folder")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        results = options.results or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rows = []
        for load in options.load or LOADS:
            with LOADS[load]():
                store = measure(results, options.blocks)
            say(f"{load}: run {store.folder}")
            rows.append(report(load, store, results))
    show_table(
        f"A/A runs beside a load, disturbed above {PRESENT:.0%} of `cpu_taken`", HEADINGS, rows
    )
    say(
        "False differences must be at most 5 %, and on a quiet machine at least 90 % of the trials "
        "must count. Thresholds: `THRESHOLDS` in lab/validation/disturbance.py, and the tables of "
        "docs/method.md (M23)."
    )
    return 0


def measure(results: Path, blocks: int) -> Store:
    """Run the plan, and return the store."""
    selection = Selection(
        labels=tuple(f"{label}" for label in LABELS),
        cases=CASES,
        cores=(1,),
        nodes=(1,),
        workers_per_core=(1,),
        provider=choice.LOCAL,
        blocks=blocks,
        seed=1,
        warmup_per_slot=20,
        deadline_s=60.0,
    )
    plan = make_plan(selection)
    run = run_folder.Run(plan, "disturbance", 1, 0, "tests.fidelity.disturbance")
    store = run_folder.create(results, run)
    runner.execute(store, run, SilentListener())
    return store


@contextlib.contextmanager
def _beside_nothing() -> Iterator[None]:
    yield


@contextlib.contextmanager
def _beside_a_loop() -> Iterator[None]:
    """Keep the first CPU busy."""
    with _loop():
        yield


@contextlib.contextmanager
def _beside_bursts() -> Iterator[None]:
    """Keep the first CPU busy for a random third of the time."""
    ended = threading.Event()
    rng = random.Random(1)

    def alternate() -> None:
        while not ended.wait(rng.expovariate(1 / OFF_S)):
            with _loop():
                ended.wait(rng.expovariate(1 / ON_S))

    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def _loop() -> Iterator[None]:
    cpu = str(min(os.sched_getaffinity(0)))
    process = subprocess.Popen(["taskset", "-c", cpu, sys.executable, "-c", LOOP])
    try:
        yield
    finally:
        process.kill()
        process.wait()


LOADS: Mapping[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "nothing": _beside_nothing,
    "a loop on one CPU": _beside_a_loop,
    "a loop that comes and goes": _beside_bursts,
}


def report(load: str, store: Store, results: Path) -> tuple[str, ...]:
    """Print flags, false differences by threshold, and the spread with and without the speed.

    Returns the row of `HEADINGS`.
    """
    trials = last_attempts(store.read("trial"))
    flags = pd.crosstab(trials["label"], trials["flag"])
    columns = ["label", *map(str, flags.columns)]
    rows = [[str(label), *map(str, counts)] for label, *counts in flags.itertuples()]
    show_table(f"{load}: trials by flag", columns, rows)
    for name in ("cpu_taken", "other_cpu", "cpu_wait", "steal", "calibration_drift"):
        values = trials[name].astype("float64")
        quantiles = ", ".join(f"{values.quantile(q):.1%}" for q in (0.5, 0.75, 0.9, 1.0))
        say(f"{name}: median, 75 %, 90 %, most: {quantiles}")
    by_threshold = {each: _differences(store, results, each) for each in {*THRESHOLDS, PRESENT}}
    shown = [by_threshold[each] for each in sorted(by_threshold)]
    headings = ("disturbed above", "counted", "pairs: false", "halves: false", "equal sides differ")
    show_table(f"{load}: false differences by threshold of cpu_taken", headings, shown)
    _spread(load, store)
    shares = [f"{(trials['flag'] == flag).mean():.0%}" for flag in (Flag.NOISY, Flag.DISTURBED)]
    counted = f"{trials['flag'].isin(COUNTED_FLAGS).mean():.0%}"
    return load, str(len(trials)), *shares, counted, *by_threshold[PRESENT][2:4]


def _differences(store: Store, results: Path, threshold: float) -> tuple[str, ...]:
    """Judge the trials with a threshold, and compare the run with itself.

    The flags of the lab are those of the present threshold. They also subtract the resolution of a
    short window, which another threshold here does not.
    """
    folder = results / "judged" / f"{store.folder.name}-{threshold:g}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(store.folder, folder)
    path = folder / "trial.csv"
    trials = pd.read_csv(path, dtype=str, keep_default_na=False)
    if threshold != PRESENT:
        taken = pd.to_numeric(trials["cpu_taken"], errors="coerce").fillna(0.0)
        judged = trials["flag"].isin([*COUNTED_FLAGS, Flag.DISTURBED])
        trials.loc[judged, "flag"] = np.where(taken[judged] > threshold, Flag.DISTURBED, Flag.OK)
        trials.to_csv(path, index=False, lineterminator="\n")
    compute.compute(Store(folder))
    counted = trials["flag"].isin(COUNTED_FLAGS).mean()
    side = inputs.find_side(str(folder), results)
    texts, effects = [], []
    for is_paired in (True, False):
        try:
            result = aa.run_aa_test(side, is_paired=is_paired)
        except RefusedError as refused:
            texts.append(f"refused: {refused}"[:40])
            continue
        share = result.false_alarms / result.comparisons
        texts.append(f"{result.false_alarms} of {result.comparisons} ({share:.1%})")
        effects.append(f"{result.smallest_effect:.1%}")
    return f"{threshold:.0%}", f"{counted:.0%}", *texts, " / ".join(effects)


def _spread(load: str, store: Store) -> None:
    """Compare the spread of throughputs with that of throughputs at one speed of the CPU."""
    trials = last_attempts(store.read("trial"))
    metrics = store.read("metric")
    rates = metrics[metrics["metric"] == "throughput_per_s"].dropna(subset=["value"])
    facts = trials[["trial_id", "attempt", "block", "calibration_ns", "cpu_taken", *CELL]]
    both = rates.merge(facts, on=["trial_id", "attempt"])
    rows = []
    for (label, workload), cell in both.groupby(["label", "workload"]):
        rate = np.log(cell["value"].astype("float64"))
        speed = np.log(cell["calibration_ns"].astype("float64"))
        raw, normal = rate.std(), (rate + speed).std()
        taken = cell["cpu_taken"].astype("float64")
        slope = np.polyfit(taken, rate, 1)[0] if taken.std() else float("nan")
        rows.append((str(label), str(workload), f"{raw:.1%}", f"{normal:.1%}", f"{slope:+.2f}"))
    headings = ("label", "workload", "spread", "at one speed", "ln rate for each taken share of 1")
    show_table(f"{load}: spread of the throughput between blocks", headings, rows)


if __name__ == "__main__":
    sys.exit(main())
