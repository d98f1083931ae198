"""Ray on this machine: one remote call for each task, or a pool of actors."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections import deque
from typing import Any

from tests.fidelity import stamps


class Actor:
    """Runs the tasks of one slot."""

    def noop(self, number: int) -> int:
        """Stamp and return the argument."""
        return stamps.noop(number)


def on_actor(actor: Any, number: int) -> Any:
    """Call an actor of the pool."""
    return actor.noop.remote(number)


def main() -> None:
    """Start the cluster, warm it up, call all tasks and wait for them."""
    given = stamps.options(__doc__, "tasks", "actors")
    secret = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
    os.environ.update({**secret, "RAY_USAGE_STATS_ENABLED": "0"})
    import ray
    from ray.util import ActorPool

    with stamps.file(), tempfile.TemporaryDirectory() as folder:
        ray.init(
            address="local",
            num_cpus=given.workers,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=folder,
        )
        call, actor = ray.remote(stamps.noop), ray.remote(Actor)
        n_actors = given.workers if given.variant == "actors" else 0
        pool = ActorPool([actor.remote() for _ in range(n_actors)])
        for tasks in (20 * given.workers, given.tasks):
            if n_actors:
                deque(pool.map_unordered(on_actor, range(tasks)), maxlen=0)
            else:
                ray.get([call.remote(number) for number in range(tasks)])
            instants = stamps.wait_for(tasks)
        ray.shutdown()
    stamps.report(instants)


if __name__ == "__main__":
    main()
