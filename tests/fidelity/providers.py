"""Measures the cost of containers: trials of no-ops by both providers, in interleaved pairs.

``python -m tests.fidelity.providers --pairs 10 --backend thread-pool``. The ratios are of
containers to plain processes: of the throughput of a burst, and of the round trip where a system
hands results back. Roles have the same CPUs in both. Results of a busy machine mean nothing.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab import console
from lab.core.backend import capabilities
from lab.core.errors import LabError
from lab.core.model import Arrival, Burst, Capability, RoundTrip
from lab.planning import registry
from lab.planning.plan import Selection, make_plan
from lab.planning.presets import Case
from lab.providers import choice, images
from tests.fidelity.compare import PATIENCE_S, TASKS
from tests.fidelity.paired import Question, ask, show

DEFAULT = ("celery[prefork+results]", "thread-pool")
ROUND_TRIPS = 300


def questions(label: str, pairs: int, seed: int) -> Iterator[Question]:
    """Ask for the throughput of a system, and for its round trip if it has one."""
    chosen = registry.select(label)
    name = f"{chosen.name}[{chosen.variant}]"
    arrivals: dict[str, Arrival] = {
        "throughput_per_s": Burst(TASKS.get(name) or TASKS[chosen.name]),
        "round_trip_s_p50": RoundTrip(ROUND_TRIPS),
    }
    if Capability.RESULT not in capabilities(chosen.backend, chosen.variant):
        del arrivals["round_trip_s_p50"]
    for metric, arrival in arrivals.items():
        selection = Selection(
            labels=(name,),
            cases=(Case("noop", arrival),),
            cores=(1,),
            nodes=(1,),
            workers_per_core=(1,),
            provider=choice.LOCAL,
            blocks=pairs,
            seed=seed,
            warmup_per_slot=20,
            deadline_s=PATIENCE_S,
        )
        rounds = [
            {choice.LOCAL: spec, choice.CONTAINERS: replace(spec, provider=choice.CONTAINERS)}
            for spec in make_plan(selection).trials
        ]
        yield Question(name, metric, rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pairs and print the ratios; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", action="append", help="such as celery or rq[worker]")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    try:
        images.build(console.say)
        labels = given.backend or DEFAULT
        selected = [one for label in labels for one in questions(label, given.pairs, given.seed)]
        ask(selected, random.Random(given.seed))
    except LabError as error:
        console.say(str(error))
        return error.exit_code
    show(f"What a container costs: {given.pairs} interleaved pairs", selected)
    return 0


if __name__ == "__main__":
    sys.exit(main())
