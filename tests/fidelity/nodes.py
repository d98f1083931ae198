"""Measures the same burst on 1, 2, 4 nodes of one core each, in interleaved rounds.

``python -m tests.fidelity.nodes --rounds 10 --backend 'celery[prefork]'``. The ratios are of
throughput to that of the first number of nodes: of tasks that wait, which scale as far as the
system does, and of tasks that compute, which scale no further than this machine's cores.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence

from lab import console
from lab.core.errors import LabError
from lab.core.model import Burst
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import Case
from lab.planning.ranges import NODES
from lab.providers import choice, images
from tests.fidelity.compare import PATIENCE_S
from tests.fidelity.paired import Question, ask, show

# Tasks of 20 ms that wait, and of 5 ms that compute: some seconds each on one node.
TASKS = {"io": 300, "cpu": 600}


def question(label: str, workload: str, nodes: Sequence[int], rounds: int, seed: int) -> Question:
    """Ask for the throughput of one workload on each number of nodes."""
    selection = Selection(
        labels=(label,),
        cases=(Case(workload, Burst(TASKS[workload])),),
        cores=(1,),
        nodes=tuple(nodes),
        workers_per_core=(1,),
        provider=choice.CONTAINERS,
        blocks=rounds,
        seed=seed,
        warmup_per_slot=20,
        deadline_s=PATIENCE_S,
    )
    trials = {(t.block, t.topology.nodes): t for t in make_plan(selection).trials}
    blocks = [{f"{n} nodes": trials[block, n] for n in nodes} for block in range(rounds)]
    return Question(f"{label} {workload}", "throughput_per_s", blocks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds and print the ratios; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", default="celery[prefork]", help="one that spans nodes")
    parser.add_argument("--nodes", type=NODES, default=(1, 2, 4))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    try:
        images.build(console.say)
        questions = [
            question(given.backend, w, given.nodes, given.rounds, given.seed) for w in TASKS
        ]
        ask(questions, random.Random(given.seed))
    except LabError as error:
        console.say(str(error))
        return error.exit_code
    show(f"What more nodes bring: {given.rounds} interleaved rounds", questions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
