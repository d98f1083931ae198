"""What a trial's containers have beyond compose.yaml: CPUs, commands, and what they are told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lab import inside, own_task
from lab.backend import setup_to_json
from lab.cluster import Site
from lab.images import recipe
from lab.model import Command, Service, Setup
from lab.placement import cpu_text

FILE = recipe.FOLDER / "compose.yaml"
TRIAL = "/trial"
SETUP = "LAB_SETUP"
LUGGAGE = f"{TRIAL}/luggage"
# Of a CPU quota, if one is asked for: a node that has spent its share stands still until the next
# period begins, by default for up to 100 ms (METHOD M22).
PERIOD_US = 10_000
# Where `crontab` in the driver's container leaves the lines that cron in its own reads.
CRONTABS = "crontabs:/var/spool/cron/crontabs"
DRIVER, NODE, SCHEDULER = "driver", "node", "scheduler"
ENDPOINTS = {
    Service.REDIS: "redis://:{password}@redis:6379/0",
    Service.RABBITMQ: "amqp://lab:{password}@rabbitmq:5672//",
    Service.DASK_SCHEDULER: "tcp://dask-scheduler:8786",
    Service.POSTGRES: "postgresql://lab:{password}@postgres:5432/lab",
    Service.CRON: "crontab",
}


def endpoints(servers: Iterable[Service], password: str) -> dict[str, str]:
    """Return the address of each server, with the trial's password where it wants one."""
    return {str(name): ENDPOINTS[name].format(password=password) for name in servers}


def environment(site: Site, made: Setup) -> dict[str, str]:
    """Return what the system's own commands are told inside a container."""
    return {
        **site.passed,
        **site.environment,
        **site.backend.worker_environment(made),
        "LAB_LEDGER": f"{TRIAL}/ledger",
        SETUP: setup_to_json(made),
        **_path(site),
    }


def _path(site: Site) -> dict[str, str]:
    """Return where Python finds a module of the user's own, after what the image has."""
    return {"PYTHONPATH": f"/app:{LUGGAGE}"} if own_task.is_own(site.spec.workload) else {}


def server(site: Site, made: Setup) -> dict[str, Any]:
    """Describe what every server's container has beyond the file."""
    told = dict(site.backend.server_environment(made.settings))
    return {"cpuset": cpu_text(site.placement.services), "environment": told}


def parts(
    site: Site, made: Setup, commands: Mapping[str, Sequence[Command]], names: Sequence[str]
) -> dict[str, Any]:
    """Describe the driver and the containers `names`: ``node0``, ``node1``, ..., ``scheduler``.

    `commands` are those of a node and those of the scheduler.
    """
    place, quota_us = site.placement, round(site.spec.topology.quota_cpus * PERIOD_US)
    limits = {"cpu_period": PERIOD_US, "cpu_quota": quota_us} if quota_us else {}
    ours = {**site.passed, **site.environment, **_path(site)}
    ours |= {"LAB_LEDGER": f"{TRIAL}/ledger", "LAB_NODE": "0", "LAB_SLOT": "0"}
    found: dict[str, Any] = {DRIVER: {"cpuset": cpu_text(place.driver), "environment": ours}}
    if str(Service.CRON) in made.endpoints:
        found[DRIVER]["volumes"] = [CRONTABS]
    for name in names:
        kind, number = (SCHEDULER, 0) if name == SCHEDULER else (NODE, int(name[len(NODE) :]))
        words = json.dumps([(in_image(c.argv), c.slots) for c in commands[kind]])
        found[name] = {
            "extends": {"file": FILE.name, "service": NODE},
            "command": ["python", "-m", inside.__name__, NODE],
            "hostname": name,
            **(limits if kind == NODE else {}),
            "cpuset": cpu_text(place.services if kind == SCHEDULER else place.nodes[number]),
            "environment": {
                **environment(site, made),
                inside.COMMANDS: words,
                "LAB_NODE": str(number),
            },
        }
    return found


def in_image(argv: Sequence[str]) -> list[str]:
    """Return the words of a command with the image's own interpreter instead of this one."""
    return ["python" if word == sys.executable else word for word in argv]
