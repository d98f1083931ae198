"""Compares the lab's throughput with that of a script written by hand, in interleaved pairs.

``python -m tests.fidelity.compare`` (`nox -s fidelity`). A pair is one trial of the lab, a burst
of no-ops, and one run of the backend's script: in random order, on the same CPUs for the same
roles, each with fresh servers. Both rates are computed by the same function, the lab's from its
ledger, as in a campaign: where the record of each task would lower it, from the marks of a burst
without (METHOD M19). A ratio of 1 means that the lab takes nothing away from a system.

Beside the ratio is the time that the lab adds to a task, in microseconds. `null` has no script,
because it measures nothing but the lab.

Some ratios depend more on the system than on the lab:

* A script notes each task, in worker processes by a write to a file, and the lab one in a hundred
  where that is quicker: batches of no-ops (`joblib[loky]`, `multiprocessing[fork+map]`) are little
  else than such writes. Around each task the lab has a function of its own, in asyncio a coroutine,
  which plain calls and queues of one process show.
* joblib's automatic batches double until one takes 0.2 s, which no-ops never let them reach: the
  rate is that of the last few batches, whose sizes depend on earlier ones. Use ``+batch-1``.
* Where threads take tasks from a queue (`threading[queue]`, `thread-pool`), a submitter that is
  faster than they are never wakes one, and a slower one wakes one for each task, at several times
  the price of a task. Half a microsecond decides on which side no-ops fall.
* APScheduler inspects the signature of each job, at some microseconds a parameter, so the adapter
  gives it a function of one parameter, as the script's is.
* In each process that RQ forks for a job, recording starts again: 3.5 ms for an import and a file,
  of about 25 ms that a job takes.
* On a busy machine the GIL's and the scheduler's turns decide: compare ratios of a quiet one.
"""

from __future__ import annotations

import argparse
import random
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_all_start_methods
from pathlib import Path

from lab import console
from lab.analysis import statistics
from lab.core.backend import capabilities, services_of
from lab.core.errors import ClusterError, LabError, UnknownNameError
from lab.core.model import Burst, Capability, Status, TrialSpec
from lab.core.placement import cpu_text
from lab.driver import instrumentation_cost
from lab.host import processes
from lab.planning import registry
from lab.planning.phases import Phase
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import Case
from lab.providers import choice, images
from lab.providers.servers import SERVICES, last_line
from lab.recording.driver_status import read_status
from lab.recording.ledger_reader import executions
from lab.running import trial
from tests.fidelity import inside, stamps

# Tasks of one burst by backend, or by variant where that differs, enough for about a second.
TASKS = {
    "apscheduler": 10_000,
    "apscheduler[processes+late-runs]": 3_000,
    "apscheduler[threads+sqlalchemy+late-runs]": 100,  # each waits twice for the disk
    "asyncio": 100_000,
    "asyncio[anyio]": 5_000,
    "asyncio[to_thread]": 20_000,
    "celery": 1_000,
    "celery[gevent+rabbitmq]": 60,  # it waits 0.1 s after each message
    "dask": 3_000,
    "dask[distributed]": 1_000,
    "dask[distributed+threads]": 1_000,
    "django-q": 300,
    "django-rq": 200,
    "django-tasks": 200,
    "dramatiq": 1_000,
    "huey": 1_000,
    "inline": 300_000,
    "interpreter-pool": 10_000,
    "joblib": 5_000,
    # Batches of no-ops only grow: with few tasks, the rate depends on their size before the window.
    "joblib[loky]": 200_000,
    "joblib[multiprocessing]": 200_000,
    "multiprocessing": 30_000,
    **{f"multiprocessing[{method}+map]": 500_000 for method in get_all_start_methods()},
    "pebble": 5_000,
    "process-pool": 10_000,
    "procrastinate": 500,
    "ray": 3_000,
    "rq": 200,
    "rq[simple-worker]": 1_000,
    "rq[spawn-worker]": 40,
    "taskiq": 1_000,
    "thread-pool": 30_000,
    "threading": 8_000,
}
WORKERS = 2
PATIENCE_S = 300.0


def main() -> int:
    """Run the pairs and print the ratios; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", action="append", help="such as celery or rq[worker]")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    try:
        labels = possible(chosen_labels(given.backend))
        rates = measure(labels, given.pairs, random.Random(given.seed))
    except LabError as error:
        console.say(str(error))
        return error.exit_code
    title = (
        f"Fidelity: tasks/s of lab / script, {given.pairs} pairs; us: what the lab adds to a task"
    )
    rows = [row(label, *rates[label]) for label in labels]
    console.show_table(title, ("backend", "script/s", "ratio", "95 %", "us"), rows)
    return 0


def chosen_labels(wanted: Sequence[str] | None) -> list[str]:
    """Name every variant that has a script and was asked for, by itself or by its backend.

    Raises:
        UnknownNameError: A wanted name is neither.
    """
    known = registry.backends()
    labels = [
        f"{name}[{variant.name}]"
        for name in sorted(set(TASKS) & set(known))
        for variant in known[name].variants
    ]
    for name in wanted or ():
        if name not in TASKS and name not in labels:
            raise UnknownNameError("backend with a script", name, [*TASKS, *labels])
    return [x for x in labels if not wanted or x in wanted or x.partition("[")[0] in wanted]


def possible(labels: Sequence[str]) -> list[str]:
    """Leave those out, and say so, that lack a Python, a package, or containers."""
    lacks = {label: _lack(registry.select(label)) for label in labels}
    for label, lack in lacks.items():
        if lack:
            console.say(f"Left out: {label}. It needs {lack}.")
    labels = [label for label in labels if not lacks[label]]
    inside_only = [label for label in labels if inside.is_needed(label)]
    try:
        if inside_only:
            images.build(console.say)
    except ClusterError as error:
        console.say(f"Left out: {', '.join(inside_only)}. {error}")
        return [label for label in labels if label not in inside_only]
    return [*labels]


def _lack(chosen: registry.SelectedBackend) -> str:
    """Return the Python or the package that a system needs and this environment lacks."""
    if version := registry.needed_python(chosen.backend):
        return f"Python {version}"
    package = registry.missing_package(chosen.backend, chosen.variant)
    return f"the package {package}" if package else ""


def measure(
    labels: Sequence[str], pairs: int, order: random.Random
) -> dict[str, tuple[list[float], list[float]]]:
    """Return the rates of lab and script for each label, pair by pair, in tasks per second."""
    rates: dict[str, tuple[list[float], list[float]]] = {label: ([], []) for label in labels}
    sides = (partial(lab_rate, instrumentation_ns=instrumentation_cost.cost_ns()), script_rate)
    for pair in range(pairs):
        for label in order.sample(labels, len(labels)):
            spec = spec_of(label, pair)
            for side in order.sample((0, 1), 2):
                with tempfile.TemporaryDirectory() as folder:
                    rates[label][side].append(sides[side](spec, Path(folder)))
            lab, script = (values[-1] for values in rates[label])
            console.say(f"pair {pair + 1}/{pairs} {label}: lab {lab:.0f}/s, script {script:.0f}/s")
    return rates


def spec_of(label: str, pair: int) -> TrialSpec:
    """Make the trial of one pair: one node of one core, and two workers where there can be."""
    chosen = registry.select(label)
    is_parallel = Capability.PARALLEL in capabilities(chosen.backend, chosen.variant)
    selection = Selection(
        labels=(label,),
        cases=(Case("noop", Burst(TASKS.get(label) or TASKS[chosen.name])),),
        cores=(1,),
        nodes=(1,),
        workers_per_core=(WORKERS if is_parallel else 1,),
        provider=choice.CONTAINERS if inside.is_needed(label) else choice.LOCAL,
        blocks=pair + 1,
        seed=1,
        warmup_per_slot=20,
        deadline_s=PATIENCE_S,
    )
    return make_plan(selection).trials[pair]


def lab_rate(spec: TrialSpec, folder: Path, instrumentation_ns: float) -> float:
    """Run one trial and return the rate that its ledger shows."""
    outcome = trial.run_trial(spec, 1, folder / "trial", lambda _: None, instrumentation_ns)
    status = read_status(outcome.folder)
    if (outcome.status, status.get("status")) != (Status.OK, Status.OK):
        raise LabError(f"{spec.label} failed: {outcome.reason or status.get('reason')}")
    finished_ns = {
        record.task_id: record.finished_ns
        for path in (outcome.folder / "ledger").glob("*.bin")
        for record in executions(path)[1]
    }
    last = max(finished_ns)
    phase = next(p for p in (Phase.REPEATED, Phase.UNRECORDED, Phase.MEASURE) if last in p.ids)
    ids = phase.ids
    instants = [at for number, at in finished_ns.items() if number in ids]
    # Each mark stands for the tasks before it, and the number of the last says how many there were.
    return stamps.rate_hz(instants) * (last - phase.first_task + 1) / len(instants)


def script_rate(spec: TrialSpec, folder: Path) -> float:
    """Run the backend's script where the trial's roles ran and return the rate that it prints."""
    place = trial.place(spec)
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "fidelity"}
    script = f"tests.fidelity.with_{spec.backend.replace('-', '_')}"
    options = ["--variant", spec.variant, "--worker-cpus", cpu_text(place.nodes[0])]
    options += ["--tasks", str(spec.arrival.n_tasks), "--workers", str(spec.topology.workers)]
    if inside.is_needed(spec.label):
        return float(inside.printed_by(script, options, spec, folder))
    argv = [sys.executable, "-m", script, *options]
    servers = []
    try:
        for service in services_of(registry.select(spec.label).backend, spec.variant):
            servers.append(
                SERVICES[service]().start(folder, place.services, labels, secrets.token_hex(16))
            )
            argv += [f"--{service}", servers[-1].endpoint]
        log = folder / "script.log"
        script_process = processes.start(argv, place.driver, labels, log, pipes=True)
        printed, _ = script_process.communicate(timeout=PATIENCE_S)
        if script_process.returncode:
            raise LabError(f"{script} failed: {last_line(log)}")
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{script} did not end within {PATIENCE_S:.0f} s.") from error
    finally:
        for server in servers:
            processes.stop(server.process)
        processes.reap_trial("fidelity")
    return float(printed)


def row(label: str, lab: Sequence[float], script: Sequence[float]) -> Sequence[str]:
    """Write one line of the table; the rates are geometric means over pairs."""
    ratio = statistics.paired_ratio(lab, script)
    lab_hz, script_hz = (statistics.interval(values).value for values in (lab, script))
    ends = "-" if ratio.low is None else f"{ratio.low:.3f} .. {ratio.high:.3f}"
    added_us = 1e6 / lab_hz - 1e6 / script_hz
    return (label, f"{script_hz:,.0f}", f"{ratio.value:.3f}", ends, f"{added_us:.1f}")


if __name__ == "__main__":
    sys.exit(main())
