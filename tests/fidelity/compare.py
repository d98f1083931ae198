"""Compares the lab's throughput with that of a script written by hand, in interleaved pairs.

``python -m tests.fidelity.compare`` (`nox -s fidelity`). A pair is one trial of the lab, a burst
of no-ops, and one run of the backend's script: in random order, on the same CPUs for the same
roles, each with a fresh Redis. Both rates are computed by the same function, the lab's from its
ledger. A ratio of 1 means that the lab takes nothing away from a system.

The lab's record of a task is richer than a script's, and costs about a microsecond; where a task
costs a system no more than a few of those, the ratio tells that cost (METHOD M19). `null` has no
script: nobody would write one.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab import console, processes, registry, statistics, trial
from lab.backend import capabilities
from lab.clusters.services import SERVICES, last_line
from lab.driver import FIRST_TASK, MEASURE
from lab.errors import LabError
from lab.evidence import read_status
from lab.model import Burst, Capability, Status, TrialSpec
from lab.plan import Cell, Selection, make_plan
from lab.readback import executions
from tests.fidelity import stamps

# Tasks of one burst, enough for about a second.
TASKS = {
    "asyncio": 100_000,
    "celery": 1_000,
    "inline": 300_000,
    "process-pool": 10_000,
    "rq": 200,
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
    labels = [label for label in known_labels() if matches(label, given.backend)]
    try:
        rates = measure(labels, given.pairs, random.Random(given.seed))
    except LabError as error:
        console.say(str(error))
        return error.exit_code
    columns = ("backend", "lab, tasks/s", "script, tasks/s", "lab / script", "95 %", "pairs")
    console.show_table("Fidelity", columns, [row(label, *rates[label]) for label in labels])
    return 0


def known_labels() -> Iterator[str]:
    """Name every variant of every backend that has a script."""
    known = registry.backends()
    for name in TASKS:
        for variant in known[name].variants:
            yield f"{name}[{variant.name}]"


def matches(label: str, wanted: Sequence[str] | None) -> bool:
    """Tell whether a label was asked for, by itself or by its backend's name."""
    return wanted is None or label in wanted or label.partition("[")[0] in wanted


def measure(
    labels: Sequence[str], pairs: int, order: random.Random
) -> dict[str, tuple[list[float], list[float]]]:
    """Return the rates of lab and script for each label, pair by pair, in tasks per second."""
    rates: dict[str, tuple[list[float], list[float]]] = {label: ([], []) for label in labels}
    for pair in range(pairs):
        for label in order.sample(labels, len(labels)):
            spec = spec_of(label, pair)
            for side in order.sample((0, 1), 2):
                with tempfile.TemporaryDirectory() as folder:
                    rates[label][side].append((lab_rate, script_rate)[side](spec, Path(folder)))
            lab, script = (values[-1] for values in rates[label])
            console.say(f"pair {pair + 1}/{pairs} {label}: lab {lab:.0f}/s, script {script:.0f}/s")
    return rates


def spec_of(label: str, pair: int) -> TrialSpec:
    """Make the trial of one pair: one node of one core, and two workers where there can be."""
    chosen = registry.select(label)
    is_parallel = Capability.PARALLEL in capabilities(chosen.backend, chosen.variant)
    selection = Selection(
        labels=(label,),
        cells=(Cell("noop", Burst(TASKS[chosen.name])),),
        cores=(1,),
        nodes=(1,),
        workers_per_core=(WORKERS if is_parallel else 1,),
        provider="local",
        blocks=pair + 1,
        seed=1,
        warmup_per_slot=20,
        deadline_s=PATIENCE_S,
    )
    return make_plan(selection).trials[pair]


def lab_rate(spec: TrialSpec, folder: Path) -> float:
    """Run one trial and return the rate that its ledger tells."""
    outcome = trial.run(spec, 1, folder / "trial", lambda _: None)
    status = read_status(outcome.folder)
    if (outcome.status, status.get("status")) != (Status.OK, Status.OK):
        raise LabError(f"{spec.label} failed: {outcome.reason or status.get('reason')}")
    return stamps.rate_hz(
        [
            record.finished_ns
            for path in (outcome.folder / "ledger").glob("*.bin")
            for record in executions(path)[1]
            if record.task_id >= FIRST_TASK[MEASURE]
        ]
    )


def script_rate(spec: TrialSpec, folder: Path) -> float:
    """Run the backend's script where the trial's roles ran and return the rate that it prints."""
    place = trial.place(spec)
    labels = {processes.OWNER: processes.owner(), processes.TRIAL: "fidelity"}
    script = f"tests.fidelity.with_{spec.backend.replace('-', '_')}"
    argv = [sys.executable, "-m", script, "--variant", spec.variant]
    argv += ["--tasks", str(spec.arrival.n_tasks), "--workers", str(spec.topology.workers)]
    argv += ["--worker-cpus", ",".join(map(str, place.nodes[0]))]
    servers = []
    try:
        for service in registry.select(spec.label).backend.services:
            servers.append(SERVICES[service]().start(folder, place.services, labels))
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
    """Write one line of the table; both rates are geometric means."""
    ratio = statistics.paired_ratio(lab, script)
    means = (statistics.interval(values).value for values in (lab, script))
    ends = "-" if ratio.low is None else f"{ratio.low:.3f} .. {ratio.high:.3f}"
    return (label, *(f"{mean:,.0f}" for mean in means), f"{ratio.value:.3f}", ends, str(ratio.n))


if __name__ == "__main__":
    sys.exit(main())
